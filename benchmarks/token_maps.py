"""How small token maps get, and how fast, against what else could pack them.

    python -m benchmarks.token_maps [FOLDER]

FOLDER is a V-JEPA 2 checkpoint; without one, the architecture of ``vjepa2_fast`` with random
weights stands in (its tokens leave the same layer norm). One clip of 16 generated frames, in
float32 and in bfloat16. Prints JSON: bytes packed over bytes of float16, and MB of float16 a
second, for the file of ``egorag.store.token_maps`` and for plain and byte-shuffled deflate.
"""

from __future__ import annotations

import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.measure import machine, report
from egorag.spans import Span
from egorag.store.token_maps import TokenMaps, TokenWriter

FULL_SIZE = Path(__file__).parent / "full_size" / "vjepa2_fast"
FRAMES = 16


def pictures(folder: Path, side: int) -> list[npt.NDArray[np.uint8]]:
    """Frames of a generated video, a quarter of a second apart."""
    from egorag.media.reader import frames
    from egorag.media.sampling import FrameSampling
    from egorag.sample import make

    path = folder / "video.mp4"
    make(path, seconds=FRAMES / 4 + 1, seed=1, size=(640, 360))
    return [f.image for f in frames(path, FrameSampling(4, shortest=side))][:FRAMES]


def tokens(checkpoint: Path | None, images: Any, dtype: str) -> npt.NDArray[np.float16]:
    """float16 [steps, side, side, dim] by the plain model."""
    import torch
    import transformers

    torch.manual_seed(0)
    if checkpoint is None:
        config = transformers.VJEPA2Config.from_pretrained(FULL_SIZE)
        model = transformers.VJEPA2Model(config)
    else:
        model = transformers.VJEPA2Model.from_pretrained(checkpoint)
    model = model.eval().to(getattr(torch, dtype))
    processor = transformers.VJEPA2VideoProcessor.from_pretrained(checkpoint or FULL_SIZE)
    pixels = processor(np.stack(images), return_tensors="pt")["pixel_values_videos"]
    with torch.inference_mode():
        found = model(pixels.to(model.dtype), skip_predictor=True).last_hidden_state[0]
    side = model.config.crop_size // model.config.patch_size
    made: npt.NDArray[np.float16] = found.unflatten(0, (-1, side, side)).half().numpy()
    return made


def timed(run: Callable[[], Any], size: int) -> tuple[Any, float]:
    """What it gave, and MB of ``size`` bytes a second, the best of three."""
    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        result = run()
        best = min(best, time.perf_counter() - began)
    return result, round(size / best / 1e6, 1)


def packed(maps: npt.NDArray[np.float16], folder: Path) -> dict[str, Any]:
    """All ways to pack these maps, compared."""
    path = folder / "maps.tokens"

    def write() -> None:
        writer = TokenWriter(folder, {})
        writer.add(Span(0, 1), maps)
        writer.keep(path)

    def read() -> Any:
        with TokenMaps(path) as kept:
            return kept[0]

    _, writing = timed(write, maps.nbytes)
    again, reading = timed(read, maps.nbytes)
    assert again.tobytes() == maps.tobytes()
    raw = maps.tobytes()
    shuffled = np.ascontiguousarray(maps.reshape(-1, 1).view(np.uint8).T).tobytes()
    found: dict[str, Any] = {
        "egorag": {
            "ratio": round(path.stat().st_size / maps.nbytes, 3),
            "write_mb_s": writing,
            "read_mb_s": reading,
        }
    }
    for name, data in (("deflate 1", raw), ("shuffle, deflate 1", shuffled)):
        small, speed = timed(partial(zlib.compress, data, 1), len(data))
        found[name] = {"ratio": round(len(small) / len(data), 3), "write_mb_s": speed}
    return found


def main() -> None:
    checkpoint = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        images = pictures(folder, 292)
        found = {}
        for dtype in ("float32", "bfloat16"):
            maps = tokens(checkpoint, images, dtype)
            found[dtype] = {"shape": list(maps.shape), **packed(maps, folder)}
    report(machine=machine(), weights=str(checkpoint or "random"), tokens=found)


if __name__ == "__main__":
    main()
