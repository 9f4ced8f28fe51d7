"""One decode of a file that feeds many readers."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from types import TracebackType

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Stream

from egorag.errors import MediaError
from egorag.media.container import choose_streams, open_media
from egorag.media.probe import refuse_unreadable
from egorag.media.readers import Readers
from egorag.media.report import PassReport
from egorag.media.sampling import Frame, FrameSampling, Item, Sampling, SoundChunk, SoundSampling
from egorag.media.timeline import TimestampJump

MAX_READ_ERRORS = 8
"""Failed reads in a row after which the rest of a file is given up."""


class Pass:
    """Decodes a file once and yields ``(reader, item)``: the number of the sampling it is for, and
    a ``Frame``, ``SoundChunk`` or ``Cue``.

        with Pass("kitchen.mp4", [ShotSampling(), FrameSampling(1.0), SoundSampling()]) as run:
            for reader, item in run: ...
        print(run.report.duration)

    Each reader gets its items in time order. Between readers, items come as they are decoded, so
    sound may run some seconds ahead of frames or behind them. Nothing is held but the frame on
    show and the decoder's own buffers, however long the file is. Items of two readers never share
    memory. Cues may end after the video does.

    What is missing is not an error: a file without sound gives a sound reader nothing. What
    cannot be decoded is skipped, counted and told in the report.

    Args:
        path: a regular local file.
        samplings: one reader each.
        threads: decoder threads. Three keep two cores busy while a frame in hand is looked at. Not
            taken from the machine: how many frames a damaged end loses depends on it.
        measure: decode video and sound even where no reader asks for them, so that the report's
            duration is that of the whole file. False reads only what the samplings need.

    Raises:
        MediaError: on entering, if the file cannot be opened or nothing in it has a decoder; while
            iterating, if not one frame or sample can be decoded.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        samplings: Sequence[Sampling],
        threads: int = 3,
        measure: bool = True,
    ) -> None:
        self.path = os.fspath(path)
        self._samplings = tuple(samplings)
        self._threads = threads
        self._measure = measure
        self._container: InputContainer | None = None
        self._items: Generator[tuple[int, Item], None, None] | None = None
        self._report: PassReport | None = None

    def __enter__(self) -> Pass:
        self._container = container = open_media(self.path)
        try:
            chosen = choose_streams(container)
            refuse_unreadable(self.path, chosen)
            readers = Readers(container, chosen, self._samplings, self._measure)
            if chosen.video is not None:
                chosen.video.codec_context.thread_type = "AUTO"
                chosen.video.codec_context.thread_count = self._threads
        except BaseException:
            self._close()
            raise
        self._items = self._run(container, readers)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def __iter__(self) -> Iterator[tuple[int, Item]]:
        if self._items is None:
            raise RuntimeError("a pass is open only inside its with block: with Pass(...) as run:")
        return self._items

    @property
    def report(self) -> PassReport:
        """What was found; there is a report once the last item was taken."""
        if self._report is None:
            raise RuntimeError("a pass has no report before its last item was taken")
        return self._report

    def _run(
        self, container: InputContainer, readers: Readers
    ) -> Generator[tuple[int, Item], None, None]:
        try:
            for packet in _packets(container, readers):
                yield from readers.read(packet)
        except TimestampJump as jump:
            readers.note(str(jump))
        yield from readers.finish()
        report = readers.report()
        if isinstance(report, str):
            raise MediaError(f"{self.path!r}: {report}")
        self._report = report

    def _close(self) -> None:
        if self._items is not None:
            self._items.close()
            self._items = None
        if self._container is not None:
            self._container.close()
            self._container = None


def _packets(container: InputContainer, readers: Readers) -> Iterator[Packet[Stream]]:
    """Packets of the wanted streams, in file order; an empty one at the end of each stream."""
    for stream in container.streams:
        stream.discard = Discard.default if stream in readers.streams else Discard.all
    errors = 0
    while True:
        try:
            for packet in container.demux(*readers.streams) if readers.streams else ():
                errors = 0
                yield packet
            return
        except IndexError:
            return  # PyAV, after the last packet, if a damaged file made up streams on the way
        except av.FFmpegError as error:
            # An error ends PyAV's generator, not the file: the next read goes on after it.
            errors += 1
            if errors > MAX_READ_ERRORS:
                readers.note(f"the rest of the file cannot be read ({error.strerror or error})")
                return


def frames(
    path: str | os.PathLike[str], sampling: FrameSampling | None = None, threads: int = 3
) -> Iterator[Frame]:
    """The frames of one file; see ``FrameSampling`` (one a second, as stored, by default).

    Raises:
        MediaError: see ``Pass``; also if there is no video.
    """
    with Pass(path, [sampling or FrameSampling()], threads, measure=False) as run:
        for _, item in run:
            if isinstance(item, Frame):
                yield item
        if run.report.video_end is None:
            raise MediaError(f"{run.path!r}: it has no video that can be decoded")


def sound(
    path: str | os.PathLike[str], sampling: SoundSampling | None = None
) -> Iterator[SoundChunk]:
    """The sound of one file; see ``SoundSampling`` (16 kHz by default).

    Raises:
        MediaError: see ``Pass``; also if there is no sound.
    """
    with Pass(path, [sampling or SoundSampling()], measure=False) as run:
        for _, item in run:
            if isinstance(item, SoundChunk):
                yield item
        if run.report.sound_end is None:
            raise MediaError(f"{run.path!r}: it has no sound that can be decoded")
