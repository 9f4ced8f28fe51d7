"""Judged queries: a text, and where in which videos the right answers lie.

One JSON object a line: ``{"query": "...", "relevant": [{"video": "a.mp4", "start": 12, "end":
"1:30", "grade": 2}, ...]}``; grade is 1 where not given. Scenes differ from index to index, spans
do not: a scene that shares over half of the shorter of the two with a span has its grade.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egorag.errors import ConfigError
from egorag.spans import Span
from egorag.terminal import plain
from egorag.train.labels import find_videos
from egorag.train.pairs import together
from egorag.train.tables import stretch
from egorag.types import Scene, Video


@dataclass(frozen=True)
class Relevant:
    """A stretch of one video (its id, or its name where the index does not hold it)."""

    video: str
    span: Span
    grade: float


@dataclass(frozen=True)
class Judged:
    """A query and what answers it."""

    query: str
    relevant: tuple[Relevant, ...]

    def grades(self, scenes: Mapping[str, Sequence[Scene]]) -> dict[int, float]:
        """Grade by scene id, where above 0; the highest where several spans hold for a scene.

        Args:
            scenes: of one level, in order of time, by video.
        """
        found: dict[int, float] = {}
        for one in self.relevant:
            there = scenes.get(one.video, ())
            for number in together(one.span, [scene.span for scene in there]):
                id = there[number].id
                found[id] = max(one.grade, found.get(id, 0))
        return {id: grade for id, grade in found.items() if grade > 0}


def read_judged(path: Path, videos: Sequence[Video]) -> list[Judged]:
    """The queries of a file, in order.

    Raises:
        ConfigError: no such file, none in it, a line that makes no sense (names it), or not one
            video of the index.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the judged queries {str(path)!r}: {error}") from error
    read = [
        _judged(line, f"{path}, line {number}")
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    if not any(one.relevant for one in read):
        raise ConfigError(f"{str(path)!r} holds no query with anything relevant")
    ids = find_videos((one.video for judged in read for one in judged.relevant), videos)
    return [Judged(judged.query, _known(judged.relevant, ids)) for judged in read]


def _known(relevant: Iterable[Relevant], ids: Mapping[str, str]) -> tuple[Relevant, ...]:
    return tuple(Relevant(ids.get(r.video, r.video), r.span, r.grade) for r in relevant)


def _judged(line: str, where: str) -> Judged:
    try:
        told = json.loads(line)
    except ValueError as error:
        raise ConfigError(f"{where}: not JSON: {error}") from None
    query = told.get("query") if isinstance(told, dict) else None
    if not isinstance(query, str) or not plain(query):
        raise ConfigError(f'{where}: expected {{"query": TEXT, "relevant": [...]}}')
    relevant = told.get("relevant")
    if not isinstance(relevant, list):
        raise ConfigError(f"{where}: relevant must be a list of video, start, end, grade")
    return Judged(query, tuple(relevant_of(one, where) for one in relevant))


def relevant_of(one: Any, where: str) -> Relevant:
    """One entry of ``relevant``; ``where`` begins the message of what is raised.

    Raises:
        ConfigError: it is not one.
    """
    if not isinstance(one, dict) or not isinstance(one.get("video"), str):
        raise ConfigError(f"{where}: relevant must be a list of video, start, end, grade")
    grade = one.get("grade", 1)
    good = isinstance(grade, (int, float)) and not isinstance(grade, bool)
    if not good or not 0 <= grade < math.inf:
        raise ConfigError(f"{where}: grade must be a number from 0 up, got {grade!r}")
    span = stretch(str(one.get("start", "")), str(one.get("end", "")), where)
    return Relevant(one["video"], span, float(grade))
