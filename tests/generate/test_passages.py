"""Sentences out of cues: whole, in time, and always found again in the cues they came from."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from egorag.generate.passages import LONGEST, passages
from egorag.spans import Span, hull
from egorag.terminal import plain
from egorag.types import TimedText


def cues(*said, track="subtitle", source="a.srt"):
    return [TimedText(Span.seconds(s, e), text, track, source) for s, e, text in said]


def texts(found):
    return [(p.span.start / 1e6, p.span.end / 1e6, p.text) for p in found]


def test_fragments_become_sentences_with_the_hull_of_their_cues():
    found = passages(
        "v",
        cues(
            (0.2, 4, "NAR: This is the Webb"),
            (4, 8, "space telescope. It has a"),
            (8, 12, "gold mirror."),
            (12, 13, "Yes"),
        ),
    )
    assert texts(found) == [
        (0.2, 8, "NAR: This is the Webb space telescope."),
        (4, 12, "It has a gold mirror."),
        (12, 13, "Yes"),
    ]
    assert found[0].cues == ("NAR: This is the Webb",)
    assert found[1].cues == ("gold mirror.",)
    assert found[2].variants == ("Yes",)


def test_pauses_speakers_and_titles():
    found = passages(
        "v",
        cues(
            (0, 1, "Mr. Bean and J. Smith met"),
            (1, 2, "at 3.5 metres"),
            (4.5, 5, "after the pause"),
            (5, 6, "- says another"),
            (6, 7, ">> and one more"),
        ),
    )
    assert [p.text for p in found] == [
        "Mr. Bean and J. Smith met at 3.5 metres",
        "after the pause",
        "- says another",
        ">> and one more",
    ]


def test_other_tracks_and_sources_are_not_joined():
    lines = [
        *cues((0, 1, "one. two"), track="caption"),
        *cues((1, 2, "three"), track="caption"),
        *cues((0, 1, "said"), source="stream:2"),
        *cues((1, 2, "here"), source="stream:5"),
        *cues((0, 9, "[speech]"), track="speech"),
        *cues((0, 1, "♪ ♪")),
    ]
    assert [p.text for p in passages("v", lines)] == ["one.", "two", "said", "three", "here"]


def test_two_equal_streams_give_each_sentence_once():
    said = [(0, 2, "The same words"), (2, 4, "in both streams.")]
    both = [*cues(*said, source="stream:2"), *cues(*said, source="stream:5")]
    assert [p.text for p in passages("v", both)] == ["The same words in both streams."]


def test_speech_without_marks_is_cut_before_it_gets_long():
    found = passages("v", cues(*[(i, i + 1, "and then we went on") for i in range(100)]))
    assert all(len(p.text) <= LONGEST + 20 for p in found)
    assert len(found) == 7


words = st.sampled_from(["go", "on.", "Dr.", "why?!", "'No.'", "♪", "日本。また", "x" * 80])
cue = st.tuples(st.integers(0, 60), st.integers(0, 5), st.lists(words, max_size=8).map(" ".join))


@given(st.lists(cue, max_size=12), st.sampled_from(["subtitle", "caption"]))
def test_every_word_is_kept_and_every_sentence_can_be_found_in_its_cues(raw, track):
    lines = cues(*[(s, s + d, text) for s, d, text in raw], track=track)
    found = passages("v", lines)
    ordered = sorted({(t.span, plain(t.text)) for t in lines})
    for p in found:
        inside = [t for s, t in ordered if p.span.start <= s.start and s.end <= p.span.end]
        assert p.text in " ".join(t for t in inside if t)
        assert p.text == plain(p.text)
        assert set(p.cues) <= {t for _, t in ordered}
    for span, text in ordered:
        near = " ".join(p.text for p in found if p.span == hull([p.span, span]))
        for word in re.findall(r"\w+", text):
            assert word in near
