"""Answers by a language model on any OpenAI-compatible server: vLLM, Ollama, llama.cpp, OpenAI."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from egorag.chat.base import ChatModel
from egorag.chat.settings import ServerSettings, check_whole
from egorag.generate.live import Live
from egorag.generate.model_answerer import ModelAnswerer
from egorag.generate.seen import Look


@dataclass(frozen=True)
class OpenAI(ModelAnswerer, ServerSettings):
    """Asks a server; see ``ModelAnswerer`` for what becomes of its reply.

    ``evidence_tokens`` are guessed at three bytes a token.

    Attributes:
        stream: whether the sentences of an open answer are shown on stderr while they come, before
            they are checked; None where that is a terminal.
        frames: pictures of the evidence that are sent, at most; 0 sends none.
        size: pixels of a picture's longer side.
    """

    stream: bool | None = None
    frames: int = 0
    size: int = 512

    def __post_init__(self) -> None:
        ServerSettings.__post_init__(self)
        ModelAnswerer.__post_init__(self)
        check_whole(self, frames=0, size=32)
        if self.stream not in (True, False, None):
            raise ValueError(f"stream must be true, false or null, got {self.stream!r}")

    @contextlib.contextmanager
    def chat(self, choosing: bool) -> Iterator[ChatModel]:
        """A connection that is closed afterwards."""
        wanted = sys.stderr.isatty() if self.stream is None else self.stream
        live = Live() if wanted and not choosing else None
        likeliest = {"logprobs": True, "top_logprobs": 20} if choosing else {}
        with self.connect("answerer", **likeliest) as chat:
            if live is not None:
                chat.stream_to(live)
            try:
                yield chat
            finally:
                if live is not None:
                    live.end()

    def look(self) -> Look | None:
        return Look(self.frames, self.size) if self.frames else None
