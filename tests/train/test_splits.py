"""Parts of a split: apart by video, the same for the same seed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.errors import ConfigError
from egorag.train.splits import PARTS, Split, split_videos

names = st.lists(st.text("abcdef", min_size=1, max_size=4), min_size=3, max_size=30, unique=True)


@given(names, st.integers(0, 9), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_every_video_is_in_exactly_one_part(
    videos: list[str], seed: int, validation: float, held_out: float
) -> None:
    split = split_videos(videos, seed, validation, held_out)
    parts = [set(getattr(split, part)) for part in PARTS]
    assert all(parts)
    assert sorted(v for part in parts for v in part) == sorted(videos)
    assert all(split.part(video) in PARTS for video in videos)
    again = split_videos([*reversed(videos), *videos], seed, validation, held_out)
    assert again == split


def test_shares_are_about_what_was_asked_and_the_seed_decides() -> None:
    videos = [f"v{i}" for i in range(100)]
    split = split_videos(videos, 0, 0.2, 0.1)
    assert [len(getattr(split, part)) for part in PARTS] == [70, 20, 10]
    assert split_videos(videos, 1, 0.2, 0.1) != split


def test_videos_to_test_on_may_be_given() -> None:
    split = split_videos(["a", "b", "c"], 0, tested=["y", "x", "x"])
    assert split.held_out == ("x", "y")
    assert sorted(split.train + split.validation) == ["a", "b", "c"]
    with pytest.raises(ConfigError, match="'b' is in two parts"):
        split_videos(["a", "b"], 0, tested=["b"])


def test_too_few_videos_and_shares_that_are_none_are_refused() -> None:
    with pytest.raises(ConfigError, match="2 labelled videos are too few"):
        split_videos(["a", "b", "b"], 0)
    with pytest.raises(ConfigError, match="no video is left for held_out"):
        split_videos(["a", "b"], 0, tested=[])
    with pytest.raises(ValueError, match=r"validation must be a share.*1\.5"):
        split_videos(["a", "b", "c"], 0, validation=1.5)
    with pytest.raises(KeyError):
        Split(("a",), ("b",), ("c",)).part("z")
