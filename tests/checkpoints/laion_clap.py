"""A laion-clap checkpoint as its authors publish them, with what their training leaves in the file.

Not tiny: the package has no sound tower under 28 million parameters, and RoBERTa is 768 wide to it.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from checkpoints import clap

WEIGHTS = "630k-audioset-best.pt"


def make(folder: Path, seed: int = 0) -> Path:
    """Write it and a tokenizer into ``folder``; skips the test without the package."""
    # Not importorskip: importing the package looks for tokenizers on the hub, for minutes.
    if importlib.util.find_spec("laion_clap") is None:
        pytest.skip("laion-clap is not installed; it needs an environment with numpy 1")
    import numpy as np
    import torch

    from egorag.encode.laion_clap import architecture

    tokenizer = clap.roberta()
    tokenizer.save_pretrained(folder)
    torch.manual_seed(seed)
    model = architecture(
        "HTSAT-tiny",
        {
            "vocab_size": len(tokenizer),
            "hidden_size": 768,
            "intermediate_size": 128,
            "num_hidden_layers": 1,
            "num_attention_heads": 12,
            "max_position_embeddings": 80,
        },
    )
    # Trained statistics of levels in dB; and weights that let texts and sounds differ.
    model.audio_branch.bn0.running_mean.fill_(-30.0)
    model.audio_branch.bn0.running_var.fill_(400.0)
    for weights in (*model.text_branch.parameters(), *model.text_projection.parameters()):
        if weights.ndim == 2:
            weights.data *= 2
    state = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    state["module.text_branch.embeddings.position_ids"] = torch.arange(80)[None]
    torch.save(
        {
            "epoch": 15,
            "name": "tiny",
            "best": np.float64(0.9),
            "state_dict": state,
            "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]},
        },
        folder / WEIGHTS,
    )
    return folder


def _preset(folder: Path) -> list[str]:
    make(folder)
    name = "encoders.laion_clap"
    return [f"{name}.checkpoint={folder}", f"{name}.tokenizer={folder}"]


PRESETS = {"laion_clap": _preset}
