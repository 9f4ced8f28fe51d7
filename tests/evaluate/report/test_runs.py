"""Which runs are read, which are left out and why, which are compared, what they are called."""

from __future__ import annotations

import json

import pytest
from finished import CONFIG, answer, items_of, ranking, write_run

from egorag.errors import ConfigError
from egorag.evaluate.report import page
from egorag.evaluate.report.names import names
from egorag.evaluate.report.runs import alike, find_runs, read_run

GOOD, BAD = ranking(1.0, 0.0), ranking(0.0, 1.0)


def test_runs_are_found_by_cache_folder_and_record(tmp_path):
    one = write_run(tmp_path / "runs" / "a", items_of(), {"main": [GOOD] * 12})
    two = write_run(tmp_path / "runs" / "b", items_of(), {"main": [BAD] * 12})
    (tmp_path / "indexes").mkdir()
    assert find_runs([tmp_path]) == find_runs([tmp_path / "runs"]) == [one, two]
    assert find_runs([two, one / "record.json", two]) == [two, one]


def test_a_path_without_runs_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="there is no"):
        find_runs([tmp_path / "nowhere"])
    with pytest.raises(ConfigError, match="no runs in"):
        find_runs([tmp_path])


def test_what_is_unfinished_or_damaged_is_named_and_left_out(tmp_path):
    def run(name):
        return write_run(tmp_path / name, items_of(), {"main": [GOOD] * 12, "random": [BAD] * 12})

    run("whole")
    (run("unfinished") / "record.json").unlink()
    (run("without items") / "items.jsonl").unlink()
    rows = run("cut") / "rows.jsonl"
    rows.write_bytes(b"".join(rows.read_bytes().splitlines(keepends=True)[:-3]))
    rows = run("other score") / "rows.jsonl"
    rows.write_text(rows.read_text().replace('"mrr": 1.0', '"mrr": 0.9', 1))
    items = run("other answer") / "items.jsonl"
    items.write_text(items.read_text().replace('"answer": 0', '"answer": 1', 1))
    record = run("other record") / "record.json"
    record.write_text(record.read_text().replace('"seed": 0', '"seed": 1'))
    (run("broken") / "record.json").write_text('{"format": 1}')

    report = page.read([tmp_path])
    assert [len(section.runs) for section in report.sections] == [1]
    told = {path.rpartition("/")[2]: why for path, why in report.left_out.items()}
    assert "begun and not finished" in told.pop("unfinished")
    assert "items.jsonl': No such file" in told.pop("without items")
    assert "rows.jsonl' was changed" in told.pop("cut")
    assert "rows.jsonl' was changed" in told.pop("other score")
    assert "items.jsonl' was changed" in told.pop("other answer")
    assert "record.json' was changed" in told.pop("other record")
    assert "record.json' was changed" in told.pop("broken")
    assert told == {}


def test_without_any_whole_run_there_is_no_report(tmp_path):
    (write_run(tmp_path / "a", items_of(), {"main": [GOOD] * 12}) / "record.json").unlink()
    with pytest.raises(ConfigError, match="not one run is finished and whole"):
        page.read([tmp_path])


def test_only_runs_of_the_same_items_and_media_stand_together(tmp_path):
    main = {"main": [GOOD] * 12}
    write_run(tmp_path / "a", items_of(), main)
    write_run(tmp_path / "b", items_of(), {"main": [BAD] * 12}, {"k": 5})
    write_run(tmp_path / "other items", items_of(text="Who?"), main)
    write_run(tmp_path / "other media", items_of(), main, media={"v0": "f" * 64})
    write_run(tmp_path / "answers", items_of(), {"main": [answer(1.0)] * 12})
    groups = alike([read_run(folder) for folder in find_runs([tmp_path])])
    assert sorted([run.record["key"] for run in group] for group in groups) == [
        ["a", "b"], ["answers"], ["other items"], ["other media"],
    ]  # fmt: skip


def test_one_run_told_twice_stands_there_once(tmp_path):
    first = write_run(tmp_path / "x" / "key", items_of(), {"main": [GOOD] * 12})
    again = write_run(tmp_path / "y" / "key", items_of(), {"main": [GOOD] * 12})
    ((only,),) = alike([read_run(first), read_run(again)])
    assert only.folder == first


TARGET = "_target_"
RRF, WEIGHTED = "egorag.fuse.rrf.ReciprocalRank", "egorag.fuse.weighted.WeightedScores"


@pytest.mark.parametrize(
    ("configs", "expected"),
    [
        ([CONFIG], ["run"]),
        ([CONFIG, {**CONFIG, "k": 3}], ["k=2", "k=3"]),
        ([CONFIG, {**CONFIG, "without": ["bm25"]}], ["base", 'without=["bm25"]']),
        ([{"f": {TARGET: "a.B", "x": 1}}, {"f": {TARGET: "a.C"}}], ["f=B", "f=C"]),
        (
            [{"f": {TARGET: "a.B", "x": 1}}, {"f": {TARGET: "a.B", "x": 2}}, {"f": {TARGET: "C"}}],
            ["f=B f.x=1", "f=B f.x=2", "f=C"],
        ),
        ([{"f": {TARGET: "a.B", "x": 1}}, {"f": {TARGET: "a.B"}}], ["f.x=1", "base"]),
        (
            [{"encoders": {"a": {TARGET: "A"}, "b": {TARGET: "B", "y": 3}}},
             {"encoders": {"a": {TARGET: "A"}}}],
            ["+b", "base"],
        ),
        (
            [{"fuser": {TARGET: RRF}}, {"fuser": {TARGET: WEIGHTED}}],
            ["fuser=rrf", "fuser=weighted"],
        ),
        ([CONFIG, dict(CONFIG)], ["run aaaaaaaa", "run bbbbbbbb"]),
    ],
)  # fmt: skip
def test_runs_are_called_by_what_differs(configs, expected):
    assert names(configs, ["a" * 32, "b" * 32, "c" * 32][: len(configs)]) == expected


def test_names_that_read_the_same_are_told_apart():
    configs = [{"note": "a b"}, {"note": "a\x07b"}]
    assert names(configs, ["c" * 32, "d" * 32]) == ["note=a b cccccccc", "note=a b dddddddd"]


def test_names_are_unlike_however_many_settings_differ():
    configs = [{"a": a, "b": {"c": c}, "d": json.loads("[1]")} for a in range(4) for c in range(4)]
    assert len(set(names(configs, [str(n) for n in range(16)]))) == 16
