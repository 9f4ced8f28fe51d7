"""Which cues become timed text."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.encode.base import Available, Encoder
from egorag.encode.subtitles import Subtitles
from egorag.media.sampling import Cue
from egorag.media.subtitles import read_subtitles
from egorag.spans import Span


def cue(start: int, end: int, text: str, source: str = "a.srt", language: str | None = None) -> Cue:
    return Cue(Span(start, end), text, source, language)


def sources(encoder: Subtitles, *cues: Cue) -> list[str]:
    return [timed.source for timed in encoder.encode(iter(cues))]


def test_is_an_encoder() -> None:
    encoder = Subtitles()
    assert isinstance(encoder, Encoder)
    assert encoder.skip_reason(Available(True, True, False, True)) == "no subtitles"
    assert encoder.skip_reason(Available(False, False, True, False)) is None


def test_fingerprint_follows_the_settings() -> None:
    listed: list[str] = ["en"]
    assert Subtitles(listed).fingerprint() == Subtitles(("en",)).fingerprint()  # type: ignore[arg-type]
    assert Subtitles(("en",)).fingerprint() != Subtitles(("fr",)).fingerprint()


@pytest.mark.parametrize("wrong", ["en", [""], [3]])
def test_wrong_languages(wrong: object) -> None:
    with pytest.raises(ValueError, match="list of codes"):
        Subtitles(languages=wrong)  # type: ignore[arg-type]


def test_one_source_is_read_unless_languages_are_chosen() -> None:
    late_english = cue(5, 6, "hi", "stream:3", "eng")
    french, second = cue(0, 1, "salut", "stream:2", "fra"), cue(0, 1, "hi", "stream:10", "eng")
    tagged, plain = cue(0, 1, "hallo", "a.de.srt", "de"), cue(1, 2, "x", "a.srt")
    assert sources(Subtitles(), french, second, late_english) == ["stream:3"]
    assert sources(Subtitles(), late_english, tagged) == ["a.de.srt"]
    assert sources(Subtitles(), late_english, tagged, plain) == ["a.srt"]
    assert sources(Subtitles(("en-US", "fr")), french, second, late_english) == [
        "stream:2",
        "stream:3",
    ]
    assert sources(Subtitles(("fr",)), tagged, plain) == ["a.srt"]
    assert sources(Subtitles(("fr",)), tagged) == []


def test_repeats_without_a_pause_become_one() -> None:
    cues = [cue(0, 2, "No."), cue(0, 2, "No."), cue(2, 4, "No."), cue(5, 6, "No."), cue(6, 7, " ")]
    found = list(Subtitles().encode(iter(cues)))
    assert [(t.span, t.text) for t in found] == [(Span(0, 4), "No."), (Span(5, 6), "No.")]
    assert {t.track for t in found} == {"subtitle"}


cues = st.builds(
    lambda start, length, text, source: cue(start, start + length, text, *source),
    st.integers(0, 20),
    st.integers(1, 9),
    st.sampled_from(["a", "b", ""]),
    st.sampled_from(
        [("a.srt", None), ("a.fr.srt", "fr"), ("stream:2", "eng"), ("stream:3", "fra")]
    ),
)


@given(st.lists(cues), st.sampled_from([(), ("en",), ("fr", "en")]))
def test_order_of_sources_does_not_matter(
    given_cues: list[Cue], languages: tuple[str, ...]
) -> None:
    encoder = Subtitles(languages)
    found = list(encoder.encode(iter(given_cues)))
    one_by_one = sorted(given_cues, key=lambda c: c.source, reverse=True)
    assert found == list(encoder.encode(iter(one_by_one)))
    starts = [t.span.start for t in found]
    assert starts == sorted(starts)
    assert len({t.source for t in found}) <= max(1, len(languages))
    for timed in found:
        same = [c for c in given_cues if (c.source, c.text) == (timed.source, timed.text)]
        assert min(c.span.start for c in same) <= timed.span.start
        assert max(c.span.end for c in same) >= timed.span.end


def test_a_real_file(shared_data: Path) -> None:
    read = read_subtitles(shared_data / "subtitles" / "webvtt" / "with_overlapping_timestamps")
    assert len(list(Subtitles().encode(iter(read.cues)))) == 4
