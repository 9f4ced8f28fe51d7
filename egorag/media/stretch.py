"""The sampled frames of one stretch of a file, without decoding all that lies before it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from egorag.media.container import choose_streams, open_media, origin
from egorag.media.filmstrip import Filmstrip
from egorag.media.probe import refuse_unreadable
from egorag.media.reader import frames
from egorag.media.sampling import Frame, FrameSampling
from egorag.media.timeline import MAX_GAP, StreamClock, Timeline, TimestampJump
from egorag.spans import MICROSECONDS, Span

_INDEXED = frozenset({"mov", "mp4", "matroska", "webm"})
"""Formats with an index of key frames and one unbroken clock: a seek lands where it should."""

_NEAR = 2 * MICROSECONDS
"""Seeks aim this much early: an index counts decoding times, which run ahead of what is shown."""


class _NoWayIn(Exception):
    """This file has to be read from its start."""


def stretch(
    path: str | os.PathLike[str], span: Span, sampling: FrameSampling, threads: int = 3
) -> Iterator[Frame]:
    """The frames ``frames`` gives whose time lies in ``span``, equal to the last bit.

    Reading starts at the key frame before the span where the format has an index of them, else at
    the file's start. No picture shown at or after ``span.end`` is converted or handed over; the
    decoder itself runs a few frames ahead, as its format demands. ``Frame.index`` counts from
    where the reading began.

    Args:
        sampling: with a rate.

    Raises:
        MediaError: see ``frames``.
    """
    given = span.start - 1
    try:
        for frame in _sought(path, span, sampling, threads):
            yield frame
            given = frame.time
    except (_NoWayIn, TimestampJump, av.FFmpegError):
        for frame in frames(path, sampling, threads):
            if frame.time >= span.end:
                return
            if frame.time > given:
                yield frame


def _sought(
    path: str | os.PathLike[str], span: Span, sampling: FrameSampling, threads: int
) -> Iterator[Frame]:
    if span.start <= _NEAR or sampling.rate is None:
        raise _NoWayIn
    container = open_media(path)
    try:
        chosen = choose_streams(container)
        refuse_unreadable(os.fspath(path), chosen)
        base, video = origin(container), chosen.video
        indexed = not _INDEXED.isdisjoint(container.format.name.split(","))
        if video is None or not indexed or base is None or not _plain(video, base):
            raise _NoWayIn
        video.codec_context.thread_type = "AUTO"
        video.codec_context.thread_count = threads
        timeline = Timeline(base)
        timeline.reach(span.start)  # what is placed first lies there, and that is no damage
        clock = StreamClock(timeline, video.time_base or Fraction(1, MICROSECONDS))
        strip = Filmstrip(clock, {0: sampling}, video.sample_aspect_ratio, span.start)
        entered = False
        for picture in _pictures(container, video, base, span.start - _NEAR):
            if not entered:
                if not picture.key_frame:
                    continue
                if picture.pts is None or clock.microseconds(picture.pts) > span.start:
                    raise _NoWayIn
                entered = True
            for _, frame in strip.push(picture):
                if frame.time >= span.end:
                    return
                yield frame
        if not entered:
            raise _NoWayIn
        yield from (frame for _, frame in strip.finish() if frame.time < span.end)
    finally:
        container.close()


def _plain(video: VideoStream, base: Fraction) -> bool:
    """Whether its clock is taken as it stands by a reading from the start, too."""
    if video.start_time is None or video.time_base is None:
        return False
    return abs(video.start_time * Fraction(video.time_base) - base) * MICROSECONDS <= MAX_GAP


def _pictures(
    container: InputContainer, video: VideoStream, base: Fraction, time: int
) -> Iterator[VideoFrame]:
    """Decoded frames from the key frame before ``time``; damaged packets are left out."""
    seconds = base + Fraction(time, MICROSECONDS)
    unit = Fraction(video.time_base or Fraction(1, MICROSECONDS))
    container.seek(int(seconds / unit), stream=video)
    for packet in container.demux(video):
        try:
            yield from packet.decode()
        except av.FFmpegError:
            continue
