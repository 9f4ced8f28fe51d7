"""What a model that sees is shown: frames of the right scenes and times, never beyond a filter."""

from __future__ import annotations

import shutil

import pytest
from filmed import film, filmed, second
from hypothesis import given
from hypothesis import strategies as st

import egorag
from egorag.errors import MediaError
from egorag.generate.checked import cite_picture
from egorag.generate.citations import SEEN, verify
from egorag.generate.numbered import fitting, in_order
from egorag.generate.pictures import pictures
from egorag.generate.prompt import messages
from egorag.generate.reply import schema
from egorag.generate.seen import Look, seen
from egorag.spans import MICROSECONDS, Span
from egorag.types import Hit, Query


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return filmed(tmp_path_factory.mktemp("filmed"))


@pytest.fixture
def index(made):
    with egorag.open(made) as opened:
        yield opened


def hits_of(index, level="scene"):
    path = index.videos()[0].path
    return [Hit(scene, path, 1.0, {}, "") for scene in index.scenes(level=level)]


def show(index, frames, level="scene", size=512, budget=6000, order=None, **filters):
    query = Query("keys tea", **filters)
    hits = hits_of(index, level)
    hits = [hits[i] for i in order] if order else hits
    catalog = index.folder.catalog
    scenes, _ = fitting(query, hits, catalog, budget)
    scenes, notes = seen(scenes, query, catalog, Look(frames, size))
    return query, in_order(s for s in scenes if s.passages or s.pictures), notes


def times(scene):
    return [p.time / MICROSECONDS for p in scene.pictures]


@given(st.integers(0, 19_000_000), st.integers(1, 20_000_000), st.integers(1, 9), st.integers(0, 3))
def test_frames_are_spread_over_the_span_and_show_their_time(film_path, start, length, count, late):
    span = Span(start, min(start + length, 20_000_000))
    since = start + late * MICROSECONDS // 10
    found = pictures(film_path, span, count, 512, since)
    assert len(found) <= count
    for picture in found:
        assert picture.time in picture.span
        assert span.start <= picture.span.start and picture.span.end <= span.end
        # The frame on show: its brightness tells when it came.
        came = second(picture.image)
        assert came * MICROSECONDS >= since - 120_000
        assert -0.12 <= picture.time / MICROSECONDS - came <= 0.22
    assert [p.time for p in found] == sorted({p.time for p in found})
    if length >= count * 200_000 and late == 0 and span.duration >= count * 200_000:
        assert len(found) >= count - 1


@pytest.fixture(scope="module")
def film_path(made):
    return made.parent / "day.mp4"


def test_frames_come_from_the_middles_of_equal_parts(film_path):
    found = pictures(film_path, Span.seconds(5, 10), 2, 512)
    assert [p.span for p in found] == [Span.seconds(5, 7.5), Span.seconds(7.5, 10)]
    assert all(abs(p.time - p.span.middle) <= p.span.duration / 8 for p in found)


def test_far_frames_are_sought_one_by_one_and_are_the_same(film_path, monkeypatch):
    import egorag.generate.pictures as module

    near = pictures(film_path, Span.seconds(0, 20), 4, 512)
    monkeypatch.setattr(module, "NEAR", MICROSECONDS)
    far = pictures(film_path, Span.seconds(0, 20), 4, 512)
    assert [(p.time, p.image.tobytes()) for p in near] == [(p.time, p.image.tobytes()) for p in far]


def test_a_picture_is_as_small_as_asked_for(film_path):
    (picture,) = pictures(film_path, Span.seconds(0, 5), 1, 32)
    assert picture.image.shape == (18, 32, 3)


