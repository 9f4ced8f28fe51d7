"""How far a prediction lies from what came: V-JEPA 2's own training loss, with baselines.

The predictor was trained to give, at masked places, the encoder's tokens after a layer norm
without weights, under an L1 loss (Assran et al. 2025, arXiv:2506.09985; ``forward_target`` and
``loss_fn`` in facebookresearch/vjepa2 ``app/vjepa/train.py``, ``loss_exp: 1.0``). An energy here is
that loss: the mean absolute difference a component, between the predictor's output as it is and
the normalised tokens of what really came. The real tokens are those of context and future encoded
together, as in training (there by the averaged encoder, here by the one published).

An energy has no scale of its own. It is told beside the energy of a static copy (the last step of
the context, as if nothing moved) and of shuffled pairs (something else than what came).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Tokens: TypeAlias = npt.NDArray[np.float32]
"""[steps, side, side, dim]; a step is two frames, side = crop / patch."""

_EPSILON = 1e-5  # torch's layer_norm


def normalised(tokens: Tokens) -> Tokens:
    """Each token with mean 0 and variance 1: ``torch.nn.functional.layer_norm`` over the last
    axis, the targets V-JEPA 2 was trained on."""
    centred = tokens - tokens.mean(-1, keepdims=True)
    scale = np.sqrt(np.square(centred).mean(-1, keepdims=True) + np.float32(_EPSILON))
    scaled: Tokens = (centred / scale).astype(np.float32, copy=False)
    return scaled


def energy(predicted: Tokens, real: Tokens) -> float:
    """Mean absolute difference a component; ``real`` is normalised, shapes broadcast."""
    return float(np.abs(predicted - real).mean(dtype=np.float64))


@dataclass(frozen=True, eq=False)
class Judged:
    """A prediction beside what came.

    Attributes:
        predicted: [steps, side, side, dim], the predictor's output.
        real: the same shape, normalised tokens of what came.
        last: [1, side, side, dim], the context's last step, normalised.
    """

    predicted: Tokens
    real: Tokens
    last: Tokens

    @property
    def energy(self) -> float:
        """Of the prediction."""
        return energy(self.predicted, self.real)

    @property
    def static(self) -> float:
        """Of the static copy."""
        return energy(self.last, self.real)


@dataclass(frozen=True)
class Coherence:
    """How well ``b`` follows on ``a``; lower is better, and only the ratios can be read alone.

    Attributes:
        energy: of the predicted continuation of a against what b is.
        static: of a's last step repeated, against the same.
        shuffled: of the prediction against something else than b, mean of the pairs.
        pairs: how many pairs; 0 where b's own tokens were put in other places (seeded), because
            no other clips were given.
        steps: of two frames, how much of b was judged.
    """

    energy: float
    static: float
    shuffled: float
    pairs: int
    steps: int

    @property
    def ratio(self) -> float:
        """Energy over the static copy's: below 1, predicting beat standing still."""
        return self.energy / self.static if self.static else float("inf")

    @property
    def against_shuffled(self) -> float:
        """Energy over that of shuffled pairs: below 1, b fits better than something else."""
        return self.energy / self.shuffled if self.shuffled else float("inf")

    def __str__(self) -> str:
        other = f"{self.pairs} other clips" if self.pairs else "its tokens in other places"
        return (
            f"energy {self.energy:.4f} over {self.steps} steps; static copy {self.static:.4f} "
            f"(ratio {self.ratio:.2f}), {other} {self.shuffled:.4f} "
            f"(ratio {self.against_shuffled:.2f})"
        )
