"""The loop a user would write from the model card: what ``encoders.py`` compares with.

One scene at a time, the default dtype (float32) and attention, the processor on the CPU. The
frames are those our encoder gets, already scaled by the decode pass, which spares this loop most
of its scaling. X-CLIP is not here: our encoder chooses its frames by content, the card's does not.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Loop = Callable[[Any], Any]


def vjepa2(folder: Path, device: str) -> Loop:
    """https://huggingface.co/facebook/vjepa2-vitl-fpc64-256, and the mean over its tokens."""
    import torch
    from transformers import AutoModel, AutoVideoProcessor

    processor = AutoVideoProcessor.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).to(device)

    def run(clip: Any) -> Any:
        video = np.stack([frame.image for frame in clip.frames])
        inputs = processor(video, return_tensors="pt").to(device)
        with torch.no_grad():
            return model.get_vision_features(**inputs).mean(1)[0]

    return run


def siglip2(folder: Path, device: str) -> Loop:
    """https://huggingface.co/google/siglip2-so400m-patch14-384, and the mean of unit rows."""
    import torch
    from transformers import AutoImageProcessor, AutoModel

    processor = AutoImageProcessor.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).to(device)

    def run(clip: Any) -> Any:
        images = [frame.image for frame in clip.frames]
        inputs = processor(images=images, return_tensors="pt").to(device)
        with torch.no_grad():
            rows = model.get_image_features(**inputs).pooler_output
        return torch.nn.functional.normalize(rows, dim=-1).mean(0)

    return run


def clap(folder: Path, device: str) -> Loop:
    """https://huggingface.co/laion/clap-htsat-unfused."""
    import torch
    from transformers import AutoFeatureExtractor, AutoModel

    processor = AutoFeatureExtractor.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).to(device)

    def run(clip: Any) -> Any:
        inputs = processor(clip.samples, sampling_rate=clip.rate, return_tensors="pt").to(device)
        with torch.no_grad():
            return model.get_audio_features(**inputs).pooler_output[0]

    return run


LOOPS: dict[str, Callable[[Path, str], Loop]] = {"VJEPA2": vjepa2, "SigLIP2": siglip2, "CLAP": clap}
"""By the encoder's class."""
