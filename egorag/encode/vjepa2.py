"""V-JEPA 2: what happens in a scene, by a video model trained to predict what it does not see.

Assran et al., "V-JEPA 2: Self-Supervised Video Models Enable Understanding, Prediction and
Planning" (2025, arXiv:2506.09985); checkpoints ``facebook/vjepa2-*``. A scene's vector is the mean
of its patch tokens. The model has read no text: clips find scenes, words do not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from egorag.encode.base import FrameClip, Vectors
from egorag.encode.pretrained.base import Published, by_name, unit
from egorag.encode.pretrained.queries import query_frames
from egorag.encode.vjepa2_clips import SHORTEST, TUBELET, Images, VJEPA2Clips, clip_frames
from egorag.errors import SpaceError
from egorag.spaces import EmbeddingSpace
from egorag.spans import MICROSECONDS, Span
from egorag.types import Query

__all__ = ["SHORTEST", "TUBELET", "VJEPA2", "Images", "TokenMap", "clip_frames"]

TokenMap = npt.NDArray[np.float16]


@dataclass(frozen=True, kw_only=True)
class VJEPA2(VJEPA2Clips):
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
        keep_tokens: index every patch token, too (see ``encode_with_tokens``): gigabytes an hour.
            Rows stay the same, and where they are there already only the maps are made.
    """

    queried_by: ClassVar[Sequence[str]] = ("video",)
    published: ClassVar[Mapping[str, Published]] = {
        "facebook/vjepa2-vitl-fpc64-256": Published(326e6, 1024, "MIT", download=1.30e9),
        "facebook/vjepa2-vith-fpc64-256": Published(654e6, 1280, "MIT", download=2.61e9),
        "facebook/vjepa2-vitg-fpc64-256": Published(1034e6, 1408, "Apache-2.0", download=4.14e9),
        "facebook/vjepa2-vitg-fpc64-384": Published(1034e6, 1408, "Apache-2.0", download=4.14e9),
    }

    checkpoint: str = by_name("facebook/vjepa2-vitl-fpc64-256")
    keep_tokens: bool = field(default=False, metadata={"affects_output": False})

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.keep_tokens, bool):
            raise ValueError(f"keep_tokens must be true or false, got {self.keep_tokens!r}")

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

    def encode(self, data: Sequence[FrameClip]) -> Vectors:
        """float32 [scenes, dim], unit rows."""
        clips = [list(self._clips(clip)) for clip in data]
        means = iter(self._run([images for scene in clips for images in scene], self._made))
        rows = np.empty((len(data), self.space.dim), np.float32)
        for row, scene in zip(rows, clips, strict=True):
            row[:] = sum(next(means) * len(images) for images in scene)
        return unit(rows)

    def encode_with_tokens(self, clip: FrameClip) -> tuple[Vectors, TokenMap]:
        """A scene's row as ``encode`` gives it, and its ``tokens``, by one run of the model."""
        clips = list(self._clips(clip))
        row = np.zeros(self.space.dim, np.float32)
        steps = sum(map(len, clips)) // TUBELET
        tokens = np.empty((steps, *self._grid()), np.float16)
        together = self.loaded.batches.size or 1  # a GPU need not hold the whole scene's map
        at = 0
        for start in range(0, len(clips), together):
            group = clips[start : start + together]
            for images, (mean, part) in zip(group, self._run(group, self._both), strict=True):
                row += mean * len(images)
                tokens[at : at + len(part)] = part
                at += len(part)
        return unit(row[None])[0], tokens

    def tokens(self, clip: FrameClip) -> TokenMap:
        """Every patch token of one scene: float16 [steps, crop / patch, crop / patch, dim].

        A step is two frames; the clips of a long scene follow each other, and a short scene has
        the steps of the frames it was lengthened to. Not normalised.
        """
        return self.encode_with_tokens(clip)[1]

    def token_bytes(self, spans: Sequence[Span]) -> int:
        """Bytes of the maps of scenes over ``spans``, before they are packed."""
        counts = [
            _frames_before(s.end, self.rate) - _frames_before(s.start, self.rate) for s in spans
        ]
        steps = sum(len(c) for n in counts if n for c in clip_frames(n, self.frames)) // TUBELET
        return steps * math.prod(self._grid()) * np.dtype(np.float16).itemsize

    def patch_tokens(self, images: Images) -> Any:
        """The tokens of one clip of an even number of pictures, as the model gives them: a tensor
        [tokens, dim] in its number format, on its device, step by step and row by row."""
        import torch

        with torch.inference_mode():
            return self._tokens([images])[0]

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

    def _made(self, clips: Sequence[Images]) -> Any:
        """float32 [clips, dim]: the mean over patch tokens."""
        import torch

        return self._tokens(clips).mean(1, dtype=torch.float32)

    def _both(self, clips: Sequence[Images]) -> Any:
        """What ``_made`` gives, and float16 [clips, steps, side, side, dim]."""
        import torch

        tokens = self._tokens(clips)
        maps = tokens.unflatten(1, (-1, *self._grid()[:2])).to(torch.float16)
        return tokens.mean(1, dtype=torch.float32), maps

    def _grid(self) -> tuple[int, int, int]:
        """Of one step: rows and columns of patches, and width of a token."""
        config = self.source().read_json()
        side = self.crop // int(config.get("patch_size", 16))
        return side, side, int(config["hidden_size"])

    def _tokens(self, clips: Sequence[Images]) -> Any:
        """[clips, tokens, dim] in the model's dtype, of clips of equal length."""
        pixels, held = self._pixels(clips), self.loaded.held
        with held.lock:
            return held.model(pixels, skip_predictor=True).last_hidden_state


def _frames_before(time: int, rate: float) -> int:
    """Sampled frames of a video before ``time`` (microseconds)."""
    return math.ceil(time * rate / MICROSECONDS)
