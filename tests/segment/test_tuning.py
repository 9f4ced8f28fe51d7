"""Tuning thresholds: brute force as oracle, and no video scored by a threshold it helped choose."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.errors import ConfigError
from egorag.segment.by_tree import SceneTree, Ward
from egorag.segment.cutlist import read_cuts
from egorag.segment.tuning import Labelled, Score, match, tune
from egorag.segment.ward import ward_tree
from egorag.spans import Span

TIMES = st.lists(st.integers(0, 30), max_size=5)


@given(TIMES, TIMES, st.integers(0, 8))
def test_as_many_are_paired_as_can_be(found: list[int], true: list[int], tolerance: int) -> None:
    few, many = sorted((found, true), key=len)
    most = max(
        sum(abs(a - b) <= tolerance for a, b in zip(few, order, strict=False))
        for order in permutations(many)
    )
    assert match(found, true, tolerance) == Score(most, len(found), len(true))


def test_scores_where_there_is_nothing() -> None:
    assert (Score(0, 0, 0).f1, Score(0, 3, 0).f1, Score(0, 0, 3).f1) == (1, 0, 0)
    assert Score(2, 4, 3).precision == 0.5 and Score(2, 4, 2).recall == 1


def video(seed: int, contrast: float) -> Labelled:
    """Noisy scenes that differ by about ``contrast``, half a second a moment."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(6, 30, 8)
    centres = np.cumsum(contrast * rng.choice([-1, 1], (8, 1)) * np.eye(8), axis=0)
    rows = np.repeat(centres, lengths, axis=0) + 0.05 * rng.normal(size=(lengths.sum(), 8))
    spans = tuple(Span(500_000 * i, 500_000 * (i + 1)) for i in range(len(rows)))
    cuts = (500_000 * np.cumsum(lengths)[:-1]).tolist()
    return Labelled(f"v{seed}", SceneTree("toy", spans, ward_tree(rows)), spans[-1].end, cuts)


def test_the_best_threshold_is_what_the_segmenter_does_best_with() -> None:
    videos = [video(seed, 0.6) for seed in range(3)]
    tuned = tune(videos, 1_000_000, 250_000)
    ward = Ward(max_seconds=None)
    for threshold, score in list(zip(tuned.thresholds, tuned.scores, strict=True))[::7]:
        total = Score()
        for each in videos:
            scenes = ward.cut(each.tree, each.end, threshold).scenes
            total += match([s.start for s in scenes[1:]], each.cuts, 250_000)
        assert total == score
    assert tuned.at(tuned.best).f1 == max(score.f1 for score in tuned.scores) == 1.0
    assert tuned.held_out is not None and tuned.held_out.f1 > 0.9
    runs = [t for t, s in zip(tuned.thresholds, tuned.scores, strict=True) if s.f1 == 1.0]
    assert min(runs) < tuned.best < max(runs)


def test_a_video_has_no_part_in_the_threshold_it_is_scored_at() -> None:
    videos = [video(1, 0.6), video(2, 0.6), video(3, 3.0)]
    tuned = tune(videos, 1_000_000, 250_000)
    for left_out in range(3):
        others = videos[:left_out] + videos[left_out + 1 :]
        alone = tune(others, 1_000_000, 250_000)
        name = videos[left_out].name
        assert alone.at(tuned.chosen[name][0]).f1 == max(s.f1 for s in alone.scores)
        moved = Labelled(name, others[0].tree, others[0].end, [1])  # whatever it holds
        again = tune([*others, moved], 1_000_000, 250_000)
        assert (
            again.chosen[name][0]
            == tune([*others, videos[left_out]], 1_000_000, 250_000).chosen[name][0]
        )


def test_one_video_alone_has_nothing_held_out() -> None:
    assert tune([video(1, 0.6)], 0, 0).held_out is None
    with pytest.raises(ConfigError, match="no labelled video"):
        tune([], 0, 0)


def test_the_three_formats_say_the_same(tmp_path: Path) -> None:
    files = {
        "a.csv": "video,seconds\nday,2.5\nday,0:01\n",
        "a.json": '{"day": [1, 2.5]}',
        "day.truth.json": '{"cuts": [{"frame": 30, "seconds": 1.0}, {"seconds": 2.5}]}',
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        assert read_cuts(tmp_path / name) == {"day": [1_000_000, 2_500_000]}


def test_a_video_without_cuts_counts(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("video,seconds\ncalm,\n")
    (tmp_path / "a.json").write_text('{"calm": []}')
    assert read_cuts(tmp_path / "a.csv") == read_cuts(tmp_path / "a.json") == {"calm": []}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "time,name\n1,x\n", "columns video and seconds"),
        ("a.csv", "", "an empty file"),
        ("a.csv", "video,seconds\n", "labels no video"),
        ("a.csv", "video,seconds\nx,soon\n", "'soon' is not a time"),
        ("a.json", "[1, 2]", "must hold"),
        ("a.json", "{", "is not JSON"),
        ("a.json", '{"cuts": [30, 60]}', '"seconds"'),
        ("a.json", '{"x": [-1]}', "-1 is not a time"),
    ],
)
def test_bad_labels_are_refused(name: str, text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_cuts(tmp_path / name)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.csv"):
        read_cuts(tmp_path / "nowhere.csv")
