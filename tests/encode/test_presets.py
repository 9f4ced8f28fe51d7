"""Every preset with downloaded weights, from config to stored vectors to a query, hub off.

The real loading code runs on tiny real checkpoints (``tests/checkpoints``) in place of the
published ones, over a generated video with sound, speech and signs.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from checkpoints import makers

import egorag
from egorag import config, registry
from egorag.encode.base import Medium
from egorag.encode.pretrained.base import Pretrained
from egorag.errors import EgoragError, SpaceError
from egorag.sample import make
from egorag.store.embeddings import load_embeddings

MAKERS = makers()
NOT_HERE = {"laion_clap"} if importlib.util.find_spec("laion_clap") is None else set()
"""Its package needs another numpy than the rest; it is tested where it is installed."""


def _pretrained() -> list[str]:
    found = []
    for preset in config.options()["encoder"]:
        node = config.compose("index", ["input=x", "index=y", f"encoder=[{preset}]"])["encoders"]
        if isinstance(registry.build("encoders", preset, node[preset]), Pretrained):
            found.append(preset)
    return found


PRESETS = _pretrained()


def test_every_pretrained_preset_has_a_tiny_checkpoint() -> None:
    assert set(PRESETS) - NOT_HERE <= set(MAKERS)


@pytest.fixture(scope="session", autouse=True)
def offline() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        constants = importlib.import_module("huggingface_hub.constants")
        patch.setattr(constants, "HF_HUB_OFFLINE", True)
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "short.mp4"
    make(path, seconds=16, seed=5, size=(320, 180))
    return path


@pytest.fixture(scope="session")
def picture(video: Path) -> Path:
    import cv2

    reader = cv2.VideoCapture(str(video))
    shown, frame = reader.read()
    assert shown
    path = video.with_suffix(".png")
    cv2.imwrite(str(path), frame)
    return path


@pytest.mark.parametrize("preset", [p for p in PRESETS if p not in NOT_HERE])
def test_from_config_to_query(
    preset: str, video: Path, picture: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "checkpoint"
    made.mkdir()
    overrides = MAKERS[preset](made)
    # Text encoders need text: signs are read, but only where they are what is tested.
    others = ["ocr"] if _built(preset, overrides).medium is Medium.TEXT else []
    chosen = f"encoder=[{','.join([*others, preset])}]"
    settings = [chosen, *overrides, "device=cpu", "segmenter=fixed", "segmenter.seconds=5"]
    index = egorag.build(video, tmp_path / "index", overrides=settings)
    with index:
        row = index.folder.catalog.encoders()[preset]
        (known,) = index.folder.catalog.videos()
        record = index.folder.catalog.record(known.id)
        assert record is not None and not record.problems, record
        (encoding,) = [e for e in record.encodings if e.encoder == preset]
        assert encoding.error is None and encoding.skipped is None
        if row.space is None:
            _check_texts(index, known.id, encoding.rows)
        elif encoding.kind == "moments":
            _check_moments(index, known, encoding, row.space)
        else:
            _check_vectors(index, known.id, preset, row.space, tmp_path)
            _check_queries(index, preset, row.space, video, picture)
    assert "Traceback" not in capfd.readouterr().err


def _built(preset: str, overrides: list[str]) -> Any:
    composed = config.compose("index", ["input=x", "index=y", f"encoder=[{preset}]", *overrides])
    return registry.build("encoders", preset, composed["encoders"][preset])


def _check_texts(index: egorag.Index, video: str, rows: int) -> None:
    texts = index.texts(video)
    assert len(texts) >= rows
    assert all(t.source and t.text.strip() for t in texts)


def _check_vectors(
    index: egorag.Index, video: str, preset: str, space: Any, tmp_path: Path
) -> None:
    scenes = index.scenes(video, "scene")
    exported = load_embeddings(index.export(tmp_path / "vectors.safetensors"))
    rows = [scene[preset] for scene in exported[video].scenes if scene[preset] is not None]
    assert rows and len(rows) <= len(scenes)
    assert all(row.shape == (space.dim,) and row.dtype == np.float32 for row in rows)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-4)


def _check_moments(index: egorag.Index, video: Any, encoding: Any, space: Any) -> None:
    """Every sampled frame has a vector; they are kept, not searched."""
    vectors, spans = index.folder.artifacts.read_vectors(encoding.key, encoding.sha256)
    assert vectors.shape == (encoding.rows, space.dim) and encoding.rows > len(index.scenes())
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    assert spans[0].start == 0 and spans[-1].end >= video.duration
    assert all(a.end == b.start for a, b in itertools.pairwise(spans))
    assert not space.queries and encoding.encoder in index.left_out("a red kettle")


def _check_queries(
    index: egorag.Index, preset: str, space: Any, video: Path, picture: Path
) -> None:
    """Each medium the space says it takes really enters it; each other is refused by name."""
    given: dict[str, Any] = {
        "text": {"query": "a red kettle \ud800 on the table"},
        "image": {"image": picture},
        "sound": {"sound": video},
        "video": {"video": video},
    }
    for medium, query in given.items():
        if medium in space.queries:
            hits = index.search(**query, k=3)
            assert hits and preset in hits[0].parts
        elif medium == "text":
            assert f"not {medium}" in index.left_out(**query)[preset]
        else:
            with pytest.raises(SpaceError, match=f"takes a query by {medium}"):
                index.search(**query)
            encoder = _built(preset, [])
            with pytest.raises((SpaceError, EgoragError)):
                encoder.embed_query(egorag.types.Query(**_query(medium, query)), medium)


def _query(medium: str, query: dict[str, Any]) -> dict[str, Any]:
    return {medium: query[medium]}


@pytest.mark.parametrize("preset", [p for p in PRESETS if p not in NOT_HERE])
def test_what_it_does_is_told(preset: str, tmp_path: Path) -> None:
    encoder = _built(preset, MAKERS[preset](tmp_path))
    told = encoder.describe()
    assert len(told) > 40 and "\n" not in told
    json.dumps(told)
