"""Fitting weights: planted ones are found, noise is not taken for skill; oracles and refusals."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

import egorag
from egorag import config
from egorag.errors import ConfigError, StoreError
from egorag.fuse.base import Covered
from egorag.fuse.weighted import WeightedScores
from egorag.metrics.ranking import ndcg
from egorag.spans import Span
from egorag.train import fusion_command
from egorag.train.card import CARD, WEIGHTS, read, write
from egorag.train.fusion import Example, Fitting, _Table, fit
from egorag.train.judged import Judged, Relevant, read_judged
from egorag.train.learned import LearnedWeights
from egorag.types import Scene, Video

SCENES = 25


def examples(count: int, skill: dict[str, float], seed: int = 0) -> list[Example]:
    """Queries with two right scenes each; a ranking's score is ``skill`` times the grade plus
    noise, on a scale of its own, and some scenes lack each modality."""
    dice = np.random.default_rng(seed)
    made = []
    for number in range(count):
        right = dice.choice(SCENES, 2, replace=False)
        grades = {int(right[0]): 2.0, int(right[1]): 1.0}
        rankings = {}
        for place, (name, worth) in enumerate(sorted(skill.items())):
            known = dice.random(SCENES) < 0.9
            score = [worth * grades.get(i, 0) + dice.normal() for i in range(SCENES)]
            pairs = [(i, 10**place * s + place) for i, s in enumerate(score) if known[i]]
            pairs = sorted(pairs, key=lambda pair: -pair[1])[:15]
            ids = frozenset(np.flatnonzero(known).tolist())
            rankings[name] = Covered(pairs, ids, pairs[-1][1])
        made.append(Example(f"query {number}", rankings, grades))
    return made


# -- what is computed --


@pytest.mark.parametrize("normalise", ["z", "minmax", "rank"])
def test_the_table_scores_what_the_fuser_does(normalise):
    """Weights of zero take a ranking's scenes out of the pool in both."""
    given_examples = examples(4, {"a": 1.0, "b": 0.5, "c": 0.0})
    table = _Table(given_examples, 10)
    for weights in itertools.product((0.0, 0.25, 1.0), repeat=3):
        if not any(weights):
            continue
        fuser = WeightedScores(normalise, dict(zip("abc", weights, strict=True)))
        fused = [[f.id for f in fuser.fuse(e.rankings)] for e in given_examples]
        expected = [ndcg(o, e.grades, 10) for o, e in zip(fused, given_examples, strict=True)]
        assert table.scores(normalise, weights).tolist() == pytest.approx(expected)


def test_a_planted_skill_is_found_and_beats_equal_weights_on_queries_not_seen():
    given_examples = examples(60, {"blind": 0.0, "deaf": 0.0, "sharp": 4.0})
    fitted = fit(given_examples, Fitting(folds=3))
    assert fitted.chosen.weights["sharp"] == 1
    assert max(fitted.chosen.weights["blind"], fitted.chosen.weights["deaf"]) <= 0.25
    told = fitted.scores["ndcg@10"]
    assert told["difference"]["low"] > 0.05
    assert told["learned"]["value"] - told["weighted"]["value"] == pytest.approx(
        told["difference"]["value"]
    )
    plain = [[f.id for f in WeightedScores().fuse(e.rankings)] for e in given_examples]
    expected = [ndcg(o, e.grades, 10) for o, e in zip(plain, given_examples, strict=True)]
    assert told["weighted"]["value"] == pytest.approx(np.mean(expected))
    assert len(fitted.folds) == 3 and all(f.weights["sharp"] == 1 for f in fitted.folds)


def test_nothing_is_learned_from_grades_of_no_meaning():
    """What it was fitted on looks better than it is; queries held out tell."""
    fitted = fit(examples(40, {"a": 0.0, "b": 0.0, "c": 0.0}), Fitting(folds=4))
    told = fitted.scores["ndcg@10"]
    assert told["difference"]["low"] <= 0
    assert told["on_what_it_was_fitted_on"]["value"] > told["learned"]["value"]


