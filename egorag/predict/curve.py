"""How surprising a video is, moment by moment: what was predicted against what came.

A window slides over the video, two frames (a step) at a time; the step after it is predicted from
it and compared with what really came, once that is there. The value of a step uses no frame after
that step, so a curve of the first minute is the first minute of the whole curve, bit for bit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from egorag.encode.vjepa2 import TUBELET
from egorag.errors import ConfigError, MediaError, did_you_mean
from egorag.media.reader import frames
from egorag.media.sampling import Frame
from egorag.media.stretch import stretch
from egorag.predict.energy import Tokens, energy
from egorag.predict.predictor import Predictor
from egorag.spans import MICROSECONDS, Span, to_us

Measure: TypeAlias = Literal["energy", "static", "difference", "ratio"]
MEASURES: tuple[Measure, ...] = ("energy", "static", "difference", "ratio")

_REMEMBERED = 8  # moments of the past that shuffled pairs are drawn from


@dataclass(frozen=True)
class Surprise:
    """One moment.

    Attributes:
        span: of the frames judged; the value uses nothing sampled at or after its end.
        energy: of the prediction; see ``egorag.predict.energy``.
        static: of the static copy.
        shuffled: of the prediction against a moment of the past drawn by the seed; NaN for the
            first, which has none.
    """

    span: Span
    energy: float
    static: float
    shuffled: float


@dataclass(frozen=True, eq=False)
class SurpriseCurve:
    """A video's moments as columns; ``[n]`` each.

    Attributes:
        spans: of the frames judged, in time order, one after the other.
        energy, static, shuffled: float64; see ``Surprise``.
    """

    spans: tuple[Span, ...]
    energy: npt.NDArray[np.float64]
    static: npt.NDArray[np.float64]
    shuffled: npt.NDArray[np.float64]

    @classmethod
    def of(cls, moments: Iterable[Surprise]) -> SurpriseCurve:
        """Collect moments."""
        listed = list(moments)
        rows = [(m.energy, m.static, m.shuffled) for m in listed]
        columns = np.array(rows, np.float64).reshape(-1, 3).T
        return cls(tuple(m.span for m in listed), *columns)

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """Seconds at which each value is known: the ends of the spans."""
        return np.array([span.end for span in self.spans], np.float64) / 1e6

    @property
    def difference(self) -> npt.NDArray[np.float64]:
        """Energy less the static copy's: below 0, predicting beat standing still."""
        return self.energy - self.static

    @property
    def ratio(self) -> npt.NDArray[np.float64]:
        """Energy over the static copy's; 1 where both are 0. Restless where nothing moves."""
        still = self.static == 0
        made = self.energy / np.where(still, 1, self.static)
        return np.where(still, np.where(self.energy == 0, 1.0, np.inf), made)

    def values(self, measure: Measure) -> npt.NDArray[np.float64]:
        """One of ``MEASURES``."""
        if measure not in MEASURES:
            raise ConfigError(f"no measure {measure!r}{did_you_mean(str(measure), MEASURES)}")
        chosen: npt.NDArray[np.float64] = getattr(self, measure)
        return chosen

    def __len__(self) -> int:
        return len(self.spans)

    def __str__(self) -> str:
        if not len(self):
            return "no moments"
        won = float((self.energy < self.static).mean())
        paired = self.shuffled[np.isfinite(self.shuffled)]
        shuffled = f", shuffled {np.median(paired):.4f}" if len(paired) else ""
        return (
            f"{len(self)} moments: median energy {np.median(self.energy):.4f}, static copy "
            f"{np.median(self.static):.4f}{shuffled}; predicting beat the static copy at {won:.0%}"
        )


def surprises(
    predictor: Predictor,
    video: str | Path | None = None,
    *,
    span: Span | None = None,
    ahead: float | None = None,
    seed: int = 0,
) -> Iterator[Surprise]:
    """The moments of a video as they come; at no time is more than one window held.

    Each costs two runs of the encoder, over the context and over what came, and a short one of the
    predictor: a small context (``frames=16``) makes a curve of a long video affordable.

    The first is judged once the least context is there; the context then grows to what the
    encoder's ``frames`` say.

    Args:
        video: the predictor's own by default.
        span: only this stretch, from an empty context.
        ahead: seconds predicted and judged at once; one step by default.
        seed: of the shuffled pairs.

    Raises:
        ConfigError: no video, or ``ahead`` beyond the horizon.
        MediaError: the file cannot be read.
    """
    path = predictor.video if video is None else Path(video)
    if path is None:
        raise ConfigError("no video: open the predictor with video=PATH, or give one here")
    steps = 1 if ahead is None else predictor.steps(ahead)
    sampling = predictor.encoder.sampling
    stream = frames(path, sampling) if span is None else stretch(path, span, sampling)
    return slide(predictor, stream, steps, seed)


def surprise(
    predictor: Predictor,
    video: str | Path | None = None,
    *,
    span: Span | None = None,
    ahead: float | None = None,
    seed: int = 0,
) -> SurpriseCurve:
    """All of ``surprises`` as a curve.

    Raises:
        ConfigError, MediaError: see ``surprises``.
        MediaError: also where the video is too short for a single moment.
    """
    curve = SurpriseCurve.of(surprises(predictor, video, span=span, ahead=ahead, seed=seed))
    if not len(curve):
        steps = 1 if ahead is None else predictor.steps(ahead)
        least = (predictor.least + steps * TUBELET) / predictor.encoder.rate
        raise MediaError(
            f"{str(video or predictor.video)!r} is too short for surprise: context and a first "
            f"judged step take {least:g} s"
        )
    return curve


def slide(
    predictor: Predictor, stream: Iterable[Frame], steps: int = 1, seed: int = 0
) -> Iterator[Surprise]:
    """``surprises`` of frames in time order, sampled as the encoder asks."""
    judged = steps * TUBELET
    context = predictor.context_frames(steps)
    window: deque[Frame] = deque(maxlen=context + judged)
    dice = np.random.default_rng(seed)
    past: deque[Tokens] = deque(maxlen=_REMEMBERED)
    rate = Fraction(predictor.encoder.rate)
    fresh = -predictor.least  # frames not judged yet; the least context never is
    for frame in stream:
        window.append(frame)
        fresh += 1
        if fresh < judged:
            continue
        fresh = 0
        held = list(window)
        future = held[-judged:]
        before = predictor.context([f.image for f in held[:-judged]], steps)
        found = predictor.judge(before, [f.image for f in future])
        drawn = past[int(dice.integers(len(past)))] if past else None
        yield Surprise(
            Span(future[0].time, to_us(round(future[-1].time * rate / MICROSECONDS + 1) / rate)),
            found.energy,
            found.static,
            float("nan") if drawn is None else energy(found.predicted, drawn),
        )
        past.append(found.real)
