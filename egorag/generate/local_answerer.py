"""Answers by a language model on this machine, through transformers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self

from egorag.chat.base import ChatModel
from egorag.chat.local import LocalChat, LocalSettings
from egorag.chat.settings import check_whole
from egorag.encode.pretrained import shared
from egorag.generate.model_answerer import ModelAnswerer
from egorag.generate.seen import Look


@dataclass(frozen=True)
class HFText(ModelAnswerer, LocalSettings):
    """Asks a model that reads text; see ``ModelAnswerer`` for what becomes of its reply.

    The model is loaded for the first question and kept until ``close``; or use ``with``.
    ``evidence_tokens`` are counted by its own tokenizer. The schema of a reply is told to it and
    not enforced: a reply that is not of that form is no answer.
    """

    checkpoint: str = "Qwen/Qwen3-4B-Instruct-2507"
    _held: shared.Held | None = field(
        default=None, init=False, repr=False, compare=False, metadata={"affects_output": False}
    )

    def __post_init__(self) -> None:
        LocalSettings.__post_init__(self)
        ModelAnswerer.__post_init__(self)

    @contextlib.contextmanager
    def chat(self, choosing: bool) -> Iterator[ChatModel]:
        """A chat with the model, which is loaded by then."""
        held = self._held or self.hold("answerer")
        object.__setattr__(self, "_held", held)
        yield LocalChat(held, self, likeliest=20 if choosing else 0)

    def count(self, chat: ChatModel, text: str) -> int:
        """Tokens of ``text`` by the model's own tokenizer."""
        return chat.count(text) if isinstance(chat, LocalChat) else super().count(chat, text)

    def close(self) -> None:
        """Give the memory back."""
        held = self._held
        object.__setattr__(self, "_held", None)
        if held is not None:
            shared.release(held)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class HFVLM(HFText):
    """Asks a model that sees as well (Qwen2-VL, Qwen3-VL and kin): frames of the evidence stand
    between its texts in the order of time.

    It may answer from frames alone, and cites what it saw by scene and time. That such a citation
    is verified means that the model was shown this frame, and no more.

    Attributes:
        frames: how many in all, at most; the best scenes get those that are left over.
        size: pixels of a frame's longer side.
    """

    packages: ClassVar[Sequence[str]] = ("torch", "torchvision", "transformers", "PIL")
    extra: ClassVar[str] = "vision"
    sees: ClassVar[bool] = True

    checkpoint: str = "Qwen/Qwen3-VL-4B-Instruct"
    frames: int = 16
    size: int = 512

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(self, frames=1, size=32)

    def look(self) -> Look | None:
        return Look(self.frames, self.size)