def test_a_held_out_query_is_scored_by_the_weights_of_the_others():
    """Each query twice: both copies lie in one fold. The seed deals; the rest repeats."""
    once = examples(12, {"a": 1.0, "b": 1.0})
    fitting = Fitting(folds=4, seed=3)
    fitted = fit([*once, *once], fitting)
    assert fitted == fit([*once, *once], fitting)
    texts = sorted(e.query for e in once)
    fold = dict(zip(texts, np.random.default_rng(3).permutation(12) % 4, strict=True))
    found = []
    for example in once:
        of = fitted.folds[fold[example.query]]
        order = WeightedScores(of.normalise, of.weights).fuse(example.rankings)
        found.append(ndcg([f.id for f in order], example.grades, 10))
    assert fitted.scores["ndcg@10"]["learned"]["value"] == pytest.approx(np.mean(found))
    assert fitted.scores["ndcg@10"]["learned"]["clusters"] == 12


def test_settings_of_the_fitting_are_checked():
    for bad in ({"k": 0}, {"folds": 1}, {"rounds": 0}, {"seed": -1}, {"k": 2.5}, {"k": True}):
        with pytest.raises(ValueError, match="must be a whole number"):
            Fitting(**bad)


# -- judged queries --


def test_a_scene_has_the_grade_of_what_it_shares_most_of():
    spans = [Span.seconds(0, 10), Span.seconds(10, 20), Span.seconds(20, 30)]
    scenes = {"v": [Scene(i, "v", span, 0, i, None, span.end) for i, span in enumerate(spans)]}
    relevant = (
        Relevant("v", Span.seconds(4, 20), 1),  # 6 of scene 0's 10 seconds, and all of scene 1
        Relevant("v", Span.seconds(12, 13), 3),  # lies in scene 1
        Relevant("v", Span.seconds(28, 60), 2),  # 2 of scene 2's 10 seconds
        Relevant("v", Span.seconds(21, 29), 0),  # judged, and found wrong
        Relevant("elsewhere", Span.seconds(0, 10), 1),
    )
    assert Judged("q", relevant).grades(scenes) == {0: 1, 1: 3}


VIDEOS = [Video("id1", "films/a.mp4", 10**9), Video("id2", "films/b.mp4", 10**9)]


def lines(path: Path, *told: object) -> Path:
    path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in told))
    return path


def test_judged_queries_are_read(tmp_path):
    one = {"query": "milk", "relevant": [{"video": "a.mp4", "start": 5, "end": "1:00", "grade": 2}]}
    two = {"query": "bread", "relevant": [{"video": "gone.mp4", "start": 0, "end": 1.5}]}
    found = read_judged(lines(tmp_path / "j.jsonl", one, "", two), VIDEOS)
    assert found == [
        Judged("milk", (Relevant("id1", Span.seconds(5, 60), 2.0),)),
        Judged("bread", (Relevant("gone.mp4", Span.seconds(0, 1.5), 1.0),)),
    ]


AT = {"video": "a.mp4", "start": 0, "end": 1}


@pytest.mark.parametrize(
    ("told", "match"),
    [
        ("{", "line 2: not JSON"),
        ([], "line 2: expected"),
        ({"query": " ", "relevant": []}, "line 2: expected"),
        ({"query": "q"}, "line 2: relevant must be a list"),
        ({"query": "q", "relevant": ["a"]}, "line 2: relevant must be a list"),
        ({"query": "q", "relevant": [{"start": 0, "end": 1}]}, "line 2: relevant must be a list"),
        ({"query": "q", "relevant": [{**AT, "grade": -1}]}, "line 2: grade must be .* got -1"),
        ({"query": "q", "relevant": [{**AT, "grade": "high"}]}, "got 'high'"),
        ({"query": "q", "relevant": [{**AT, "end": 0}]}, "line 2: start and end must be times"),
        ({"query": "q", "relevant": [{"video": "a.mp4"}]}, "line 2: start"),
    ],
)
def test_a_line_that_makes_no_sense_is_named(tmp_path, told, match):
    path = lines(tmp_path / "j.jsonl", {"query": "milk", "relevant": [AT]}, told)
    with pytest.raises(ConfigError, match=match):
        read_judged(path, VIDEOS)


