"""Stored features as a probe's input: an index's vectors of scenes or moments, cut by time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from egorag.encode.base import Vectors
from egorag.errors import ConfigError, did_you_mean
from egorag.spans import Span
from egorag.store.folder import IndexFolder
from egorag.store.records import EncoderRow

LONGEST = 8192
"""Vectors of one clip at most, as many as V-JEPA 2 has tokens; of more, evenly spaced ones."""


@dataclass(frozen=True, eq=False)
class Clip:
    """What is stored of a stretch of time.

    Attributes:
        vectors: float32 [n, dim], n >= 1, in time order.
        places: float32 [n]: where in the clip each lies, from 0 (its start) to 1.
    """

    vectors: Vectors
    places: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Features:
    """One encoder's vectors of one video.

    Attributes:
        starts, ends: int64 [n] microseconds, in time order, without overlap.
        vectors: float32 [n, dim].
        reach: microseconds of the video beyond its end that a vector was made from.
    """

    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    vectors: Vectors
    reach: int = 0

    def clip(self, span: Span, causal: bool = False) -> Clip | None:
        """What touches ``span``; None if nothing does.

        Args:
            causal: only what was made from nothing later than the span's end.
        """
        first = int(np.searchsorted(self.ends, span.start, "right"))
        last = int(np.searchsorted(self.starts, span.end, "left"))
        if causal:
            last = min(last, int(np.searchsorted(self.ends + self.reach, span.end, "right")))
        if first >= last:
            return None
        rows = np.arange(first, last)
        if len(rows) > LONGEST:
            rows = rows[np.arange(LONGEST) * len(rows) // LONGEST]
        middles = (self.starts[rows] + self.ends[rows]) / 2
        places = np.clip((middles - span.start) / max(1, span.duration), 0, 1)
        return Clip(self.vectors[rows], places.astype(np.float32))

    def sha256(self) -> str:
        """Of every time and vector."""
        parts = (self.starts.astype("<i8"), self.ends.astype("<i8"), self.vectors.astype("<f4"))
        return hashlib.sha256(
            b"".join(np.ascontiguousarray(p).tobytes() for p in parts)
        ).hexdigest()


def encoder_row(folder: IndexFolder, name: str) -> EncoderRow:
    """The index's encoder of this name, which must make vectors.

    Raises:
        ConfigError: there is none.
    """
    rows = {n: row for n, row in folder.catalog.encoders().items() if row.space is not None}
    if name not in rows:
        raise ConfigError(f"the index has no vectors of {name!r}{did_you_mean(name, rows)}")
    return rows[name]


def features_of(
    folder: IndexFolder, row: EncoderRow, video: str, reach: int = 0
) -> tuple[str, Features] | None:
    """``(kind, features)`` that this encoder, as the index has it now, made of a video; None where
    it made none. The kind is ``vectors`` (of scenes) or ``moments``.

    Args:
        reach: ``reach_of`` the encoder, where clips are to be causal.
    """
    made = folder.catalog.encodings(video).get(row.name)
    if made is None or made.key is None or made.fingerprint != row.fingerprint:
        return None
    vectors, spans = folder.artifacts.read_vectors(made.key, made.sha256)
    if not spans:
        return None
    starts = np.array([span.start for span in spans], np.int64)
    ends = np.array([span.end for span in spans], np.int64)
    return made.kind, Features(starts, ends, vectors, reach)


def reach_of(row: EncoderRow) -> int:
    """Microseconds beyond its end that an encoder's vector knows of: windows reach ahead."""
    from egorag import registry

    encoder = registry.build("encoders", row.name, dict(row.settings))
    return int(getattr(encoder, "reach", 0))
