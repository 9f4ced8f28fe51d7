"""Which text belongs to which scene, and when it was known."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from egorag.pipeline.documents import corpus_scenes, end_at_cuts, gather
from egorag.spans import Span, check_tiling
from egorag.types import TimedText

S = 1_000_000


def said(start: float, end: float, text: str, track: str = "subtitle") -> TimedText:
    return TimedText(Span.seconds(start, end), text, track, "test")


SCENES = [Span(0, 10 * S), Span(10 * S, 12 * S), Span(12 * S, 30 * S)]


def test_a_text_goes_where_most_of_it_is() -> None:
    got = gather(SCENES, [said(8, 10.2, "tail"), said(9.5, 11, "over"), said(11.9, 12, "short")])
    assert [s.speech for s in got] == ["tail", "over short", ""]


def test_a_long_line_belongs_to_every_scene_it_is_seen_in() -> None:
    got = gather(SCENES, [said(2, 28, "EXIT", "ocr")])
    assert [s.visuals for s in got] == ["EXIT", "EXIT", "EXIT"]
    assert [s.known_at for s in got] == [28 * S, 28 * S, 30 * S]


def test_known_at_is_the_end_of_the_last_thing_said() -> None:
    got = gather(SCENES, [said(8, 11, "x"), said(12, 13, "y")])
    assert [s.known_at for s in got] == [11 * S, 12 * S, 30 * S]


def test_document_names_what_is_said_and_what_is_seen() -> None:
    got = gather(
        SCENES,
        [said(1, 2, "hello\nthere"), said(3, 4, "PANTRY", "ocr"), said(5, 6, "[speech]", "speech")],
    )
    first = got[0].document
    assert first is not None
    assert first.text == "Transcript: hello there Visuals: PANTRY"
    assert got[1].document is None


def test_sounds_are_told_apart_from_speech_and_found_with_it() -> None:
    """Sounds go where text search looks for what is heard, after what is said."""
    events = [
        said(0, 10, "Dishes, pots, and pans", "sound_event"),
        said(2, 9, "Speech", "sound_event"),
        said(9, 12, "Speech", "sound_event"),
    ]
    got = gather(SCENES, [said(1, 2, "hello"), said(3, 4, "PANTRY", "ocr"), *events])
    first, second = got[0].document, got[1].document
    assert first is not None and second is not None
    assert first.text == (
        "Transcript: hello Sounds: Dishes, pots, and pans; Speech Visuals: PANTRY"
    )
    assert second.text == "Sounds: Speech"
    assert got[0].speech == "hello Dishes, pots, and pans; Speech"
    assert got[0].visuals == "PANTRY"
    assert first.tracks["sound_event"] == "Dishes, pots, and pans\nSpeech"
    assert got[0].known_at == 12 * S  # the last of its sounds had ended only then
    assert got[2].document is None


def test_a_sound_is_told_once_a_scene() -> None:
    events = [said(i, i + 1, f"sound {i % 10}", "sound_event") for i in range(20)]
    [scene] = gather([Span(0, 30 * S)], events)
    assert scene.speech == "; ".join(f"sound {i}" for i in range(10))


times = st.integers(0, 40 * S)
texts = st.lists(
    st.tuples(
        times,
        st.integers(0, 20 * S),
        st.sampled_from(["subtitle", "ocr", "speech", "sound_event"]),
        st.text(max_size=5),
    ),
    max_size=12,
).map(lambda rows: [TimedText(Span(a, a + d), text, track, "t") for a, d, track, text in rows])


@given(texts)
def test_no_text_is_lost_and_none_is_known_too_early(rows: list[TimedText]) -> None:
    got = gather(SCENES, rows)
    for row in rows:
        if row.track == "speech" or not row.text.strip() or row.span.start >= SCENES[-1].end:
            continue
        homes = [
            s
            for s in got
            if row.text in s.tracks.get(row.track, "").split("\n")
            or row.text in s.tracks.get(row.track, "")
        ]
        assert homes
        # wherever the text stands, it was not known before it ended
        assert any(s.known_at >= row.span.end for s in homes)
    assert all(s.known_at >= s.span.end for s in got)
    assert gather(SCENES, list(reversed(rows))) == got


@given(
    st.lists(st.tuples(times, st.integers(0, 20 * S)), min_size=1, max_size=15).map(
        lambda rows: [TimedText(Span(a, a + d), "x", "caption", "t") for a, d in rows]
    )
)
def test_corpus_scenes_tile_and_each_line_starts_one(rows: list[TimedText]) -> None:
    scenes = corpus_scenes(rows)
    check_tiling(scenes, Span(0, scenes[-1].end))
    assert {r.span.start for r in rows} <= {s.start for s in scenes}
    assert scenes[-1].end >= max(r.span.end for r in rows)


def test_what_was_sampled_ends_at_the_cut_it_was_not_seen_across() -> None:
    """Sampled every 2 s: last sightings at 8 s (before the cut at 10) and at 10 s (after it)."""
    before, across = said(4, 10.5, "A", "ocr"), said(4, 12.5, "B", "ocr")
    inside = said(14, 18, "C", "ocr")
    settled = end_at_cuts([before, across, inside], SCENES, 2 * S)
    assert [t.span for t in settled] == [
        Span.seconds(4, 10),
        Span.seconds(4, 12),
        Span.seconds(14, 18),
    ]
