"""One stream's sound as unbroken mono samples, at as many rates as readers ask for.

A decoder gives frames with timestamps that jitter, leave gaps and overlap. As long as the stamps
stay within ``TOLERANCE`` of where the samples counted so far end, samples simply follow each
other. Otherwise a new run begins at its stamp: what is missing becomes silence, what is there
already is dropped; but stamps that hardly advance from frame to frame are not believed. Each rate
has one libswresample context per run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from av import FFmpegError
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from egorag.media.sampling import SoundChunk
from egorag.media.timeline import StreamClock
from egorag.spans import MICROSECONDS, to_us

TOLERANCE = 50_000
"""Microseconds of disagreement that count as jitter (containers round stamps to milliseconds)."""

CHUNKS_PER_SECOND = 10


class Soundtrack:
    """Places decoded sound on the timeline and feeds the readers.

    Attributes:
        end: microseconds; where the last sample ends.
        samples: how many were decoded, at the stream's own rate.
        skipped: frames that could not be mixed or resampled.
    """

    def __init__(self, clock: StreamClock, rates: Sequence[int]) -> None:
        self._clock = clock
        self._readers = [_Resampled(rate) for rate in rates]
        self._kind: tuple[str, str, int] | None = None
        self._run_start = 0
        self._run_samples = 0
        self._run_end = 0
        self._stamp = 0
        self._length = 0
        self.end = 0
        self.samples = 0
        self.skipped = 0

    def push(self, frame: AudioFrame) -> Iterator[tuple[int, SoundChunk]]:
        """Take the next frame; yields (number of the rate, chunk)."""
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        start = self._start_of(frame)
        if kind != self._kind or start != self._run_end:
            self._kind, self._run_start, self._run_samples = kind, start, 0
            for number, reader in enumerate(self._readers):
                for chunk in reader.begin(start):
                    yield number, chunk
        try:
            chunks = [
                (number, chunk)
                for number, reader in enumerate(self._readers)
                for chunk in reader.push(frame)
            ]
        except FFmpegError:  # e.g. nine channels in a layout without a name
            self.skipped += 1
            self._kind = None
            return
        yield from chunks
        self.samples += frame.samples
        self._run_samples += frame.samples
        self._run_end = self._run_start + to_us(self._run_samples / frame.sample_rate)
        self.end = max(self.end, self._run_end)
        self._clock.advance(self.end)

    def _start_of(self, frame: AudioFrame) -> int:
        """Where the frame starts: at its stamp, or, as long as that is near, after the last one."""
        before, self._stamp = self._stamp, self._clock.place(frame.pts)
        length, self._length = self._length, to_us(frame.samples / frame.sample_rate)
        if self._kind is None:
            return self._stamp
        late = self._stamp - self._run_end
        crawling = late < 0 and self._stamp - before < length // 2
        return self._run_end if abs(late) <= TOLERANCE or crawling else self._stamp

    def finish(self) -> Iterator[tuple[int, SoundChunk]]:
        """The stream is over: what is left in the resamplers, and silence up to ``end``."""
        for number, reader in enumerate(self._readers):
            for chunk in reader.begin(self.end, last=True):
                yield number, chunk


class _Resampled:
    """The sound of one reader. ``_position`` counts the samples delivered so far."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._position = 0
        self._surplus = 0
        self._resampler: AudioResampler | None = None

    def begin(self, time: int, last: bool = False) -> Iterator[SoundChunk]:
        """End the run before; the next one starts at ``time`` (microseconds)."""
        if self._resampler is not None:
            yield from self._chunks(self._resampler.resample(None))
        target = round(time * self._rate / MICROSECONDS)
        while self._position < target:
            count = min(target - self._position, self._rate)
            yield self._chunk(np.zeros(count, np.float32))
        self._surplus = self._position - target
        # rematrix_maxval: without it, floats are mixed with a gain that exceeds 1.
        self._resampler = (
            None
            if last
            else AudioResampler(
                "flt",
                "mono",
                self._rate,
                frame_size=max(1, self._rate // CHUNKS_PER_SECOND),
                options={"rematrix_maxval": "1.0"},
            )
        )

    def push(self, frame: AudioFrame) -> Iterator[SoundChunk]:
        assert self._resampler is not None, "begin() comes first"
        return self._chunks(self._resampler.resample(frame))

    def _chunks(self, frames: list[AudioFrame]) -> Iterator[SoundChunk]:
        for frame in frames:
            samples = np.asarray(frame.to_ndarray(), np.float32)[0]
            if self._surplus:
                samples = samples[self._surplus :]
                self._surplus -= frame.samples - len(samples)
            if len(samples):
                # Damaged float streams hold anything; resampling overshoots full scale a little.
                clean = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)
                yield self._chunk(np.clip(clean, -1.0, 1.0))

    def _chunk(self, samples: npt.NDArray[np.float32]) -> SoundChunk:
        start = self._position
        self._position += len(samples)
        return SoundChunk(start, self._rate, samples)
