"""Follows lines of text from picture to picture: one timed text for each stay on screen."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from egorag.encode.ocr_reader import Line, overlap
from egorag.spans import Span
from egorag.types import TimedText

_SAME = 0.8  # similarity of two readings of one line
_MISSES = 1  # pictures in which a line may be overlooked without ending it


@dataclass
class _Stay:
    """A line on screen: when it was first and last seen, and its best reading."""

    first: int
    last: int
    best: Line
    box: tuple[int, int, int, int]


class LineTracker:
    """Merges the readings of a line over consecutive pictures.

    Two readings are the same line when their letters agree to 80 % and their digits exactly:
    numbers carry the meaning of clocks, scores and prices. The most confident reading wins.

    Args:
        period: microseconds from one picture to the next; a line is taken to stay until the
            first picture that could have shown it gone.
        longest: microseconds; a longer stay is told in several pieces, so that what is known
            of a moment is known soon after it (the causal cut-off depends on that).
    """

    def __init__(self, period: int, longest: int) -> None:
        self._period, self._longest = period, longest
        self._stays: list[_Stay] = []

    def seen(self, time: int, lines: list[Line]) -> list[TimedText]:
        """Tell what a picture shows; returns the stays that have ended, in reading order."""
        gone = [s for s in self._stays if time - s.last > (_MISSES + 1) * self._period]
        self._stays = [s for s in self._stays if s not in gone]
        free = list(self._stays)
        now = []
        for line in lines:
            stay = _same(line, free)
            if stay is None:
                stay = _Stay(time, time, line, line.box)
            else:
                free.remove(stay)
                stay.last, stay.box = time, line.box
                if line.confidence > stay.best.confidence:
                    stay.best = line
            now.append(stay)
        full = [s for s in now if time + self._period - s.first >= self._longest]
        self._stays = free + [s for s in now if s not in full]
        return [self._text(stay) for stay in gone + full]

    def finish(self) -> list[TimedText]:
        """The stream has ended; returns the stays that had not."""
        stays, self._stays = self._stays, []
        return [self._text(stay) for stay in stays]

    def _text(self, stay: _Stay) -> TimedText:
        span = Span(stay.first, stay.last + self._period)
        return TimedText(span, stay.best.text, "ocr", "rapidocr", round(stay.best.confidence, 4))


def _same(line: Line, stays: list[_Stay]) -> _Stay | None:
    """The stay that this line continues: the most similar, and of equals the nearest."""
    letters, digits = _key(line.text)
    best, best_score = None, (_SAME, 0.0)
    for stay in stays:
        other_letters, other_digits = _key(stay.best.text)
        if digits != other_digits:
            continue
        matcher = difflib.SequenceMatcher(None, letters, other_letters, autojunk=False)
        if letters != other_letters and matcher.quick_ratio() < best_score[0]:
            continue
        score = (matcher.ratio(), overlap(line.box, stay.box))
        if score >= best_score:
            best, best_score = stay, score
    return best


def _key(text: str) -> tuple[str, str]:
    """Letters and digits, each by themselves, without case, spaces and punctuation."""
    folded = [c for c in text.casefold() if c.isalnum()]
    letters = "".join(c for c in folded if not c.isdigit())
    return letters, "".join(c for c in folded if c.isdigit())
