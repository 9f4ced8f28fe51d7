"""Early fusion: the vectors of several encoders become one before anything is ranked.

What a query and a scene say by several encoders is joined into one vector each, and scenes are
ranked by the cosine between the two. That one ranking, called ``joint``, stands beside BM25.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from egorag.errors import did_you_mean
from egorag.fuse.base import Ranking, check_names, check_weights
from egorag.fuse.places import FusedList
from egorag.fuse.rrf import ReciprocalRank
from egorag.fuse.whitening import Whitening

JOINT = "joint"
MISSING = ("excluded", "mean", "least_squares")

_DIGITS = 9
"""Of a cosine: what is equal on paper then ties."""

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Rows:
    """One encoder's vectors: int64 [n] ids, ascending, and [n, d]."""

    ids: Int64s
    vectors: npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Joined:
    """The scenes of a scope, ready to be compared with queries.

    Attributes:
        ids: int64 [n], ascending: the scenes that any encoder has a vector of.
        blocks: by name [n, d]: what each encoder says of each scene, or is taken to say.
        used: by name bool [n]: whose block counts.
        whitenings: by name; None where vectors are joined as they are.
    """

    ids: Int64s
    blocks: Mapping[str, Floats]
    used: Mapping[str, Flags]
    whitenings: Mapping[str, Whitening | None]


@dataclass(frozen=True)
class EarlyFusion(ABC):
    """Settings that both ways share.

    A scene that an encoder has no vector of, for want of sound, say:

    - ``excluded``: the encoder is left out of this scene's vector, and for it out of the query's:
      the rest is renormalised, so lacking a modality is neither good nor bad.
    - ``mean``: imputed by the mean of what the encoder says of the other scenes of the scope.
    - ``least_squares``: imputed from what the other encoders say of this scene, by the linear map
      with the least squared error over the scenes of the scope that have both (the smallest such
      map where scenes are few; the mean where there are none).

    Attributes:
        missing: one of these three.
        weights: factor by encoder, >= 0; 1 where not given, 0 leaves it out. A query of several
            media enters an encoder that takes them as ``NAME:MEDIUM``.
        bm25: what the words count beside the joint ranking, in reciprocal ranks.
    """

    missing: str = "excluded"
    weights: Mapping[str, float] = field(default_factory=dict)
    bm25: float = 1.0

    def __post_init__(self) -> None:
        if self.missing not in MISSING:
            raise ValueError(f"no missing={self.missing}{did_you_mean(self.missing, MISSING)}")
        check_weights(self.weights)
        check_weights({"bm25": self.bm25})

    def check(self, names: Collection[str]) -> None:
        check_names(self.weights, [name for name in names if name != "bm25"])

    def fuse(self, rankings: Mapping[str, Ranking]) -> FusedList:
        return ReciprocalRank(weights={"bm25": self.bm25}).fuse(rankings)

    @abstractmethod
    def prepared(self, rows: Mapping[str, Rows]) -> tuple[dict[str, Floats], dict[str, Whitening]]:
        """By name the vectors as they are joined, and how a query gets there if not unchanged."""

    @abstractmethod
    def cosines(
        self, query: Mapping[str, Floats], joined: Joined, weights: Mapping[str, Floats]
    ) -> Floats:
        """float64 [n].

        Args:
            query: by name [d], as the blocks are.
            weights: by name [n], 0 where a block does not count.
        """

    def join(self, rows: Mapping[str, Rows]) -> Joined:
        """The scenes that ``rows`` tell of. All statistics are over these rows alone.

        Args:
            rows: by ranking, those of the scope.
        """
        counted = {n: r for n, r in sorted(rows.items()) if self.weights.get(n, 1) > 0}
        ids = np.unique(np.concatenate([np.empty(0, np.int64), *(r.ids for r in counted.values())]))
        vectors, whitenings = self.prepared(counted)
        blocks: dict[str, Floats] = {}
        has: dict[str, Flags] = {}
        for name, given in counted.items():
            places = np.searchsorted(ids, given.ids)
            blocks[name] = np.zeros((len(ids), vectors[name].shape[1]))
            blocks[name][places] = vectors[name]
            has[name] = np.zeros(len(ids), bool)
            has[name][places] = True
        used = has
        if self.missing != "excluded":
            blocks = {n: _imputed(n, blocks, has, self.missing == "mean") for n in blocks}
            used = {n: np.full(len(ids), bool(has[n].any())) for n in blocks}
        return Joined(ids, blocks, used, {n: whitenings.get(n) for n in blocks})

    def scores(self, queries: Mapping[str, npt.NDArray[np.floating]], joined: Joined) -> Floats:
        """float64 [n]: the cosine of each scene of ``joined`` with the query.

        Args:
            queries: by ranking, [d] in the encoder's space.
        """
        told = {}
        for name in joined.blocks:
            raw, whitening = np.asarray(queries[name], np.float64), joined.whitenings[name]
            told[name] = unit((raw if whitening is None else whitening(raw))[None])[0]
        factors = {n: self.weights.get(n, 1) * joined.used[n].astype(np.float64) for n in told}
        return np.round(self.cosines(told, joined, factors), _DIGITS) + 0.0  # no minus zero


