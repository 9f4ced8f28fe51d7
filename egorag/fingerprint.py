"""Fingerprints: the identity of a plugin's output, used in the keys of stored artifacts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, is_dataclass
from typing import Any


def fingerprint_of(plugin: Any, *, version: int, **extra: Any) -> str:
    """Hash a plugin's class, ``version`` (raise it when the code's output changes) and settings.

    Fields whose metadata says ``affects_output=False`` (device, threads, batch size) stay out.
    ``extra`` holds what the fields do not: a checkpoint's hash, a library's version.

    Raises:
        TypeError: ``plugin`` is not a dataclass.
    """
    if not is_dataclass(plugin):
        raise TypeError(f"{type(plugin).__name__} must be a dataclass to be fingerprinted")
    settings = {
        f.name: getattr(plugin, f.name)
        for f in fields(plugin)
        if f.metadata.get("affects_output", True)
    }
    cls = type(plugin)
    identity = {
        "class": f"{cls.__module__}.{cls.__qualname__}",
        "version": version,
        "settings": settings,
        "extra": extra,
    }
    text = json.dumps(identity, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
