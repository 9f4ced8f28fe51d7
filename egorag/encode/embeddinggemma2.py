"""EmbeddingGemma 2: pictures, video, sound and text of a scene in one space.

google/embeddinggemma-2, the model card and transformers' page on it: a bidirectional Gemma 4
encoder of 740M parameters; the mean over all tokens, a prompt for the task included. Its first
512, 256 or 128 components alone are an embedding too (Matryoshka).

An encoder reads one medium, so there are three classes. They share one loaded model and one space:
vectors of frames, of sound and of text may be compared, and any query reaches all three.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from egorag.encode.base import Document, FrameClip, Medium, SoundClip, Vectors
from egorag.encode.pretrained.base import Pretrained, Published, by_name, unit
from egorag.encode.pretrained.batches import Batches
from egorag.encode.pretrained.loading import load_model, load_processor
from egorag.encode.pretrained.placement import Placement
from egorag.encode.pretrained.plaintext import plain
from egorag.encode.pretrained.queries import query_frames, query_sound
from egorag.encode.pretrained.shared import Held, acquire, release
from egorag.errors import ConfigError, SpaceError
from egorag.media.sampling import Frame, FrameSampling, SoundSampling
from egorag.media.stills import read_picture
from egorag.spaces import EmbeddingSpace
from egorag.types import Query

LONGEST_TEXT = 8192  # tokens; the model's context
LONGEST_SOUND = 30.0  # seconds; the feature extractor silently drops what is beyond
LEAST_SOUND = 0.04  # seconds; less makes no token
WIDEST = 2.0  # a frame twice as wide as high still gets all its tokens

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Item:
    """One input: the prompt, and what follows it."""

    prompt: str
    text: str | None = None
    image: npt.NDArray[np.uint8] | None = None
    frames: Sequence[Frame] | None = None
    sound: Samples | None = None


@dataclass(frozen=True)
class _Loaded:
    held: Held
    batches: Batches


@dataclass(frozen=True, kw_only=True)
class _EmbeddingGemma2(Pretrained):
    """What the three have in common: settings, model, space and queries.

    Rows differ by less than 2e-5 a component between batch sizes in float32. float16 is refused:
    the model's activations do not fit into it.

    Attributes:
        rate: frames a second; the card's 1.
        frames: at most so many, evenly spread; the card's 32.
        window: seconds of sound at once, 30 at most. Longer sound is cut into as few equal windows
            as will do, and their vectors are averaged.
        document_prompt: said before what is indexed; the card's. Empty says nothing.
        query_prompt: said before a query; the card's. Empty says nothing.
        dim: keep the first so many components (512, 256 and 128 are trained); None keeps all.
    """

    shares: ClassVar[bool] = True
    family: ClassVar[str] = "embeddinggemma-2"
    queried_by: ClassVar[Sequence[str]] = ("text", "image", "video", "sound")
    packages: ClassVar[Mapping[str, str]] = {  # its processor wants them for text alone, too
        "torch": "torch",
        "torchvision": "torchvision",
        "transformers": "transformers",
        "PIL": "pillow",
    }
    published: ClassVar[Mapping[str, Published]] = {
        "google/embeddinggemma-2": Published(744_371_488, 768, "Apache-2.0", download=1.5e9)
    }
    working_bytes: ClassVar[float] = 2e9
    dtypes: ClassVar[tuple[str, ...]] = ("auto", "float32", "bfloat16")

    checkpoint: str = by_name("google/embeddinggemma-2")
    rate: float = 1.0
    frames: int = 32
    window: float = LONGEST_SOUND
    document_prompt: str = "title: none | text: "
    query_prompt: str = "task: search result | query: "
    dim: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.rate <= 60:
            raise ValueError(f"rate must be above 0 and at most 60 frames a second: {self.rate}")
        if self.frames < 1:
            raise ValueError(f"frames must be 1 or more, got {self.frames}")
        if not 1 <= self.window <= LONGEST_SOUND:
            raise ValueError(f"window must be 1..{LONGEST_SOUND:g} seconds, got {self.window}")
        if self.dim is not None and self.dim < 1:
            raise ValueError(f"dim must be 1 or more components, got {self.dim}")

    @property
    def space(self) -> EmbeddingSpace:
        """Equal for the three classes; queried by whatever the checkpoint has a tower for."""
        return self.space_of(self._dim(), *self._queries())

    def _dim(self) -> int:
        width = int(self.source().read_json()["text_config"].get("embedding_dim", 768))
        if self.dim is not None and self.dim > width:
            raise ConfigError(
                f"dim={self.dim}, but {self.checkpoint} has {width} components; give fewer"
            )
        return self.dim or width

    def _queries(self) -> tuple[str, ...]:
        config = self.source().read_json()
        seen = ("image", "video") if config.get("vision_config") else ()
        return ("text", *seen, *(("sound",) if config.get("audio_config") else ()))

    # -- running --

    def _load(self, placement: Placement) -> _Loaded:
        needed = {Medium.FRAMES: "video", Medium.SOUND: "sound", Medium.TEXT: "text"}[self.medium]
        if needed not in self._queries():
            raise ConfigError(
                f"{self.checkpoint} has no tower for {needed}; give the whole model, such as "
                "google/embeddinggemma-2"
            )
        held = acquire((self.share_key(), placement), lambda: self._models(placement))
        return _Loaded(held, Batches(placement.device, self.batch, cpu=2, most=16))

    def _models(self, placement: Placement) -> tuple[Any, Any]:
        import transformers

        checkpoint = self.source()
        model = load_model(transformers.EmbeddingGemma2Model, checkpoint, placement)
        processor = load_processor(transformers.EmbeddingGemma2Processor, checkpoint)
        if not getattr(processor, "chat_template", None):
            raise ConfigError(f"{checkpoint} has no chat template, which places the prompt")
        # Positions are counted from the left, padding included.
        processor.tokenizer.padding_side = "right"
        return model, processor

    def close(self) -> None:
        """Give the model back; the last of its users frees it."""
        if self._loaded is not None:
            release(self._loaded.held)
            object.__setattr__(self, "_loaded", None)

    def embed_query(self, query: Query, medium: str) -> Vectors:
        """float32 [dim], unit length: text, picture, sound or clip under the query's prompt.

        Raises:
            SpaceError: another medium, or the query has none of it.
            MediaError: the file cannot be read.
        """
        self.space.check_query(medium)
        said = self.query_prompt
        if medium == "text" and query.text is not None:
            items = [_Item(said, text=query.text)]
        elif medium == "image" and query.image is not None:
            items = [_Item(said, image=read_picture(query.image))]
        elif medium == "video" and query.video is not None:
            clip = query_frames(query.video, self._frame_sampling())
            items = [_Item(said, frames=clip.frames)]
        elif medium == "sound" and query.sound is not None:
            heard = query_sound(query.sound, self._sound_sampling())
            items = [_Item(said, sound=s) for s in self._windows(heard)]
        else:
            raise SpaceError(f"the query was to enter by {medium!r}, but has no {medium}")
        row: Vectors = unit(self._embed(items).mean(axis=0, keepdims=True))[0]
        return row

    def _embed(self, items: Sequence[_Item]) -> Vectors:
        """float32 [items, dim], unit rows. All of one medium."""
        dim = self._dim()
        if not items:
            return np.empty((0, dim), np.float32)
        held: Held = self.loaded.held
        with held.lock:
            rows = self.loaded.batches.map(items, self._run)
        return unit(np.concatenate(rows)[:, :dim])

    def _run(self, items: Sequence[_Item]) -> Vectors:
        import torch

        model, _ = self.loaded.held.model
        inputs = self._inputs(items).to(model.device)
        with torch.inference_mode():
            states = model(**inputs).last_hidden_state.float()
        mask = inputs["attention_mask"].unsqueeze(-1)
        means: Vectors = ((states * mask).sum(1) / mask.sum(1)).cpu().numpy()
        return means

    def _inputs(self, items: Sequence[_Item]) -> Any:
        """What the model takes, right-padded."""
        from PIL import Image

        _, processor = self.loaded.held.model
        tokenizer = processor.tokenizer
        if items[0].text is not None:
            return tokenizer(
                [plain(item.prompt + (item.text or ""), tokenizer) for item in items],
                truncation=True,
                max_length=LONGEST_TEXT,
                padding=True,
                return_tensors="pt",
            )
        media: dict[str, Any] = {}
        if items[0].frames is not None:
            kind = "video"
            media["videos"] = [_film(_spread(i.frames or (), self.frames)) for i in items]
            media["do_sample_frames"] = False  # sampled already
        elif items[0].image is not None:
            kind = "image"
            media["images"] = [[Image.fromarray(item.image)] for item in items]
        else:
            kind = "audio"
            media["audio"] = [item.sound for item in items]
        texts = [self._prompt(plain(item.prompt, tokenizer), kind) for item in items]
        return processor(text=texts, **media, padding=True, return_tensors="pt")

    def _prompt(self, said: str, kind: str) -> str:
        _, processor = self.loaded.held.model
        system = [{"role": "system", "content": said}] if said else []
        text: str = processor.apply_chat_template(
            [*system, {"role": "user", "content": [{"type": kind}]}], tokenize=False
        )
        return text

    # -- what is read --

    def _processing(self, part: str, **defaults: int) -> list[int]:
        """Settings of a part of the checkpoint's processor."""
        told = self.source().read_json("processor_config.json").get(part, {})
        return [int(told.get(name, default)) for name, default in defaults.items()]

    def _frame_sampling(self) -> FrameSampling:
        """Frames of as many pixels as their tokens see."""
        tokens, patch, pooled = self._processing(
            "video_processor", max_soft_tokens=70, patch_size=16, pooling_kernel_size=3
        )
        pixels = tokens * (patch * pooled) ** 2
        return FrameSampling(self.rate, longest=round((pixels * WIDEST) ** 0.5))

    def _sound_sampling(self) -> SoundSampling:
        return SoundSampling(*self._processing("feature_extractor", sampling_rate=16_000))

    def _windows(self, clip: SoundClip) -> list[Samples]:
        """The sound in as few equal parts of at most ``window`` seconds as will do."""
        least = round(LEAST_SOUND * clip.rate)
        samples = np.pad(clip.samples, (0, max(0, least - len(clip.samples))))
        parts = -(-len(samples) // round(self.window * clip.rate))
        return np.array_split(samples.astype(np.float32), parts)

    def _told(self, what: str) -> str:
        return (
            f"{what}; prompt {self.document_prompt!r}, of a query {self.query_prompt!r}; mean over "
            f"all tokens, its first {self._dim()} components at unit length"
        )


@dataclass(frozen=True, kw_only=True)
class EmbeddingGemma2(_EmbeddingGemma2):
    """One vector a scene from its frames, as a video without sound. Settings: see above."""

    medium: ClassVar[Medium] = Medium.FRAMES

    @property
    def sampling(self) -> FrameSampling:
        return self._frame_sampling()

    def encode(self, data: Sequence[FrameClip]) -> Vectors:
        """float32 [clips, dim], unit rows."""
        return self._embed([_Item(self.document_prompt, frames=clip.frames) for clip in data])

    def describe(self) -> str:
        (tokens,) = self._processing("video_processor", max_soft_tokens=70)
        return self._told(
            f"frames at {self.rate:g} a second, evenly thinned to {self.frames} in longer scenes, "
            f"at most {tokens} tokens a frame, without their times"
        )


@dataclass(frozen=True, kw_only=True)
class EmbeddingGemma2Sound(_EmbeddingGemma2):
    """One vector a scene from its sound. Settings: see above."""

    medium: ClassVar[Medium] = Medium.SOUND

    @property
    def sampling(self) -> SoundSampling:
        return self._sound_sampling()

    def encode(self, data: Sequence[SoundClip]) -> Vectors:
        """float32 [clips, dim], unit rows."""
        windows = [self._windows(clip) for clip in data]
        rows = self._embed([_Item(self.document_prompt, sound=w) for ws in windows for w in ws])
        if not windows:
            return rows
        ends = np.cumsum([len(ws) for ws in windows])
        parts = np.split(rows, ends[:-1])
        return unit(np.stack([part.mean(axis=0) for part in parts]))

    def describe(self) -> str:
        return self._told(
            f"sound at {self._sound_sampling().rate} Hz, in equal windows of at most "
            f"{self.window:g} s whose vectors are averaged; under {LEAST_SOUND:g} s filled with "
            "silence"
        )


@dataclass(frozen=True, kw_only=True)
class EmbeddingGemma2Text(_EmbeddingGemma2):
    """One vector a scene from its text. Settings: see above."""

    medium: ClassVar[Medium] = Medium.TEXT

    @property
    def sampling(self) -> None:
        return None

    def encode(self, data: Sequence[Document]) -> Vectors:
        """float32 [documents, dim], unit rows."""
        return self._embed([_Item(self.document_prompt, text=clip.text) for clip in data])

    def describe(self) -> str:
        return self._told(f"the scene's text, its first {LONGEST_TEXT} tokens")


def _film(frames: Sequence[Frame]) -> Any:
    """A tensor, uint8 [T, 3, H, W]; a frame of another size gets that of the first."""
    import cv2
    import torch

    height, width = frames[0].image.shape[:2]
    images = [
        frame.image
        if frame.image.shape[:2] == (height, width)
        else cv2.resize(frame.image, (width, height), interpolation=cv2.INTER_AREA)
        for frame in frames
    ]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)


def _spread(frames: Sequence[Frame], most: int) -> Sequence[Frame]:
    if len(frames) <= most:
        return frames
    return [frames[i] for i in np.linspace(0, len(frames) - 1, most, dtype=int)]
