"""Plugins by entry point: the only classes a config may instantiate.

A group (``egorag.encoders``, ``egorag.segmenters``, ...) maps a name to ``module:Class``. Nothing
is imported until a plugin is asked for, so a broken one fails alone, by name. Two packages that
claim one name are an error, never an override. ``register`` adds a class to this process alone, to
try it out before it is a package.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from egorag.errors import ConfigError, EgoragError, did_you_mean

T = TypeVar("T")

GROUPS = {
    "encoders": "encoder",
    "segmenters": "segmenter",
    "fusers": "fuser",
    "strategies": "strategy",
    "rerankers": "reranker",
    "selectors": "selector",
    "planners": "planner",
    "answerers": "answerer",
    "benchmarks": "benchmark",
    "trackers": "tracker",
}
"""What the config calls one of each group."""

_registered: dict[str, dict[str, type[Any]]] = {}


def register(name: str, cls: type[Any], group: str = "encoders") -> None:
    """Let configs of this process choose ``cls`` as ``name``, as if a package had brought it.

    An index made with it can be searched where the same class is registered under its own module
    and name; elsewhere it is told by name. Registering a class anew (running a cell of a notebook
    again) replaces it. Its results on disk are kept by its fingerprint: raise the version there
    when the same input gives another output.

    Raises:
        ConfigError: unknown group, no fit name, or one that another class has.

    >>> from fractions import Fraction
    >>> register("minilm", Fraction)
    Traceback (most recent call last):
    egorag.errors.ConfigError: 'minilm' is egorag.encode.minilm.MiniLM already; choose another name
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ConfigError(f"a plugin's name is small letters, digits and _, not {name!r}")
    taken = {known: point.value.replace(":", ".") for known, point in plugins(group).items()}
    here = _registered.setdefault(group, {})
    taken |= {known: target_of(other) for known, other in here.items()}
    if taken.get(name, target_of(cls)) != target_of(cls):
        raise ConfigError(f"{name!r} is {taken[name]} already; choose another name")
    here[name] = cls


def registered(group: str) -> Mapping[str, type[Any]]:
    """What ``register`` added to a group, by name."""
    return dict(_registered.get(group, {}))


def target_of(cls: type[Any]) -> str:
    """A class as ``_target_`` names it."""
    return f"{cls.__module__}.{cls.__qualname__}"


@functools.cache
def plugins(group: str) -> dict[str, EntryPoint]:
    """Entry points of one group by name.

    Raises:
        ConfigError: unknown group, or one name claimed by two different classes.
    """
    if group not in GROUPS:
        raise ConfigError(f"unknown plugin group {group!r}{did_you_mean(group, GROUPS)}")
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=f"egorag.{group}"):
        other = found.get(point.name)
        if other is not None and other.value != point.value:
            raise ConfigError(
                f"two plugins are called {point.name!r} in egorag.{group}: {other.value} and "
                f"{point.value}; uninstall one of the two packages or rename its entry point"
            )
        found[point.name] = point
    return found


def load(group: str, target: str) -> type[Any]:
    """Import the class behind ``target``, given as the config's dotted ``module.Class``.

    Raises:
        ConfigError: not a registered plugin of this group, or its module cannot be imported.
    """
    by_target = {p.value.replace(":", "."): p for p in plugins(group).values()}
    for cls in registered(group).values():
        if target_of(cls) == target:
            return cls
    point = by_target.get(target)
    if point is None:
        raise ConfigError(
            f"{target!r} is not a registered plugin of egorag.{group}"
            f"{did_you_mean(target, by_target)}. Declare it as an entry point of its package, "
            "or egorag.register() it in this process"
        )
    try:
        loaded = point.load()
    except EgoragError:
        raise
    except Exception as error:
        raise ConfigError(
            f"plugin {point.name!r} ({point.value}) cannot be imported: "
            f"{type(error).__name__}: {error}"
        ) from error
    assert isinstance(loaded, type)
    return loaded


@contextlib.contextmanager
def closing(plugin: T) -> Iterator[T]:
    """``plugin``, closed afterwards if it can be: a model that it holds gives its memory back."""
    try:
        yield plugin
    finally:
        close = getattr(plugin, "close", None)
        if close is not None:
            close()


def build(group: str, name: str, settings: Mapping[str, Any]) -> Any:
    """Instantiate the plugin that ``settings["_target_"]`` names with the other settings.

    Args:
        group: one of ``GROUPS``.
        name: how the config calls it; used in messages.
        settings: plain data, as OmegaConf's ``to_container`` gives it.

    Raises:
        ConfigError: no target, an unregistered target, a mistyped key, a value it refuses.
    """
    arguments = dict(settings)
    target = arguments.pop("_target_", None)
    if not isinstance(target, str):
        raise ConfigError(
            f"{group}.{name} is not chosen in this config, so it cannot be tuned"
            f"{did_you_mean(name, plugins(group))}. Add it first (+{GROUPS[group]}={name})"
        )
    cls = load(group, target)
    known = inspect.signature(cls).parameters
    if lacks := [n for n, p in known.items() if p.default is p.empty and n not in arguments]:
        raise ConfigError(f"{group}.{name} needs a value for {' and '.join(lacks)}")
    for key in arguments:
        if key not in known:
            raise ConfigError(f"{group}.{name} has no setting {key!r}{did_you_mean(key, known)}")
    try:
        return cls(**arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{group}.{name}: {error}") from error


def methods(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The plugins that search and ask share, by name, from a command's settings.

    Raises:
        ConfigError: as ``build``.
    """
    return {
        GROUPS[group]: build(group, GROUPS[group], settings[GROUPS[group]])
        for group in ("fusers", "strategies", "rerankers", "selectors", "planners")
    }
