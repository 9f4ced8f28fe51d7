"""What the embedder and the captioner of Qwen2-VL share: one model, and the same frames.

Qwen2-VL: Wang et al., arXiv:2409.12191. Frames are spread and sized as qwen-vl-utils 0.0.14 does
(``vision_process.py``: ``smart_nframes``, ``fetch_video``), with the checkpoint's own processor;
the package itself, which reads files and addresses, is not needed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from egorag.encode.base import FrameClip, Medium
from egorag.encode.pretrained import shared
from egorag.encode.pretrained.base import Pretrained, Published, by_name
from egorag.encode.pretrained.checkpoint import Checkpoint
from egorag.encode.pretrained.loading import load_model, load_processor
from egorag.encode.pretrained.placement import Placement
from egorag.errors import ConfigError, MediaError
from egorag.media.sampling import FrameSampling

PUBLISHED: Mapping[str, Published] = {
    "Qwen/Qwen2-VL-2B-Instruct": Published(2_208_985_600, 1536, "Apache-2.0", download=4.43e9),
    "Qwen/Qwen2-VL-7B-Instruct": Published(8_291_375_616, 3584, "Apache-2.0", download=16.6e9),
}

# qwen-vl-utils: tokens a frame times the pixels of a token (2 x 2 patches of 14 x 14).
MIN_PIXELS = 128 * 28 * 28
MAX_PIXELS = 768 * 28 * 28
MAX_FRAMES = 300
"""From here on qwen-vl-utils makes frames smaller, to keep within 115,200 tokens in all."""
MAX_RATIO = 200
WIDEST = 2.5
"""Frames are decoded large enough that sizing only shrinks them, up to this ratio of sides."""


@dataclass(frozen=True, kw_only=True)
class Qwen2VLFrames(Pretrained):
    """Settings of both: which frames of a scene are looked at, and how large.

    Attributes:
        rate: frames a second.
        max_frames: of a scene with more, this many are taken, evenly spread from first to last.
        max_pixels: of a frame; Qwen's model card shows 360 * 420 as a cheaper choice.
    """

    shares: ClassVar[bool] = True
    medium: ClassVar[Medium] = Medium.FRAMES
    family: ClassVar[str] = "qwen/qwen2-vl"
    packages: ClassVar[Mapping[str, str]] = {
        "torch": "torch",
        "torchvision": "torchvision",
        "transformers": "transformers",
        "PIL": "pillow",
    }
    batch_size: ClassVar[int] = 4  # scenes: their frames are large
    # In float16 the 2B overflows: https://github.com/huggingface/transformers/issues/33294
    dtypes: ClassVar[tuple[str, ...]] = ("auto", "float32", "bfloat16")

    checkpoint: str = by_name("Qwen/Qwen2-VL-2B-Instruct")
    rate: float = 2.0
    max_frames: int = 32
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.rate <= 60:
            raise ValueError(f"rate must be above 0 and at most 60 frames a second: {self.rate}")
        if not 2 <= self.max_frames <= MAX_FRAMES or self.max_frames % 2:
            raise ValueError(
                f"max_frames must be an even number in 2..{MAX_FRAMES}, because the model sees "
                f"frames in pairs; got {self.max_frames}"
            )
        if not MIN_PIXELS <= self.max_pixels <= MAX_PIXELS:
            raise ValueError(
                f"max_pixels must be {MIN_PIXELS}..{MAX_PIXELS} (128 to 768 visual tokens), got "
                f"{self.max_pixels}"
            )

    @property
    def sampling(self) -> FrameSampling:
        return FrameSampling(self.rate, longest=math.ceil(math.sqrt(self.max_pixels * WIDEST)))

    def close(self) -> None:
        """Give the model back; it stays in memory while another encoder uses it."""
        if self._loaded is not None:
            shared.release(self._loaded.held)
        super().close()

    def frames_told(self) -> str:
        """The part of ``describe`` that both have in common."""
        return (
            f"Qwen2-VL ({self.checkpoint}): {self.rate:g} frames a second, of more than "
            f"{self.max_frames} in a scene {self.max_frames} evenly spread, an odd last one shown "
            f"twice; each scaled to {MIN_PIXELS}..{self.max_pixels} pixels, aspect kept to "
            "multiples of 28"
        )

    def video(self, clip: FrameClip) -> Any:
        """uint8 [T, 3, H, W], T even: the chosen frames of a scene, of one size.

        Raises:
            MediaError: a side is more than 200 times the other, which the model does not take.
        """
        import torch

        frames = clip.frames
        if len(frames) > self.max_frames:
            spread = torch.linspace(0, len(frames) - 1, self.max_frames).round().long()
            frames = tuple(frames[i] for i in spread.tolist())
        height, width = frames[0].image.shape[:2]
        if max(height, width) > MAX_RATIO * min(height, width):
            raise MediaError(
                f"Qwen2-VL takes pictures whose sides are at most 1 : {MAX_RATIO}, got "
                f"{width} x {height} at {clip.span}"
            )
        images = [_sized(frame.image, width, height) for frame in frames]
        images += images[-1:] * (len(images) % 2)
        return torch.stack([torch.from_numpy(image) for image in images]).permute(0, 3, 1, 2)

    def sizing(self, device: str) -> dict[str, Any]:
        """How the checkpoint's processor treats ``video``'s frames. Its own limits are those of
        single pictures: they would let a frame be twenty times as large."""
        return {
            "size": {"shortest_edge": MIN_PIXELS, "longest_edge": self.max_pixels},
            "do_sample_frames": False,
            "input_data_format": "channels_first",  # or a picture 3 pixels high is misread
            "device": device,
        }


@dataclass(eq=False)
class Qwen2VLWeights:
    """The model of a checkpoint, as much of it as was asked for. Use it under ``Held.lock``.

    Attributes:
        tower: the vision tower with its merger; a part of ``whole`` once that is there.
        whole: vision tower and language model.
    """

    checkpoint: Checkpoint
    placement: Placement
    tower: Any = field(default=None, init=False)
    whole: Any = field(default=None, init=False)

    def load_tower(self) -> None:
        """Only the tensors of the vision tower are read: 0.7 of 2.2 or 8.3 billion."""
        if self.tower is None:
            from transformers.models.qwen2_vl import modeling_qwen2_vl

            self.tower = load_model(
                modeling_qwen2_vl.Qwen2VisionTransformerPretrainedModel,
                self.checkpoint,
                self.placement,
                # As published, and as some tools save it. All others are the language model's.
                key_mapping={r"^(?:model\.)?visual\.": ""},
                ignore=[r"^model\.", r"^lm_head\."],
            )

    def load_whole(self) -> None:
        """All of it, in place of a tower that was loaded alone."""
        if self.whole is None:
            from transformers import Qwen2VLForConditionalGeneration

            self.whole = load_model(
                Qwen2VLForConditionalGeneration, self.checkpoint, self.placement
            )
            self.tower = self.whole.model.visual


def hold(checkpoint: Checkpoint, placement: Placement, *, whole: bool) -> shared.Held:
    """The checkpoint's weights, shared by all that hold them; pair with ``shared.release``.

    Raises:
        MismatchError: the tensors are not this model's.
    """
    held = shared.acquire(
        ("qwen2_vl", checkpoint.sha256, placement), lambda: Qwen2VLWeights(checkpoint, placement)
    )
    try:
        with held.lock:
            held.model.load_whole() if whole else held.model.load_tower()
    except BaseException:
        shared.release(held)
        raise
    return held


def config_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """Its config.json.

    Raises:
        ConfigError: it is not of a Qwen2-VL model.
    """
    config = checkpoint.read_json()
    if config.get("model_type") != "qwen2_vl" or "vision_config" not in config:
        raise ConfigError(
            f"checkpoint {checkpoint.name!r} is of type {config.get('model_type')!r}, not "
            f"'qwen2_vl'; give a Qwen2-VL checkpoint such as {next(iter(PUBLISHED))}"
        )
    return config


def processor_of(checkpoint: Checkpoint, processor: Any) -> Any:
    """A transformers processor class's processor of this checkpoint.

    Raises:
        ConfigError: its files are missing or damaged.
    """
    found = load_processor(processor, checkpoint)
    # The limit it speaks of begins above MAX_FRAMES; said here, it does not warn.
    getattr(found, "video_processor", found).cap_pixels_per_frame = False
    return found


def _sized(image: Any, width: int, height: int) -> Any:
    """As it is; scaled if the video changed its size within the scene."""
    if image.shape[:2] == (height, width):
        return image
    import cv2

    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
