"""A query's own file as the clip an encoder gets of a scene."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from egorag.encode.base import FrameClip, SoundClip
from egorag.errors import MediaError
from egorag.media.reader import frames, sound
from egorag.media.sampling import FrameSampling, SoundSampling
from egorag.spans import MICROSECONDS, Span

LONGEST_QUERY = 60 * MICROSECONDS
"""Of a longer clip only this much is read: a query shows one thing."""


def query_frames(path: Path, sampling: FrameSampling) -> FrameClip:
    """The first minute of a video clip, sampled as a scene is.

    Raises:
        MediaError: the file cannot be read, or has no picture.
    """
    taken = []
    for frame in frames(path, sampling):
        if frame.time >= LONGEST_QUERY:
            break
        taken.append(frame)
    if not taken:
        raise MediaError(f"{path} has no frame to search by; give a video clip")
    step = round(MICROSECONDS / sampling.rate) if sampling.rate else 1
    return FrameClip(Span(0, taken[-1].time + step), tuple(taken))


def query_sound(path: Path, sampling: SoundSampling) -> SoundClip:
    """The first minute of a sound file (or of a video's sound), mono at the sampling's rate.

    Raises:
        MediaError: the file cannot be read, or holds no sound.
    """
    most = LONGEST_QUERY // MICROSECONDS * sampling.rate
    pieces, length = [], 0
    for chunk in sound(path, sampling):
        pieces.append(chunk.samples[: most - length])
        length += len(pieces[-1])
        if length >= most:
            break
    if not length:
        raise MediaError(f"{path} holds no sound to search by; give a file that does")
    span = Span(0, max(1, length * MICROSECONDS // sampling.rate))
    return SoundClip(span, np.concatenate(pieces), sampling.rate)
