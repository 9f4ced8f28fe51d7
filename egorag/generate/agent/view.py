"""What a question's filters leave of an index: all that the tools can reach."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeAlias

import numpy as np

from egorag.generate.evidence import touches, windows
from egorag.generate.passages import Passage, passages
from egorag.retrieve.bounds import bounds, within
from egorag.spans import Span, clock, to_seconds
from egorag.store.catalog import Catalog
from egorag.types import LEVELS, Query, Scene, TimedText, Video

Time: TypeAlias = float | datetime | None
"""As in a ``Query``: seconds in the video, or a date."""


class RefusedError(ValueError):
    """What a model asked for cannot be had; the message is for the model."""


@dataclass(frozen=True, eq=False)
class View:
    """The part of an index that lies within a query's filters.

    Attributes:
        videos: those of which something may be seen, by path. Their names for the model (``v1``)
            count these alone, so a video beyond the filters shows in no name.
        reach: by video id, what may be seen of it, in microseconds: within its duration, after,
            before and until.
    """

    query: Query
    catalog: Catalog
    videos: tuple[Video, ...]
    reach: Mapping[str, Span]

    @classmethod
    def of(cls, query: Query, catalog: Catalog) -> View:
        """The view of ``query``."""
        reach: dict[str, Span] = {}
        seen: list[Video] = []
        for video in catalog.videos():
            allowed = bounds(query, video)
            if allowed is None or (query.videos and video.id not in query.videos):
                continue
            start, end = max(0, allowed.start), min(video.duration, allowed.end)
            if start < end:
                seen.append(video)
                reach[video.id] = Span(start, end)
        return cls(query, catalog, tuple(seen), reach)

    @functools.cached_property
    def names(self) -> Mapping[str, str]:
        """What a model calls each video, by id."""
        return {video.id: f"v{number}" for number, video in enumerate(self.videos, 1)}

    def video(self, name: str) -> Video:
        """The video that a model calls ``name``.

        Raises:
            RefusedError: there is none.
        """
        for video in self.videos:
            if self.names[video.id] == name:
                return video
        raise RefusedError(f"there is no video of that name; they are v1 to v{len(self.videos)}")

    def part(self, video: Video, after: Time, before: Time) -> Span:
        """The part of ``video`` between two times that may be seen.

        Raises:
            RefusedError: none of it may.
        """
        reach = self.reach[video.id]
        wanted = bounds(Query("part", after=after, before=before), video)
        start = max(reach.start, wanted.start) if wanted else reach.end
        end = min(reach.end, wanted.end) if wanted else reach.end
        if start >= end:
            raise RefusedError(
                f"nothing of {self.names[video.id]} can be seen between these times; it can be "
                f"seen from {clock(reach.start)} to {clock(reach.end)}"
            )
        return Span(start, end)

    def holds(self, scenes: Sequence[Scene]) -> list[Scene]:
        """Those of ``scenes`` that the filters allow, of whatever level."""
        scope = self.catalog.scope(replace(self.query, levels=LEVELS))
        allowed = scope.holds(np.array([scene.id for scene in scenes], dtype=np.int64))
        return [scene for scene, held in zip(scenes, allowed.tolist(), strict=True) if held]

    def scenes(self, video: Video, level: str, part: Span) -> list[Scene]:
        """Scenes of one level that overlap ``part``, in order."""
        listed = self.catalog.scenes(video.id, LEVELS.index(level))
        return self.holds([scene for scene in listed if scene.span.overlap(part)])

    def lines(self, video: Video, part: Span | None = None) -> list[TimedText]:
        """Timed text of one video, of the lines that touch ``part`` if given."""
        return within(self.catalog.texts(video.id, span=part), bounds(self.query, video))

    def passages(self, video: Video, part: Span) -> list[Passage]:
        """Whole sentences that touch ``part``, in time order."""
        (wide,) = windows([part])
        said = passages(video.id, self.lines(video, wide))
        return [passage for passage in said if touches(passage.span, part)]

    def narrowed(
        self, text: str, level: str, video: Video | None, after: Time, before: Time
    ) -> Query:
        """The query for ``text`` within these filters and what is asked for besides; ``until`` is
        never touched.

        Raises:
            RefusedError: nothing is left between the times, or they cannot be compared with the
                filters' without knowing the video.
        """
        query = self.query
        if video is not None:
            part = self.part(video, after, before)
            after = query.after if after is None else to_seconds(part.start)
            before = query.before if before is None else to_seconds(part.end)
        else:
            after = _stricter(query.after, after, max)
            before = _stricter(query.before, before, min)
        return replace(
            query,
            text=text,
            levels=(level,),
            videos=query.videos if video is None else (video.id,),
            after=after,
            before=before,
        )


def _stricter(given: Time, asked: Time, pick: Callable[..., Any]) -> Time:
    if given is None or asked is None:
        return given if asked is None else asked
    if isinstance(given, datetime) != isinstance(asked, datetime):
        kind = "a date" if isinstance(given, datetime) else "a time in the video"
        raise RefusedError(f"name a video as well: the question itself is bound to {kind}")
    found: Time = pick(given, asked)
    return found
