"""egorag: question answering over long video with timestamps that were checked.

    index = egorag.build("kitchen.mp4", "runs/kitchen", overrides=["+encoder=clap"])
    index = egorag.open("runs/kitchen")
    index.search("open the fridge", k=5)
    index.ask("Where did I leave the knife?")

Importing it imports nothing heavy; the names below are loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from egorag.api import Index, build
    from egorag.api import open_index as open
    from egorag.errors import EgoragError
    from egorag.registry import register
    from egorag.spans import Span
    from egorag.store.embeddings import load_embeddings

_LAZY = {
    "EgoragError": ("egorag.errors", "EgoragError"),
    "Index": ("egorag.api", "Index"),
    "Span": ("egorag.spans", "Span"),
    "build": ("egorag.api", "build"),
    "load_embeddings": ("egorag.store.embeddings", "load_embeddings"),
    "open": ("egorag.api", "open_index"),
    "register": ("egorag.registry", "register"),
}

__all__ = [
    "EgoragError", "Index", "Span", "__version__", "build", "load_embeddings", "open", "register",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        module, attribute = _LAZY[name]
        return getattr(import_module(module), attribute)
    raise AttributeError(f"module 'egorag' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
