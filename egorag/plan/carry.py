"""Carrying out a plan: what is related to is searched first, then what was asked, beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from egorag.fuse.rrf import ReciprocalRank
from egorag.plan.asked import Limits, Want
from egorag.plan.base import Plan, Reading, Step
from egorag.plan.relevance import Occurrence, in_time, occurrences, relevant
from egorag.plan.room import Bools, Room
from egorag.retrieve.bounds import bounds, within
from egorag.retrieve.snippet import snippets
from egorag.spans import Span
from egorag.store.folder import IndexFolder
from egorag.store.fulltext import search_text
from egorag.terminal import plain
from egorag.types import LEVELS, Hit, Part, Query


class Find(Protocol):
    """The best ``k`` scenes for a query as it stands, with notes."""

    def __call__(
        self, query: Query, k: int, among: frozenset[int] | None = None, chosen: bool = True
    ) -> tuple[list[Hit], tuple[str, ...]]:
        """Of the scenes with these ids if any are given; without the selector if not chosen."""


@dataclass
class Course:
    """One reading being carried out; collects its steps and notes."""

    folder: IndexFolder
    find: Find
    limits: Limits
    steps: list[Step] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    order: str | None = None
    count: list[tuple[str, Span]] | None = None

    def run(self, want: Want, query: Query, k: int, of: str = "") -> tuple[list[Hit], Query]:
        """Hits of ``want`` within ``query``, and ``query`` narrowed to where they were looked for.

        Raises:
            ConfigError, SpaceError: as ``Retriever.search``.
        """
        room = Room(query, self.folder.catalog)
        keep = np.ones(len(room.ids), dtype=bool)
        for time in want.times:
            keep &= room.overlapping(time.windows)
        if want.speaker:
            keep &= room.spoken(want.speaker)
        anchors: list[Occurrence] = []
        if want.relation:
            anchors = self._anchors(want, room.narrow(keep) if keep.any() else query)
            beside = keep & self._beside(want, anchors, room) if anchors else keep
            if anchors and not beside.any():
                self.notes.append(
                    f"nothing that may be seen lies {want.relation.kind} "
                    f"{plain(want.relation.of.text)!r}; searched without it"
                )
                anchors = []
            elif anchors:
                keep = beside
        if want.relation and not anchors:
            want = replace(want, text=want.whole, content=want.whole, relation=None)
        narrowed = query if keep.all() else room.narrow(keep)
        told = tuple((anchor.span, anchor.best) for anchor in anchors)
        step = replace(narrowed, text=want.text)
        self.steps.append(Step(step, want, told, of))
        if not keep.any():
            return [], narrowed
        some = None if keep.all() else frozenset(room.ids[keep].tolist())
        if not want.content and (anchors or want.times or want.speaker) and not _other(query):
            hits = self._listed(want, room, keep, anchors, narrowed)
        else:
            wide = bool(anchors or want.order or want.count or want.phrases or of)
            most = max(k, self.limits.wide) if wide else k
            hits, said = self.find(step, most, some, not wide)
            self.notes += said
            hits = self._sorted(want, hits, step, anchors)
        return (hits if of else hits[:k]), narrowed

    def _anchors(self, want: Want, query: Query) -> list[Occurrence]:
        assert want.relation
        thing = want.relation.of
        query = replace(query, text=thing.text, levels=("scene",))
        hits, _ = self.run(thing, query, self.limits.wide, want.relation.kind)
        hits = [hit for hit in hits if hit.scene.level == 0]
        about = relevant(thing.content, hits, query, self.folder.catalog, self.limits)
        found = occurrences(about, self.limits)
        said = plain(thing.text)
        if not found:
            self.notes.append(f"{said!r} was not found surely enough; searched without it")
        elif thing.order:
            return self._nth(thing.order, found, said)
        elif len(found) > self.limits.anchors:
            self.notes.append(
                f"the best {self.limits.anchors} of {len(found)} places of {said!r} were followed"
            )
        return found[: self.limits.anchors]

    def _nth(self, order: int, found: list[Occurrence], said: str) -> list[Occurrence]:
        """The one of that order alone; none where there are fewer."""
        ordered, _ = in_time(found, self.folder.catalog)
        place = order - 1 if order > 0 else len(ordered) + order
        if place >= len(ordered):
            self.notes.append(f"{said!r} was found {len(ordered)} times only; searched without it")
            return []
        return [ordered[place]]

    def _beside(self, want: Want, anchors: Sequence[Occurrence], room: Room) -> Bools:
        assert want.relation
        spans: dict[str, list[Span]] = {}
        for anchor in anchors:
            spans.setdefault(anchor.best.scene.video, []).append(anchor.span)
        return room.beside(want.relation.kind, spans, want.relation.within)

    def _sorted(
        self, want: Want, hits: list[Hit], query: Query, anchors: Sequence[Occurrence]
    ) -> list[Hit]:
        """Relevant hits in the order asked for, then the others by rank."""
        if want.phrases:
            hits = self._holding(want.phrases, hits, query)
        if not hits or not (anchors or want.order or want.count):
            return hits
        about = relevant(want.content, hits, query, self.folder.catalog, self.limits)
        if want.order or want.count:
            if len(hits) >= self.limits.wide and about and about[-1] is hits[-1]:
                self.notes.append(f"only the best {len(hits)} scenes were ordered or counted")
            found = occurrences(about, self.limits)
            about = self._in_order(want, found) if found else []
            if not found:
                self.notes.append("nothing found is near enough to be put in order or counted")
        elif want.relation:
            about.sort(key=lambda hit: _gap(hit, anchors, want))
            self.order = _near(want)
        first = {hit.scene.id for hit in about}
        return [*about, *(hit for hit in hits if hit.scene.id not in first)]

    def _in_order(self, want: Want, found: list[Occurrence]) -> list[Hit]:
        if want.count:
            self.count = [(o.best.scene.video, o.span) for o in sorted(found, key=_place)]
        if want.order is None:
            self.order = "the best scene of each occurrence first"
            return [o.best for o in found]
        ordered, whose = in_time(found, self.folder.catalog)
        place = want.order - 1 if want.order > 0 else len(ordered) + want.order
        if place >= len(ordered):
            self.notes.append(f"found {len(ordered)} times only; the best first")
            return []
        chosen = ordered.pop(place)
        rest = ordered if want.order > 0 else ordered[::-1]
        self.order = f"{'last' if want.order < 0 else f'number {want.order}'} {whose} first"
        return [hit for o in (chosen, *rest) for hit in o.hits]

    def _holding(self, phrases: Sequence[str], hits: list[Hit], query: Query) -> list[Hit]:
        """Hits that hold all of the phrases first, then those that hold one."""
        scope = self.folder.catalog.scope(query)
        held = []
        for phrase in phrases:
            found = search_text(self.folder.catalog, f'"{phrase}"', scope, len(scope.ids) or 1)
            held.append({id for id, _ in found})
            if not found:
                self.notes.append(f"no scene that may be seen holds the phrase {plain(phrase)!r}")
        return sorted(hits, key=lambda hit: -sum(hit.scene.id in ids for ids in held))

    def _listed(
        self,
        want: Want,
        room: Room,
        keep: Bools,
        anchors: Sequence[Occurrence],
        query: Query,
    ) -> list[Hit]:
        """Whatever is there, nearest to the anchors first, else in time: nothing says what."""
        keep = keep & np.isin(room.level, [LEVELS.index(name) for name in query.levels])
        catalog = self.folder.catalog
        ids = room.ids[keep]
        order = np.lexsort((room.level[keep], room.start[keep], room.video[keep]))
        if not anchors:  # all of it may be much
            order = order[-self.limits.wide :] if (want.order or 1) < 0 else order
            order = order[: self.limits.wide]
        scenes = catalog.scenes_by_id(ids[order].tolist())
        videos = {scene.video: catalog.video(scene.video) for scene in scenes}
        blank = [Hit(s, videos[s.video].path, 0.0, {}, "") for s in scenes]
        if anchors and want.relation:
            blank.sort(key=lambda hit: _gap(hit, anchors, want))
            self.order = _near(want)
        else:
            if (want.order or 1) < 0:
                blank.reverse()
            self.order = "last first" if (want.order or 1) < 0 else "in time"
        blank = blank[: self.limits.wide]
        lines = [
            within(
                catalog.texts(hit.scene.video, span=hit.scene.span),
                bounds(query, videos[hit.scene.video]),
            )
            for hit in blank
        ]
        return [
            replace(hit, text=text, score=1 / rank, parts={"time": Part(rank, 1 / rank)})
            for rank, (hit, text) in enumerate(
                zip(blank, snippets(lines, None), strict=True), start=1
            )
        ]


def carry(
    reading: Reading, query: Query, k: int, folder: IndexFolder, find: Find
) -> tuple[list[Hit], Plan]:
    """The best ``k`` hits by ``reading``, and what was done.

    Raises:
        ConfigError, SpaceError: as ``Retriever.search``.
    """
    course = Course(folder, find, reading.limits)
    each = [course.run(want, query, k) for want in reading.wants]
    hits, narrowed = each[0]
    if len(each) > 1:
        hits, narrowed, course.order = _together([hits for hits, _ in each], k), query, None
    notes = (*reading.notes, *dict.fromkeys(course.notes))
    narrowed = replace(narrowed, text=query.text)
    steps, count = tuple(course.steps), course.count
    return hits, Plan(reading.by, narrowed, notes, steps, course.order, count)


def _together(lists: Sequence[Sequence[Hit]], k: int) -> list[Hit]:
    """The best ``k`` of several lists by reciprocal rank, each with the parts it was first found
    with; their scores are not comparable. Equal ones in order of video and time."""
    known = {hit.scene.id: hit for hits in reversed(lists) for hit in hits}
    ranked = {
        str(number): [(hit.scene.id, 1 / rank) for rank, hit in enumerate(hits, start=1)]
        for number, hits in enumerate(lists)
        if hits
    }
    fused = ReciprocalRank().fuse(ranked) if ranked else ()
    hits = [replace(known[item.id], score=item.score) for item in fused]
    return sorted(hits, key=lambda hit: (-hit.score, hit.scene.video, hit.scene.span))[:k]


def _other(query: Query) -> bool:
    return query.media != ("text",)


def _gap(hit: Hit, anchors: Sequence[Occurrence], want: Want) -> tuple[int, str, Span]:
    """How far a hit lies from the nearest anchor, counted from where the question says."""
    assert want.relation
    span, found = hit.scene.span, []
    for anchor in anchors:
        if anchor.best.scene.video != hit.scene.video:
            continue
        gap = {
            "after": span.start - anchor.span.end,
            "before": anchor.span.start - span.end,
            "while": 0,
        }[want.relation.kind]
        if gap >= 0:
            found.append(abs(gap - want.relation.offset))
    return min(found, default=2**62), hit.scene.video, span


def _near(want: Want) -> str:
    assert want.relation
    kind = want.relation.kind
    return "in time" if kind == "while" else f"nearest {kind} it first"


def _place(o: Occurrence) -> tuple[str, Span]:
    return o.best.scene.video, o.span
