"""What the figures show, and that they are the same each time."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("matplotlib")

from egorag.errors import ConfigError, MissingPackageError, StoreError
from egorag.figures import sheet as module
from egorag.figures.sheet import Sheet, Shot, check_target, filmstrip, ticks_over
from egorag.figures.surprise import surprise_sheet
from egorag.figures.tree import tree_sheet
from egorag.predict.curve import SurpriseCurve
from egorag.segment.by_tree import SceneTree
from egorag.segment.ward import ward_tree
from egorag.spans import Span, to_us
from egorag.types import Scene

WHOLE = Span.seconds(0, 60)


def scenes(video: str = "v") -> list[Scene]:
    """Six scenes in two events."""
    top = Scene(1, video, WHOLE, 2, 0, None, WHOLE.end)
    events = [
        Scene(2 + k, video, Span.seconds(30 * k, 30 * k + 30), 1, k, 1, WHOLE.end) for k in range(2)
    ]
    leaves = [
        Scene(10 + k, video, Span.seconds(10 * k, 10 * k + 10), 0, k, 2 + k // 3, WHOLE.end)
        for k in range(6)
    ]
    return [*leaves, *events, top]


def film() -> list[Shot]:
    picture = np.full((9, 16, 3), 120, np.uint8)
    spans = [scene.span for scene in scenes() if scene.level == 0]
    return [Shot(span, picture, True) for span in spans]


def curve() -> SurpriseCurve:
    spans = tuple(Span.seconds(4 + k / 2, 4.5 + k / 2) for k in range(112))
    energy = np.random.default_rng(0).normal(0.5, 0.01, len(spans))
    energy[30], energy[80] = 0.9, 1.1
    return SurpriseCurve(spans, energy, energy * 1.2, energy * 1.5)


def written(sheet: Sheet) -> set[str]:
    """All words on a sheet."""
    from matplotlib.text import Text

    return {found.get_text() for found in sheet.figure.findobj(Text)} - {""}


# -- the sheets --


def test_a_surprise_sheet_shows_curve_baseline_boundaries_and_peaks() -> None:
    spans = [scene.span for scene in scenes() if scene.level == 0]
    made = surprise_sheet("day.mp4", WHOLE, curve(), spans, film())
    words = written(made)
    assert {"Surprise in day.mp4", "prediction", "static copy", "anomaly"} <= words
    assert {"0:19.0", "0:44.0"} <= words  # where the peaks were put
    (panel,) = made.panels
    lines = {line.get_xdata()[0] for line in panel.lines if len(set(line.get_xdata())) == 1}
    assert {span.start for span in spans[1:]} <= lines
    values = [patch.get_data().values for patch in panel.patches]
    for expected in (curve().energy, curve().static):
        assert any(np.array_equal(got, expected) for got in values)


def test_of_a_long_curve_every_column_keeps_its_highest() -> None:
    n = 5000
    spans = tuple(Span.seconds(k, k + 1) for k in range(n))
    energy = np.random.default_rng(0).normal(0.5, 0.01, n)
    energy[1234] = 2.0
    made = surprise_sheet(
        "a", Span.seconds(0, n), SurpriseCurve(spans, energy, energy, energy), [], []
    )
    (panel,) = made.panels
    highest, mean, _ = (patch.get_data() for patch in panel.patches)
    assert len(mean.values) <= 800
    assert highest.values.max() == 2.0
    k = int(highest.values.argmax())
    assert highest.edges[k] <= spans[1234].start < highest.edges[k + 1]
    assert mean.edges[-1] == spans[-1].end
    assert np.average(mean.values, weights=np.diff(mean.edges)) == pytest.approx(energy.mean())
    assert "0:20:34.0" in written(made) or "20:34.0" in written(made)


def test_a_calm_curve_has_no_peaks_to_show() -> None:
    flat = np.full(4, 0.5)
    spans = tuple(Span.seconds(k, k + 1) for k in range(4))
    made = surprise_sheet("a", WHOLE, SurpriseCurve(spans, flat, flat, flat), [WHOLE], [])
    assert "anomaly" not in written(made)


def test_a_tree_sheet_has_a_bar_for_every_scene() -> None:
    made = tree_sheet("day.mp4", WHOLE, scenes(), film())
    (panel,) = made.panels
    bars = {(round(p.get_x(), -6), round(p.get_x() + p.get_width(), -6)) for p in panel.patches}
    assert bars == {(scene.span.start, scene.span.end) for scene in scenes()}
    assert {"video", "event", "scene", "1 video, 2 events, 6 scenes", "0:30"} <= written(made)
    assert len(panel.lines) == 2 * 8  # a branch to each scene and event, in two colours


def test_the_tree_of_moments_is_drawn_merge_by_merge_in_the_scenes_colours() -> None:
    from matplotlib.colors import to_hex

    vectors = np.repeat(np.eye(6), 10, axis=0) + np.random.default_rng(0).normal(0, 0.01, (60, 6))
    spans = tuple(Span.seconds(k, k + 1) for k in range(60))
    tree = SceneTree("picture_frames", spans, ward_tree(vectors))
    made = tree_sheet("day.mp4", WHOLE, scenes(), film(), tree)
    above, bars = made.panels
    (drawn,) = above.collections
    assert len(drawn.get_segments()) == 59
    shades = [to_hex(colour) for colour in drawn.get_colors()]
    assert 1 <= shades.count(module.INK) <= 5  # merges of more than one event
    assert len(set(shades)) == 3  # and two events
    assert len(bars.patches) == 8
    assert "60 moments of picture_frames" in " ".join(written(made))


def test_scenes_without_events_are_drawn_too() -> None:
    alone = [Scene(1, "v", WHOLE, 0, 0, None, WHOLE.end)]
    assert "1 scene" in written(tree_sheet("a", WHOLE, alone, []))


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_equal_figures_are_equal_files(tmp_path: Path, suffix: str) -> None:
    spans = [scene.span for scene in scenes() if scene.level == 0]
    data = []
    for k in range(2):
        path = tmp_path / f"{k}{suffix}"
        surprise_sheet("day.mp4", WHOLE, curve(), spans, film()).save(path)
        data.append(path.read_bytes())
    assert data[0] == data[1]


def test_an_svg_is_well_formed_and_dateless(tmp_path: Path) -> None:
    path = tmp_path / "tree.svg"
    tree_sheet("day.mp4", WHOLE, scenes(), film()).save(path)
    text = path.read_text()
    assert ElementTree.fromstring(text).tag.endswith("svg")
    assert "<dc:date>" not in text


def test_a_name_is_never_taken_for_a_formula_or_a_command(tmp_path: Path) -> None:
    for name in ("$\\frac{$.mp4", "a\x1b[31m\udc80.mp4", "x" * 500):
        made = tree_sheet(name, WHOLE, scenes(), [])
        made.save(tmp_path / "a.png")
        assert len(made.title) <= 90


# -- the film --


def test_the_film_shows_each_scene_at_its_own_time(day: Path) -> None:
    from egorag.media.reader import frames
    from egorag.media.sampling import FrameSampling

    whole = Span.seconds(0, 20)
    cut = [Span.seconds(0, 3), Span.seconds(3, 3.1), Span.seconds(3.1, 20)]
    shots = filmstrip(day, whole, cut)
    assert [shot.span.start for shot in shots if shot.opens] == [0, to_us(3)]
    assert shots[0].span.start == 0
    assert shots[-1].span.end == whole.end
    assert all(a.span.end == b.span.start for a, b in pairwise(shots))
    every = list(frames(day, FrameSampling(25.0, longest=320)))
    for shot in shots:
        at = next(f for f in every if f.time >= shot.span.middle)
        assert np.array_equal(shot.picture, at.image)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=30), st.integers(1, 200))
def test_scenes_are_joined_until_wide_enough(lengths: list[int], least: int) -> None:
    bounds = np.cumsum([0, *lengths]).tolist()
    joined = module._wide_enough([Span(a, b) for a, b in pairwise(bounds)], least)
    assert joined[0].start == 0
    assert joined[-1].end == bounds[-1]
    assert all(a.end == b.start for a, b in pairwise(joined))
    assert len(joined) == 1 or all(span.duration >= least for span in joined)


@given(st.integers(0, 10**10), st.integers(1, 10**11))
def test_ticks_lie_within_and_are_few(start: int, duration: int) -> None:
    ticks = ticks_over(Span(start, start + duration))
    assert len(ticks) <= 14
    assert all(start <= tick <= start + duration for tick in ticks)


# -- where it may go --


def test_a_target_is_checked_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_target(tmp_path / "a.SVG")
    with pytest.raises(ConfigError, match=r"\.png or \.svg"):
        check_target(tmp_path / "a.pdf")
    with pytest.raises(ConfigError, match="no folder"):
        check_target(tmp_path / "none" / "a.png")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"egorag\[plot\]"):
        check_target(tmp_path / "a.png")


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    target: Any = tmp_path / "a.png"
    target.mkdir()
    with pytest.raises(StoreError, match=r"a\.png"):
        tree_sheet("a", WHOLE, scenes(), []).save(target)


def test_a_notebook_shows_a_sheet_by_itself_and_small() -> None:
    picture = Sheet("A", "told", Span.seconds(0, 10), [], [1.0])._repr_png_()
    assert picture.startswith(b"\x89PNG\r\n") and len(picture) < 20_000
    assert int.from_bytes(picture[16:20]) == 960  # pixels across
    assert picture == Sheet("A", "told", Span.seconds(0, 10), [], [1.0])._repr_png_()