def test_files_without_answers_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot read the judged queries"):
        read_judged(tmp_path / "none.jsonl", VIDEOS)
    for told in ("", {"query": "milk", "relevant": []}):
        with pytest.raises(ConfigError, match="holds no query with anything relevant"):
            read_judged(lines(tmp_path / "j.jsonl", told), VIDEOS)
    nobody = {"query": "milk", "relevant": [{**AT, "video": "c.mp4"}]}
    with pytest.raises(ConfigError, match="the index holds none"):
        read_judged(lines(tmp_path / "j.jsonl", nobody), VIDEOS)


# -- the command --

VERBS = ["open", "close", "wash", "cut", "take"]
NOUNS = ["fridge", "knife", "plate", "bread", "drawer"]


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of timed text, searched by words and by MiniLM; queries beside it."""
    folder = tmp_path_factory.mktemp("kitchen")
    said = [f"{verb} the {noun}" for verb, noun in itertools.product(VERBS, NOUNS)]
    at = [(f"{i % 2}.mp4", i // 2 * 2, i // 2 * 2 + 2) for i in range(len(said))]
    keys = ("video", "start", "end")
    spans = [dict(zip(keys, one, strict=True)) for one in at]
    corpus = [{**span, "text": text} for span, text in zip(spans, said, strict=True)]
    lines(folder / "texts.jsonl", *corpus)
    egorag.build(folder / "texts.jsonl", folder / "index", ["encoder=[minilm]"]).close()
    judged = [{"query": t, "relevant": [span]} for t, span in zip(said, spans, strict=True)]
    lines(folder / "judged.jsonl", *judged)
    return folder


def train(kitchen: Path, to: Path, *overrides: str) -> dict:  # type: ignore[type-arg]
    given_settings = [f"index={kitchen / 'index'}", f"judged={kitchen / 'judged.jsonl'}",
                      f"to={to}", "training.folds=3", *overrides]  # fmt: skip
    keys = {argument.partition("=")[0]: argument for argument in given_settings}
    return fusion_command.run(config.compose("train fusion", list(keys.values()))).data


@pytest.fixture(scope="module")
def trained(kitchen: Path) -> Path:
    told = train(kitchen, kitchen / "fusion")
    assert told["scores"]["ndcg@10"]["learned"]["value"] > 0.9
    return kitchen / "fusion"


def test_a_search_uses_what_was_fitted(kitchen, trained):
    card, tensors = read(trained, "fusion")
    assert card.model["names"] == ["bm25", "minilm"]
    assert card.trained_on["queries"] == card.trained_on["scenes"] == 25
    assert set(card.spaces) == set(card.trained_on["encoders"]) == {"minilm"}
    assert card.settings["folds"] == len(card.model["folds"]) == 3
    fuser = LearnedWeights(str(trained))
    weights = dict(zip(card.model["names"], tensors["weights"].tolist(), strict=True))
    assert fuser.weighted == WeightedScores(card.model["normalise"], weights)
    settings = config.compose("search", ["query=cut the bread", f"index={kitchen / 'index'}",
                                         "fuser=learned", f"fuser.card={trained}"])  # fmt: skip
    from egorag.search import run

    hits = run(settings).data["hits"]
    assert hits[0]["text"] == "cut the bread"
    with egorag.open(kitchen / "index") as index:
        assert hits == [h.to_json() for h in index.search("cut the bread", fuser=fuser.weighted)]


def test_the_same_training_writes_the_same_bytes_and_tells_what_it_found(kitchen, trained):
    again = kitchen / "again"
    settings = config.compose("train fusion", [
        f"index={kitchen / 'index'}", f"judged={kitchen / 'judged.jsonl'}", f"to={again}",
        "training.folds=3"])  # fmt: skip
    told = fusion_command.run(settings).text
    for name in (CARD, WEIGHTS):
        assert (again / name).read_bytes() == (trained / name).read_bytes()
    assert "25 queries; 0 have no answer" in told
    assert "ndcg@10 weighted" in told and f"fuser=learned fuser.card={again}" in told
    assert "not surely better than fuser=weighted" in told  # words alone find them all


def test_rankings_that_are_not_those_fitted_are_refused(trained, tmp_path):
    card, _ = read(trained, "fusion")
    fitted = {"bm25": [(1, 1.0)], "minilm": [(1, 0.5)]}
    write(tmp_path / "both", card, {"weights": np.array([1, 0.5], np.float32)})
    both = LearnedWeights(str(tmp_path / "both"))
    both.check(["bm25", "minilm", "clap"])  # what an index has; a query may use less
    assert [f.id for f in both.fuse(fitted)] == [1]
    with pytest.raises(ConfigError, match=r"fitted with the ranking 'minilm', .* has bm25, clap"):
        both.check(["bm25", "clap"])
    with pytest.raises(ConfigError, match="fitted with the ranking 'bm25'"):
        both.fuse({"minilm": fitted["minilm"]})
    with pytest.raises(ConfigError, match="fitted without the ranking 'clap'"):
        both.fuse({**fitted, "clap": []})
    write(tmp_path / "words", card, {"weights": np.array([1, 0], np.float32)})
    words = LearnedWeights(str(tmp_path / "words"))  # one of no weight need not be there
    assert [f.id for f in words.fuse({"bm25": fitted["bm25"]})] == [1]


def test_a_card_that_is_missing_or_damaged_is_refused(trained, tmp_path):
    with pytest.raises(ValueError, match=r"card is missing; give fuser.card=FOLDER"):
        LearnedWeights()
    with pytest.raises(ConfigError, match="no trained fusion lies in"):
        LearnedWeights(str(tmp_path / "none")).check(["bm25"])
    card, tensors = read(trained, "fusion")
    for number, weights in enumerate(([1], [1, -1])):
        write(tmp_path / f"{number}", card, {"weights": np.array(weights, np.float32)})
        with pytest.raises(StoreError, match="is damaged"):
            LearnedWeights(str(tmp_path / f"{number}")).check(["bm25"])
    write(tmp_path / "named", card, {"other": tensors["weights"]})
    with pytest.raises(StoreError, match="is damaged"):
        LearnedWeights(str(tmp_path / "named")).check(["bm25"])


def test_what_cannot_be_fitted_is_refused(kitchen, tmp_path):
    to = tmp_path / "to"
    with pytest.raises(ConfigError, match="nothing to weigh"):
        train(kitchen, to, "without=[minilm]")
    with pytest.raises(ConfigError, match="did you mean 'scene'"):
        train(kitchen, to, "level=scenes")
    with pytest.raises(ConfigError, match="depth must be 1 or more"):
        train(kitchen, to, "depth=0")
    with pytest.raises(ConfigError, match="training has no setting 'fold'"):
        train(kitchen, to, "training.fold=3")
    with pytest.raises(ConfigError, match="at least 99 are needed"):
        train(kitchen, to, "training.folds=99")
    few = lines(tmp_path / "few.jsonl", {"query": "q", "relevant": [{**AT, "video": "0.mp4"}]})
    with pytest.raises(ConfigError, match=r"1 different queries .* at least 20 are needed"):
        train(kitchen, to, f"judged={few}")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is a file"):
        train(kitchen, tmp_path / "file")
    assert not to.exists()
