"""Checkpoints found, hashed, fetched from a hub on loopback, and refused with what to do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hub import COMMIT, hub
from safetensors.numpy import save_file

from egorag.encode.pretrained.checkpoint import (
    MissingWeightsError,
    download_command,
    find,
    is_path,
    relevant,
)
from egorag.errors import ConfigError

NAME = "owner/model"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    save_file({"w": np.ones((2, 3), np.float32)}, made / "model.safetensors")
    (made / "config.json").write_text('{"hidden_size": 3}')
    return made


def test_a_folder_is_found_hashed_and_read(folder: Path) -> None:
    found = find(str(folder))
    assert set(found.files) == {"model.safetensors", "config.json"}
    assert found.read_json() == {"hidden_size": 3}
    assert found.weight_bytes == (folder / "model.safetensors").stat().st_size


def test_the_hash_is_of_the_content_not_of_the_place(folder: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere" / "another name"
    shutil.copytree(folder, moved)
    (moved / "README.md").write_text("not part of it")
    assert find(str(folder)).sha256 == find(str(moved)).sha256


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_another_content_is_another_hash(folder: Path, file: str) -> None:
    before = find(str(folder)).sha256
    data = bytearray((folder / file).read_bytes())
    data[-2] ^= 1
    (folder / file).write_bytes(bytes(data))
    assert find(str(folder)).sha256 != before


def test_one_kind_of_weights_and_no_other_runtimes() -> None:
    listed = [
        "model-00001-of-00002.safetensors",
        "model.safetensors.index.json",
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
        "onnx/model.onnx",
        "openvino/openvino_model.bin",
        "1_Pooling/config.json",
        "tokenizer.json",
        ".gitattributes",
        "training_args.bin",
        "README.md",
    ]
    assert relevant(listed) == [
        "1_Pooling/config.json",
        "model-00001-of-00002.safetensors",
        "model.safetensors.index.json",
        "tokenizer.json",
    ]


def test_a_folder_with_a_shard_missing_is_refused(folder: Path) -> None:
    index = {"weight_map": {"w": "model.safetensors", "v": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ConfigError, match="no whole set of weights"):
        find(str(folder))


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "a/b/c"])
def test_a_folder_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(ConfigError, match="is not a folder"):
        find(name)


def test_what_is_a_path_and_what_a_hub_name(folder: Path) -> None:
    assert is_path(str(folder)) and is_path("~/models/x") and is_path("runs/models/x")
    assert not is_path("facebook/vjepa2-vitl-fpc64-256") and not is_path("bert-base")


def test_a_damaged_config_says_so(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    with pytest.raises(ConfigError, match=r"no readable config\.json"):
        find(str(folder)).read_json()


def _run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Python code as a process of its own: the hub's library reads its settings on import."""
    pytest.importorskip("huggingface_hub")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env={**clean, "HF_HUB_DISABLE_TELEMETRY": "1", **environment},
        check=False,
    )


FETCH = f"""
import sys
from egorag.encode.pretrained.checkpoint import fetch
from egorag.errors import EgoragError
try:
    found = fetch({NAME!r}, sys.argv[1] if len(sys.argv) > 1 else None, lambda t: print("told:", t))
except EgoragError as error:
    print(type(error).__name__, error)
else:
    print("found", found.sha256, sorted(found.files), found.folder.name)
"""


def _files(folder: Path) -> dict[str, bytes]:
    files = {p.name: p.read_bytes() for p in folder.iterdir()}
    return {**files, "README.md": b"hello", "pytorch_model.bin": b"never fetched"}


def test_fetched_once_having_told_size_and_licence(folder: Path, tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    with hub(NAME, _files(folder), licence="apache-2.0") as (address, asked):
        first = _run(FETCH, HF_ENDPOINT=address, HF_HUB_CACHE=cache, HF_HUB_DISABLE_XET="1")
        assert "told: fetching owner/model: 0.0 GB, licence: apache-2.0." in first.stdout
        assert f"found {find(str(folder)).sha256}" in first.stdout, first.stdout + first.stderr
        assert COMMIT in first.stdout
        assert not any("README" in a or "pytorch_model" in a for a in asked)
        count = len(asked)
        again = _run(FETCH, HF_ENDPOINT=address, HF_HUB_CACHE=cache, HF_HUB_DISABLE_XET="1")
        assert "told" not in again.stdout and "found" in again.stdout
        assert len(asked) == count, "a cached checkpoint needs no network"
    offline = _run(FETCH, HF_HUB_OFFLINE="1", HF_HUB_CACHE=cache)
    assert "found" in offline.stdout, offline.stdout + offline.stderr


def test_a_download_that_broke_off_is_not_taken_for_whole(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with hub(NAME, _files(folder)) as (address, _):
        environment = {
            "HF_ENDPOINT": address,
            "HF_HUB_CACHE": str(cache),
            "HF_HUB_DISABLE_XET": "1",
        }
        _run(FETCH, **environment)
        (lost,) = cache.rglob("snapshots/*/config.json")
        lost.unlink()
        assert "MissingWeightsError" in _run(FETCH, HF_HUB_OFFLINE="1", **environment).stdout
        assert "found" in _run(FETCH, **environment).stdout


def test_gated_without_access_tells_how_to_get_it(folder: Path, tmp_path: Path) -> None:
    with hub(NAME, _files(folder), gated=True) as (address, _):
        said = _run(FETCH, HF_ENDPOINT=address, HF_HUB_CACHE=str(tmp_path)).stdout
    assert (
        "It is gated" in said and "accept its licence at https://huggingface.co/owner/model" in said
    )
    assert "hf auth login" in said


def test_offline_names_the_command(tmp_path: Path) -> None:
    said = _run(FETCH, HF_HUB_OFFLINE="1", HF_HUB_CACHE=str(tmp_path)).stdout
    assert "HF_HUB_OFFLINE forbids" in said and download_command(NAME) in said
    assert "encoders.NAME.checkpoint=FOLDER" in said


def test_no_network_names_the_command(tmp_path: Path) -> None:
    closed = "http://127.0.0.1:9"
    said = _run(FETCH, HF_ENDPOINT=closed, HF_HUB_CACHE=str(tmp_path)).stdout
    assert "could not be fetched" in said and download_command(NAME) in said


def test_an_unknown_name_and_revision_are_told(folder: Path, tmp_path: Path) -> None:
    with hub("owner/other", _files(folder)) as (address, _):
        said = _run(FETCH, HF_ENDPOINT=address, HF_HUB_CACHE=str(tmp_path)).stdout
    assert "the hub knows no model 'owner/model'" in said
    with hub(NAME, _files(folder)) as (address, _):
        code = FETCH.replace("import sys", "import sys; sys.argv.append('v9')", 1)
        said = _run(code, HF_ENDPOINT=address, HF_HUB_CACHE=str(tmp_path)).stdout
    assert "has no revision 'v9'" in said


def test_a_hub_name_not_cached_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingWeightsError, match="not on this machine") as caught:
        find("facebook/vjepa2-vitl-fpc64-256", "abc")
    assert caught.value.mend == "hf download facebook/vjepa2-vitl-fpc64-256 --revision abc"
    with pytest.raises(ConfigError, match="neither a folder nor a hub name"):
        find("not a name!")
