"""What a media file says about itself, and the hash that names its content."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import av
from av.audio.stream import AudioStream as AvSound
from av.container import InputContainer
from av.video.stream import VideoStream as AvVideo

from egorag.errors import MediaError
from egorag.media.container import Chosen, choose_streams, open_media, origin, subtitle_codec
from egorag.media.orientation import Orientation
from egorag.media.pictures import plausible_aspect
from egorag.spans import to_us

FIRST_PLAUSIBLE_YEAR = 1971
"""Earlier recording times are the zero of some clock (1904, 1970), not a time."""

_PACKETS_TO_FIRST_FRAME = 100
_FASTEST_RATE = 480
_INDEX_ENTRIES = 1000
_TIME_TAGS = ("com.apple.quicktime.creationdate", "creation_time")


@dataclass(frozen=True)
class VideoStream:
    """The video stream that is read.

    Attributes:
        width, height: pixels as displayed: turned upright, pixels made square.
        rate: average frames per second as the header has it.
        rotation: clockwise degrees from stored to upright (0, 90, 180, 270).
        mirrored: whether it is also mirrored.
        variable_rate: as the index of an MP4 or AVI shows; elsewhere a guess, from whether the
            header's two ideas of the rate disagree.
    """

    index: int
    codec: str
    width: int
    height: int
    rate: Fraction | None
    rotation: int
    mirrored: bool
    variable_rate: bool


@dataclass(frozen=True)
class SoundStream:
    """The audio stream that is read; ``rate`` in Hz."""

    index: int
    codec: str
    rate: int
    channels: int
    language: str | None


@dataclass(frozen=True)
class SubtitleStream:
    """A subtitle stream; ``text`` says whether it holds text or bitmaps."""

    index: int
    codec: str
    language: str | None
    text: bool


@dataclass(frozen=True)
class Facts:
    """A file's header, read without trust.

    Attributes:
        format: libavformat's name of the container.
        claimed: duration in microseconds as the header has it, None if it has none. It may be
            wrong by days; the duration that counts is ``PassReport.duration``.
        start: microseconds in the container's own clock that are time 0 here.
        video, sound: the streams that are read, None if there is none with a decoder.
        recorded_at: timezone-aware recording time, where the file states a plausible one.
        problems: streams that cannot be read, and why.
    """

    path: str
    format: str
    claimed: int | None
    start: int
    video: VideoStream | None
    sound: SoundStream | None
    subtitles: tuple[SubtitleStream, ...]
    recorded_at: datetime | None
    problems: tuple[str, ...] = ()


def probe(path: str | os.PathLike[str]) -> Facts:
    """Read a file's header, and its first frame, which is where a rotation is stated.

    Raises:
        MediaError: the file cannot be opened, or has neither video nor sound with a decoder.
    """
    container = open_media(path)
    try:
        chosen = choose_streams(container)
        refuse_unreadable(path, chosen)
        claimed = container.duration
        return Facts(
            path=os.fspath(path),
            format=container.format.name,
            claimed=claimed if claimed and claimed > 0 else None,
            start=to_us(origin(container) or 0),
            recorded_at=_recorded_at(container, chosen),
            sound=_sound(chosen.sound) if chosen.sound else None,
            subtitles=tuple(
                SubtitleStream(s.index, subtitle_codec(s), s.language, s in chosen.subtitles)
                for s in container.streams.subtitles
            ),
            problems=chosen.problems,
            video=_video(container, chosen.video) if chosen.video else None,  # last: it decodes
        )
    finally:
        container.close()


def refuse_unreadable(path: str | os.PathLike[str], chosen: Chosen) -> None:
    """Raise MediaError if there is neither video nor sound to decode."""
    if chosen.video is None and chosen.sound is None:
        why = "; ".join(chosen.problems) or "it holds no video and no sound"
        raise MediaError(f"{os.fspath(path)!r}: {why}")


def content_hash(path: str | os.PathLike[str]) -> str:
    """sha256 of the file's bytes in hex: what a video is known by, whatever its name.

    Raises:
        MediaError: the file cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        raise MediaError(f"{os.fspath(path)!r}: it cannot be read ({error})") from error


def _video(container: InputContainer, stream: AvVideo) -> VideoStream:
    orientation = _orientation(container, stream)
    stored = stream.codec_context
    width = max(1, round(stored.width * plausible_aspect(stream.sample_aspect_ratio)))
    size = (width, stored.height)
    average, nominal = _rate(stream.average_rate), _rate(stream.guessed_rate)
    return VideoStream(
        index=stream.index,
        codec=stored.codec.canonical_name,
        width=size[orientation.transposed],
        height=size[not orientation.transposed],
        rate=average or nominal,
        rotation=orientation.degrees,
        mirrored=orientation.mirrored,
        variable_rate=_is_variable(stream, average, nominal),
    )


def _is_variable(stream: AvVideo, average: Fraction | None, nominal: Fraction | None) -> bool:
    if stream.frames and len(stream.index_entries) == stream.frames:
        stamps = [entry.timestamp for entry in islice(stream.index_entries, _INDEX_ENTRIES)]
        steps = [after - before for before, after in pairwise(stamps)]
        return bool(steps) and max(steps) - min(steps) > 1 + min(steps) // 100
    return bool(average and nominal and abs(average - nominal) > nominal / 100)


def _rate(rate: Fraction | None) -> Fraction | None:
    """``rate`` unless it is missing or the time base in disguise (1000 or 90000 per second)."""
    return Fraction(rate) if rate and 0 < rate <= _FASTEST_RATE else None


def _orientation(container: InputContainer, stream: AvVideo) -> Orientation:
    for count, packet in enumerate(container.demux(stream)):
        try:
            frames = packet.decode()
        except av.FFmpegError:
            frames = []
        if frames:
            return Orientation.of(frames[0])
        if count >= _PACKETS_TO_FIRST_FRAME:
            break
    return Orientation()


def _sound(stream: AvSound) -> SoundStream:
    context = stream.codec_context
    return SoundStream(
        index=stream.index,
        codec=context.codec.canonical_name,
        rate=context.sample_rate,
        channels=context.layout.nb_channels,
        language=stream.language,
    )


def _recorded_at(container: InputContainer, chosen: Chosen) -> datetime | None:
    """The first plausible time with a zone: QuickTime's own tag, then the container's, then the
    streams'. Times without a zone are no wall clock and are left out."""
    streams = [s.metadata for s in (chosen.video, chosen.sound) if s is not None]
    for tag in _TIME_TAGS:
        for metadata in (container.metadata, *streams):
            try:
                time = datetime.fromisoformat(metadata.get(tag, ""))
            except ValueError:
                continue
            if time.tzinfo is not None and time.year >= FIRST_PLAUSIBLE_YEAR:
                return time
    return None
