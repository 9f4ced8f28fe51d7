"""Scenes from the user: exact boundaries, every format, every mistake named."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egorag.errors import ConfigError
from egorag.segment.given import Given
from egorag.segment.scenelist import read_scenes
from egorag.spans import Span, check_tiling


def cut(segmenter: Given, end: float, step: float = 0.5) -> tuple[list[Span], list[str]]:
    stream = segmenter.start()
    closed: list[Span] = []
    time = 0.0
    while time < end:
        closed += stream.push(round(time * 1e6), None)
        time += step
    return closed + stream.finish(round(end * 1e6)), stream.problems


def test_gaps_become_scenes_and_nothing_moves() -> None:
    scenes, problems = cut(Given(scenes=[[6, 7.25], [1, 3]]), 9)
    edges = [(0, 1), (1, 3), (3, 6), (6, 7.25), (7.25, 9)]
    assert scenes == [Span.seconds(a, b) for a, b in edges]
    assert problems == []


def test_past_the_end_is_clipped_and_told() -> None:
    scenes, problems = cut(Given(scenes=[[0, 4], [4, 12], [20, 30]]), 10)
    assert scenes == [Span.seconds(0, 4), Span.seconds(4, 10)]
    assert "runs past the end" in problems[0] and "left out" in problems[1]


@given(
    st.lists(st.integers(0, 400), min_size=2, max_size=20, unique=True).map(sorted),
    st.integers(1, 450),
)
@settings(max_examples=200, deadline=None)
def test_every_given_boundary_inside_is_kept(edges: list[int], end: int) -> None:
    pairs = [[a / 10, b / 10] for a, b in zip(edges[::2], edges[1::2], strict=False)]
    scenes, _ = cut(Given(scenes=pairs), end / 10)
    check_tiling(scenes, Span.seconds(0, end / 10))
    used = {e for pair in pairs for e in pair}
    assert {s.end for s in scenes[:-1]} == {round(e * 1e6) for e in used if 0 < e < end / 10}


def test_merge_and_split_only_when_asked() -> None:
    scenes, _ = cut(Given(scenes=[[0, 0.5], [0.5, 30]], min_seconds=1, max_seconds=20), 30)
    assert scenes == [Span.seconds(0, 20), Span.seconds(20, 30)]


PYSCENEDETECT = """\
Timecode List:,00:00:01.001,00:00:06.006
Scene Number,Start Frame,Start Timecode,Start Time (seconds),End Frame,End Timecode,\
End Time (seconds),Length (frames),Length (timecode),Length (seconds)
1,1,00:00:00.000,0.000,30,00:00:01.001,1.001,30,00:00:01.001,1.001
2,31,00:00:01.001,1.001,180,00:00:06.006,6.006,150,00:00:05.005,5.005
"""
TWO = (Span.seconds(0, 1.001), Span.seconds(1.001, 6.006))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", "[[0, 1.001], [1.001, 6.006]]"),
        ("b.json", '{"scenes": [{"start": 0, "end": "00:00:01.001"}, [1.001, 6.006]]}'),
        ("c.csv", PYSCENEDETECT),
        ("d.csv", PYSCENEDETECT.split("\n", 1)[1]),
        ("e.csv", "label,Start,End\nx,0,1.001\n\ny,0:01.001,0:06.006\n"),
        ("f.csv", "\ufeffstart,end\r\n0,1.001\r\n1.001,6.006\r\n"),
        ("g.txt", "0,1.001\n1.001,00:00:06.006\n"),
    ],
)
def test_formats(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert read_scenes(path) == TWO
    assert Given(path=str(path)).spans == TWO


def test_reads_what_scenedetect_writes(tmp_path: Path) -> None:
    from scenedetect import FrameTimecode
    from scenedetect.output import write_scene_list

    times = [FrameTimecode(n, fps=25.0) for n in (0, 40, 90)]
    path = tmp_path / "video-Scenes.csv"
    with path.open("w") as file:
        write_scene_list(file, list(pairwise(times)), cut_list=times[1:2])
    assert read_scenes(path) == (Span.seconds(0, 1.6), Span.seconds(1.6, 3.6))


@pytest.mark.parametrize(
    ("scenes", "message"),
    [
        ([[0, 5], [4, 8]], r"0:00\.000-0:05\.000.*0:04\.000-0:08\.000.*overlap"),
        ([[5, 5]], "scene 1: must end after"),
        ([[0, 1], [3, 2]], "scene 2: must end after"),
        ([[-1, 2]], "-1 is not a time"),
        ([[0, float("nan")]], "nan is not a time"),
        ([[0, True]], "True is not a time"),
        ([[0, 1, 2]], "expected \\[start, end\\]"),
        ([7], "expected \\[start, end\\]"),
        ([[0, "soon"]], "'soon' is not a time"),
    ],
)
def test_bad_scenes_are_named(scenes: list[Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Given(scenes=scenes)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.json", b"[[0, 1]", "not JSON"),
        ("x.json", b'{"a": 1}', "must hold"),
        ("x.csv", b"a,b,c\n1,2,3\n", "not a scene list"),
        ("x.csv", b"", "not a scene list"),
        ("x.csv", b"\xff\xfe\x00", "cannot read"),
        ("x.csv", b"label,start,end\na,1\n", "is not a time"),
        ("x.csv", b'"' + b"a" * 200_000, "not CSV"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        Given(path=str(path))


def test_one_source_is_needed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"segmenter\.scenes"):
        Given()
    with pytest.raises(ConfigError, match="not both"):
        Given(scenes=[[0, 1]], path="x.csv")
    with pytest.raises(ConfigError, match="cannot read"):
        Given(path=str(tmp_path / "absent.csv"))


def test_fingerprint_follows_content_not_name(tmp_path: Path) -> None:
    for name, pairs in {"a": [[0, 1]], "b": [[0, 1]], "c": [[0, 2]]}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(pairs))
    a, b, c = (Given(path=str(tmp_path / f"{n}.json")).fingerprint() for n in "abc")
    assert a == b != c
