"""One thread an encoder: the decoder pushes, the encoder pulls, a short queue between them.

A full queue makes the decoder wait (memory stays bounded); an encoder that fails keeps its error
and lets its items fall, so that the others finish.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from egorag.encode.base import Batch, Encoder, Over, TokenEncoder, Vectors
from egorag.spaces import EmbeddingSpace
from egorag.spans import Span
from egorag.store.token_maps import TokenWriter
from egorag.types import TimedText


class Stopped(Exception):
    """The pass was abandoned; ends the encoder's thread quietly."""


_END = object()
_STOP = object()


class Worker:
    """Runs one encoder over one video.

    After ``finish``: ``error``, or the result in ``texts`` (timed text), ``vectors`` and
    ``spans`` (one row a scene that had something to read, or a moment); and ``seconds``, how long
    it was at work, without its waits for the decoder.

    Args:
        maps: where its token maps go as they come; None keeps none.
    """

    def __init__(
        self, name: str, encoder: Encoder, queue_size: int, maps: TokenWriter | None = None
    ) -> None:
        self.name = name
        self.encoder = encoder
        self.maps = maps
        self.error: Exception | None = None
        self.seconds = 0.0
        self.texts: list[TimedText] = []
        self.spans: list[Span] = []
        self.vectors: Vectors = np.empty((0, 0), np.float32)
        self._queue: queue.Queue[Any] = queue.Queue(maxsize=queue_size)
        self._thread = threading.Thread(target=self._run, name=f"encode-{name}", daemon=True)
        self._thread.start()

    def put(self, item: Any) -> None:
        """Hand over an item or clip; waits while the encoder is behind."""
        if self.error is None:
            self._queue.put(item)

    def finish(self) -> None:
        """No more items; wait for the result."""
        self._queue.put(_END)
        self._thread.join()

    def stop(self) -> None:
        """Abandon the work (an interrupt): drop what is queued and end the thread."""
        while True:
            try:
                self._queue.put_nowait(_STOP)
                break
            except queue.Full:
                self._drain_one()

    def _drain_one(self) -> None:
        try:
            self._queue.get_nowait()
        except queue.Empty:
            return

    def _items(self) -> Iterator[Any]:
        while True:
            waited = time.monotonic()
            item = self._queue.get()
            self.seconds -= time.monotonic() - waited
            if item is _END:
                return
            if item is _STOP:
                raise Stopped
            yield item

    def _run(self) -> None:
        items = self._items()
        began = time.monotonic()
        try:
            try:
                if self.encoder.over is Over.STREAM and self.encoder.space is not None:
                    self._moments(items, self.encoder.space)
                elif self.encoder.over is Over.STREAM:
                    self.texts = list(self.encoder.encode(items))
                else:
                    self._scenes(items)
            except Stopped:
                raise
            except Exception as error:  # told at the end of the pass, by encoder and video
                self.error = error
            for _ in items:  # what the encoder left unread must not block the decoder
                pass
        except Stopped:
            return
        finally:
            self.seconds += time.monotonic() - began

    def _moments(self, items: Iterator[Any], space: EmbeddingSpace) -> None:
        rows: list[Vectors] = []
        for block in self.encoder.encode(items):
            rows.append(checked(self.name, space, block.vectors, len(block.spans)))
            self.spans.extend(block.spans)
        if rows:
            self.vectors = np.concatenate(rows)
        if any(b.start < a.end for a, b in pairwise(self.spans)):
            raise ValueError(f"encoder {self.name} returned moments out of order")

    def _scenes(self, items: Iterator[Any]) -> None:
        size = int(getattr(self.encoder, "batch_size", 16))
        rows: list[Vectors] = []
        batch: list[Any] = []
        space = self.encoder.space

        def encode() -> None:
            if not batch:
                return
            result = self.encoder.encode(batch) if self.maps is None else self._mapped(batch)
            self.spans.extend(clip.span for clip in batch)
            if space is None:
                for texts in result:
                    self.texts.extend(texts)
            else:
                rows.append(checked(self.name, space, result, len(batch)))
            batch.clear()

        for clip in items:
            batch.append(clip)
            if len(batch) == size:
                encode()
        encode()
        if rows:
            self.vectors = np.concatenate(rows)

    def _mapped(self, batch: Batch) -> Vectors:
        """The rows of a batch; each scene's map is written before the next is made."""
        assert self.maps is not None and isinstance(self.encoder, TokenEncoder)
        rows = []
        for clip in batch:
            row, tokens = self.encoder.encode_with_tokens(clip)
            self.maps.add(clip.span, tokens)
            rows.append(row)
        return np.stack(rows)


def checked(name: str, space: EmbeddingSpace, rows: Vectors, count: int) -> Vectors:
    """The rows an encoder returned, refused if their shape or values break its promise.

    Raises:
        ValueError: wrong shape, or a component that is not finite.
    """
    rows = np.asarray(rows, dtype=np.float32)
    expected = (count, space.dim)
    if rows.shape != expected:
        raise ValueError(f"encoder {name} returned shape {rows.shape}, expected {expected}")
    if not np.isfinite(rows).all():
        raise ValueError(f"encoder {name} returned values that are not finite")
    return rows
