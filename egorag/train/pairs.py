"""(text, clip) pairs to learn a projection from: a table, or a text track of the scenes.

A clip is a scene of the lowest level with the vector that the index stores of it. A line of text
(a row of the table, a line of the track) goes with every scene that shares over half of the shorter
of the two with it: the scene that it lies in, the scenes that lie in it. A line that straddles a
cut evenly goes with none.
"""

from __future__ import annotations

import csv
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
from egorag.types import Video
from egorag.when import parse_when

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
        ConfigError: no such file, track or video, or the table cannot be read.
    """
    with folder.catalog.snapshot():
        videos = folder.catalog.videos()
        if spec.startswith(TRACK):
            track = spec.removeprefix(TRACK)
            lines = [
                Line(v.id, t.span, t.text)
                for v in videos
                for t in folder.catalog.texts(v.id, track)
            ]
            if not lines:
                known = {t.track for v in videos for t in folder.catalog.texts(v.id)}
                raise ConfigError(
                    f"no video of this index has a text track {track!r}{did_you_mean(track, known)}"
                )
        else:
            lines = read_table(Path(spec), videos)
        scenes = {v.id: _scenes(folder, encoder, v.id) for v in videos}
    return match(lines, scenes, joined=spec.startswith(TRACK))


def read_table(path: Path, videos: Sequence[Video]) -> list[Line]:
    """Lines of a CSV file with the columns video (id, path or file name), start, end, text.

    Times are seconds or ``H:MM:SS.s``.

    Raises:
        ConfigError: names the file, the row and what is wrong with it.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, restval="")
            rows, there = list(table), [str(name) for name in table.fieldnames or ()]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"cannot read the table {str(path)!r}: {error}") from error
    missing = [name for name in COLUMNS if name not in there]
    if missing:
        raise ConfigError(
            f"{str(path)!r} has no column {missing[0]!r}; it needs a first line with "
            f"{','.join(COLUMNS)}, and has {','.join(there)[:200] or 'nothing'}"
        )
    if not rows:
        raise ConfigError(f"{str(path)!r} holds no pairs under its first line")
    names: dict[str, set[str]] = {}
    for video in videos:
        at = Path(video.path)
        for name in {video.id, video.path, at.name, at.stem}:
            names.setdefault(name, set()).add(video.id)
    return [_line(row, f"{path}, row {number}", names) for number, row in enumerate(rows, start=2)]


def _line(row: Mapping[str, str], where: str, names: Mapping[str, set[str]]) -> Line:
    name, start, end, text = (row[column].strip() for column in COLUMNS)
    found = names.get(name, set())
    if len(found) != 1:
        how = "no video" if not found else f"{len(found)} videos"
        raise ConfigError(
            f"{where}: {how} of this index called {name!r}{did_you_mean(name, sorted(names)[:20])}"
        )
    try:
        first, last = parse_when("start", start), parse_when("end", end)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    if not isinstance(first, float) or not isinstance(last, float) or not 0 <= first < last:
        raise ConfigError(
            f"{where}: start and end must be times in the video, the end later; got {start!r} and "
            f"{end!r}"
        )
    if not text:
        raise ConfigError(f"{where}: the text is empty")
    return Line(next(iter(found)), Span.seconds(first, last), text)


def _scenes(folder: IndexFolder, row: EncoderRow, video: str) -> _Scenes:
    """The spans and vectors that this very encoder made of a video's scenes."""
    made = folder.catalog.encodings(video).get(row.name)
    assert row.space is not None
    if (
        made is None
        or made.key is None
        or made.kind != "vectors"
        or made.fingerprint != row.fingerprint
    ):
        return [], np.empty((0, row.space.dim), np.float32)
    vectors, spans = folder.artifacts.read_vectors(made.key, made.sha256)
    return spans, vectors


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
        numbers = _together(line.span, scenes[line.video][0]) if text else []
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


def _together(span: Span, scenes: Sequence[Span]) -> list[int]:
    """The scenes that share over half of the shorter of the two with ``span``."""
    first = bisect_right(scenes, span.start, key=lambda scene: scene.end)
    last = bisect_left(scenes, span.end, key=lambda scene: scene.start)
    return [
        i
        for i in range(first, last)
        if 2 * span.overlap(scenes[i]) > min(span.duration, scenes[i].duration)
    ]
