"""Who says what: speaker turns merged into lines of speech, from the two encoders' results.

Merging happens when a record is made, so that another diarization never transcribes again.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from egorag.pipeline.documents import SPEECH_TRACKS
from egorag.spans import Span
from egorag.types import TimedText, Word

SPEAKER_TRACK = "speaker"
"""Timed text on this track is a turn; its text is the speaker's label."""


def assign(texts: Iterable[TimedText]) -> list[TimedText]:
    """The same texts with speakers, in their order; as given where nobody's turn is known.

    A line with word times is split at each change of speaker. A line without them gets a speaker
    only if just one is heard in it: half a line under a wrong name is worse than none.
    """
    texts = list(texts)
    turns = sorted((t for t in texts if t.track == SPEAKER_TRACK), key=lambda t: (t.span, t.text))
    if not turns:
        return texts
    starts = [turn.span.start for turn in turns]
    longest = max(turn.span.duration for turn in turns)
    merged: list[TimedText] = []
    for text in texts:
        if text.track not in SPEECH_TRACKS or text.speaker is not None:
            merged.append(text)
            continue
        said = [text.span, *(word.span for word in text.words)]
        # Hours of speech have thousands of both: look only at turns that can reach the line.
        first = bisect_left(starts, min(span.start for span in said) - longest)
        near = turns[first : bisect_right(starts, max(span.end for span in said))]
        merged.extend(_split(text, near) if text.words else [_whole(text, near)])
    return merged


def speaker_of(span: Span, turns: Sequence[TimedText]) -> str | None:
    """The speaker with the largest overlap (the first label of equals), None where nobody speaks.

    A word without length belongs to whoever speaks at that moment.
    """
    shares: dict[str, int] = {}
    for turn in turns:
        share = span.overlap(turn.span)
        if not span.duration and turn.span.start <= span.start < turn.span.end:
            share = 1
        if share:
            shares[turn.text] = shares.get(turn.text, 0) + share
    return min(shares, key=lambda label: (-shares[label], label)) if shares else None


def _whole(text: TimedText, turns: Sequence[TimedText]) -> TimedText:
    heard = {turn.text for turn in turns if turn.span.overlap(text.span)}
    return replace(text, speaker=heard.pop()) if len(heard) == 1 else text


def _split(text: TimedText, turns: Sequence[TimedText]) -> list[TimedText]:
    """One line a run of words by the same speaker (or by nobody known)."""
    said = [(speaker_of(word.span, turns), word) for word in text.words]
    runs = [
        (speaker, tuple(word for _, word in run))
        for speaker, run in groupby(said, key=lambda pair: pair[0])
    ]
    if len(runs) == 1:
        return [replace(text, speaker=runs[0][0])]
    pieces = _pieces(text.text, [words for _, words in runs])
    return [
        replace(text, span=_span(words), text=piece, words=words, speaker=speaker)
        for (speaker, words), piece in zip(runs, pieces, strict=True)
    ]


def _span(words: Sequence[Word]) -> Span:
    return Span(min(w.span.start for w in words), max(w.span.end for w in words))


def _pieces(text: str, runs: Sequence[Sequence[Word]]) -> list[str]:
    """The text cut where each run's first word stands, so that nothing of it is lost; the words
    alone where they do not stand in it."""
    cuts, at = [0], 0
    for number, words in enumerate(runs):
        for place, word in enumerate(words):
            found = text.find(word.text, at)
            if found < 0:
                return [" ".join(w.text for w in run) for run in runs]
            if number and not place:
                cuts.append(found)
            at = found + len(word.text)
    return [text[a:b].strip() for a, b in zip(cuts, [*cuts[1:], len(text)], strict=True)]
