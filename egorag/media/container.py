"""Opening a media file with libavformat, and choosing the streams that are read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.subtitles.stream import SubtitleStream
from av.video.stream import VideoStream

from egorag.errors import MediaError
from egorag.spans import MICROSECONDS

PLAYLISTS = frozenset({"hls", "concat", "dash", "sdp", "imf"})
"""Formats that name other files or addresses; nothing but the given file is ever opened."""

TEXT_SUBTITLES = frozenset({"subrip", "srt", "mov_text", "webvtt", "ass", "ssa", "text"})

_MP4_BOXES = frozenset({b"ftyp", b"styp", b"moof", b"mdat", b"sidx", b"free", b"wide", b"moov"})


@dataclass(frozen=True)
class Chosen:
    """The streams of a file that are read.

    Attributes:
        video: the best one with a decoder, cover art aside.
        sound: the best one with a decoder.
        subtitles: every one that carries text.
        problems: what cannot be read and why, one line each.
    """

    video: VideoStream | None
    sound: AudioStream | None
    subtitles: tuple[SubtitleStream, ...]
    problems: tuple[str, ...]


def open_media(path: str | os.PathLike[str]) -> InputContainer:
    """Open a regular local file. Any name will do: leading dashes, colons, bytes that are no UTF-8.

    Raises:
        MediaError: naming the file and the reason, if no media can be recognised in it.
    """
    name = os.fspath(path)
    file = Path(name)
    try:
        if not file.is_file():
            missing = "there is no such file" if not file.exists() else "it is not a regular file"
            raise MediaError(f"{name!r}: {missing}")
        if file.stat().st_size == 0:
            raise MediaError(f"{name!r}: it is empty (0 bytes); copy or download it again")
        _be_quiet()
        container = av.open(
            f"file:{file.absolute()}",
            metadata_errors="replace",
            container_options={"protocol_whitelist": "file"},
        )
    except PermissionError as error:
        raise MediaError(f"{name!r}: it may not be read; check its permissions") from error
    except av.FFmpegError as error:
        raise MediaError(f"{name!r}: {_why_unopened(file, error)}") from error
    except (OSError, ValueError) as error:  # a name with a NUL, a path too long, a disk error
        raise MediaError(f"{name!r}: it cannot be opened ({error})") from error
    if PLAYLISTS & set(container.format.name.split(",")):
        kind = container.format.name
        container.close()
        raise MediaError(f"{name!r}: it is a playlist ({kind}); give the media files it names")
    return container


def _be_quiet() -> None:
    """Other users of PyAV turn FFmpeg's printing to stderr on; the reasons come in errors here."""
    if av.logging.get_level() is not None:
        return  # someone collects the log through Python's logging
    av.logging.set_level(None)


def _why_unopened(file: Path, error: av.FFmpegError) -> str:
    with file.open("rb") as stream:
        head = stream.read(12)
    if head[4:8] in _MP4_BOXES:
        return (
            "it is MP4/QuickTime, but its index (moov) is missing or damaged: cut off, a fragment "
            "without its header, or a recording that never finished"
        )
    if isinstance(error, av.InvalidDataError):
        return "no media format recognised in it: damaged, cut off, or not audio or video"
    return f"it cannot be opened ({error.strerror or error})"


def choose_streams(container: InputContainer) -> Chosen:
    """Pick what is read: the streams a player would show, among those with a decoder."""
    problems = [
        f"stream {s.index}: no decoder for this {s.type}; convert it, e.g. with ffmpeg"
        for s in (*container.streams.video, *container.streams.audio)
        if s.codec_context is None
    ]
    pictures = [s for s in container.streams.video if not _is_cover_art(s)]
    video = _best(container, "video", pictures)
    sound = _best(container, "audio", container.streams.audio)
    return Chosen(
        video if isinstance(video, VideoStream) else None,
        sound if isinstance(sound, AudioStream) else None,
        tuple(s for s in container.streams.subtitles if subtitle_codec(s) in TEXT_SUBTITLES),
        tuple(problems),
    )


def subtitle_codec(stream: SubtitleStream) -> str:
    """Its codec; WebVTT in Matroska is the one that libavcodec has no decoder entry for."""
    return stream.codec_context.name if stream.codec_context else "webvtt"


def _is_cover_art(stream: Stream) -> bool:
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def _best(container: InputContainer, kind: str, candidates: Sequence[Stream]) -> Stream | None:
    """libavformat's own choice if it can be decoded, else the first that can."""
    readable = [s for s in candidates if s.codec_context is not None]
    best = container.streams.best("video" if kind == "video" else "audio")
    if best in readable:
        return best
    return readable[0] if readable else None


def origin(container: InputContainer) -> Fraction | None:
    """Time 0 in seconds of the container's own clock: where its earliest stream starts.

    libavformat rounds it to microseconds; the stream's own ticks are exact, so that a frame at
    k / rate lands on k / rate after the subtraction. None where the header does not say.
    """
    if container.start_time is None:
        return None
    rounded = Fraction(container.start_time, MICROSECONDS)
    for stream in container.streams:
        if stream.start_time is not None and stream.time_base:
            exact = stream.start_time * Fraction(stream.time_base)
            if abs(exact - rounded) * MICROSECONDS <= 1:
                return exact
    return rounded
