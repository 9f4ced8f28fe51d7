"""What a probe's scores are told beside: guessing, and always saying what is most frequent."""

from __future__ import annotations

import numpy as np
import pytest

from egorag.train.probe_command import _told
from egorag.train.report import report

LABELS = ("open", "pour", "stir")
SHOWN = ["open", "pour", "wave", "pour"]  # nobody taught it to wave


def told(scores: np.ndarray) -> dict[str, object]:
    return report(
        {"label": scores.astype(np.float32)},
        {"label": LABELS},
        {"label": SHOWN},
        {"label": ["pour", "pour", "open", "stir"]},
        ["a", "a", "b", "b"],
        seed=0,
    )["label"]


def test_guessing_finds_no_label_that_was_never_learned() -> None:
    """Drawn by lot as the oracle: two hundred guesses score what chance says."""
    found = told(np.eye(3)[[0, 1, 2, 1]])
    assert found["never_learned"] == 1 and found["labels"] == 3
    assert found["accuracy"]["value"] == 0.75
    assert found["accuracy"]["chance"] == pytest.approx(0.25)
    assert found["accuracy"]["most_frequent"] == 0.5
    assert found["class_mean_recall@1"]["value"] == pytest.approx(2 / 3)
    assert found["class_mean_recall@1"]["chance"] == pytest.approx(2 / 9)
    rng = np.random.default_rng(0)
    guesses = [told(rng.random((4, 3))) for _ in range(200)]
    for name in ("accuracy", "class_mean_recall@1"):
        mean = np.mean([guess[name]["value"] for guess in guesses])
        assert mean == pytest.approx(found[name]["chance"], abs=0.05)


def test_a_probe_that_always_says_the_same_is_seen_to() -> None:
    scores = told(np.tile([0.0, 1.0, 0.0], (4, 1)))
    parts = {"train": 4, "validation": 1, "held_out": 4}
    text = _told(
        {
            "to": "probe",
            "trained_on": {
                "clips": parts,
                "videos": {part: ["v"] for part in parts},
                "absent_videos": 0,
                "left_out": 0,
            },
            "model": {"shape": {"labels": {"label": LABELS}}},
            "scores": {"label": scores},
        }
    )
    (line,) = [line for line in text.splitlines() if "accuracy" in line]
    assert line.split()[1] == "0.500"
    assert line.endswith("chance 0.250, always the most frequent label 0.500")
    assert "1 clips of others, all counted as missed" in text
