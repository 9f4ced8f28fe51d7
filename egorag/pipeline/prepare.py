"""Before the first video: packages and weights of every encoder are here, or the run ends.

A run takes hours. What would stop it is found out first, all of it, and told at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace

from egorag.encode.base import Encoder
from egorag.encode.pretrained.placement import device_of
from egorag.errors import EgoragError
from egorag.pipeline.models import SetupError
from egorag.pipeline.recipe import Recipe


def prepare(recipe: Recipe) -> Recipe:
    """The recipe with every encoder settled for its device and its weights on this machine.

    Only here may a run reach the network, and only through an encoder's ``fetch``. Nothing is
    downloaded while a package is missing or the device is not there.

    Raises:
        SetupError: names every encoder that cannot run, and what mends it.
        ConfigError: the device is not there.
    """
    encoders = recipe.encoders
    _each(encoders, "check_packages")
    if any(hasattr(encoder, "on") for encoder in encoders.values()):
        with contextlib.suppress(ImportError):  # encoders without torch run where they can
            device_of(recipe.device)
    settled = {name: _settled(encoder, recipe.device) for name, encoder in encoders.items()}
    _each(settled, "fetch")
    return replace(recipe, encoders=settled)


def _each(encoders: Mapping[str, Encoder], step: str) -> None:
    """Have every encoder that knows this step do it; one error for all that cannot."""
    problems: dict[str, str] = {}
    for name, encoder in encoders.items():
        do: Callable[[], object] | None = getattr(encoder, step, None)
        if do is None:
            continue
        try:
            do()
        except (EgoragError, ImportError, OSError) as error:
            problems[name] = _told(name, error)
    if not problems:
        return
    listed = "".join(f"\n  {name}: {told}" for name, told in problems.items())
    count = f"{len(problems)} encoders are" if len(problems) > 1 else "an encoder is"
    raise SetupError(
        f"{count} not ready, so nothing was indexed:{listed}\n"
        "python -m egorag.doctor tells what each encoder needs; ~encoders.NAME leaves one out"
    )


def _told(name: str, error: Exception) -> str:
    said = str(error).replace("encoders.NAME.", f"encoders.{name}.") or type(error).__name__
    mend = getattr(error, "mend", None)
    return f"{said}; run: {mend}" if isinstance(mend, str) and mend not in said else said


def _settled(encoder: Encoder, device: str) -> Encoder:
    """An encoder with what it leaves to the device settled, so that its fingerprint is final."""
    settle = getattr(encoder, "on", None)
    placed: Encoder = settle(device) if settle is not None else encoder
    return placed
