"""What encoders by V-JEPA 2 share: a scene's frames as clips, prepared and run through the model.

Assran et al., "V-JEPA 2: Self-Supervised Video Models Enable Understanding, Prediction and
Planning" (2025, arXiv:2506.09985).
"""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from egorag.encode.base import FrameClip, Medium
from egorag.encode.pretrained.base import Pretrained
from egorag.encode.pretrained.batches import Batches
from egorag.encode.pretrained.loading import load_model, load_processor
from egorag.encode.pretrained.placement import Placement
from egorag.encode.pretrained.shared import Held, acquire, release
from egorag.errors import ConfigError
from egorag.media.sampling import FrameSampling

TUBELET = 2
"""Frames that make one step of tokens; the model drops an odd last frame, this encoder does not."""

SHORTEST = 16
"""Frames of the shortest clips the model was trained on; a still is shown to it this often."""

ENOUGH = 32_768
"""Tokens that fill a GPU: in larger batches it would only wait while the CPU prepares them."""

Images = Sequence[npt.NDArray[np.uint8]]


@dataclass(frozen=True, eq=False)
class Loaded:
    held: Held
    processor: Any
    batches: Batches
    device: str


@dataclass(frozen=True, kw_only=True)
class VJEPA2Clips(Pretrained):
    """Frames of a scene as clips, prepared by the checkpoint's own video processor on the device.

    Attributes:
        frames: most frames of one clip, even. Time and memory of attention grow with its square.
        rate: frames a second; 4 is what the model was trained at.
    """

    shares: ClassVar[bool] = True
    medium: ClassVar[Medium] = Medium.FRAMES
    family: ClassVar[str] = "vjepa2"
    architecture: ClassVar[str] = "VJEPA2Model"
    """Of transformers: the class of the whole checkpoint."""
    working_bytes: ClassVar[float] = 2e9
    batch_size: ClassVar[int] = 4
    """A scene may hold hundreds of frames, and its clips fill a GPU."""

    frames: int = 64
    rate: float = 4.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.frames < TUBELET or self.frames % TUBELET:
            raise ValueError(
                f"frames must be an even number of at least {TUBELET} (two frames make a step of "
                f"tokens), got {self.frames}"
            )
        if not 0 < self.rate <= 60:
            raise ValueError(f"rate must be above 0 and at most 60 frames a second: {self.rate}")

    @property
    def sampling(self) -> FrameSampling:
        """Frames as the video processor scales them before its centre crop.

        Raises:
            ConfigError: no checkpoint here, or its processor and model disagree on the crop.
        """
        # VJEPA2VideoProcessor sets the short side from the crop, whatever its file says.
        return FrameSampling(self.rate, shortest=int(self.crop * 256 / 224))

    @property
    def crop(self) -> int:
        """Pixels of the square the model sees.

        Raises:
            ConfigError: the processor crops to another size than the model's position encoding
                counts on: it would run, with every patch in the wrong place.
        """
        source = self.source()
        wanted = int(source.read_json()["crop_size"])
        given = _processor_settings(source).get("crop_size", 256)
        sides = (given["height"], given["width"]) if isinstance(given, dict) else (given, given)
        if sides != (wanted, wanted):
            raise ConfigError(
                f"{source}: the video processor crops to {sides[0]} x {sides[1]} pixels, but the "
                f"model's positions are for {wanted} x {wanted}; take both from one checkpoint"
            )
        return wanted

    def _load(self, placement: Placement) -> Loaded:
        import transformers

        source = self.source()
        config = source.read_json()
        if config.get("tubelet_size", TUBELET) != TUBELET:
            raise ConfigError(f"{source} has a tubelet of {config['tubelet_size']} frames, not 2")
        processor = load_processor(transformers.VJEPA2VideoProcessor, source)
        if processor.size["shortest_edge"] != self.sampling.shortest:
            raise ConfigError(
                f"{source}: the video processor scales the short side to "
                f"{processor.size['shortest_edge']} pixels, expected {self.sampling.shortest}"
            )
        model = getattr(transformers, self.architecture)
        key = (self.architecture, self.share_key(), placement)
        held = acquire(key, lambda: load_model(model, source, placement))
        tokens = self.frames // TUBELET * (self.crop // held.model.config.patch_size) ** 2
        batches = Batches(placement.device, self.batch, cpu=1, most=max(1, ENOUGH // tokens))
        return Loaded(held, processor, batches, placement.device)

    def setup(self, device: str = "cpu") -> None:
        """Load the weights; on a GPU, find the batch by a clip of full length, the largest."""
        if self._loaded is not None:
            return
        super().setup(device)
        if self.loaded.batches.size is None:
            side = self.sampling.shortest or 0
            blank = np.zeros((side, side * 16 // 9, 3), np.uint8)
            try:
                self._run([[blank] * self.frames], self._made)
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Give memory back."""
        if self._loaded is not None:
            release(self.loaded.held)
        super().close()

    # -- one clip --

    def _clips(self, clip: FrameClip) -> Iterator[Images]:
        """The scene's clips, each an even number of pictures."""
        for chosen in clip_frames(len(clip.frames), self.frames):
            yield [clip.frames[i].image for i in chosen]

    def _run(self, clips: Sequence[Images], pooled: Any) -> list[Any]:
        """``pooled`` of the model's tokens, one array a clip, in order; a tuple of arrays where
        it gives a tuple of tensors.

        Clips of one length run together: nothing is padded.
        """
        import torch

        by_length: dict[int, list[int]] = defaultdict(list)
        for i, images in enumerate(clips):
            by_length[len(images)].append(i)
        found: list[Any] = [None] * len(clips)
        with torch.inference_mode():
            results = [
                (indices, self.loaded.batches.map([clips[i] for i in indices], pooled))
                for indices in by_length.values()
            ]
            # Fetched at the end: a GPU works on one batch while the next is prepared.
            for indices, parts in results:
                rows = (row for part in parts for row in _rows(part))
                for i, row in zip(indices, rows, strict=True):
                    found[i] = row
        return found

    @abstractmethod
    def _made(self, clips: Sequence[Images]) -> Any:
        """What this encoder makes of clips of equal length: a tensor [clips, ...]."""

    def _pixels(self, clips: Sequence[Images]) -> Any:
        """[clips, frames, 3, crop, crop] in the model's dtype, of clips of equal length."""
        import torch

        loaded = self.loaded
        # A stream may change its size within a clip: each stretch is prepared by itself.
        stretches = [[list(run) for _, run in groupby(images, np.shape)] for images in clips]
        prepared = iter(
            loaded.processor(
                [_on(loaded.device, run) for runs in stretches for run in runs],
                input_data_format="channels_first",
                do_sample_frames=False,
            )["pixel_values_videos"]
        )
        pixels = torch.stack([torch.cat([next(prepared) for _ in runs]) for runs in stretches])
        return pixels.to(loaded.held.model.dtype)


def clip_frames(count: int, frames: int) -> list[list[int]]:
    """Which of a scene's ``count`` frames make up its clips of at most ``frames``, in order.

    >>> clip_frames(5, 4)
    [[0, 1], [2, 3, 4, 4]]
    >>> [len(clip) for clip in clip_frames(70, 64)]
    [34, 36]
    >>> clip_frames(3, 16)
    [[0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2]]
    """
    least = min(SHORTEST, frames)
    if count < least:
        return [[i * count // least for i in range(least)]]
    steps = -(-count // TUBELET)
    clips = -(-steps * TUBELET // frames)
    bounds = [TUBELET * (steps * k // clips) for k in range(clips + 1)]
    return [[min(i, count - 1) for i in range(start, end)] for start, end in pairwise(bounds)]


def _on(device: str, images: Images) -> Any:
    """uint8 [frames, 3, height, width] on the device: a quarter of what float32 would move."""
    import torch

    shape = (len(images), *images[0].shape)
    # Pinned, so that the copy does not wait for what the GPU is still at.
    stacked = torch.empty(shape, dtype=torch.uint8, pin_memory=device.startswith("cuda"))
    np.stack(images, out=stacked.numpy())
    return stacked.to(device, non_blocking=True).permute(0, 3, 1, 2)


def _rows(part: Any) -> Iterable[Any]:
    """One array a clip of what ``pooled`` gave of several clips, or one tuple of arrays."""
    if isinstance(part, tuple):
        return zip(*(each.cpu().numpy() for each in part), strict=True)
    rows: npt.NDArray[Any] = part.cpu().numpy()
    return rows


def _processor_settings(source: Any) -> dict[str, Any]:
    """The video processor's settings, from whichever file transformers would read."""
    if "processor_config.json" in source.files:
        nested = source.read_json("processor_config.json").get("video_processor")
        if nested is not None:
            return dict(nested)
    for name in ("video_preprocessor_config.json", "preprocessor_config.json"):
        if name in source.files:
            return dict(source.read_json(name))
    return dict(source.read_json("video_preprocessor_config.json"))
