"""The index folder: made, opened, locked, shared, and refused with words that help."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest

from egorag.errors import StoreError
from egorag.store.folder import IndexFolder
from egorag.types import Query

AXIS = np.eye(8, dtype=np.float32)[0]


def test_what_it_holds(folder, toy) -> None:
    toy.fill(folder, [toy.record("a", ["x"])])
    folder.close()
    names = {p.name for p in folder.path.iterdir()}
    assert names == {"catalog.sqlite", "artifacts", "vectors", "tables", "config.yaml", "lock"}


def test_it_can_be_moved(folder, toy, tmp_path: Path) -> None:
    toy.fill(folder, [toy.record("a", ["x"])])
    folder.close()
    moved = folder.path.rename(tmp_path / os.fsdecode(b"mo'ved #%3f?\n\xff"))
    with IndexFolder.open(moved) as again:
        scope = again.catalog.scope(Query("q"))
        (hit,) = again.vectors.search("toy", AXIS, toy.SPACE, scope, 5)
        assert again.catalog.scene(hit[0]).video == "a"


def test_creating_again_keeps_the_content_and_takes_the_config(folder, toy) -> None:
    toy.fill(folder, [toy.record("a", ["x"])])
    folder.close()
    with IndexFolder.create(folder.path, "seed: 1\n") as again:
        assert [v.id for v in again.catalog.videos()] == ["a"]
        assert again.config() == "seed: 1\n"


def test_opening_what_is_no_index(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"does not exist.*python -m egorag.index input=VIDEO"):
        IndexFolder.open(tmp_path / "nowhere")
    with pytest.raises(StoreError, match=r"is not an index.*python -m egorag.index"):
        IndexFolder.open(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_other_folders_are_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "holiday.mp4").touch()
    with pytest.raises(StoreError, match=r"not an index and not empty.*'holiday.mp4'"):
        IndexFolder.create(tmp_path, "")
    with pytest.raises(StoreError, match="is a file"):
        IndexFolder.create(tmp_path / "holiday.mp4", "")
    assert [p.name for p in tmp_path.iterdir()] == ["holiday.mp4"]


def test_a_killed_creation_can_be_repeated(tmp_path: Path) -> None:
    for name in ("lock", "catalog.sqlite"):
        (tmp_path / name).touch()
        with IndexFolder.create(tmp_path, "x: 1\n") as folder:
            assert folder.catalog.videos() == []


def hold(path: Path, held, done) -> None:
    with IndexFolder.open(path, read_only=False) as folder, folder.writing():
        held.set()
        done.wait(20)


def test_one_writer_at_a_time(folder, toy) -> None:
    spawn = multiprocessing.get_context("fork")
    held, done = spawn.Event(), spawn.Event()
    other = spawn.Process(target=hold, args=(folder.path, held, done))
    other.start()
    try:
        assert held.wait(20)
        with pytest.raises(StoreError, match="another process is writing"), folder.writing():
            pass
        with pytest.raises(StoreError, match="another process is writing"):
            IndexFolder.create(folder.path, "")
        with IndexFolder.open(folder.path) as reader:
            assert reader.catalog.videos() == []
    finally:
        done.set()
        other.join(20)
    with folder.writing():
        pass


def test_writing_cleans_up_after_killed_writers(folder) -> None:
    left = [folder.path / place / ".x.1.tmp" for place in (".", "vectors", "artifacts/tmp")]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with folder.writing():
        assert not any(path.exists() for path in left)


def test_two_indexes_share_artifacts(tmp_path: Path, toy) -> None:
    cache = tmp_path / "cache"
    with IndexFolder.create(tmp_path / "a", "", artifacts=cache) as one:
        toy.fill(one, [toy.record("v", ["x"])])
        (cache / "tmp" / ".being.written.tmp").touch()
    with IndexFolder.create(tmp_path / "b", "", artifacts=cache) as two:
        key = two.artifacts.key(video="v", seed=0, rows=1)
        assert two.artifacts.has(key)
        with two.writing():  # what another index may be writing just now stays
            assert (cache / "tmp" / ".being.written.tmp").exists()
    with IndexFolder.open(tmp_path / "a") as again:
        assert again.artifacts.root == cache
        assert not (tmp_path / "a" / "artifacts").exists()


def test_searching_on_a_read_only_disk(small_disk, toy) -> None:
    path = small_disk("2m") / "index"
    with IndexFolder.create(path, "seed: 0\n") as folder:
        toy.fill(folder, [toy.record("a", ["x"])])
    small_disk("remount,ro")
    with IndexFolder.open(path) as reader:
        scope = reader.catalog.scope(Query("q"))
        assert len(reader.vectors.search("toy", AXIS, toy.SPACE, scope, 5)) == 1
    with pytest.raises(StoreError, match="read-only"):
        IndexFolder.create(path, "seed: 1\n")
    with pytest.raises(StoreError, match="read-only"):
        IndexFolder.create(path.parent / "new", "")
    with IndexFolder.open(path) as reader:
        assert reader.config() == "seed: 0\n"


def without_rights(path: Path, report) -> None:
    """As a user who may read the folder and write nothing in it."""
    try:
        os.setuid(65534)
    except OSError as error:  # a root of its own namespace only
        report.put(error)
        return
    try:
        with IndexFolder.open(path) as reader:
            report.put([v.id for v in reader.catalog.videos()])
        IndexFolder.create(path, "")
    except StoreError as error:
        report.put(str(error))
    except BaseException as error:  # so that the parent says what it was, rather than hang
        report.put(repr(error))


@pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="only root may change user"
)
def test_a_folder_of_another_user(toy, tmp_path: Path) -> None:
    import shutil
    import tempfile

    top = Path(tempfile.mkdtemp())  # pytest's own folders are closed to other users
    try:
        top.chmod(0o755)
        with IndexFolder.create(top / "index", "") as folder:
            toy.fill(folder, [toy.record("a", ["x"])])
        context = multiprocessing.get_context("fork")
        report = context.SimpleQueue()
        child = context.Process(target=without_rights, args=(top / "index", report))
        child.start()
        found = report.get()
        if isinstance(found, OSError):
            pytest.skip(f"this root cannot become another user: {found}")
        assert found == ["a"]
        assert "permission" in report.get()
        child.join(20)
    finally:
        shutil.rmtree(top)
