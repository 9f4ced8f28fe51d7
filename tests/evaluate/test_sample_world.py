"""The sample world as a benchmark: its answers follow from the script, and it runs."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from worlds import WORLD, read_world

from egorag.evaluate.base import Dataset
from egorag.evaluate.sample_world import SampleWorld
from egorag.sample import Truth
from egorag.sample.write import written
from egorag.spans import to_us


def truths(dataset: Dataset) -> dict[str, Truth]:
    found = {}
    for seed, one in enumerate(dataset.media):
        assert one.path is not None
        truth = written(one.path, 24, seed, (160, 90))
        assert truth is not None
        found[one.name] = truth
    return found


def test_queries_are_right_where_the_script_says(world: Path) -> None:
    dataset = read_world(world, "retrieval")
    kinds = Counter(item.labels["kind"] for item in dataset.items)
    assert set(kinds) >= {"spoken", "written", "audible", "visible", "motion", "order"}
    said = " ".join(s.text for truth in truths(dataset).values() for s in truth.narration)
    scripts = truths(dataset)
    for item in dataset.items:
        assert item.relevant and item.videos == ()
        for one in item.relevant:
            scene = next(s for s in scripts[one.video].scenes if one.span.start in s.span)
            if item.labels["kind"] == "visible":
                assert item.text[2:] in {thing.name for thing in scene.things}
                assert item.text[2:] not in said
            if item.labels["kind"] == "written":
                assert scene.board and scene.board.text in item.text
            if item.labels["kind"] == "order":
                before = scripts[one.video].scenes[scene.index - 1]
                assert item.text.endswith(f"the {before.place}")


def test_a_causal_question_has_its_answer_only_afterwards(world: Path) -> None:
    dataset = read_world(world, "questions")
    by_id = {item.id: item for item in dataset.items}
    pairs = [(by_id[id], by_id[f"{id[:-7]} after"]) for id in by_id if id.endswith(" before")]
    assert pairs
    for before, after in pairs:
        (deed,) = after.relevant
        assert before.answer is None and after.answer is not None
        assert isinstance(before.until, float) and isinstance(after.until, float)
        assert to_us(before.until) <= deed.span.start < deed.span.end < to_us(after.until)


def test_counts_are_the_script_s(world: Path) -> None:
    dataset = read_world(world, "questions")
    scripts = truths(dataset)
    counted = [item for item in dataset.items if item.labels["kind"] == "counting"]
    assert counted
    for item in counted:
        assert isinstance(item.answer, int) and len(set(item.choices)) == 4
        truth = scripts[item.videos[0]]
        number = int(item.choices[item.answer])
        assert number == len(item.relevant)
        if "moved" in item.text or "move?" in item.text:
            assert number == sum(bool(t.moved) for s in truth.scenes for t in s.things)


def test_the_videos_are_made_once_and_anew_when_damaged(tmp_path: Path) -> None:
    world = SampleWorld("boundaries", videos=1, seconds=4, size=(160, 90), folder=str(tmp_path))
    path = world.read().media[0].path
    assert path is not None
    made = path.stat().st_mtime_ns
    assert world.read().media[0].path == path and path.stat().st_mtime_ns == made
    note = path.with_name(f"{path.stem}.truth.json")
    note.write_text(note.read_text()[:-20])
    world.read()
    assert path.stat().st_mtime_ns != made and json.loads(note.read_text())["seed"] == 0


def test_equal_settings_draw_equal_items(world: Path) -> None:
    drawn = SampleWorld("questions", folder=str(world), limit=5, **WORLD)
    assert drawn.read() == drawn.read() and len(drawn.read().items) == 5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"task": "retreival"}, "did you mean 'retrieval'"),
        ({"videos": 0}, "videos must be a whole number"),
        ({"limit": 0}, "limit must be a whole number"),
        ({"size": 5}, r"size must be \[width, height\]"),
    ],
)
def test_settings_out_of_range_are_told(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SampleWorld(**settings)
