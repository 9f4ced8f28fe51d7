"""How well and how fast shots are found: our cheap pictures against PySceneDetect and the truth.

    python benchmarks/shots.py [--data ../shared/data] [--seconds 60]

- ``truth``: precision and recall of cuts against places known by sight or by construction: the
  shared videos (left out where absent) and generated clips (calm montage, head-worn camera, dim
  and flickering with flashes).
- ``pyscenedetect``: the default against what PySceneDetect's own command of the same detector
  finds there with its default settings, and against its golden files.
- ``cpu_us_per_frame``: CPU time of each detector on our pictures, of decoding alone, of one pass
  with the default detector, and of PySceneDetect's own loop, for one video in one run.

A found cut counts when it lies within one frame of a true one.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import scenedetect
from measure import report

from egorag.media.reader import Pass
from egorag.media.sampling import Frame, ShotSampling
from egorag.segment.shots import Shots

TOLERANCE = 1
WIDTH, HEIGHT, RATE = 320, 180, 30
KNOWN = {  # frame numbers, checked by eye
    "big_buck_bunny_0_30.webm": [283, 376, 551],
    "bikes.mp4": [30, 76, 137, 187, 242],
    "nasa_13013.mp4": [240],
    "scenedetect/testvideo.mp4": [30, 180, 394],
    "scenedetect/fades.mp4": [],
}
SHOT_LENGTHS = {"montage": (20, 150), "headcam": (200, 500), "dim": (40, 200)}
COMPARED = {
    "default": Shots(),
    "adaptive, PySceneDetect's settings": Shots(threshold=3.0, options={"min_content_val": 15.0}),
    "content": Shots(detector="content"),
    "hash": Shots(detector="hash"),
    "histogram": Shots(detector="histogram"),
}


def panorama(rng: np.random.Generator) -> np.ndarray:
    """A picture wider than the frame, of smooth colours and hard-edged boxes; float BGR."""
    size = 3 * WIDTH, 2 * HEIGHT
    image = np.full((size[1], size[0], 3), rng.uniform(40, 200, 3), np.float32)
    for detail, weight in ((4, 60), (10, 40), (40, 30), (120, 20)):
        noise = rng.standard_normal((max(2, detail * 3 // 8), detail, 3)).astype(np.float32)
        image += weight * cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC)
    for _ in range(25):
        x, y = int(rng.integers(size[0])), int(rng.integers(size[1]))
        corner = x + int(rng.integers(10, 120)), y + int(rng.integers(10, 120))
        cv2.rectangle(image, (x, y), corner, rng.uniform(0, 255, 3).tolist(), -1)
    return np.clip(image, 0, 255)


def render(path: Path, kind: str, seed: int, seconds: int) -> list[int]:
    """Write a clip and return its cuts: a camera wandering over one panorama a shot."""
    rng = np.random.default_rng(seed)
    total = seconds * RATE
    lengths = rng.integers(*SHOT_LENGTHS[kind], size=total)
    cuts = [int(c) for c in np.cumsum(lengths) if c < total - 20]
    flashes = set(rng.integers(60, total, 6).tolist()) if kind == "dim" else set()
    with av.open(str(path), "w") as out:
        # MPEG-4 Part 2: x264 was seen to write other bytes from run to run for the same pictures.
        stream = out.add_stream("mpeg4", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.bit_rate = 1_500_000
        for number in range(total):
            if number == 0 or number in cuts:
                view = panorama(rng) * (0.25 if kind == "dim" else 1.0)
                place, speed = rng.uniform(0, (WIDTH, HEIGHT)), np.array([0.8, 0.0])
            if kind == "headcam":  # heads turn in jerks and never hold still
                if rng.random() < 0.03:
                    speed = rng.normal(0, (25, 10))
                speed = speed * 0.9 + rng.normal(0, 1.0, 2)
            place = np.clip(place + speed, 0, (2 * WIDTH - 1, HEIGHT - 1))
            x, y = place.astype(int)
            shown = view[y : y + HEIGHT, x : x + WIDTH]
            if kind != "montage":
                shown = shown * (1 + 0.05 * np.sin(number / 7))
            shown = shown + rng.normal(90 if number in flashes else 0, 3, shown.shape)
            pixels = np.clip(shown, 0, 255).astype(np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="bgr24")))
        out.mux(stream.encode())
    return cuts


def pictures(path: Path, exact: bool = False) -> list[Frame]:
    with Pass(path, [ShotSampling(exact=exact)]) as one_pass:
        return [item for _, item in one_pass if isinstance(item, Frame)]


def find(shots: Shots, frames: Sequence[Frame]) -> list[int]:
    stream = shots.start()
    for frame in frames:
        stream.push(frame.time, frame.image)
    stream.finish(frames[-1].time + 1)
    return stream.cuts


def score(pairs: Sequence[tuple[list[int], list[int]]]) -> dict[str, float | None]:
    """Precision and recall over (true, found) lists; each true cut is found at most once. None
    where there is nothing to find or nothing was found."""
    hits = 0
    for true, found in pairs:
        left = list(found)
        for cut in true:
            near = [c for c in left if abs(c - cut) <= TOLERANCE]
            if near:
                left.remove(near[0])
                hits += 1
    true_cuts, found_cuts = (sum(len(pair[side]) for pair in pairs) for side in (0, 1))
    return {
        "precision": round(hits / found_cuts, 3) if found_cuts else None,
        "recall": round(hits / true_cuts, 3) if true_cuts else None,
        "true": true_cuts,
        "found": found_cuts,
    }


def golden_scores(folder: Path, frames: dict[str, list[Frame]]) -> dict[str, Any]:
    """The default's cuts against each golden file of a hard-cut detector."""
    scores = {}
    for golden in sorted(folder.glob("goldens/*.json")):
        video, _, name = golden.stem.partition(".mp4.")
        if name.startswith(("Adaptive", "Content", "Hash")):
            found = find(Shots(), frames[f"scenedetect/{video}.mp4"])
            scores[golden.stem] = score([(json.loads(golden.read_text())["cuts"], found)])
    return scores


