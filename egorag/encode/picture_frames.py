"""Moments by classical vision: how every sampled picture looks, without training or weights.

Each is told by ``picture``'s four histograms of lightness, colour and gradients, motion left out:
what is on show changes at a cut, whatever moves. It lets ``segmenter=ward`` run with nothing to
download; a model that knows what happens draws better scenes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import ClassVar

import numpy as np

from egorag.encode.base import Available, Medium, Moments, Over, Vectors
from egorag.encode.picture import APPEARANCE_DIM, appearance
from egorag.errors import SpaceError
from egorag.fingerprint import fingerprint_of
from egorag.media.sampling import Frame, FrameSampling
from egorag.media.stills import read_picture
from egorag.spaces import EmbeddingSpace
from egorag.spans import Span, to_us
from egorag.types import Query


@dataclass(frozen=True)
class PictureFrames:
    """Colour and gradient statistics of single pictures.

    Attributes:
        rate: moments a second; a cut lies at one of them.
        batch_size: moments handed over together.
    """

    medium: ClassVar[Medium] = Medium.FRAMES
    over: ClassVar[Over] = Over.STREAM
    scene_threshold: ClassVar[float] = 0.4  # found on generated and real clips; see docs/decisions

    rate: float = 4.0
    batch_size: int = field(default=64, metadata={"affects_output": False})

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 60:
            raise ValueError(f"rate must be above 0 and at most 60 pictures a second: {self.rate}")
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more, got {self.batch_size}")

    @property
    def sampling(self) -> FrameSampling:
        return FrameSampling(self.rate, longest=160)

    @property
    def space(self) -> EmbeddingSpace:
        """624-d, unit length, queried by image."""
        media = frozenset({"image"})
        return EmbeddingSpace("egorag/picture_frames", "1", APPEARANCE_DIM, True, media)

    def fingerprint(self) -> str:
        return fingerprint_of(self, version=1)

    def skip_reason(self, available: Available) -> str | None:
        return None if available.frames else "no picture"

    def setup(self, device: str = "cpu") -> None:
        """Nothing to load."""

    def close(self) -> None:
        """Nothing to give back."""

    def encode(self, data: Iterable[Frame]) -> Iterator[Moments]:
        """Blocks of unit rows, float32 [n, 624]; the last moment lasts one period."""
        period = to_us(1 / self.rate)
        told = ((frame.time, appearance(frame.image)) for frame in data)
        block = list(islice(told, self.batch_size))
        while block:
            following = list(islice(told, self.batch_size))
            times = [time for time, _ in (*block, *following[:1])]
            if not following:
                times.append(times[-1] + period)
            spans = tuple(Span(a, b) for a, b in pairwise(times))
            yield Moments(spans, np.array([row for _, row in block], np.float32))
            block = following

    def embed_query(self, query: Query, medium: str) -> Vectors:
        """float32 [624], unit length, from the query's picture (upright, as EXIF says).

        Raises:
            SpaceError: the medium is not image, or the query has none.
            MediaError: the file cannot be read as a picture.
        """
        if medium != "image" or query.image is None:
            raise SpaceError(
                f"PictureFrames embeds pictures, but the query was to enter by {medium!r}"
            )
        return appearance(read_picture(query.image)).astype(np.float32)
