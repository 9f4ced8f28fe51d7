"""Token maps as a probe's input: cut by time, read when their turn comes, learned from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from egorag import config
from egorag.errors import ConfigError, SpaceError
from egorag.spans import Span
from egorag.store.folder import IndexFolder
from egorag.store.ids import scene_id
from egorag.store.records import EncoderRow, Encoding, VideoRecord
from egorag.store.tokens import tokens_key
from egorag.train.maps import tokens_of
from egorag.train.probe import Probe
from egorag.train.probe_command import run
from egorag.types import Scene, Video

from .conftest import SPACE, table

WIDTH = SPACE.dim
ROW = EncoderRow("maps", "f", SPACE, {"_target_": "egorag.encode.picture.Picture"}, "frames")
SCENES = (Span(0, 4_000_000), Span(4_000_000, 6_000_000))


def tokens(label: int, steps: int, seed: int) -> np.ndarray:
    """One corner's tokens carry the label, by one component."""
    found = np.random.default_rng(seed).normal(0, 0.5, (steps, 2, 2, WIDTH))
    found[:, 1, 1, label] += 4
    return found.astype(np.float16)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight videos of two scenes, 4 and 2 seconds, of 8 and 3 steps; the last kept no maps."""
    path = tmp_path_factory.mktemp("maps") / "index"
    with IndexFolder.create(path, "") as folder:
        folder.catalog.write_encoders([ROW])
        for number in range(8):
            video = Video(f"video{number}", f"v{number}.mp4", 6_000_000)
            scenes = [
                Scene(scene_id(video.id, 0, span), video.id, span, 0, i, None, span.end)
                for i, span in enumerate(SCENES)
            ]
            key = folder.artifacts.key(video=number)
            vectors = folder.artifacts.write_vectors(
                key, np.full((2, WIDTH), number + 1, np.float32), SCENES, {}
            )
            made = Encoding("maps", "f", "vectors", key, vectors.sha256, 2)
            folder.catalog.write_video(VideoRecord(video, "s", tuple(scenes), encodings=(made,)))
            if number < 7:
                writer = folder.artifacts.token_writer({})
                for i, (span, steps) in enumerate(zip(SCENES, (8, 3), strict=True)):
                    writer.add(span, tokens((number + i) % 2, steps, 2 * number + i))
                folder.artifacts.keep_tokens(tokens_key(video.id, "f", "s"), writer)
    return path


def test_a_clip_is_the_steps_that_touch_it(index: Path) -> None:
    with IndexFolder.open(index) as folder:
        found = tokens_of(folder, ROW, "video0")
        assert found is not None
        assert tokens_of(folder, ROW, "nowhere") is None
        other = tokens_of(folder, ROW, "video1")
        assert other is not None and other.sha256() != found.sha256()
    first, second = tokens(0, 8, 0), tokens(1, 3, 1)
    # Steps of the first scene are half a second each, of the second two thirds.
    clip = found.clip(Span(3_200_000, 5_000_000))
    assert clip is not None
    expected = np.concatenate([first[6:], second[:2]]).reshape(-1, WIDTH)
    assert np.array_equal(clip.vectors, expected.astype(np.float32))
    assert clip.vectors.dtype == np.float32 and len(clip.places) == 16
    assert clip.places.reshape(4, 4)[:, 0] == pytest.approx([0.0278, 0.3056, 0.6296, 1], abs=1e-3)
    assert found.clip(Span(6_000_000, 7_000_000)) is None
    causal = found.clip(Span(1_000_000, 5_999_999), causal=True)
    assert causal is not None
    assert np.array_equal(causal.vectors, first[2:].reshape(-1, WIDTH).astype(np.float32))
    assert found.clip(Span(0, 3_999_999), causal=True) is None


def test_a_probe_learns_from_maps_and_is_refused_means(index: Path, tmp_path: Path) -> None:
    """What one corner of the picture says, which a probe on scene vectors cannot see here."""
    rows = [
        (f"v{n}", s.start / 1e6, s.end / 1e6, "ab"[(n + i) % 2])
        for n in range(7)
        for i, s in enumerate(SCENES)
    ]
    labels = table(tmp_path / "labels.csv", rows)
    settings = config.compose(
        "train probe",
        [f"index={index}", "encoder=maps", f"labels={labels}", f"to={tmp_path / 'p'}", "device=cpu",
         "tokens=true", "training.blocks=0", "training.width=16", "training.rate=1e-2",
         "training.batch=4", "training.epochs=20", "training.patience=20"],
    )  # fmt: skip
    told = run(settings).data
    assert told["trained_on"]["features"]["kind"] == "tokens"
    assert told["model"]["shape"]["timed"] is False
    assert told["scores"]["label"]["accuracy"]["value"] == 1
    probe = Probe.open(tmp_path / "p")
    with IndexFolder.open(index) as folder:
        for texts, label in zip(probe.actions(folder, "video3", SCENES, 1), "ba", strict=True):
            assert [t.text for t in texts] == [label]
        with pytest.raises(ConfigError, match="keep_tokens=true"):
            probe.actions(folder, "video7", SCENES)
    with pytest.raises(SpaceError, match=r"trained on tokens .* given its vectors"):
        probe.classify(np.ones((2, WIDTH), np.float32), SPACE, "vectors")
