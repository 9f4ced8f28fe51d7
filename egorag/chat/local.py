"""A language model on this machine through transformers: its settings and a chat with it."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from egorag.chat.base import Completion
from egorag.chat.decoding import Decoding, decode
from egorag.chat.local_model import LocalModel, load_text, load_vision
from egorag.chat.settings import check_whole
from egorag.chat.template import inputs
from egorag.encode.pretrained import checkpoint as checkpoints
from egorag.encode.pretrained import shared
from egorag.encode.pretrained.placement import ATTENTION, DTYPES, Placement, device_of, dtype_of
from egorag.errors import ConfigError, MissingPackageError, did_you_mean
from egorag.terminal import tell

WEIGHTS = ("model*.safetensors", "*.safetensors")
"""Nothing but safetensors; some repositories hold the model a second time in another layout."""


@dataclass(frozen=True)
class LocalSettings:
    """A checkpoint, where it runs and how it decodes.

    Attributes:
        checkpoint: hub name, or a local folder as ``save_pretrained`` writes it.
        revision: commit, tag or branch on the hub; None is the default branch as last fetched.
        dtype: ``auto`` is bfloat16 on a GPU and float32 on a CPU.
        attention: ``auto`` is SDPA where the model has it.
        device: ``auto`` is the fastest that is here.
        max_tokens: of one reply.
        temperature: 0 takes the likeliest token each time.
        seed: of what is drawn where the temperature is above 0.
    """

    packages: ClassVar[Sequence[str]] = ("torch", "transformers")
    """Modules it imports."""
    extra: ClassVar[str] = "torch"
    """The extra of egorag that installs them."""
    sees: ClassVar[bool] = False
    """Whether the model takes pictures."""

    checkpoint: str = ""
    revision: str | None = None
    dtype: str = "auto"
    attention: str = "auto"
    device: str = "auto"
    max_tokens: int = 1024
    temperature: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.checkpoint, str) or not self.checkpoint:
            raise ValueError(
                "checkpoint must name a model of the hub or a local folder, got "
                f"{self.checkpoint!r}"
            )
        for name, known in (("dtype", DTYPES), ("attention", ATTENTION)):
            value = str(getattr(self, name))
            if value not in known:
                raise ValueError(f"unknown {name} {value!r}{did_you_mean(value, known)}")
        check_whole(self, max_tokens=1, seed=0)
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature must be 0 or more, got {self.temperature}")

    def hold(self, called: str) -> shared.Held:
        """The model, fetched and loaded unless it is here; pair with ``shared.release``.

        Args:
            called: what the config calls these settings (``answerer``), for messages.

        Raises:
            ConfigError: packages, device or weights are missing, or the weights are not a model's
                of that kind.
        """
        missing = [name for name in self.packages if importlib.util.find_spec(name) is None]
        if missing:
            raise MissingPackageError(
                f"{called} needs the packages {', '.join(missing)}, which are missing: "
                f"{sys.executable} -m pip install 'egorag[{self.extra}]'"
            )
        place = device_of(self.device)  # refused before anything is fetched for it
        placement = Placement(place, dtype_of(self.dtype, place), self.attention)
        setting = f"{called}.checkpoint"
        source = checkpoints.fetch(self.checkpoint, self.revision, tell, WEIGHTS, setting)
        load = load_vision if self.sees else load_text
        key = ("chat", self.sees, source.sha256, placement)
        return shared.acquire(key, lambda: load(source, placement))


@dataclass
class LocalChat:
    """A ``ChatModel`` for one question over a model that is held.

    The schema of a reply is told to it in the messages; nothing enforces it.

    Attributes:
        likeliest: how many of the likeliest tokens are told for each one of a reply.
    """

    held: shared.Held
    settings: LocalSettings
    likeliest: int = 0
    called: str = "answerer"
    notes: list[str] = field(default_factory=list)

    def complete(
        self, messages: Sequence[Mapping[str, Any]], shape: Mapping[str, Any]
    ) -> Completion:
        """The reply to ``messages``.

        Raises:
            ConfigError: they do not fit into the model's context, or its chat template cannot put
                them.
            EgoragError: they do not fit into memory, or what it computes are no numbers.
        """
        settings = self.settings
        with self.held.lock:
            model: LocalModel = self.held.model
            given = inputs(model, messages)
            self._check_length(model, int(given["input_ids"].shape[1]))
            how = Decoding(settings.max_tokens, settings.temperature, settings.seed, self.likeliest)
            return decode(model, given, how)

    def count(self, text: str) -> int:
        """Tokens of ``text`` by the model's own tokenizer."""
        tokenizer = self.held.model.tokenizer
        return len(tokenizer(text, add_special_tokens=False)["input_ids"])

    def _check_length(self, model: LocalModel, prompt: int) -> None:
        most = self.settings.max_tokens
        if model.context is not None and prompt + most > model.context:
            looks = f" or {self.called}.frames" if model.sees else ""
            raise ConfigError(
                f"{model.checkpoint.name} reads {model.context} tokens with its reply, but the "
                f"question with its evidence takes {prompt} and the reply may take {most}; lower "
                f"{self.called}.evidence_tokens{looks}, or {self.called}.max_tokens"
            )
