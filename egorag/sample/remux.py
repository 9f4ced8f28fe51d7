"""Make a long file of a short one by copying its packets: quick, and nothing is encoded."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer

from egorag.errors import ConfigError
from egorag.sample.write import whole


def repeat(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    times: int,
    overwrite: bool = False,
) -> Fraction:
    """Write ``source`` ``times`` over, end to end, to ``target``; returns the shift in seconds.

    All streams are copied. Copy k starts at k times the length of the picture, exactly, so cuts,
    cues and sounds of a sample's truth recur with that period. Sound is cut to the same length,
    to within one AAC frame (21 ms).

    Raises:
        ConfigError: fewer than one copy, no such file, the target exists.
    """
    start, end = Path(source), Path(target)
    if times < 1:
        raise ConfigError(f"times={times}: expected 1 or more")
    if not start.is_file():
        raise ConfigError(f"no file {str(start)!r} to repeat")
    if end.exists() and not overwrite:
        raise ConfigError(f"{str(end)!r} exists; pass overwrite=True or another name")
    with whole(end) as partial, av.open(str(partial), "w", format="mp4") as out:
        with av.open(str(start)) as first:
            for stream in first.streams:
                out.add_stream_from_template(stream)
            picture = first.streams.video[0]
            if picture.duration is None or picture.time_base is None:
                raise ConfigError(f"{str(start)!r} doesn't say how long its picture lasts")
            length = picture.duration * picture.time_base
        last: dict[int, int] = {}
        for copy in range(times):
            _append(out, start, copy * length, last)
    return length


def _append(out: OutputContainer, source: Path, shift: Fraction, last: dict[int, int]) -> None:
    """Copy every packet, ``shift`` seconds later; ``last`` holds each stream's latest time."""
    with av.open(str(source)) as container:
        for packet in container.demux():
            index = packet.stream.index
            if packet.dts is None or packet.pts is None:
                continue  # the empty packet at a stream's end
            if shift and packet.stream.type == "audio" and packet.pts < 0:
                continue  # the encoder's run-up; only the first copy has one
            later = round(shift / packet.time_base)
            packet.dts, packet.pts = packet.dts + later, packet.pts + later
            if packet.dts <= last.get(index, packet.dts - 1):
                continue  # sound of one copy reaches into the next
            last[index] = packet.dts
            packet.stream = out.streams[index]
            out.mux(packet)
