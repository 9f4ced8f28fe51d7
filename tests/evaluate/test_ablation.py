"""benchmarks/ablation.py: each query has its evidence where its kind says; the tables hold."""

from __future__ import annotations

import importlib
from collections import Counter
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from egorag.media import sound
from egorag.media.stills import read_picture
from egorag.retrieve.words import content_words
from egorag.sample.questions import DEEDS
from egorag.sample.truth import Scene, Truth
from egorag.sample.world import script

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SIZE = (160, 90)


@pytest.fixture(scope="module")
def kinds() -> ModuleType:
    return loaded("ablation_kinds")


@pytest.fixture(scope="module")
def truths() -> dict[str, Truth]:
    return {f"d{s}": script(60, 8, s, SIZE, Fraction(30), "stream") for s in range(4)}


@pytest.fixture(scope="module")
def asked(
    kinds: ModuleType, truths: dict[str, Truth], tmp_path_factory: pytest.TempPathFactory
) -> list[Any]:
    return list(kinds.queries(truths, tmp_path_factory.mktemp("queries")))


def loaded(name: str) -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        return importlib.import_module(name)


def of(asked: list[Any], kind: str) -> list[Any]:
    found = [one for one in asked if one.kind == kind]
    assert found
    return found


def told(scene: Scene) -> str:
    """All that is said and written in a scene."""
    board = scene.board.text if scene.board else ""
    return " ".join([*(said.text for said in scene.narration), board])


def shares(text: str, other: str) -> bool:
    first, second = content_words([text, other])
    return bool(first & second)


def scenes(one: Any, truths: dict[str, Truth]) -> tuple[list[Scene], list[Scene]]:
    """The scenes that answer a query, and all others it is asked of."""
    right, wrong = [], []
    for name in one.among:
        for scene in truths[name].scenes:
            there = name == one.video and any(scene.span.overlap(span) for span in one.right)
            (right if there else wrong).append(scene)
    return right, wrong


def test_every_kind_is_asked_of_its_own_video_first(
    asked: list[Any], truths: dict[str, Truth]
) -> None:
    counts = Counter(one.kind for one in asked)
    assert len(counts) == 11 and min(counts.values()) >= 10
    for one in asked:
        assert one.among[0] == one.video and len(set(one.among)) == len(one.among)
        right, wrong = scenes(one, truths)
        assert right and wrong


def test_what_is_spoken_is_neither_drawn_nor_written(
    asked: list[Any], truths: dict[str, Truth]
) -> None:
    for one in of(asked, "spoken"):
        (sentence,) = [text for text, deed in DEEDS.items() if deed.question == one.media["query"]]
        right, wrong = scenes(one, truths)
        assert all(sentence in told(scene) for scene in right)
        assert not any(sentence in told(scene) for scene in wrong)
        for scene in right:
            seen = [
                *(thing.name for thing in scene.things),
                scene.board.text if scene.board else "",
            ]
            assert not any(shares(DEEDS[sentence].answer, text) for text in seen)


def test_what_is_written_is_not_said(asked: list[Any], truths: dict[str, Truth]) -> None:
    for one in of(asked, "written"):
        text = one.media["query"].removeprefix("a board that says ")
        right, wrong = scenes(one, truths)
        assert all(scene.board and scene.board.text == text for scene in right)
        assert not any(scene.board and scene.board.text == text for scene in wrong)
        said = " ".join(s.text for scene in [*right, *wrong] for s in scene.narration)
        assert not shares(text, said)


@pytest.mark.parametrize("kind", ["visible, a thing in words", "audible, in words"])
def test_what_is_seen_or_heard_is_not_told(
    kind: str, asked: list[Any], truths: dict[str, Truth]
) -> None:
    for one in of(asked, kind):
        text = one.media["query"].removeprefix("a ")
        right, wrong = scenes(one, truths)
        assert not any(text in told(scene) for scene in [*right, *wrong])
        if kind.startswith("audible"):
            assert not any(shares(text, told(scene)) for scene in [*right, *wrong])
        else:
            assert all(text in {thing.name for thing in scene.things} for scene in right)
            assert not any(text in {thing.name for thing in scene.things} for scene in wrong)


