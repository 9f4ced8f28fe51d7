"""What encoders of frames that text, pictures and clips can query share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from egorag.encode.base import FrameClip, Medium, Vectors
from egorag.encode.pretrained.base import Pretrained, unit
from egorag.encode.pretrained.queries import query_frames
from egorag.errors import SpaceError
from egorag.media.sampling import Frame, FrameSampling
from egorag.media.stills import read_picture
from egorag.spaces import EmbeddingSpace
from egorag.spans import Span
from egorag.types import Query

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class FrameEncoder(Pretrained):
    """Frames at a rate, and text, in one space.

    Attributes:
        rate: frames looked at a second.
    """

    medium: ClassVar[Medium] = Medium.FRAMES
    queried_by: ClassVar[Sequence[str]] = ("text", "image", "video")
    working_bytes: ClassVar[float] = 1e9

    rate: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.rate <= 60:
            raise ValueError(f"rate must be above 0 and at most 60 frames a second: {self.rate}")

    @property
    @abstractmethod
    def sampling(self) -> FrameSampling: ...

    @property
    def space(self) -> EmbeddingSpace:
        """Unit length; text, pictures and video clips enter it."""
        return self.space_of(self._dim(), *self.queried_by)

    @abstractmethod
    def _dim(self) -> int:
        """Width of the embedding, from the checkpoint's config."""

    @abstractmethod
    def _embed_text(self, text: str) -> Any:
        """Tensor [1, dim], not normalised, of text that is valid Unicode."""

    @abstractmethod
    def encode(self, data: Sequence[FrameClip]) -> Vectors:
        """float32 [clips, dim], unit rows; frames may be of any size."""

    def embed_query(self, query: Query, medium: str) -> Vectors:
        """float32 [dim], unit length. A picture is a scene of one frame; of a clip, its first
        minute counts.

        Raises:
            SpaceError: the medium is none of text, image and video, or the query has none.
            MediaError: the file cannot be read.
        """
        import torch

        if medium == "text" and query.text is not None:
            whole = query.text.encode("utf-8", "replace").decode()  # lone surrogates
            with torch.inference_mode():
                rows = unit(self._embed_text(whole))
        elif medium == "image" and query.image is not None:
            still = Frame(0, 0, 0, read_picture(query.image))
            rows = self.encode([FrameClip(Span(0, 1), (still,))])
        elif medium == "video" and query.video is not None:
            rows = self.encode([query_frames(query.video, self.sampling)])
        else:
            raise SpaceError(
                f"{type(self).__name__} embeds text, pictures and video clips, but the query was "
                f"to enter by {medium!r}"
            )
        vector: Vectors = rows[0]
        return vector


@dataclass(frozen=True, kw_only=True)
class FrameMean(FrameEncoder):
    """The mean of the unit embeddings of a scene's frames, scaled back to unit length.

    Every sampled frame counts once, in scenes short and long; a scene of one frame is that frame.
    Frames of several scenes run through the model together. Rows do not depend on the batch
    beyond rounding: 1e-5 in float32, 2e-2 in bfloat16.
    """

    @abstractmethod
    def _embed_images(self, images: Sequence[Image]) -> Any:
        """Tensor [images, dim], not normalised, of RGB pictures (of any size) run at once."""

    def encode(self, data: Sequence[FrameClip]) -> Vectors:
        """float32 [clips, dim], unit rows."""
        import torch

        if not data:
            return np.empty((0, self._dim()), np.float32)
        images = [frame.image for clip in data for frame in clip.frames]
        with torch.inference_mode():
            rows = unit(torch.cat(self.loaded.batches.map(images, self._embed_images)))
        counts = np.array([len(clip.frames) for clip in data])
        sums = np.add.reduceat(rows, np.cumsum(counts) - counts, axis=0)
        return unit(sums / counts[:, None])
