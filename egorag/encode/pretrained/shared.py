"""One model for all that use it: loaded by the first, closed by the last."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False)
class Held:
    """A loaded model. Encoders run in threads of their own: hold ``lock`` while it computes."""

    key: Hashable
    model: Any
    lock: threading.RLock = field(default_factory=threading.RLock)
    users: int = 1


_held: dict[Hashable, Held] = {}
_guard = threading.RLock()


def acquire(key: Hashable, load: Callable[[], Any]) -> Held:
    """What is held under ``key``, loaded now if nobody holds it. Pair with ``release``."""
    with _guard:
        if key in _held:
            _held[key].users += 1
        else:
            _held[key] = Held(key, load())
        return _held[key]


def release(held: Held) -> None:
    """Give one use back; the last one frees the memory."""
    with _guard:
        held.users -= 1
        if held.users == 0:
            del _held[held.key]
            held.model = None
            free()


def free() -> None:
    """Return memory that nobody refers to any more to the system and the GPU."""
    import sys

    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
