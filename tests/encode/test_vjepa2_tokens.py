"""Every patch token of every scene, from config to disk and back, on a tiny real checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from checkpoints import vjepa2 as tiny

import egorag
from egorag.encode.base import FrameClip
from egorag.encode.vjepa2 import VJEPA2
from egorag.media.reader import frames
from egorag.sample import make
from egorag.store.tokens import scene_tokens


def test_the_maps_of_an_index_are_what_the_model_gives_for_its_scenes(tmp_path: Path) -> None:
    video = tmp_path / "video.mp4"
    make(video, seconds=7, seed=2, size=(160, 90))
    weights = str(tiny.write(tmp_path / "weights"))
    preset = "encoders.vjepa2_fast"
    index = egorag.build(
        video,
        tmp_path / "index",
        overrides=[
            "encoder=[vjepa2_fast]",
            f"{preset}.checkpoint={weights}",
            f"{preset}.frames=8",
            f"{preset}.keep_tokens=true",
            "segmenter=fixed",
            "segmenter.seconds=2.75",
            "device=cpu",
        ],
    )
    encoder = VJEPA2(checkpoint=weights, frames=8)
    encoder.setup()
    taken = list(frames(video, encoder.sampling))
    with index:
        (known,) = index.folder.catalog.videos()
        scenes = index.folder.catalog.scenes(known.id, level=0)
        with scene_tokens(index.folder, known.id, "vjepa2_fast") as maps:
            assert list(maps) == list(range(len(scenes))) and len(scenes) == 3
            sizes = {maps[0].shape, maps[2].shape}
            assert len(sizes) == 2, "scenes of several lengths have maps of several sizes"
            for number, scene in enumerate(scenes):
                inside = [f for f in taken if scene.span.start <= f.time < scene.span.end]
                expected = encoder.tokens(FrameClip(scene.span, tuple(inside)))
                assert np.array_equal(maps[number], expected)
