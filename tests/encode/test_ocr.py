"""On-screen text: the exact words, when they show, and nothing where there is nothing."""

from __future__ import annotations

import difflib
import logging
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egorag.encode.base import Available, Encoder
from egorag.encode.ocr import OCR
from egorag.encode.ocr_lines import LineTracker
from egorag.encode.ocr_reader import Image, Line, TextReader, plain
from egorag.errors import EgoragError
from egorag.media.sampling import Frame
from egorag.spans import Span
from egorag.types import TimedText

SECOND = 1_000_000


@pytest.fixture(scope="module")
def ocr() -> Iterator[OCR]:
    encoder = OCR(rate=1.0)
    encoder.setup()
    yield encoder
    encoder.close()


def picture(*lines: str, seed: int = 0, noise: float = 0.0) -> Image:
    """A soft coloured 1280x720 background with lines of text from the top."""
    rng = np.random.default_rng(seed)
    patches = rng.integers(0, 140, (9, 16, 3), dtype=np.uint8)
    image = cv2.resize(patches, (1280, 720), interpolation=cv2.INTER_CUBIC)
    for n, line in enumerate(lines):
        place = (80, 120 + 90 * n)
        cv2.putText(image, line, place, cv2.FONT_HERSHEY_DUPLEX, 1.3, (255,) * 3, 2, cv2.LINE_AA)
    grain = rng.normal(0, noise, image.shape)
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def video(images: Sequence[Image]) -> Iterator[Frame]:
    return (Frame(n * SECOND, n * SECOND, n, image) for n, image in enumerate(images))


def texts(found: list[TimedText]) -> list[str]:
    return [t.text for t in found]


def test_exact_words_in_reading_order(ocr: OCR) -> None:
    lines = ["Add 200 g of flour", "KITCHEN TIMER 03:15", "Goddard Space Flight Center"]
    found = list(ocr.encode(video([picture(*lines)])))
    assert texts(found) == lines
    for line in found:
        assert (line.track, line.source, line.span) == ("ocr", "rapidocr", Span(0, SECOND))
        assert line.confidence is not None and line.confidence > 0.9


@pytest.mark.parametrize("kind", ["black", "white", "gradient", "noise", "coarse noise", "tiny"])
def test_nothing_is_read_where_nothing_is_written(ocr: OCR, kind: str) -> None:
    rng = np.random.default_rng(1)
    image = {
        "black": np.zeros((720, 1280, 3), np.uint8),
        "white": np.full((720, 1280, 3), 255, np.uint8),
        "gradient": picture(seed=3),
        "noise": rng.integers(0, 256, (720, 1280, 3), dtype=np.uint8),
        "coarse noise": rng.integers(0, 256, (72, 128, 3), dtype=np.uint8)
        .repeat(10, 0)
        .repeat(10, 1),
        "tiny": rng.integers(0, 256, (2, 3, 3), dtype=np.uint8),
    }[kind]
    assert list(ocr.encode(video([image]))) == []


def test_text_appears_stays_and_goes(ocr: OCR) -> None:
    shown = [[], ["OPEN THE FRIDGE"], ["OPEN THE FRIDGE"], ["OPEN THE FRIDGE"], [], [], []]
    images = [picture(*lines, seed=n) for n, lines in enumerate(shown)]
    [line] = ocr.encode(video(images))
    assert line.text == "OPEN THE FRIDGE"
    assert line.span == Span(1 * SECOND, 4 * SECOND)


def test_an_overlooked_picture_does_not_end_a_line_and_two_do(ocr: OCR) -> None:
    text, blank = picture("MIND THE STEP"), picture()
    found = list(ocr.encode(video([text, blank, text, blank, blank, text])))
    assert [t.span for t in found] == [Span(0, 3 * SECOND), Span(5 * SECOND, 6 * SECOND)]


def test_numbers_that_change_are_different_lines(ocr: OCR) -> None:
    clocks = [f"Kitchen timer 03:{n:02d}" for n in (15, 16, 17)]
    assert texts(list(ocr.encode(video([picture(c) for c in clocks])))) == clocks


