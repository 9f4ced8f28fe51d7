"""Which encoders are in memory together: passes over the videos within a memory budget.

The rule, with the encoders in the config's order:

1. Encoders with equal ``share_key()`` use one model: one bundle, its weights counted once. A
   bundle larger than the budget is split.
2. Bundles are packed first-fit decreasing: the largest first (the config's order on ties), each
   into the first pass that has room, else into a new one. One that is larger than the budget gets
   a pass of its own, and a warning.
3. What needs no memory worth counting goes into the first pass if it reads media.
4. Text encoders run after all others: they join the last pass while there is room, then passes
   of their own follow. A pass whose model a text encoder shares is therefore put last, and one
   that reads subtitles first (others stand back for what it finds). Before all goes the pass of
   the encoder whose moments scenes are cut by.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from egorag.encode.base import Encoder, Medium
from egorag.errors import ConfigError

SHARE = 0.8
"""Of the free memory, the part that ``memory=auto`` plans with."""

_UNITS = {"": 1e9, "GB": 1e9, "MB": 1e6, "GIB": 2.0**30, "MIB": 2.0**20}


@dataclass(frozen=True)
class Group:
    """Encoders that are in memory together; ``bytes`` is about what they need."""

    encoders: tuple[str, ...]
    bytes: int


@dataclass(frozen=True)
class Plan:
    """The passes of a run, at least one.

    Attributes:
        budget: bytes; None if no encoder needs any worth counting.
        warnings: what may not fit, one line each.
    """

    groups: tuple[Group, ...]
    budget: int | None = None
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        told = "; ".join(
            f"{number}. {', '.join(group.encoders)} ({gigabytes(group.bytes)})"
            for number, group in enumerate(self.groups, 1)
        )
        within = f" within {gigabytes(self.budget)}" if self.budget is not None else ""
        return f"{len(self.groups)} pass{'es' * (len(self.groups) > 1)}{within}: {told}"

    def to_json(self) -> list[dict[str, Any]]:
        """One object a pass: its encoders and about how many bytes they need."""
        return [{"encoders": list(g.encoders), "bytes": g.bytes} for g in self.groups]


def plan_passes(
    encoders: Mapping[str, Encoder], memory: int | None, device: str, first: str | None = None
) -> Plan:
    """The passes for these encoders.

    Args:
        memory: the budget in bytes; None takes ``SHARE`` of what is free on ``device`` now.
        first: the encoder that must be in the first pass.
    """
    needs = {name: _Need.of(name, encoder) for name, encoder in encoders.items()}
    if not any(need.total for need in needs.values()):
        return Plan((Group(tuple(encoders), 0),))
    budget = memory if memory is not None else round(SHARE * _free(device))
    passes = _Packing(encoders, needs, budget, first).passes()
    order = {name: number for number, name in enumerate(encoders)}
    groups = [Group(tuple(sorted(p, key=order.__getitem__)), _cost(needs, p)) for p in passes]
    too_large = [name for name, need in needs.items() if need.total > budget]
    return Plan(tuple(groups), budget, tuple(_warning(needs[name], budget) for name in too_large))


def memory_of(value: object) -> int | None:
    """The setting ``memory`` in bytes; None for ``auto``.

    >>> memory_of(8), memory_of("1.5GB"), memory_of("512 MiB"), memory_of("auto")
    (8000000000, 1500000000, 536870912, None)
    """
    if value is None or value == "auto":
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", str(value).strip())
    unit = _UNITS.get(found[2].upper()) if found else None
    if isinstance(value, bool) or found is None or unit is None or float(found[1]) <= 0:
        raise ConfigError(
            f"memory must be auto, a number of GB, or such as 8GB, 500MB or 8GiB; got {value!r}"
        )
    return math.ceil(float(found[1]) * unit)


def gigabytes(count: float) -> str:
    """Bytes for a person.

    >>> gigabytes(4_140_000_000), gigabytes(12_000_000)
    ('4.1 GB', '0.012 GB')
    """
    return f"{count / 1e9:.1f} GB" if count >= 5e7 or not count else f"{count / 1e9:.2g} GB"


@dataclass(frozen=True)
class _Need:
    """Bytes of one encoder: its weights, known by ``key``, and what it works with."""

    name: str
    key: object
    weights: int
    working: int

    @property
    def total(self) -> int:
        return self.weights + self.working

    @classmethod
    def of(cls, name: str, encoder: Encoder) -> _Need:
        plugin: Any = encoder
        total = round(plugin.memory()) if hasattr(plugin, "memory") else 0
        shares = hasattr(plugin, "share_key") and hasattr(plugin, "weights_memory")
        weights = min(total, round(plugin.weights_memory())) if shares else total
        return cls(name, plugin.share_key() if shares else (name,), weights, total - weights)


def _cost(needs: Mapping[str, _Need], names: Iterable[str]) -> int:
    """What these take together: weights that several use count once."""
    chosen = [needs[name] for name in names]
    weights: dict[object, int] = {}
    for need in chosen:
        weights[need.key] = max(weights.get(need.key, 0), need.weights)
    return sum(weights.values()) + sum(need.working for need in chosen)


class _Packing:
    def __init__(
        self,
        encoders: Mapping[str, Encoder],
        needs: Mapping[str, _Need],
        budget: int,
        first: str | None,
    ) -> None:
        self._needs = needs
        self._budget = budget
        self._first = first
        self._names = list(encoders)
        self._texts = {n for n, e in encoders.items() if e.medium is Medium.TEXT}
        self._cues = {n for n, e in encoders.items() if e.medium is Medium.CUES}

    def passes(self) -> list[list[str]]:
        heavy = [name for name in self._names if self._needs[name].total]
        bundles = [part for bundle in self._bundles(heavy) for part in self._split(bundle)]
        reads_media = [bundle for bundle in bundles if not self._texts.issuperset(bundle)]
        packed = sorted(self._pack(reads_media, []), key=self._place)
        later = [bundle for bundle in bundles if self._texts.issuperset(bundle)]
        for group in packed[:-1]:  # its text encoders would run before the media are read
            early = [name for name in group if name in self._texts]
            group[:] = [name for name in group if name not in self._texts]
            later += [early] if early else []
        light = [name for name in self._names if not self._needs[name].total]
        media = [name for name in light if name not in self._texts]
        if packed:
            packed[0] += media
        elif media:
            packed = [media]
        packed[-1:] = self._pack(later, packed[-1:])
        packed[-1] += [name for name in light if name in self._texts]
        return packed

    def _bundles(self, names: Sequence[str]) -> list[list[str]]:
        by_key: dict[object, list[str]] = {}
        for name in names:
            by_key.setdefault(self._needs[name].key, []).append(name)
        return list(by_key.values())

    def _split(self, bundle: list[str]) -> list[list[str]]:
        """Parts within the budget, of encoders that share a model."""
        if _cost(self._needs, bundle) <= self._budget:
            return [bundle]
        return self._first_fit([[name] for name in bundle], [])

    def _pack(self, bundles: list[list[str]], passes: list[list[str]]) -> list[list[str]]:
        largest_first = sorted(bundles, key=lambda b: -_cost(self._needs, b))
        return self._first_fit(largest_first, passes)

    def _first_fit(self, bundles: list[list[str]], passes: list[list[str]]) -> list[list[str]]:
        packed = [list(group) for group in passes]
        for bundle in bundles:
            for group in packed:
                together = _cost(self._needs, [*group, *bundle])
                if together <= self._budget or not _cost(self._needs, group):
                    group += bundle
                    break
            else:
                packed.append(list(bundle))
        return packed

    def _place(self, group: list[str]) -> int:
        """Whose moments are waited for, readers of subtitles, ..., a model that text shares."""
        if self._first in group:
            return -1
        if self._cues.intersection(group):
            return 0
        return 2 if self._texts.intersection(group) else 1


def _warning(need: _Need, budget: int) -> str:
    return (
        f"encoder {need.name} needs about {gigabytes(need.total)} of memory, more than the budget "
        f"of {gigabytes(budget)}; it runs in a pass of its own and may not fit. A smaller preset "
        "or dtype=bfloat16 needs less; memory=...GB sets the budget"
    )


def _free(device: str) -> int:
    from egorag.encode.pretrained.placement import device_of, free_memory

    try:
        return free_memory(device_of(device))
    except ImportError:  # no torch: whatever these encoders are, they run on the CPU
        return free_memory("cpu")
