"""What the models made from Qwen3-VL share: how frames, pictures and text are put to them.

Bai et al. 2025, "Qwen3-VL"; Li et al. 2026, "Qwen3-VL-Embedding and Qwen3-VL-Reranker", and the
model cards of these. Frames are sized as qwen-vl-utils does (``vision_process.py``).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from egorag.encode.base import Medium
from egorag.encode.pretrained.base import Pretrained
from egorag.encode.pretrained.checkpoint import Checkpoint
from egorag.encode.pretrained.loading import load_processor
from egorag.errors import ConfigError
from egorag.media.sampling import Frame, FrameSampling
from egorag.spans import MICROSECONDS

FRAME_TOKENS = (128, 768)  # of a pair of frames, from and to; qwen-vl-utils' rule for videos
PICTURE_TOKENS = (4, 1800)  # the cards' limits for one picture
WIDEST = 2.0  # a frame twice as wide as high still gets all its tokens

Turn = tuple[str, Sequence[Mapping[str, Any]]]
"""A role and its parts in order: each has one of ``text``, ``image`` (RGB uint8) and ``frames``;
frames may come with their own ``rate``."""


@dataclass(frozen=True, kw_only=True)
class Qwen3VLReader(Pretrained):
    """Settings of all: which frames of a scene are looked at, and how large.

    Attributes:
        rate: frames a second; the cards' 1.
        frames: at most so many of a scene, evenly spread; the cards' 64. A pair of frames makes
            128..768 visual tokens, less where a scene has many.
        tokens: visual tokens of a scene, shared by its pairs, each of which keeps 128; the cards'
            7680.
    """

    medium: ClassVar[Medium] = Medium.FRAMES
    packages: ClassVar[Mapping[str, str]] = {
        "torch": "torch",
        "torchvision": "torchvision",
        "transformers": "transformers",
        "PIL": "pillow",
    }
    working_bytes: ClassVar[float] = 4e9
    batch_size: ClassVar[int] = 4

    rate: float = 1.0
    frames: int = 64
    tokens: int = 7680

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.rate <= 60:
            raise ValueError(f"rate must be above 0 and at most 60 frames a second: {self.rate}")
        if self.frames < 1:
            raise ValueError(f"frames must be 1 or more, got {self.frames}")
        if self.tokens < FRAME_TOKENS[0]:
            raise ValueError(f"tokens must be at least {FRAME_TOKENS[0]}, got {self.tokens}")

    @property
    def sampling(self) -> FrameSampling:
        most = FRAME_TOKENS[1] * self._factor() ** 2
        return FrameSampling(self.rate, longest=round((most * WIDEST) ** 0.5))

    def _factor(self) -> int:
        """Pixels along a side of what one visual token sees."""
        vision = self.source().read_json()["vision_config"]
        return int(vision["patch_size"]) * int(vision.get("spatial_merge_size", 2))

    @staticmethod
    def _processor(checkpoint: Checkpoint) -> Any:
        """The checkpoint's ``Qwen3VLProcessor``; ConfigError where it has no chat template."""
        import transformers

        processor = load_processor(transformers.Qwen3VLProcessor, checkpoint, padding_side="right")
        if not getattr(processor, "chat_template", None):
            raise ConfigError(f"{checkpoint} has no chat template, which places the instruction")
        processor.video_processor.cap_pixels_per_frame = True  # unused here: only ends a warning
        return processor

    def _read(self, chats: Sequence[Sequence[Turn]]) -> Any:
        """What the model takes, right-padded, all chats in their order, each ended by the place
        where the assistant would begin. Texts from outside must be made ``plain`` before."""
        from transformers.video_utils import VideoMetadata

        texts: list[str] = []
        images: list[Any] = []
        videos: list[Any] = []
        times: list[Any] = []
        for chat in chats:
            turns = []
            for role, parts in chat:
                content: list[dict[str, str]] = []
                for part in parts:
                    if "frames" in part:
                        content.append({"type": "video"})
                        chosen = spread(part["frames"], self.frames)
                        videos.append(self._video(chosen))
                        rate = part.get("rate", self.rate)
                        steps = [(f.time - chosen[0].time) * rate / MICROSECONDS for f in chosen]
                        at = [round(step) for step in steps]
                        times.append(VideoMetadata(at[-1] + 1, fps=rate, frames_indices=at))
                    elif "image" in part:
                        content.append({"type": "image"})
                        images.append(self._resized(part["image"], *PICTURE_TOKENS))
                    else:
                        content.append({"type": "text", "text": part["text"]})
                turns.append({"role": role, "content": content})
            texts.append(self._prompt(turns))
        return self.loaded.processor(
            text=texts,
            images=images or None,
            videos=videos or None,
            video_metadata=times or None,
            do_resize=False,
            do_sample_frames=False,
            padding=True,
            return_tensors="pt",
        )

    def _prompt(self, turns: Sequence[Mapping[str, Any]]) -> str:
        processor = self.loaded.processor
        prompt: str = processor.apply_chat_template(
            turns, add_generation_prompt=True, tokenize=False
        )
        # Each pair of frames gets marks of its own. The model was trained without the template's
        # marks around them all, which transformers leaves in place from 5.10 on.
        start, end = processor.vision_start_token, processor.vision_end_token
        return prompt.replace(start + processor.video_token + end, processor.video_token)

    def _last(self, inputs: Any) -> Any:
        """Tensor [chats, width]: the state of each one's last token, of ``_read``'s inputs."""
        import torch

        model = self.loaded.model
        with torch.inference_mode():
            states = model(**inputs, use_cache=False).last_hidden_state
        mask = inputs["attention_mask"]
        last = mask.shape[1] - 1 - mask.flip(1).argmax(1)
        return states[torch.arange(len(mask)), last]

    def _video(self, frames: Sequence[Frame]) -> Any:
        """uint8 [T, 3, H, W], all at the size that the number of frames leaves."""
        import torch

        low, high = FRAME_TOKENS
        share = self.tokens / -(-len(frames) // 2)
        most = max(min(high, share), low * 1.05)
        first = self._resized(frames[0].image, low, most)
        size = first.shape[1:]
        rest = [_resize(frame.image, size) for frame in frames[1:]]
        return torch.stack([first, *rest])

    def _resized(self, image: Any, least: float, most: float) -> Any:
        """uint8 [3, H, W] of ``least``..``most`` tokens, sides in whole tokens."""
        from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

        factor = self._factor()
        pixels = {"min_pixels": int(least * factor**2), "max_pixels": int(most * factor**2)}
        height, width = image.shape[:2]
        # The rule knows no strip narrower than 1:200: it is widened to that.
        sides = max(height, -(-width // 200)), max(width, -(-height // 200))
        return _resize(image, smart_resize(*sides, factor=factor, **pixels))


def _resize(image: Any, size: Sequence[int]) -> Any:
    import torch
    from torchvision.transforms import InterpolationMode, functional

    tensor = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
    return functional.resize(tensor, list(size), InterpolationMode.BICUBIC, antialias=True)


def spread(frames: Sequence[Frame], most: int) -> Sequence[Frame]:
    """At most so many of the frames, from the first to the last."""
    if len(frames) <= most:
        return frames
    return [frames[i] for i in np.linspace(0, len(frames) - 1, most, dtype=int)]


def sentence(instruction: str) -> str:
    """Ended by punctuation, as in training."""
    said = instruction.strip()
    return said if unicodedata.category(said[-1]).startswith("P") else said + "."
