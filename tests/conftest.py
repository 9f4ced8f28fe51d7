"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real media and annotations that are not part of the repository; skips where absent."""
    given = os.environ.get("EGORAG_TEST_DATA")
    folder = Path(given) if given else Path(__file__).parents[2] / "shared" / "data"
    if not (folder / "SHA256SUMS").exists():
        pytest.skip(f"real media not found at {folder}; set EGORAG_TEST_DATA to their folder")
    return folder
