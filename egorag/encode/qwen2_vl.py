"""Pooled visual tokens of Qwen2-VL: what its language model is shown of a scene.

The vision tower alone is run and its merged tokens averaged. There is no CLS token (the first is
a corner of the picture). The tokens were never trained to lie near any text, so no text enters
this space. Pictures and clips do: the tower looks at two frames at a time and never further
(``cu_seqlens`` of one pair each), and a still picture is to it two equal frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from egorag.encode.base import FrameClip, Vectors
from egorag.encode.pretrained.base import Published, by_name, unit
from egorag.encode.pretrained.batches import Batches
from egorag.encode.pretrained.placement import Placement
from egorag.encode.pretrained.queries import query_frames
from egorag.encode.pretrained.shared import Held
from egorag.encode.qwen2_vl_model import PUBLISHED, Qwen2VLFrames, config_of, hold, processor_of
from egorag.errors import SpaceError
from egorag.media.sampling import Frame
from egorag.media.stills import read_picture
from egorag.spaces import EmbeddingSpace
from egorag.spans import Span
from egorag.types import Query

TOWER = {"Qwen/Qwen2-VL-2B-Instruct": 0.665e9, "Qwen/Qwen2-VL-7B-Instruct": 0.676e9}
"""Parameters of the vision tower with its merger."""


@dataclass(frozen=True, eq=False)
class _Loaded:
    held: Held  # of Qwen2VLWeights
    processor: Any  # transformers.Qwen2VLVideoProcessor
    placement: Placement
    batches: Batches


@dataclass(frozen=True, kw_only=True)
class Qwen2VL(Qwen2VLFrames):
    """The mean of a scene's merged visual tokens, scaled to unit length.

    Frames go through the tower in pairs, so pairs are what a batch counts: memory does not grow
    with a scene, and a scene's row is the same whatever it was batched with (within 1e-5 in
    float32, 2e-2 in bfloat16). Without the captioner the language model is never loaded.
    """

    queried_by: ClassVar[Sequence[str]] = ("image", "video")
    published: ClassVar[Mapping[str, Published]] = PUBLISHED
    working_bytes: ClassVar[float] = 1.5e9

    checkpoint: str = by_name("Qwen/Qwen2-VL-2B-Instruct")

    @property
    def space(self) -> EmbeddingSpace:
        """Unit length; pictures and video clips enter it, text does not."""
        return self.space_of(self._dim(), *self.queried_by)

    def _dim(self) -> int:
        return int(config_of(self.source())["vision_config"]["hidden_size"])

    def weights_memory(self) -> float:
        """Bytes of the vision tower; with the captioner, count the captioner's."""
        whole = super().weights_memory()
        known = self.published.get(self.checkpoint)
        return whole * TOWER[self.checkpoint] / known.parameters if known else whole

    def describe(self) -> str:
        return (
            f"{self.frames_told()}; the mean of the vision tower's merged tokens over all of them, "
            "not aligned with text"
        )

    def _load(self, placement: Placement) -> _Loaded:
        from transformers import Qwen2VLVideoProcessor

        source = self.source()
        config_of(source)
        processor = processor_of(source, Qwen2VLVideoProcessor)
        held = hold(source, placement, whole=False)
        return _Loaded(held, processor, placement, Batches(placement.device, self.batch))

    def encode(self, data: Sequence[FrameClip]) -> Vectors:
        """float32 [clips, dim], unit rows.

        Raises:
            MediaError: frames of a shape the model does not take.
        """
        import torch

        if not data:
            return np.empty((0, self._dim()), np.float32)
        scenes = [self.video(clip).split(2) for clip in data]
        pairs = [pair for scene in scenes for pair in scene]
        with self.loaded.held.lock, torch.inference_mode():
            means = torch.cat(self.loaded.batches.map(pairs, self._means))
        counts = [len(scene) for scene in scenes]
        # All pairs of a scene have equally many tokens: the mean of means is the mean.
        return unit(torch.stack([part.mean(0) for part in means.split(counts)]))

    def embed_query(self, query: Query, medium: str) -> Vectors:
        """float32 [dim], unit length. A picture is a scene of one frame; of a clip, its first
        minute counts.

        Raises:
            SpaceError: the medium is neither image nor video, or the query has none.
            MediaError: the file cannot be read.
        """
        if medium == "image" and query.image is not None:
            still = Frame(0, 0, 0, read_picture(query.image))
            return self._row(FrameClip(Span(0, 1), (still,)))
        if medium == "video" and query.video is not None:
            return self._row(query_frames(query.video, self.sampling))
        raise SpaceError(
            f"Qwen2VL embeds pictures and video clips, but the query was to enter by {medium!r}; "
            "for text queries choose an encoder trained with text, such as siglip2 or xclip"
        )

    def _row(self, clip: FrameClip) -> Vectors:
        row: Vectors = self.encode([clip])[0]
        return row

    def _means(self, pairs: Sequence[Any]) -> Any:
        """float32 tensor [pairs, dim]: the mean token of each uint8 [2, 3, H, W]."""
        import torch

        loaded, tower = self.loaded, self.loaded.held.model.tower
        place = loaded.placement
        inputs = loaded.processor(
            videos=list(pairs), return_tensors="pt", **self.sizing(place.device)
        )
        grid = inputs["video_grid_thw"].to(place.device)
        pixels = inputs["pixel_values_videos"].to(place.device, place.torch_dtype)
        tokens = tower(pixels, grid_thw=grid).pooler_output
        counts = (grid.prod(-1) // tower.spatial_merge_size**2).tolist()
        return torch.stack([part.float().mean(0) for part in tokens.split(counts)]).cpu()
