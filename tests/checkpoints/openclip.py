"""Tiny CLIPs as open_clip saves them: an ``open_clip_config.json`` and one weight file."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

SIZE, DIM = 32, 16

CLIP: dict[str, Any] = {
    "embed_dim": DIM,
    "vision_cfg": {
        "image_size": SIZE,
        "layers": 2,
        "width": 32,
        "head_width": 16,
        "patch_size": 16,
    },
    # CLIP's own tokenizer has 49408 tokens: the width keeps the file small.
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 4, "heads": 2, "layers": 2},
}

CUSTOM: dict[str, Any] = {
    **CLIP,
    "init_logit_bias": -10,
    "custom_text": True,
    "text_cfg": {
        "context_length": 16,
        "vocab_size": 64,
        "hf_tokenizer_name": "nobody/never-fetched",
        "tokenizer_kwargs": {"clean": "canonicalize"},
        "width": 16,
        "heads": 2,
        "layers": 2,
        "no_causal_mask": True,
        "pool_type": "last",
    },
}
"""As the SigLIPs there: a text tower of its own, and a tokenizer in files."""


def make(
    folder: Path,
    config: dict[str, Any] = CLIP,
    weights: str = "open_clip_model.safetensors",
    **preprocess: Any,
) -> Path:
    """Write it into ``folder``; ``preprocess`` as in ``open_clip_config.json``."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    config = copy.deepcopy(config)
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": config, "preprocess_cfg": preprocess})
    )
    torch.manual_seed(0)
    custom = config.pop("custom_text", False)
    state = (open_clip.CustomTextCLIP if custom else open_clip.CLIP)(**config).state_dict()
    if weights.endswith(".safetensors"):
        save_file(state, folder / weights)
    else:
        torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, folder / weights)
    if "hf_tokenizer_name" in config["text_cfg"]:
        _words().save_pretrained(folder)
    return folder


def _words() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocab = {word: i for i, word in enumerate(["<pad>", "<unk>", "a", "red", "dog"])}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>")


PRESETS = {"openclip": lambda folder: [f"encoders.openclip.checkpoint={make(folder)}"]}
