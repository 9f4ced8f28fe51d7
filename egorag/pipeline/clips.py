"""From the items of a decode pass to one clip a scene, holding no more than the open scenes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np

from egorag.encode.base import FrameClip, Medium, SoundClip
from egorag.media.sampling import Frame, SoundChunk
from egorag.spans import MICROSECONDS, Span


class ClipAssembler:
    """Collects one reader's items and hands out a clip for each closed scene, in order.

    A scene may close before its last items have arrived (readers lag each other a little), so it
    waits until an item at or past its end was seen, or the pass is over. Scenes without any item
    give no clip.
    """

    def __init__(self, medium: Medium) -> None:
        self._medium = medium
        self._frames: deque[Frame] = deque()
        self._chunks: deque[SoundChunk] = deque()
        self._closed: deque[Span] = deque()
        self._seen = -1

    def add(self, item: Frame | SoundChunk) -> None:
        """Take the next item of the reader."""
        if isinstance(item, Frame):
            self._frames.append(item)
            self._seen = item.time
        else:
            self._chunks.append(item)
            self._seen = item.span.end

    def close(self, scenes: Iterable[Span]) -> None:
        """These scenes are final."""
        self._closed.extend(scenes)

    def ready(self, *, last: bool = False) -> list[tuple[Span, FrameClip | SoundClip | None]]:
        """Clips whose items are all here; ``last`` when no more will come."""
        done: list[tuple[Span, FrameClip | SoundClip | None]] = []
        while self._closed and (last or self._seen >= self._closed[0].end):
            span = self._closed.popleft()
            done.append((span, self._take(span)))
        return done

    def _take(self, span: Span) -> FrameClip | SoundClip | None:
        return self._take_sound(span) if self._medium is Medium.SOUND else self._take_frames(span)

    def _take_frames(self, span: Span) -> FrameClip | None:
        taken: list[Frame] = []
        while self._frames and self._frames[0].time < span.end:
            frame = self._frames.popleft()
            if frame.time >= span.start:
                taken.append(frame)
        return FrameClip(span, tuple(taken)) if taken else None

    def _take_sound(self, span: Span) -> SoundClip | None:
        if not self._chunks:
            return None
        rate = self._chunks[0].rate
        start, end = (-(-t * rate // MICROSECONDS) for t in (span.start, span.end))
        pieces: list[np.ndarray[tuple[int], np.dtype[np.float32]]] = []
        while self._chunks and self._chunks[0].start < end:
            chunk = self._chunks[0]
            stop = chunk.start + len(chunk.samples)
            pieces.append(chunk.samples[max(0, start - chunk.start) : end - chunk.start])
            if stop > end:
                break
            self._chunks.popleft()
        samples = np.concatenate(pieces) if pieces else np.empty(0, np.float32)
        return SoundClip(span, samples, rate) if len(samples) else None
