"""X-CLIP: a scene's most different frames as one video (Ni et al., arXiv:2208.02816).

X-CLIP takes exactly eight frames (``num_frames`` of its config). Which eight of a scene: every
frame at the set rate goes through the checkpoint's own CLIP vision tower, the embeddings are
clustered, and the frame nearest each centre is kept, in the order of time.

In X-CLIP's tower the frames of a video exchange messages. A frame by itself is run as a video of
one, which gives exactly what a video of that frame repeated would (messages carry no time), so
that a frame's embedding does not depend on its neighbours. No second checkpoint is needed.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar

import numpy as np

from egorag.encode.base import FrameClip, Vectors
from egorag.encode.pretrained.base import Published, by_name, unit
from egorag.encode.pretrained.batches import Batches
from egorag.encode.pretrained.frame_encoder import FrameEncoder, Image
from egorag.encode.pretrained.loading import load_model, load_processor
from egorag.encode.pretrained.placement import Placement
from egorag.encode.pretrained.plaintext import plain
from egorag.errors import ConfigError
from egorag.media.sampling import FrameSampling

STILLS = 64
"""Frames through the tower at once, whatever ``batch`` is: in bfloat16 another batch rounds
otherwise, and could choose another of two frames that are equally near."""


@dataclass(frozen=True, eq=False)
class _Loaded:
    model: Any  # transformers.XCLIPModel
    stills: Any  # its vision tower, the same weights, for videos of one frame
    images: Any  # transformers.VideoMAEImageProcessor
    tokenizer: Any
    placement: Placement
    chosen: Batches
    videos: Batches


@dataclass(frozen=True, kw_only=True)
class XCLIP(FrameEncoder):
    """The frames nearest the centres of k-means (cosine, seed 0), eight a scene, as one video.

    Frames with equal pixels count as one picture, weighted by their number. A scene of fewer
    pictures than X-CLIP takes shows each of them longer, as evenly as it goes. Text is embedded
    by itself, never conditioned on a video as in X-CLIP's classifier: an index needs it so. Rows
    do not depend on ``batch`` beyond rounding: 1e-5 in float32, 2e-2 in bfloat16.
    """

    family: ClassVar[str] = "microsoft/xclip"
    packages: ClassVar[Mapping[str, str]] = {
        **FrameEncoder.packages,
        "sklearn": "scikit-learn",
    }
    published: ClassVar[Mapping[str, Published]] = {
        "microsoft/xclip-base-patch32": Published(196_585_729, 512, "MIT", download=7.9e8),
    }
    batch_size: ClassVar[int] = 4

    checkpoint: str = by_name("microsoft/xclip-base-patch32")
    rate: float = 4.0

    @property
    def sampling(self) -> FrameSampling:
        size = self.source().read_json("preprocessor_config.json", "size")["size"]
        return FrameSampling(self.rate, shortest=size if isinstance(size, int) else _edge(size))

    @property
    def frames(self) -> int:
        """How many frames the checkpoint takes."""
        return int(self._config()["vision_config"].get("num_frames", 8))

    def _dim(self) -> int:
        return int(self._config().get("projection_dim", 512))

    def _config(self) -> dict[str, Any]:
        source = self.source()
        config = source.read_json()
        if config.get("model_type") != "xclip":
            raise ConfigError(
                f"checkpoint {source.name!r} is of type {config.get('model_type')!r}, not an "
                f"X-CLIP such as {XCLIP.checkpoint}"
            )
        return config

    def describe(self) -> str:
        side = self.sampling.shortest
        return (
            f"X-CLIP ({self.checkpoint}): {self.rate:g} frames a second, scaled and cut from the "
            f"middle to {side} x {side}; of a longer scene the {self.frames} nearest the centres "
            f"of k-means in the order of time, of a shorter one all, repeated to {self.frames}; "
            f"one {self._dim()}-d embedding of them as a video"
        )

    def _load(self, placement: Placement) -> _Loaded:
        from transformers import AutoTokenizer, VideoMAEImageProcessor, XCLIPModel

        source = self.source()
        self._config()
        # Checkpoints of older versions carry the numbers 0, 1, 2, ... as a tensor.
        model = load_model(XCLIPModel, source, placement, ignore=[r"\.position_ids$"])
        images = load_processor(VideoMAEImageProcessor, source)
        tokenizer = load_processor(AutoTokenizer, source)
        return _Loaded(
            model,
            _tower_of_stills(model.vision_model),
            images,
            tokenizer,
            placement,
            Batches(placement.device, STILLS),
            Batches(placement.device, self.batch, most=64),
        )

    def encode(self, data: Sequence[FrameClip]) -> Vectors:
        """float32 [clips, dim], unit rows."""
        import torch

        if not data:
            return np.empty((0, self._dim()), np.float32)
        distinct = [_distinct(clip) for clip in data]
        count = self.loaded.model.config.vision_config.num_frames
        with torch.inference_mode():
            videos = [
                [images[i] for i in evenly(picks, count)]
                for (images, _), picks in zip(distinct, self._picks(distinct, count), strict=True)
            ]
            return unit(torch.cat(self.loaded.videos.map(videos, self._embed_videos)))

    def _picks(
        self, scenes: Sequence[tuple[list[Image], list[int]]], count: int
    ) -> list[list[int]]:
        """For each scene the numbers of the pictures to show, rising, ``count`` at most."""
        import torch

        long = [i for i, (images, _) in enumerate(scenes) if len(images) > count]
        picks = [list(range(len(images))) for images, _ in scenes]
        if long:
            images = [image for i in long for image in scenes[i][0]]
            rows = unit(torch.cat(self.loaded.chosen.map(images, self._embed_stills)))
            ends = np.cumsum([len(scenes[i][0]) for i in long])
            for i, part in zip(long, np.split(rows, ends[:-1]), strict=True):
                picks[i] = central(part, scenes[i][1], count)
        return picks

    def _embed_stills(self, images: Sequence[Image]) -> Any:
        """Tensor [images, dim]: CLIP's embedding of each."""
        loaded = self.loaded
        pixels = self._pixels([list(images)])[0]
        return loaded.model.visual_projection(loaded.stills(pixel_values=pixels).pooler_output)

    def _embed_videos(self, videos: Sequence[list[Image]]) -> Any:
        """Tensor [videos, dim], not normalised."""
        return self.loaded.model.get_video_features(self._pixels(videos)).pooler_output

    def _pixels(self, videos: Sequence[list[Image]]) -> Any:
        """Tensor [videos, frames, 3, H, W]."""
        loaded = self.loaded
        return loaded.images(
            list(videos),
            input_data_format="channels_last",  # or a picture 3 pixels high is misread
            return_tensors="pt",
            device=loaded.placement.device,
        )["pixel_values"].to(loaded.placement.torch_dtype)

    def _embed_text(self, text: str) -> Any:
        loaded = self.loaded
        tokens = loaded.tokenizer(
            [plain(text, loaded.tokenizer)],
            truncation=True,
            max_length=loaded.model.config.text_config.max_position_embeddings,
            return_tensors="pt",
        ).to(loaded.placement.device)
        return loaded.model.get_text_features(
            input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
        ).pooler_output


