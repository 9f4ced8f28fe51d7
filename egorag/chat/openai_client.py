"""One chat with an OpenAI-compatible server, through the ``openai`` client.

The client retries what may pass (no connection, 408, 409, 429 after the server's ``Retry-After``,
5xx). What a server refuses for good is given up one by one, each told in ``notes``: the JSON
schema, then any response format; a parameter that its error names; streaming.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from egorag.chat.base import Completion, Listener, read_tokens
from egorag.chat.events import events
from egorag.chat.sent import has_pictures, sent
from egorag.chat.streamed import BrokenOffError, ToldError, assembled
from egorag.errors import ConfigError, MissingPackageError, ServerError
from egorag.terminal import plain

LARGEST = 16 * 2**20
"""Bytes of a response that are read."""
FORMATS = ("json_schema", "json_object", "text")
_NAMED = {
    "logprobs": "top_logprobs",
    "seed": "",
    "temperature": "",
    "max_tokens": "",
    "stream_options": "",
    "stream": "stream_options",
}
"""What a server may refuse by name, and what goes with it; the longer of two names first."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where and how to ask: fields of ``ServerSettings``, which checks and explains them.

    Attributes:
        called: what the config calls the settings, for messages.
    """

    base_url: str
    model: str
    api_key_env: str
    timeout: float
    retries: int
    called: str = "answerer"


@dataclass
class Chat:
    """A connection for a few requests. ``notes`` is what the server made us give up.

    After ``stream_to`` its replies are streamed, bounded in time and size as others are.
    """

    server: Server
    parameters: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    _format: str = FORMATS[0]
    _key: str = field(default="none", repr=False)
    _pictures: bool = False
    _listen: Listener | None = None

    def __post_init__(self) -> None:
        try:
            import httpx2
            import openai
        except ImportError as error:
            raise MissingPackageError(
                f"{self.server.called} needs the package {error.name}, which is missing: "
                "pip install 'egorag[openai]'"
            ) from error
        name = self.server.api_key_env
        if name:
            self._key = os.environ.get(name, "")
            if not self._key:
                raise ConfigError(
                    f"{self.server.called}.api_key_env names the environment variable {name}, "
                    f"which is not set: export {name}=..., or leave the setting out for a server "
                    "without keys"
                )
        # A redirect would carry the evidence to a server nobody named.
        self._client = openai.OpenAI(
            api_key=self._key,
            base_url=self.server.base_url,
            timeout=self.server.timeout,
            max_retries=self.server.retries,
            http_client=openai.DefaultHttpxClient(follow_redirects=False),
        )
        if not name:  # what the environment says of an account is for no other server
            self._client.organization = self._client.project = None
        self._openai, self._httpx = openai, httpx2

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def stream_to(self, listen: Listener) -> None:
        """Have each piece of a reply as it comes."""
        self._listen = listen
        self.parameters |= {"stream": True, "stream_options": {"include_usage": True}}

    def complete(
        self, messages: Sequence[Mapping[str, Any]], shape: Mapping[str, Any]
    ) -> Completion:
        """Ask for a reply of the JSON schema ``shape``.

        Raises:
            ServerError: no usable response; says why and what to do.
        """
        broken = 0
        self._pictures = has_pictures(messages)
        messages = sent(messages)
        while True:  # each turn gives something up or counts as one that broke
            try:
                return self._ask(messages, shape)
            except self._openai.APIStatusError as error:
                if not self._give_up(error):
                    raise self._error(error) from error
            except (self._httpx.HTTPError, BrokenOffError) as error:
                # While the body came, where the client does not try again.
                broken += 1
                if broken > self.server.retries:
                    raise self._error(error) from error
            except self._openai.OpenAIError as error:
                raise self._error(error) from error

    def _ask(self, messages: Sequence[Mapping[str, Any]], shape: Mapping[str, Any]) -> Completion:
        formats: dict[str, dict[str, Any]] = {
            "json_schema": {"name": "reply", "strict": True, "schema": shape}
        }
        given = dict(self.parameters)
        if self._format != "text":
            named = {self._format: formats[self._format]} if self._format in formats else {}
            given["response_format"] = {"type": self._format, **named}
        read = bytearray()
        asking = self._client.chat.completions.with_streaming_response.create(
            model=self.server.model, messages=messages, timeout=self.server.timeout, **given
        )
        with asking as response:
            chunks = self._chunks(response, read)
            streams = response.headers.get("content-type", "").startswith("text/event-stream")
            try:
                if streams and self._listen is not None:
                    return _completion(assembled(events(chunks), self._listen))
                for _ in chunks:
                    pass
                return _completion(json.loads(read))
            except ToldError as error:
                told = self._hidden(plain(str(error))[:300])
                raise ServerError(
                    f"{self.server.base_url} broke off its reply with the error {told!r}"
                ) from error
            except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
                begins = self._hidden(plain(read[:80].decode(errors="replace")))
                raise ServerError(
                    f"{self.server.base_url} answers with something that is no chat completion "
                    f"({begins!r}); does the address end in /v1?"
                ) from error

    def _chunks(self, response: Any, read: bytearray) -> Iterator[bytes]:
        """The response, within the time limit and no further than ``LARGEST``; also into ``read``.

        Raises:
            ServerError: it takes longer or is larger.
        """
        ends = time.monotonic() + self.server.timeout
        for chunk in response.iter_bytes():
            read += chunk
            if len(read) > LARGEST:
                raise ServerError(
                    f"{self.server.base_url} sent more than {LARGEST} bytes for one reply"
                )
            if time.monotonic() > ends:
                raise ServerError(self._slow())
            yield chunk

    def _give_up(self, error: Any) -> bool:
        """Change what the server refused; False where nothing is left to change."""
        said = str(error.param or error.message).lower()
        about_format = any(word in said for word in ("response_format", "json_", "grammar"))
        if error.status_code not in (400, 422) and not (error.status_code >= 500 and about_format):
            return False
        for name, bound in _NAMED.items():
            if name in said and name in self.parameters and not about_format:
                value = self.parameters.pop(name)
                self.parameters.pop(bound, None)
                used = "left out"
                if name == "max_tokens":  # what newer models of OpenAI call it
                    self.parameters["max_completion_tokens"] = value
                    used = "max_completion_tokens was used"
                self.notes.append(f"the server refused {name}; {used}")
                return True
        if self._format == FORMATS[-1]:
            return False
        refused, self._format = self._format, FORMATS[FORMATS.index(self._format) + 1]
        told = "no format was asked for" if self._format == "text" else f"{self._format} was used"
        self.notes.append(f"the server refused the response format {refused}; {told}")
        return True

    def _error(self, error: Exception) -> ServerError:
        """The error with what to do, never with the key."""
        api, server = self._openai, self.server
        if isinstance(error, api.APITimeoutError) or "Timeout" in type(error).__name__:
            return ServerError(self._slow())
        if isinstance(error, api.APIStatusError):
            return ServerError(f"{server.base_url} answers {self._status(error)}")
        if isinstance(error, BrokenOffError):
            return ServerError(
                f"{server.base_url} ended its stream before the reply, {server.retries} retries "
                f"included; is it running well, or does {server.called}.stream=false help?"
            )
        cause = error.__cause__ or error
        what = plain(str(cause)) or type(cause).__name__
        return ServerError(
            f"{server.base_url} cannot be reached ({self._hidden(what)}); is the server running, "
            f"and is {server.called}.base_url its address?"
        )

    def _status(self, error: Any) -> str:
        server, code = self.server, error.status_code
        if code in (401, 403):
            named = f"the key in {server.api_key_env} is not accepted"
            advice = (
                named
                if server.api_key_env
                else f"set {server.called}.api_key_env=NAME_OF_A_VARIABLE"
            )
        elif code == 404:
            advice = f"has it a model {server.model!r}, and does the address end in /v1?"
        elif code == 429:
            advice = (
                f"still so after {server.retries} retries; wait, or raise {server.called}.retries"
            )
        elif code in (400, 413, 422):
            advice = f"if the request is too long, lower {server.called}.evidence_tokens"
            if self._pictures:
                advice += f"; if the model takes no pictures, {server.called}.frames=0"
        elif 300 <= code < 400:
            advice = "it points elsewhere, which is not followed; give the final address"
        else:
            advice = f"after {server.retries} retries"
        return f"{code}: {self._hidden(plain(str(error.message))[:300])} ({advice})"

    def _hidden(self, text: str) -> str:
        return text.replace(self._key, "***") if self.server.api_key_env else text

    def _slow(self) -> str:
        return (
            f"{self.server.base_url} sent no whole reply within {self.server.timeout:g} s and "
            f"{self.server.retries} retries; raise {self.server.called}.timeout or lower "
            f"{self.server.called}.max_tokens"
        )


def _completion(reply: Any) -> Completion:
    choice = reply["choices"][0]
    message = choice["message"]
    content, refusal = message.get("content"), message.get("refusal")
    logprobs = choice.get("logprobs")
    return Completion(
        text=content if isinstance(content, str) else "",
        cut=choice.get("finish_reason") == "length",
        tokens=read_tokens(logprobs.get("content") if isinstance(logprobs, dict) else None),
        refusal=plain(refusal[:300]) if isinstance(refusal, str) else "",
        used=_used(reply),
    )


def _used(reply: Mapping[str, Any]) -> int:
    """Tokens of request and reply by the server's count; 0 where it gives none."""
    usage = reply.get("usage")
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    return max(0, total) if isinstance(total, int) else 0
