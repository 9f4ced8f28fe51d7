"""The readers of one pass: packets of the chosen streams in, each reader's items out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import av
from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame

from egorag.media.container import Chosen, origin
from egorag.media.filmstrip import Filmstrip
from egorag.media.report import Findings, PassReport, Tally
from egorag.media.sampling import CueSampling, Item, Sampling, SoundSampling
from egorag.media.soundtrack import Soundtrack
from egorag.media.streamcues import StreamCues
from egorag.media.timeline import StreamClock, Timeline
from egorag.spans import MICROSECONDS


class Readers:
    """Decodes packets and hands what comes out to whom it may concern.

    Args:
        measure: decode video and sound even if no sampling needs them.

    Attributes:
        streams: the streams whose packets are wanted.
    """

    def __init__(
        self,
        container: InputContainer,
        chosen: Chosen,
        samplings: Sequence[Sampling],
        measure: bool,
    ) -> None:
        timeline = Timeline(origin(container))
        self._claimed = container.duration if measure else None
        self._found = Findings(problems=list(chosen.problems))
        self._strip: Filmstrip | None = None
        self._track: Soundtrack | None = None
        self._cues: dict[int, StreamCues] = {}
        self._clocks: dict[str, StreamClock] = {}
        numbered = list(enumerate(samplings))
        pictures = {n: s for n, s in numbered if not isinstance(s, SoundSampling | CueSampling)}
        sounds = [(n, s.rate) for n, s in numbered if isinstance(s, SoundSampling)]
        self._sound_readers = [n for n, _ in sounds]
        self._cue_readers = [n for n, s in numbered if isinstance(s, CueSampling)]
        streams: list[Stream] = []
        if chosen.video is not None and (pictures or measure):
            streams.append(chosen.video)
            clock = _clock(timeline, chosen.video)
            self._clocks["video"] = clock
            self._strip = Filmstrip(clock, pictures, chosen.video.sample_aspect_ratio)
        if chosen.sound is not None and (sounds or measure):
            streams.append(chosen.sound)
            clock = _clock(timeline, chosen.sound)
            self._clocks["sound"] = clock
            self._track = Soundtrack(clock, [rate for _, rate in sounds])
        if self._cue_readers:
            streams += chosen.subtitles
            self._cues = {s.index: StreamCues(s, _clock(timeline, s)) for s in chosen.subtitles}
        self.streams = tuple(streams)

    def read(self, packet: Packet[Stream]) -> Iterator[tuple[int, Item]]:
        """Decode one packet (an empty one ends its stream).

        Raises:
            TimestampJump: reading should end here.
        """
        kind = packet.stream.type
        if kind == "video" and self._strip is not None:
            for frame in _decode(packet, self._found.video):
                if isinstance(frame, VideoFrame):
                    yield from self._convertible(self._strip.push(frame))
        elif kind == "audio" and self._track is not None:
            for frame in _decode(packet, self._found.sound):
                if isinstance(frame, AudioFrame):
                    for number, chunk in self._track.push(frame):
                        yield self._sound_readers[number], chunk
        elif packet.stream.index in self._cues:
            cue = self._cues[packet.stream.index].read(packet)
            if cue is not None:
                for reader in self._cue_readers:
                    yield reader, cue

    def finish(self) -> Iterator[tuple[int, Item]]:
        """What was held back until the end."""
        if self._strip is not None:
            yield from self._convertible(self._strip.finish())
        if self._track is not None:
            for number, chunk in self._track.finish():
                yield self._sound_readers[number], chunk

    def _convertible(self, frames: Iterator[tuple[int, Item]]) -> Iterator[tuple[int, Item]]:
        """``frames`` up to one that swscale cannot convert (a pixel format it does not know)."""
        try:
            yield from frames
        except av.FFmpegError:
            self._found.video.skipped += 1

    def note(self, problem: str) -> None:
        """Put a line into the report."""
        self._found.problems.append(problem)

    def report(self) -> PassReport | str:
        """What was found; or, if not one frame or sample came out, the reason."""
        strip, track, found = self._strip, self._track, self._found
        ends: dict[str, int] = {}
        if strip is not None:
            found.note_stream("video", found.video, self._clocks["video"].restarts)
            if strip.disordered:
                found.problems.append(f"video: {strip.disordered} frames with disordered stamps")
            if strip.frames:
                ends["video"] = strip.end
        if track is not None:
            found.sound.skipped += track.skipped
            found.note_stream("sound", found.sound, self._clocks["sound"].restarts)
            if track.samples:
                ends["sound"] = track.end
        if (unread := sum(cues.skipped for cues in self._cues.values())) > 0:
            found.problems.append(f"subtitles: {unread} cues could not be read")
        if (strip or track) and not any(ends.values()):
            return found.why_nothing()
        duration = max(ends.values(), default=0)
        found.note_claim(self._claimed, duration)
        return PassReport(
            duration=duration,
            video_end=ends.get("video"),
            sound_end=ends.get("sound"),
            frames=strip.frames if strip else 0,
            frames_skipped=found.video.skipped,
            sound_skipped=found.sound.skipped,
            problems=tuple(found.problems),
        )


def _clock(timeline: Timeline, stream: Stream) -> StreamClock:
    return StreamClock(timeline, stream.time_base or Fraction(1, MICROSECONDS))


def _decode(packet: Packet[Stream], tally: Tally) -> Sequence[object]:
    """The frames that come out when ``packet`` goes in; none if it is damaged or encrypted."""
    tally.packets += packet.size > 0
    if packet.has_sidedata("encryption_info"):
        tally.encrypted += 1
        tally.skipped += 1
        return ()
    try:
        frames = packet.decode()
    except av.FFmpegError:
        tally.skipped += 1
        return ()
    tally.decoded += len(frames)
    return frames
