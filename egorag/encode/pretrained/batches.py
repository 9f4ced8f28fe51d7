"""How much runs at once: a fixed batch, or one found from the GPU's free memory.

Rows must not depend on the batch they were in beyond rounding: encoders pad nothing that is not
masked, and tests compare batch sizes within a stated tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from egorag.encode.pretrained.placement import free_memory
from egorag.errors import EgoragError

T = TypeVar("T")

SHARE = 0.7
"""Of the free memory, the part a batch may take; the rest is for fragmentation and neighbours."""


class Batches:
    """Runs items through a model, a batch at a time.

    Args:
        device: where they run.
        fixed: items at once; None finds out: on a GPU one item is run alone and its memory
            measured, elsewhere ``cpu`` items.
        most: never more than this.
    """

    def __init__(self, device: str, fixed: int | None, cpu: int = 4, most: int = 64) -> None:
        self._device = device
        self._gpu = device.startswith("cuda")
        self._most = fixed or (most if self._gpu else cpu)
        self._size = fixed if fixed or self._gpu else cpu  # None: not found yet

    @property
    def size(self) -> int | None:
        """Items at once; None before a GPU's first batch."""
        return self._size

    def map(self, items: Sequence[T], run: Callable[[Sequence[T]], Any]) -> list[Any]:
        """``run`` over consecutive batches; its results in order.

        A batch that does not fit is halved and run again.

        Raises:
            EgoragError: one item alone does not fit.
        """
        results: list[Any] = []
        at = 0
        while at < len(items):
            if self._size is None:
                self._size = self._find(items[0], run)
            batch = items[at : at + self._size]
            try:
                results.append(run(batch))
            except Exception as error:
                if not _out_of_memory(error):
                    raise
                if self._size == 1 or len(batch) == 1:
                    raise EgoragError(
                        f"one item does not fit into the memory of {self._device}; use a smaller "
                        "preset or frame count, dtype=bfloat16, or device=cpu"
                    ) from error
                self._size = max(1, len(batch) // 2)
                _empty_cache()
                continue
            at += len(batch)
        return results

    def _find(self, item: T, run: Callable[[Sequence[T]], Any]) -> int:
        """From the peak of one item, run twice: the first time also plans and warms up."""
        import torch

        run([item])
        torch.cuda.synchronize(self._device)
        before = torch.cuda.memory_allocated(self._device)
        torch.cuda.reset_peak_memory_stats(self._device)
        run([item])
        torch.cuda.synchronize(self._device)
        each = torch.cuda.max_memory_allocated(self._device) - before
        return fitting(free_memory(self._device), each, self._most)


def fitting(free: int, each: int, most: int) -> int:
    """Items of ``each`` bytes that fit into ``SHARE`` of ``free``, between 1 and ``most``.

    >>> fitting(free=10_000, each=1_000, most=64)
    7
    """
    return max(1, min(most, int(free * SHARE) // max(1, each)))


def _out_of_memory(error: Exception) -> bool:
    import torch

    return isinstance(error, torch.OutOfMemoryError)


def _empty_cache() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