def test_small_change_in_a_still_picture_is_seen(ocr: OCR) -> None:
    before, after = picture("Platform 3"), picture("Platform 3")
    cv2.putText(after, "Gate 42", (1000, 650), cv2.FONT_HERSHEY_DUPLEX, 0.7, (255,) * 3, 1)
    found = list(ocr.encode(video([before, after])))
    assert {(t.text, t.span.start) for t in found} == {("Platform 3", 0), ("Gate 42", SECOND)}


class Counting:
    """A reader that counts how often it looks and how many lines it reads."""

    def __init__(self, reader: TextReader) -> None:
        self.reader, self.looks = reader, 0

    def read(self, *arguments: object) -> list[Line]:
        self.looks += 1
        return self.reader.read(*arguments)  # type: ignore[arg-type]  # passed through unchanged


def test_a_still_with_grain_is_read_once(ocr: OCR) -> None:
    counting = Counting(ocr._runtime)  # type: ignore[arg-type]  # set up by the fixture
    watched = OCR(rate=1.0)
    object.__setattr__(watched, "_runtime", counting)
    still = picture("WEST EXIT")
    grainy = [
        np.clip(still + np.random.default_rng(n).normal(0, 8, still.shape), 0, 255).astype(np.uint8)
        for n in range(6)
    ]
    [line] = watched.encode(video(grainy))
    assert line.span == Span(0, 6 * SECOND)
    assert counting.looks == 1