def test_the_place_alone_does_not_tell_a_movement(
    asked: list[Any], truths: dict[str, Truth]
) -> None:
    def movements(scene: Scene) -> set[tuple[str, str]]:
        return {(thing.at, thing.to) for thing in scene.things if thing.moved}

    for one in of(asked, "motion"):
        right, wrong = scenes(one, truths)
        same = [scene for scene in wrong if scene.place == right[0].place]
        assert same and not any(movements(scene) & movements(right[0]) for scene in same)


def test_what_follows_shares_no_word_with_the_question(
    asked: list[Any], truths: dict[str, Truth]
) -> None:
    for one in of(asked, "order"):
        (right,), _ = scenes(one, truths)
        before = truths[one.video].scenes[right.index - 1]
        deed = one.media["query"].removeprefix("What happened right after ").rstrip("?") + "."
        assert deed in told(before) and not shares(deed, told(right))
    for one in of(asked, "order, of places"):
        (right,), _ = scenes(one, truths)
        assert one.media["query"].endswith(
            f"the {truths[one.video].scenes[right.index - 1].place}?"
        )


def test_pictures_sounds_and_clips_can_be_read_and_are_of_other_days(
    asked: list[Any], truths: dict[str, Truth], kinds: ModuleType
) -> None:
    assert max(truth.seed for truth in truths.values()) < kinds.ELSEWHERE
    import cv2

    for kind in ("visible", "visible, a thing", "motion, one frame"):
        assert read_picture(Path(of(asked, kind)[0].media["image"])).shape == (90, 160, 3)
    heard = of(asked, "audible")[0].media["sound"]
    from egorag.media.sampling import SoundSampling

    assert sum(len(c.samples) for c in sound(Path(heard), SoundSampling(16_000))) == 48_000
    clip = cv2.VideoCapture(of(asked, "motion")[0].media["video"])
    assert clip.get(cv2.CAP_PROP_FRAME_COUNT) >= 10


def test_the_tables_tell_what_each_part_contributes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ablation = loaded("ablation")
    monkeypatch.setattr(ablation, "CACHE", tmp_path)
    monkeypatch.setattr(ablation, "BUDGETS", [{"tokens": 1000}, {"seconds": 10}])
    given = ["encoder=[subtitles,minilm,picture,sound]"]
    world = ablation.world(2, 24, given, SIZE, 3)
    assert max(Counter(one.kind for one in world.asked).values()) == 3
    found = ablation.run(world)
    parts = found["contributions"]
    assert {"all", "random", "without picture", "bm25 alone", "without subtitles"} <= set(parts)
    assert parts["all"]["spoken"]["ndcg@10"]["value"] == 1.0
    assert parts["without subtitles"]["spoken"]["ndcg@10"]["value"] == 0.0
    assert parts["all"]["motion"] is None  # no encoder here takes a clip
    assert parts["without picture"]["visible"] is None
    assert 0 < parts["random"]["visible"]["ndcg@10"]["value"] < 1
    assert set(found["fusers"]) == set(ablation.FUSERS)
    assert "visible" not in found["planners"]["rules"]
    assert len(found["budgets"]) == 2 * len(ablation.STRATEGIES)
    for row in found["budgets"]:
        assert ("accuracy" in row) == (row["budget"] == {"tokens": 1000})
        assert ("difference" in row["spoken"]) == (row["strategy"] != "flat")
    tables = ablation.markdown(found)
    assert tables.count("## ") == 4 and "| without picture |" in tables and "| – |" in tables
    assert ablation.markdown({"fusers": found["fusers"]}).count("## ") == 1
