"""Stored token maps as a probe's input, which is what the published probes read.

A map may be larger than memory allows for all clips together: each is read when its turn comes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from egorag.encode.base import Vectors
from egorag.errors import ConfigError
from egorag.spans import Span
from egorag.store.artifacts import Artifacts
from egorag.store.folder import IndexFolder
from egorag.store.records import EncoderRow
from egorag.store.tokens import scene_tokens, tokens_key


@dataclass(frozen=True, eq=False)
class TokenClip:
    """The tokens of a stretch of time.

    Attributes:
        pieces: place of a scene's map in the file, and its steps [first, last).
        places: float32 [tokens]: where in the clip each lies, from 0 (its start) to 1.
    """

    artifacts: Artifacts
    key: str
    pieces: tuple[tuple[int, int, int], ...]
    places: npt.NDArray[np.float32]

    @property
    def vectors(self) -> Vectors:
        """float32 [tokens, dim], read from disk at each call."""
        with self.artifacts.read_tokens(self.key) as maps:
            parts = [maps[place][first:last] for place, first, last in self.pieces]
        return np.concatenate([p.reshape(-1, p.shape[-1]).astype(np.float32) for p in parts])


@dataclass(frozen=True, eq=False)
class TokenFeatures:
    """One encoder's token maps of one video.

    Attributes:
        spans: of the scenes that have a map, in time order.
        shapes: steps, rows, columns and dim of each.
    """

    artifacts: Artifacts
    key: str
    spans: tuple[Span, ...]
    shapes: tuple[tuple[int, ...], ...]

    def clip(self, span: Span, causal: bool = False) -> TokenClip | None:
        """The steps that touch ``span``; None if there are none.

        A scene's steps are evenly spaced in it.

        Args:
            causal: only of scenes that are over by the span's end: every token of a clip has
                attended to all others.
        """
        pieces, middles = [], []
        for place, (scene, shape) in enumerate(zip(self.spans, self.shapes, strict=True)):
            if not scene.overlap(span) or (causal and scene.end > span.end):
                continue
            edges = scene.start + scene.duration * np.arange(shape[0] + 1) / shape[0]
            touching = np.flatnonzero((edges[1:] > span.start) & (edges[:-1] < span.end))
            first, last = int(touching[0]), int(touching[-1]) + 1
            pieces.append((place, first, last))
            middle = (edges[first:last] + edges[first + 1 : last + 1]) / 2
            middles.append(np.repeat(middle, shape[1] * shape[2]))
        if not pieces:
            return None
        places = np.clip((np.concatenate(middles) - span.start) / max(1, span.duration), 0, 1)
        return TokenClip(self.artifacts, self.key, tuple(pieces), places.astype(np.float32))

    def sha256(self) -> str:
        """Of the file."""
        return self.artifacts.stored(self.key).sha256


def tokens_of(folder: IndexFolder, row: EncoderRow, video: str) -> TokenFeatures | None:
    """The maps that this encoder, as the index has it now, kept of a video; None if it has none.

    Raises:
        ConfigError: it read the video, but kept no maps; says how to.
    """
    record = folder.catalog.record(video)
    made = folder.catalog.encodings(video).get(row.name)
    if record is None or made is None or made.key is None or made.fingerprint != row.fingerprint:
        return None
    key = tokens_key(video, made.fingerprint, record.segmentation)
    if not folder.artifacts.has(key):
        scene_tokens(folder, video, row.name)  # raises, and says how to keep them
        raise ConfigError(f"no token maps of {record.video.path!r}")
    with folder.artifacts.read_tokens(key) as maps:
        return TokenFeatures(folder.artifacts, key, maps.spans, maps.shapes)
