"""Sentences of a language model with their citations checked; what fails is removed and marked.

A verified citation shows that its quote stands in the evidence it names, at that time and before
the cut-off. That the sentence follows from the quote is not checked. A verified citation of a
picture shows less: that the model was shown this picture of that scene, at that time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby

from egorag.generate.citations import SEEN, verify
from egorag.generate.numbered import NumberedScene
from egorag.generate.passages import Passage
from egorag.generate.reply import Claim
from egorag.retrieve.words import content_words
from egorag.spans import hull
from egorag.store.catalog import Catalog
from egorag.terminal import plain
from egorag.types import Citation, Query

UNVERIFIED = "[unverified]"
_ALIKE = {"'": "['’‘]", "’": "['’‘]", '"': '["“”]', "“": '["“”]', "”": '["“”]'}
_PLACES = 16  # where in a scene a quote is looked for at most


@dataclass(frozen=True)
class Checked:
    """Sentences after the check.

    Attributes:
        text: the sentences, each followed by ``[n]`` of its citations or by ``UNVERIFIED``.
        citations: the verified ones, each once; ``[1]`` is the first.
        given: how many the model gave, a sentence without any counting as one.
        held: how many of these were verified.
        supported: share in 0..1 of the sentences that have a verified one.
    """

    text: str
    citations: tuple[Citation, ...]
    given: int
    held: int
    supported: float

    @property
    def share(self) -> float | None:
        """Share of citations verified; None where there was no sentence."""
        return self.held / self.given if self.given else None


def check(
    claims: Sequence[Claim], scenes: Sequence[NumberedScene], query: Query, catalog: Catalog
) -> Checked:
    """Verify every citation of every sentence against the index."""
    numbers: dict[Citation, int] = {}
    by_number = {scene.number: scene for scene in scenes}
    said: list[str] = []
    given = held = supported = 0
    with catalog.snapshot():
        for claim in claims:
            marks: list[int] = []
            for by, number, said_of_it in _cited(claim):
                scene = by_number.get(number)
                found = None if scene is None else by(scene, said_of_it, query, catalog)
                if found is not None:
                    held += 1
                    marks.append(numbers.setdefault(found, len(numbers) + 1))
            given += max(1, len(claim.citations) + len(claim.seen))
            supported += bool(marks)
            shown = "".join(f"[{n}]" for n in dict.fromkeys(marks)) or UNVERIFIED
            said.append(f"{claim.text} {shown}")
    share = supported / len(claims) if claims else 0.0
    return Checked(" ".join(said), tuple(numbers), given, held, share)


def _cited(claim: Claim) -> Iterator[tuple[Callable[..., Citation | None], int, str]]:
    yield from ((cite, number, quote) for number, quote in claim.citations)
    yield from ((cite_picture, number, time) for number, time in claim.seen)


def cite_picture(
    scene: NumberedScene, time: str, query: Query, catalog: Catalog
) -> Citation | None:
    """The part of a scene that a picture of it stands for, cited by the picture's time; None if no
    picture of that time was shown. Milliseconds may be left out.

    Its track is ``SEEN`` and its quote is empty.
    """
    for picture in scene.pictures:
        if time in (picture.clock, picture.clock.partition(".")[0]):
            cited = Citation(scene.video, scene.path, picture.span, "", SEEN)
            return verify(cited, catalog, query)
    return None


def cite(scene: NumberedScene, quote: str, query: Query, catalog: Catalog) -> Citation | None:
    """The quote as a verified citation with its exact time and wording; None if it is not there.

    White space, case, the form of quotation marks, and dots or marks around the quote do not
    matter. A quote of function words alone ("of the") stands for nothing and is refused, unless
    it is all that a passage says.
    """
    wanted = plain(quote).strip(" .…\"'“”‘’")
    if not wanted:
        return None
    pattern = "".join(_ALIKE.get(c, re.escape(c)) for c in wanted)
    looked = re.compile(rf"(?<!\w){pattern}(?!\w)", re.IGNORECASE)
    meaning = bool(content_words([wanted])[0])
    for passages in _by_track(scene.passages):
        for place, text, whole in _places(looked, passages):
            if meaning or whole:
                first = passages[place][0]
                span = hull(p.span for p in passages[place])
                cited = Citation(scene.video, scene.path, span, text, first.track)
                if verified := verify(cited, catalog, query):
                    return verified
    return None


def _by_track(passages: Sequence[Passage]) -> Iterator[list[Passage]]:
    ordered = sorted(passages, key=lambda p: (p.track, p.span))
    for _, group in groupby(ordered, key=lambda p: p.track):
        yield list(group)


def _places(
    looked: re.Pattern[str], passages: Sequence[Passage]
) -> Iterator[tuple[slice, str, bool]]:
    """(which passages, the words as they stand there, whether all they say) for each match."""
    joined = " ".join(p.text for p in passages)
    ends = list(accumulate(len(p.text) + 1 for p in passages))
    for count, match in enumerate(looked.finditer(joined)):
        if count == _PLACES:
            return
        touched = [
            i
            for i, end in enumerate(ends)
            if end > match.start() and end - len(passages[i].text) - 1 < match.end()
        ]
        place = slice(touched[0], touched[-1] + 1)
        everything = " ".join(p.text for p in passages[place])
        yield place, match[0], len(match[0]) >= len(everything.strip(" .…!?\"'“”"))
