"""A caption a scene by BLIP, which looks at one picture at a time.

Li et al., ICML 2022, "BLIP: Bootstrapping Language-Image Pre-training"; model card
https://huggingface.co/Salesforce/blip-image-captioning-base (BSD-3-Clause). The base model is the
default: on COCO the large one's captions score 3 % higher for three times the work, and it is the
one that begins captions with an invented word ("arafed"), which is taken out here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from egorag.encode.base import FrameClip, Medium
from egorag.encode.captions import combine
from egorag.encode.keyframes import keyframes
from egorag.encode.pretrained.base import Pretrained, Published, by_name
from egorag.encode.pretrained.batches import Batches
from egorag.encode.pretrained.loading import load_model, load_processor
from egorag.encode.pretrained.placement import Placement
from egorag.errors import ConfigError
from egorag.media.sampling import Frame, FrameSampling
from egorag.types import TimedText

MOST_TOKENS = 256
DEFAULT_SIDE = 384  # where the checkpoint leaves it to the architecture's default


@dataclass(frozen=True)
class _Loaded:
    model: Any
    processor: Any
    batches: Batches


@dataclass(frozen=True, kw_only=True)
class BLIP(Pretrained):
    """Timed text: track ``caption``, one text a scene, spanning it.

    Captions are made by beam search without sampling, so the same frames give the same words. In
    float32 they do not depend on the batch; in bfloat16 a word may. Loops are cut short: no three
    tokens come twice in a caption, and no word twice running. Captions of a scene's frames are
    joined as sentences; one that repeats another is left out (``captions.py``).

    Attributes:
        rate: frames a second from which keyframes are chosen.
        keyframes: at most so many a scene (``keyframes.py`` says which); fewer where it is still.
        beams: beams of the search, 3 as in the paper; 1 is greedy and faster.
        tokens: of a caption at most; the paper's 20 end long ones in the middle.
    """

    medium: ClassVar[Medium] = Medium.FRAMES
    family: ClassVar[str] = "blip"
    packages: ClassVar[Mapping[str, str]] = {
        "torch": "torch",
        "torchvision": "torchvision",
        "transformers": "transformers",
    }
    published: ClassVar[Mapping[str, Published]] = {
        "Salesforce/blip-image-captioning-base": Published(
            224.0e6, None, "BSD-3-Clause", download=0.99e9
        ),
        "Salesforce/blip-image-captioning-large": Published(
            446.3e6, None, "BSD-3-Clause", download=1.88e9
        ),
    }
    """Without the copy of the word table that the files hold beside it (247 M, 470 M)."""
    working_bytes: ClassVar[float] = 1e9

    checkpoint: str = by_name("Salesforce/blip-image-captioning-base")
    rate: float = 1.0
    keyframes: int = 5
    beams: int = 3
    tokens: int = 30

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.rate <= 60:
            raise ValueError(f"rate must be above 0 and at most 60 frames a second: {self.rate}")
        if not 1 <= self.keyframes <= 5:
            raise ValueError(f"keyframes must be 1..5 a scene, got {self.keyframes}")
        if not 1 <= self.beams <= 16:
            raise ValueError(f"beams must be 1..16, got {self.beams}")
        if not 1 <= self.tokens <= MOST_TOKENS:
            raise ValueError(f"tokens must be 1..{MOST_TOKENS} a caption, got {self.tokens}")

    @property
    def sampling(self) -> FrameSampling:
        return FrameSampling(self.rate, size=self._size())

    @property
    def space(self) -> None:
        return None

    def _size(self) -> tuple[int, int]:
        """Width and height of the pictures it was trained with; the aspect is not kept."""
        source = self.source()
        config = source.read_json()
        if config.get("model_type") != "blip":
            raise ConfigError(
                f"{source} is a {config.get('model_type')!r}; give a BLIP captioning checkpoint"
            )
        side = int(config["vision_config"].get("image_size", DEFAULT_SIDE))
        return side, side

    def _load(self, placement: Placement) -> _Loaded:
        import transformers

        source = self.source()
        model = load_model(transformers.BlipForConditionalGeneration, source, placement)
        processor = load_processor(transformers.BlipProcessor, source)
        return _Loaded(model, processor, Batches(placement.device, self.batch, cpu=4, most=128))

    def encode(self, data: Sequence[FrameClip]) -> list[list[TimedText]]:
        """One text a scene; none where BLIP has nothing to say."""
        chosen = [keyframes(clip.frames, self.keyframes) for clip in data]
        told = self._captions([frame for frames in chosen for frame in frames])
        texts: list[list[TimedText]] = []
        at = 0
        for clip, frames in zip(data, chosen, strict=True):
            text = combine(told[at : at + len(frames)])
            at += len(frames)
            texts.append(
                [TimedText(clip.span, text, "caption", "BLIP (generated caption)")] if text else []
            )
        return texts

    def describe(self) -> str:
        width, height = self._size()
        search = f"beam search of {self.beams}" if self.beams > 1 else "greedy search"
        return (
            f"frames at {self.rate:g} a second, {width} x {height}; of a scene at most "
            f"{self.keyframes} spread over its time and different from each other, one where it is "
            f"still; each captioned by {search}, at most {self.tokens} tokens, no three of them "
            "twice, no prompt; captions that repeat another left out, the rest joined as sentences"
        )

    def _captions(self, frames: Sequence[Frame]) -> list[str]:
        batches = self.loaded.batches.map(frames, self._run)
        return [caption for batch in batches for caption in batch]

    def _run(self, frames: Sequence[Frame]) -> list[str]:
        import torch

        model, processor = self.loaded.model, self.loaded.processor
        inputs = processor(images=[frame.image for frame in frames], return_tensors="pt")
        with torch.inference_mode():
            tokens = model.generate(
                inputs["pixel_values"].to(model.device, model.dtype),
                do_sample=False,
                num_beams=self.beams,
                max_new_tokens=self.tokens,
                no_repeat_ngram_size=3,
            )
        captions: list[str] = processor.batch_decode(tokens, skip_special_tokens=True)
        return captions
