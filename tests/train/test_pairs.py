"""Lines of text and the scenes they go with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.errors import ConfigError
from egorag.spans import Span
from egorag.train.pairs import Line, match, read_lines
from egorag.types import Video

SCENES = [Span(0, 10), Span(10, 14), Span(20, 40)]  # nothing from 14 to 20 has a vector
VECTORS = np.eye(3, dtype=np.float32)
VIDEOS = [Video("id1", "a/kitchen.mp4", 40), Video("id2", "b/hall.mp4", 40)]


def texts(*lines: tuple[int, int, str], joined: bool = False):
    found = match(
        [Line("id1", Span(start, end), text) for start, end, text in lines],
        {"id1": (SCENES, VECTORS)},
        joined,
    )
    rows = zip(found.clips, found.texts, strict=True)
    return [(found.spans[clip].start, text) for clip, text in rows], found.unmatched


def test_a_line_goes_with_the_scenes_it_shares_over_half_with():
    assert texts((2, 5, "inside")) == ([(0, "inside")], 0)
    assert texts((0, 40, "over all")) == ([(0, "over all"), (10, "over all"), (20, "over all")], 0)
    assert texts((8, 12, "evenly over a cut")) == ([], 1)
    assert texts((7, 12, "more in the first")) == ([(0, "more in the first")], 0)
    assert texts((15, 19, "where no vector is")) == ([], 1)
    assert texts((0, 10, " \n ")) == ([], 1)


def test_lines_of_a_scene_are_one_text_of_a_track_and_several_of_a_table():
    lines = [(1, 3, "take  milk"), (12, 13, "drink"), (4, 6, "pour it")]
    assert texts(*lines, joined=True)[0] == [(0, "take milk pour it"), (10, "drink")]
    assert texts(*lines)[0] == [(0, "take milk"), (0, "pour it"), (10, "drink")]


spans = st.tuples(st.integers(0, 45), st.integers(1, 20)).map(lambda s: Span(s[0], s[0] + s[1]))


@given(st.lists(spans, max_size=6))
def test_matching_is_the_definition(lines):
    found = match([Line("v", s, str(i)) for i, s in enumerate(lines)], {"v": (SCENES, VECTORS)})
    expected = {
        (str(i), scene)
        for i, line in enumerate(lines)
        for scene in SCENES
        if line.overlap(scene) > min(line.duration, scene.duration) / 2
    }
    pairs = list(zip(found.texts, (found.spans[c] for c in found.clips), strict=True))
    assert set(pairs) == expected and len(pairs) == len(expected)
    assert found.unmatched == len(lines) - len({text for text, _ in expected})
    assert len(found.vectors) == len(found.videos) == len(set(found.spans))


def test_the_hash_covers_texts_places_and_vectors():
    def of(text="a", start=0, scale=1.0):
        line = Line("v", Span(start, start + 5), text)
        return match([line], {"v": (SCENES, VECTORS * np.float32(scale))}).sha256()

    assert of() == of()
    assert len({of(), of("b"), of(start=20), of(scale=2.0)}) == 4


def table(folder: Path, *rows: str, head: str = "video,start,end,text") -> list[Line]:
    path = folder / "pairs.csv"
    path.write_text("\n".join([head, *rows]), encoding="utf-8")
    return read_lines(path, VIDEOS)


def test_a_table_names_videos_by_id_path_or_file(tmp_path):
    rows = [
        'id1,0,1.5,"red, then blue"',
        "b/hall.mp4,1,2,b",
        "kitchen.mp4,3,4, c ",
        "hall,0:01,0:02,d",
    ]
    assert table(tmp_path, *rows) == [
        Line("id1", Span.seconds(0, 1.5), "red, then blue"),
        Line("id2", Span.seconds(1, 2), "b"),
        Line("id1", Span.seconds(3, 4), "c"),
        Line("id2", Span.seconds(1, 2), "d"),
    ]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("hal.mp4,0,1,a", r"holds none of the 1 labelled videos \('hal.mp4', ...\); did you mean"),
        ("id1,0,one,a", r"row 2: .*'one'"),
        ("id1,2,1,a", r"row 2: .*the end later; got '2' and '1'"),
        ("id1,nan,1,a", r"row 2: "),
        ("id1,0,1", r"row 2: the text is empty"),
    ],
)
def test_wrong_rows_are_named(tmp_path, row, said):
    with pytest.raises(ConfigError, match=said):
        table(tmp_path, row)


def test_tables_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match=r"no column 'start'.*video,text"):
        table(tmp_path, "a,b", head="video,text")
    with pytest.raises(ConfigError, match="cannot read"):
        read_lines(tmp_path / "none.csv", VIDEOS)
    with pytest.raises(ConfigError, match="holds no pairs"):
        table(tmp_path)
