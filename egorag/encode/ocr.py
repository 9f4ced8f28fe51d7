"""On-screen text as timed text, read with rapidocr from a sparse grid of frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from egorag.encode.base import Available, Medium, Over
from egorag.encode.ocr_lines import LineTracker
from egorag.encode.ocr_reader import Image, KnownLines, Line, TextReader
from egorag.errors import EgoragError
from egorag.fingerprint import fingerprint_of
from egorag.media.sampling import Frame, FrameSampling
from egorag.spans import to_us
from egorag.types import TimedText

_GRAY = 640  # longer side of the pictures in which change is looked for
_SMOOTH = 5  # pixels there; compression noise averages out, a changed letter does not
_CHANGED = 12  # gray levels


@dataclass(frozen=True)
class OCR:
    """Reads text on screen: track ``ocr``, one timed text a line and stay on screen.

    A picture like the one last read is not read again, and in a changed picture only the lines
    that changed are, so a still costs next to nothing and a moving picture one detection.

    Attributes:
        rate: pictures a second; text shown for less than 1 / rate may be missed.
        longest: the longer side of the pictures, in pixels; lines are read at this size.
        detect_at: the longer side at which lines are looked for; see ``TextReader``.
        min_confidence: readings below are dropped.
        piece: seconds; text that stays longer is told in pieces of this length.
        threads: of onnxruntime.
    """

    medium: ClassVar[Medium] = Medium.FRAMES
    over: ClassVar[Over] = Over.STREAM

    rate: float = 0.5
    longest: int = 1280
    detect_at: int = 448
    min_confidence: float = 0.8
    piece: float = 20.0
    threads: int = field(default=1, metadata={"affects_output": False})
    _runtime: TextReader | None = field(
        default=None, init=False, repr=False, compare=False, metadata={"affects_output": False}
    )

    def __post_init__(self) -> None:
        if not self.rate > 0:
            raise ValueError(f"rate must be positive frames per second, got {self.rate}")
        for name in ("longest", "detect_at"):
            if getattr(self, name) < 64:
                raise ValueError(f"{name} must be at least 64 pixels, got {getattr(self, name)}")
        if not 0.0 <= self.min_confidence <= 1.0:
            raise ValueError(f"min_confidence must lie in 0..1, got {self.min_confidence}")
        if not self.piece > 0:
            raise ValueError(f"piece must be positive seconds, got {self.piece}")
        if self.threads < 1:
            raise ValueError(f"threads must be at least 1, got {self.threads}")

    @property
    def sampling(self) -> FrameSampling:
        return FrameSampling(rate=self.rate, longest=self.longest)

    @property
    def space(self) -> None:
        return None

    def fingerprint(self) -> str:
        return fingerprint_of(self, version=1, model=f"rapidocr {version('rapidocr')}")

    def skip_reason(self, available: Available) -> str | None:
        return None if available.frames else "no video"

    def setup(self, device: str = "cpu") -> None:
        object.__setattr__(self, "_runtime", TextReader(self.detect_at, self.threads))

    def encode(self, data: Iterable[Frame]) -> Iterator[TimedText]:
        """Yield lines as they leave the screen; holds one frame and the lines on it."""
        if self._runtime is None:
            raise EgoragError("OCR.encode was called before setup()")
        tracker = LineTracker(to_us(1 / self.rate), to_us(self.piece))
        gray: Image | None = None
        lines: list[Line] = []
        for frame in data:
            small = _small_gray(frame.image)
            if gray is None or gray.shape != small.shape:
                gray, lines = small, self._runtime.read(frame.image)
            elif (differs := _differs(gray, small)).any():
                scale = small.shape[1] / frame.image.shape[1]
                known = KnownLines(lines, differs, scale)
                gray, lines = small, self._runtime.read(frame.image, known)
            yield from tracker.seen(frame.time, [line for line in lines if self._kept(line)])
        yield from tracker.finish()

    def close(self) -> None:
        object.__setattr__(self, "_runtime", None)

    def _kept(self, line: Line) -> bool:
        """Single characters are mostly edges of things."""
        return line.confidence >= self.min_confidence and sum(map(str.isalnum, line.text)) >= 2


def _small_gray(image: Image) -> Image:
    import cv2

    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    scale = min(1.0, _GRAY / max(gray.shape))
    size = (max(1, round(gray.shape[1] * scale)), max(1, round(gray.shape[0] * scale)))
    return np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), np.uint8)


def _differs(before: Image, after: Image) -> npt.NDArray[np.bool_]:
    import cv2

    # Smoothed with its sign: noise goes up and down and cancels, a stroke of a letter does not.
    change = cv2.subtract(after, before, dtype=cv2.CV_16S)
    changed: npt.NDArray[np.bool_] = np.abs(cv2.blur(change, (_SMOOTH, _SMOOTH))) > _CHANGED
    return changed
