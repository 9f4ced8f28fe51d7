"""Speaker turns merged into lines of speech."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from egorag.pipeline.documents import gather
from egorag.pipeline.speakers import assign, speaker_of
from egorag.pipeline.textual import decode_texts, encode_texts
from egorag.spans import Span
from egorag.types import TimedText, Word

spans = st.tuples(st.integers(0, 60), st.integers(0, 15)).map(lambda p: Span(p[0], p[0] + p[1]))
turns = st.lists(
    st.tuples(spans, st.sampled_from("AB")).map(lambda p: TimedText(p[0], p[1], "speaker", "who")),
    max_size=8,
)


@st.composite
def lines(draw: st.DrawFn) -> TimedText:
    words = tuple(
        Word(span, text)
        for span, text in zip(
            sorted(draw(st.lists(spans, min_size=1, max_size=8))),
            draw(st.lists(st.sampled_from(["a", "ba", "aa.", "é"]), min_size=8, max_size=8)),
            strict=False,
        )
    )
    text = " ".join(w.text for w in words)
    whole = Span(words[0].span.start, max(w.span.end for w in words))
    return TimedText(whole, text, "transcript", "heard", 0.5, words)


def turn(start: float, end: float, label: str) -> TimedText:
    return TimedText(Span.seconds(start, end), label, "speaker", "who")


def line(*words: tuple[float, float, str], text: str | None = None) -> TimedText:
    made = tuple(Word(Span.seconds(a, b), word) for a, b, word in words)
    whole = Span(made[0].span.start, made[-1].span.end)
    said = " ".join(w.text for w in made) if text is None else text
    return TimedText(whole, said, "transcript", "heard", 0.5, made)


@given(st.lists(lines(), max_size=4), turns)
def test_words_keep_order_text_and_their_own_speaker(
    said: list[TimedText], who: list[TimedText]
) -> None:
    merged = [t for t in assign([*said, *who]) if t.track == "transcript"]
    words = [w for text in said for w in text.words]
    assert [w for text in merged for w in text.words] == words
    assert " ".join(t.text for t in merged).split() == " ".join(t.text for t in said).split()
    for text in merged:
        assert {speaker_of(w.span, who) for w in text.words} == {text.speaker}
        assert all(
            text.span.start <= w.span.start and w.span.end <= text.span.end for w in text.words
        )


@given(spans, turns)
def test_a_word_is_of_who_speaks_longest_in_it(span: Span, who: list[TimedText]) -> None:
    speaker = speaker_of(span, who)
    shares = {
        label: sum(span.overlap(t.span) for t in who if t.text == label) for label in ("A", "B")
    }
    if speaker is None:
        assert not any(shares.values())
    elif span.duration:
        assert shares[speaker] == max(shares.values()) > 0


def test_a_line_is_split_where_the_speaker_changes() -> None:
    said = line((0, 1, "How"), (1, 2, "far?"), (2, 3, "Two"), (3, 4, "miles."))
    who = [turn(0, 2.2, "SPEAKER_01"), turn(2.2, 9, "SPEAKER_00")]
    first, second = assign([said, *who])[:2]
    assert (first.told, first.span) == ("SPEAKER_01: How far?", Span.seconds(0, 2))
    assert (second.told, second.span) == ("SPEAKER_00: Two miles.", Span.seconds(2, 4))
    assert assign([said]) == [said]


def test_scripts_without_spaces_keep_their_text() -> None:
    said = line((0, 1, "こん"), (1, 2, "にちは"), (2, 3, "はい"), text="こんにちは、はい")
    merged = assign([said, turn(0, 2, "A"), turn(2, 3, "B")])
    assert [t.text for t in merged if t.words] == ["こんにちは、", "はい"]


def test_words_that_are_not_in_the_text() -> None:
    said = line((0, 1, "one"), (1, 2, "two"), text="1 2")
    merged = assign([said, turn(0, 1, "A"), turn(1, 2, "B")])
    assert [t.text for t in merged if t.words] == ["one", "two"]


def test_a_line_without_word_times_gets_the_only_speaker() -> None:
    cue = TimedText(Span.seconds(0, 2), "Hello.", "subtitle", "a.srt")
    alone = assign([cue, turn(0, 3, "A")])[0]
    both = assign([cue, turn(0, 1, "A"), turn(1, 2, "B")])[0]
    nobody = assign([cue, turn(5, 6, "A")])[0]
    assert (alone.speaker, both.speaker, nobody.speaker) == ("A", None, None)


def test_other_tracks_are_left_alone() -> None:
    sign = TimedText(Span.seconds(0, 2), "EXIT", "ocr", "ocr")
    assert assign([sign, turn(0, 3, "A")])[0] == sign


def test_documents_name_speakers_only_where_known() -> None:
    said = [line((0, 1, "Hi"), (1, 2, "there")), line((5, 6, "Bye"))]
    merged = assign([*said, turn(0, 2, "SPEAKER_00")])
    (scene,) = gather([Span.seconds(0, 10)], merged)
    assert scene.speech == "SPEAKER_00: Hi there Bye"
    assert scene.tracks["transcript"] == "SPEAKER_00: Hi there\nBye"
    assert "speaker" not in scene.tracks


def test_artifacts_carry_speakers() -> None:
    said = assign([line((0, 1, "Hi")), turn(0, 2, "SPEAKER_00")])
    assert decode_texts(encode_texts(said)) == said
    assert "speaker" not in encode_texts([line((0, 1, "Hi"))])[0]
