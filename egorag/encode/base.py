"""What an encoder is.

An encoder reads one medium and yields vectors in its space, or timed text. It is a frozen
dataclass whose fields are its settings: cheap to construct, weights are loaded in ``setup``.

Two ways to read, said by ``over``:

- ``Over.SCENES``: ``encode(batch)`` gets clips, one a scene (frames, sound or a document), and
  returns one float32 row a clip (space set) or one list of timed text a clip (space None). A
  scene with nothing to read (no frame, no sound, no text) is never handed over: it has no row.
- ``Over.STREAM``: ``encode(stream)`` gets one iterator over the whole file (Frames, SoundChunks
  or Cues in time order) and yields timed text (space None) or ``Moments`` (space set) as it goes,
  holding a bounded amount. Its result does not depend on the segmentation, so a new segmentation
  never recomputes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from egorag.media.sampling import Cue, Frame, Sampling, SoundChunk
from egorag.spaces import EmbeddingSpace
from egorag.spans import Span
from egorag.types import Query, TimedText

Vectors: TypeAlias = npt.NDArray[np.float32]


class Medium(Enum):
    """What an encoder reads."""

    FRAMES = "frames"
    SOUND = "sound"
    CUES = "cues"
    TEXT = "text"


class Over(Enum):
    """Whether it reads scene by scene or the whole stream."""

    SCENES = "scenes"
    STREAM = "stream"


@dataclass(frozen=True, eq=False)
class FrameClip:
    """The sampled frames of one scene (at least one), in time order."""

    span: Span
    frames: tuple[Frame, ...]


@dataclass(frozen=True, eq=False)
class SoundClip:
    """The sound of one scene: float32 [n] mono at ``rate`` Hz, n >= 1."""

    span: Span
    samples: npt.NDArray[np.float32]
    rate: int


@dataclass(frozen=True, eq=False)
class Moments:
    """A block of a stream's vectors, finer than scenes: what scenes can be cut by.

    An encoder whose vectors know of frames after their span's end says so by a property ``reach``
    (microseconds): what anticipates must not use them before that time.

    Attributes:
        spans: one a row, in time order, without overlap: from a sampled moment to the next.
        vectors: float32 [n, dim].
    """

    spans: tuple[Span, ...]
    vectors: Vectors


@dataclass(frozen=True)
class Document:
    """The text of one scene.

    Attributes:
        text: the whole, as ``Transcript: ... Sounds: ... Visuals: ...``; never empty.
        tracks: the text of each track alone.
    """

    span: Span
    text: str
    tracks: Mapping[str, str]


Clip: TypeAlias = FrameClip | SoundClip | Document


@dataclass(frozen=True)
class Available:
    """What one video offers, for ``skip_reason``.

    Attributes:
        transcribed: another encoder of this run has ``transcribes`` set: what it hears is better
            than a rough transcript.
    """

    frames: bool
    sound: bool
    subtitles: bool
    text: bool
    transcribed: bool = False


@runtime_checkable
class Encoder(Protocol):
    """The interface. See the module's docstring; settings are dataclass fields."""

    medium: ClassVar[Medium]
    over: ClassVar[Over]

    @property
    def sampling(self) -> Sampling | None:
        """What the reader must deliver; None for text."""

    @property
    def space(self) -> EmbeddingSpace | None:
        """Where its vectors live; None if it yields timed text."""

    def fingerprint(self) -> str:
        """Hash of everything that changes the output; see ``egorag.fingerprint``."""

    def skip_reason(self, available: Available) -> str | None:
        """Why this video has nothing for the encoder (``"no sound"``), or None to run."""

    def setup(self, device: str = "cpu") -> None:
        """Load weights. Called once before the first use, again after ``close``."""

    def encode(self, data: Any) -> Any:
        """``Sequence[Clip] -> Vectors | list[list[TimedText]]`` over scenes,
        ``Iterator[Frame | SoundChunk | Cue] -> Iterator[TimedText | Moments]`` over a stream."""

    def close(self) -> None:
        """Give memory back."""


@runtime_checkable
class QueryEncoder(Protocol):
    """An encoder whose space can be queried."""

    def embed_query(self, query: Query, medium: str) -> Vectors:
        """float32 [dim] for the part of the query that is ``medium`` (text, image or sound)."""


@runtime_checkable
class TokenEncoder(Protocol):
    """An encoder of scenes that can hand over the whole feature map a row is made of."""

    @property
    def keep_tokens(self) -> bool:
        """Whether the maps are wanted. Neither rows nor fingerprint depend on it."""

    def encode_with_tokens(self, clip: Any) -> tuple[Vectors, npt.NDArray[np.float16]]:
        """The clip's row, float32 [dim], and float16 [steps, rows, columns, dim]."""

    def token_bytes(self, spans: Sequence[Span]) -> int:
        """About how many bytes the maps of scenes over ``spans`` take before they are packed."""


StreamItem: TypeAlias = Frame | SoundChunk | Cue
SceneResult: TypeAlias = Vectors | list[list[TimedText]]
StreamEncode: TypeAlias = Iterator[TimedText] | Iterator[Moments]
Batch: TypeAlias = Sequence[Clip]
Stream: TypeAlias = Iterable[StreamItem]
