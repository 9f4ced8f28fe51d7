"""Items asked of an index of real media: what is found, and nothing after a cut-off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from worlds import indexed, read_world

from egorag.api import open_index
from egorag.evaluate.base import Item
from egorag.evaluate.run import Asking, Session
from egorag.spans import Span, to_us


def test_what_is_spoken_is_found_and_what_is_heard_is_not(world: Path, cache: Path) -> None:
    dataset = read_world(world, "retrieval")
    found = indexed(dataset.media, cache)
    with open_index(found.index) as index:
        session = Session(dataset, index, found, Asking())
        values = [(item.labels["kind"], session.measure(item)[0]) for item in dataset.items]
    spoken = [each for kind, each in values if kind == "spoken"]
    assert all(each["recall@10"] == 1 for each in spoken)
    assert sum(each["recall@1"] for each in spoken) > 0.8 * len(spoken)
    audible = [each["recall@10"] for kind, each in values if kind == "audible"]
    assert audible and max(audible) < 1  # no encoder of this run hears


def test_questions_see_nothing_after_their_cut_off(world: Path, cache: Path) -> None:
    dataset = read_world(world, "questions")
    found = indexed(dataset.media, cache)
    right = []
    with open_index(found.index) as index:
        session = Session(dataset, index, found, Asking())
        for item in dataset.items:
            if not isinstance(item.until, float):
                continue
            values, output = session.measure(item)
            assert all(hit["end"] <= item.until for hit in output["evidence"])
            right += [values["accuracy"]] if item.answer is not None else []
    assert sum(right) > 0.5 * len(right)


def test_a_window_is_widened_to_whole_scenes(world: Path, cache: Path) -> None:
    dataset = read_world(world, "boundaries")
    found = indexed(dataset.media, cache)
    name = dataset.media[0].name
    with open_index(found.index) as index:
        scenes = index.scenes(found.ids[name], "scene")
        middle = scenes[1].span.middle
        asked = Item("w", "I", (name,), answer="x", window=Span(middle, middle + 1000))
        one = replace(dataset, kind="choice", items=(asked,))
        _, output = Session(one, index, found, Asking()).measure(asked)
        starts = {to_us(hit["start"]) for hit in output["evidence"]}
        assert starts == {scenes[1].span.start}
        values, told = Session(dataset, index, found, Asking()).measure(dataset.items[0])
    assert values["recall"] == 1 and told["starts"][0] == 0