def cpu(work: Callable[[], object], frames: int) -> float:
    """Best of three, in microseconds of CPU per frame."""
    spent = []
    for _ in range(3):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return round(min(spent) / frames * 1e6, 1)


def decode(path: Path) -> int:
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        container.streams.video[0].codec_context.thread_count = 2
        return sum(1 for _ in container.decode(video=0))


def one_pass_shots(path: Path, shots: Shots) -> None:
    stream = shots.start()
    with Pass(path, [ShotSampling(exact=shots.exact)], measure=False) as run:
        for _, item in run:
            if isinstance(item, Frame):
                stream.push(item.time, item.image)


def costs(path: Path) -> dict[str, Any]:
    frames = pictures(path)
    count = len(frames)
    adaptive = scenedetect.AdaptiveDetector
    own = {name: cpu(lambda s=s: find(s, frames), count) for name, s in COMPARED.items()}
    theirs = [scenedetect.FrameTimecode(n, fps=float(RATE)) for n in range(count)]

    def original() -> None:
        detector = adaptive()
        for position, frame in zip(theirs, frames, strict=True):
            detector.process_frame(position, frame.image)

    own["PySceneDetect's own adaptive class"] = cpu(original, count)
    return {
        "video": path.name,
        "frames": count,
        "picture": "x".join(map(str, frames[0].image.shape)),
        "detector": own,
        "decode": cpu(lambda: decode(path), count),
        "one_pass_default": cpu(lambda: one_pass_shots(path, Shots()), count),
        "one_pass_exact": cpu(lambda: one_pass_shots(path, Shots(exact=True)), count),
        "pyscenedetect_loop": cpu(lambda: scenedetect.detect(str(path), adaptive()), count),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seconds", type=int, default=60, help="length of each generated clip")
    given = parser.parse_args()
    cv2.setNumThreads(1)

    media = given.data / "media"
    truth = {name: cuts for name, cuts in KNOWN.items() if (media / name).exists()}
    frames = {name: pictures(media / name) for name in truth}
    exact = {name: find(Shots(exact=True), pictures(media / name, exact=True)) for name in truth}
    with tempfile.TemporaryDirectory() as folder:
        for kind in SHOT_LENGTHS:
            for seed in (1, 2):
                path = Path(folder) / f"{kind}{seed}.mp4"
                truth[path.stem] = render(path, kind, seed, given.seconds)
                frames[path.stem] = pictures(path)
                exact[path.stem] = find(Shots(exact=True), pictures(path, exact=True))
        found = {
            label: {name: find(shots, frames[name]) for name in truth}
            for label, shots in COMPARED.items()
        }
        found["PySceneDetect's adaptive, exact"] = exact
        timed = media / "scenedetect/testvideo.mp4"
        report(
            truth={
                label: {
                    "all": score([(truth[n], cuts) for n, cuts in by_name.items()]),
                    **{n: score([(truth[n], cuts)]) for n, cuts in by_name.items()},
                }
                for label, by_name in found.items()
            },
            pyscenedetect={
                "same detector, its defaults": score(
                    [(exact[n], cuts) for n, cuts in found["default"].items()]
                ),
                "same detector and settings": score(
                    [
                        (exact[n], cuts)
                        for n, cuts in found["adaptive, PySceneDetect's settings"].items()
                    ]
                ),
                "goldens": golden_scores(media / "scenedetect", frames),
            },
            cpu_us_per_frame=costs(timed if timed.exists() else Path(folder) / "montage1.mp4"),
        )


if __name__ == "__main__":
    main()
