"""Candidate passages: whole sentences of a track, with the exact times of their cues.

A cue is often a fragment of a sentence. Cues of speech (subtitle, transcript) are joined, and the
joined text is cut where a sentence ends, where the speaker pauses, and before it gets too long.
A sentence's span is the hull of the cues it touches, so a citation of it can be checked against
those cues. Lines of other tracks (captions, on-screen text) are cut into sentences, never joined.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise
from typing import TypeAlias

from egorag.retrieve.snippet import MARKERS
from egorag.spans import MICROSECONDS, Span, hull
from egorag.terminal import plain
from egorag.types import TimedText

Cue: TypeAlias = tuple[Span, str]

SPOKEN = frozenset({"subtitle", "transcript"})
PAUSE = 2 * MICROSECONDS
"""Silence between two cues that ends a sentence, in microseconds."""
LONGEST = 300
"""Characters after which a sentence is cut at the next end of a cue."""

# An end mark, with closing quotes or brackets, before white space; not after an initial or a title.
_END = re.compile(
    r"(?<!\b[A-Z]\.)(?<!\bMr\.)(?<!\bDr\.)(?<!\bSt\.)(?<!\bMrs\.)(?<=[.!?…])[\"'”’)\]]*\s+"
    r"|(?<=[。！？])\s*"
)
_NEW_SPEAKER = re.compile(r"(-|–|—|>>|[A-Z][A-Z .]{1,20}:)\s*\S")


@dataclass(frozen=True)
class Passage:
    """A sentence of a track.

    Attributes:
        span: the hull of the cues it touches.
        text: on one line, safe to print.
        cues: texts of the cues that lie wholly in it, where it is made of several.
    """

    video: str
    span: Span
    text: str
    track: str
    cues: tuple[str, ...] = ()

    @property
    def variants(self) -> tuple[str, ...]:
        """The texts by which it may be found: a cue can match where a long sentence blurs."""
        return (self.text, *self.cues)


def passages(video: str, lines: Iterable[TimedText]) -> list[Passage]:
    """Sentences of one video, each once, in time order.

    Lines of different sources are never joined. Text without a letter or digit is left out.
    """

    def track(line: TimedText) -> tuple[str, str]:
        return line.track, line.source

    found: dict[tuple[Span, str, str], Passage] = {}
    telling = [line for line in lines if line.track not in MARKERS]
    telling.sort(key=lambda line: (*track(line), line.span, line.text))
    for (name, _), group in groupby(telling, key=track):
        own = list(dict.fromkeys((line.span, plain(line.text)) for line in group))
        for run in runs(own) if name in SPOKEN else [[cue] for cue in own]:
            for span, text, cues in cut(run):
                if re.search(r"\w", text):
                    found.setdefault((span, text, name), Passage(video, span, text, name, cues))
    return sorted(found.values(), key=lambda passage: passage.span)


def runs(cues: Iterable[Cue]) -> list[list[Cue]]:
    """Cues that one speaker may have said without a stop, together; both in time order."""
    found: list[list[Cue]] = []
    for span, text in cues:
        if text:
            if not found or _breaks(found[-1], span, text):
                found.append([])
            found[-1].append((span, text))
    return found


def _breaks(run: Sequence[Cue], span: Span, text: str) -> bool:
    """Whether a cue begins a new run: after a sentence's end or a pause, or when it gets long."""
    unfinished = _END.split(" ".join(said for _, said in run) + " ")[-1]
    pause = span.start - max(before.end for before, _ in run) > PAUSE
    too_long = len(unfinished) + len(text) > LONGEST
    return not unfinished or pause or too_long or bool(_NEW_SPEAKER.match(text))


def cut(run: Sequence[Cue]) -> Iterator[tuple[Span, str, tuple[str, ...]]]:
    """Sentences of a run: span, text, and the cues wholly inside if there are several."""
    joined = " ".join(text for _, text in run)
    ends = list(accumulate(len(text) + 1 for _, text in run))
    edges = [0, *(mark.end() for mark in _END.finditer(joined)), len(joined)]
    for first, last in pairwise(edges):
        text = joined[first:last].strip()
        if text:
            begin = bisect_right(ends, first)
            finish = bisect_right(ends, first + len(text) - 1) + 1
            whole = tuple(cue for _, cue in run[begin:finish] if cue in text)
            cues = whole if finish - begin > 1 else ()
            yield hull(span for span, _ in run[begin:finish]), text, cues
