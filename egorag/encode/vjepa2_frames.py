"""V-JEPA 2 over overlapping windows: a vector for every sampled frame, smooth in time.

As the data set Action100M was cut: ViT-g at 384 pixels, windows of 64 frames at a stride of 8,
tokens averaged over space, and what several windows say of a frame averaged. Scenes can be cut by
these vectors (``segmenter=ward``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from egorag.encode.base import Moments, Over, Vectors
from egorag.encode.pretrained.base import Published, by_name, unit
from egorag.encode.vjepa2 import VJEPA2
from egorag.encode.vjepa2_clips import SHORTEST, TUBELET, Images, VJEPA2Clips, clip_frames
from egorag.media.sampling import Frame
from egorag.spaces import EmbeddingSpace
from egorag.spans import MICROSECONDS, Span


@dataclass(frozen=True, kw_only=True)
class VJEPA2Frames(VJEPA2Clips):
    """One unit vector a sampled frame, from every window of ``frames`` frames that covers it.

    Windows begin at every ``stride``-th frame; where the last of them would leave frames out, one
    more ends with the video. A window's tokens are averaged over space: one vector a step, and a
    step is two frames, which both get it. A frame's vector is the mean over its windows, scaled to
    unit length.

    A video shorter than a window is one clip, treated as ``VJEPA2`` treats a short scene: under 16
    frames (or under ``frames``) they are repeated evenly, an odd last frame is shown twice, and a
    frame shown several times gets the mean over its places.

    Frames are prepared once each, by the checkpoint's own video processor, and held for one window
    and one batch of windows. How many windows run at once (``batch``) changes no component by more
    than 1e-5 in float32, and leaves the cosine above 0.999 in bfloat16.

    Attributes:
        frames: of one window, even; the model was trained on 16 and 64.
        stride: frames from one window's start to the next; a window covers a frame ``frames /
            stride`` times, and that often the whole video is computed. May be odd: windows then
            pair frames into steps both ways.
        rate: frames a second; 4 is what the model was trained at.
    """

    over: ClassVar[Over] = Over.STREAM
    published: ClassVar[Mapping[str, Published]] = VJEPA2.published

    checkpoint: str = by_name("facebook/vjepa2-vitl-fpc64-256")
    stride: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.stride, int) or not 1 <= self.stride <= self.frames:
            raise ValueError(
                f"stride must be a whole number of 1 to {self.frames} frames (a longer one than "
                f"the window leaves frames out), got {self.stride!r}"
            )

    @property
    def space(self) -> EmbeddingSpace:
        """Unit length; moments take no query."""
        return self.space_of(int(self.source().read_json()["hidden_size"]))

    @property
    def reach(self) -> int:
        """Microseconds beyond its own end that a moment was made from: its last window's rest."""
        return round((self.frames - 1) / self.rate * MICROSECONDS)

    def describe(self) -> str:
        crop, least = self.crop, min(SHORTEST, self.frames)
        return (
            f"a vector a frame at {self.rate:g} a second, short side {int(crop * 256 / 224)}, "
            f"centre crop {crop} x {crop}: windows of {self.frames} frames at a stride of "
            f"{self.stride} and a last one that ends with the video, tokens averaged over space, "
            f"then over the windows that cover the frame; of a video under {least} frames they "
            f"are repeated evenly to {least}"
        )

    def encode(self, data: Iterable[Frame]) -> Iterator[Moments]:
        """Blocks of consecutive frames' vectors, as soon as no later window can change them."""
        held = _Held(self.space.dim)
        fresh: list[Frame] = []
        seen = at = 0  # frames delivered; where the next window begins
        for frame in data:
            fresh.append(frame)
            seen += 1
            together = self.loaded.batches.size or 1
            last = at + (together - 1) * self.stride
            if seen < last + self.frames:
                continue
            self._take(held, fresh)
            self._windows(held, range(at, last + 1, self.stride))
            at = last + self.stride
            yield held.done(last + 1)  # a window that ends with the video begins later
        if not seen:
            return
        self._take(held, fresh)
        if seen < self.frames:
            self._over(held, clip_frames(seen, self.frames))
        else:
            starts = [*range(at, seen - self.frames + 1, self.stride)]
            before = starts[-1] if starts else at - self.stride
            if before + self.frames < seen:
                starts.append(seen - self.frames)
            self._windows(held, starts)
        yield held.done(seen, round(MICROSECONDS / self.rate))

    def _take(self, held: _Held, fresh: list[Frame]) -> None:
        """Prepare frames, once for all windows."""
        import torch

        if fresh:
            with torch.inference_mode():
                pixels = self._pixels([[frame.image for frame in fresh]])[0]
            held.add([frame.time for frame in fresh], pixels.unbind(0))
            fresh.clear()

    def _windows(self, held: _Held, starts: Sequence[int]) -> None:
        self._over(held, [range(start, start + self.frames) for start in starts])

    def _over(self, held: _Held, windows: Sequence[Sequence[int]]) -> None:
        """Add what each window, given by its frames' numbers, says of its frames."""
        import torch

        def run(batch: Sequence[Sequence[int]]) -> Any:
            return self._steps(torch.stack([held.window(numbers) for numbers in batch]))

        with torch.inference_mode():
            parts = self.loaded.batches.map(windows, run)
        steps = (rows for part in parts for rows in part.cpu().numpy())
        for numbers, rows in zip(windows, steps, strict=True):
            held.average(numbers, rows)

    def _made(self, clips: Sequence[Images]) -> Any:
        return self._steps(self._pixels(clips))

    def _steps(self, pixels: Any) -> Any:
        """float32 [windows, steps, dim]: means over space, of windows [windows, frames, ...]."""
        import torch

        shared = self.loaded.held
        with shared.lock:
            tokens = shared.model(pixels, skip_predictor=True).last_hidden_state
        steps = pixels.shape[1] // TUBELET
        return tokens.unflatten(1, (steps, -1)).mean(2, dtype=torch.float32)


class _Held:
    """Frames that a later window may cover, with the sum of what windows said of each so far."""

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._first = 0  # number of the first frame held
        self._times: list[int] = []
        self._pixels: list[Any] = []
        self._sums: list[Vectors] = []
        self._counts: list[int] = []

    def add(self, times: Sequence[int], pixels: Sequence[Any]) -> None:
        self._times += times
        self._pixels += pixels
        self._sums += (np.zeros(self._dim, np.float32) for _ in times)
        self._counts += [0] * len(times)

    def window(self, numbers: Sequence[int]) -> Any:
        """Tensor [frames, 3, crop, crop] of the frames with these numbers."""
        import torch

        return torch.stack([self._pixels[number - self._first] for number in numbers])

    def average(self, numbers: Sequence[int], steps: Vectors) -> None:
        """A window's vectors: float32 [steps, dim], each of the two frames at its place."""
        for place, number in enumerate(numbers):
            self._sums[number - self._first] += steps[place // TUBELET]
            self._counts[number - self._first] += 1

    def done(self, end: int, step: int = 0) -> Moments:
        """The frames before number ``end``, no longer held.

        Args:
            step: microseconds of the last frame, where none follows it.
        """
        count = end - self._first
        times = [*self._times[: count + 1]]
        if len(times) == count:
            times.append(times[-1] + step)
        sums = np.stack(self._sums[:count])
        rows = unit(sums / np.array(self._counts[:count], np.float32)[:, None])
        for held in (self._times, self._pixels, self._sums, self._counts):
            del held[:count]
        self._first = end
        return Moments(tuple(Span(a, b) for a, b in pairwise(times)), rows)
