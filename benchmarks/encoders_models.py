"""What ``encoders.py`` measures: each preset's model with random weights, and scenes for it.

``full`` builds the published architecture from ``full_size/PRESET/`` directly on the device:
nothing is downloaded and no weights pass the disk. ``tiny`` is the tests' checkpoint, loaded by
the real loader. Files that have no size (tokenizers) come from the tests' checkpoint in both.
Only what loads through transformers' ``from_pretrained`` can be built full size: open_clip's and
sentence-transformers' own layers cannot, and their rows say that they failed.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from egorag import registry
from egorag.encode.base import Clip, Document, FrameClip, Medium, SoundClip
from egorag.media.sampling import Frame, FrameSampling
from egorag.spans import MICROSECONDS, Span

HERE = Path(__file__).parent
FULL_SIZE = HERE / "full_size"
SCENE_SECONDS = 8.0
WORDS = "a person opens the fridge and puts green pepper on a wooden board near the sink " * 4


def presets() -> list[str]:
    """Those whose full-size architecture is written down."""
    return sorted(folder.name for folder in FULL_SIZE.iterdir() if folder.is_dir())


def settings_of(preset: str, size: str, folder: Path, chosen: Sequence[str] = ()) -> dict[str, Any]:
    """The preset's settings with a checkpoint of ``size`` in ``folder``.

    Args:
        chosen: ``key=value`` beyond the preset's own.

    Raises:
        LookupError: the tests make no tiny checkpoint of this preset.
    """
    sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent)]
    from checkpoints import makers

    maker = makers().get(preset)
    changes = maker(folder) if maker is not None else []
    text = (HERE.parent / "configs" / "encoder" / f"{preset}.yaml").read_text()
    settings = {**yaml.safe_load(text), "checkpoint": str(folder)}
    if size == "full":
        shutil.copytree(FULL_SIZE / preset, folder, dirs_exist_ok=True)
        if maker is None:  # a file of weights marks a whole checkpoint; it is never read
            (folder / "model.safetensors").write_bytes(b"\x02" + b"\x00" * 7 + b"{}")
        changes = []
    elif maker is None:
        raise LookupError(f"tests/checkpoints makes no tiny {preset}")
    for change in (*changes, *chosen):
        key, _, value = change.removeprefix(f"encoders.{preset}.").partition("=")
        settings[key] = yaml.safe_load(value)
    return settings


def build(preset: str, settings: dict[str, Any]) -> Any:
    """The encoder, not loaded yet."""
    return registry.build("encoders", preset, settings)


@contextlib.contextmanager
def random_weights(device: str) -> Iterator[None]:
    """``from_pretrained`` makes the architecture with seeded random weights on ``device``.

    They are drawn in float32 and cast, so that a float32 and a bfloat16 model are the same one.
    """
    import torch
    import transformers

    original = transformers.PreTrainedModel.__dict__["from_pretrained"]

    def from_pretrained(
        cls: Any,
        folder: str,
        *,
        config: Any = None,
        dtype: Any = None,
        attn_implementation: str | None = None,
        output_loading_info: bool = False,
        **_: Any,
    ) -> Any:
        config = config if config is not None else cls.config_class.from_pretrained(folder)
        chosen = {"attn_implementation": attn_implementation} if attn_implementation else {}
        torch.manual_seed(0)
        with torch.device(device):
            model = cls._from_config(config, dtype=torch.float32, **chosen)
        if isinstance(dtype, torch.dtype):  # what a checkpoint holds is cast, the rest computed
            for tensor in model.state_dict(keep_vars=True).values():
                if tensor.is_floating_point():
                    tensor.data = tensor.data.to(dtype)
            model.config.dtype = dtype
        return (model.eval(), {}) if output_loading_info else model.eval()

    transformers.PreTrainedModel.from_pretrained = classmethod(from_pretrained)
    try:
        yield
    finally:
        transformers.PreTrainedModel.from_pretrained = original


def scenes(encoder: Any, count: int) -> list[Clip]:
    """``count`` scenes of random pictures or noise, as the one decode pass would deliver them.

    V-JEPA 2 gets one whole clip a scene; others get ``SCENE_SECONDS`` of frames, ten seconds of
    sound or some 60 words.
    """
    dice = np.random.default_rng(0)
    if encoder.medium is Medium.FRAMES:
        sampling = encoder.sampling
        number = encoder.frames if _is(encoder, "VJEPA2") else round(SCENE_SECONDS * sampling.rate)
        width, height = picture_size(sampling)
        step = round(MICROSECONDS / sampling.rate)
        made: list[Clip] = []
        for _ in range(count):
            images = dice.integers(0, 256, (max(1, number), height, width, 3), np.uint8)
            frames = tuple(Frame(i * step, i * step, i, image) for i, image in enumerate(images))
            made.append(FrameClip(Span(0, len(frames) * step), frames))
        return made
    if encoder.medium is Medium.SOUND:
        rate = encoder.sampling.rate
        noise = 0.1 * dice.standard_normal((count, 10 * rate), np.float32)
        return [SoundClip(Span(0, 10 * MICROSECONDS), samples, rate) for samples in noise]
    return [Document(Span(0, MICROSECONDS), f"{i} {WORDS}", {}) for i in range(count)]


def picture_size(sampling: FrameSampling) -> tuple[int, int]:
    """Width and height of a 16:9 frame as the reader delivers it."""
    if sampling.size is not None:
        return sampling.size
    if sampling.shortest is not None:
        return round(sampling.shortest * 16 / 9), sampling.shortest
    longest = min(sampling.longest or 1920, 1920)
    return longest, round(longest * 9 / 16)


def _is(encoder: Any, name: str) -> bool:
    return type(encoder).__name__ == name
