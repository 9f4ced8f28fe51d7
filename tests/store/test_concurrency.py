"""A writer killed at any moment, and readers while one writes: never a half-written video."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from egorag.spaces import EmbeddingSpace
from egorag.store.folder import IndexFolder
from egorag.store.fulltext import search_text
from egorag.types import Query

WRITER = Path(__file__).with_name("writer_process.py")
SPACE = EmbeddingSpace("toy", "1", 8, True, frozenset({"text"}))
VIDEOS, SCENES = 6, 12  # as the writer makes them


class Writers:
    """Starts writers, one at a time; see ``writer_process.py``."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(WRITER)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, index: Path, rounds: int) -> int:
        """Its process id."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{rounds} {index}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def end(self) -> int:
        """Waits for it; its exit status."""
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def run(self, index: Path, rounds: int) -> None:
        self.start(index, rounds)
        assert self.end() == 0


@pytest.fixture(scope="module")
def writers() -> Iterator[Writers]:
    made = Writers()
    yield made
    made.process.communicate()


def check(reader: IndexFolder) -> int:
    """That one moment of the index is consistent in itself; returns how many videos it shows."""
    catalog = reader.catalog
    with catalog.snapshot():
        videos = catalog.videos()
        scope = catalog.scope(Query("q"))
        assert len(scope.ids) == len(videos) * SCENES
        said = search_text(catalog, "common", scope, 1000)
        assert len(said) == len(scope.ids)
        for video in videos:
            record = catalog.record(video.id)
            assert record is not None and len(record.scenes) == SCENES
            told = {text.text for text in record.texts}
            told |= {text.speech.split()[0] for text in record.documents.values()}
            assert told == {record.segmentation}
        if videos:
            near = np.ones(8, np.float32)
            found = reader.vectors.search("toy", near, SPACE, scope, 1000)
            assert {id for id, _ in found} == set(scope.ids.tolist())
        return len(videos)


def state(index: Path) -> dict[str, list[str]]:
    """Rows of the catalog (but FTS5's segments) and hashes of all other files."""
    found = {
        str(path.relative_to(index)): [hashlib.sha256(path.read_bytes()).hexdigest()]
        for path in sorted(index.rglob("*"))
        if path.is_file() and not path.name.startswith("catalog.sqlite")
    }
    with sqlite3.connect(index / "catalog.sqlite") as db:
        db.execute("INSERT INTO fulltext(fulltext) VALUES ('integrity-check')")
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        for name in ("state", "encoders", "videos", "scenes", "texts", "encodings", "documents"):
            found[name] = sorted(map(repr, db.execute(f"SELECT * FROM {name}")))
    return found


def test_kills_at_random_moments_leave_no_trace(tmp_path: Path, writers: Writers) -> None:
    writers.run(tmp_path / "calm", 1)
    undisturbed = state(tmp_path / "calm")
    rng = random.Random(0)
    killed = attempt = 0
    while attempt < 5 or (killed <= 5 and attempt < 60):  # each index is killed until it is whole
        attempt += 1
        index, seen, status, longest = tmp_path / f"index{attempt}", [0], 1, 0.05
        while status:
            pid = writers.start(index, 1)
            time.sleep(rng.uniform(0, longest))
            longest *= 1.3  # so that slow machines end too
            with contextlib.suppress(ProcessLookupError):  # it was faster
                os.kill(pid, signal.SIGKILL)
            status = writers.end()
            killed += status == signal.SIGKILL
            if (index / "catalog.sqlite").exists() and (index / "config.yaml").exists():
                with IndexFolder.open(index, device="cpu") as reader:
                    seen.append(check(reader))
        assert state(index) == undisturbed
        assert seen == sorted(seen)  # nothing that was finished is ever lost
    assert killed > 5


def test_two_readers_while_a_writer_writes(tmp_path: Path, writers: Writers) -> None:
    index = tmp_path / "index"
    writers.run(index, 1)
    generations: list[set[int]] = [set(), set()]
    errors: list[BaseException] = []
    done = threading.Event()

    def read(number: int) -> None:
        try:
            with IndexFolder.open(index, device="cpu") as reader:
                while not done.is_set():
                    generations[number].add(reader.catalog.generation())
                    assert check(reader) == VIDEOS
                    time.sleep(0.01)
        except BaseException as error:  # handed to the test's own thread below
            errors.append(error)

    readers = [threading.Thread(target=read, args=(i,)) for i in range(2)]
    for thread in readers:
        thread.start()
    writers.run(index, 12)
    done.set()
    for thread in readers:
        thread.join(60)
    assert not errors, errors
    assert all(len(seen) > 2 for seen in generations)  # they did see the index change


def test_one_folder_object_serves_many_threads(folder, toy) -> None:
    toy.fill(folder, [toy.record(v, ["common words"] * 5) for v in ("a", "b")])
    errors: list[BaseException] = []
    answers: list[list[tuple[int, float]]] = []

    def search() -> None:
        try:
            for until in (None, 3.0, 7.0) * 20:
                scope = folder.catalog.scope(Query("q", until=until))
                found = search_text(folder.catalog, "common", scope, 9)
                if until is None:
                    answers.append(found)
        except BaseException as error:  # handed to the test's own thread below
            errors.append(error)

    threads = [threading.Thread(target=search) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors, errors
    assert len(answers) == 80 and all(answer == answers[0] for answer in answers)
