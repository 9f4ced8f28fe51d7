"""Vector search against brute force; files that are missing, damaged or stale."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from egorag.errors import ConfigError, SpaceError, StoreError
from egorag.spaces import EmbeddingSpace
from egorag.store.catalog import EncoderRow, Encoding
from egorag.store.faiss_index import pick_device
from egorag.store.folder import IndexFolder
from egorag.store.means import all_levels, weighted_mean
from egorag.types import LEVELS, Query

QUERY = np.linspace(-1, 1, 8, dtype=np.float32)
EVERYTHING = Query("q", levels=LEVELS)


@pytest.fixture(scope="module")
def filled(tmp_path_factory, toy):
    with IndexFolder.create(tmp_path_factory.mktemp("v") / "index", "", device="cpu") as folder:
        toy.fill(folder, [toy.record(f"v{i}", ["x"] * (3 + i)) for i in range(6)])
        yield folder


def brute_force(folder: IndexFolder, scope, query) -> dict[int, float]:
    """Inner products with every allowed scene's vector, all from the artifacts, one by one."""
    expected = {}
    for video in folder.catalog.videos():
        vectors, spans = folder.artifacts.read_vectors(
            folder.catalog.encodings(video.id)["toy"].key
        )
        for scene in folder.catalog.scenes(video.id):
            inside = [i for i, s in enumerate(spans) if s.overlap(scene.span)]
            total = sum(vectors[i].astype(float) * spans[i].duration for i in inside)
            expected[scene.id] = float(query @ (total / np.linalg.norm(total)))
    return {id: expected[id] for id in scope.ids.tolist()}


@settings(max_examples=60, deadline=None)
@given(
    query=st.lists(st.floats(-1, 1, width=32), min_size=8, max_size=8),
    k=st.integers(1, 60),
    until=st.none() | st.integers(0, 17),
    levels=st.sets(st.sampled_from(LEVELS), min_size=1).map(tuple),
)
def test_search_is_exact_on_every_scope(filled, toy, query, k, until, levels) -> None:
    vector = np.array(query, dtype=np.float32)
    scope = filled.catalog.scope(Query("q", until=until, levels=levels))
    found = filled.vectors.search("toy", vector, toy.SPACE, scope, k)
    expected = brute_force(filled, scope, vector)
    assert len(found) == min(k, len(expected))
    best = sorted(expected.values(), reverse=True)[:k]
    assert [s for _, s in found] == pytest.approx(best, abs=1e-5)
    for id, score in found:
        assert score == pytest.approx(expected[id], abs=1e-5)


def test_not_normalised_spaces_use_distance(folder, toy) -> None:
    space = EmbeddingSpace("plain", "1", 2, False, frozenset({"image"}))
    record = toy.record("v", ["a", "b"])
    leaves = [s for s in record.scenes if s.level == 0]
    vectors = np.float32([[3, 4], [10, 0]])
    stored = folder.artifacts.write_vectors("0" * 64, vectors, [s.span for s in leaves], {})
    made = Encoding("p", "f", "vectors", stored.key, stored.sha256, 2)
    folder.catalog.write_encoders([EncoderRow("p", "f", space, {})])
    folder.catalog.write_video(replace(record, encodings=(made,)))
    scope = folder.catalog.scope(Query("q"))
    found = folder.vectors.search("p", np.zeros(2, np.float32), space, scope, 5)
    assert found == [(leaves[0].id, -5.0), (leaves[1].id, -10.0)]


def test_what_lies_outside_the_scope_changes_nothing(folder, toy) -> None:
    toy.fill(folder, [toy.record("m", ["x"] * 5)])
    query = Query("q", videos=("m",), until=9.0, levels=LEVELS)
    asked = "toy", QUERY, toy.SPACE
    before = folder.vectors.search(*asked, folder.catalog.scope(query), 50)
    toy.fill(folder, [toy.record(v, ["x"] * 40) for v in ("a", "z")])
    assert folder.vectors.search(*asked, folder.catalog.scope(query), 50) == before


def test_equal_vectors_come_in_order_of_video_and_start(folder, toy) -> None:
    records = [toy.record(v, ["x"] * 4) for v in ("c", "a", "b")]
    folder.catalog.write_encoders([toy.ENCODER])
    for record in records:
        leaves = [s for s in record.scenes if s.level == 0]
        same = np.zeros((4, 8), np.float32)
        same[:, 0] = 1
        key = folder.artifacts.key(v=record.video.id)
        stored = folder.artifacts.write_vectors(key, same, [s.span for s in leaves], {})
        made = Encoding("toy", toy.ENCODER.fingerprint, "vectors", key, stored.sha256, 4)
        folder.catalog.write_video(replace(record, encodings=(made,)))
    expected = [s.id for s in folder.catalog.scenes(level=0)]
    scope = folder.catalog.scope(Query("q"))
    for k in (3, 12):
        found = folder.vectors.search("toy", QUERY, toy.SPACE, scope, k)
        assert [id for id, _ in found] == expected[:k]


