"""``training.KEY=VALUE`` of a command line as the settings of a class."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, TypeVar

from egorag.errors import ConfigError, did_you_mean

T = TypeVar("T")


def training_of(cls: type[T], given: Mapping[str, Any]) -> T:
    """An instance of a frozen dataclass of settings; what is not given keeps its default.

    Raises:
        ConfigError: no such setting, or a value the class refuses.
    """
    known = inspect.signature(cls).parameters
    for key in given:
        if key not in known:
            raise ConfigError(f"training has no setting {key!r}{did_you_mean(key, known)}")
    try:
        return cls(**given)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"training: {error}") from error
