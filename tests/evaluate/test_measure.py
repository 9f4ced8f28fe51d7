"""A run as a whole: its controls, its record, stopped and gone on with, made again."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from egorag import config
from egorag.errors import ConfigError
from egorag.evaluate import controls
from egorag.evaluate.base import Dataset, Item, Media, Relevant
from egorag.evaluate.compare import comparisons
from egorag.evaluate.measure import measure
from egorag.evaluate.record import Identity, Outcome, RunFolder, read_items, read_record, read_rows
from egorag.evaluate.rerun import _rows_differ
from egorag.evaluate.run import Asking
from egorag.evaluate.score import Row
from egorag.spans import Span
from egorag.types import Answer, TimedText

SAID = {
    "kitchen": ["I open the fridge", "the knife is on the red board", "the kettle whistles"],
    "garage": ["the bicycle has a flat tyre", "I hang the hammer on the wall", "paint is drying"],
    "garden": ["the roses need water", "a ladder leans on the fence", "the gate squeaks"],
}


def media(name: str) -> Media:
    lines = [
        TimedText(Span.seconds(10 * i, 10 * i + 10), text, "caption", "test")
        for i, text in enumerate(SAID[name])
    ]
    return Media(name, texts=tuple(lines))


def there(video: str, number: int) -> tuple[Relevant, ...]:
    return (Relevant(video, Span.seconds(10 * number, 10 * number + 10), 1.0),)


QUESTIONS = (
    Item("knife", "Where is the knife?", choices=("on the red board", "in the sink"), answer=0,
         relevant=there("kitchen", 1)),
    Item("tyre", "What has a flat tyre?", choices=("the car", "the bicycle", "a pram"), answer=1,
         relevant=there("garage", 0)),
    Item("ladder", "Where does the ladder lean?", choices=("on the fence", "on the roof"),
         answer=0, relevant=there("garden", 1)),
    Item("early", "Where is the hammer?", choices=("on the wall", "in a box"), answer=0,
         videos=("garage",), relevant=there("garage", 1), until=5.0),
)  # fmt: skip


def dataset(kind: str = "choice", items: tuple[Item, ...] = QUESTIONS) -> Dataset:
    return Dataset("toy", kind, items, tuple(media(name) for name in SAID), {"toy": "0" * 64})


@pytest.fixture
def settings(tmp_path):
    given = ["encoder=[minilm]", f"cache={tmp_path / 'cache'}", "output=json"]
    return config.compose("bench", given)


@pytest.fixture
def run(settings, tmp_path):
    def one(of: Dataset, fresh: bool = False):
        return measure(of, settings, tmp_path / "cache" / "runs", fresh=fresh)

    return one


def test_an_answer_stands_beside_all_its_controls(run):
    result = run(dataset()).result
    assert list(result["controls"]) == [
        "majority", "longest", "shortest", "blind", "oracle", "shuffled",
    ]  # fmt: skip
    assert [one["against"] for one in result["comparisons"]] == list(result["controls"])
    main = result["scores"]
    assert main["accuracy"]["value"] == 0.75  # the one asked too early is abstained from
    assert main["evidence"]["value"] == main["used"]["value"] == 0.75
    assert main["accuracy|evidence"]["value"] == 1
    assert result["controls"]["oracle"]["evidence"]["value"] == 0.75  # nor may the oracle see it
    assert result["controls"]["shuffled"]["evidence"]["value"] == 0


def test_a_ranking_stands_beside_chance_and_words(run):
    result = run(dataset("retrieval")).result
    assert list(result["controls"]) == ["random", "bm25"]
    assert result["scores"]["recall@10"]["value"] == 0.75


def test_random_scenes_keep_to_the_limits(run):
    done = run(dataset("retrieval"))
    drawn = read_rows(done.record)["random", "early"].output["hits"]
    assert drawn == []  # no scene of the garage has ended after 5 s


def test_a_rule_gives_equal_choices_equal_shares():
    item = Item("a", "?", choices=("one", "two", "three"), answer=1)
    by_length = controls._rule(lambda item: controls._most([len(text) for text in item.choices]))
    shortest = controls._rule(lambda item: controls._most([-len(t) for t in item.choices]))
    assert by_length(item)[0] == {"accuracy": 0.0}
    assert shortest(item)[0] == {"accuracy": 0.5}


def test_majority_never_counts_the_question_itself():
    items = [Item(str(i), "?", choices=("x", "y"), answer=a) for i, a in enumerate([0, 0, 1])]
    shares = controls._majority(items)
    assert [list(shares(item)) for item in items] == [[0.5, 0.5], [0.5, 0.5], [1.0, 0.0]]


def test_shuffled_evidence_is_of_another_video():
    items = [Item(f"{name}{i}", "?", videos=(name,)) for name in ("a", "b", "c") for i in range(4)]
    for seed in range(20):
        other = controls._others(items, seed)
        assert all(other[item.id].cluster != item.cluster for item in items)


def test_who_searches_itself_reaches_no_further_than_its_evidence(settings, tmp_path, monkeypatch):
    seen = []

    class Explorer:
        """Looks at all it may, as tools would let it."""

        def searching(self, search):
            return self

        def answer(self, query, hits, folder, encoder=None, choices=None):
            scenes = folder.catalog.scope(query).ids.tolist()
            seen.append((query.text, {hit.scene.id for hit in hits}, set(scenes)))
            return Answer("", True, 0.0)

    everywhere = QUESTIONS[:3]
    within = tuple(replace(one, videos=(one.cluster,)) for one in everywhere)
    for items, shuffled in ((everywhere, 0), (within, 3)):
        seen.clear()
        with monkeypatch.context() as patched:
            patched.setattr(
                "egorag.evaluate.measure._asking", lambda given: Asking(answerer=Explorer())
            )
            done = measure(dataset(items=items), settings, tmp_path / str(shuffled) / "runs")
        rows = read_rows(done.record)
        oracle, others = seen[3:6], seen[6:]
        assert all(hits == scope and len(hits) == 1 for _, hits, scope in oracle)
        assert len(others) == shuffled
        right = {text: hits for text, hits, _ in oracle}
        assert all(scope and scope.isdisjoint(right[text]) for text, _, scope in others)
        asked = [bool(rows["shuffled", one.id].values) for one in items]
        assert asked == [bool(shuffled)] * 3


def test_a_stopped_run_goes_on_where_it_was(run, settings, tmp_path, monkeypatch):
    whole = run(dataset())
    folder = whole.record
    lines = (folder / "rows.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "rows.jsonl").write_bytes(b"".join(lines[:9]) + lines[9][:20])
    (folder / "record.json").unlink()
    put = []
    keep = RunFolder.put
    monkeypatch.setattr(RunFolder, "put", lambda self, *a: (put.append(a[:2]), keep(self, *a))[1])
    again = run(dataset())
    assert again.result == whole.result and again.record == whole.record
    assert len(put) == len(lines) - 9
    assert read_record(folder)["cost"]["rows_taken_over"] == 9


def test_a_finished_run_asks_nothing_again(run, monkeypatch):
    first = run(dataset())
    monkeypatch.setattr(RunFolder, "put", lambda *_: pytest.fail("asked again"))
    assert run(dataset()) == first


def test_an_interrupted_item_is_not_kept(run, monkeypatch):
    asked = []

    def breaks(self, item):
        asked.append(item.id)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return self._answer(item)

    with monkeypatch.context() as patched:
        patched.setattr("egorag.evaluate.run.Session.measure", breaks)
        with pytest.raises(KeyboardInterrupt):
            run(dataset())
    assert run(dataset()).result == run(dataset(), fresh=True).result


def test_other_settings_other_media_other_code_are_other_runs(settings):
    one = Identity(settings, "c", {"a": "1"}, {"v": "1"})
    same = {**settings, "cache": "elsewhere", "output": "text", "memory": "1GB"}
    assert Identity(same, "c", {"a": "1"}, {"v": "1"}).key == one.key
    others = [
        Identity({**settings, "k": 3}, "c", {"a": "1"}, {"v": "1"}),
        replace(one, code="d"),
        replace(one, sources={"a": "2"}),
        replace(one, media={"v": "2"}),
    ]
    assert len({one.key, *(other.key for other in others)}) == 5


def test_rows_that_differ_are_named():
    old = {("main", "q"): Outcome({"accuracy": 1.0}, {"answer": "x"}, 1.0)}
    assert _rows_differ(old, {("main", "q"): replace(old["main", "q"], seconds=9.0)}) == []
    new = {("main", "q"): Outcome({"accuracy": 0.0}, {"answer": "x"}, 1.0)}
    assert _rows_differ(old, new) == ["main of item q, scores.accuracy: was 1.0, is 0.0"]
    assert _rows_differ(old, {}) == ["main of item q: only in the old run"]


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 99}'])
def test_a_damaged_record_is_refused(tmp_path, content):
    (tmp_path / "record.json").write_text(content)
    with pytest.raises(ConfigError, match=r"record\.json"):
        read_record(tmp_path)


def test_no_record_is_said(tmp_path):
    with pytest.raises(ConfigError, match="begun and not finished"):
        read_record(tmp_path)


def rows(values: list[float]) -> list[Row]:
    items = [Item(str(i), "?") for i in range(len(values))]
    return [Row(item, {"m": v}, {}, 0.0) for item, v in zip(items, values, strict=True)]


def test_a_gain_survives_only_where_it_is_one():
    dice = np.random.default_rng(0)
    base = dice.random(200)
    told = comparisons(
        {
            "run": rows(list(base + 0.2)),
            "worse": rows(list(base)),
            "same": rows(list(base + 0.2)),
            "better": rows(list(base + 0.5)),
        },
        "m",
    )
    assert [(one["against"], one["survives"]) for one in told] == [
        ("worse", True), ("same", False), ("better", False),
    ]  # fmt: skip
    assert all(one["p_corrected"] >= one["p"] for one in told)
    assert told[0]["mcnemar"] is None


def test_the_record_tells_what_the_numbers_are_of(run):
    record = read_record(run(dataset()).record)
    assert record["config"]["k"] == 10
    assert "cache" not in record["config"]
    assert set(record["media"]) == set(SAID)
    assert record["environment"]["packages"]["numpy"] == np.__version__
    assert record["cost"]["peak_memory_bytes"] > 1e7
    assert json.dumps(record)


def test_rows_tell_which_hits_are_right_and_how_many_there_are(run):
    done = run(dataset("retrieval"))
    items = {item.id: item for item in read_items(done.record)}
    assert tuple(items.values()) == QUESTIONS
    for (condition, id), row in read_rows(done.record).items():
        graded = [hit["grade"] > 0 for hit in row.output["hits"]]
        assert row.output["relevant"] == 1, condition
        assert row.values["recall@5"] == sum(graded[:5]), (condition, id)


def test_rows_of_answers_tell_which_evidence_is_right(run):
    rows = read_rows(run(dataset()).record)
    for (condition, _), row in rows.items():
        if "evidence" in row.values:
            assert row.values["evidence"] == any(h["grade"] for h in row.output["evidence"])
            assert row.output["relevant"] == 1, condition
