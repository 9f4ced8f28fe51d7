"""What one pass costs beyond decoding: shots, two frame readers and sound, against decoding alone.

    python benchmarks/onepass.py [--minutes 10] [--rounds 5] [--file VIDEO]

In each round, one after the other and each in a process of its own:

- ``decode``: PyAV decodes video (2 threads) and sound, and drops them;
- ``readers``: one pass with every frame as a shot picture, 1 frame a second at 224 pixels, one
  every two seconds at 960, and 16 kHz mono sound (a pass decodes with three threads);
- ``shots``: the same, and the default shot detector cuts the video;
- ``pyscenedetect``: ``scenedetect.detect()`` with the same detector, which decodes for itself and
  gives cuts only.

Prints the ratios of wall and of CPU time to ``decode``, the median over the rounds; the target for
``shots`` is 1.25 or less of wall time on two idle cores. Imports are not counted.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import av
from measure import report, sample

from egorag.media.reader import Pass
from egorag.media.sampling import Frame, FrameSampling, Sampling, ShotSampling, SoundSampling
from egorag.segment.shots import Shots

THREADS = 2  # of the decoding that a pass is compared with
READERS: list[Sampling] = [
    ShotSampling(),
    FrameSampling(rate=1.0, longest=224),
    FrameSampling(rate=0.5, longest=960),
    SoundSampling(rate=16_000),
]


def decode(path: Path) -> int:
    """Frames and sound, decoded and dropped."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        video.codec_context.thread_type = "AUTO"
        video.codec_context.thread_count = THREADS
        return sum(
            isinstance(frame, av.VideoFrame)
            for packet in container.demux(video, container.streams.audio[0])
            for frame in packet.decode()
        )


def readers(path: Path) -> int:
    """One pass, its items dropped."""
    with Pass(path, READERS) as run:
        for _ in run:
            pass
    return run.report.frames


def shots(path: Path) -> int:
    """One pass that cuts the video too."""
    cutter = Shots().start()
    with Pass(path, READERS) as run:
        for reader, item in run:
            if reader == 0 and isinstance(item, Frame):
                cutter.push(item.time, item.image)
    scenes = cutter.finish(run.report.duration)
    assert scenes, "a video has at least one scene"
    return run.report.frames


def pyscenedetect(path: Path) -> int:
    """PySceneDetect's own loop."""
    from scenedetect import AdaptiveDetector, detect

    return len(detect(str(path), AdaptiveDetector()))


VARIANTS: dict[str, Callable[[Path], int]] = {
    run.__name__: run for run in (decode, readers, shots, pyscenedetect)
}


def measure_here(name: str, path: Path) -> dict[str, float]:
    """Run one variant in this process."""
    for module in ("cv2", "scenedetect"):  # loading them is not what is measured
        import_module(module)
    wall, cpu = time.perf_counter(), time.process_time()
    count = VARIANTS[name](path)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"wall": wall, "cpu": cpu, "peak_mb": peak, "count": count}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--file", type=Path, help="a video of your own instead of a generated one")
    parser.add_argument("--only", choices=VARIANTS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    path = given.file or sample(given.minutes)
    if given.only:
        print(json.dumps(measure_here(given.only, path)))
        return
    rounds = []
    for _ in range(given.rounds):
        found = {}
        for name in VARIANTS:
            command = [sys.executable, __file__, "--only", name, "--file", str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[name] = json.loads(done.stdout)
        rounds.append(found)
        print(json.dumps(found), file=sys.stderr)

    def median(name: str, key: str) -> float:
        return round(statistics.median(r[name][key] for r in rounds), 2)

    def ratio(name: str, key: str) -> float:
        return round(statistics.median(r[name][key] / r["decode"][key] for r in rounds), 3)

    report(
        file=path.name,
        frames=rounds[0]["decode"]["count"],
        rounds=given.rounds,
        target={"shots, wall": 1.25},
        wall_ratio={name: ratio(name, "wall") for name in VARIANTS},
        cpu_ratio={name: ratio(name, "cpu") for name in VARIANTS},
        wall={name: median(name, "wall") for name in VARIANTS},
        cpu={name: median(name, "cpu") for name in VARIANTS},
        peak_mb={name: median(name, "peak_mb") for name in VARIANTS},
    )


if __name__ == "__main__":
    main()