def test_spaces_are_never_mixed(filled, toy) -> None:
    scope = filled.catalog.scope(EVERYTHING)
    with pytest.raises(SpaceError, match="cannot be compared"):
        filled.vectors.search("toy", QUERY, replace(toy.SPACE, revision="2"), scope, 5)
    with pytest.raises(ConfigError, match=r"no vectors of encoder 'toi'.*did you mean 'toy'"):
        filled.vectors.search("toi", QUERY, toy.SPACE, scope, 5)
    for wrong in (QUERY[:7], QUERY[None], QUERY * np.float32(np.nan)):
        with pytest.raises(ValueError, match="query"):
            filled.vectors.search("toy", wrong, toy.SPACE, scope, 5)


def test_an_empty_scope_and_an_empty_index(folder, filled, toy) -> None:
    nothing = filled.catalog.scope(Query("q", until=-1))
    assert filled.vectors.search("toy", QUERY, toy.SPACE, nothing, 5) == []
    folder.catalog.write_encoders([toy.ENCODER])
    scope = folder.catalog.scope(EVERYTHING)
    assert folder.vectors.search("toy", QUERY, toy.SPACE, scope, 5) == []
    folder.vectors.refresh()
    assert folder.vectors.search("toy", QUERY, toy.SPACE, scope, 5) == []


# Files


def ask(folder: IndexFolder, toy) -> list[tuple[int, float]]:
    with IndexFolder.open(folder.path, device="cpu") as reader:
        scope = reader.catalog.scope(EVERYTHING)
        return reader.vectors.search("toy", QUERY, toy.SPACE, scope, 99)


def contents(folder: IndexFolder) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted((folder.path / "vectors").iterdir())}


def saved(folder: IndexFolder, name: str = "toy"):
    (path,) = (folder.path / "vectors").glob(f"{name}.*.safetensors")
    return path


def flip(path, share: float = 0.5) -> None:
    data = bytearray(path.read_bytes())
    data[int(len(data) * share)] ^= 1
    path.write_bytes(data)


def flip_row(path) -> None:
    """One bit of the last number of the rows: it is the least of the mantissa."""
    _, end = json.loads(path.read_bytes()[8:8192])["rows"]["data_offsets"]
    data = bytearray(path.read_bytes())
    data[8192 + end - 4] ^= 1
    path.write_bytes(data)


def rewrite_header(path, header: bytes) -> None:
    data = path.read_bytes()
    path.write_bytes(len(header).to_bytes(8, "little") + header.ljust(8184) + data[8192:])