def test_the_pictures_are_shared_by_the_scenes_the_best_first(index):
    wanted = {4: [1, 1, 1, 1], 6: [1, 1, 2, 2], 2: [0, 0, 1, 1], 9: [2, 2, 2, 3]}
    for frames, shares in wanted.items():
        _, scenes, notes = show(index, frames, order=[3, 2, 1, 0])
        by_time = {s.span.start // (5 * MICROSECONDS): len(s.pictures) for s in scenes}
        assert [by_time.get(i, 0) for i in range(4)] == shares
        assert not notes


def test_scenes_without_text_are_there_for_what_they_show(index):
    _, scenes, _ = show(index, 4)
    assert [(s.number, bool(s.passages)) for s in scenes] == [
        (1, True), (2, False), (3, True), (4, False),
    ]  # fmt: skip
    _, scenes, _ = show(index, 0)
    assert [s.number for s in scenes if s.passages] == [1, 2]


def test_nothing_is_shown_outside_the_filters(index):
    for filters, first, last in (
        ({"until": 6.0}, 0, 6), ({"after": 3.0}, 3, 20), ({"before": 12.5}, 0, 12.5),
        ({"after": 4.0, "before": 9.0, "until": 8.0}, 4, 8),
    ):  # fmt: skip
        for level in ("scene", "video"):
            _, scenes, _ = show(index, 12, level, **filters)
            shown = [p for s in scenes for p in s.pictures]
            assert shown
            for picture in shown:
                assert first <= picture.time / MICROSECONDS < last
                assert first - 0.12 <= second(picture.image) < last + 0.12
                assert first * MICROSECONDS <= picture.span.start
                assert picture.span.end <= last * MICROSECONDS
    assert show(index, 4, after=30.0)[1] == []


def test_what_comes_after_the_cut_off_changes_no_picture(index, tmp_path):
    """The same film whose end is another one."""
    told = []
    for seconds in (20, 16):
        path = film(tmp_path / f"{seconds}.mp4", seconds)
        span = Span.seconds(0, 12)
        told.append([(p.time, p.image.tobytes()) for p in pictures(path, span, 5, 64)])
    assert told[0] == told[1]


def test_text_and_pictures_stand_in_the_order_of_time(index):
    _, scenes, _ = show(index, 8, order=[2, 0, 3, 1])
    _, user = messages("Where?", scenes, schema(pictures=True))
    said, clocks = "", []
    for part in user["content"]:
        if part["type"] == "image":
            clocks.append(said.rstrip("\n").rpartition("\n")[2])
            clocks.append(second(part["image"]))
        else:
            said += part["text"]
    labels, shown = clocks[::2], clocks[1::2]
    assert shown == sorted(shown) and len(shown) == 8
    assert [label.split(" at ")[0] for label in labels] == [f"Scene {n // 2}" for n in range(2, 10)]
    for label, came in zip(labels, shown, strict=True):
        assert abs(float(label.rstrip(":").rpartition(":")[2]) - came) < 0.25
    # Each scene's line comes before its pictures, all inside the delimiters.
    assert said.index('{"scene": 1') < said.index("Scene 1 at") < said.index('{"scene": 2')
    assert said.index("<evidence>") < said.index("Scene 1 at")
    assert said.rindex("Scene 4 at") < said.index("</evidence>") < said.index("The question")


def test_without_pictures_the_message_is_one_text(index):
    _, scenes, _ = show(index, 0)
    scenes = [s for s in scenes if s.passages]
    system, user = messages("Where?", scenes, schema())
    assert isinstance(user["content"], str)
    assert "picture of it" not in system["content"]


def test_a_picture_is_cited_by_the_time_it_was_told_by(index):
    query, scenes, _ = show(index, 8)
    catalog = index.folder.catalog
    first = scenes[1]
    for picture in first.pictures:
        for time in (picture.clock, picture.clock[:-4]):
            cited = cite_picture(first, time, query, catalog)
            assert cited is not None and cited.verified
            assert (cited.span, cited.quote, cited.track) == (picture.span, "", SEEN)
    for time in ("", "0:0", "0:01.000", "5", "99:00", scenes[0].pictures[0].clock):
        assert cite_picture(first, time, query, catalog) is None


def test_a_picture_outside_the_filters_is_not_verified(index):
    query, scenes, _ = show(index, 8)
    catalog = index.folder.catalog
    cited = cite_picture(scenes[1], scenes[1].pictures[1].clock, query, catalog)
    assert verify(cited, catalog, Query("x", until=9.0)) is None
    assert verify(cited, catalog, Query("x", after=8.0)) is None
    beyond = type(cited)(cited.video, cited.path, Span.seconds(19, 21), "", SEEN)
    assert verify(beyond, catalog, query) is None
    assert (
        verify(type(cited)(cited.video, "else.mp4", cited.span, "", SEEN), catalog, query) is None
    )
    assert verify(type(cited)("0" * 64, cited.path, cited.span, "", SEEN), catalog, query) is None


@pytest.mark.parametrize("fault", ["gone", "another", "folder", "damaged"])
def test_a_file_that_is_not_what_it_was_leaves_its_text(made, tmp_path, fault):
    shutil.copytree(made.parent, tmp_path / "copy")
    path = tmp_path / "copy" / "day.mp4"
    with egorag.open(tmp_path / "copy" / "index") as index:
        hits = [Hit(h.scene, str(path), 1.0, {}, "") for h in hits_of(index)]
        path.unlink()
        if fault == "another":
            film(path, invert=True)
        elif fault == "folder":
            path.mkdir()
        elif fault == "damaged":
            path.write_bytes(b"no film")
        catalog = index.folder.catalog
        scenes, _ = fitting(Query("keys"), hits, catalog, 6000)
        scenes, notes = seen(scenes, Query("keys"), catalog, Look(8, 64))
    assert not any(s.pictures for s in scenes)
    assert any(s.passages for s in scenes)
    reason = {"gone": "not there", "folder": "no file"}.get(fault, "another file")
    assert len(notes) == 1
    assert str(path) in notes[0] and reason in notes[0] and "its text alone" in notes[0]


def test_a_file_without_a_picture_is_refused(tmp_path):
    with pytest.raises(MediaError):
        pictures(tmp_path / "none.mp4", Span.seconds(0, 1), 1, 64)
