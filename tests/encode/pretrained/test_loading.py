"""A model is whole or refused: no layer is ever left random."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from safetensors.torch import load_file, save_file

from egorag.encode.pretrained.checkpoint import find
from egorag.encode.pretrained.loading import MismatchError, load_model
from egorag.encode.pretrained.placement import Placement
from egorag.errors import ConfigError

CPU = Placement("cpu", "float32")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    config = transformers.BertConfig(
        vocab_size=20,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
    )
    torch.manual_seed(0)
    transformers.BertModel(config).save_pretrained(tmp_path)
    return tmp_path


def _change(folder: Path, change: Any) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def _load(folder: Path, **more: Any) -> Any:
    return load_model(transformers.BertModel, find(str(folder)), CPU, **more)


def test_a_whole_checkpoint_loads_ready_to_run(folder: Path) -> None:
    model = _load(folder)
    assert not model.training and not any(p.requires_grad for p in model.parameters())
    kept = load_file(folder / "model.safetensors")
    assert all(torch.equal(kept[name], value) for name, value in model.state_dict().items())


def test_a_missing_tensor_is_named(folder: Path) -> None:
    _change(folder, lambda tensors: tensors.pop("pooler.dense.weight"))
    with pytest.raises(MismatchError, match=r"1 tensors missing \(pooler\.dense\.weight\)"):
        _load(folder)


def test_a_left_over_tensor_is_named_unless_it_is_expected(folder: Path) -> None:
    _change(folder, lambda tensors: tensors.update({"classifier.weight": torch.ones(2, 8)}))
    with pytest.raises(MismatchError, match=r"unexpected \(classifier\.weight\)"):
        _load(folder)
    assert _load(folder, ignore=[r"^classifier\."]) is not None


def test_a_missing_tensor_is_never_ignored(folder: Path) -> None:
    _change(folder, lambda tensors: tensors.pop("pooler.dense.weight"))
    with pytest.raises(MismatchError, match="missing"):
        _load(folder, ignore=["pooler"])


def test_another_shape_is_refused(folder: Path) -> None:
    _change(folder, lambda tensors: tensors.update({"pooler.dense.bias": torch.ones(9)}))
    with pytest.raises(MismatchError, match=r"of another shape .*pooler\.dense\.bias.*9.*8"):
        _load(folder)


def test_another_architecture_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"of type .bert.*takes .vit."):
        load_model(transformers.ViTModel, find(str(folder)), CPU)


def test_a_damaged_file_is_refused(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match="cannot be loaded"):
        _load(folder)


def test_a_pickle_that_runs_code_is_never_run(folder: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, tuple[str, str]]:
            return open, (str(tmp_path / "was run"), "w")

    (folder / "model.safetensors").unlink()
    torch.save({"embeddings.x": Evil()}, folder / "pytorch_model.bin")
    with pytest.raises(ConfigError, match="cannot be loaded"):
        _load(folder)
    assert not (tmp_path / "was run").exists()


def test_weights_only_files_are_read_too(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    kept = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    model = _load(folder)
    assert torch.equal(model.pooler.dense.weight, kept["pooler.dense.weight"])
