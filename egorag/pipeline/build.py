"""From a composed config to an index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from egorag.media.inputs import Input
from egorag.pipeline.batch import Summary, index_all
from egorag.pipeline.prepare import prepare
from egorag.pipeline.progress import Observer
from egorag.pipeline.recipe import Recipe
from egorag.store.folder import IndexFolder


def build_from(settings: Mapping[str, Any], inputs: Sequence[Input], watch: Observer) -> Summary:
    """Index ``inputs`` as the composed config of ``index`` says.

    Raises:
        SetupError: before anything is written: packages or weights of an encoder are missing.
    """
    import yaml

    recipe = prepare(Recipe.from_settings(settings))
    kept = {k: v for k, v in settings.items() if k not in ("input", "index", "output")}
    shared = settings.get("artifacts")
    folder = IndexFolder.create(
        Path(settings["index"]),
        yaml.safe_dump(kept, sort_keys=True, allow_unicode=True),
        artifacts=Path(shared) if shared else None,
        exact_up_to=settings.get("exact_up_to"),
    )
    return index_all(inputs, recipe, folder, watch)
