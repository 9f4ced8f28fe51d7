"""A calibrated confidence: what ``python -m egorag.calibrate`` writes and ``ask`` applies.

The folder holds the answerer's own confidence for questions with known answers and whether it was
right, so that a threshold for any target risk can be found from it later.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from egorag.errors import ConfigError, StoreError
from egorag.metrics.calibrators import Calibrator, from_json
from egorag.metrics.selective import Threshold, threshold_for
from egorag.train.card import Card, read
from egorag.types import Answer

KIND = "calibration"
CONFIDENCE, RIGHT = "confidence", "right"
_ALWAYS = "abstain_below"
"""The answerer's own threshold; a calibrated one takes its place."""

Singles = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Calibration:
    """A fitted calibration.

    Attributes:
        card: as it was written.
        calibrator: from the answerer's confidence to the chance that it is right.
        confidence, right: of each answer it was fitted on, float32 [answers].
    """

    card: Card
    calibrator: Calibrator
    confidence: Singles
    right: Singles

    @classmethod
    def open(cls, folder: Path) -> Calibration:
        """The calibration in ``folder``.

        Raises:
            ConfigError: none lies there.
            StoreError: it is damaged.
        """
        card, tensors = read(folder, KIND)
        try:
            fitted = from_json(card.model["calibrator"])
            return cls(card, fitted, tensors[CONFIDENCE], tensors[RIGHT])
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(f"{str(folder)!r} is damaged ({error}); calibrate again") from error

    def check(self, setup: Mapping[str, Any]) -> None:
        """Raise ConfigError unless the answers come about as those it was fitted on."""
        fitted = self.card.settings["setup"]
        for name in sorted({*fitted, *setup}):
            if fitted.get(name) != setup.get(name):
                raise ConfigError(
                    f"this calibration is for {name}={_short(fitted.get(name))}, and you ask with "
                    f"{name}={_short(setup.get(name))}; ask as it was calibrated, or calibrate "
                    "anew: python -m egorag.calibrate"
                )

    def threshold(self, target: float) -> Threshold | None:
        """From which of the answerer's confidences on the risk is at most ``target``; None where
        these questions cannot promise it.

        Raises:
            ConfigError: target is no share between 0 and 1.
        """
        try:
            return threshold_for(self.confidence, self.right, target)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"target_risk: {error}") from error

    def applied(self, answer: Answer, target: float | None = None) -> Answer:
        """The answer with its calibrated confidence; an abstention where it is too unsure for
        ``target``, or where no threshold can promise that.

        Args:
            answer: of an answerer made by ``always_answering``.
            target: the share of wrong ones allowed among the answers given; None never abstains.
        """
        raw = np.float32(answer.confidence)
        sure = 0.0 if answer.abstained else float(self.calibrator([raw])[0])
        on = f"{len(self.confidence)} questions"
        notes = (*answer.notes, f"confidence is calibrated on {on}")
        answer = replace(answer, confidence=sure, notes=notes)
        if answer.abstained or target is None:
            return answer
        found = self.threshold(target)
        if found is None:
            why = f"{on} cannot promise a risk of {target:g}; calibrate on more, or allow more"
        elif raw < found.value:
            why = f"confidence {sure:.2f} is too low for a risk of {target:g}"
        else:
            return answer
        return replace(
            answer,
            text=f"No answer: {why}.",
            abstained=True,
            choice=None,
            citations=(),
            verified=None,
        )


def always_answering(answerer: Any) -> Any:
    """The same answerer without a threshold of its own, so that every confidence is seen."""
    if not hasattr(answerer, _ALWAYS):
        return answerer
    return replace(answerer, **{_ALWAYS: 0.0})


def setup_of(
    answerer: object, methods: Mapping[str, object], k: int, without: Sequence[str]
) -> dict[str, Any]:
    """What a confidence depends on, as plain data: class and settings of each part."""
    parts = {"answerer": answerer, **methods}
    told = {name: _described(part) for name, part in parts.items()}
    plain: dict[str, Any] = json.loads(json.dumps(told, sort_keys=True, default=str))
    return {**plain, "k": k, "without": sorted(without)}


def _described(part: object) -> dict[str, Any]:
    held = fields(part) if is_dataclass(part) else ()
    settings = {f.name: getattr(part, f.name) for f in held if f.init and f.name != _ALWAYS}
    return {"class": f"{type(part).__module__}.{type(part).__qualname__}", **settings}


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= 160 else f"{text[:157]}..."
