"""A small sample world and a cache for its indexes, shared by the tests."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the videos of ``worlds.read_world`` are kept."""
    return tmp_path_factory.mktemp("world")


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where their indexes are."""
    return tmp_path_factory.mktemp("cache")
