"""The lines of a scene that show why it was found."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from itertools import groupby

from egorag.retrieve.words import content_words
from egorag.terminal import plain
from egorag.types import TimedText

LONGEST = 240
"""Characters of a snippet, at most."""

MARKERS = frozenset({"speech", "speaker"})
"""Tracks whose text only marks a stretch of time and says nothing."""


def snippets(scenes: Sequence[Sequence[TimedText]], asked: str | None) -> list[str]:
    """One snippet a scene, at most ``LONGEST`` characters, on one line.

    The line that shares most distinct content words with ``asked`` (the earliest, on a tie) and
    as many neighbours of its track as fit; the beginning where nothing is shared or asked.
    """
    pieces = [_pieces(lines) for lines in scenes]
    flat = [text for tracks in pieces for track in tracks for text in track]
    words = iter(content_words([*flat, asked or ""]) if asked else [frozenset()] * (len(flat) + 1))
    shared = [[[next(words) for _ in track] for track in tracks] for tracks in pieces]
    wanted = next(words)
    return [
        _around([[len(w & wanted) for w in track] for track in counts], tracks)
        for counts, tracks in zip(shared, pieces, strict=True)
    ]


def _pieces(lines: Iterable[TimedText]) -> list[list[str]]:
    """Texts in time order, one list a track; long lines in several pieces."""

    def track(line: TimedText) -> tuple[str, str]:
        return line.track, line.source

    telling = [line for line in lines if line.track not in MARKERS]
    ordered = sorted(telling, key=lambda line: (*track(line), line.span, line.text))
    return [
        [piece for line in group for piece in _short(plain(line.text))]
        for _, group in groupby(ordered, key=track)
    ]


def _short(text: str) -> list[str]:
    if len(text) <= LONGEST:
        return [text] if text else []
    return textwrap.wrap(text, LONGEST)


def _around(shared: list[list[int]], tracks: list[list[str]]) -> str:
    """The best piece, grown forwards, then backwards, within its track while it fits."""
    places = [(t, i) for t, track in enumerate(tracks) for i in range(len(track))]
    if not places:
        return ""
    track, best = max(places, key=lambda at: (shared[at[0]][at[1]], -at[1]))
    texts = tracks[track]
    first = last = best
    room = LONGEST - len(texts[best])
    while last + 1 < len(texts) and len(texts[last + 1]) < room:
        last += 1
        room -= len(texts[last]) + 1
    while first > 0 and len(texts[first - 1]) < room:
        first -= 1
        room -= len(texts[first]) + 1
    return " ".join(texts[first : last + 1])
