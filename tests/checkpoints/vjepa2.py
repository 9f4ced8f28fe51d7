"""A tiny V-JEPA 2 checkpoint, predictor included, and its video processor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CROP, PATCH, WIDTH, FRAMES = 32, 16, 48, 8


def write(folder: Path, **changes: Any) -> Path:
    """Save it into ``folder``; ``changes`` to the config."""
    import torch
    from transformers import VJEPA2Config, VJEPA2Model, VJEPA2VideoProcessor

    settings = {
        "crop_size": CROP,
        "patch_size": PATCH,
        "frames_per_clip": FRAMES,
        "hidden_size": WIDTH,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "mlp_ratio": 2.0,
        "pred_hidden_size": WIDTH,
        "pred_num_attention_heads": 2,
        "pred_num_hidden_layers": 1,
        "pred_mlp_ratio": 2.0,
        "initializer_range": 0.2,  # else random layers say the same about every clip
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = VJEPA2Model(VJEPA2Config(**{**settings, **changes}))
        with torch.no_grad():  # zero mask tokens and biases would hide a lost tensor
            for name, parameter in model.named_parameters():
                if name.endswith("bias") or "mask_tokens" in name:
                    parameter.normal_(std=0.1)
    model.save_pretrained(folder)
    VJEPA2VideoProcessor(crop_size=CROP).save_pretrained(folder)
    return folder


def _preset(name: str, frames: int, stride: int | None = None) -> Any:
    def make(folder: Path) -> list[str]:
        write(folder)
        overrides = [f"encoders.{name}.checkpoint={folder}", f"encoders.{name}.frames={frames}"]
        return [*overrides, f"encoders.{name}.stride={stride}"] if stride else overrides

    return make


PRESETS = {
    "vjepa2_fast": _preset("vjepa2_fast", 4),
    "vjepa2_balanced": _preset("vjepa2_balanced", 6),
    "vjepa2_quality": _preset("vjepa2_quality", 8),
    "vjepa2_frames_fast": _preset("vjepa2_frames_fast", 4, 2),
    "vjepa2_frames_balanced": _preset("vjepa2_frames_balanced", 6, 3),
    "vjepa2_frames_quality": _preset("vjepa2_frames_quality", 8, 8),
}
