"""A tiny BLIP captioner as its owners publish it: WordPiece, a BERT that attends the picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

SIZE = 32
_WORDS = (
    "a man woman dog horse is on in the kitchen road rides cuts holds red blue brown white table "
    "field standing sitting with and two people of street car"
)


def make(folder: Path, seed: int = 0) -> Path:
    """Write it into ``folder``. Its weights are large enough that pictures change the words."""
    import torch
    from transformers import (
        BlipConfig,
        BlipForConditionalGeneration,
        BlipImageProcessor,
        BlipProcessor,
    )

    tokenizer = _tokenizer()
    tower = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "initializer_range": 0.4,
    }
    config = BlipConfig(
        text_config={
            **tower,
            "vocab_size": len(tokenizer),
            "bos_token_id": tokenizer.bos_token_id,
            "sep_token_id": tokenizer.sep_token_id,
            "eos_token_id": tokenizer.sep_token_id,
            "pad_token_id": tokenizer.pad_token_id,
            "max_position_embeddings": 64,
        },
        vision_config={**tower, "image_size": SIZE, "patch_size": 8},
        initializer_range=0.4,
    )
    torch.manual_seed(seed)
    BlipForConditionalGeneration(config).save_pretrained(folder)
    pictures = BlipImageProcessor(size={"height": SIZE, "width": SIZE})
    BlipProcessor(pictures, tokenizer).save_pretrained(folder)
    return folder


def _tokenizer() -> Any:
    from transformers import BertTokenizer

    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *_WORDS.split(), "[DEC]"]
    return BertTokenizer(
        vocab={token: i for i, token in enumerate(vocab)},
        bos_token="[DEC]",
        model_input_names=["input_ids", "attention_mask"],
    )


def _overrides(folder: Path) -> list[str]:
    return [f"encoders.blip.checkpoint={make(folder)}", "encoders.blip.tokens=6"]


PRESETS: dict[str, Callable[[Path], list[str]]] = {"blip": _overrides}
