"""A tiny X-CLIP, with the preprocessor file in the old form that the published ones have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SIZE, DIM, FRAMES = 32, 32, 8


def make(folder: Path) -> Path:
    """Write it into ``folder``."""
    import torch
    from transformers import XCLIPConfig, XCLIPModel

    tokenizer = _clip()
    layers = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    torch.manual_seed(0)
    model = XCLIPModel(
        XCLIPConfig(
            projection_dim=DIM,
            prompt_num_attention_heads=2,
            text_config={
                **layers,
                "hidden_size": 32,
                "vocab_size": len(tokenizer),
                "max_position_embeddings": 24,
            },
            vision_config={
                **layers,
                "hidden_size": 48,
                "mit_hidden_size": DIM,
                "mit_intermediate_size": 64,
                "mit_num_attention_heads": 2,
                "image_size": SIZE,
                "patch_size": 16,
                "num_frames": FRAMES,
            },
        )
    )
    for name, weights in model.named_parameters():
        if "message" in name or "position" in name or "mit" in name:
            torch.nn.init.normal_(weights, std=0.3)  # so that time and neighbours show
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "do_center_crop": True,
                "do_normalize": True,
                "do_resize": True,
                "feature_extractor_type": "VideoMAEFeatureExtractor",
                "image_mean": [0.485, 0.456, 0.406],
                "image_std": [0.229, 0.224, 0.225],
                "resample": 2,
                "size": SIZE,
                "crop_size": {"height": SIZE, "width": SIZE},
            }
        )
    )
    tokenizer.save_pretrained(folder)
    return folder


def _clip() -> Any:
    """CLIP's tokenizer with single letters."""
    from transformers import CLIPTokenizer

    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    vocab = [*letters, *(f"{letter}</w>" for letter in letters)]
    vocab += ["<|startoftext|>", "<|endoftext|>"]  # the last is the end: looked for as highest
    return CLIPTokenizer(vocab={token: i for i, token in enumerate(vocab)}, merges=[])


PRESETS = {"xclip": lambda folder: [f"encoders.xclip.checkpoint={make(folder)}"]}
