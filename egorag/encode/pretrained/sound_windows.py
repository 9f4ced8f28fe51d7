"""What sound-text models (CLAP) share: a scene is the mean of the windows a model can hear."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from egorag.encode.base import Medium, SoundClip, Vectors
from egorag.encode.pretrained.base import Pretrained, unit
from egorag.encode.pretrained.queries import query_sound
from egorag.errors import ConfigError, SpaceError
from egorag.media.sampling import SoundSampling
from egorag.spaces import EmbeddingSpace
from egorag.types import Query

Sound = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class SoundWindows(Pretrained):
    """The mean of the unit embeddings of a scene's windows, weighted by how much sound each holds
    and scaled back to unit length.

    Of a sound longer than it was trained on, such a model's own code takes a part at random; here
    a sound is cut into windows first, every sample is heard, and the same sound gives the same
    row. Windows of several scenes run through the model together. Rows do not depend on the batch
    beyond rounding: 1e-5 in float32, 2e-2 in bfloat16.

    Attributes:
        hop: seconds from one window's start to the next; None is the length of a window, so that
            each sample is heard once. Less overlaps them; more is refused.
    """

    medium: ClassVar[Medium] = Medium.SOUND
    extra: ClassVar[str] = "audio"
    queried_by: ClassVar[Sequence[str]] = ("text", "sound")
    working_bytes: ClassVar[float] = 1.5e9

    hop: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hop is not None and not 0.1 <= self.hop <= 3600:
            raise ValueError(
                f"hop must be 0.1 seconds or more, and no more than a window: {self.hop}"
            )

    @property
    def sampling(self) -> SoundSampling:
        return SoundSampling(self._window()[0])

    @property
    def space(self) -> EmbeddingSpace:
        """Unit length; text and sounds enter it."""
        return self.space_of(self._dim(), *self.queried_by)

    @abstractmethod
    def _window(self) -> tuple[int, int]:
        """Sampling rate in Hz, and samples of the longest sound the model hears at once."""

    @abstractmethod
    def _dim(self) -> int:
        """Width of the embedding."""

    @abstractmethod
    def _embed_sounds(self, windows: Sequence[Sound]) -> Any:
        """Tensor [windows, dim], not normalised, of finite sounds of 1 to a window's samples."""

    @abstractmethod
    def _embed_text(self, text: str) -> Any:
        """Tensor [1, dim], not normalised, of text that is valid Unicode."""

    def _step(self) -> int:
        """Samples from one window's start to the next.

        Raises:
            ConfigError: ``hop`` is longer than a window, which would leave sound out.
        """
        rate, size = self._window()
        step = size if self.hop is None else round(self.hop * rate)
        if step > size:
            raise ConfigError(
                f"hop={self.hop:g} leaves out sound between windows of {size / rate:g} seconds; "
                "give that or less"
            )
        return step

    def _cut(self) -> str:
        """For ``describe``: how scenes are cut."""
        rate, size = self._window()
        return (
            f"{rate} Hz mono in windows of {size / rate:g} s, one every {self._step() / rate:g} s; "
            "the mean of their unit embeddings weighted by their lengths"
        )

    def encode(self, data: Sequence[SoundClip]) -> Vectors:
        """float32 [clips, dim], unit rows.

        Raises:
            ValueError: a clip at another rate than ``sampling`` asks for.
        """
        import torch

        if not data:
            return np.empty((0, self._dim()), np.float32)
        rate, size = self._window()
        step = self._step()
        for clip in data:
            if clip.rate != rate:
                raise ValueError(f"this model hears {rate} Hz, got a clip at {clip.rate} Hz")
        cut = [windows(len(clip.samples), size, step) for clip in data]
        places = [
            (clip, *ends) for clip, all_ends in zip(data, cut, strict=True) for ends in all_ends
        ]

        def run(batch: Sequence[tuple[SoundClip, int, int]]) -> Any:
            return self._embed_sounds([finite(clip.samples[a:b]) for clip, a, b in batch])

        with torch.inference_mode():
            rows = unit(torch.cat(self.loaded.batches.map(places, run)))
        lengths = np.array([b - a for _, a, b in places], np.float32)
        counts = np.array([len(ends) for ends in cut])
        starts = np.cumsum(counts) - counts
        sums = np.add.reduceat(rows * lengths[:, None], starts, axis=0)
        return unit(sums / np.add.reduceat(lengths, starts)[:, None])

    def embed_query(self, query: Query, medium: str) -> Vectors:
        """float32 [dim], unit length. A sound is a scene; of a long one its first minute counts.

        Raises:
            SpaceError: the medium is neither text nor sound, or the query has none.
            MediaError: the file cannot be read, or holds no sound.
        """
        import torch

        if medium == "text" and query.text is not None:
            whole = query.text.encode("utf-8", "replace").decode()  # lone surrogates
            with torch.inference_mode():
                rows = unit(self._embed_text(whole))
        elif medium == "sound" and query.sound is not None:
            rows = self.encode([query_sound(query.sound, self.sampling)])
        else:
            raise SpaceError(
                f"{type(self).__name__} embeds text and sounds, but the query was to enter by "
                f"{medium!r}"
            )
        vector: Vectors = rows[0]
        return vector


def windows(length: int, size: int, step: int) -> list[tuple[int, int]]:
    """[start, end) of the windows over ``length`` >= 1 samples. Only the last may be shorter than
    ``size``, and no window lies within the one before.

    >>> windows(25, 10, 10)
    [(0, 10), (10, 20), (20, 25)]
    >>> windows(20, 10, 5)
    [(0, 10), (5, 15), (10, 20)]
    >>> windows(3, 10, 10)
    [(0, 3)]
    """
    starts = range(0, max(1, length - size + step), step)
    return [(start, min(start + size, length)) for start in starts]


def finite(samples: Sound) -> Sound:
    """The samples with what is no number, as damaged float sound holds it, as silence."""
    return np.nan_to_num(samples.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
