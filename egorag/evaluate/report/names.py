"""Runs called by what differs between their settings."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from egorag import registry
from egorag.terminal import plain

_CLASS = "_target_"
_ABSENT = object()


def names(configs: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> list[str]:
    """A name for each of several composed configs, unlike those of the others.

    A plugin goes by its name, or its class where it has none here. Settings that only one of two
    plugins has do not tell them apart any better, so they are left out; an encoder that some runs
    have is ``+NAME``.

    Args:
        keys: of the runs, to tell apart those of one config (and another code).

    >>> names([{"k": 5, "seed": 0}, {"k": 10, "seed": 0}], ["a", "b"])
    ['k=5', 'k=10']
    >>> names([{"k": 5}], ["a"])
    ['run']
    """
    flat = [_flat(config) for config in configs]
    told = [_differing(one, flat) for one in flat]
    found = [plain(" ".join(words)) or ("base" if any(told) else "run") for words in told]
    twice = Counter(found)
    return [
        name if twice[name] == 1 else f"{name} {key[:8]}"
        for name, key in zip(found, keys, strict=True)
    ]


def settings_of(node: Mapping[str, Any]) -> str:
    """What a plugin was told beside its class.

    >>> settings_of({"_target_": "a.B", "videos": 8, "task": "questions"})
    'videos=8 task=questions'
    """
    return " ".join(f"{k}={_short(v)}" for k, v in _flat(node).items() if k != _CLASS)


def _differing(mine: Mapping[str, Any], every: Sequence[Mapping[str, Any]]) -> list[str]:
    words = []
    for key, value in mine.items():
        node, _, last = key.rpartition(".")
        if last == _CLASS:
            others = [one.get(key, _ABSENT) for one in every]
            if all(other == value for other in others):
                continue
            told = {other for other in others if other is not _ABSENT}
            last = node.rpartition(".")[2]
            words.append(f"{node}={_plugin(node, str(value))}" if len(told) > 1 else f"+{last}")
        else:
            kind = f"{node}.{_CLASS}"
            peers = [one for one in every if one.get(kind, None) == mine.get(kind, None)]
            if _tells(value) and any(one.get(key, _ABSENT) != value for one in peers):
                words.append(f"{key}={_short(value)}")
    return words


def _plugin(node: str, target: str) -> str:
    """What a config calls a class: ``rrf`` for ``egorag.fuse.rrf.ReciprocalRank``."""
    found = [
        name
        for group, called in registry.GROUPS.items()
        if called == node
        for name, point in registry.plugins(group).items()
        if point.value.replace(":", ".") == target
    ]
    return found[0] if len(found) == 1 else target.rpartition(".")[2]


def _flat(node: Any, path: str = "") -> dict[str, Any]:
    """Leaves by dotted key; a list is a leaf."""
    if not isinstance(node, Mapping):
        return {path: node}
    found: dict[str, Any] = {}
    for key, value in node.items():
        found |= _flat(value, f"{path}.{key}" if path else str(key))
    return found


def _tells(value: Any) -> bool:
    """Whether it is more than that something is not there, which the names of the others tell."""
    return value is not None and value != []


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
