"""A tiny SigLIP 2 as its owners publish it: ``SiglipModel`` with a tokenizer called Gemma's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

SIZE, DIM = 32, 32


def make(folder: Path, seed: int = 0) -> Path:
    """Write it into ``folder``."""
    import torch
    from transformers import SiglipConfig, SiglipImageProcessor, SiglipModel

    tower = {
        "hidden_size": DIM,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    tokenizer = _gemma()
    torch.manual_seed(seed)
    SiglipModel(
        SiglipConfig(
            text_config={
                **tower,
                "vocab_size": len(tokenizer),
                "pad_token_id": 0,
                "eos_token_id": 1,
                "bos_token_id": 2,
            },
            vision_config={**tower, "image_size": SIZE, "patch_size": 16},
        )
    ).save_pretrained(folder)
    SiglipImageProcessor(
        size={"height": SIZE, "width": SIZE},
        resample=2,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    ).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _gemma() -> Any:
    """Letters and bytes; keeps capitals, as the published class does."""
    from transformers import GemmaTokenizer

    vocab = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", "."]
    vocab += [f"<0x{byte:02X}>" for byte in range(256)]
    vocab += [chr(code) for start in "aA" for code in range(ord(start), ord(start) + 26)]
    return GemmaTokenizer(
        vocab={token: i for i, token in enumerate(vocab)},
        merges=[],
        add_bos_token=False,
        add_eos_token=True,
        padding_side="right",
        model_input_names=["input_ids"],
    )


def _preset(name: str) -> Callable[[Path], list[str]]:
    return lambda folder: [f"encoders.{name}.checkpoint={make(folder)}"]


PRESETS = {name: _preset(name) for name in ("siglip2", "siglip2_base")}
