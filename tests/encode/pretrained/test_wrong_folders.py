"""Folders of another family, without their tokenizer, or damaged: refused at once, by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from checkpoints import makers

from egorag import config, registry
from egorag.encode.pretrained.checkpoint import find
from egorag.encode.pretrained.loading import load_model
from egorag.encode.pretrained.placement import Placement
from egorag.errors import ConfigError

MAKERS = makers()
SPEAKING = ["blip", "clap", "embeddinggemma2", "qwen2_vl_captioner", "qwen3_vl_embedding"]
SPEAKING += ["siglip2", "whisper", "xclip"]


@pytest.fixture
def made(tmp_path: Path) -> Callable[[str], tuple[Path, Any]]:
    """A preset's tiny checkpoint, and its encoder."""

    def make(preset: str) -> tuple[Path, Any]:
        given = [f"encoder=[{preset}]", *MAKERS[preset](tmp_path)]
        node = config.compose("index", ["input=x", "index=y", *given])["encoders"][preset]
        return tmp_path, registry.build("encoders", preset, node)

    return make


def _vocabulary(folder: Path) -> list[Path]:
    return [p for part in ("token", "vocab", "merges") for p in folder.glob(f"*{part}*")]


@pytest.mark.parametrize("preset", SPEAKING)
def test_no_tokenizer_is_refused(preset: str, made: Callable[[str], tuple[Path, Any]]) -> None:
    """transformers makes one that knows no words: all texts equal, all captions empty."""
    folder, encoder = made(preset)
    for path in _vocabulary(folder):
        path.unlink()
    with pytest.raises(ConfigError, match="has no tokenizer"):
        encoder.setup("cpu")


@pytest.mark.parametrize("preset", SPEAKING)
def test_a_damaged_tokenizer_is_refused(
    preset: str, made: Callable[[str], tuple[Path, Any]]
) -> None:
    folder, encoder = made(preset)
    for path in _vocabulary(folder):
        path.write_text('{"a":')
    with pytest.raises(ConfigError, match="can be loaded"):
        encoder.setup("cpu")


@pytest.mark.parametrize("preset", ["siglip2", "xclip"])
def test_a_picture_processor_without_a_size_is_refused(
    preset: str, made: Callable[[str], tuple[Path, Any]]
) -> None:
    folder, encoder = made(preset)
    (folder / "preprocessor_config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"preprocessor_config\.json \(without size\)"):
        _ = encoder.sampling


def test_another_whispers_mel_bands_are_refused(made: Callable[[str], tuple[Path, Any]]) -> None:
    folder, encoder = made("whisper")
    (folder / "preprocessor_config.json").write_text("{}")  # 80 bands, as transformers fills in
    with pytest.raises(ConfigError, match=r"makes 80 mel bands, config\.json takes 16"):
        encoder.setup("cpu")


def test_another_family_is_refused_before_a_model_is_built(
    made: Callable[[str], tuple[Path, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Qwen3-VL made from Qwen2-VL's config is one of full size: more than a machine has."""
    folder, _ = made("qwen2_vl")
    built: list[Any] = []
    monkeypatch.setattr(transformers.Qwen3VLModel, "__init__", lambda *a, **k: built.append(a))
    with pytest.raises(ConfigError, match=r"of type 'qwen2_vl'.*takes 'qwen3_vl'"):
        load_model(transformers.Qwen3VLModel, find(str(folder)), Placement("cpu", "float32"))
    assert not built


def test_a_config_that_is_no_object_is_refused(made: Callable[[str], tuple[Path, Any]]) -> None:
    folder, encoder = made("vjepa2_fast")
    (folder / "config.json").write_text("[1, 2]")
    with pytest.raises(ConfigError, match=r"config\.json \(not a JSON object\)"):
        encoder.setup("cpu")
