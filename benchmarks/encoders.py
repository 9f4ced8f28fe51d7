"""Speed of the pretrained encoders at their full size, with random weights: nothing is downloaded.

    python benchmarks/encoders.py [--device auto] [--size auto] [--presets vjepa2_quality siglip2]
    python benchmarks/encoders.py --device cpu --size tiny     # runs anywhere, measures no GPU

For each preset, in a process of its own and in turns: our encoder's ``encode`` on a batch of
scenes, and the plain loop from the model card (one scene at a time, float32, default attention,
processor on the CPU). Then an index is made of a generated 1080p video with that encoder alone.

- ``clips_per_second``, ``frames_per_second``: scenes handed to ``encode``, median of the rounds; a
  scene is one whole clip for V-JEPA 2, for others 8 seconds of frames or 10 of sound.
- ``tflops``: operations of a scene (``tflop_from``: V-JEPA 2's by formula, see
  ``encoders_rates.vjepa2_tflop``; others as torch counts them) times scenes a second.
- ``share_of_matmul``: of the card's bf16 matrix product rate, measured in the same process.
- ``peak_gb``: most memory on the GPU; of the whole process on a CPU.
- ``agreement``: least cosine between our rows and the plain loop's, from the same weights.
- ``end_to_end``: ``gpu_busy_percent`` is NVML's utilisation from the loaded model to the end.

Aims on an H200: ``vjepa2_quality`` at 0.5 or more of matmul and 4 times the plain loop, 90 % busy.
Results also go to ``benchmarks/results/encoders_DEVICE_SIZE.json``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import encoders_rates as rates
from encoders_models import build, presets, random_weights, scenes, settings_of
from encoders_plain import LOOPS
from measure import CACHE, machine, report, sample

NO_GPU = "GPU figures are not measured: this run was on a CPU and says nothing of a GPU's speed"


def measure_encode(encoder: Any, given: argparse.Namespace) -> dict[str, Any]:
    """Our encoder and the plain loop in turns, on the same scenes."""
    import numpy as np

    device = given.device
    clips = scenes(encoder, given.scenes or encoder.batch_size)
    few = clips[: given.plain_scenes]
    memory = _Memory(device)
    encoder.setup(device)
    rows = encoder.encode(clips)  # warms up, finds the batch
    found: dict[str, Any] = {
        "dtype": encoder.on(device).dtype,
        "scenes": len(clips),
        "frames": sum(len(getattr(clip, "frames", ())) for clip in clips),
        "peak_gb": memory.peak(),
    }
    tflop, found["tflop_from"] = _tflop(encoder, clips[:1])
    found["tflop_per_clip"] = _round(tflop)
    matmul = rates.matmul_tflops(device)

    memory.reset()
    maker = LOOPS.get(type(encoder).__name__)
    plain = maker(Path(encoder.checkpoint), device) if maker else None
    ours, theirs = [], []
    if plain is not None:
        expected = np.stack([plain(clip).float().cpu().numpy() for clip in few])
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        found["agreement"] = round(float((expected * rows[: len(few)]).sum(1).min()), 5)
        found["plain_peak_gb"] = memory.peak()
    for _ in range(given.rounds):
        ours.append(rates.seconds(lambda: encoder.encode(clips), device) / len(clips))
        if plain is not None:
            theirs.append(rates.seconds(lambda: [plain(c) for c in few], device) / len(few))
    each = statistics.median(ours)
    found |= {
        "clips_per_second": _round(1 / each),
        "frames_per_second": _round(found["frames"] / len(clips) / each) or None,
        "tflops": _round(tflop / each),
        "matmul": {**matmul, "tflops": _round(matmul["tflops"])},
        "share_of_matmul": _round(tflop / each / matmul["tflops"]),
        "slowest_over_fastest_round": _round(max(ours) / min(ours)),
    }
    if theirs:
        found["plain_clips_per_second"] = _round(1 / statistics.median(theirs))
        found["times_plain"] = _round(statistics.median(theirs) / each)
    else:
        found["times_plain"] = None
        found["plain"] = "no plain loop is written for this encoder"
    if type(encoder).__name__ == "VJEPA2":
        model = encoder.loaded.held.model
        found["attention_tflops"] = rates.attention_tflops(
            model.config, encoder.frames, device, model.dtype
        )
    return found


def measure_index(preset: str, settings: dict[str, Any], given: argparse.Namespace) -> Any:
    """Index a generated video with this encoder alone; how long, and how busy the GPU is."""
    import shutil

    import egorag

    tiny = given.size == "tiny"
    size = (320, 180) if tiny else (1920, 1080)
    video = sample(0.2 if tiny else given.minutes, size)
    folder = CACHE / "encoders_index"
    shutil.rmtree(folder, ignore_errors=True)
    changed = [
        f"encoders.{preset}.{key}={json.dumps(value) if not isinstance(value, str) else value}"
        for key, value in settings.items()
        if key != "_target_"
    ]
    with rates.Busy(given.device) as busy:
        began = time.perf_counter()
        with egorag.build(
            video, folder, [f"encoder=[{preset}]", f"device={given.device}", *changed]
        ):
            wall = time.perf_counter() - began
    loaded = max(began, _LOADED[-1]) if _LOADED else began
    length = 60 * (0.2 if tiny else given.minutes)
    return {
        "video": video.name,
        "seconds": _round(wall),
        "seconds_after_loading": _round(began + wall - loaded),
        "times_real_time": _round(length / (began + wall - loaded)),
        "gpu_busy_percent": busy.percent(since=loaded),
        **({"gpu_busy": f"not measured: {busy.reason}"} if busy.reason else {}),
    }


_LOADED: list[float] = []
"""When models were ready, by ``time.perf_counter``."""


def measure_preset(preset: str, given: argparse.Namespace) -> dict[str, Any]:
    """One row, in this process."""
    from egorag.encode.base import Over

    with tempfile.TemporaryDirectory() as temporary:
        settings = settings_of(preset, given.size, Path(temporary), given.set)
        encoder = build(preset, settings)
        if encoder.over is not Over.SCENES:
            return {"not_measured": "reads a whole stream, not scenes"}
        weights = random_weights(given.device) if given.size == "full" else contextlib.nullcontext()
        with weights:
            found = measure_encode(encoder, given)
            encoder.close()
            if not given.no_index:
                _note_loading(type(encoder))
                found["end_to_end"] = measure_index(preset, settings, given)
    return found


def _note_loading(cls: Any) -> None:
    setup = cls.setup

    def noted(self: Any, device: str = "cpu") -> None:
        setup(self, device)
        _LOADED.append(time.perf_counter())

    cls.setup = noted


def _tflop(encoder: Any, one: Any) -> tuple[float, str]:
    if type(encoder).__name__ == "VJEPA2":
        config = encoder.loaded.held.model.config
        return rates.vjepa2_tflop(config, encoder.frames), "formula"
    return rates.counted_tflop(lambda: encoder.encode(one)), "counted by torch"


class _Memory:
    """Peak in GB beyond what was taken at the last reset; on a CPU, of the process so far."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._gpu = device.startswith("cuda")
        self.reset()

    def reset(self) -> None:
        if self._gpu:
            import torch

            torch.cuda.init()
            torch.cuda.reset_peak_memory_stats(self._device)
            self._before = torch.cuda.memory_allocated(self._device)

    def peak(self) -> float:
        if self._gpu:
            import torch

            return round((torch.cuda.max_memory_allocated(self._device) - self._before) / 1e9, 2)
        unit = 1 if sys.platform == "darwin" else 1024
        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9, 2)


