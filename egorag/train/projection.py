"""Learning a projection by contrast, and keeping it.

The map is trained so that a text's vector lies nearer to its clip than to other clips of the
batch, and a clip's nearer to its text than to other texts: InfoNCE in both directions with a
learned temperature (Radford et al., "Learning Transferable Visual Models From Natural Language
Supervision", 2021, arXiv:2103.00020, figure 3). The clips' side is not trained: their vectors are
the stored ones, which is what a query meets.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from egorag.encode.base import Vectors
from egorag.encode.projection import Layers, Projection, run
from egorag.errors import EgoragError, StoreError
from egorag.metrics.recall import Ints, reciprocal
from egorag.train.card import read
from egorag.train.seeds import seeded

KIND = "projection"
MOST_SCALE = 100.0  # of the logits, as in CLIP
FASTER = 10  # the temperature's rate: one number has further to go than each of many weights


@dataclass(frozen=True, eq=False)
class Examples:
    """Texts and clips, and which belong together.

    Attributes:
        texts: float32 [texts, from], each text once.
        clips: float32 [clips, to], unit rows.
        pairs: int [pairs, 2], (text, clip) each.
    """

    texts: Vectors
    clips: Vectors
    pairs: Ints


@dataclass(frozen=True)
class Contrastive:
    """Settings of the training.

    Attributes:
        layers: 2 for a hidden layer with ReLU, 1 for a linear map.
        hidden: width of the hidden layer.
        dropout: share of hidden values left out while training.
        batch: pairs that are told apart at a time.
        rate, decay: of AdamW.
        epochs: rounds over the training pairs, at most.
        patience: rounds without a better mean reciprocal rank on the validation videos that end it;
            the best round is kept.
        temperature: to begin with; it is learned.
        seed: of weights, order and dropout.
    """

    layers: int = 2
    hidden: int = 512
    dropout: float = 0.1
    batch: int = 256
    rate: float = 1e-3
    decay: float = 1e-2
    epochs: int = 200
    patience: int = 20
    temperature: float = 0.07
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("layers", "hidden", "batch", "epochs", "patience", "seed"):
            if type(getattr(self, name)) is not int:
                raise ValueError(f"{name} must be a whole number, got {getattr(self, name)!r}")
        wrong = {
            "layers must be 1 or 2": self.layers not in (1, 2),
            "hidden must be 1 or more": self.hidden < 1,
            "dropout must be from 0 to below 1": not 0 <= self.dropout < 1,
            "batch must be 2 or more": self.batch < 2,
            "rate must be above 0": not 0 < self.rate < math.inf,
            "decay must be 0 or more": not 0 <= self.decay < math.inf,
            "epochs must be 1 or more": self.epochs < 1,
            "patience must be 1 or more": self.patience < 1,
            "temperature must be at least 0.01": not 1 / MOST_SCALE <= self.temperature < math.inf,
            "seed must be 0 or more": self.seed < 0,
        }
        for rule, broken in wrong.items():
            if broken:
                raise ValueError(f"{rule}, got {getattr(self, rule.split()[0])}")


@dataclass(frozen=True, eq=False)
class Learned:
    """What the training found.

    Attributes:
        layers: see ``Projection``.
        temperature: as learned.
        epochs: rounds until the best.
        validation: its mean reciprocal rank there, both directions.
    """

    layers: Layers
    temperature: float
    epochs: int
    validation: float


def info_nce(queries: Any, clips: Any, scale: Any, pairs: Any) -> Any:
    """The loss of a batch of pairs: cross-entropy of both directions, their mean.

    Args:
        queries, clips: tensors [n, dim] of unit rows; row i of both is a pair.
        scale: what cosines are multiplied by, one over the temperature.
        pairs: int [n, 2], the numbers of text and clip: those that share one are no wrong answers
            to each other.
    """
    import torch
    from torch.nn.functional import cross_entropy

    same = (pairs[:, None] == pairs).any(dim=2).fill_diagonal_(False)
    logits = (scale * queries @ clips.T).masked_fill(same, -torch.inf)
    target = torch.arange(len(queries))
    return (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2


def network(settings: Contrastive, given: int, wanted: int) -> Any:
    """The map as a torch module, [n, given] to [n, wanted], before unit length."""
    from torch import nn

    if settings.layers == 1:
        return nn.Sequential(nn.Linear(given, wanted))
    return nn.Sequential(
        nn.Linear(given, settings.hidden),
        nn.ReLU(),
        nn.Dropout(settings.dropout),
        nn.Linear(settings.hidden, wanted),
    )


def learn(train: Examples, validation: Examples, settings: Contrastive) -> Learned:
    """Train on the CPU, until the clips and texts of the validation videos are found no better.

    Raises:
        EgoragError: the loss is no longer a number.
    """
    import torch
    from torch.nn.functional import normalize

    mean = train.texts.mean(axis=0)
    spread = float((train.texts - mean).std()) or 1.0
    texts = torch.from_numpy((train.texts - mean) / spread)
    clips = torch.from_numpy(train.clips)
    pairs = torch.from_numpy(train.pairs)
    threads = torch.get_num_threads()
    best = Learned((), settings.temperature, 0, -1.0)
    with seeded(settings.seed):
        torch.set_num_threads(1)  # else the machine's cores would decide the last bits
        try:
            model = network(settings, train.texts.shape[1], train.clips.shape[1])
            log_scale = torch.nn.Parameter(torch.tensor(-math.log(settings.temperature)))
            optimiser = torch.optim.AdamW(
                [
                    {"params": model.parameters(), "weight_decay": settings.decay},
                    {"params": [log_scale], "weight_decay": 0.0, "lr": FASTER * settings.rate},
                ],
                lr=settings.rate,
            )
            for epoch in range(1, settings.epochs + 1):
                model.train()
                for batch in pairs[torch.randperm(len(pairs))].split(settings.batch):
                    text, clip = batch.T
                    scale = log_scale.clamp(max=math.log(MOST_SCALE)).exp()
                    loss = info_nce(normalize(model(texts[text])), clips[clip], scale, batch)
                    optimiser.zero_grad()
                    loss.backward()
                    optimiser.step()
                if not bool(loss.isfinite()):
                    raise EgoragError(
                        f"the training diverged: its loss is no number in round {epoch}; lower the "
                        f"rate, which is {settings.rate:g}"
                    )
                layers = plain_layers(model, mean, spread)
                score = reciprocal(scores(layers, validation), validation.pairs)
                if score > best.validation:
                    best = Learned(layers, 1 / float(scale.detach()), epoch, score)
                elif epoch - best.epochs >= settings.patience:
                    break
        finally:
            torch.set_num_threads(threads)
    return best


def scores(layers: Layers, examples: Examples) -> Vectors:
    """Cosine of every text with every clip, [texts, clips]."""
    found: Vectors = run(layers, examples.texts) @ examples.clips.T
    return found


def plain_layers(model: Any, mean: Vectors, spread: float) -> Layers:
    """The linear layers of ``network``, the scaling of its inputs folded into the first."""
    found: list[tuple[Vectors, Vectors]] = []
    for module in model:
        if hasattr(module, "weight"):
            weight = module.weight.detach().numpy().astype(np.float64)
            bias = module.bias.detach().numpy().astype(np.float64)
            if not found:
                weight = weight / spread
                bias = bias - weight @ mean
            found.append((weight.astype(np.float32), bias.astype(np.float32)))
    return tuple(found)


def tensors(layers: Layers) -> dict[str, Vectors]:
    """As the folder keeps them."""
    return {
        f"{number}.{name}": tensor
        for number, layer in enumerate(layers)
        for name, tensor in zip(("weight", "bias"), layer, strict=True)
    }


def load_projection(folder: Path) -> Projection:
    """Read a projection that ``python -m egorag.train projection`` wrote.

    Raises:
        ConfigError: there is none.
        StoreError: it is damaged, or its weights are not those its card was written for.
    """
    card, found = read(folder, KIND)
    try:
        layers = tuple(
            (found[f"{number}.weight"], found[f"{number}.bias"])
            for number in range(len(found) // 2)
        )
        videos = card.trained_on["videos"]
        seen = frozenset([*videos["train"], *videos["validation"]])
        name = folder.resolve().name
        return Projection(name, card.spaces["from"], card.spaces["to"], layers, seen)
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"the projection {str(folder)!r} is damaged ({error}); train it again"
        ) from error
