"""What the files of a sentence-transformers checkpoint say, read without loading it.

``modules.json`` lists what a text passes through (a transformer, pooling, dense layers, ...) and
where each part's files lie; a folder without it is a transformer with mean pooling, as the library
takes it. Only parts whose weights can be checked are accepted, and none that brings code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Any

from egorag.encode.pretrained.checkpoint import WEIGHTS, Checkpoint
from egorag.errors import ConfigError

NAMESPACE = "sentence_transformers."
WEIGHTED = ("Transformer", "StaticEmbedding", "Dense", "LayerNorm")
KINDS = (*WEIGHTED, "Pooling", "Normalize", "Dropout")
_WIDTHS = ("hidden_size", "d_model", "dim", "n_embd")  # as architectures call it
_PROMPTS = {"query": ("query",), "document": ("document", "passage", "corpus")}


def parts(checkpoint: Checkpoint) -> list[tuple[str, str]]:
    """Kind and folder (relative, ``""`` is the checkpoint's own) of each part, in order.

    Raises:
        ConfigError: a part that is not of ``KINDS`` or has no weights that count, or an adapter to
            another model.
    """
    if "adapter_config.json" in checkpoint.files:
        raise ConfigError(
            f"{checkpoint} is an adapter to another model; merge the two (peft's "
            "`merge_and_unload`), save the result and give its folder"
        )
    if "modules.json" not in checkpoint.files:
        return [("Transformer", ""), ("Pooling", "")]
    found = []
    for module in _read(checkpoint, "modules.json"):
        package, kind = str(module["type"]), str(module["type"]).rpartition(".")[2]
        if not package.startswith(NAMESPACE) or kind not in KINDS:
            raise ConfigError(
                f"{checkpoint} has a part of type {package}; egorag runs no code that comes with a "
                f"checkpoint, and of the library's own parts it takes {', '.join(KINDS)}"
            )
        path = str(PurePosixPath(module["path"] or ".")).removeprefix(".")
        if kind in WEIGHTED and not _has_weights(checkpoint, path):
            # Only one kind of weights is fetched and hashed: the other would not count.
            raise ConfigError(
                f"{checkpoint} has no weights for its {path or kind}, or in another format than "
                "the rest; load it with sentence_transformers, save it again with "
                "`save_pretrained` and give that folder"
            )
        found.append((kind, path))
    return found


def _has_weights(checkpoint: Checkpoint, path: str) -> bool:
    beside = [name for name in checkpoint.files if name.rpartition("/")[0] == path]
    return any(fnmatch(name, pattern) for name in beside for pattern in WEIGHTS)


def width(checkpoint: Checkpoint) -> int:
    """Components of the embedding, before any is cut off.

    Raises:
        ConfigError: the files do not say.
    """
    for kind, path in reversed(parts(checkpoint)):
        config = settings(checkpoint, kind, path)
        if kind == "Dense":
            return int(config["out_features"])
        if kind == "Pooling" and (size := _pooled(config)):
            return size
        if kind == "StaticEmbedding":
            return _table_width(checkpoint, path)
        if kind == "Transformer":
            for values in (config, config.get("text_config", {})):
                named = [values[name] for name in _WIDTHS if name in values]
                if named:
                    return int(named[0])
    raise ConfigError(f"the files of {checkpoint} do not say how wide its embedding is")


def settings(checkpoint: Checkpoint, kind: str, path: str) -> Mapping[str, Any]:
    """A part's ``config.json``; empty where it has none."""
    name = f"{path}/config.json" if path else "config.json"
    if name not in checkpoint.files or (not path and kind != "Transformer"):
        return {}
    return checkpoint.read_json(name)


def prompts(checkpoint: Checkpoint) -> dict[str, str]:
    """The checkpoint's prompts by name."""
    found = _general(checkpoint).get("prompts") or {}
    return {str(name): text or "" for name, text in found.items()}


def own_prompt(checkpoint: Checkpoint, of: str) -> str:
    """The prompt the checkpoint names for a ``"query"`` or ``"document"``; ``""`` if none.

    A document's may be called passage or corpus. The library (6.2) says so too, but then takes
    its own empty "document" before them.
    """
    given = prompts(checkpoint)
    return next((given[name] for name in _PROMPTS[of] if name in given), "")


def own_truncation(checkpoint: Checkpoint) -> int | None:
    """How many components the checkpoint itself keeps; None keeps all."""
    return _general(checkpoint).get("truncate_dim")


def similarity(checkpoint: Checkpoint) -> str:
    """The comparison it was made for, e.g. ``"dot"``; ``"cosine"`` where it does not say."""
    return _general(checkpoint).get("similarity_fn_name") or "cosine"


def _general(checkpoint: Checkpoint) -> Mapping[str, Any]:
    name = "config_sentence_transformers.json"
    return checkpoint.read_json(name) if name in checkpoint.files else {}


def _read(checkpoint: Checkpoint, name: str) -> Sequence[Mapping[str, Any]]:
    """A JSON file that holds a list."""
    try:
        data = json.loads((checkpoint.folder / name).read_text(encoding="utf-8"))
        assert isinstance(data, list) and all("type" in m and "path" in m for m in data) and data
    except (OSError, ValueError, AssertionError, TypeError) as error:
        raise ConfigError(f"{checkpoint}: {name} does not list a model's parts") from error
    return data


def _pooled(config: Mapping[str, Any]) -> int:
    """Width after pooling: several ways of pooling are set side by side. 0 if not said."""
    each = config.get("embedding_dimension", config.get("word_embedding_dimension"))
    modes = config.get("pooling_mode")
    if modes is None:  # as files before version 6 have it: a flag a way
        flags = [v for k, v in config.items() if k.startswith("pooling_mode_")]
        count = sum(map(bool, flags)) or 1
    else:
        count = 1 if isinstance(modes, str) else len(modes)
    return int(each or 0) * count


def _table_width(checkpoint: Checkpoint, path: str) -> int:
    from safetensors import safe_open

    name = f"{path}/model.safetensors" if path else "model.safetensors"
    if name not in checkpoint.files:
        raise ConfigError(f"{checkpoint} has no {name}")
    with safe_open(checkpoint.folder / name, framework="numpy") as file:
        there = set(file.keys())
        names = [key for key in ("embedding.weight", "embeddings") if key in there]
        if not names:
            raise ConfigError(f"{checkpoint}: {name} holds no table of embeddings")
        return int(file.get_slice(names[0]).get_shape()[1])
