"""The attentive probe of V-JEPA 2, by transformers' own blocks, on any vectors.

Assran et al. (2025, arXiv:2506.09985), section 5: self-attention blocks over the frozen features,
one cross-attention block in which a learned query gathers them, and a linear layer; for action
anticipation (section 6) three queries: verb, noun, action. ``VJEPA2AttentivePooler`` is used as it
is, with a mask for clips of several lengths and as many queries as there are things to name.

Stored vectors are told apart by nothing but their content, where patch tokens carry their place.
So their time within the clip is added to them, as sines and cosines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

HEADS = 16
"""Of attention, as published; fewer where the width is no multiple."""


@dataclass(frozen=True)
class Shape:
    """What is needed to build a probe again.

    Attributes:
        dim: of the vectors it reads.
        width: it works at; where another than ``dim``, a linear layer goes between.
        blocks: of self-attention before the one of cross-attention.
        labels: by query, in order.
        timed: whether a vector's time in the clip is added to it.
    """

    dim: int
    width: int
    blocks: int
    labels: Mapping[str, Sequence[str]]
    timed: bool

    @property
    def heads(self) -> int:
        """The most heads up to ``HEADS`` that divide the width."""
        return next(n for n in range(HEADS, 0, -1) if self.width % n == 0)


def build(shape: Shape) -> Any:
    """A ``torch.nn.ModuleDict`` with fresh weights, drawn as the published ones were: it says
    nothing yet.

    ``mean`` and ``spread`` (buffers [dim]) bring vectors to a common scale first.
    """
    import torch
    from transformers import VJEPA2Config
    from transformers.models.vjepa2 import modeling_vjepa2 as published

    config = VJEPA2Config(
        hidden_size=shape.width,
        num_attention_heads=shape.heads,
        num_pooler_layers=shape.blocks,
        attn_implementation="sdpa",
    )
    pooler = published.VJEPA2AttentivePooler(config)
    pooler.query_tokens = torch.nn.Parameter(torch.zeros(1, len(shape.labels), shape.width))
    parts = {
        "pooler": pooler,
        "classifiers": torch.nn.ModuleDict(
            {name: torch.nn.Linear(shape.width, len(names)) for name, names in shape.labels.items()}
        ),
    }
    if shape.width != shape.dim:
        parts["input"] = torch.nn.Linear(shape.dim, shape.width)
    model = torch.nn.ModuleDict(parts)
    model.apply(published.VJEPA2PreTrainedModel(config)._init_weights)
    model.register_buffer("mean", torch.zeros(shape.dim))
    model.register_buffer("spread", torch.ones(shape.dim))
    return model


def logits(model: Any, vectors: Any, places: Any = None, mask: Any = None) -> dict[str, Any]:
    """Tensors [clips, labels] by query.

    Args:
        vectors: float32 [clips, n, dim].
        places: float32 [clips, n] in 0..1; None adds no time.
        mask: bool [clips, n], True where there is a vector; None where all are.
    """
    hidden = (vectors - model.mean) / model.spread
    if "input" in model:
        hidden = model["input"](hidden)
    if places is not None:
        hidden = hidden + waves(places, hidden.shape[-1])
    attend = None if mask is None else mask[:, None, None, :]
    pooler = model["pooler"]
    for layer in pooler.self_attention_layers:
        hidden = layer(hidden, attention_mask=attend)[0]
    queries = pooler.query_tokens.expand(len(hidden), -1, -1)
    found = pooler.cross_attention_layer(queries, hidden, attention_mask=attend)[0]
    classifiers = model["classifiers"].items()
    return {name: linear(found[:, i]) for i, (name, linear) in enumerate(classifiers)}


def waves(places: Any, width: int) -> Any:
    """[..., width] of sines and cosines of places in 0..1, from half a wave up to 32 waves."""
    import torch

    half = (width + 1) // 2
    frequencies = torch.pi * 64 ** torch.linspace(0, 1, half, device=places.device)
    angles = places[..., None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], -1)[..., :width]


def padded(clips: Sequence[Any], device: str) -> tuple[Any, Any, Any]:
    """``(vectors, places, mask)`` of clips of any lengths (``Clip`` or ``TokenClip``), for
    ``logits``."""
    import torch

    longest = max(len(clip.places) for clip in clips)
    read = [clip.vectors for clip in clips]
    vectors = torch.zeros(len(clips), longest, read[0].shape[1])
    places = torch.zeros(len(clips), longest)
    mask = torch.zeros(len(clips), longest, dtype=torch.bool)
    for i, (clip, rows) in enumerate(zip(clips, read, strict=True)):
        count = len(rows)
        vectors[i, :count] = torch.from_numpy(rows)
        places[i, :count] = torch.from_numpy(clip.places)
        mask[i, :count] = True
    return vectors.to(device), places.to(device), mask.to(device)
