"""Killed at random moments, run again: the same catalog rows and artifacts as if undisturbed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from snapshot import artifact_hashes, catalog_rows

LIGHT = ["encoder=[subtitles,speech,sound,picture,minilm]"]


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from egorag.sample import make

    folder = tmp_path_factory.mktemp("videos")
    for seed in range(2):
        make(folder / f"v{seed}.mp4", seconds=12, seed=seed, size=(320, 180))
    return folder


def start(videos: Path, index: Path, extra: list[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "egorag.index", f"input={videos}", f"index={index}", *extra]
    return subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        # Tests started in the background by a shell inherit that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def finish(videos: Path, index: Path, extra: list[str]) -> None:
    process = start(videos, index, extra)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors.decode()


def kills(videos: Path, folder: Path, count: int, extra: list[str], seed: int) -> None:
    began = time.monotonic()
    finish(videos, folder / "whole", extra)
    whole = time.monotonic() - began
    expected = catalog_rows(folder / "whole"), artifact_hashes(folder / "whole")
    assert expected[1], "the undisturbed run made artifacts"

    moments = random.Random(seed)
    index = folder / "killed"
    landed = 0
    for number in range(count):
        process = start(videos, index, extra)
        time.sleep(moments.uniform(0.2, whole))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            landed += 1
        process.communicate()
        if number % 3 == 2 or number == count - 1:
            finish(videos, index, extra)
            assert catalog_rows(index) == expected[0]
            assert artifact_hashes(index) == expected[1]
            shutil.rmtree(index)
    assert landed >= count / 3, "too few kills landed inside the run to prove anything"


def test_a_few_kills(videos: Path, tmp_path: Path) -> None:
    kills(videos, tmp_path, 6, LIGHT, seed=1)


@pytest.mark.slow
def test_fifty_kills_each_followed_by_a_run(videos: Path, tmp_path: Path) -> None:
    """The whole default set; every kill is followed by a complete run."""
    finish(videos, tmp_path / "whole", [])
    began = time.monotonic()
    finish(videos, tmp_path / "again", [])
    whole = time.monotonic() - began
    expected = catalog_rows(tmp_path / "whole"), artifact_hashes(tmp_path / "whole")
    assert (catalog_rows(tmp_path / "again"), artifact_hashes(tmp_path / "again")) == expected
    moments = random.Random(0)
    for _ in range(50):
        index = tmp_path / "killed"
        process = start(videos, index, [])
        time.sleep(moments.uniform(0.3, whole))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        finish(videos, index, [])
        assert catalog_rows(index) == expected[0]
        assert artifact_hashes(index) == expected[1]
        shutil.rmtree(index)


def test_interrupt_keeps_what_was_finished(videos: Path, tmp_path: Path) -> None:
    """Ctrl-C: exit code 130, one line, and the index is readable."""
    index = tmp_path / "index"
    process = start(videos, index, LIGHT)
    deadline = time.monotonic() + 60
    while not any(index.glob("artifacts/*/*")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors.decode()
    assert b"Traceback" not in errors
    finish(videos, index, LIGHT)
    finish(videos, tmp_path / "whole", LIGHT)
    assert catalog_rows(index) == catalog_rows(tmp_path / "whole")


def test_a_changed_setting_recomputes_exactly_what_depends_on_it(
    videos: Path, tmp_path: Path
) -> None:
    index = tmp_path / "index"
    extra = ["encoder=[subtitles,speech,sound,picture,minilm]"]
    finish(videos, index, extra)
    before = artifact_hashes(index)
    finish(videos, index, [*extra, "segmenter=fixed", "segmenter.seconds=4"])
    after = artifact_hashes(index)
    assert before.items() <= after.items()
    # new per video: the scenes, and what is encoded scene by scene: sound, picture, text
    assert len(after) - len(before) == 2 * 4
    finish(videos, index, [*extra, "segmenter=fixed", "segmenter.seconds=4", "events.seconds=5"])
    assert artifact_hashes(index) == after


def test_readers_never_see_a_half_written_video(videos: Path, tmp_path: Path) -> None:
    """Two readers search while a writer indexes: no error, and every visible video is whole."""
    index = tmp_path / "index"
    finish(videos / "v0.mp4", index, LIGHT)
    finish(videos, tmp_path / "whole", LIGHT)
    reader = f"""
import sys, time, egorag
seen = set()
stop = time.monotonic() + float(sys.argv[1])
while time.monotonic() < stop:
    with egorag.open({str(index)!r}) as index:
        hits = index.search("the red mug", k=50)
        assert hits
        for video in index.videos():
            scenes = index.scenes(video.id, "scene")
            assert scenes[0].span.start == 0 and scenes[-1].span.end == video.duration
            assert all(a.span.end == b.span.start for a, b in zip(scenes, scenes[1:]))
            rows = len(index.embeddings(video.id).scenes)
            seen.add((video.id, len(scenes), len(index.texts(video.id)), rows))
print(sorted(seen))
"""
    readers = [
        subprocess.Popen([sys.executable, "-c", reader, "8"], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    finish(videos, index, LIGHT)
    outputs = [r.communicate(timeout=120)[0] for r in readers]
    assert [r.returncode for r in readers] == [0, 0]
    for output in outputs:
        views = eval(output)
        assert len({v[0] for v in views}) == len(views), "a video was seen in two states"
