"""A tiny Qwen2-VL, its files laid out as the published checkpoints' are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

SPECIAL = (
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)

TEMPLATE = """\
{% for message in messages %}\
{% if loop.first and message['role'] != 'system' %}\
<|im_start|>system
You are a helpful assistant.<|im_end|>
{% endif %}\
<|im_start|>{{ message['role'] }}
{% for part in message['content'] %}\
{% if part['type'] == 'video' %}<|vision_start|><|video_pad|><|vision_end|>\
{% elif 'text' in part %}{{ part['text'] }}{% endif %}\
{% endfor %}<|im_end|>
{% endfor %}\
{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
"""Says the same as the published one."""


def write(folder: Path, *, dim: int = 24, seed: int = 0) -> Path:
    """Write the checkpoint; byte-level tokens, seeded weights large enough to tell scenes apart.
    Of all tokens it says letters and the end, so that captions can be read.

    At width 24 input and output embeddings are tied, as in the 2B; else not, as in the 7B.
    """
    import torch
    from tokenizers import pre_tokenizers
    from transformers import (
        GenerationConfig,
        Qwen2Tokenizer,
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
    )

    folder.mkdir(parents=True, exist_ok=True)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate([*letters, "<|endoftext|>"])}
    tokenizer = Qwen2Tokenizer(
        vocab=vocabulary,
        merges=[],
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=list(SPECIAL),
    )
    number = tokenizer.convert_tokens_to_ids
    tokenizer.save_pretrained(folder)
    config = Qwen2VLConfig(
        vision_config={
            "depth": 2,
            "embed_dim": 16,
            "num_heads": 2,
            "hidden_size": dim,
            "mlp_ratio": 2,
            "initializer_range": 0.2,
        },
        text_config={
            "hidden_size": dim,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": dim // 8,
            "num_key_value_heads": 1,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": 4096,
            "rope_parameters": {"rope_type": "default", "mrope_section": [2, 1, 1]},
            "initializer_range": 0.2,
            "bos_token_id": number("<|endoftext|>"),
            "eos_token_id": number("<|im_end|>"),
        },
        tie_word_embeddings=dim == 24,
        image_token_id=number("<|image_pad|>"),
        video_token_id=number("<|video_pad|>"),
        vision_start_token_id=number("<|vision_start|>"),
        vision_end_token_id=number("<|vision_end|>"),
    )
    torch.manual_seed(seed)
    model = Qwen2VLForConditionalGeneration(config)
    said = {number(letter) for letter in letters if letter.isascii() and letter.isalpha()}
    mute = sorted(set(range(len(tokenizer))) - said - {number("<|im_end|>")})
    with torch.no_grad():
        model.get_output_embeddings().weight[mute] = 0
    # The published checkpoints sample.
    model.generation_config = GenerationConfig(
        do_sample=True,
        temperature=5.0,
        top_k=50,
        top_p=0.99,
        bos_token_id=number("<|endoftext|>"),
        pad_token_id=number("<|endoftext|>"),
        eos_token_id=[number("<|im_end|>"), number("<|endoftext|>")],
    )
    model.save_pretrained(folder)
    flat: dict[str, Any] = json.loads((folder / "config.json").read_text())
    flat |= {k: v for k, v in flat.pop("text_config").items() if k != "model_type"}
    _write_json(folder / "config.json", flat)
    # The limits are those of single pictures, and are the video processor's too unless overruled.
    _write_json(
        folder / "preprocessor_config.json",
        {
            "min_pixels": 3136,
            "max_pixels": 12845056,
            "patch_size": 14,
            "temporal_patch_size": 2,
            "merge_size": 2,
            "image_mean": [0.48145466, 0.4578275, 0.40821073],
            "image_std": [0.26862954, 0.26130258, 0.27577711],
            "image_processor_type": "Qwen2VLImageProcessor",
            "processor_class": "Qwen2VLProcessor",
        },
    )
    _write_json(folder / "chat_template.json", {"chat_template": TEMPLATE})
    return folder


def _write_json(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=2))


def _preset(name: str, *, dim: int) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        write(folder, dim=dim)
        chosen = {"checkpoint": folder, "max_frames": 4, "max_pixels": 128 * 28 * 28}
        if "captioner" in name:
            chosen["max_new_tokens"] = 8
        return [f"encoders.{name}.{key}={value}" for key, value in chosen.items()]

    return make


PRESETS = {
    "qwen2_vl": _preset("qwen2_vl", dim=24),
    "qwen2_vl_7b": _preset("qwen2_vl_7b", dim=32),
    "qwen2_vl_captioner": _preset("qwen2_vl_captioner", dim=24),
    "qwen2_vl_captioner_7b": _preset("qwen2_vl_captioner_7b", dim=32),
}