def _round(value: float) -> float:
    return float(f"{value:.4g}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--size", choices=["auto", "tiny", "full"], default="auto")
    parser.add_argument("--presets", nargs="+", choices=presets(), default=presets())
    parser.add_argument("--scenes", type=int, help="handed to encode at once; else its own batch")
    parser.add_argument("--plain-scenes", type=int, default=2, help="through the plain loop")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=1, help="of the 1080p video")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="of the encoder")
    parser.add_argument("--no-index", action="store_true", help="leave out the end-to-end run")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    given = parser.parse_args()
    from egorag.encode.pretrained.placement import device_of

    given.device = device_of(given.device)
    gpu = given.device.startswith("cuda")
    if given.size == "auto":
        given.size = "full" if gpu else "tiny"
    if given.only:
        try:
            row = measure_preset(given.only, given)
        except Exception as error:  # the other presets are still measured
            row = {"failed": f"{type(error).__name__}: {str(error)[:300]}"}
            traceback.print_exc()
        print(json.dumps(row))
        return
    found = {}
    for preset in given.presets:
        command = [sys.executable, __file__, *sys.argv[1:], "--only", preset]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        try:
            row = json.loads(done.stdout.splitlines()[-1])
        except (IndexError, ValueError):
            row = {"failed": f"the process ended with {done.returncode}"}
        found[preset] = row
        print(json.dumps({preset: row}), file=sys.stderr)
    whole = {
        "date": time.strftime("%Y-%m-%d"),
        "device": given.device,
        "gpu": _gpu() if gpu else NO_GPU,
        "size": given.size,
        "presets": found,
    }
    CACHE.mkdir(parents=True, exist_ok=True)
    path = CACHE / f"encoders_{given.device.replace(':', '')}_{given.size}.json"
    path.write_text(json.dumps({**whole, "machine": machine()}, indent=2))
    report(**whole)


def _gpu() -> str:
    import torch

    return f"{torch.cuda.get_device_name()}, torch {torch.__version__}, CUDA {torch.version.cuda}"


if __name__ == "__main__":
    main()
