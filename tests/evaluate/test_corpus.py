"""Which media become an index, what is not done twice, and which items can be run."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from worlds import indexed, read_world

from egorag.api import open_index
from egorag.errors import MediaError
from egorag.evaluate.base import Item, Media
from egorag.evaluate.corpus import Corpus
from egorag.evaluate.run import ready
from egorag.spans import Span
from egorag.types import TimedText


def test_an_index_is_made_once_for_equal_media_and_recipe(world: Path, cache: Path) -> None:
    dataset = read_world(world, "retrieval")
    first = indexed(dataset.media, cache)
    assert set(first.ids) == {one.name for one in dataset.media}
    again = indexed(read_world(world, "questions").media, cache, "fuser=weighted")
    assert again == replace(first, built=False)
    other = indexed(dataset.media, cache, "segmenter=fixed")
    assert other.index != first.index and other.ids == first.ids
    items, left_out = ready(dataset, first)
    assert left_out == {} and items == list(dataset.items)


def test_a_changed_file_is_another_video(world: Path, tmp_path: Path) -> None:
    (one, *_) = read_world(world, "boundaries").media
    assert one.path is not None
    copy = shutil.copy(one.path, tmp_path / "a.mp4")
    first = indexed((Media("a", copy),), tmp_path / "cache")
    os.utime(copy, ns=(1, 1))
    assert indexed((Media("a", copy),), tmp_path / "cache").index != first.index


def test_texts_are_indexed_as_they_are(tmp_path: Path) -> None:
    said = (TimedText(Span.seconds(0, 4), "pour the milk", "caption", "given"),)
    media = (Media("a", texts=said), Media("b", texts=said), Media("c"))
    found = indexed(media, tmp_path)
    assert set(found.ids) == {"a", "b"} and found.ids["a"] != found.ids["b"]
    with open_index(found.index) as index:
        assert [text.text for text in index.texts(found.ids["a"])] == ["pour the milk"]


def test_missing_and_damaged_videos_are_left_out_by_name(world: Path, tmp_path: Path) -> None:
    dataset = read_world(world, "questions")
    first, second = dataset.media
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    there = (replace(first, path=None), second, Media("bad", bad))
    items = (*dataset.items, Item("b", "?", ("bad",), answer="x"))
    mixed = replace(dataset, media=there, items=items)
    assert mixed.missing == (first.name,)
    found = indexed(mixed.media, tmp_path / "cache")
    assert set(found.ids) == {second.name} and set(found.failed) == {"bad"}
    kept, left_out = ready(mixed, found)
    assert {name for item in kept for name in item.videos} == {second.name}
    assert left_out["b"].startswith("bad could not be indexed: ")
    lacking = [why for id, why in left_out.items() if id != "b"]
    assert lacking and set(lacking) == {f"the media lack {first.name}"}
    assert indexed(mixed.media, tmp_path / "cache") == replace(found, built=False)
    none = replace(mixed, items=items[-1:])
    with pytest.raises(MediaError, match="none of 1 items can be run; 1: bad could not be indexed"):
        ready(none, found)
    with pytest.raises(MediaError, match="none of 1 videos could be indexed: bad: "):
        indexed(mixed.media[2:], tmp_path / "cache")


def test_a_query_over_all_videos_needs_one_that_answers_it(world: Path) -> None:
    dataset = read_world(world, "retrieval")
    only = Corpus(Path("x"), {dataset.media[0].name: "id"}, {}, True)
    kept, left_out = ready(dataset, only)
    for item in dataset.items:
        there = any(one.video == dataset.media[0].name for one in item.relevant)
        assert there == (item in kept) == (item.id not in left_out)
