"""Answers without a language model: the best sentences of the evidence, quoted and cited.

It can point to what was said, read or captioned. It cannot count, reason, combine facts or
rephrase; see ``docs/answers.md``. Text from videos is only ever compared and quoted, so
instructions hidden in it have nothing to act on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from egorag.encode.base import Vectors
from egorag.encode.minilm import MODEL, MiniLM
from egorag.errors import ConfigError
from egorag.generate.base import TextEncoder
from egorag.generate.choices import best_choice
from egorag.generate.citations import verify
from egorag.generate.evidence import gather
from egorag.generate.passages import Passage
from egorag.generate.question import asked, asked_words, asks_when
from egorag.generate.scoring import COVERAGE, confidence, cosines, coverage, embed
from egorag.retrieve.words import content_words
from egorag.spans import clock
from egorag.store.catalog import Catalog
from egorag.store.folder import IndexFolder
from egorag.types import Answer, Citation, Hit, Query

LONGEST = 2000
"""Characters of a question or choice that are read: more than its encoder's first window."""

SAME = 0.9
"""Cosine from which on a further sentence says the same again."""


@dataclass(frozen=True)
class Extractive:
    """Quotes the sentences nearest to the question, or abstains.

    A sentence's score is the cosine of its vector (or of its best cue's) and the question's, plus
    ``COVERAGE`` times the idf-weighted share of the question's content words that it holds. The
    confidence is ``1 / (1 + exp(-(score - midpoint) / width))`` of the best sentence: a fixed
    curve over similarity, not a probability of being right.

    Attributes:
        abstain_below: the confidence below which no answer is given; 0 always answers.
        sentences: how many are quoted at most.
        margin: a further sentence may score so much less than the best.
        passages: how many passages are compared at most, those with most shared words first.
        midpoint, width: place and softness of the curve; they fit ``model`` only.
        model: the text encoder they were chosen for. Where the index's own is another, the
            packaged MiniLM is loaded for the answer.
    """

    abstain_below: float = 0.5
    sentences: int = 3
    margin: float = 0.1
    passages: int = 256
    midpoint: float = 0.4
    width: float = 0.08
    model: str = MODEL

    def __post_init__(self) -> None:
        if not 0 <= self.abstain_below <= 1:
            raise ValueError(f"abstain_below must lie in 0..1, got {self.abstain_below}")
        if self.sentences < 1 or self.passages < 1:
            raise ValueError(
                f"sentences and passages must be 1 or more, got {self.sentences}, {self.passages}"
            )
        if not self.margin >= 0 or not self.width > 0:
            raise ValueError(
                f"margin must be 0 or more and width positive, got {self.margin}, {self.width}"
            )

    def answer(
        self,
        query: Query,
        hits: Sequence[Hit],
        folder: IndexFolder,
        encoder: TextEncoder | None = None,
        choices: Sequence[str] | None = None,
    ) -> Answer:
        """See ``Answerer``.

        With choices, the answer is the one that the evidence supports most beyond what its own
        words suggest (``choices.py``); permuting them permutes the result.

        Raises:
            ConfigError: an empty question or choice, no choices in the list, or no encoder that
                ``midpoint`` and ``width`` fit.
        """
        question, options = asked(query, choices, LONGEST)
        evidence = self._nearest_words(question, gather(query, hits, folder.catalog))
        if not evidence:
            return _abstain("No answer: the evidence holds no text to quote.", 0.0, hits)
        with self._encoder(encoder) as embedder:
            case = _Case(question, query, hits, folder.catalog, evidence, embedder)
            return self._choose(case, options) if options else self._quote(case)

    def guess(
        self,
        query: Query,
        encoder: TextEncoder | None = None,
        choices: Sequence[str] | None = None,
    ) -> Answer:
        """See ``Guessing``: the choice nearest to the question; none without choices."""
        question, options = asked(query, choices, LONGEST)
        if not options:
            return _abstain("No answer: there is nothing to quote.", 0.0, ())
        with self._encoder(encoder) as embedder:
            vectors = embed(embedder, [question, *options])
        near = {text: float(vectors[text] @ vectors[question]) for text in sorted(set(options))}
        best = max(near, key=lambda text: near[text])
        return Answer(best, False, 0.0, choice=options.index(best))

    @contextlib.contextmanager
    def _encoder(self, given: TextEncoder | None) -> Iterator[TextEncoder]:
        if given is not None and given.space.model == self.model:
            yield given
            return
        if self.model != MODEL:
            raise ConfigError(
                f"answerer.model is {self.model!r}, which this index does not use; leave the "
                f"setting out to answer by {MODEL}"
            )
        packaged = MiniLM()
        packaged.setup()
        try:
            yield packaged
        finally:
            packaged.close()

    def _nearest_words(self, question: str, found: list[Passage]) -> list[Passage]:
        """At most ``passages`` of them, by shared words; the order stays."""
        if len(found) <= self.passages:
            return found
        shared = coverage(asked_words(question), content_words([p.text for p in found]))
        best = sorted(range(len(found)), key=lambda i: (-shared[i], i))[: self.passages]
        return [found[i] for i in sorted(best)]

    def _quote(self, case: _Case) -> Answer:
        evidence, question = case.evidence, case.question
        vectors = embed(case.encoder, [question, *(text for p in evidence for text in p.variants)])
        words = content_words([p.text for p in evidence])
        scores = cosines(vectors[question], evidence, vectors)
        scores += COVERAGE * coverage(asked_words(question), words)
        sure = [confidence(score, self.midpoint, self.width) for score in scores]
        if max(sure) < self.abstain_below:
            return self._weak(max(sure), case)
        chosen: dict[int, Citation] = {}
        for i in sorted(range(len(evidence)), key=lambda i: (-scores[i], i)):
            near = scores[i] >= scores.max() - self.margin and sure[i] >= self.abstain_below
            if not near or len(chosen) == self.sentences:
                break
            citation = case.cite(evidence[i])
            if citation and _adds(evidence[i], [evidence[j] for j in chosen], vectors):
                chosen[i] = citation
        if not chosen:
            return _abstain("No answer: no quote could be verified.", 0.0, case.hits)
        citations = tuple(chosen[i] for i in sorted(chosen))  # in time order
        timed = asks_when(question)
        said = [
            f"{f'At {clock(c.span.start)}: ' if timed else ''}{c.quote} [{number}]"
            for number, c in enumerate(citations, start=1)
        ]
        best = max(sure[i] for i in chosen)
        return Answer(" ".join(said), False, best, citations, tuple(case.hits), verified=1.0)

    def _choose(self, case: _Case, choices: Sequence[str]) -> Answer:
        index, passage, score = best_choice(case.question, choices, case.evidence, case.encoder)
        sure = confidence(score, self.midpoint, self.width)
        if sure < self.abstain_below:
            return self._weak(sure, case)
        citation = case.cite(passage)
        if citation is None:
            return _abstain("No answer: no quote could be verified.", 0.0, case.hits)
        found = tuple(case.hits)
        return Answer(choices[index], False, sure, (citation,), found, index, verified=1.0)

    def _weak(self, sure: float, case: _Case) -> Answer:
        reason = f"confidence {sure:.2f}, needed {self.abstain_below:.2f}"
        return _abstain(f"No answer: the evidence is too weak ({reason}).", sure, case.hits)


@dataclass(frozen=True)
class _Case:
    """One question with all that belongs to it."""

    question: str
    query: Query
    hits: Sequence[Hit]
    catalog: Catalog
    evidence: Sequence[Passage]
    encoder: TextEncoder

    def cite(self, passage: Passage) -> Citation | None:
        """The passage as a citation; None if the index does not bear it out."""
        path = next(hit.path for hit in self.hits if hit.scene.video == passage.video)
        quoted = Citation(passage.video, path, passage.span, passage.text, passage.track)
        return verify(quoted, self.catalog, self.query)


def _adds(passage: Passage, chosen: Sequence[Passage], vectors: Mapping[str, Vectors]) -> bool:
    """Whether it says something the chosen ones do not."""
    return all(
        float(vectors[passage.text] @ vectors[other.text]) < SAME and passage.text not in other.text
        for other in chosen
    )


def _abstain(reason: str, sure: float, hits: Sequence[Hit]) -> Answer:
    return Answer(reason, True, sure, (), tuple(hits))
