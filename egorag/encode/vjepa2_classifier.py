"""Actions by V-JEPA 2's published heads: which of a fixed list of motions is seen when.

``transformers.VJEPA2ForVideoClassification``: the frozen encoder, an attentive probe (three
self-attention blocks, one cross-attention block with one query) and a linear layer. Checkpoints
``facebook/vjepa2-*-ssv2`` (Something-Something v2) and ``facebook/vjepa2-*-diving48`` (Assran et
al., arXiv:2506.09985, section 5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from egorag.encode.base import FrameClip
from egorag.encode.pretrained.base import Published, by_name
from egorag.encode.pretrained.placement import Placement
from egorag.encode.vjepa2_clips import Images, Loaded, VJEPA2Clips, clip_frames
from egorag.errors import ConfigError, EgoragError
from egorag.spans import Span
from egorag.types import TimedText

TRACK, SOURCE = "action", "V-JEPA 2"


@dataclass(frozen=True, kw_only=True)
class VJEPA2Classifier(VJEPA2Clips):
    """What is done when: track ``action``, for each clip the labels that score best.

    A scene of more than ``frames`` frames is read as consecutive clips of nearly equal length that
    leave no frame out, and each clip has labels of its own, over its own time. Fewer frames are
    repeated evenly to ``frames``, because the head was trained on that many. Scores are a softmax
    over all labels: the list is closed, and what is not on it is still called by one of its names.
    Scores do not depend on the batch by more than 1e-5 in float32, 0.02 in bfloat16.

    Attributes:
        frames: of a clip; the number the head was trained on, any other is refused.
        rate: frames a second. Something-Something's clips have 12, of which the published
            evaluation of the ViT-L head took every fourth.
        top: labels told of a clip, at most.
        threshold: the lowest score told, 0..1.
    """

    architecture: ClassVar[str] = "VJEPA2ForVideoClassification"
    published: ClassVar[Mapping[str, Published]] = {
        "facebook/vjepa2-vitl-fpc16-256-ssv2": Published(375.5e6, None, "MIT", download=1.50e9),
        "facebook/vjepa2-vitg-fpc64-384-ssv2": Published(
            1128e6, None, "Apache-2.0", download=4.51e9
        ),
        "facebook/vjepa2-vitl-fpc32-256-diving48": Published(375.5e6, None, "MIT", download=1.50e9),
        "facebook/vjepa2-vitg-fpc32-384-diving48": Published(
            1128e6, None, "Apache-2.0", download=4.51e9
        ),
    }

    checkpoint: str = by_name("facebook/vjepa2-vitl-fpc16-256-ssv2")
    frames: int = 16
    rate: float = 3.0
    top: int = 3
    threshold: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.top < 1:
            raise ValueError(f"top must be 1 or more labels, got {self.top}")
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold must be from 0 to 1, got {self.threshold}")

    @property
    def space(self) -> None:
        return None

    def labels(self) -> tuple[str, ...]:
        """The checkpoint's labels by number.

        Raises:
            ConfigError: it has no head, or no names for its classes.
        """
        source = self.source()
        config = source.read_json()
        names = config.get("id2label") or {}
        if "VJEPA2ForVideoClassification" not in config.get("architectures", ()) or not names:
            raise ConfigError(
                f"{source} has no classification head (config.json: architectures "
                f"{config.get('architectures')}, {len(names)} labels); give a checkpoint such as "
                f"{next(iter(self.published))}"
            )
        return tuple(readable(names[str(i)]) for i in range(len(names)))

    def describe(self) -> str:
        crop = self.crop
        return (
            f"V-JEPA 2 with a head of {len(self.labels())} labels: clips of {self.frames} frames "
            f"at {self.rate:g} a second, short side {int(crop * 256 / 224)}, centre crop {crop} x "
            f"{crop}; of each clip the {self.top} best labels with a score (softmax) of "
            f"{self.threshold:g} or more; a longer scene is read as consecutive clips that leave "
            "nothing out, a shorter one repeats its frames evenly"
        )

    def _load(self, placement: Placement) -> Loaded:
        source = self.source()
        trained = source.read_json().get("frames_per_clip", 64)
        self.labels()
        if self.frames != trained:
            raise ConfigError(
                f"the head of {source} was trained on clips of {trained} frames; set "
                f"frames={trained}, got {self.frames}"
            )
        return super()._load(placement)

    def encode(self, data: Sequence[FrameClip]) -> list[list[TimedText]]:
        """For each scene its actions: clip by clip, the best first."""
        clips = [list(self._timed(scene)) for scene in data]
        scores = iter(self._run([images for scene in clips for _, images in scene], self._made))
        labels = self.labels()
        return [
            [
                TimedText(span, labels[i], TRACK, SOURCE, round(score, 4))
                for span, _ in scene
                for i, score in best(next(scores), self.top, self.threshold)
            ]
            for scene in clips
        ]

    def _timed(self, scene: FrameClip) -> Iterator[tuple[Span, Images]]:
        """Each clip with its time: from its first frame's to the next clip's first."""
        shown = scene.frames
        chosen = clip_frames(len(shown), self.frames)
        starts = [shown[indices[0]].time for indices in chosen]
        edges = [scene.span.start, *starts[1:], scene.span.end]
        for number, indices in enumerate(chosen):
            span = Span(edges[number], max(edges[number], edges[number + 1]))
            seen = sorted(set(indices))
            spread = [seen[i * len(seen) // self.frames] for i in range(self.frames)]
            yield span, [shown[i].image for i in spread]

    def _made(self, clips: Sequence[Images]) -> Any:
        """float32 [clips, labels]: scores that add up to 1."""
        pixels, held = self._pixels(clips), self.loaded.held
        with held.lock:
            return held.model(pixels).logits.float().softmax(-1)


def best(scores: Any, top: int, threshold: float) -> Iterator[tuple[int, float]]:
    """Numbers and scores of the ``top`` highest of at least ``threshold``, the best first."""
    import numpy as np

    if not np.isfinite(scores).all():
        raise EgoragError("the model gave a score that is not finite; try dtype=float32")
    for i in np.argsort(-scores, kind="stable")[:top]:
        if scores[i] >= threshold:
            yield int(i), min(1.0, float(scores[i]))


def readable(label: str) -> str:
    """A label as text: Diving48's are lists in Python's spelling.

    >>> readable("['Inward', '35som', 'NoTwis', 'TUCK']"), readable("Opening [something]")
    ('Inward, 35som, NoTwis, TUCK', 'Opening [something]')
    """
    listed = re.fullmatch(r"\[\s*('[^']*'(?:\s*,\s*'[^']*')*)\s*\]", label)
    return ", ".join(re.findall(r"'([^']*)'", listed[1])) if listed else label
