"""A tiny V-JEPA 2 with an attentive probe and labels, as the published heads have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from checkpoints import vjepa2

FRAMES = 8
LABELS = (
    "Opening [something]",
    "Closing [something]",
    "['Inward', '35som', 'NoTwis', 'TUCK']",
    "Doing nothing",
    "Moving [something] up",
)


def write(folder: Path, **changes: Any) -> Path:
    """Save it into ``folder``; ``changes`` to the config."""
    import torch
    from transformers import VJEPA2Config, VJEPA2ForVideoClassification, VJEPA2VideoProcessor

    settings = {
        "crop_size": vjepa2.CROP,
        "patch_size": vjepa2.PATCH,
        "frames_per_clip": FRAMES,
        "hidden_size": vjepa2.WIDTH,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "mlp_ratio": 2.0,
        "pred_hidden_size": vjepa2.WIDTH,
        "pred_num_attention_heads": 2,
        "pred_num_hidden_layers": 1,
        "pred_mlp_ratio": 2.0,
        "num_pooler_layers": 3,
        "id2label": dict(enumerate(LABELS)),
        "initializer_range": 0.2,
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = VJEPA2ForVideoClassification(VJEPA2Config(**{**settings, **changes}))
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name.endswith("bias") or "mask_tokens" in name:
                    parameter.normal_(std=0.1)
    model.save_pretrained(folder)
    VJEPA2VideoProcessor(crop_size=vjepa2.CROP).save_pretrained(folder)
    return folder


def _preset(name: str) -> Any:
    def make(folder: Path) -> list[str]:
        write(folder)
        return [f"encoders.{name}.checkpoint={folder}", f"encoders.{name}.frames={FRAMES}"]

    return make


PRESETS = {
    name: _preset(name)
    for name in ("vjepa2_ssv2", "vjepa2_ssv2_quality", "vjepa2_diving48", "vjepa2_diving48_quality")
}
