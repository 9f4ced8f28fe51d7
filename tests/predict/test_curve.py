"""The surprise curve: each value by hand, and none that knows what comes after it."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from predict.conftest import FRAMES, RATE, blocks, write

pytest.importorskip("torch")
pytest.importorskip("transformers")

from egorag.errors import ConfigError, MediaError
from egorag.media.reader import frames
from egorag.media.sampling import Frame
from egorag.predict import Footage, Predictor, SurpriseCurve, energy, surprise, surprises
from egorag.predict.curve import slide
from egorag.spans import Span, to_us

Twins = Callable[[int], tuple[Path, Path]]


def stream(images: Any) -> Iterator[Frame]:
    for k, image in enumerate(images):
        time = to_us(k / RATE)
        yield Frame(time, time, k, image)


@pytest.mark.parametrize("steps", [1, 2])
def test_each_value_is_a_judgement_of_the_frames_before_it(
    predictor: Predictor, tmp_path: Path, steps: int
) -> None:
    path = write(tmp_path / "a.mkv", blocks(25))
    shown = [f.image for f in frames(path, predictor.encoder.sampling)]
    curve = surprise(predictor, path, ahead=steps * 2 / RATE)
    starts = list(range(FRAMES, 25 - 2 * steps + 1, 2 * steps))
    assert curve.spans == tuple(Span.seconds(s / RATE, (s + 2 * steps) / RATE) for s in starts)
    assert curve.times.tolist() == [(s + 2 * steps) / RATE for s in starts]
    for k, start in enumerate(starts):
        judged = predictor.judge(shown[start - FRAMES : start], shown[start : start + 2 * steps])
        assert curve.energy[k] == judged.energy
        assert curve.static[k] == judged.static
    assert math.isnan(curve.shuffled[0])
    assert np.isfinite(curve.shuffled[1:]).all()
    np.testing.assert_array_equal(curve.difference, curve.energy - curve.static)
    np.testing.assert_array_equal(curve.ratio, curve.energy / curve.static)


def test_values_before_the_noise_are_the_same_to_the_last_bit(
    predictor: Predictor, twins: Twins
) -> None:
    """Wherever the noise begins, also within a step; and it is seen as soon as it is there."""
    for cut in (17, 20):
        real, noise = (surprise(predictor, path) for path in twins(cut))
        assert real.spans == noise.spans
        before = np.array([span.end <= to_us(cut / RATE) for span in real.spans])
        assert 0 < before.sum() < len(before)
        for measure in ("energy", "static", "shuffled"):
            a, b = getattr(real, measure), getattr(noise, measure)
            assert np.array_equal(a[before], b[before], equal_nan=True)
            assert measure == "shuffled" or (a[~before] != b[~before]).all()


def test_a_shorter_video_is_the_beginning_of_the_curve(predictor: Predictor) -> None:
    images = blocks(40)
    long = SurpriseCurve.of(slide(predictor, stream(images)))
    for count in (10, 23, 39):
        short = SurpriseCurve.of(slide(predictor, stream(images[:count])))
        assert short.spans == long.spans[: len(short)]
        assert np.array_equal(short.energy, long.energy[: len(short)])
        assert np.array_equal(short.shuffled, long.shuffled[: len(short)], equal_nan=True)


def test_a_moment_is_told_before_the_next_frame_is_taken(predictor: Predictor) -> None:
    taken: list[int] = []

    def counted() -> Iterator[Frame]:
        for frame in stream(blocks(20)):
            taken.append(frame.time)
            yield frame

    for moment in slide(predictor, counted()):
        assert taken[-1] < moment.span.end


def test_no_more_than_a_window_is_held(predictor: Predictor) -> None:
    alive: weakref.WeakSet[Frame] = weakref.WeakSet()

    def counted() -> Iterator[Frame]:
        images = blocks(60)
        for k in range(60):
            frame = Frame(to_us(k / RATE), to_us(k / RATE), k, images[k])
            alive.add(frame)
            yield frame

    most = 0
    for _ in slide(predictor, counted()):
        most = max(most, len(alive))
    assert most <= FRAMES + 2 + 1


def test_the_context_grows_from_the_least_to_what_the_encoder_says(folder: Path) -> None:
    import egorag.predict

    with egorag.predict.open(folder, device="cpu", frames=20) as wide:
        assert wide.least == 16
        images = list(blocks(26))
        curve = SurpriseCurve.of(slide(wide, stream(images)))
        assert curve.spans[0] == Span.seconds(16 / RATE, 18 / RATE)
        for k, start in enumerate(range(16, 25, 2)):
            context = images[max(0, start - 20) : start]
            assert curve.energy[k] == wide.judge(context, images[start : start + 2]).energy


def test_shuffled_pairs_are_of_the_past_and_seeded(predictor: Predictor) -> None:
    images = list(blocks(14))
    curves = [SurpriseCurve.of(slide(predictor, stream(images), seed=s)) for s in (0, 0, 1)]
    assert np.array_equal(curves[0].shuffled, curves[1].shuffled, equal_nan=True)
    judged = [predictor.judge(images[s - FRAMES : s], images[s : s + 2]) for s in (8, 10, 12)]
    assert curves[0].shuffled[1] == energy(judged[1].predicted, judged[0].real)
    assert curves[0].shuffled[2] in {energy(judged[2].predicted, judged[k].real) for k in (0, 1)}


def test_a_span_of_a_video_starts_with_an_empty_context(
    predictor: Predictor, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.mkv", blocks(40))
    span = Span.seconds(4, 8)
    curve = surprise(predictor, path, span=span)
    images = predictor.pictures(Footage(path, span))
    expected = SurpriseCurve.of(slide(predictor, stream(images)))
    assert np.array_equal(curve.energy, expected.energy)
    assert curve.spans[0] == Span.seconds(6, 6.5)


def test_a_still_has_no_ratio_to_speak_of() -> None:
    zero = np.zeros(2)
    curve = SurpriseCurve((Span(0, 1), Span(1, 2)), np.array([0.0, 1.0]), zero, zero)
    assert curve.ratio.tolist() == [1.0, math.inf]
    assert str(curve).startswith("2 moments: median energy 0.5000, static copy 0.0000, shuffled")
    assert str(SurpriseCurve.of([])) == "no moments"


def test_spans_follow_each_other_whatever_the_rate(folder: Path) -> None:
    import egorag.predict

    for rate in (3.0, 7.0):
        with egorag.predict.open(folder, device="cpu", frames=FRAMES, rate=rate) as other:
            images = blocks(24)
            shown = [Frame(t, t, k, images[k]) for k in range(24) for t in [to_us(k / rate)]]
            spans = SurpriseCurve.of(slide(other, shown)).spans
        assert all(a.end == b.start for a, b in pairwise(spans))
        assert spans[-1] == Span(to_us(22 / rate), to_us(24 / rate))


def test_what_has_no_curve_is_refused(predictor: Predictor, tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", blocks(FRAMES + 1))
    with pytest.raises(MediaError, match=r"too short.*take 2.5 s"):
        surprise(predictor, path)
    with pytest.raises(ConfigError, match="video=PATH"):
        surprise(predictor)
    with pytest.raises(ConfigError, match="at most"):
        list(surprises(predictor, path, ahead=100))
    with pytest.raises(ConfigError, match=r"no measure 'enrgy'; did you mean 'energy'"):
        SurpriseCurve.of([]).values("enrgy")  # type: ignore[arg-type]


def test_the_static_copy_breaks_where_the_sample_cuts(predictor: Predictor, tmp_path: Path) -> None:
    """Random weights predict nothing, but what the encoder sees changes at a cut: the baseline
    finds the known cuts, so windows, times and peaks are where they should be."""
    from egorag.predict import cuts
    from egorag.sample import make

    truth = make(tmp_path / "day.mp4", seconds=40, seed=3, size=(160, 90))
    curve = surprise(predictor, tmp_path / "day.mp4")
    found = cuts(curve, of="static", z=2.5)
    real = [to_us(cut.seconds) for cut in truth.cuts if cut.seconds > curve.spans[0].start / 1e6]
    near = [min(abs(time - cut) for time in found) <= 500_000 for cut in real]
    assert len(real) >= 3
    assert all(near)
    assert len(found) <= len(real) + 2
