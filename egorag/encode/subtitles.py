"""Subtitles as timed text: the cues of one source, cleaned of repeats."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from egorag.encode.base import Available, Medium, Over
from egorag.fingerprint import fingerprint_of
from egorag.media.languages import primary_language
from egorag.media.sampling import Cue, CueSampling
from egorag.types import TimedText


@dataclass(frozen=True)
class Subtitles:
    """Reads the subtitles beside and inside a video.

    A video often has the same words several times: a file beside it and a stream inside, or one
    stream a language. Reading them all would count each word more than once, so one source is
    read, or one for each of ``languages``. Which: a file before a stream; then one in English or
    of no stated language, because the default text encoder and the full-text index know English
    best; then the first (a file without a language in its name first, then by name; streams by
    number).

    Attributes:
        languages: codes such as ``en``, ``eng`` or ``en-US`` (all the same) to read. Empty reads
            the one source described above. Sources that state no language are read only if no
            source states a wanted one.
    """

    medium: ClassVar[Medium] = Medium.CUES
    over: ClassVar[Over] = Over.STREAM

    languages: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.languages, str) or not all(
            isinstance(tag, str) and tag.strip() for tag in self.languages
        ):
            raise ValueError(
                f"languages must be a list of codes such as [en, fr], got {self.languages!r}"
            )
        object.__setattr__(self, "languages", tuple(self.languages))

    @property
    def sampling(self) -> CueSampling:
        return CueSampling()

    @property
    def space(self) -> None:
        return None

    def fingerprint(self) -> str:
        return fingerprint_of(self, version=1)

    def skip_reason(self, available: Available) -> str | None:
        return None if available.subtitles else "no subtitles"

    def setup(self, device: str = "cpu") -> None:
        """Nothing to load."""

    def encode(self, data: Iterable[Cue]) -> Iterator[TimedText]:
        """Timed text of the chosen source in time order, track ``subtitle``.

        All cues are held before the first comes out, because any cue may be the first of a better
        source; they are kilobytes an hour. A cue without text is dropped; one that says the same
        as the one before it without a pause between (rolled-up captions) extends that one.
        """
        sources: dict[str, list[Cue]] = {}
        for cue in data:
            if cue.text.strip():
                sources.setdefault(cue.source, []).append(cue)
        chosen = [_without_repeats(sorted(sources[n], key=_time)) for n in self._choose(sources)]
        yield from heapq.merge(*chosen, key=_time)

    def _choose(self, sources: dict[str, list[Cue]]) -> list[str]:
        ranked = sorted(sources, key=lambda name: _preference(name, sources[name][0].language))
        if not self.languages:
            return ranked[:1]
        stated = {name: sources[name][0].language for name in ranked}
        chosen = []
        for wanted in dict.fromkeys(map(primary_language, self.languages)):
            same = [n for n, tag in stated.items() if tag and primary_language(tag) == wanted]
            chosen += same[:1]
        return chosen or [name for name, tag in stated.items() if not tag][:1]

    def close(self) -> None:
        """Nothing to give back."""


def _preference(source: str, language: str | None) -> tuple[bool, bool, bool, int, str]:
    """Sort key; see the class's docstring."""
    kind, _, number = source.partition(":")
    stream = kind == "stream" and number.isdecimal()
    foreign = language is not None and primary_language(language) not in ("en", "und")
    return stream, foreign, language is not None, int(number) if stream else 0, source


def _time(timed: Cue | TimedText) -> tuple[int, int]:
    return timed.span.start, timed.span.end


def _without_repeats(cues: list[Cue]) -> Iterator[TimedText]:
    held: Cue | None = None
    for cue in cues:
        if held is not None and cue.text == held.text and cue.span.start <= held.span.end:
            held = Cue(held.span.union(cue.span), held.text, held.source, held.language)
            continue
        if held is not None:
            yield _timed_text(held)
        held = cue
    if held is not None:
        yield _timed_text(held)


def _timed_text(cue: Cue) -> TimedText:
    return TimedText(cue.span, cue.text, "subtitle", cue.source)
