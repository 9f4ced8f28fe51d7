"""What one pass over a file found."""

from __future__ import annotations

from dataclasses import dataclass, field

from egorag.spans import MICROSECONDS, clock

_CUT_OFF = 2 * MICROSECONDS


@dataclass(frozen=True)
class PassReport:
    """The decoded truth about a file. Times in microseconds since its start.

    Attributes:
        duration: the later of the two ends, above 0; 0 only where neither was to be read.
        video_end: end of the last frame; None if video was not read or gave no frame.
        sound_end: end of the last sample; None likewise.
        frames: decoded pictures.
        frames_skipped, sound_skipped: packets that could not be decoded.
        problems: what a user should be told, one line each.
    """

    duration: int
    video_end: int | None
    sound_end: int | None
    frames: int
    frames_skipped: int
    sound_skipped: int
    problems: tuple[str, ...]


@dataclass
class Tally:
    """Counts kept while a stream is decoded."""

    packets: int = 0
    decoded: int = 0
    skipped: int = 0
    encrypted: int = 0


@dataclass
class Findings:
    """Everything noted on the way, until it becomes a ``PassReport`` or a reason to give up."""

    video: Tally = field(default_factory=Tally)
    sound: Tally = field(default_factory=Tally)
    problems: list[str] = field(default_factory=list)

    def note_stream(self, kind: str, tally: Tally, restarts: int) -> None:
        """Put the counts of one stream into words."""
        if tally.encrypted:
            self.problems.append(f"{kind}: {tally.encrypted} of {tally.packets} packets encrypted")
        damaged = tally.skipped - tally.encrypted
        if damaged:
            self.problems.append(f"{kind}: {damaged} of {tally.packets} packets damaged, skipped")
        if not tally.decoded:
            self.problems.append(f"{kind}: nothing could be decoded")
        if restarts:
            self.problems.append(f"{kind}: timestamps start over {restarts} times; joined")

    def note_claim(self, claimed: int | None, duration: int) -> None:
        """Compare what the header claims with what was there."""
        if claimed and claimed > duration + max(_CUT_OFF, duration // 20):
            self.problems.append(
                f"the header claims {clock(claimed)}, the data ends at {clock(duration)}"
            )

    def why_nothing(self) -> str:
        """The reason why not one frame or sample came out."""
        tallies = (self.video, self.sound)
        packets = sum(t.packets for t in tallies)
        if not packets:
            return "it has a header and no media data: cut off, or only the start of a stream"
        if any(t.encrypted for t in tallies):
            return "it is encrypted (DRM); only an unprotected copy can be read"
        return f"none of its {packets} packets could be decoded; it is damaged, or encrypted"
