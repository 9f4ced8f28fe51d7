"""A trained probe: what happens in a clip, by its stored vectors."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from egorag.encode.base import Vectors
from egorag.errors import EgoragError, MissingPackageError, SpaceError, StoreError
from egorag.predict.anticipation import OnFeatures
from egorag.spaces import EmbeddingSpace
from egorag.spans import Span
from egorag.store.folder import IndexFolder
from egorag.store.records import EncoderRow
from egorag.train import card as cards
from egorag.train.attentive import Shape, build, logits, padded
from egorag.train.card import Card
from egorag.train.features import Clip, Features, encoder_row, features_of, reach_of
from egorag.train.maps import TokenClip, TokenFeatures, tokens_of
from egorag.types import TimedText

KIND, TRACK, TOKENS = "probe", "action", "tokens"

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Probe:
    """What a clip shows, for each query of the task (``label``; or ``verb``, ``noun``,
    ``action``).

    ``Probe.open`` is the only way to one that answers: without a card it was never trained, and a
    random layer would answer anyway.

    Attributes:
        shape: labels and widths.
        model: ``attentive.build``'s, on ``device``.
        card: None before training.
    """

    shape: Shape
    model: Any
    device: str = "cpu"
    card: Card | None = None

    @classmethod
    def open(cls, folder: str | Path, device: str = "cpu") -> Probe:
        """The probe that ``python -m egorag.train probe`` wrote.

        Raises:
            ConfigError: none lies there, or torch is missing.
            StoreError: it is damaged, or its weights are not those its card was written for.
        """
        from egorag.encode.pretrained.loading import place
        from egorag.encode.pretrained.placement import Placement, device_of

        card, tensors = cards.read(Path(folder), KIND)
        shape = shape_of(card, folder)
        check_packages()
        import torch

        model = build(shape)
        given = {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}
        try:
            model.load_state_dict(given)  # strict: no weight is left random
        except RuntimeError as error:
            raise StoreError(
                f"the weights in {str(folder)!r} are not those of the probe on its card: "
                f"{' '.join(str(error).split())}; train it again"
            ) from error
        where = device_of(device)
        return cls(shape, place(model, Placement(where, "float32")), where, card)

    @property
    def trained(self) -> Card:
        """The card.

        Raises:
            EgoragError: it was never trained.
        """
        if self.card is None:
            raise EgoragError(
                "this probe was never trained: its weights are random, and it would answer all "
                "the same; train it (python -m egorag.train probe ...) and use Probe.open(FOLDER)"
            )
        return self.card

    def check(self, space: EmbeddingSpace, kind: str) -> None:
        """Refuse vectors of another space, or of another kind: ``vectors`` of scenes, ``moments``,
        or the ``tokens`` of maps.

        Raises:
            SpaceError: names both.
        """
        card = self.trained
        card.check_space("features", space)
        if kind != self._kind:
            raise SpaceError(
                f"this probe was trained on {self._kind} of {space.model}, but was given its "
                f"{kind}; train one on these: python -m egorag.train probe ..."
            )

    def classify(
        self, vectors: Vectors, space: EmbeddingSpace, kind: str, top: int = 5
    ) -> dict[str, list[tuple[str, float]]]:
        """The ``top`` best labels and scores of one clip, by query.

        Scores are a softmax over the labels of a single label, and a sigmoid each for verb, noun
        and action; either way the list is closed.

        Args:
            vectors: float32 [n, dim], evenly spaced in time (of a map: flattened); they live in
                ``space``.

        Raises:
            EgoragError: the probe was never trained, or a vector is not finite.
            SpaceError: it was trained on others.
        """
        self.check(space, kind)
        rows = np.ascontiguousarray(vectors, np.float32)
        if rows.ndim != 2 or rows.shape[1] != space.dim or not len(rows):
            raise ValueError(f"expected vectors [n, {space.dim}], got {list(rows.shape)}")
        places = ((np.arange(len(rows)) + 0.5) / len(rows)).astype(np.float32)
        (found,) = self._told([Clip(rows, places)], top)
        return found

    def ahead(self, query: str = "label") -> OnFeatures:
        """This probe for ``Predictor.anticipate``, over the features it was trained on.

        Raises:
            EgoragError: it was never trained.
            SpaceError: it was trained on token maps.
        """
        if self._kind == TOKENS:
            raise SpaceError(
                "this probe was trained on token maps as stored, and predicted tokens are "
                "normalised; train one on vectors or moments: python -m egorag.train probe ..."
            )
        kind: Literal["moments", "vectors"] = "moments" if self._kind == "moments" else "vectors"
        return OnFeatures(self, self.trained.spaces["features"], kind, query)

    def actions(
        self, folder: IndexFolder, video: str, spans: Sequence[Span], top: int = 3
    ) -> list[list[TimedText]]:
        """The best labels of stretches of a video that an index holds, as timed text: track
        ``action`` (or ``verb``, ``noun`` and ``action``); none where nothing is stored.

        Args:
            video: its id.

        Raises:
            ConfigError: the index has no encoder of the name it was trained on.
            SpaceError: that one makes other vectors here.
        """
        row = encoder_row(folder, self.trained.trained_on["features"]["encoder"])
        causal = self.trained.settings["anticipation"] is not None
        found = stored(folder, row, video, causal, self._kind == TOKENS)
        if found is None:
            return [[] for _ in spans]
        kind, features = found
        assert row.space is not None
        self.check(row.space, kind)
        clips = [features.clip(span, causal) for span in spans]
        told = iter(self._told([clip for clip in clips if clip is not None], top))
        return [
            []
            if clip is None
            else [
                TimedText(span, label, TRACK if query == "label" else query, KIND, round(score, 4))
                for query, best in next(told).items()
                for label, score in best
            ]
            for span, clip in zip(spans, clips, strict=True)
        ]

    @property
    def _kind(self) -> str:
        return str(self.trained.trained_on["features"]["kind"])

    def _told(
        self, clips: Sequence[Clip | TokenClip], top: int
    ) -> Iterator[dict[str, list[tuple[str, float]]]]:
        if not clips:
            return
        found = scores(self.model, self.shape, clips, self.device)
        for i in range(len(clips)):
            told = {}
            for query, rows in found.items():
                row = chances(rows[i], single=query == "label")
                if not np.isfinite(row).all():
                    raise EgoragError("the probe gave a score that is not finite; are the vectors?")
                best = np.argsort(-row, kind="stable")[:top]
                told[query] = [(self.shape.labels[query][j], min(1.0, float(row[j]))) for j in best]
            yield told


def stored(
    folder: IndexFolder, row: EncoderRow, video: str, causal: bool, tokens: bool
) -> tuple[str, Features | TokenFeatures] | None:
    """Kind and features that an encoder of the index made of a video; None where it made none.

    Args:
        causal: clips will be asked for what is known at their end alone.
        tokens: its token maps, not its vectors.
    """
    if tokens:
        maps = tokens_of(folder, row, video)
        return None if maps is None else (TOKENS, maps)
    return features_of(folder, row, video, reach_of(row) if causal else 0)


def scores(
    model: Any, shape: Shape, clips: Sequence[Clip | TokenClip], device: str, batch: int = 64
) -> dict[str, Scores]:
    """Logits float32 [clips, labels] by query."""
    import torch

    found: dict[str, list[Any]] = {name: [] for name in shape.labels}
    model.eval()
    with torch.inference_mode():
        for at in range(0, len(clips), batch):
            vectors, places, mask = padded(clips[at : at + batch], device)
            given = logits(model, vectors, places if shape.timed else None, mask)
            for name, rows in given.items():
                found[name].append(rows.float().cpu().numpy())
    return {name: np.concatenate(rows) for name, rows in found.items()}


def chances(row: Scores, single: bool) -> npt.NDArray[np.float64]:
    """Logits [labels] as scores in 0..1: a softmax where one label holds, else a sigmoid each."""
    wide = row.astype(np.float64)
    if single:
        raised = np.exp(wide - wide.max())
        return np.asarray(raised / raised.sum())
    return np.asarray(1 / (1 + np.exp(-wide)))


def shape_of(card: Card, folder: str | Path) -> Shape:
    """The shape on a card.

    Raises:
        StoreError: it tells none.
    """
    try:
        shape = Shape(**card.model["shape"])
        if not shape.labels or shape.dim != card.spaces["features"].dim:
            raise ValueError(f"{len(shape.labels)} queries of {shape.dim}-d vectors")
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"the card in {str(folder)!r} is damaged ({error}); train again"
        ) from error
    return shape


def check_packages() -> None:
    """Raise MissingPackageError unless torch and transformers are here."""
    missing = [name for name in ("torch", "torchvision", "transformers") if not find_spec(name)]
    if missing:
        raise MissingPackageError(
            f"a probe needs {' and '.join(missing)}: {sys.executable} -m pip install "
            "'egorag[torch]'"
        )