def central(rows: Vectors, weights: Sequence[int], count: int) -> list[int]:
    """Of more than ``count`` unit rows, the one nearest each centre of k-means, rising.

    Seeded; the first of those that are equally near. Fewer come back only where rows coincide.
    """
    from sklearn.cluster import KMeans

    points = rows.astype(np.float64)
    found = len(np.unique(points, axis=0))
    fit = KMeans(min(count, found), n_init=4, random_state=0).fit(points, sample_weight=weights)
    far = np.linalg.norm(points - fit.cluster_centers_[fit.labels_], axis=1)
    picks = []
    for label in np.unique(fit.labels_):
        members = np.flatnonzero(fit.labels_ == label)
        near = far[members] <= far[members].min() + 1e-6  # two of a cluster are equally near
        picks.append(int(members[near][0]))
    return sorted(picks)


def evenly(picks: Sequence[int], count: int) -> list[int]:
    """``count`` of ``picks`` in their order, each as often as the others, give or take one.

    >>> evenly([0, 3, 5], 8)
    [0, 0, 0, 3, 3, 3, 5, 5]
    """
    return [picks[i * len(picks) // count] for i in range(count)]


def _distinct(clip: FrameClip) -> tuple[list[Image], list[int]]:
    """A scene's different pictures in the order of time, and how often each is shown."""
    images: dict[bytes, Image] = {}
    counts: dict[bytes, int] = {}
    for frame in clip.frames:
        shape = repr(frame.image.shape).encode()
        key = hashlib.sha256(shape + np.ascontiguousarray(frame.image).tobytes()).digest()
        images.setdefault(key, frame.image)
        counts[key] = counts.get(key, 0) + 1
    return list(images.values()), list(counts.values())


def _edge(size: Mapping[str, int]) -> int:
    return int(size["shortest_edge"] if "shortest_edge" in size else size["height"])


def _tower_of_stills(tower: Any) -> Any:
    """The same weights as modules of their own, with one frame a video."""
    weights = {id(part): part for part in chain(tower.parameters(), tower.buffers())}
    stills = copy.deepcopy(tower, weights)
    for layer in stills.encoder.layers:
        layer.num_frames = 1
    return stills
