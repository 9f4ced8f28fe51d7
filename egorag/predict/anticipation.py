"""What is likely to come next, of given candidates: example clips, texts or labels."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from egorag.encode.pretrained.base import unit
from egorag.errors import ConfigError, did_you_mean
from egorag.predict.clips import Clip
from egorag.predict.energy import Tokens
from egorag.spaces import EmbeddingSpace

Vector: TypeAlias = npt.NDArray[np.float32]
Score: TypeAlias = Callable[[Tokens], list[float]]


@runtime_checkable
class TextProjection(Protocol):
    """Texts as vectors of a V-JEPA 2 space; trained by ``python -m egorag.train projection``."""

    @property
    def space(self) -> EmbeddingSpace:
        """Where its vectors live."""

    def embed_texts(self, texts: list[str]) -> npt.NDArray[np.float32]:
        """float32 [texts, dim]."""


@runtime_checkable
class TokenProbe(Protocol):
    """Labels of tokens."""

    def classify(self, tokens: Tokens) -> Mapping[str, float]:
        """A score for each of its labels, from float32 [steps, side, side, dim]; higher is
        likelier."""


class FeatureProbe(Protocol):
    """Labels of stored features, as ``egorag.train.probe.Probe`` gives them."""

    def classify(
        self, vectors: npt.NDArray[np.float32], space: EmbeddingSpace, kind: str, top: int
    ) -> Mapping[str, Sequence[tuple[str, float]]]:
        """The ``top`` best labels and scores of a clip's vectors, by query."""


@dataclass(frozen=True)
class OnFeatures:
    """A probe trained on stored features as a ``TokenProbe``: it is shown the features that the
    predicted tokens would have been stored as, their means.

    Attributes:
        probe: from ``egorag.train.probe.Probe.open``.
        space: of the features it was trained on.
        kind: ``moments`` shows it a unit vector a step, ``vectors`` one for all.
        query: ``label``, or ``verb``, ``noun`` or ``action``.
    """

    probe: FeatureProbe
    space: EmbeddingSpace
    kind: Literal["moments", "vectors"] = "moments"
    query: str = "label"

    def classify(self, tokens: Tokens) -> Mapping[str, float]:
        """Every label's score.

        Raises:
            ConfigError: no such query.
            SpaceError: the probe was trained on other features.
        """
        steps = tokens.mean((1, 2), dtype=np.float64)
        rows = unit(steps if self.kind == "moments" else steps.mean(0, keepdims=True))
        found = self.probe.classify(rows, self.space, self.kind, sys.maxsize)
        if self.query not in found:
            raise ConfigError(
                f"the probe has no query {self.query!r}{did_you_mean(self.query, found)}"
            )
        return dict(found[self.query])


@dataclass(frozen=True)
class Anticipated:
    """One candidate.

    Attributes:
        candidate: as it was given.
        score: cosine between the mean of the predicted tokens and the candidate's, or a probe's
            score.
        static: the same for the static copy, the context's last step. Only what a candidate
            gains over it comes from predicting.
    """

    candidate: Clip | str
    score: float
    static: float

    @property
    def gain(self) -> float:
        """Score less the static copy's."""
        return self.score - self.static


def scorer(
    candidates: Sequence[Clip | str],
    mean: Callable[[Clip], Vector],
    space: EmbeddingSpace,
    projection: TextProjection | None = None,
    probe: TokenProbe | None = None,
) -> Score:
    """How like each candidate given tokens are: what ``Predictor.anticipate`` ranks by.

    Args:
        mean: a clip's mean of normalised tokens.
        space: of the encoder, where a projection must lead.

    Raises:
        ConfigError, SpaceError: see ``Predictor.anticipate``.
    """
    if not candidates:
        raise ConfigError("anticipate needs candidates: example clips, texts or labels")
    texts = [c for c in candidates if isinstance(c, str)]
    examples = [c for c in candidates if not isinstance(c, str)]
    if texts and examples:
        raise ConfigError(
            f"candidates are clips and texts ({texts[0]!r}); give one kind, and a file as Path"
        )
    if examples:
        return _by_vectors(np.stack([mean(example) for example in examples]))
    if projection is not None and probe is None:
        projection.space.check_same(space)
        return _by_vectors(projection.embed_texts(texts))
    if probe is not None and projection is None:
        return _by_labels(texts, probe)
    given = "neither was given" if probe is None else "both were given"
    raise ConfigError(
        f"candidates that are texts ({texts[0]!r}) need a projection, and labels need a probe: "
        f"{given}. Train one (python -m egorag.train projection ..., or probe ...) and give it as "
        "projection= or probe=; or give example clips"
    )


def _by_vectors(vectors: npt.NDArray[np.float32]) -> Score:
    """Cosine of the mean token with each row."""

    rows = unit(vectors)

    def score(tokens: Tokens) -> list[float]:
        mean = tokens.mean((0, 1, 2), dtype=np.float64)
        return [float(cosine) for cosine in rows @ unit(mean[None])[0]]

    return score


def _by_labels(labels: list[str], probe: TokenProbe) -> Score:
    def score(tokens: Tokens) -> list[float]:
        scores = probe.classify(tokens)
        for label in labels:
            if label not in scores:
                raise ConfigError(f"the probe has no label {label!r}{did_you_mean(label, scores)}")
        return [float(scores[label]) for label in labels]

    return score
