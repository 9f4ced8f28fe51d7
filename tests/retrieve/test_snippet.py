"""Snippets: the right line, within its length, on one line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from egorag.retrieve.bounds import bounds, within
from egorag.retrieve.snippet import LONGEST, snippets
from egorag.spans import Span
from egorag.terminal import plain
from egorag.types import Query, TimedText, Video


def line(start, text, track="subtitle", source="a.srt"):
    return TimedText(Span.seconds(start, start + 1), text, track, source)


def test_the_line_that_shares_most_words_with_neighbours_of_its_track():
    filler = "nothing of interest is said in this line " * 3
    lines = [
        line(0, filler),
        line(1, "she opens"),
        line(2, "the oldest mirrors of the telescope"),
        line(2, "MIRROR SALE", "ocr", "ocr"),
        line(3, "were polished"),
    ]
    (text,) = snippets([lines], "telescope mirror")
    assert text == f"{plain(filler)} she opens the oldest mirrors of the telescope were polished"
    assert snippets([lines], "sale of a mirror") == ["MIRROR SALE"]
    assert snippets([lines, []], None) == ["MIRROR SALE", ""]


def test_marker_tracks_say_nothing():
    assert snippets([[line(0, "[speech]", "speech")]], "speech") == [""]


def test_long_lines_are_cut_to_the_part_that_matches():
    text = "word " * 500 + "the knife lies here " + "word " * 500
    (found,) = snippets([[line(0, text)]], "where is the knife")
    assert "knife" in found
    assert len(found) <= LONGEST


@given(
    st.lists(st.lists(st.text(max_size=400).map(lambda t: line(0, t)), max_size=4), max_size=4),
    st.none() | st.text(max_size=40),
)
def test_any_text_gives_short_printable_snippets_from_the_lines(scenes, asked):
    found = snippets(scenes, asked)
    assert len(found) == len(scenes)
    for text, lines in zip(found, scenes, strict=True):
        assert len(text) <= LONGEST
        assert text == plain(text)
        assert bool(text) == any(plain(t.text) for t in lines)
        said = "".join(plain(t.text) for t in sorted(lines, key=lambda t: t.text))
        assert "".join(text.split()) in "".join(said.split())


@given(
    st.floats(-10, 100) | st.none(),
    st.floats(-10, 100) | st.none(),
    st.floats(-10, 100) | st.none(),
    st.lists(st.tuples(st.floats(0, 90), st.floats(0, 9)), max_size=8),
)
def test_bounds_keep_exactly_what_the_filters_allow(after, before, until, times):
    lines = [TimedText(Span.seconds(s, s + d), "x", "caption", "t") for s, d in times]
    query = Query("x", after=after, before=before, until=until)
    kept = within(lines, bounds(query, Video("v", "v", 10**8)))
    expected = [
        t
        for t in lines
        if (after is None or t.span.start >= round(after * 1e6))
        and (before is None or t.span.end <= round(before * 1e6))
        and (until is None or t.span.end <= round(until * 1e6))
    ]
    assert kept == expected
