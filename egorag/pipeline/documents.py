"""From timed text to what each scene says: which text belongs where, and when it was known."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from egorag.encode.base import Document
from egorag.spans import MICROSECONDS, Span
from egorag.types import TimedText

SPEECH_TRACKS = ("subtitle", "transcript")
SOUND_TRACKS = ("sound_event",)
VISUAL_TRACKS = ("caption", "ocr")
SHARE = MICROSECONDS
"""A text belongs to every scene that holds at least half of it or this much of it (us)."""


@dataclass(frozen=True)
class SceneTexts:
    """One scene's text: per track, in time order, each line once.

    Attributes:
        known_at: microseconds; when the last of these texts, or the scene, has ended.
    """

    span: Span
    tracks: Mapping[str, str]
    known_at: int

    @property
    def speech(self) -> str:
        """What is heard: what is said, then which sounds there are."""
        return " ".join(part for part in (self._said, self._sounds) if part)

    @property
    def visuals(self) -> str:
        """What is seen, in words."""
        return _join(self.tracks, VISUAL_TRACKS)

    @property
    def document(self) -> Document | None:
        """``Transcript: ... Sounds: ... Visuals: ...`` with absent parts left out; None without
        text."""
        parts = [("Transcript", self._said), ("Sounds", self._sounds), ("Visuals", self.visuals)]
        text = " ".join(f"{label}: {body}" for label, body in parts if body)
        return Document(self.span, text, dict(self.tracks)) if text else None

    @property
    def _said(self) -> str:
        return _join(self.tracks, SPEECH_TRACKS)

    @property
    def _sounds(self) -> str:
        """Apart from each other: a label may hold commas."""
        return "; ".join(
            " ".join(line.split())
            for name in SOUND_TRACKS
            for line in self.tracks.get(name, "").split("\n")
            if line.strip()
        )


def gather(scenes: Sequence[Span], texts: Sequence[TimedText]) -> list[SceneTexts]:
    """The texts of each scene. ``scenes`` tile the video in order; ``texts`` may be anywhere.

    A text goes to every scene that holds half of it or ``SHARE`` of it, at least to the one that
    holds most of it (the earlier of two equals).
    """
    starts = [scene.start for scene in scenes]
    lines: list[dict[str, list[str]]] = [{} for _ in scenes]
    known = [scene.end for scene in scenes]
    told = {*SPEECH_TRACKS, *SOUND_TRACKS, *VISUAL_TRACKS}
    for text in sorted(texts, key=lambda t: (t.span, t.track, t.text)):
        if text.track not in told or not text.text.strip():
            continue
        for place in _places(scenes, starts, text.span):
            said = lines[place].setdefault(text.track, [])
            # A line kept on screen is read again and again; a sound is there or it is not.
            before = said if text.track in SOUND_TRACKS else said[-8:]
            if text.told not in before:
                said.append(text.told)
            known[place] = max(known[place], text.span.end)
    return [
        SceneTexts(span, {track: "\n".join(said) for track, said in by_track.items()}, end)
        for span, by_track, end in zip(scenes, lines, known, strict=True)
    ]


def end_at_cuts(texts: Sequence[TimedText], scenes: Sequence[Span], period: int) -> list[TimedText]:
    """Texts read from sampled frames, ended at the cut they cannot have been seen across.

    Such a text is told until the sample after its last sighting, ``period`` microseconds later.
    If a scene begins in between, nothing shows that it outlasted that cut.
    """
    starts = [scene.start for scene in scenes]
    settled: list[TimedText] = []
    for text in texts:
        last_seen = max(text.span.start, text.span.end - period)
        following = bisect_right(starts, last_seen)
        if following < len(starts) and starts[following] < text.span.end:
            text = replace(text, span=Span(text.span.start, starts[following]))
        settled.append(text)
    return settled


def _places(scenes: Sequence[Span], starts: Sequence[int], span: Span) -> list[int]:
    """Indices of the scenes a text belongs to; empty if it lies outside all of them."""
    first = max(0, bisect_right(starts, span.start) - 1)
    last = max(first, bisect_right(starts, max(span.start, span.end - 1)) - 1)
    if span.start >= scenes[-1].end:
        return []
    enough = min(SHARE, span.duration / 2)
    shares = [(scenes[i].overlap(span), i) for i in range(first, last + 1)]
    held = [i for share, i in shares if share >= enough]
    return held or [max(shares, key=lambda s: (s[0], -s[1]))[1]]


def _join(tracks: Mapping[str, str], names: Sequence[str]) -> str:
    return " ".join(" ".join(tracks[n].split()) for n in names if tracks.get(n))


def corpus_scenes(texts: Sequence[TimedText]) -> list[Span]:
    """Scenes for timed text without media: one a line, tiling ``[0, end)``.

    A scene starts where a line starts, or where the last of them ends and nothing follows at
    once; a line without length lasts until the next, or one second.
    """
    starts = sorted({text.span.start for text in texts})
    bounds = {0, *starts}
    reached = 0
    for text in sorted(texts, key=lambda t: t.span):
        if text.span.start > reached > 0:
            bounds.add(reached)
        end = text.span.end if text.span.duration else text.span.start + MICROSECONDS
        following = bisect_right(starts, text.span.start)
        if not text.span.duration and following < len(starts):
            end = min(end, starts[following])
        reached = max(reached, end)
    ordered = [*sorted(b for b in bounds if b < reached), reached]
    return [Span(a, b) for a, b in itertools.pairwise(ordered)]
