"""Training a probe: AdamW on a cosine, stopped by videos it does not learn from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from egorag.encode.base import Vectors
from egorag.metrics.classmean import class_mean, hits, numbered
from egorag.train.attentive import Shape, build, logits, padded
from egorag.train.features import Clip
from egorag.train.maps import TokenClip
from egorag.train.probe import Scores, scores
from egorag.train.seeds import seeded

RECALL_AT = {"label": 1, "ek100": 5}
"""The k of class-mean recall that decides when to stop, by task; of anticipation as published."""


@dataclass(frozen=True, eq=False)
class Example:
    """A clip and what it shows.

    Attributes:
        video: its id.
        labels: by query.
    """

    video: str
    clip: Clip | TokenClip
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Training:
    """Settings of the training.

    Attributes:
        blocks: of self-attention; the published probes have 3.
        width: the probe works at; None is that of the vectors, as published.
        batch: clips at once.
        rate: of AdamW, reached in the first twentieth of all steps, then down a cosine to 0.
        decay: of weights, AdamW's.
        epochs: rounds over the clips, at most.
        patience: rounds without a better class-mean recall on the validation videos (a lower loss
            at the same recall) that end it; the best round is kept.
        seed: of weights and order.
    """

    blocks: int = 3
    width: int | None = None
    batch: int = 64
    rate: float = 3e-4
    decay: float = 0.05
    epochs: int = 50
    patience: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("blocks", "width", "batch", "epochs", "patience", "seed"):
            value = getattr(self, name)
            if type(value) is not int and not (name == "width" and value is None):
                raise ValueError(f"{name} must be a whole number, got {value!r}")
        wrong = {
            "blocks must be 0 or more": self.blocks < 0,
            "width must be 1 or more": self.width is not None and self.width < 1,
            "batch must be 1 or more": self.batch < 1,
            "rate must be above 0": not 0 < self.rate < math.inf,
            "decay must be 0 or more": not 0 <= self.decay < math.inf,
            "epochs must be 1 or more": self.epochs < 1,
            "patience must be 1 or more": self.patience < 1,
            "seed must be 0 or more": self.seed < 0,
        }
        for rule, broken in wrong.items():
            if broken:
                raise ValueError(f"{rule}, got {getattr(self, rule.split()[0])}")


@dataclass(frozen=True, eq=False)
class Learned:
    """What the training found.

    Attributes:
        model: of the best round, in eval mode.
        epochs: rounds until the best.
        validation: class-mean recall there.
    """

    shape: Shape
    model: Any
    epochs: int
    validation: float


def learn(
    train: Sequence[Example],
    validation: Sequence[Example],
    task: str,
    training: Training,
    device: str = "cpu",
    watch: Callable[[int, float, float], None] = lambda epoch, recall, loss: None,
    timed: bool = True,
) -> Learned:
    """A probe of the labels that occur in ``train``.

    On a CPU equal examples, settings and versions give equal weights, bit for bit.

    Args:
        task: one of ``labels.TASKS``.
        watch: told the round, the recall and the loss on the validation videos.
        timed: see ``Shape``; patch tokens know their place.

    Raises:
        ValueError: a part is empty, or there is but one label to learn.
    """
    import torch

    if not train or not validation:
        raise ValueError("a probe needs clips to learn from and clips to stop by")
    queries = list(train[0].labels)
    labels = {name: sorted({e.labels[name] for e in train}) for name in queries}
    if max(map(len, labels.values())) < 2:
        raise ValueError(f"all clips to learn from have one label, {labels}")
    mean, spread = _scale(train)
    dim = len(mean)
    shape = Shape(dim, training.width or dim, training.blocks, labels, timed)
    targets = {name: numbered([e.labels[name] for e in train], labels[name])[0] for name in queries}
    with seeded(training.seed):
        model = build(shape)
        model.mean.copy_(torch.from_numpy(mean))
        model.spread.fill_(spread)
        model.to(device)
        optimiser = torch.optim.AdamW(
            model.parameters(), lr=training.rate, weight_decay=training.decay
        )
        steps = training.epochs * math.ceil(len(train) / training.batch)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda n: cosine(n, steps))
        best, kept, at = (-1.0, -math.inf), model.state_dict(), 0
        for epoch in range(1, training.epochs + 1):
            model.train()
            order = torch.randperm(len(train)).tolist()
            for start in range(0, len(train), training.batch):
                chosen = order[start : start + training.batch]
                vectors, places, mask = padded([train[i].clip for i in chosen], device)
                wanted = {n: torch.from_numpy(t[chosen]).to(device) for n, t in targets.items()}
                lost = loss(logits(model, vectors, places, mask), wanted, task)
                optimiser.zero_grad()
                lost.backward()
                optimiser.step()
                schedule.step()
            recall, lost_there = _validated(model, shape, validation, task, device)
            watch(epoch, recall, lost_there)
            if (recall, -lost_there) > best:
                best, at = (recall, -lost_there), epoch
                kept = {
                    name: tensor.detach().clone() for name, tensor in model.state_dict().items()
                }
            elif epoch - at >= training.patience:
                break
    model.load_state_dict(kept)
    return Learned(shape, model.eval().requires_grad_(False), at, best[0])


def loss(given: Mapping[str, Any], wanted: Mapping[str, Any], task: str) -> Any:
    """A single label: cross-entropy. EPIC-KITCHENS: the sum over verb, noun and action of sigmoid
    focal losses (Lin et al., arXiv:1708.02002; alpha 0.25, gamma 2), each summed over the labels
    and averaged over the clips.

    Args:
        given: logits [clips, labels] by query.
        wanted: int64 [clips] by query.
    """
    from torch.nn.functional import cross_entropy, one_hot
    from torchvision.ops import sigmoid_focal_loss

    if task == "label":
        return cross_entropy(given["label"], wanted["label"])
    return sum(
        sigmoid_focal_loss(
            rows, one_hot(wanted[name], rows.shape[1]).to(rows.dtype), 0.25, 2, reduction="sum"
        )
        / len(rows)
        for name, rows in given.items()
    )


def cosine(step: int, steps: int) -> float:
    """The share of the rate at ``step`` of ``steps``: up in the first twentieth, then down to 0.

    >>> [round(cosine(n, 100), 3) for n in (0, 4, 5, 52, 100)]
    [0.2, 1.0, 1.0, 0.508, 0.0]
    """
    warm = max(1, steps // 20)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, steps - warm))))


def _scale(train: Sequence[Example]) -> tuple[Vectors, float]:
    """Mean float32 [dim] of all vectors learned from, and their spread: one for all components,
    which keeps their angles. Each is read once."""
    count, sums, squares = 0, np.zeros(0), 0.0
    for example in train:
        vectors = example.clip.vectors.astype(np.float64)
        sums = vectors.sum(0) + (sums if count else 0.0)
        squares += float(np.square(vectors).sum())
        count += len(vectors)
    mean = sums / count
    variance = squares / (count * len(mean)) - float(np.square(mean).mean())
    # Vectors that are all the same say nothing; they are not blown up.
    return mean.astype(np.float32), math.sqrt(variance) if variance > 1e-12 else 1.0


def _validated(
    model: Any, shape: Shape, examples: Sequence[Example], task: str, device: str
) -> tuple[float, float]:
    """Class-mean recall (mean over queries) and loss; clips of labels never learned are misses,
    and have no loss."""
    import torch

    found = scores(model, shape, [e.clip for e in examples], device)
    if not all(np.isfinite(rows).all() for rows in found.values()):
        raise ValueError("its scores are no numbers any more; train at a lower training.rate")
    recalls, lost = [], 0.0
    for name, rows in found.items():
        truth, classes = numbered([e.labels[name] for e in examples], shape.labels[name])
        recalls.append(class_mean(hits(rows, truth, RECALL_AT[task]), classes))
        known = truth >= 0
        if known.any():
            given, wanted = torch.from_numpy(rows[known]), torch.from_numpy(truth[known])
            lost += float(loss({name: given}, {name: wanted}, task))
    return float(np.mean(recalls)), lost


def scored(learned: Learned, examples: Sequence[Example], device: str = "cpu") -> dict[str, Scores]:
    """Logits float32 [examples, labels] by query."""
    return scores(learned.model, learned.shape, [e.clip for e in examples], device)
