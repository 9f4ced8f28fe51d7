"""Where a language model is served and how it is asked: settings of whatever asks one."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from egorag.chat.openai_client import Chat


@dataclass(frozen=True)
class ServerSettings:
    """An OpenAI-compatible server and what is sent with each request.

    Attributes:
        base_url: the server's address with its ``/v1``. Nothing is sent anywhere else.
        model: what the server calls the model.
        api_key_env: name of the environment variable that holds the key; empty sends none.
        timeout: seconds for one try.
        retries: how often what may pass (no connection, 429, 5xx) is tried again.
        max_tokens: of one reply.
        temperature: 0 is as repeatable as the server is.
        seed: sent with each request.
    """

    base_url: str = ""
    model: str = ""
    api_key_env: str = ""
    timeout: float = 120.0
    retries: int = 3
    max_tokens: int = 1024
    temperature: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.base_url, str) or not _is_address(self.base_url):
            raise ValueError(
                "base_url must be a server's address without a password, as "
                f"http://127.0.0.1:8000/v1{_shown(self.base_url)}"
            )
        if not isinstance(self.model, str) or not self.model:
            raise ValueError(f"model must be what the server calls it, got {self.model!r}")
        # A key given by mistake must not be printed, so its value is not in the message.
        if not re.fullmatch(r"([A-Z_][A-Z0-9_]*)?", str(self.api_key_env)):
            raise ValueError(
                "api_key_env must be the name of an environment variable in capitals, as "
                "OPENAI_API_KEY, never the key itself"
            )
        check_whole(self, retries=0, max_tokens=1)
        if not 0 < self.timeout < math.inf:
            raise ValueError(f"timeout must be a positive number of seconds, got {self.timeout}")
        if not 0 <= self.temperature <= 2:
            raise ValueError(f"temperature must lie in 0..2, got {self.temperature}")

    def connect(self, called: str, **parameters: Any) -> Chat:
        """A chat with the server; use ``with``.

        Args:
            called: what the config calls these settings (``answerer``), for messages.
            parameters: sent besides those of the settings.

        Raises:
            ConfigError: no key where one is named.
            MissingPackageError: the package openai is not installed.
        """
        from egorag.chat.openai_client import Chat, Server

        server = Server(
            self.base_url, self.model, self.api_key_env, self.timeout, self.retries, called
        )
        own = {"temperature": self.temperature, "seed": self.seed, "max_tokens": self.max_tokens}
        return Chat(server, own | parameters)


def check_whole(settings: object, **least: int) -> None:
    """Raise ValueError unless each named setting is a whole number from its least up."""
    for name, lowest in least.items():
        value = getattr(settings, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
            raise ValueError(f"{name} must be a whole number from {lowest} up, got {value!r}")


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.password
    except ValueError:
        return False


def _shown(address: object) -> str:
    """The address for a message, unless it may hold a password."""
    return "" if "@" in str(address) else f", got {address!r}"
