"""V-JEPA 2: what happens in a scene, by a video model trained to predict what it does not see.

Assran et al., "V-JEPA 2: Self-Supervised Video Models Enable Understanding, Prediction and
Planning" (2025, arXiv:2506.09985); checkpoints ``facebook/vjepa2-*``. A scene's vector is the mean
of its patch tokens. The model has read no text: clips find scenes, words do not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from egorag.encode.base import FrameClip, Medium, Vectors
from egorag.encode.pretrained.base import Pretrained, Published, by_name, unit
from egorag.encode.pretrained.batches import Batches
from egorag.encode.pretrained.loading import load_model
from egorag.encode.pretrained.placement import Placement
from egorag.encode.pretrained.queries import query_frames
from egorag.encode.pretrained.shared import Held, acquire, release
from egorag.errors import ConfigError, SpaceError
from egorag.media.sampling import FrameSampling
from egorag.spaces import EmbeddingSpace
from egorag.types import Query

TUBELET = 2
"""Frames that make one step of tokens; the model drops an odd last frame, this encoder does not."""

SHORTEST = 16
"""Frames of the shortest clips the model was trained on; a still is shown to it this often."""

ENOUGH = 32_768
"""Tokens that fill a GPU: in larger batches it would only wait while the CPU prepares them."""

TokenMap = npt.NDArray[np.float16]
Images = Sequence[npt.NDArray[np.uint8]]


@dataclass(frozen=True, eq=False)
class _Loaded:
    held: Held
    processor: Any
    batches: Batches
    device: str


@dataclass(frozen=True, kw_only=True)
class VJEPA2(Pretrained):
    """The mean of V-JEPA 2's patch tokens over a scene, as a unit vector.

    A scene of more than ``frames`` frames is read as consecutive clips of nearly equal, even
    length that leave no frame out; each counts by its length, so the vector is the mean over all
    patch tokens of the scene. A scene under 16 frames (or under ``frames``) repeats its frames
    evenly until there are that many, as the model card does with a still: the model was trained
    on no shorter clip. An odd last frame is shown twice, because two frames make a step of tokens.

    Frames are prepared by the checkpoint's own video processor, on the device. Rows do not depend
    on the batch: within 1e-5 a component in float32, within a cosine of 0.999 in bfloat16.

    Attributes:
        frames: most frames of one clip, even; the model was trained on 16 and 64. Time and memory
            of attention grow with its square.
        rate: frames a second; 4 is what the model was trained at.
    """

    medium: ClassVar[Medium] = Medium.FRAMES
    family: ClassVar[str] = "vjepa2"
    queried_by: ClassVar[Sequence[str]] = ("video",)
    published: ClassVar[Mapping[str, Published]] = {
        "facebook/vjepa2-vitl-fpc64-256": Published(326e6, 1024, "mit", download=1.30e9),
        "facebook/vjepa2-vith-fpc64-256": Published(654e6, 1280, "mit", download=2.61e9),
        "facebook/vjepa2-vitg-fpc64-256": Published(1034e6, 1408, "apache-2.0", download=4.14e9),
        "facebook/vjepa2-vitg-fpc64-384": Published(1034e6, 1408, "apache-2.0", download=4.14e9),
    }
    working_bytes: ClassVar[float] = 2e9
    batch_size: ClassVar[int] = 4
    """A scene may hold hundreds of frames, and its clips fill a GPU."""

    checkpoint: str = by_name("facebook/vjepa2-vitl-fpc64-256")
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

    @property
    def space(self) -> EmbeddingSpace:
        return self.space_of(int(self.source().read_json()["hidden_size"]), *self.queried_by)

    def describe(self) -> str:
        crop, least = self.crop, min(SHORTEST, self.frames)
        return (
            f"mean of the patch tokens of clips of at most {self.frames} frames at {self.rate:g} "
            f"a second, short side {int(crop * 256 / 224)}, centre crop {crop} x {crop}; a longer "
            "scene is read as consecutive clips that leave nothing out, each counting by its "
            f"length; one under {least} frames repeats them evenly to {least}; an odd last frame "
            "is shown twice"
        )

    def _load(self, placement: Placement) -> _Loaded:
        import transformers

        source = self.source()
        config = source.read_json()
        if config.get("tubelet_size", TUBELET) != TUBELET:
            raise ConfigError(f"{source} has a tubelet of {config['tubelet_size']} frames, not 2")
        processor = transformers.VJEPA2VideoProcessor.from_pretrained(
            str(source.folder), local_files_only=True
        )
        if processor.size["shortest_edge"] != self.sampling.shortest:
            raise ConfigError(
                f"{source}: the video processor scales the short side to "
                f"{processor.size['shortest_edge']} pixels, expected {self.sampling.shortest}"
            )
        key = ("model", self.share_key(), placement)
        held = acquire(key, lambda: load_model(transformers.VJEPA2Model, source, placement))
        tokens = self.frames // TUBELET * (self.crop // held.model.config.patch_size) ** 2
        batches = Batches(placement.device, self.batch, cpu=1, most=max(1, ENOUGH // tokens))
        return _Loaded(held, processor, batches, placement.device)

    def setup(self, device: str = "cpu") -> None:
        """Load the weights; on a GPU, find the batch by a clip of full length, the largest."""
        if self._loaded is not None:
            return
        super().setup(device)
        if self.loaded.batches.size is None:
            side = self.sampling.shortest or 0
            blank = np.zeros((side, side * 16 // 9, 3), np.uint8)
            try:
                self._run([[blank] * self.frames], self._pooled)
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Give memory back."""
        if self._loaded is not None:
            release(self.loaded.held)
        super().close()

    def encode(self, data: Sequence[FrameClip]) -> Vectors:
        """float32 [scenes, dim], unit rows."""
        clips = [list(self._clips(clip)) for clip in data]
        means = iter(self._run([images for scene in clips for images in scene], self._pooled))
        rows = np.empty((len(data), self.space.dim), np.float32)
        for row, scene in zip(rows, clips, strict=True):
            row[:] = sum(next(means) * len(images) for images in scene)
        return unit(rows)

    def tokens(self, clip: FrameClip) -> TokenMap:
        """Every patch token of one scene: float16 [steps, crop / patch, crop / patch, dim].

        A step is two frames; the clips of a long scene follow each other, and a short scene has
        the steps of the frames it was lengthened to. Not normalised.
        """
        return np.concatenate(self._run(list(self._clips(clip)), self._map))

    def embed_query(self, query: Query, medium: str) -> Vectors:
        """float32 [dim], unit length, from the query's video clip, treated as a scene is.

        Raises:
            SpaceError: the medium is not video, or the query has none.
            MediaError: the file cannot be read as video.
        """
        if medium != "video" or query.video is None:
            raise SpaceError(f"V-JEPA 2 embeds video clips, but the query was to enter by {medium}")
        row: Vectors = self.encode([query_frames(query.video, self.sampling)])[0]
        return row

    # -- one clip --

    def _clips(self, clip: FrameClip) -> Iterator[Images]:
        """The scene's clips, each an even number of pictures."""
        for chosen in clip_frames(len(clip.frames), self.frames):
            yield [clip.frames[i].image for i in chosen]

    def _run(self, clips: Sequence[Images], pooled: Any) -> list[Any]:
        """``pooled`` of the model's tokens, one array a clip, in order.

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
                rows = (row for part in parts for row in part.cpu().numpy())
                for i, row in zip(indices, rows, strict=True):
                    found[i] = row
        return found

    def _pooled(self, clips: Sequence[Images]) -> Any:
        """float32 [clips, dim]: the mean over patch tokens."""
        import torch

        return self._tokens(clips).mean(1, dtype=torch.float32)

    def _map(self, clips: Sequence[Images]) -> Any:
        """float16 [clips, steps, side, side, dim]."""
        import torch

        config = self.loaded.held.model.config
        side = config.crop_size // config.patch_size
        return self._tokens(clips).unflatten(1, (-1, side, side)).to(torch.float16)

    def _tokens(self, clips: Sequence[Images]) -> Any:
        """[clips, tokens, dim] in the model's dtype, of clips of equal length."""
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
        with loaded.held.lock:
            model = loaded.held.model
            return model(pixels.to(model.dtype), skip_predictor=True).last_hidden_state


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
