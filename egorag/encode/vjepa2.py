"""V-JEPA 2: what happens in a scene, by a video model trained to predict what it does not see.

Assran et al., "V-JEPA 2: Self-Supervised Video Models Enable Understanding, Prediction and
Planning" (2025, arXiv:2506.09985); checkpoints ``facebook/vjepa2-*``. A scene's vector is the mean
of its patch tokens. The model has read no text: clips find scenes, words do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from egorag.encode.base import FrameClip, Vectors
from egorag.encode.pretrained.base import Published, by_name, unit
from egorag.encode.pretrained.queries import query_frames
from egorag.encode.vjepa2_clips import SHORTEST, TUBELET, Images, VJEPA2Clips, clip_frames
from egorag.errors import SpaceError
from egorag.spaces import EmbeddingSpace
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
    """

    queried_by: ClassVar[Sequence[str]] = ("video",)
    published: ClassVar[Mapping[str, Published]] = {
        "facebook/vjepa2-vitl-fpc64-256": Published(326e6, 1024, "mit", download=1.30e9),
        "facebook/vjepa2-vith-fpc64-256": Published(654e6, 1280, "mit", download=2.61e9),
        "facebook/vjepa2-vitg-fpc64-256": Published(1034e6, 1408, "apache-2.0", download=4.14e9),
        "facebook/vjepa2-vitg-fpc64-384": Published(1034e6, 1408, "apache-2.0", download=4.14e9),
    }

    checkpoint: str = by_name("facebook/vjepa2-vitl-fpc64-256")

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

    def tokens(self, clip: FrameClip) -> TokenMap:
        """Every patch token of one scene: float16 [steps, crop / patch, crop / patch, dim].

        A step is two frames; the clips of a long scene follow each other, and a short scene has
        the steps of the frames it was lengthened to. Not normalised.
        """
        return np.concatenate(self._run(list(self._clips(clip)), self._map))

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

    def _map(self, clips: Sequence[Images]) -> Any:
        """float16 [clips, steps, side, side, dim]."""
        import torch

        config = self.loaded.held.model.config
        side = config.crop_size // config.patch_size
        return self._tokens(clips).unflatten(1, (-1, side, side)).to(torch.float16)

    def _tokens(self, clips: Sequence[Images]) -> Any:
        """[clips, tokens, dim] in the model's dtype, of clips of equal length."""
        pixels, held = self._pixels(clips), self.loaded.held
        with held.lock:
            return held.model(pixels, skip_predictor=True).last_hidden_state
