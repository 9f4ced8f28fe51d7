"""The embedding dict, and its files: what is exported reads back equal."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import egorag
from egorag.errors import StoreError
from egorag.spaces import EmbeddingSpace
from egorag.spans import Span
from egorag.store.catalog import EncoderRow, Encoding
from egorag.store.embeddings import Embeddings, embeddings, export, load_embeddings
from egorag.types import TimedText


@pytest.fixture
def filled(folder, toy):
    """Two videos; ``toy`` reads text, ``pixels`` frames (and has no vector for scene 1)."""
    pixels = EmbeddingSpace("pixels", "1", 2, False, frozenset())
    folder.catalog.write_encoders(
        [
            EncoderRow("pixels", "p", pixels, {}, "frames"),
            toy.ENCODER,
            EncoderRow("ocr", "o", None, {}, "frames"),
        ]
    )
    date = datetime(2026, 1, 2, 3, tzinfo=UTC)
    one = toy.with_vectors(
        folder,
        toy.record(
            "a", ["x", "y"], visuals=["", "EXIT"], path=os.fsdecode(b"\xff.mp4"), recorded_at=date
        ),
    )
    first = next(s for s in one.scenes if s.level == 0)
    stored = folder.artifacts.write_vectors("1" * 64, np.float32([[3, 4]]), [first.span], {})
    made = Encoding("pixels", "p", "vectors", stored.key, stored.sha256, 1)
    caption = TimedText(Span(0, 1), "a cup", "caption", "c")
    folder.catalog.write_video(
        replace(one, encodings=(*one.encodings, made), texts=(*one.texts, caption))
    )
    folder.catalog.write_video(toy.record("b", ["z"]))
    return folder


def plain(found: Embeddings) -> Any:
    """Everything in it, arrays as bytes, to compare."""

    def listed(values: dict[str, Any]) -> dict[str, Any]:
        return {k: v.tobytes() if isinstance(v, np.ndarray) else v for k, v in values.items()}

    scenes = [listed(scene) for scene in found.scenes]
    return found.video, scenes, listed(found.whole), found.spaces, found.roles


def test_the_dict_of_a_scene(filled) -> None:
    found = embeddings(filled, "a")
    one, two = found.scenes
    assert (one["start"], one["end"], two["end"]) == (0.0, 2.0, 4.0)
    assert (one["transcript"], one["caption_text"], two["visuals"]) == ("x", "a cup", "EXIT")
    assert one["pixels"].tolist() == [3, 4] and two["pixels"] is None
    assert one["video"] is one["pixels"] and one["text"] is one["toy"]
    assert one["audio"] is None and one["caption"] is None
    assert "ocr" not in one
    assert found.roles == {"video": "pixels", "audio": None, "text": "toy", "caption": None}
    mean = one["toy"] + two["toy"]
    assert found.whole["text"] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)
    assert found.whole["video"].tolist() == [3, 4]
    assert "8-d" in repr(found)


def test_a_video_without_vectors(filled) -> None:
    found = embeddings(filled, "b")
    assert found.scenes[0]["toy"] is None and found.whole["toy"] is None
    with pytest.raises(StoreError, match="no video 'c'"):
        embeddings(filled, "c")


@pytest.mark.parametrize("name", ["out", "out.safetensors", "out.json", "deep/er/out.v2"])
def test_export_reads_back_equal(filled, tmp_path: Path, name: str) -> None:
    written = export(filled, tmp_path / name)
    assert written.suffix == ".safetensors" and written.with_suffix(".json").exists()
    for path in (tmp_path / name, written):
        again = egorag.load_embeddings(path)
        assert list(again) == ["b", "a"]
        for id, found in again.items():
            assert plain(found) == plain(embeddings(filled, id))
    bytes_before = written.read_bytes()
    assert export(filled, tmp_path / name).read_bytes() == bytes_before


def test_names_of_encoders_do_not_hide_the_known_keys(folder, toy) -> None:
    row = replace(toy.ENCODER, name="transcript")
    folder.catalog.write_encoders([row])
    record = toy.with_vectors(folder, toy.record("a", ["said"]))
    made = tuple(replace(e, encoder="transcript") for e in record.encodings if e.key)
    folder.catalog.write_video(replace(record, encodings=made))
    (scene,) = embeddings(folder, "a").scenes
    assert scene["transcript"] == "said" and scene["text"].shape == (8,)


def test_damaged_or_mixed_exports_are_refused(filled, tmp_path: Path) -> None:
    path = export(filled, tmp_path / "out")
    rest = path.with_suffix(".json")
    good = path.read_bytes()
    for bad in (good[:-1], b"", good[:-1] + bytes([good[-1] ^ 1])):
        path.write_bytes(bad)
        with pytest.raises(StoreError, match=r"do not belong together.*egorag.export"):
            load_embeddings(path)
    path.write_bytes(good)
    rest.write_text("{")
    with pytest.raises(StoreError, match=r"cannot read.*egorag.export"):
        load_embeddings(path)
    rest.write_text("[]")
    with pytest.raises(StoreError, match=r"do not belong together"):
        load_embeddings(path)
    with pytest.raises(StoreError, match=r"cannot read"):
        load_embeddings(tmp_path / "nothing")


def test_a_full_disk_keeps_the_old_export(filled, tmp_path: Path, monkeypatch) -> None:
    path = export(filled, tmp_path / "out")
    before = path.read_bytes()
    filled.catalog.remove_video("a")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="disk is full"):
        export(filled, tmp_path / "out")
    assert path.read_bytes() == before and len(load_embeddings(path)) == 2
