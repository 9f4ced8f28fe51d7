"""The tools: each a question to the index that cannot see beyond the query's filters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from egorag.errors import ConfigError, MediaError, ServerError, SpaceError, did_you_mean
from egorag.generate.agent.arguments import Argument, Kind, canonical, read_arguments
from egorag.generate.agent.gathered import Gathered, cost, fitting_passages
from egorag.generate.agent.view import RefusedError, Time, View
from egorag.generate.base import Searcher
from egorag.generate.numbered import NumberedScene, data, fitting, tokens
from egorag.generate.passages import SPOKEN, Passage
from egorag.generate.pictures import Picture, check_same, pictures
from egorag.spans import Span, clock
from egorag.store.catalog import Catalog
from egorag.terminal import plain
from egorag.types import LEVELS, Hit, Scene, Video

VIDEOS, SPEAKERS, SCENES = 20, 20, 40
"""At most so many videos, speakers of one, scenes in one result."""
LEAST = 60
"""Tokens a listed scene gets at least."""
NEAR = timedelta(seconds=10)
"""What is looked at where no end is given."""


@dataclass(frozen=True)
class Result:
    """What a tool found.

    Attributes:
        head: plain facts.
        scenes: numbered evidence.
        hits: where a search found it.
        notes: what the user should know of it, too.
        failed: whether ``head`` says why there is nothing.
    """

    head: Mapping[str, Any]
    scenes: tuple[NumberedScene, ...] = ()
    hits: tuple[Hit, ...] = ()
    notes: tuple[str, ...] = ()
    failed: bool = False

    def text(self, names: Mapping[str, str]) -> str:
        """Lines of JSON: the facts, then a line a scene, its video by the name in ``names``."""
        return "\n".join([data(self.head), *(s.line(names[s.video]) for s in self.scenes)])


@dataclass(frozen=True)
class Tool:
    """A tool as the model is told of it."""

    about: str
    arguments: tuple[Argument, ...]
    run: Callable[..., Result]


@dataclass(frozen=True, eq=False)
class Desk:
    """The tools over one view.

    Attributes:
        search: None offers no search.
        k: scenes a search gives.
        room: tokens of evidence in one result.
        frames: pictures of one look; 0 gives texts of what is seen alone.
        size: pixels of a picture's longer side.
    """

    view: View
    gathered: Gathered
    search: Searcher | None
    k: int
    room: int
    frames: int = 0
    size: int = 512
    _done: dict[str, int] = field(default_factory=dict)

    def tools(self) -> dict[str, Tool]:
        """Those that can be used here, by name."""
        video = Argument("video", Kind.VIDEO, required=True)
        after = Argument("after", Kind.TIME, "nothing that starts earlier")
        before = Argument("before", Kind.TIME, "nothing that ends later")
        level = Argument("level", Kind.LEVEL, "scene, the finest, if left out")
        found = {
            "orient": Tool(
                "which videos there are: times, date, tracks of text, speakers, scenes by level",
                (Argument("first", Kind.NUMBER, "where the list of videos begins"),),
                self._orient,
            ),
            "search": Tool(
                "the scenes that fit a text best",
                (
                    Argument("query", Kind.TEXT, "what is said, seen or heard", required=True),
                    Argument("video", Kind.VIDEO),
                    after,
                    before,
                    level,
                ),
                self._search,
            ),
            "scenes": Tool(
                "the scenes of a video in order, each with the beginning of its text",
                (video, level, after, before),
                self._scenes,
            ),
            "read_transcript": Tool(
                "all timed text between two times, of every track or one",
                (video, after, before, Argument("track", Kind.TEXT, "as orient names it")),
                self._read,
            ),
            "look": Tool(
                ("pictures" if self.frames else "captions and writing in the picture")
                + " between two times",
                (video, replace(after, required=True), before),
                self._look,
            ),
            "zoom": Tool(
                "what a numbered scene is made of: its finer scenes, or else all of its text"
                + " and pictures" * bool(self.frames),
                (Argument("scene", Kind.NUMBER, required=True),),
                self._zoom,
            ),
        }
        if self.search is None:
            del found["search"]
        return found

    def call(self, name: str, given: Mapping[str, Any], round: int) -> Result:
        """What tool ``name`` finds; the same call is not carried out twice, and never raises for
        what a model may have got wrong."""
        tools = self.tools()
        try:
            if name not in tools:
                close = did_you_mean(plain(name[:60]), tools)
                raise RefusedError(f"there is no such tool{close}")
            arguments = read_arguments(tools[name].arguments, given)
            key = name + canonical(arguments)
            if before := self._done.get(key):
                told = f"the same call was answered in round {before}"
                return Result({"repeated": told}, failed=True)
            found = tools[name].run(**arguments)
            self._done[key] = round
        except (RefusedError, ConfigError, SpaceError, ServerError) as error:
            return Result({"error": plain(str(error))}, failed=True)
        return found

    def first(self, hits: Sequence[Hit]) -> Result:
        """What the question itself found, as the first evidence."""
        return self._shown(fitting(self.view.query, self._allowed(hits), self._catalog, self.room))

    @property
    def _catalog(self) -> Catalog:
        return self.view.catalog

    def _orient(self, first: int | None) -> Result:
        videos = self.view.videos[(first or 1) - 1 :]
        listed: list[dict[str, Any]] = []
        room = self.room
        for video in videos[:VIDEOS]:
            told = self._about(video)
            room -= tokens(data(told))
            if room < 0 and listed:
                break
            listed.append(told)
        head: dict[str, Any] = {"videos": listed, "of": len(self.view.videos)}
        if len(listed) < len(videos):
            head["next"] = (first or 1) + len(listed)
        return Result(head)

    def _about(self, video: Video) -> dict[str, Any]:
        lines, reach = self.view.lines(video), self.view.reach[video.id]
        speakers = {line.speaker for line in lines if line.speaker}
        speakers |= {line.text for line in lines if line.track == "speaker"}
        tracks = sorted({line.track for line in lines})
        counts = {level: len(self.view.scenes(video, level, reach)) for level in LEVELS}
        return {
            "video": self.view.names[video.id],
            "file": plain(video.path.rpartition("/")[2]),
            "from": clock(reach.start),
            "to": clock(reach.end),
            "recorded_at": video.recorded_at.isoformat() if video.recorded_at else None,
            "lines": {plain(t): sum(line.track == t for line in lines) for t in tracks},
            "speakers": [plain(speaker) for speaker in sorted(speakers)[:SPEAKERS]],
            "scenes": counts,
        }

    def _search(
        self, query: str, video: str | None, after: Time, before: Time, level: str | None
    ) -> Result:
        named = None if video is None else self.view.video(video)
        asked = self.view.narrowed(query, level or LEVELS[0], named, after, before)
        assert self.search is not None
        hits = self._allowed(self.search(asked, self.k))
        return self._shown(fitting(asked, hits, self._catalog, self.room), tuple(hits))

    def _allowed(self, hits: Sequence[Hit]) -> list[Hit]:
        """The hits within the filters, whatever made them."""
        held = {scene.id for scene in self.view.holds([hit.scene for hit in hits])}
        return [hit for hit in hits if hit.scene.id in held and hit.scene.video in self.view.reach]

    def _shown(self, found: tuple[list[NumberedScene], int], hits: tuple[Hit, ...] = ()) -> Result:
        scenes, dropped = found
        shown = [self.gathered.add(s) for s in scenes if s.passages or self.frames]
        head = {"found": len(shown), **({"texts_without_room": dropped} if dropped else {})}
        return Result(head, tuple(shown), hits)

    def _scenes(self, video: str, level: str | None, after: Time, before: Time) -> Result:
        named = self.view.video(video)
        part = self.view.part(named, after, before)
        return self._listed(named, self.view.scenes(named, level or LEVELS[0], part))

    def _listed(self, video: Video, scenes: Sequence[Scene]) -> Result:
        """Scenes of one level with the beginnings of their texts, as many as there is room for."""
        listed = scenes[: max(1, min(SCENES, self.room // LEAST))]
        room = self.room // max(1, len(listed))
        shown: list[NumberedScene] = []
        for scene in listed:
            bare = self._bare(video, scene.span)
            said = self.view.passages(video, scene.span)
            fits = fitting_passages(said, room - tokens(bare.line()))
            shown.append(self.gathered.add(replace(bare, passages=tuple(fits))))
        head: dict[str, Any] = {"found": len(scenes)}
        if len(listed) < len(scenes):
            head["next"] = clock(scenes[len(listed)].span.start)
        return Result(head, tuple(shown))

    def _read(self, video: str, after: Time, before: Time, track: str | None) -> Result:
        named = self.view.video(video)
        part = self.view.part(named, after, before)
        said = self.view.passages(named, part)
        return self._told(named, part, [p for p in said if track in (None, p.track)])

    def _look(self, video: str, after: Time, before: Time) -> Result:
        named = self.view.video(video)
        part = self.view.part(named, after, before)
        if before is None:
            end = part.start + NEAR // timedelta(microseconds=1)
            part = Span(part.start, min(part.end, end))
        visual = [p for p in self.view.passages(named, part) if p.track not in SPOKEN]
        return self._told(named, part, visual, look=True)

    def _zoom(self, scene: int) -> Result:
        shown = self.gathered.get(scene)
        if shown is None:
            raise RefusedError(f"no scene has the number {scene}; there are {self._numbers()}")
        video = next(video for video in self.view.videos if video.id == shown.video)
        whole = [s for s in self._catalog.scenes(video.id) if s.span == shown.span]
        for parent in sorted(whole, key=lambda s: -s.level):
            finer = self.view.holds(self._catalog.children(parent.id))
            if len(finer) > 1:
                return self._listed(video, finer)
        said = self.view.passages(video, shown.span)
        part = self.view.part(video, None, None)
        if not part.overlap(shown.span):
            raise RefusedError("nothing of it can be seen")
        inside = Span(max(part.start, shown.span.start), min(part.end, shown.span.end))
        return self._told(video, inside, said, look=True)

    def _told(
        self, video: Video, part: Span, said: Sequence[Passage], look: bool = False
    ) -> Result:
        """One numbered part of a video with all of its texts that have room, and pictures."""
        head: dict[str, Any] = {}
        bare = self._bare(video, part)
        room = self.room - tokens(bare.line())
        fits: list[Passage] = []
        for passage in said:
            if cost(passage) > room:
                head["next"] = clock(passage.span.start)
                break
            room -= cost(passage)
            fits.append(passage)
        seen, blind = self._pictures(video, part) if look and self.frames else ([], "")
        if blind:
            head["no_pictures"] = blind
        notes = (f"{plain(video.path)} could not be looked at: {blind}",) if blind else ()
        if not fits and not seen:
            return Result({"found": 0, **head}, notes=notes)
        shown = replace(bare, passages=tuple(fits), pictures=tuple(seen))
        return Result({"found": 1, **head}, (self.gathered.add(shown),), notes=notes)

    def _pictures(self, video: Video, part: Span) -> tuple[list[Picture], str]:
        """Pictures of ``part``, or why there are none."""
        try:
            check_same(Path(video.path), video.id)
            return pictures(Path(video.path), part, self.frames, self.size), ""
        except MediaError as error:
            return [], plain(str(error))

    def _bare(self, video: Video, part: Span) -> NumberedScene:
        """A part of a video with nothing in it yet, and a number as long as its own will be."""
        return NumberedScene(len(self.gathered.scenes) + 1, video.id, video.path, part, ())

    def _numbers(self) -> str:
        last = len(self.gathered.scenes)
        return f"1 to {last}" if last else "none yet"