DAMAGES = {
    "missing": lambda p: p.unlink(),
    "folder missing": lambda p: [p.unlink(), p.parent.rmdir()],
    "empty": lambda p: p.write_bytes(b""),
    "cut": lambda p: p.write_bytes(p.read_bytes()[:-1]),
    "longer": lambda p: p.write_bytes(p.read_bytes() + b"x"),
    "a row changed": flip_row,
    "ids changed": lambda p: flip(p, 0.97),
    "header garbage": lambda p: rewrite_header(p, b"\xff{"),
    "header a list": lambda p: rewrite_header(p, b"[]"),
    "header empty": lambda p: rewrite_header(p, b"{}"),
    "header of another file": lambda p: rewrite_header(
        p, p.read_bytes()[8:8192].replace(b'"digest":"', b'"digest":"0')
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_mended(folder, toy, damage: str) -> None:
    toy.fill(folder, [toy.record("a", ["x"] * 4), toy.record("b", ["y"] * 3)])
    answer, files = ask(folder, toy), contents(folder)
    DAMAGES[damage](saved(folder))
    broken = contents(folder) if (folder.path / "vectors").exists() else {}
    assert ask(folder, toy) == answer
    assert (contents(folder) if broken else {}) == broken  # readers write nothing
    folder.vectors.refresh()
    assert contents(folder) == files
    assert ask(folder, toy) == answer


def test_files_do_not_depend_on_the_way_there(folder, toy, tmp_path) -> None:
    a, b = toy.record("a", ["x"] * 4), toy.record("b", ["y"] * 3)
    toy.fill(folder, [toy.record("a", ["longer"] * 9), toy.record("c", ["x"])])
    toy.fill(folder, [b])
    folder.catalog.remove_video("c")
    toy.fill(folder, [a])
    with IndexFolder.create(tmp_path / "straight", "", device="cpu") as straight:
        toy.fill(straight, [a, b])
        assert contents(straight) == contents(folder)
        assert ask(straight, toy) == ask(folder, toy)


def test_a_stale_file_is_brought_up_to_date_from_what_it_holds(folder, toy) -> None:
    toy.fill(folder, [toy.record("a", ["x"] * 4)])
    record = toy.with_vectors(folder, toy.record("b", ["y"] * 3))
    folder.catalog.write_video(record)  # no refresh: the file on disk is older than the catalog
    # Video a's rows must come from the old file: its artifact is gone.
    folder.artifacts.discard(folder.catalog.encodings("a")["toy"].key)
    assert len(ask(folder, toy)) == len(folder.catalog.scenes())
    with pytest.raises(StoreError, match="missing"):
        saved(folder).unlink()
        ask(folder, toy)


def test_an_open_reader_follows_the_writer(folder, toy) -> None:
    toy.fill(folder, [toy.record("a", ["x"] * 4)])
    with IndexFolder.open(folder.path, device="cpu") as reader:
        for n, video in enumerate("bcd"):
            toy.fill(folder, [toy.record(video, ["y"] * 3)])
            scope = reader.catalog.scope(Query("q"))
            found = reader.vectors.search("toy", QUERY, toy.SPACE, scope, 99)
            assert len(found) == 4 + 3 * (n + 1)
        folder.catalog.remove_video("a")
        scope = reader.catalog.scope(Query("q"))
        assert len(reader.vectors.search("toy", QUERY, toy.SPACE, scope, 99)) == 9


def test_a_damaged_artifact_is_named(folder, toy) -> None:
    toy.fill(folder, [toy.record("a", ["x"] * 4)])
    flip(next(folder.artifacts.root.rglob("*.safetensors")))
    assert ask(folder, toy)  # the file is whole, nothing else is read
    saved(folder).unlink()
    with pytest.raises(StoreError, match=r"damaged.*delete it"):
        ask(folder, toy)


def test_vectors_of_an_older_fingerprint_are_not_searched(folder, toy) -> None:
    toy.fill(folder, [toy.record("a", ["x"] * 4)])
    folder.catalog.write_encoders([replace(toy.ENCODER, fingerprint="new")])
    assert ask(folder, toy) == []


@pytest.mark.parametrize(
    "name", ["../evil", "a/b", "", ".", "x" * 500, "Toy", "nul\0", "ü\ud800", "toy.json"]
)
def test_no_name_leaves_the_folder(folder, toy, name: str) -> None:
    record = toy.with_vectors(folder, toy.record("a", ["x"]))
    made = tuple(replace(e, encoder=name) for e in record.encodings if e.encoder == "toy")
    row = replace(toy.ENCODER, name=name)
    (folder.path / "vectors").mkdir()
    before = {p for p in folder.path.parent.rglob("*") if p.parent.name != "vectors"}
    try:
        folder.catalog.write_encoders([row, toy.ENCODER])
    except (StoreError, UnicodeEncodeError):
        return  # not even the catalog takes it
    folder.catalog.write_video(replace(record, encodings=made))

    def others() -> set[object]:
        return {p for p in folder.path.parent.rglob("*") if p.parent.name != "vectors"}

    folder.vectors.refresh()
    tables = {folder.path / "tables", *(folder.path / "tables").iterdir()}
    assert others() - tables == before
    assert len(contents(folder)) == 2
    scope = folder.catalog.scope(Query("q"))
    assert len(folder.vectors.search(name, QUERY, toy.SPACE, scope, 9)) == 1
    assert folder.vectors.search("toy", QUERY, toy.SPACE, scope, 9) == []


def test_files_of_encoders_no_longer_here_are_removed(folder, toy) -> None:
    toy.fill(folder, [toy.record("a", ["x"])])
    folder.catalog.write_encoders([])
    folder.vectors.refresh()
    assert contents(folder) == {}


def test_a_full_disk_keeps_the_old_files(folder, toy, monkeypatch) -> None:
    toy.fill(folder, [toy.record("a", ["x"])])
    files = contents(folder)
    folder.catalog.write_video(toy.with_vectors(folder, toy.record("b", ["y"])))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="disk is full"):
        folder.vectors.refresh()
    monkeypatch.undo()
    assert contents(folder) == files
    assert len(ask(folder, toy)) == 6


def test_a_really_full_disk(small_disk, toy) -> None:
    with IndexFolder.create(small_disk("2m") / "index", "", device="cpu") as folder:
        toy.fill(folder, [toy.record("a", ["x"])])
        files = contents(folder)
        folder.catalog.write_video(toy.with_vectors(folder, toy.record("b", ["y"] * 500)))
        answer = ask(folder, toy)
        filler = folder.path / "filler"
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(b"x" * 4096)
        with pytest.raises(StoreError, match="disk is full"):
            folder.vectors.refresh()
        assert contents(folder) == files
        assert ask(folder, toy) == answer
        filler.unlink()
        folder.vectors.refresh()
        assert contents(folder) != files and ask(folder, toy) == answer


# Means and devices


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seconds=st.lists(st.integers(1, 20), min_size=1, max_size=6),
    missing=st.sets(st.integers(0, 5)),
    normalised=st.booleans(),
)
def test_higher_levels_are_weighted_means(toy, seconds, missing, normalised) -> None:
    scenes = toy.scenes("v", [float(s) for s in seconds])
    leaves = [s for s in scenes if s.level == 0 and s.index not in missing]
    vectors = np.random.default_rng(0).standard_normal((len(leaves), 3)).astype(np.float32)
    ids, rows = all_levels(scenes, [s.span for s in leaves], vectors, normalised)
    found = dict(zip(ids, rows, strict=True))
    for scene in scenes:
        below = [i for i, leaf in enumerate(leaves) if leaf.span.overlap(scene.span)]
        if not below:
            assert scene.id not in found
        elif scene.level == 0:
            assert (found[scene.id] == vectors[below[0]]).all()
        else:
            mean = sum(vectors[i].astype(float) * leaves[i].span.duration for i in below)
            mean /= (
                np.linalg.norm(mean) if normalised else sum(leaves[i].span.duration for i in below)
            )
            assert found[scene.id] == pytest.approx(mean, abs=1e-6)


