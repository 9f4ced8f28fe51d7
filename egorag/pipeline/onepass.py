"""Everything that needs the decoded file, in one decode: cutting and every encoder of the pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from egorag.encode.base import Encoder, Medium, Over
from egorag.media.probe import Facts
from egorag.media.reader import Pass
from egorag.media.report import PassReport
from egorag.media.sampling import Cue, Frame, Sampling, SoundChunk
from egorag.pipeline.clips import ClipAssembler
from egorag.pipeline.workers import Worker
from egorag.segment.base import SceneStream, Segmenter
from egorag.spans import Span
from egorag.store.token_maps import TokenWriter

QUEUE = {Medium.FRAMES: 4, Medium.SOUND: 64, Medium.CUES: 256}
"""Items that may wait for an encoder: pictures are large, sound chunks small."""


@dataclass(frozen=True)
class PassResult:
    """What one decode gave: the scenes, and the finished workers by encoder name."""

    report: PassReport
    scenes: tuple[Span, ...]
    workers: Mapping[str, Worker]
    cut_problems: tuple[str, ...] = ()


class _Cutter:
    """The scene stream and its clock: pictures, frame times, or sound where there is no frame."""

    def __init__(self, segmenter: Segmenter) -> None:
        self._stream: SceneStream = segmenter.start()
        self.scenes: list[Span] = []

    @property
    def problems(self) -> list[str]:
        return self._stream.problems

    def push(self, item: Frame | SoundChunk) -> list[Span]:
        if isinstance(item, Frame):
            closed = self._stream.push(item.time, item.image)
        else:
            closed = self._stream.push(item.span.start, None)
        self.scenes.extend(closed)
        return closed

    def finish(self, end: int) -> list[Span]:
        closed = self._stream.finish(end)
        self.scenes.extend(closed)
        return closed


def run_pass(
    path: Path,
    facts: Facts,
    encoders: Mapping[str, Encoder],
    segmenter: Segmenter | None,
    known: tuple[Span, ...],
    on_time: Callable[[int], None],
    sidecar: tuple[Cue, ...] = (),
    measure: bool = False,
    maps: Mapping[str, TokenWriter] | None = None,
) -> PassResult:
    """Decode ``path`` once for all of ``encoders`` and, where given, the segmenter.

    Args:
        segmenter: cuts the video during the pass; None when ``known`` has its scenes already.
        on_time: told the video time reached, in microseconds.
        sidecar: cues of subtitle files beside the video, handed to cue readers first.
        measure: find out how long it is though nothing cuts it now.
        maps: where token maps go, by the encoders that are to keep them.

    Raises:
        MediaError: the file cannot be decoded at all.
    """
    cutter = _Cutter(segmenter) if segmenter is not None else None
    samplings: list[Sampling] = []
    clock = -1
    if cutter is not None and segmenter is not None:
        wanted = _clock_sampling(facts, segmenter)
        if wanted is not None:
            clock = 0
            samplings.append(wanted)
    readers: dict[int, list[str]] = {}
    for name, encoder in encoders.items():
        sampling = encoder.sampling
        assert sampling is not None, f"{name} reads text, not media"
        if sampling not in samplings:
            samplings.append(sampling)
        readers.setdefault(samplings.index(sampling), []).append(name)

    maps = maps or {}
    workers = {n: Worker(n, e, QUEUE[e.medium], maps.get(n)) for n, e in encoders.items()}
    assemblers = {n: ClipAssembler(e.medium) for n, e in encoders.items() if e.over is Over.SCENES}
    for name, encoder in encoders.items():
        if encoder.medium is Medium.CUES:
            for cue in sidecar:
                workers[name].put(cue)

    def closed(scenes: list[Span] | tuple[Span, ...], *, last: bool = False) -> None:
        for name, assembler in assemblers.items():
            assembler.close(scenes)
            for _, clip in assembler.ready(last=last):
                if clip is not None:
                    workers[name].put(clip)

    try:
        closed(known)
        with Pass(path, samplings, measure=measure or segmenter is not None) as decode:
            for reader, item in decode:
                for name in readers.get(reader, ()):
                    if name in assemblers:
                        assert not isinstance(item, Cue)
                        assemblers[name].add(item)
                        if cutter is None:
                            closed(())
                    else:
                        workers[name].put(item)
                if reader == clock and cutter is not None and not isinstance(item, Cue):
                    closed(cutter.push(item))
                if not isinstance(item, Cue):
                    on_time(item.time if isinstance(item, Frame) else item.span.end)
            report = decode.report
        if cutter is not None:
            closed(cutter.finish(report.duration), last=True)
        else:
            closed((), last=True)
        for worker in workers.values():
            worker.finish()
    except BaseException:
        for worker in workers.values():
            worker.stop()
        raise
    scenes = tuple(cutter.scenes) if cutter is not None else known
    cut_problems = tuple(cutter.problems) if cutter is not None else ()
    return PassResult(report, scenes, workers, cut_problems)


def _clock_sampling(facts: Facts, segmenter: Segmenter) -> Sampling | None:
    """What drives the cutter: its pictures, else any cheap reader that tells the time."""
    from egorag.media.sampling import FrameSampling, SoundSampling

    if facts.video is None:
        return SoundSampling()
    return segmenter.sampling or FrameSampling(rate=1.0, longest=16, colour="gray")