@dataclass(frozen=True)
class Concatenated(EarlyFusion):
    """One long vector: every encoder's at unit length, times the root of its weight.

    Its cosine is the weighted mean of the encoders' cosines, where none is imputed.
    """

    def prepared(self, rows: Mapping[str, Rows]) -> tuple[dict[str, Floats], dict[str, Whitening]]:
        return {name: unit(given.vectors) for name, given in rows.items()}, {}

    def cosines(
        self, query: Mapping[str, Floats], joined: Joined, weights: Mapping[str, Floats]
    ) -> Floats:
        n = len(joined.ids)
        both, mine, theirs = np.zeros(n), np.zeros(n), np.zeros(n)
        for name, block in joined.blocks.items():
            both += weights[name] * (block @ query[name])
            mine += weights[name] * (query[name] @ query[name])
            theirs += weights[name] * (block * block).sum(axis=1)
        return _ratio(both, np.sqrt(mine * theirs))


@dataclass(frozen=True)
class Whitened(EarlyFusion):
    """The mean of the encoders' vectors, once each is whitened to a common number of dimensions.

    Whitening takes away the mean and gives every principal direction the same variance, so that
    no encoder's few strong directions drown the others'; each vector then has unit length. See
    ``Whitening`` for how directions of different encoders meet.

    Attributes:
        dim: the common number of dimensions, at most; no more than the scope's vectors span. Far
            fewer than there are scenes, or the smallest directions are noise.
        zca: turn back to the encoders' own axes, which must then be as many for each.
    """

    dim: int = 64
    zca: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.dim, int) or isinstance(self.dim, bool) or self.dim < 1:
            raise ValueError(f"dim must be a whole number from 1 up, got {self.dim!r}")

    def prepared(self, rows: Mapping[str, Rows]) -> tuple[dict[str, Floats], dict[str, Whitening]]:
        raw = {name: given.vectors for name, given in rows.items()}
        fitted = Whitening.common(raw, self.dim, self.zca)
        return {name: unit(fitted[name](vectors)) for name, vectors in raw.items()}, fitted

    def cosines(
        self, query: Mapping[str, Floats], joined: Joined, weights: Mapping[str, Floats]
    ) -> Floats:
        # A sum has the direction of the mean.
        if not joined.blocks:
            return np.zeros(0)
        mine = np.sum([weights[n][:, None] * query[n] for n in joined.blocks], axis=0)
        theirs = np.sum([weights[n][:, None] * b for n, b in joined.blocks.items()], axis=0)
        both = (mine * theirs).sum(axis=1)
        return _ratio(both, np.linalg.norm(mine, axis=1) * np.linalg.norm(theirs, axis=1))


def unit(vectors: npt.NDArray[np.floating]) -> Floats:
    """float64 [n, d] at unit length; what is 0 stays."""
    exact = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    return np.asarray(np.divide(exact, lengths, out=np.zeros_like(exact), where=lengths > 0))


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.asarray(np.divide(above, below, out=np.zeros(len(above)), where=below > 0))


def _imputed(
    name: str, blocks: Mapping[str, Floats], has: Mapping[str, Flags], mean: bool
) -> Floats:
    """[n, d]: the block of ``name`` with the rows that are missing filled in."""
    block, own = blocks[name].copy(), has[name]
    if own.all() or not own.any():
        return block
    block[~own] = block[own].mean(axis=0)
    others = [other for other in blocks if other != name]
    if mean or not others:
        return block
    patterns = np.stack([has[other] for other in others], axis=1)
    for pattern in np.unique(patterns[~own], axis=0):
        present = [other for other, there in zip(others, pattern, strict=True) if there]
        known = own & np.all([has[other] for other in present], axis=0)
        wanted = ~own & (patterns == pattern).all(axis=1)
        if not known.any():
            continue
        given = np.concatenate([blocks[other] for other in present], axis=1)
        centre, middle = given[known].mean(axis=0), block[known].mean(axis=0)
        map_, *_ = np.linalg.lstsq(given[known] - centre, block[known] - middle, rcond=1e-6)
        block[wanted] = (given[wanted] - centre) @ map_ + middle
    return block
