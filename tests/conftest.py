"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("egorag", deadline=None)  # slow machines are not mistakes
settings.load_profile("egorag")

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real media and annotations that are not part of the repository; skips where absent."""
    given = os.environ.get("EGORAG_TEST_DATA")
    folder = Path(given) if given else Path(__file__).parents[2] / "shared" / "data"
    if not (folder / "SHA256SUMS").exists():
        pytest.skip(f"real media not found at {folder}; set EGORAG_TEST_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def command() -> Command:
    """Run ``python -m egorag.NAME ARGUMENTS`` as a user does, offline."""

    def run(
        name: str, *arguments: str, timeout: float = 300, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", f"egorag.{name}", *arguments],
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=timeout,
            cwd=cwd,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated clip of 40 s with its ground truth beside it."""
    from egorag.sample import make

    path = tmp_path_factory.mktemp("sample") / "day.mp4"
    make(path, seconds=40, seed=3, size=(480, 270))
    return path


@pytest.fixture(scope="session")
def sample_index(sample: Path, command: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample indexed by the command with its defaults. Read only: tests share it."""
    folder = tmp_path_factory.mktemp("index") / "day"
    done = command("index", f"input={sample}", f"index={folder}")
    assert done.returncode == 0, done.stderr
    return folder
