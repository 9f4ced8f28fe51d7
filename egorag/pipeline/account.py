"""What each encoder of a run did, exactly, for its summary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from egorag.encode.base import Encoder
from egorag.errors import EgoragError
from egorag.pipeline.outcome import Outcome
from egorag.pipeline.recipe import Recipe
from egorag.spaces import QUERY_MEDIA


def account(recipe: Recipe, outcomes: Sequence[Outcome]) -> dict[str, dict[str, Any]]:
    """By encoder name.

    - ``does``: what it does with a scene, in a line; None if it does not say.
    - ``fingerprint``: the identity of its output.
    - ``space``: where its vectors live; None if it yields text.
    - ``checkpoint``, ``device``, ``dtype`` (CTranslate2's compute type): of a pretrained one, else
      None.
    - ``made``, ``reused``: videos it was at work on, and videos whose results were there.
    - ``seconds``: at work, in its own thread; encoders of one pass work side by side.
    """
    return {
        name: {
            "does": _described(encoder),
            "fingerprint": recipe.fingerprints[name],
            "space": None if space is None else space.to_json(),
            "checkpoint": getattr(encoder, "checkpoint", None),
            "device": _device(encoder, recipe.device),
            "dtype": getattr(encoder, "compute_type", getattr(encoder, "dtype", None)),
            "made": sum(name in o.costs for o in outcomes),
            "reused": sum(_reused(o, name) for o in outcomes),
            "seconds": round(sum(o.costs.get(name, 0.0) for o in outcomes), 3),
        }
        for (name, encoder), space in zip(
            recipe.encoders.items(), recipe.spaces.values(), strict=True
        )
    }


def searchable(recipe: Recipe, outcomes: Sequence[Outcome]) -> dict[str, list[str]]:
    """By medium, the encoders whose space takes such a query and that found something, and bm25
    where there is text."""
    found = {e.encoder for o in outcomes if o.record for e in o.record.encodings if e.rows}
    able: dict[str, list[str]] = {medium: [] for medium in QUERY_MEDIA}
    for name, space in recipe.spaces.items():
        for medium in space.queries if space is not None and name in found else ():
            able[medium].append(name)
    if any(o.record and o.record.texts for o in outcomes):
        able["text"].append("bm25")
    return {medium: names for medium, names in able.items() if names}


def _reused(outcome: Outcome, name: str) -> bool:
    made = outcome.record.encodings if outcome.record is not None else ()
    return any(e.encoder == name and e.key and name not in outcome.costs for e in made)


def _described(encoder: Encoder) -> str | None:
    describe = getattr(encoder, "describe", None)
    if describe is None:
        return None
    try:
        return str(describe())
    except EgoragError:
        return None


def _device(encoder: Encoder, device: str) -> str | None:
    """Of encoders that are told where to run by ``on``; the others stay on the CPU."""
    if not hasattr(encoder, "on"):
        return None
    from egorag.encode.pretrained.placement import device_of

    try:
        return device_of(device)
    except ImportError:  # no torch: then only the CPU
        return "cpu"
