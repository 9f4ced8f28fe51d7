"""``python -m egorag.calibrate`` and ``ask calibration=...`` as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Command

from egorag import ask, calibrate, config
from egorag.cli import Result
from egorag.errors import ConfigError, EgoragError, StoreError
from egorag.train.calibration import Calibration

SOFT = "answerer.width=0.5"
"""A curve so soft that every confidence is near a half: not what the answers are worth."""
ROOMS = ("kitchen", "garage", "garden", "attic", "office", "cellar")
THINGS = {
    "hammer": "I put the red hammer on the shelf.",
    "letter": "The letter from Anna lies in the drawer.",
    "bicycle": "My bicycle leans against the wall.",
    "cat": "The cat sleeps under the table.",
    "guitar": "He tunes the old guitar with care.",
}
ASKED = {
    "hammer": "Where did I put the hammer?",
    "letter": "Where is Anna's letter?",
    "bicycle": "What does the bicycle lean against?",
    "cat": "Where does the cat sleep?",
    "guitar": "Who tunes the guitar?",
}


@pytest.fixture(scope="module")
def world(command: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six videos of timed text, indexed; questions that are answered in them, and some not."""
    folder = tmp_path_factory.mktemp("calibrate")
    lines, questions = [], []
    for number, room in enumerate(ROOMS):
        for place, (thing, text) in enumerate(THINGS.items()):
            if (number + place) % 6 == 5:
                questions.append({"question": ASKED[thing], "answer": None, "video": room})
                continue
            span = {"video": room, "start": 10 * place, "end": 10 * place + 10}
            lines.append({**span, "text": text, "track": "caption"})
            questions.append({"question": ASKED[thing], "relevant": [span], "video": room})
        questions.append({"question": "Which stock price fell?", "answer": None, "video": room})
        pair = {"choices": ["the cat", "a submarine"], "answer": "the cat", "video": room}
        questions.append({"question": "Who sleeps?", **pair})
    (folder / "t.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "q.jsonl").write_text("".join(json.dumps(one) + "\n" for one in questions))
    done = command("index", f"input={folder / 't.jsonl'}", f"index={folder / 'i'}")
    assert done.returncode == 0, done.stderr
    return folder


def settings(world: Path, name: str = "calibrate", *overrides: str) -> dict[str, Any]:
    given = [f"questions={world / 'q.jsonl'}"] if name == "calibrate" else []
    return config.compose(name, [f"index={world / 'i'}", *given, *overrides])


@pytest.fixture(scope="module")
def calibrated(world: Path) -> Result:
    to = world / "calibration"
    return calibrate.run(settings(world, "calibrate", f"to={to}", "target_risk=0.4", SOFT))


@pytest.fixture(scope="module")
def card(calibrated: Result) -> Path:
    return Path(calibrated.data["to"])


def asked(world: Path, card: Path, question: str, *overrides: str) -> dict[str, Any]:
    given = [f"question={question}", f"calibration={card}", SOFT, *overrides]
    return ask.run(settings(world, "ask", *given)).data


def test_the_numbers_and_the_folder(calibrated: Result, card: Path) -> None:
    told = calibrated.data
    assert told["questions"] == 42 and told["groups"] == 6 and told["unanswerable"] == 11
    assert "42 questions in 6 groups" in calibrated.text
    assert f"ask ... calibration={card} target_risk=0.4" in calibrated.text
    assert told["ece"]["after"]["value"] < told["ece"]["before"]["value"]
    assert told["brier"]["after"]["value"] < told["brier"]["before"]["value"]
    assert told["auroc"] > 0.7
    risks = [row["value"] for row in told["risk_coverage"]]
    assert risks[-1] == pytest.approx(1 - told["accuracy"]["value"])
    assert told["risk_coverage"][-1]["coverage"] == told["answered"] / told["questions"]
    kept = Calibration.open(card)
    assert len(kept.confidence) == told["answered"]
    assert kept.right.mean() == pytest.approx(told["accuracy"]["value"])
    found = kept.threshold(0.4)
    assert found is not None and found.to_json() == told["threshold"]
    assert {**kept.card.scores, "to": str(card)} == json.loads(json.dumps(told))


def test_the_same_calibration_is_the_same_bytes(world: Path, card: Path, tmp_path: Path) -> None:
    calibrate.run(settings(world, "calibrate", f"to={tmp_path / 'b'}", "target_risk=0.4", SOFT))
    for file in sorted(card.iterdir()):
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_ask_gives_the_calibrated_probability_and_says_so(world: Path, card: Path) -> None:
    plain = ask.run(settings(world, "ask", f"question={ASKED['cat']}", SOFT)).data
    told = asked(world, card, ASKED["cat"])
    kept = Calibration.open(card)
    assert told["confidence"] == pytest.approx(kept.calibrator([plain["confidence"]])[0], abs=1e-6)
    assert told["answer"] == plain["answer"] and told["citations"] == plain["citations"]
    assert f"confidence is calibrated on {len(kept.confidence)} questions" in told["notes"]


def test_a_target_risk_decides_what_is_answered(world: Path, card: Path) -> None:
    sure = asked(world, card, ASKED["cat"], "target_risk=0.4")
    assert not sure["abstained"]
    unsure = asked(world, card, "Which stock price fell?", "target_risk=0.4")
    assert unsure["abstained"] and unsure["citations"] == [] and unsure["verified"] is None
    assert "is too low for a risk of 0.4" in unsure["answer"]
    assert not asked(world, card, "Which stock price fell?")["abstained"]  # nobody asked it to
    strict = asked(world, card, ASKED["cat"], "target_risk=0.001")
    assert strict["abstained"] and "cannot promise a risk of 0.001" in strict["answer"]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["answerer.sentences=1"], "calibration is for answerer="),
        (["k=3"], "for k=10, and you ask with k=3"),
        (["fuser=rrf"], "calibration is for fuser="),
        (["without=[bm25]"], "for without=[], and you ask with without="),
        (["target_risk=2"], "target must lie between 0 and 1"),
        (["target_risk=much"], "target_risk: "),
    ],
)
def test_another_way_to_answer_is_refused(
    world: Path, card: Path, overrides: list[str], said: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        asked(world, card, "Who?", *overrides)
    assert said in str(raised.value)


def test_the_answerers_own_threshold_does_not_matter(world: Path, card: Path) -> None:
    """The calibrated one takes its place."""
    told = asked(world, card, ASKED["cat"], "answerer.abstain_below=0.99")
    assert not told["abstained"]


def test_a_folder_that_is_none_or_was_changed_is_refused(
    world: Path, card: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"make one: python -m egorag\.calibrate to="):
        asked(world, tmp_path, "Who?")
    with pytest.raises(ConfigError, match="target_risk needs calibration=FOLDER"):
        ask.run(settings(world, "ask", "question=Who?", "target_risk=0.1"))
    for file in card.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    text = (tmp_path / "card.json").read_text()
    (tmp_path / "card.json").write_text(text.replace('"slope": ', '"slope": 1'))
    with pytest.raises(StoreError, match="was changed"):
        asked(world, tmp_path, "Who?")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["calibrator=plat"], "did you mean 'platt'"),
        (["folds=1"], "folds must be a whole number from 2 up"),
        (["target_risk=1"], "target_risk must be a share"),
        (["seed=-1"], "seed must be"),
        (["questions=/nowhere.jsonl"], "cannot read the questions"),
    ],
)
def test_wrong_settings_are_refused(world: Path, overrides: list[str], said: str) -> None:
    with pytest.raises(EgoragError) as raised:
        calibrate.run(settings(world, "calibrate", *overrides))
    assert said in str(raised.value)


def test_too_few_questions_are_refused(world: Path, tmp_path: Path) -> None:
    few = (world / "q.jsonl").read_text().splitlines()[:10]
    (tmp_path / "few.jsonl").write_text("\n".join(few))
    with pytest.raises(ConfigError, match=r"of 10 questions were answered, .* at least 20"):
        calibrate.run(settings(world, "calibrate", f"questions={tmp_path / 'few.jsonl'}"))


def test_isotonic_and_the_command_line(world: Path, command: Command) -> None:
    done = command(
        "calibrate", f"index={world / 'i'}", f"questions={world / 'q.jsonl'}",
        "calibrator=isotonic", "output=json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["answered"] > 30
