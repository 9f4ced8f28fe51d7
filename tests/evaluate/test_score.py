"""Scores of single items against what they must be, and their means against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.errors import ConfigError
from egorag.evaluate.base import Dataset, Item, Media, Relevant
from egorag.evaluate.score import Row, grades, of_answer, of_cuts, of_moments, summarise, words
from egorag.metrics.intervals import Interval
from egorag.spans import Span
from egorag.types import Answer, Hit, Scene


def scene(id: int, start: float, end: float, video: str = "v") -> Scene:
    span = Span.seconds(start, end)
    return Scene(id, video, span, 0, id, None, span.end)


def hit(id: int, start: float, end: float) -> Hit:
    return Hit(scene(id, start, end), "v.mp4", 1.0, {}, "")


def relevant(start: float, end: float, grade: float = 1.0) -> Relevant:
    return Relevant("v", Span.seconds(start, end), grade)


def item(answer: int | str | None, choices: tuple[str, ...] = ()) -> Item:
    return Item("i", "?", ("v",), choices, answer)


def told(text: str, choice: int | None = None, abstained: bool = False) -> Answer:
    return Answer(text, abstained, 0.5, choice=choice)


def test_a_scene_is_right_where_it_shares_over_half_of_the_shorter() -> None:
    scenes = {"v": [scene(1, 0, 10), scene(2, 10, 20), scene(3, 20, 60)]}
    assert grades([relevant(8, 14)], scenes) == {2: 1.0}
    assert grades([relevant(5, 15)], scenes) == {1: 1.0}  # evenly: the first of those that most
    assert grades([relevant(0, 20)], scenes) == {1: 1.0, 2: 1.0}
    assert grades([relevant(30, 31, 2), relevant(40, 41, 3)], scenes) == {3: 3.0}
    assert grades([relevant(70, 80)], scenes) == {}  # past the end: nothing there to find
    assert grades([relevant(1, 2, 0)], scenes) == {}


@given(st.lists(st.integers(1, 40), min_size=1), st.integers(0, 400), st.integers(1, 400))
def test_what_lies_in_the_video_can_be_found_however_it_was_cut(
    lengths: list[int], start: int, length: int
) -> None:
    ends = np.cumsum(lengths).tolist()
    scenes = [scene(i, a, b) for i, (a, b) in enumerate(zip([0, *ends], ends, strict=False))]
    found = grades([relevant(start, start + length)], {"v": scenes})
    assert bool(found) == (start < ends[-1])


@pytest.mark.parametrize(
    ("answer", "asked", "right"),
    [
        (told("red", 1), item(1, ("blue", "red")), 1),
        (told("red", 0), item(1, ("blue", "red")), 0),
        (told("red", 1, abstained=True), item(1, ("blue", "red")), 0),
        (told("nothing", abstained=True), item(None), 1),
        (told("something"), item(None), 0),
        (told("I put THE red-mug on a shelf."), item("red mug"), 1),
        (told("a mug that is red"), item("red mug"), 0),
        (told("red mug", abstained=True), item("red mug"), 0),
        (told("42"), item("4"), 0),
    ],
)
def test_when_an_answer_is_right(answer: Answer, asked: Item, right: int) -> None:
    values = of_answer(answer, asked)
    assert values["accuracy"] == right and values["abstained"] == answer.abstained


def test_word_f1_is_that_of_squad() -> None:
    assert of_answer(told("the red mug there"), item("a red mug"))["f1"] == pytest.approx(0.8)
    assert of_answer(told("blue"), item("red"))["f1"] == 0
    assert words("Don't say: A B, the C!") == ["don", "t", "say", "b", "c"]


def test_moments_and_cuts() -> None:
    found = of_moments([hit(1, 0, 10), hit(2, 2, 6)], [relevant(2, 6), relevant(0, 9)])
    assert found == {"R1@0.5": 1.0, "R1@0.7": 1.0, "mIoU": pytest.approx(0.9)}
    assert of_moments([], [relevant(2, 6)]) == {"R1@0.5": 0.0, "R1@0.7": 0.0, "mIoU": 0}
    true = Item("v", "", ("v",), relevant=(relevant(0, 10), relevant(10, 20), relevant(20, 30)))
    cuts = of_cuts([scene(1, 0, 10.3), scene(2, 10.3, 30)], true, 500_000)
    assert cuts == {"f1": pytest.approx(2 / 3), "precision": 1.0, "recall": 0.5}


def test_means_by_label_with_intervals_over_videos() -> None:
    dice = np.random.default_rng(0)
    rows = [
        Row(
            Item(str(n), "?", (f"v{n % 7}",), labels={"task": ("a", "b") if n % 2 else "a"}),
            {"accuracy": float(dice.integers(2))} if n != 3 else {},
            {},
            0.0,
        )
        for n in range(40)
    ]
    scores = summarise(rows, "accuracy")
    every = [row.values["accuracy"] for row in rows if row.values]
    overall = scores.overall["accuracy"]
    assert isinstance(overall, Interval)
    assert overall.value == pytest.approx(np.mean(every)) and overall.rows == 39
    assert overall.clusters == 7 and overall.low is not None and overall.high is not None
    assert overall.low < overall.value < overall.high
    by = scores.categories["task"]
    odd = [row.values["accuracy"] for n, row in enumerate(rows) if n % 2 and row.values]
    only = by["b"]["accuracy"]
    assert isinstance(only, Interval) and only.value == pytest.approx(np.mean(odd))
    assert by["a"]["accuracy"] == overall


def test_items_that_contradict_themselves() -> None:
    with pytest.raises(ValueError, match="the answer 2 is none of 2 choices"):
        item(2, ("a", "b"))
    with pytest.raises(ValueError, match="a window is of one video, got 0"):
        Item("i", "?", window=Span(0, 1))


def test_datasets_that_contradict_themselves() -> None:
    def dataset(**change: Any) -> Dataset:
        given = {"items": (item("x"),), "media": (Media("v"),), "kind": "choice", **change}
        return Dataset(name="d", sources={}, **given)

    with pytest.raises(ConfigError, match="d: nothing in it fits"):
        dataset(items=())
    with pytest.raises(ConfigError, match="d: 2 items are called 'i'"):
        dataset(items=(item("x"), item("y")))
    with pytest.raises(ConfigError, match="d: 2 videos are called 'v'"):
        dataset(media=(Media("v"), Media("v")))
    with pytest.raises(ConfigError, match="d: item 'i' names an unknown video 'v'"):
        dataset(media=(Media("w"),))
    with pytest.raises(ValueError, match="no kind 'chioce'; did you mean 'choice'"):
        dataset(kind="chioce")
    assert dataset().missing == ("v",)
    alone = Item("i", "?", answer="x")
    assert dataset(items=(alone,), media=()).missing == ()
