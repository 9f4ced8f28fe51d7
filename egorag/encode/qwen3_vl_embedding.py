"""Qwen3-VL-Embedding: scenes, pictures, clips and text in one space, told apart by instruction.

Li et al. 2026, "Qwen3-VL-Embedding and Qwen3-VL-Reranker" and the model cards of
Qwen/Qwen3-VL-Embedding-2B and -8B. An instruction stands in the system turn, the input in the
user's, and the state of the last token (where the assistant would begin) is the embedding. It is
trained so that its first components alone are an embedding too (64 and up, Matryoshka).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from egorag.encode.base import FrameClip, Medium, Vectors
from egorag.encode.pretrained.base import Pretrained, Published, by_name, unit
from egorag.encode.pretrained.batches import Batches
from egorag.encode.pretrained.loading import load_model, load_processor
from egorag.encode.pretrained.placement import Placement
from egorag.encode.pretrained.plaintext import plain, shortened
from egorag.encode.pretrained.queries import query_frames
from egorag.errors import ConfigError, SpaceError
from egorag.media.sampling import Frame, FrameSampling
from egorag.media.stills import read_picture
from egorag.spaces import EmbeddingSpace
from egorag.spans import MICROSECONDS
from egorag.types import Query

QUERIES = ("text", "image", "video")
LONGEST_TEXT = 8192 - 128  # tokens; the card's maximum less the template and an instruction
FRAME_TOKENS = (128, 768)  # of a pair of frames, from and to; qwen-vl-utils' rule for videos
PICTURE_TOKENS = (4, 1800)  # the card's limits for one picture
WIDEST = 2.0  # a frame twice as wide as high still gets all its tokens

Item = Mapping[str, Any]
"""One input: its ``instruction`` and one of ``text``, ``image`` (RGB uint8) and ``frames``."""


@dataclass(frozen=True)
class _Loaded:
    model: Any
    processor: Any
    batches: Batches


@dataclass(frozen=True, kw_only=True)
class Qwen3VLEmbedding(Pretrained):
    """One vector a scene from its frames, in a space that text, pictures and clips can query.

    Rows differ by less than 2e-5 a component between batch sizes in float32.

    Attributes:
        rate: frames a second; the card's 1.
        frames: at most so many of a scene, evenly spread; the card's 64. A pair of frames makes
            128..768 visual tokens, less where a scene has many.
        tokens: visual tokens of a scene, shared by its pairs, each of which keeps 128; the card's
            7680.
        instruction: said of every scene; the card's default.
        query_instruction: said of every query; the card's for retrieval.
        dim: keep the first so many components (64 and up are trained); None keeps all.
    """

    medium: ClassVar[Medium] = Medium.FRAMES
    family: ClassVar[str] = "qwen3-vl-embedding"
    queried_by: ClassVar[Sequence[str]] = QUERIES
    packages: ClassVar[Mapping[str, str]] = {
        "torch": "torch",
        "torchvision": "torchvision",
        "transformers": "transformers",
        "PIL": "pillow",
    }
    published: ClassVar[Mapping[str, Published]] = {
        "Qwen/Qwen3-VL-Embedding-2B": Published(2.13e9, 2048, "Apache-2.0", download=4.3e9),
        "Qwen/Qwen3-VL-Embedding-8B": Published(8.14e9, 4096, "Apache-2.0", download=16.3e9),
    }
    working_bytes: ClassVar[float] = 4e9
    batch_size: ClassVar[int] = 4

    checkpoint: str = by_name("Qwen/Qwen3-VL-Embedding-2B")
    rate: float = 1.0
    frames: int = 64
    tokens: int = 7680
    instruction: str = "Represent the user's input."
    query_instruction: str = "Retrieve images or text relevant to the user's query."
    dim: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.rate <= 60:
            raise ValueError(f"rate must be above 0 and at most 60 frames a second: {self.rate}")
        if self.frames < 1:
            raise ValueError(f"frames must be 1 or more, got {self.frames}")
        if self.tokens < FRAME_TOKENS[0]:
            raise ValueError(f"tokens must be at least {FRAME_TOKENS[0]}, got {self.tokens}")
        if self.dim is not None and self.dim < 1:
            raise ValueError(f"dim must be 1 or more components, got {self.dim}")
        for name in ("instruction", "query_instruction"):
            if not getattr(self, name).strip():
                raise ValueError(f"{name} must say something; the model is trained with one")

    @property
    def sampling(self) -> FrameSampling:
        most = FRAME_TOKENS[1] * self._factor() ** 2
        return FrameSampling(self.rate, longest=round((most * WIDEST) ** 0.5))

    @property
    def space(self) -> EmbeddingSpace:
        return self.space_of(self._dim(), *QUERIES)

    def _dim(self) -> int:
        width = int(self.source().read_json()["text_config"]["hidden_size"])
        if self.dim is not None and self.dim > width:
            raise ConfigError(
                f"dim={self.dim}, but {self.checkpoint} has {width} components; give fewer"
            )
        return self.dim or width

    def _factor(self) -> int:
        """Pixels along a side of what one visual token sees."""
        vision = self.source().read_json()["vision_config"]
        return int(vision["patch_size"]) * int(vision.get("spatial_merge_size", 2))

    def _load(self, placement: Placement) -> _Loaded:
        import transformers

        checkpoint = self.source()
        # The head that speaks is not used; the small model's is its embedding table anyway.
        model = load_model(transformers.Qwen3VLModel, checkpoint, placement, (r"^lm_head\.",))
        processor = load_processor(transformers.Qwen3VLProcessor, checkpoint, padding_side="right")
        if not getattr(processor, "chat_template", None):
            raise ConfigError(f"{checkpoint} has no chat template, which places the instruction")
        processor.video_processor.cap_pixels_per_frame = True  # unused here: only ends a warning
        return _Loaded(model, processor, Batches(placement.device, self.batch, cpu=2, most=16))

    def encode(self, data: Sequence[FrameClip]) -> Vectors:
        """float32 [clips, dim], unit rows."""
        said = {"instruction": self.instruction}
        return self._embed([{**said, "frames": clip.frames} for clip in data])

    def embed_query(self, query: Query, medium: str) -> Vectors:
        """float32 [dim], unit length: the text, picture or clip under the query's instruction.

        Raises:
            SpaceError: another medium, or the query has none of it.
            MediaError: the file cannot be read.
        """
        said: dict[str, Any] = {"instruction": self.query_instruction}
        if medium == "text" and query.text is not None:
            item = {**said, "text": query.text}
        elif medium == "image" and query.image is not None:
            item = {**said, "image": read_picture(query.image)}
        elif medium == "video" and query.video is not None:
            item = {**said, "frames": query_frames(query.video, self.sampling).frames}
        else:
            raise SpaceError(
                f"{self.checkpoint} embeds {', '.join(QUERIES)}, but the query was to enter by "
                f"{medium!r}"
            )
        row: Vectors = self._embed([item])[0]
        return row

    def describe(self) -> str:
        low, high = FRAME_TOKENS
        return (
            f"frames at {self.rate:g} a second, evenly thinned to {self.frames} in longer scenes "
            f"(a single frame counts twice); {low}..{high} visual tokens a pair, {self.tokens} a "
            f"scene; their times in the prompt; system turn {_sentence(self.instruction)!r}, of a "
            f"query {_sentence(self.query_instruction)!r}; state of the last token, its first "
            f"{self._dim()} components at unit length"
        )

    def _embed(self, items: Sequence[Item]) -> Vectors:
        dim = self._dim()
        if not items:
            return np.empty((0, dim), np.float32)
        rows = self.loaded.batches.map(items, self._run)
        return unit(np.concatenate(rows)[:, :dim])

    def _run(self, items: Sequence[Item]) -> Vectors:
        import torch

        loaded = self.loaded
        inputs = self._inputs(items).to(loaded.model.device)
        with torch.inference_mode():
            states = loaded.model(**inputs, use_cache=False).last_hidden_state
        mask = inputs["attention_mask"]
        last = mask.shape[1] - 1 - mask.flip(1).argmax(1)
        rows: Vectors = states[torch.arange(len(items)), last].float().cpu().numpy()
        return rows

    def _inputs(self, items: Sequence[Item]) -> Any:
        """What the model takes, right-padded, all items in their order."""
        from transformers.video_utils import VideoMetadata

        tokenizer = self.loaded.processor.tokenizer
        texts: list[str] = []
        images: list[Any] = []
        videos: list[Any] = []
        times: list[Any] = []
        for item in items:
            if "frames" in item:
                part = {"type": "video"}
                chosen = _spread(item["frames"], self.frames)
                videos.append(self._video(chosen))
                steps = [(f.time - chosen[0].time) * self.rate / MICROSECONDS for f in chosen]
                indices = [round(step) for step in steps]
                times.append(VideoMetadata(indices[-1] + 1, fps=self.rate, frames_indices=indices))
            elif "image" in item:
                part = {"type": "image"}
                images.append(self._resized(item["image"], *PICTURE_TOKENS))
            else:
                text = shortened(plain(item["text"], tokenizer), tokenizer, LONGEST_TEXT)
                part = {"type": "text", "text": text or "NULL"}  # as the card has it
            texts.append(self._prompt(item["instruction"], part))
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

    def _prompt(self, instruction: str, part: Mapping[str, str]) -> str:
        processor = self.loaded.processor
        said = plain(_sentence(instruction), processor.tokenizer)
        prompt: str = processor.apply_chat_template(
            [
                {"role": "system", "content": [{"type": "text", "text": said}]},
                {"role": "user", "content": [part]},
            ],
            add_generation_prompt=True,
            tokenize=False,
        )
        # Each pair of frames gets marks of its own. The model was trained without the template's
        # marks around them all, which transformers leaves in place from 5.10 on.
        start, end = processor.vision_start_token, processor.vision_end_token
        return prompt.replace(start + processor.video_token + end, processor.video_token)

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


def _spread(frames: Sequence[Frame], most: int) -> Sequence[Frame]:
    if len(frames) <= most:
        return frames
    return [frames[i] for i in np.linspace(0, len(frames) - 1, most, dtype=int)]


def _sentence(instruction: str) -> str:
    """Ended by punctuation, as in training."""
    said = instruction.strip()
    return said if unicodedata.category(said[-1]).startswith("P") else said + "."
