"""One small video for all figures."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty seconds."""
    from egorag.sample import make

    path = tmp_path_factory.mktemp("figures") / "day.mp4"
    make(path, seconds=20, seed=1, size=(160, 90))
    return path
