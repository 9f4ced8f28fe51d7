"""Finding media by the names of annotations, and drawing items."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.errors import ConfigError
from egorag.evaluate.annotated import draw, find_media
from egorag.evaluate.base import Item
from egorag.evaluate.files import seconds


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_media_are_found_by_name_at_any_depth(tmp_path: Path) -> None:
    touch(tmp_path, "P01/P01_11.MP4", "b.mkv", "b.srt", "notes.txt", ".hidden/c.mp4", ".d.mp4")
    found = {
        m.name: m.path for m in find_media(tmp_path, ["P01_11", "b.mkv", "b", "c", "d", "P01"])
    }
    assert found["P01_11"] == tmp_path / "P01/P01_11.MP4"
    assert found["b.mkv"] == found["b"] == tmp_path / "b.mkv"
    assert found["c"] is found["d"] is found["P01"] is None


def test_no_name_leads_out_of_the_folder(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    touch(tmp_path, "secret.mp4", "inside/a.mp4")
    names = ["../secret", "../secret.mp4", str(tmp_path / "secret.mp4"), "x/../a"]
    found = {one.name: one.path for one in find_media(inside, names)}
    assert found == {**dict.fromkeys(names[:3]), "x/../a": inside / "a.mp4"}


def test_a_name_that_two_files_have_is_told(tmp_path: Path) -> None:
    touch(tmp_path, "one/a.mp4", "two/a.webm")
    assert find_media(tmp_path, ["b"])[0].path is None  # nobody asks for the two
    with pytest.raises(ConfigError, match=r"several files are called 'a': .*a.mp4 and .*a.webm"):
        find_media(tmp_path, ["a"])
    assert find_media(tmp_path, ["a.webm"])[0].path == tmp_path / "two/a.webm"


@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 5))
def test_a_draw_keeps_the_order_and_repeats(count: int, limit: int, seed: int) -> None:
    items = [Item(str(n), "?", answer="x") for n in range(count)]
    drawn = draw(items, limit, seed)
    assert len(drawn) == min(limit, count) and drawn == draw(items, limit, seed)
    numbers = [int(item.id) for item in drawn]
    assert numbers == sorted(set(numbers))
    assert draw(items, None, seed) == tuple(items)


@given(st.integers(0, 30), st.integers(0, 59), st.floats(0, 59.99))
def test_times_as_published(hours: int, minutes: int, rest: float) -> None:
    expected = pytest.approx(3600 * hours + 60 * minutes + rest)
    assert seconds(f"{hours:02}:{minutes:02}:{rest:05.2f}") == pytest.approx(
        3600 * hours + 60 * minutes + round(rest, 2)
    )
    assert seconds(f"{60 * hours + minutes}:{rest!r}") == expected


@pytest.mark.parametrize("wrong", ["", "-1", "1:-2", "nan", "inf", "noon", "1:2:x"])
def test_what_is_no_time(wrong: str) -> None:
    with pytest.raises(ValueError):
        seconds(wrong)
