"""What an encoder without weights need not write."""

from __future__ import annotations

from typing import ClassVar

from egorag.encode.base import Available, Medium
from egorag.fingerprint import fingerprint_of

_LACKS = {
    Medium.FRAMES: "no picture",
    Medium.SOUND: "no sound",
    Medium.CUES: "no subtitles",
    Medium.TEXT: "no text",
}


class Weightless:
    """The rest of an ``Encoder``, for a frozen dataclass that says ``medium``, ``over``,
    ``sampling``, ``space`` and ``encode``.

    Attributes:
        version: raise it when the same input gives another output, else results kept on disk are
            taken for its own.
    """

    medium: ClassVar[Medium]
    version: ClassVar[int] = 1

    def fingerprint(self) -> str:
        """Of the class, its version and its settings."""
        return fingerprint_of(self, version=self.version)

    def skip_reason(self, available: Available) -> str | None:
        """Why this video has nothing for it: it lacks the medium."""
        offered = {
            Medium.FRAMES: available.frames,
            Medium.SOUND: available.sound,
            Medium.CUES: available.subtitles,
            Medium.TEXT: available.text,
        }
        return None if offered[self.medium] else _LACKS[self.medium]

    def setup(self, device: str = "cpu") -> None:
        """Nothing to load."""

    def close(self) -> None:
        """Nothing to give back."""
