"""Encode a script into one MP4: H.264 picture, AAC sound, a timed-text subtitle stream."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Stream
from av.subtitles.stream import SubtitleStream
from av.video.stream import VideoStream

from egorag.sample.draw import frames
from egorag.sample.mix import RATE, mix
from egorag.sample.truth import Scene, Sentence, Truth

X264 = {"preset": "superfast", "crf": "23", "threads": "2"}
"""The thread count is fixed because it, unlike the machine, changes what x264 writes."""

TEXT_STYLE = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, BackColour, Alignment
Style: Default,Sans,18,&Hffffff,&H0,2

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""
"""FFmpeg makes the description that an MP4 text stream starts with from a header in ASS."""


def encode(path: Path, truth: Truth, with_subtitles: bool) -> None:
    """Render ``truth`` into the MP4 file ``path``; memory holds one scene's sound, one frame."""
    with av.open(str(path), "w", format="mp4") as out:
        picture = out.add_stream("libx264", rate=truth.rate, options=X264)
        picture.width, picture.height = truth.size
        picture.pix_fmt = "yuv420p"
        sound = out.add_stream("aac", rate=RATE, layout="mono")
        text = _text_stream(out) if with_subtitles else None
        for scene in truth.scenes:
            if text:
                out.mux([_cue(sentence, text) for sentence in scene.narration])
            _sound(out, sound, truth, scene)
            _picture(out, picture, truth, scene)
        out.mux(picture.encode(None))
        out.mux(sound.encode(None))


def _picture(out: OutputContainer, stream: VideoStream, truth: Truth, scene: Scene) -> None:
    for number, planes in enumerate(frames(truth, scene), start=scene.first_frame):
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = number, 1 / truth.rate
        out.mux(stream.encode(frame))


def _sound(out: OutputContainer, stream: AudioStream, truth: Truth, scene: Scene) -> None:
    frame = av.AudioFrame.from_ndarray(mix(truth, scene)[None], format="fltp", layout="mono")
    frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
    frame.pts = round(scene.first_frame / truth.rate * RATE)
    out.mux(stream.encode(frame))


def _text_stream(out: OutputContainer) -> SubtitleStream:
    stream = out.add_stream("mov_text")
    stream.codec_context.subtitle_header = TEXT_STYLE
    stream.codec_context.time_base = Fraction(1, 1000)
    stream.metadata["language"] = "eng"
    return stream


def _cue(sentence: Sentence, stream: SubtitleStream) -> av.Packet[Stream]:
    """A sample of timed text is its length in two bytes and the text in UTF-8."""
    words = sentence.text.encode()
    packet = av.Packet(struct.pack(">H", len(words)) + words)
    packet.stream, packet.time_base = stream, Fraction(1, 1000)
    packet.pts = packet.dts = sentence.span.start // 1000
    packet.duration = sentence.span.duration // 1000
    return packet
