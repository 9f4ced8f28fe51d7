"""What each encoder of a run did, exactly, for its summary."""

from __future__ import annotations

from typing import Any

from egorag.encode.base import Encoder
from egorag.errors import EgoragError
from egorag.pipeline.recipe import Recipe


def account(recipe: Recipe) -> dict[str, dict[str, Any]]:
    """By encoder name.

    - ``does``: what it does with a scene, in a line; None if it does not say.
    - ``fingerprint``: the identity of its output.
    - ``space``: where its vectors live; None if it yields text.
    - ``checkpoint``, ``device``, ``dtype``: of a pretrained one, else None.
    """
    return {
        name: {
            "does": _described(encoder),
            "fingerprint": recipe.fingerprints[name],
            "space": None if space is None else space.to_json(),
            "checkpoint": getattr(encoder, "checkpoint", None),
            "device": _device(encoder, recipe.device),
            "dtype": getattr(encoder, "dtype", None),
        }
        for (name, encoder), space in zip(
            recipe.encoders.items(), recipe.spaces.values(), strict=True
        )
    }


def _described(encoder: Encoder) -> str | None:
    describe = getattr(encoder, "describe", None)
    if describe is None:
        return None
    try:
        return str(describe())
    except (EgoragError, NotImplementedError):
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
