"""Cues of the subtitle streams inside a media file."""

from __future__ import annotations

import re

import av
from av.packet import Packet
from av.stream import Stream
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import AssSubtitle

from egorag.media.markup import clean_text
from egorag.media.sampling import Cue
from egorag.media.timeline import StreamClock
from egorag.spans import MICROSECONDS, Span

UNSAID_DURATION = 4 * MICROSECONDS
"""How long a cue is taken to last where the file does not say."""

_ASS_FIELDS_BEFORE_TEXT = 8
_ASS_BREAK = re.compile(r"\\[Nn]")


class StreamCues:
    """Reads one text subtitle stream.

    Attributes:
        skipped: cues that could not be decoded or have no time.
    """

    def __init__(self, stream: SubtitleStream, clock: StreamClock) -> None:
        self._stream = stream
        self._clock = clock
        language = stream.metadata.get("language")
        self._language = None if language in (None, "", "und") else language
        self.skipped = 0

    def read(self, packet: Packet[Stream]) -> Cue | None:
        """The packet's cue on the video's time axis; None if it is empty or unreadable."""
        if not packet.size:
            return None
        try:
            text = clean_text(self._text(packet))
        except av.FFmpegError:
            self.skipped += 1
            return None
        if not text:
            return None  # MP4 marks the pauses between cues with empty ones
        if packet.pts is None:
            self.skipped += 1
            return None
        start = self._clock.microseconds(packet.pts)
        end = self._clock.microseconds(packet.pts + (packet.duration or 0))
        if end <= start:
            end = start + UNSAID_DURATION
        if end <= 0:
            self.skipped += 1
            return None
        return Cue(Span(max(start, 0), end), text, f"stream:{self._stream.index}", self._language)

    def _text(self, packet: Packet[Stream]) -> str:
        if self._stream.codec_context is None:  # WebVTT in Matroska: the payload is the text
            return bytes(packet).decode("utf-8", errors="replace")
        lines = [
            _ass_text(rect.ass.decode("utf-8", errors="replace"))
            for rect in packet.decode()
            if isinstance(rect, AssSubtitle)
        ]
        return "\n".join(lines)


def _ass_text(event: str) -> str:
    """The text of ``ReadOrder,Layer,Style,Name,MarginL,MarginR,MarginV,Effect,Text``.

    >>> _ass_text(r"0,0,Default,,0,0,0,,Hello,\\Nworld")
    'Hello,\\nworld'
    """
    text = event.split(",", _ASS_FIELDS_BEFORE_TEXT)[-1]
    return _ASS_BREAK.sub("\n", text).replace(r"\h", " ")
