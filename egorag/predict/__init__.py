"""What happens next, by V-JEPA 2's predictor.

    import egorag.predict

    with egorag.predict.open(video="kitchen.mp4", frames=16) as predictor:
        future = predictor.predict_future(Span.seconds(0, 10), seconds=2)
        print(predictor.coherence(Span.seconds(0, 10), Span.seconds(10, 12)))
        curve = egorag.predict.surprise(predictor)
        print(curve, egorag.predict.anomalies(curve))

Importing it imports nothing heavy; ``open`` loads the weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from egorag.encode.vjepa2 import VJEPA2
from egorag.predict.anticipation import Anticipated, OnFeatures, TextProjection, TokenProbe
from egorag.predict.clips import Clip, Footage
from egorag.predict.curve import Surprise, SurpriseCurve, surprise, surprises
from egorag.predict.energy import Coherence, Tokens, energy, normalised
from egorag.predict.ordering import Order, order
from egorag.predict.predictor import Predictor
from egorag.predict.uses import Peak, anomalies, cuts, summary

__all__ = [
    "Anticipated",
    "Clip",
    "Coherence",
    "Footage",
    "OnFeatures",
    "Order",
    "Peak",
    "Predictor",
    "Surprise",
    "SurpriseCurve",
    "TextProjection",
    "TokenProbe",
    "Tokens",
    "anomalies",
    "cuts",
    "energy",
    "normalised",
    "open",
    "order",
    "summary",
    "surprise",
    "surprises",
]


def open(
    checkpoint: str | Path | None = None,
    *,
    video: str | Path | None = None,
    device: str = "auto",
    **settings: Any,
) -> Predictor:
    """A predictor over a V-JEPA 2 checkpoint.

    Args:
        checkpoint: hub name or folder; the encoder's default where none is given.
        video: the file that bare spans are of.
        settings: further ones of ``egorag.encode.vjepa2.VJEPA2``, such as ``frames=16``.

    Raises:
        ConfigError: see ``Predictor``.
    """
    if checkpoint is not None:
        settings["checkpoint"] = str(checkpoint)
    return Predictor(VJEPA2(**settings), video, device)
