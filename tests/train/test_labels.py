"""Tables of labels: read, found in an index, and clips that end before an action's START."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.errors import ConfigError
from egorag.spans import Span
from egorag.train.labels import clip_before, find_videos, read_labels
from egorag.types import Video


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_table_is_read_with_any_clock_and_in_any_order_of_columns(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.csv",
        "\ufeffnote,label,video,start,end",
        "x,open  the  fridge,a.mp4,1:02.5,65",
        ',"close, gently",b,0,0.5',
    )
    first, second = read_labels(path, "label")
    assert (first.video, first.span) == ("a.mp4", Span.seconds(62.5, 65))
    assert first.labels == {"label": "open the fridge"}
    assert second.labels == {"label": "close, gently"}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["video,start,label"], "no column 'end'"),
        (["video,start,end,label"], "holds no"),
        ([""], "no column 'video'"),
        (["video,start,end,label", "a,2,1,x"], "row 2.*the end later"),
        (["video,start,end,label", "a,0,1,x", "a,1,soon,x"], "row 3.*soon"),
        (["video,start,end,label", "a,-1,1,x"], "row 2"),
        (["video,start,end,label", "a,nan,1,x"], "row 2"),
        (["video,start,end,label", "a,0,1,  "], "row 2: the label is empty"),
        (["video,start,end,label", "a,0"], "row 2"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, lines: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        read_labels(write(tmp_path / "t.csv", *lines), "label")
    assert "t.csv" in str(refused.value)


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the table"):
        read_labels(tmp_path / "none.csv", "label")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00video")
    with pytest.raises(ConfigError, match="cannot read the table"):
        read_labels(tmp_path / "bytes.csv", "label")
    with pytest.raises(ConfigError, match="did you mean 'label'"):
        read_labels(tmp_path / "none.csv", "labels")


def test_the_official_annotations_are_read_with_their_class_names(shared_data: Path) -> None:
    rows = read_labels(shared_data / "ek100" / "EPIC_100_validation.csv", "ek100")
    assert len(rows) == 9668
    assert len({row.video for row in rows}) == 138
    second = rows[1]
    assert second.video == "P01_11" and second.span == Span.seconds(1.56, 2.45)
    assert second.labels == {"verb": "put", "noun": "plate", "action": "put plate"}
    assert len({row.labels["verb"] for row in rows}) == 78
    assert len({row.labels["action"] for row in rows}) == len(
        {(row.labels["verb"], row.labels["noun"]) for row in rows}
    )


def test_without_class_names_the_numbers_are_kept(tmp_path: Path) -> None:
    head = "video_id,start_timestamp,stop_timestamp,verb_class,noun_class"
    path = write(tmp_path / "t.csv", head, "P01,00:00:01.00,00:00:02.50,3,12")
    (row,) = read_labels(path, "ek100")
    assert row.labels == {"verb": "3", "noun": "12", "action": "3 12"}
    with pytest.raises(ConfigError, match=r"row 2: verb_class must be a number, got 'take'"):
        read_labels(write(path, head, "P01,00:00:01,00:00:02,take,12"), "ek100")


@given(st.integers(0, 10**8), st.integers(1, 10**8), st.integers(0, 10**7), st.integers(1, 10**7))
def test_a_clip_for_anticipation_ends_before_the_actions_start(
    start: int, length: int, ahead: int, observed: int
) -> None:
    """Never anchored on its end: how long the action takes changes nothing."""
    clip = clip_before(Span(start, start + length), ahead, observed)
    assert clip == clip_before(Span(start, start + 1), ahead, observed)
    if clip is None:
        assert start <= ahead
    else:
        assert clip.end == start - ahead
        assert clip.start == max(0, clip.end - observed)


def test_videos_are_found_by_id_path_name_or_stem() -> None:
    videos = [Video("aa11", "films/P01_11.mp4", 5), Video("bb22", "films/day.one.mp4", 5)]
    names = ["aa11", "films/P01_11.mp4", "P01_11.mp4", "P01_11", "day.one", "elsewhere"]
    found = find_videos(names, videos)
    assert found == dict.fromkeys(names[:4], "aa11") | {"day.one": "bb22"}
    with pytest.raises(ConfigError, match=r"none of the 2 labelled videos"):
        find_videos(["P01_1", "P01_2", "P01_1"], videos)
    many = [Video(f"{i:02}", f"films/{chr(97 + i)}.mp4", 5) for i in range(20)]
    with pytest.raises(
        ConfigError, match=r"did you mean 'P01_11.mp4'\? Choices: P01_11.mp4, a.mp4"
    ):
        find_videos(["P01_11.mp"], [*many, *videos])
    twins = [Video("aa11", "one/a.mp4", 5), Video("bb22", "two/a.mp4", 5)]
    with pytest.raises(ConfigError, match="'a' is the name of several"):
        find_videos(["a"], twins)
    assert find_videos(["one/a.mp4"], twins) == {"one/a.mp4": "aa11"}
