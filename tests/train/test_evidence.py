"""Fitting what represents a scene: an oracle, planted skill, noise, the command and refusals."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import egorag
from egorag import config
from egorag.errors import ConfigError, StoreError
from egorag.fuse.pool import SCALES
from egorag.retrieve.adaptive import Adaptive, Told
from egorag.train import evidence_command
from egorag.train.card import CARD, WEIGHTS, read, write
from egorag.train.learned_evidence import LearnedAdaptive
from egorag.train.scorer import Example, Scorer, Scoring, fit, logistic

CHUNKS, NAMES = 40, ["scene/a", "scene/b"]


def examples(count: int, skill: tuple[float, float], seed: int = 0) -> list[Example]:
    """Queries with one right chunk each; a configuration tells ``skill`` times that, plus noise,
    and has no say of a tenth of the chunks."""
    dice = np.random.default_rng(seed)
    made = []
    for number in range(count):
        right = int(dice.integers(CHUNKS))
        raw = dice.normal(size=(2, CHUNKS))
        raw[:, right] += skill
        raw[dice.random((2, CHUNKS)) < 0.1] = np.nan
        values = {}
        for scale, (of, _) in SCALES.items():
            values[scale] = raw.copy()
            for row in values[scale]:
                row[~np.isnan(row)] = of(row[~np.isnan(row)])
        rows = np.arange(CHUNKS)
        base = Told([(0, "a"), (0, "b")], rows, rows[None], raw, {})
        told = {scale: replace(base, values=of) for scale, of in values.items()}
        made.append(Example.of(f"query {number}", told, rows, {right: 1.0}))
    return made


def test_the_weights_are_those_of_scikit_learn():
    linear = pytest.importorskip("sklearn.linear_model")
    dice = np.random.default_rng(1)
    inputs = dice.normal(size=(200, 4))
    labels = (inputs @ [1, -2, 0, 0.5] + dice.normal(size=200) > 0.3).astype(float)
    theirs = linear.LogisticRegression(C=1 / 0.7, fit_intercept=False, tol=1e-10)
    theirs.fit(inputs, labels)
    assert logistic(inputs, labels, 0.7) == pytest.approx(theirs.coef_[0], abs=1e-4)
    # What can be told apart without fault has an answer too, by the ridge.
    assert np.isfinite(logistic(inputs, (inputs[:, 0] > 0).astype(float), 1e-3)).all()


def test_a_planted_skill_is_found_and_beats_the_plain_mean():
    """b is noise: its configuration gets low odds however far one of its scores stands out."""
    given_examples = examples(60, (4.0, 0.0))
    scorer, told = fit(given_examples, NAMES, Scoring(folds=3))
    of = told["ndcg@10"]
    assert of["learned"]["value"] - of["untrained"]["value"] == pytest.approx(
        of["difference"]["value"]
    )
    assert of["learned"]["clusters"] == 60
    assert of["difference"]["low"] > 0
    example = given_examples[0]
    odds = scorer.odds(example.told, NAMES)
    right = [int(i) in example.grades for i in example.ids]
    assert np.nanmax(odds[:, right]) > np.nanmedian(odds)
    a, b = np.nan_to_num(odds)
    assert np.ptp(a) > 3 * np.ptp(b)
    again, repeated = fit(given_examples, NAMES, Scoring(folds=3))
    assert repeated == told and (again.weights == scorer.weights).all()


def test_log_odds_are_by_the_definition():
    (example,) = examples(1, (1.0, 1.0))
    weights = np.array([[0.5, 2.0, -1.0, 10.0], [1.0, 0.0, 3.0, 20.0]])
    odds = Scorer(("scene/b", "scene/a"), weights).odds(example.told, NAMES)
    for place, of in ((0, weights[1]), (1, weights[0])):
        z, share, rank = (example.told[scale].values[place] for scale in SCALES)
        expected = of[0] * z + of[1] * share + of[2] * rank + of[3]
        assert odds[place] == pytest.approx(expected, nan_ok=True)


def test_nothing_is_learned_from_noise():
    _, told = fit(examples(60, (0.0, 0.0)), NAMES, Scoring(folds=4))
    assert told["ndcg@10"]["difference"]["low"] <= 0


@pytest.mark.parametrize("wrong", [{"k": 0}, {"folds": 1}, {"seed": -1}, {"ridge": 0}, {"k": True}])
def test_settings_are_checked(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
        Scoring(**wrong)


# -- the command --

SAID = [
    f"{verb} the {noun}"
    for verb, noun in itertools.product(
        ["open", "close", "wash", "cut", "take"], ["fridge", "knife", "plate", "bread", "drawer"]
    )
]


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kitchen")
    at = [{"video": f"{i % 2}.mp4", "start": i // 2 * 2, "end": i // 2 * 2 + 2} for i in range(25)]
    corpus = [{**span, "text": text} for span, text in zip(at, SAID, strict=True)]
    judged = [{"query": text, "relevant": [s]} for text, s in zip(SAID, at, strict=True)]
    for name, told in (("texts", corpus), ("judged", judged)):
        (folder / f"{name}.jsonl").write_text("\n".join(json.dumps(one) for one in told))
    egorag.build(folder / "texts.jsonl", folder / "index", ["encoder=[minilm]"]).close()
    return folder


def train(kitchen: Path, to: Path, *overrides: str):  # type: ignore[no-untyped-def]
    given_settings = {
        "index": kitchen / "index", "judged": kitchen / "judged.jsonl", "to": to,
        "training.folds": 3, **dict(one.split("=", 1) for one in overrides),
    }  # fmt: skip
    listed = [f"{key}={value}" for key, value in given_settings.items()]
    return evidence_command.run(config.compose("train evidence", listed))


@pytest.fixture(scope="module")
def trained(kitchen: Path) -> Path:
    told = train(kitchen, kitchen / "evidence")
    assert told.data["scores"]["ndcg@10"]["learned"]["value"] > 0.9
    assert "strategy=adaptive_learned" in told.text and "ndcg@10 untrained" in told.text
    return kitchen / "evidence"


def test_a_search_uses_what_was_fitted(kitchen, trained):
    card, _ = read(trained, "evidence")
    assert card.model["names"] == ["scene/bm25", "scene/minilm"]
    assert set(card.spaces) == set(card.trained_on["encoders"]) == {"minilm"}
    strategy = LearnedAdaptive(card=str(trained))
    with egorag.open(kitchen / "index") as index:
        found = index.search("cut the bread", k=5, strategy=strategy)
        plain = index.search("cut the bread", k=5, strategy=Adaptive())
        assert found[0].text == plain[0].text == "cut the bread"
        assert found[0].form == "caption"
        assert [h.score for h in found] != [h.score for h in plain]
        with pytest.raises(ConfigError, match="fitted without 'event/bm25', only with scene/bm25"):
            index.search("bread", strategy=LearnedAdaptive(card=str(trained), widest="event"))
        with pytest.raises(ConfigError, match="fitted without 'event/bm25'"):
            index.search("bread", level="event", strategy=strategy)
        fewer = index.search("cut the bread", strategy=strategy, without=["minilm"])
        assert fewer[0].text == "cut the bread"


def test_the_same_training_writes_the_same_bytes(kitchen, trained):
    train(kitchen, kitchen / "again")
    for name in (CARD, WEIGHTS):
        assert (kitchen / "again" / name).read_bytes() == (trained / name).read_bytes()


def test_what_is_missing_damaged_or_cannot_be_fitted_is_refused(kitchen, trained, tmp_path):
    with pytest.raises(ValueError, match=r"card is missing; give strategy\.card=FOLDER"):
        LearnedAdaptive()
    with pytest.raises(ConfigError, match="no trained evidence lies in"):
        _ = LearnedAdaptive(card=str(tmp_path / "none")).scorer
    card, tensors = read(trained, "evidence")
    for name, weights in (("weights", tensors["weights"][:1]), ("other", tensors["weights"])):
        write(tmp_path / name, card, {name: weights})
        with pytest.raises(StoreError, match="is damaged"):
            _ = LearnedAdaptive(card=str(tmp_path / name)).scorer
    with pytest.raises(ConfigError, match="no level widest='events'; did you mean 'event'"):
        train(kitchen, tmp_path / "to", "widest=events")
    with pytest.raises(ConfigError, match="at least 99 are needed"):
        train(kitchen, tmp_path / "to", "training.folds=99")
    with pytest.raises(ConfigError, match="training has no setting 'fold'"):
        train(kitchen, tmp_path / "to", "training.fold=3")
    assert not (tmp_path / "to").exists()
