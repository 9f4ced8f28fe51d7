"""Whitening of vectors: no mean, no covariance, the same variance in every direction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from egorag.errors import ConfigError

_LEAST = 1e-5
"""Share of the greatest spread below which a direction counts as none: float32 has 7 digits."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Whitening:
    """x -> (x - mean) W.

    Directions come in order of their variance, each with its largest component positive. The
    first direction of one encoder then meets the first of another, though they mean different
    things; that is the price of a mean over vectors of different spaces.

    Attributes:
        mean: float64 [d].
        weights: float64 [d, width].
    """

    mean: Floats
    weights: Floats

    @property
    def width(self) -> int:
        """Dimensions of what comes out."""
        return int(self.weights.shape[1])

    def __call__(self, vectors: npt.NDArray[np.floating]) -> Floats:
        """float64 [..., width] of [..., d]."""
        return np.asarray((np.asarray(vectors, np.float64) - self.mean) @ self.weights)

    @classmethod
    def common(
        cls, vectors: Mapping[str, npt.NDArray[np.floating]], dim: int, zca: bool
    ) -> dict[str, Whitening]:
        """One for each encoder, all to as many dimensions: ``dim``, or what the vectors of that
        encoder span that spans most. What another does not span stays 0.

        Args:
            vectors: [n, d] by encoder.
            zca: with the least change to the vectors (zero-phase), on the encoders' own axes.

        Raises:
            ConfigError: ``zca`` with encoders of different dimensions.
        """
        widths = {name: given.shape[1] for name, given in vectors.items()}
        if zca and len(set(widths.values())) > 1:
            listed = ", ".join(f"{name} {width}" for name, width in widths.items())
            raise ConfigError(
                f"fuser.zca=true keeps the encoders' own axes, and these have different numbers: "
                f"{listed}; leave it out, or weigh all but encoders of one width 0"
            )
        fitted = {name: cls._fitted(given, dim) for name, given in vectors.items()}
        width = max((of.width for of in fitted.values()), default=0)
        return {
            name: of._turned_back() if zca else of._padded(width) for name, of in fitted.items()
        }

    @classmethod
    def _fitted(cls, vectors: npt.NDArray[np.floating], dim: int) -> Whitening:
        """To at most ``dim`` directions, those of the greatest variance first."""
        exact = np.asarray(vectors, np.float64)
        if not len(exact):
            return cls(np.zeros(exact.shape[1]), np.zeros((exact.shape[1], 0)))
        mean = exact.mean(axis=0)
        away = exact - mean
        variances, axes = np.linalg.eigh(away.T @ away / len(exact))
        spreads, axes = np.sqrt(variances[::-1].clip(min=0)), axes[:, ::-1]
        kept = min(dim, int((spreads > _LEAST * max(spreads[0], _LEAST)).sum()))
        largest = np.abs(axes[:, :kept]).argmax(axis=0)
        signs = np.where(axes[largest, np.arange(kept)] < 0, -1.0, 1.0)
        return cls(mean, axes[:, :kept] * signs / spreads[:kept])

    def _padded(self, width: int) -> Whitening:
        more = np.zeros((len(self.weights), width - self.width))
        return Whitening(self.mean, np.hstack([self.weights, more]))

    def _turned_back(self) -> Whitening:
        lengths = np.linalg.norm(self.weights, axis=0)
        return Whitening(self.mean, self.weights @ (self.weights / lengths).T)
