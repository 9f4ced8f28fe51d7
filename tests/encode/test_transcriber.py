"""What all Whispers share: languages, loops, silence, times; on one that says what it is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.encode import transcriber
from egorag.encode.base import Available
from egorag.encode.pretrained.placement import Placement
from egorag.encode.transcriber import CUT, Heard, HeardWord, Line, Transcriber, line_of, split
from egorag.encode.vad import RATE, Samples, SpeechSegment, windows
from egorag.errors import ConfigError
from egorag.media.sampling import SoundChunk
from egorag.spans import Span

NOTHING = Heard((), 0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class Told(Transcriber):
    """Says ``says``; without repeats it says ``calmly``."""

    family: ClassVar[str] = "told"
    checkpoint: str = "told"
    says: Heard = NOTHING
    calmly: Heard = NOTHING
    knows: tuple[str, ...] = ("en", "de")
    asked: list[Any] = field(default_factory=list)

    def describe(self) -> str:
        return "says what it was told to say"

    def _load(self, placement: Placement) -> Any:
        return placement

    def languages(self) -> list[str]:
        return list(self.knows)

    def _detect(self, sound: Samples) -> str:
        self.asked.append(("language", len(sound) / RATE))
        return "de"

    def _hear(self, sounds: Sequence[Samples], language: str, no_repeat: int) -> list[Heard]:
        self.asked.append((language, no_repeat, len(sounds)))
        return [self.calmly if no_repeat else self.says for _ in sounds]


def said(*words: str, start: float = 0.0, each: float = 0.5) -> Line:
    return line_of(
        [
            HeardWord(f" {w}", start + i * each, start + (i + 1) * each, 0.5)
            for i, w in enumerate(words)
        ]
    )


@pytest.fixture
def speech(monkeypatch: pytest.MonkeyPatch) -> list[SpeechSegment]:
    """What voice activity is made to find."""
    found: list[SpeechSegment] = []

    def segments(chunks: Any, detector: Any, when: Any) -> Iterator[SpeechSegment]:
        assert when is CUT
        yield from found

    monkeypatch.setattr(transcriber, "speech_segments", segments)
    return found


def stretch(start: float, seconds: float) -> SpeechSegment:
    samples = np.zeros(round(seconds * RATE), np.float32)
    return SpeechSegment(round(start * RATE), samples, 0.9, False)


def test_no_stretch_is_longer_than_a_window_of_whisper() -> None:
    assert windows(CUT.longest) * 512 <= 30 * RATE


def test_the_language_is_found_once_from_the_first_speech(speech: list[SpeechSegment]) -> None:
    speech += [stretch(40.0 * i, 8.0) for i in range(20)]
    encoder = Told(says=Heard((said("one", "two"),), 0.0, -0.1))
    texts = list(encoder.encode([]))
    assert encoder.asked == [("language", 30.0), ("de", 0, 16), ("de", 0, 4)]
    assert [t.source for t in texts] == ["told (de)"] * 20
    assert texts[1].span == Span.seconds(40, 41)
    assert [w.span for w in texts[1].words] == [Span.seconds(40, 40.5), Span.seconds(40.5, 41)]
    assert texts[1].text == "one two"
    assert texts[1].confidence == 0.5


def test_a_given_language_is_not_searched_for(speech: list[SpeechSegment]) -> None:
    speech.append(stretch(0, 5))
    encoder = Told(language="en", says=Heard((said("one"),), 0.0, -0.1))
    assert [t.source for t in encoder.encode([])] == ["told (en)"]
    with pytest.raises(ConfigError, match=r"no language 'fr'.*de, en"):
        list(Told(language="fr").encode([]))
    english = Told(knows=("en",), says=Heard((said("one"),), 0.0, -0.1))
    assert [t.source for t in english.encode([])] == ["told (en)"]
    assert english.asked == [("en", 0, 1)]


def test_a_loop_is_tried_once_more_and_then_dropped(speech: list[SpeechSegment]) -> None:
    speech.append(stretch(0, 5))
    loop = Heard((Line(" thank you" * 40, 0.0, 5.0),), 0.0, -0.1)
    calm = Heard((said("thank", "you"),), 0.0, -0.1)
    assert [t.text for t in Told(says=loop, calmly=calm).encode([])] == ["thank you"]
    assert list(Told(says=loop, calmly=loop).encode([])) == []
    assert len(list(Told(says=loop, compression=1000).encode([]))) == 1


def test_where_nobody_speaks_nothing_is_heard(speech: list[SpeechSegment]) -> None:
    """As OpenAI's rule: only if the model is also unsure of what it heard."""
    speech.append(stretch(0, 5))
    line = (said("you"),)
    assert list(Told(says=Heard(line, 0.9, -1.5)).encode([])) == []
    assert len(list(Told(says=Heard(line, 0.9, -0.5)).encode([]))) == 1
    assert len(list(Told(says=Heard(line, 0.1, -1.5)).encode([]))) == 1


def test_silence_and_no_sound_give_nothing() -> None:
    encoder = Told(says=Heard((said("you"),), 0.0, -0.1))
    assert list(encoder.encode([])) == []
    silence = [SoundChunk(0, RATE, np.zeros(5 * RATE, np.float32))]
    assert list(encoder.encode(silence)) == []
    assert not encoder.asked


def test_times_stay_inside_their_stretch(speech: list[SpeechSegment]) -> None:
    speech.append(stretch(10, 1))
    far = line_of([HeardWord(" a", -1.0, 0.5, 0.5), HeardWord(" b", 0.5, 3.0, 1.5)])
    (text,) = Told(says=Heard((far,), 0.0, -0.1), language="en").encode([])
    assert all(10_000_000 <= w.span.start <= w.span.end <= 11_000_000 for w in text.words)
    assert text.span.duration > 0
    assert text.confidence == 1.0


def test_a_line_without_word_times_stays_whole(speech: list[SpeechSegment]) -> None:
    speech.append(stretch(10, 25))
    line = Line(" no times", 1.0, 24.0)
    (text,) = Told(says=Heard((line,), 0.0, np.log(0.25)), language="en").encode([])
    assert (text.span, text.words, text.confidence) == (Span.seconds(11, 34), (), 0.25)


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 5)), min_size=1, max_size=40))
def test_splitting_keeps_words_and_text(gaps: list[tuple[float, float]]) -> None:
    at, words = 0.0, []
    for i, (pause, length) in enumerate(gaps):
        words.append(HeardWord(f" w{i}", at + pause, at + pause + length, 0.5))
        at += pause + length
    parts = split(line_of(words))
    assert [w for part in parts for w in part.words] == words
    assert "".join(part.text for part in parts) == line_of(words).text
    assert all(len(p.words) == 1 or p.end - p.start <= transcriber.LONGEST_LINE for p in parts)


def test_stands_back_for_subtitles_unless_told() -> None:
    assert Told().skip_reason(Available(True, False, True, True)) == "no sound"
    assert Told().skip_reason(Available(True, True, True, True)) == "has subtitles"
    assert Told(always=True).skip_reason(Available(True, True, True, True)) is None
    assert Told().skip_reason(Available(True, True, False, True, transcribed=True)) is None


@pytest.mark.parametrize("wrong", [{"beam": 0}, {"no_speech": 1.5}, {"compression": 0.0}])
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Told(**wrong)
