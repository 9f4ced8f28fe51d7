"""The syntax of SubRip and WebVTT: text in, cues and a count of what was malformed out.

Lenient where players are (a missing number, a missing blank line, blank lines inside a cue, no
hours, no fraction), strict where leniency would be a guess (a fraction of two or four digits).
WebVTT: https://www.w3.org/TR/webvtt1/. SubRip has no standard.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from egorag.media.markup import clean_text
from egorag.spans import Span

ARROW = "-->"
MAX_REASONS = 5
_TIME = re.compile(r"(-?)(?:(?:([0-9]{1,4}):)?([0-9]{1,3}):)?([0-9]{1,3})(?:[.,]([0-9]{3}))?")
_VTT_LANGUAGE = re.compile(r"Language:\s*([A-Za-z0-9-]+)")


@dataclass
class ParsedCues:
    """What ``parse_cues`` found.

    Attributes:
        cues: (span, plain text) in time order, none empty, each span longer than 0.
        skipped: how many cues were malformed.
        reasons: the first few of the reasons, each with its line number.
        language: as a WebVTT header states it.
    """

    cues: list[tuple[Span, str]] = field(default_factory=list)
    skipped: int = 0
    reasons: list[str] = field(default_factory=list)
    language: str | None = None

    def skip(self, line: int, why: str) -> None:
        self.skipped += 1
        if len(self.reasons) < MAX_REASONS:
            self.reasons.append(f"line {line}: {why}")

    def add(self, line: int, timing: str, payload: list[str]) -> None:
        """Take one cue, or count it as malformed. An empty one is neither: it says nothing."""
        try:
            span = _span(timing)
        except ValueError as error:
            self.skip(line, str(error))
            return
        text = clean_text("\n".join(payload))
        if text:
            self.cues.append((span, text))


def parse_cues(text: str, webvtt: bool | None = None) -> ParsedCues:
    """Read a whole subtitle file's text. Never raises; what is malformed is counted.

    Args:
        text: decoded content, any line ends.
        webvtt: which syntax; None looks for the ``WEBVTT`` signature.
    """
    if webvtt is None:
        webvtt = text[:100].lstrip("\ufeff \t\r\n").startswith("WEBVTT")
    if "\r\r\n" in text:  # written twice by a text-mode tool: else every second line is blank
        text = text.replace("\r\r\n", "\n")
    parsed = ParsedCues()
    lines = enumerate(map(_without_end, io.StringIO(text, newline=None)), start=1)
    (_parse_webvtt if webvtt else _parse_subrip)(lines, parsed)
    parsed.cues.sort(key=lambda cue: (cue[0].start, cue[0].end))
    return parsed


def _without_end(line: str) -> str:
    return line.rstrip("\n")


def _parse_subrip(lines: Iterator[tuple[int, str]], parsed: ParsedCues) -> None:
    """A cue runs from its timing line to the next one, less the next one's number."""
    timing: tuple[int, str] | None = None
    payload: list[str] = []
    number = 0
    for number, line in lines:
        if ARROW not in line:
            payload.append(line)
            continue
        if timing is not None:
            parsed.add(*timing, _without_next_number(payload)[0])
        timing, payload = (number, line), []
    if timing is not None:
        own, cut_off = _without_next_number([*payload, ""])
        parsed.add(*timing, own)
        if cut_off:
            parsed.skip(number, "the file ends after a cue's number; is it cut off?")
    elif any(line.strip() for line in payload):
        parsed.skip(1, "no line with times (00:00:01,000 --> 00:00:02,000) in the whole file")


def _without_next_number(payload: list[str]) -> tuple[list[str], bool]:
    """A cue's own lines, and whether a number that belongs to the following cue was dropped.

    A number is the next cue's if it touches that cue's timing line or follows a blank line; a
    cue whose only text is a number keeps it.
    """
    end = len(payload)
    while end and not payload[end - 1].strip():
        end -= 1
    touches_next = end == len(payload)
    after_blank = end > 1 and not payload[end - 2].strip()
    if end and payload[end - 1].strip().isdecimal() and (touches_next or after_blank):
        return payload[: end - 1], True
    return payload[:end], False


def _parse_webvtt(lines: Iterator[tuple[int, str]], parsed: ParsedCues) -> None:
    """Blocks between blank lines: a header, then cues, NOTE, STYLE and REGION."""
    for index, block in enumerate(_blocks(lines)):
        first = block[0][1].lstrip("\ufeff")
        timed = [i for i, (_, line) in enumerate(block) if ARROW in line]
        if index == 0 and first.startswith("WEBVTT"):
            _read_header(block[: timed[0] if timed else None], parsed)
        elif not timed:
            if not re.match(r"(NOTE|STYLE|REGION)\b", first):
                parsed.skip(block[0][0], f"no times in {_quoted(first)}")
        elif first.startswith("NOTE") and timed[0] > 0:
            continue
        for here, after in zip(timed, [*timed, len(block)][1:], strict=True):
            parsed.add(*block[here], [line for _, line in block[here + 1 : after]])


def _blocks(lines: Iterator[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    block: list[tuple[int, str]] = []
    for number, line in lines:
        if line.strip():
            block.append((number, line))
        elif block:
            yield block
            block = []
    if block:
        yield block


def _read_header(header: list[tuple[int, str]], parsed: ParsedCues) -> None:
    for number, line in header:
        if stated := _VTT_LANGUAGE.match(line):
            parsed.language = stated[1]
        elif line.startswith("X-TIMESTAMP-MAP"):
            parsed.reasons.append(
                f"line {number}: X-TIMESTAMP-MAP (live streaming) is not applied; the cues' times "
                "are taken as they stand, from the video's start"
            )


def _span(timing: str) -> Span:
    """The span of a timing line; ValueError says what is wrong with it."""
    left, _, right = timing.partition(ARROW)
    words = right.split(None, 1)  # what follows the end are settings or coordinates
    start, end = _microseconds(left.strip()), _microseconds(words[0] if words else "")
    if end <= start:
        raise ValueError(f"it ends no later than it starts: {_quoted(timing)}")
    return Span(start, end)


def _microseconds(stamp: str) -> int:
    match = _TIME.fullmatch(stamp)
    if match is None:
        raise ValueError(f"{_quoted(stamp)} is not a time like 00:01:02.345")
    sign, hours, minutes, seconds, milli = match.groups()
    if sign:
        raise ValueError(f"negative time {_quoted(stamp)}")
    h, m, s = int(hours or 0), int(minutes or 0), int(seconds)
    if s >= 60 or m >= 60:
        raise ValueError(f"{_quoted(stamp)} has more than 59 minutes or seconds")
    return ((h * 60 + m) * 60 + s) * 1_000_000 + int(milli or 0) * 1000


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
