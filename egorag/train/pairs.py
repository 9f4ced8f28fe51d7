"""(text, clip) pairs to learn a projection from: a table, or a text track of the scenes.

A clip is a scene of the lowest level with the vector that the index stores of it. A line of text
(a row of the table, a line of the track) goes with every scene that shares over half of the shorter
of the two with it: the scene that it lies in, the scenes that lie in it. A line that straddles a
cut evenly goes with none.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from egorag.encode.base import Vectors
from egorag.errors import ConfigError, did_you_mean
from egorag.spans import Span
from egorag.store.folder import IndexFolder
from egorag.store.ids import digest
from egorag.store.records import EncoderRow
from egorag.train.features import features_of
from egorag.train.labels import find_videos
from egorag.train.tables import read_table, stretch
from egorag.types import Video

_Scenes: TypeAlias = tuple[Sequence[Span], Vectors]
COLUMNS = ("video", "start", "end", "text")
TRACK = "track:"


@dataclass(frozen=True)
class Line:
    """A text that tells what is seen in a stretch of one video (its id)."""

    video: str
    span: Span
    text: str


@dataclass(frozen=True, eq=False)
class Pairs:
    """Texts with the clips they tell of.

    Attributes:
        texts: one a pair.
        clips: int [pairs]: the row of ``vectors`` each goes with; several texts may share one.
        vectors: float32 [clips, dim] of all scenes that have a text.
        videos: one id a clip.
        spans: one a clip.
        unmatched: lines that belong to no scene with a vector.
    """

    texts: tuple[str, ...]
    clips: tuple[int, ...]
    vectors: Vectors
    videos: tuple[str, ...]
    spans: tuple[Span, ...]
    unmatched: int

    def sha256(self) -> str:
        """Of every text, place and vector."""
        places = [[v, s.start, s.end] for v, s in zip(self.videos, self.spans, strict=True)]
        vectors = hashlib.sha256(self.vectors.astype("<f4").tobytes()).hexdigest()
        return digest([self.texts, self.clips, places, vectors])

    def of(self, videos: Iterable[str]) -> Pairs:
        """The pairs of these videos."""
        wanted = frozenset(videos)
        kept = [i for i, video in enumerate(self.videos) if video in wanted]
        row = {clip: i for i, clip in enumerate(kept)}
        pairs = [i for i, clip in enumerate(self.clips) if clip in row]
        return Pairs(
            tuple(self.texts[i] for i in pairs),
            tuple(row[self.clips[i]] for i in pairs),
            self.vectors[kept],
            tuple(self.videos[i] for i in kept),
            tuple(self.spans[i] for i in kept),
            0,
        )


def read_pairs(folder: IndexFolder, encoder: EncoderRow, spec: str) -> Pairs:
    """The pairs of an index that ``spec`` names: a CSV file, or ``track:NAME``.

    Raises:
        ConfigError: no such file or track, a table that makes no sense (names the row), or one
            with no video of the index.
    """
    track = spec.removeprefix(TRACK) if spec.startswith(TRACK) else None
    with folder.catalog.snapshot():
        videos = folder.catalog.videos()
        if track is not None:
            lines = [
                Line(v.id, text.span, text.text)
                for v in videos
                for text in folder.catalog.texts(v.id, track)
            ]
            if not lines:
                known = {text.track for v in videos for text in folder.catalog.texts(v.id)}
                raise ConfigError(
                    f"no video of this index has a text track {track!r}{did_you_mean(track, known)}"
                )
        else:
            lines = read_lines(Path(spec), videos)
        scenes = {v.id: _scenes(folder, encoder, v.id) for v in videos}
    return match(lines, scenes, joined=track is not None)


def read_lines(path: Path, videos: Sequence[Video]) -> list[Line]:
    """Lines of a CSV file with the columns video (id, path or file name), start, end, text.

    The name of a video that the index does not hold stays as it is.

    Raises:
        ConfigError: names the file, the row and what is wrong with it.
    """
    rows = read_table(path, COLUMNS)
    if not rows:
        raise ConfigError(f"{str(path)!r} holds no pairs under its first line")
    ids = find_videos((row["video"].strip() for row in rows), videos)
    lines = []
    for number, row in enumerate(rows, start=2):
        where, name = f"{path}, row {number}", row["video"].strip()
        if not row["text"].strip():
            raise ConfigError(f"{where}: the text is empty")
        span = stretch(row["start"], row["end"], where)
        lines.append(Line(ids.get(name, name), span, row["text"].strip()))
    return lines


def _scenes(folder: IndexFolder, row: EncoderRow, video: str) -> _Scenes:
    """The spans and vectors that this very encoder made of a video's scenes."""
    found = features_of(folder, row, video)
    if found is None or found[0] != "vectors":
        return (), np.empty((0, 0), np.float32)
    times = zip(found[1].starts.tolist(), found[1].ends.tolist(), strict=True)
    return [Span(start, end) for start, end in times], found[1].vectors


def match(lines: Iterable[Line], scenes: Mapping[str, _Scenes], joined: bool = False) -> Pairs:
    """Each line with its scene; see the module's docstring.

    Args:
        scenes: spans in order of time, and vectors float32 [spans, dim], by video.
        joined: the lines of one scene are one text (the lines of a track), not one pair each.
    """
    found: dict[tuple[str, int], list[str]] = {}
    unmatched = 0
    for line in lines:
        text = " ".join(line.text.split())
        spans, _ = scenes.get(line.video, ((), None))
        numbers = together(line.span, spans) if text else []
        for number in numbers:
            found.setdefault((line.video, number), []).append(text)
        unmatched += not numbers
    clips = sorted(found)
    texts = [[" ".join(found[clip])] if joined else found[clip] for clip in clips]
    return Pairs(
        tuple(text for told in texts for text in told),
        tuple(row for row, told in enumerate(texts) for _ in told),
        np.array([scenes[video][1][i] for video, i in clips], np.float32),
        tuple(video for video, _ in clips),
        tuple(scenes[video][0][i] for video, i in clips),
        unmatched,
    )


def together(span: Span, scenes: Sequence[Span]) -> list[int]:
    """The scenes that share over half of the shorter of the two with ``span``."""
    first = bisect_right(scenes, span.start, key=lambda scene: scene.end)
    last = bisect_left(scenes, span.end, key=lambda scene: scene.start)
    return [
        i
        for i in range(first, last)
        if 2 * span.overlap(scenes[i]) > min(span.duration, scenes[i].duration)
    ]