def test_opposite_vectors_cancel_without_nan() -> None:
    both = np.float32([[1, 0], [-1, 0]])
    assert weighted_mean(both, np.array([1, 1]), True).tolist() == [0, 0]


def test_vectors_of_another_segmentation_are_refused(toy) -> None:
    scenes = toy.scenes("v", [1.0, 1.0])
    with pytest.raises(StoreError, match="no scene of video"):
        all_levels(scenes, [scenes[2].span], np.ones((1, 2), np.float32), True)


def test_devices(monkeypatch) -> None:
    import faiss

    assert pick_device("cpu") == "cpu"
    with pytest.raises(ConfigError, match="auto, cpu or cuda"):
        pick_device("gpu")
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 0)
    assert pick_device("auto") == "cpu"
    with pytest.raises(ConfigError, match="faiss-gpu"):
        pick_device("cuda")


def test_the_gpu_path_maps_rows_right(filled, toy, monkeypatch) -> None:
    # What runs on the GPU stays on the CPU here; only our own bookkeeping is tested.
    import faiss

    uploads = []

    def upload(_resources, _device, index):
        uploads.append(index.ntotal)
        return index

    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    monkeypatch.setattr(faiss, "StandardGpuResources", object, raising=False)
    monkeypatch.setattr(faiss, "index_cpu_to_gpu", upload, raising=False)
    with IndexFolder.open(filled.path, device="auto") as reader:
        for query in (Query("q"), Query("q"), Query("q", videos=("v2",)), Query("q", until=5.0)):
            scope = reader.catalog.scope(query)
            on_gpu = reader.vectors.search("toy", QUERY, toy.SPACE, scope, 7)
            on_cpu = filled.vectors.search("toy", QUERY, toy.SPACE, filled.catalog.scope(query), 7)
            assert [id for id, _ in on_gpu] == [id for id, _ in on_cpu]
    assert uploads == [33, 5]  # once a scope; never for the causal one


@pytest.mark.hardware
def test_a_gpu_finds_what_the_cpu_finds(filled, toy) -> None:
    if pick_device("auto") != "cuda":
        pytest.skip("needs faiss-gpu and a GPU")
    scope = filled.catalog.scope(EVERYTHING)
    on_cpu = filled.vectors.search("toy", QUERY, toy.SPACE, scope, 20)
    with IndexFolder.open(filled.path, device="cuda") as reader:
        on_gpu = reader.vectors.search("toy", QUERY, toy.SPACE, scope, 20)
    assert [s for _, s in on_gpu] == pytest.approx([s for _, s in on_cpu], abs=1e-5)