def test_a_line_that_stays_is_not_recognised_again(
    ocr: OCR, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ocr._runtime is not None
    engine, calls = ocr._runtime._engine, []

    def count(*arguments: object, **keywords: bool) -> object:
        calls.append(keywords["use_det"])
        return engine(*arguments, **keywords)

    monkeypatch.setattr(ocr._runtime, "_engine", count)
    images = [picture("EVENING NEWS") for _ in range(3)]
    for n, image in enumerate(images):  # a shadow grows from below
        shade = np.linspace(1, 1 - 0.3 * n, 400)[:, None, None]
        image[320:] = (image[320:] * shade).astype(np.uint8)
    assert texts(list(ocr.encode(video(images)))) == ["EVENING NEWS"]
    assert calls == [True, False, True, True]


def test_nothing_is_remembered_from_the_video_before(ocr: OCR) -> None:
    images = [picture("HALF PAST TEN"), picture("QUARTER TO SIX")]
    first = list(ocr.encode(video(images)))
    stopped = ocr.encode(video(images[::-1]))
    next(stopped, None)
    list(ocr.encode(video([picture("QUARTER TO SIX")])))
    assert list(ocr.encode(video(images))) == first


def test_picture_size_may_change(ocr: OCR) -> None:
    large = picture("SAME WORDS")
    small = cv2.resize(large, (960, 540), interpolation=cv2.INTER_AREA).astype(np.uint8)
    [line] = ocr.encode(video([large, small]))
    assert line.span == Span(0, 2 * SECOND)


def real_frames(path: Path, first: int = 0) -> Iterator[Frame]:
    """One frame a second from ``first`` on."""
    due = first * SECOND
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            time = round(float(frame.time or 0.0) * SECOND)
            if time >= due:
                yield Frame(due, time, index, frame.to_ndarray(format="rgb24"))
                due += SECOND


def test_burned_in_clock_is_read_at_its_time(ocr: OCR, shared_data: Path) -> None:
    found = list(ocr.encode(real_frames(shared_data / "odd" / "smpte-2997.mp4", first=6)))
    clocks = [t for t in found if t.text.startswith("00:00:")]
    assert len(clocks) >= 4
    for clock in clocks:
        assert clock.span.start // SECOND == int(clock.text[6:8])


def test_real_titles(ocr: OCR, shared_data: Path) -> None:
    path = shared_data / "media" / "big_buck_bunny_0_30.webm"
    found = list(ocr.encode(real_frames(path, first=17)))
    by_text = {t.text: t.span for t in found}
    best = difflib.get_close_matches("THE PEACH OPEN MOVIE PROJECT", by_text, n=1)
    assert best
    assert 19 * SECOND < by_text[best[0]].start < by_text[best[0]].end < 25 * SECOND
    assert len(found) <= 4  # and nothing is read into the forest


def test_nothing_is_downloaded_written_or_logged(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def no_network(*_: object) -> None:
        raise AssertionError("the network was asked")

    import rapidocr

    models = Path(rapidocr.__file__).parent
    before = {p: p.stat().st_mtime_ns for p in models.rglob("*") if p.suffix != ".pyc"}
    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    root = list(logging.getLogger().handlers)
    encoder = OCR()
    encoder.setup()
    list(encoder.encode(video([picture("QUIET PLEASE"), picture()])))
    encoder.close()
    after = {p: p.stat().st_mtime_ns for p in models.rglob("*") if p.suffix != ".pyc"}
    assert {p for p in after if p not in before and "__pycache__" not in p.parts} == set()
    assert {p for p in before if p in after and after[p] != before[p] and p.is_file()} == set()
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger().handlers == root


WORDS = ["open the fridge", "close the door", "wash hands", "take the knife", "score 3 to 1"]
SCREENS = st.lists(
    st.lists(st.sampled_from(range(len(WORDS))), max_size=3, unique=True), max_size=40
)


@settings(max_examples=200, deadline=None)
@given(SCREENS, st.sampled_from([4, 1000]))
def test_stays_cover_exactly_what_was_shown(screens: list[list[int]], longest: int) -> None:
    tracker = LineTracker(SECOND, longest * SECOND)
    found = []
    for n, shown in enumerate(screens):
        lines = [Line(WORDS[w], 0.9, (0, 50 * w, 100, 50 * w + 40)) for w in shown]
        found += tracker.seen(n * SECOND, lines)
    found += tracker.finish()
    for w, word in enumerate(WORDS):
        shown_at = {n for n, screen in enumerate(screens) if w in screen}
        spans = [t.span for t in found if t.text == word]
        told = [n for s in spans for n in range(s.start // SECOND, s.end // SECOND)]
        assert len(told) == len(set(told))  # pieces do not overlap
        bridged = {n for n in range(len(screens)) if {n - 1, n + 1} <= shown_at}
        assert shown_at <= set(told) <= shown_at | bridged
        assert all(s.duration <= (longest + 1) * SECOND for s in spans)


def test_the_most_confident_reading_wins() -> None:
    tracker = LineTracker(SECOND, 60 * SECOND)
    box = (0, 0, 100, 20)
    readings = [("G0ddard", 0.6), ("Goddard Center", 0.9), ("Goddord Centor", 0.8)]
    for n, (text, confidence) in enumerate(readings):
        tracker.seen(n * SECOND, [Line(text, confidence, box)])
    assert [(t.text, t.confidence) for t in tracker.finish()] == [
        ("G0ddard", 0.6),
        ("Goddard Center", 0.9),
    ]


@given(st.text())
def test_text_is_plain(text: str) -> None:
    result = plain(text)
    assert "".join(result.split(" ")).isprintable()
    assert result == result.strip()


def test_setup_comes_first() -> None:
    encoder = OCR()
    assert isinstance(encoder, Encoder)
    with pytest.raises(EgoragError, match="setup"):
        next(encoder.encode(iter(())))
    assert encoder.skip_reason(Available(False, True, False, False)) == "no video"
    assert encoder.skip_reason(Available(True, False, False, False)) is None


def test_fingerprint_follows_what_changes_the_output() -> None:
    base = OCR().fingerprint()
    assert OCR(threads=2).fingerprint() == base
    assert OCR(rate=1.0).fingerprint() != base


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate": 0},
        {"longest": 8},
        {"detect_at": 1},
        {"min_confidence": 2},
        {"piece": 0},
        {"threads": 0},
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        OCR(**wrong)  # type: ignore[arg-type]  # that is the point
