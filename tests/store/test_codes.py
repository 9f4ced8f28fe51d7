"""Codes: enough candidates are found, of the scope alone, never where a search must be exact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from egorag.errors import ConfigError
from egorag.spaces import EmbeddingSpace
from egorag.store import codes
from egorag.store.catalog import EncoderRow, Encoding
from egorag.store.faiss_index import VectorIndex
from egorag.store.folder import IndexFolder
from egorag.store.scope import SceneTable, Scope
from egorag.store.vector_rows import VectorRows
from egorag.types import LEVELS, Query

DIM = 32
SPREAD = EmbeddingSpace("spread", "1", DIM, True, frozenset({"text"}))
PLAIN = EmbeddingSpace("plain", "1", DIM, False, frozenset({"image"}))


def spread(count: int, seed: int = 0) -> np.ndarray:
    made = np.random.default_rng(seed).standard_normal((count, DIM)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def clustered(count: int, seed: int = 0) -> np.ndarray:
    centres = spread(40, seed=99)[np.random.default_rng(seed).integers(0, 40, count)]
    made = centres + 0.4 * spread(count, seed)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def put(folder: IndexFolder, toy, name: str, vectors: np.ndarray, space=SPREAD) -> None:
    """Videos NAME0, NAME1, ... of 100 scenes of 2 s, one a vector; the encoder is called x."""
    folder.catalog.write_encoders([EncoderRow("x", "f", space, {})])
    for number, start in enumerate(range(0, len(vectors), 100)):
        rows = np.ascontiguousarray(vectors[start : start + 100])
        record = toy.record(f"{name}{number}", ["w"] * len(rows))
        spans = [s.span for s in record.scenes if s.level == 0]
        key = folder.artifacts.key(video=record.video.id, space=space.model)
        stored = folder.artifacts.write_vectors(key, rows, spans, {})
        made = Encoding("x", "f", "vectors", key, stored.sha256, len(rows))
        folder.catalog.write_video(replace(record, encodings=(made,)))


@pytest.fixture(scope="module", params=["spread", "clustered", "plain"])
def many(request, tmp_path_factory, toy):
    """(index with codes, its space): 2,000 scenes and 1,000 events in 20 videos."""
    make = clustered if request.param == "clustered" else spread
    space = PLAIN if request.param == "plain" else SPREAD
    scale = 7 if request.param == "plain" else 1
    path = tmp_path_factory.mktemp("codes") / "index"
    with IndexFolder.create(path, "", device="cpu", exact_up_to=100) as folder:
        with folder.writing():
            put(folder, toy, "v", scale * make(2000), space)
            folder.vectors.refresh()
        yield folder, space


@pytest.fixture
def exact(many):
    with IndexFolder.open(many[0].path, device="cpu", exact_up_to=10**9) as folder:
        yield folder


@pytest.fixture
def proposed(monkeypatch):
    """The (number of rows seen) of each search that codes proposed candidates for."""
    calls: list[int] = []
    real = codes.candidates

    def counted(coded, query, seen, want):
        calls.append(int(seen.sum()))
        return real(coded, query, seen, want)

    monkeypatch.setattr(codes, "candidates", counted)
    return calls


def ask(folder: IndexFolder, space, vector: np.ndarray, k: int = 10, **query):
    scope = folder.catalog.scope(Query("q", **query))
    return folder.vectors.search("x", vector, space, scope, k)


@pytest.mark.parametrize(
    "query", [{}, {"levels": LEVELS}, {"videos": ("v1", "v8", "v9")}, {"after": 40.0}]
)
def test_recall_holds_on_every_scope(many, exact, proposed, query) -> None:
    folder, space = many
    near = clustered(10, 5) + 0.3 * spread(10, 6)  # some near the data, some off it
    shares = []
    for vector in [*near, *spread(10, 7)]:
        found, true = ask(folder, space, vector, **query), ask(exact, space, vector, **query)
        allowed = set(folder.catalog.scope(Query("q", **query)).ids.tolist())
        assert len(found) == 10 and {id for id, _ in found} <= allowed
        shares.append(len({id for id, _ in found} & {id for id, _ in true}) / 10)
        for id, score in found:  # scores are those of exact search, bit for bit
            assert dict(true).get(id, score) == score
    assert len(proposed) == 20
    assert np.mean(shares) >= 0.97


def test_with_a_cut_off_it_is_exact(many, exact, proposed) -> None:
    folder, space = many
    for vector in spread(10, 8):
        for until in (60.0, 199.5, 9999.0):
            found = ask(folder, space, vector, 20, until=until)
            assert found == ask(exact, space, vector, 20, until=until)
    assert not proposed


def test_a_small_scope_is_searched_exactly(many, exact, proposed) -> None:
    folder, space = many
    for vector in spread(5, 9):
        assert ask(folder, space, vector, before=10.0) == ask(exact, space, vector, before=10.0)
    assert not proposed


def test_a_filter_that_leaves_only_the_worst_still_gets_its_best(tmp_path, toy, proposed) -> None:
    # All of the videos asked for lie behind everything else in the order of the codes.
    near, far = spread(1, 1)[0], -spread(1, 1)[0]
    with IndexFolder.create(tmp_path / "i", "", device="cpu", exact_up_to=100) as folder:
        for name, centre in (("n", near), ("f", far)):
            put(folder, toy, name, (centre + 0.3 * spread(600, 2)).astype(np.float32))
        folder.vectors.refresh()
        videos = tuple(f"f{i}" for i in range(6))
        proposed.clear()  # of the tuning
        found = ask(folder, SPREAD, near, 10, videos=videos)
        assert proposed == [600]
        with IndexFolder.open(folder.path, device="cpu", exact_up_to=10**9) as exact:
            true = ask(exact, SPREAD, near, 10, videos=videos)
        assert len({i for i, _ in found} & {i for i, _ in true}) >= 9


def test_nothing_later_has_a_say(tmp_path, toy) -> None:
    """Poison after the cut-off: nearer than all there is, and codes learn from it."""
    vector = spread(1, 3)[0]
    asked = {"until": 60.0, "levels": LEVELS, "k": 30}
    answers, sizes = [], []
    for name, late in (("with", True), ("without", False)):
        with IndexFolder.create(tmp_path / name, "", device="cpu", exact_up_to=50) as folder:
            vectors = spread(1200)
            if late:
                vectors[np.arange(1200) % 100 >= 30] = vector + 0.01 * spread(840, 4)
            put(folder, toy, "v", vectors)
            folder.vectors.refresh()
            answers.append(ask(folder, SPREAD, vector, **asked))
            sizes.append(len(folder.catalog.scope(Query("q", until=60.0, levels=LEVELS)).ids))
            free = ask(folder, SPREAD, vector, 30)
            assert (free[0][1] > 0.99) == late  # without the cut-off it is found at once
    assert answers[0] == answers[1] and len(answers[0]) == 30
    assert sizes == [12 * 45] * 2  # more than are searched exactly without the cut-off


def test_what_was_measured_is_kept(many) -> None:
    folder, space = many
    (path,) = (folder.path / "vectors").iterdir()
    index = VectorIndex.load(path, space)
    assert index is not None and index.tuned is not None
    tuned = index.tuned
    assert tuned.above == 100 and tuned.wanted is not None and tuned.queries == 128
    assert all(tuned.recall[k] >= goal for k, goal in codes.GOALS.items())
    assert codes.Tuned.from_json(tuned.to_json()) == tuned
    assert list(tuned.wanted) == list(codes.GOALS) == list(tuned.recall)
    assert [tuned.candidates(k) for k in codes.GOALS] == sorted(tuned.wanted.values())
    for k, same in ((1, 10), (11, 100), (299, 300)):
        assert tuned.candidates(k) == tuned.wanted[same]
    assert tuned.candidates(601) == 3 * tuned.wanted[300]


def test_where_no_number_is_enough_search_is_exact(tmp_path, toy, proposed, monkeypatch) -> None:
    monkeypatch.setattr(codes, "_CHOICES", [2])  # two candidates cannot hold the best ten
    with IndexFolder.create(tmp_path / "i", "", device="cpu", exact_up_to=50) as folder:
        put(folder, toy, "v", spread(1000))
        folder.vectors.refresh()
        (path,) = (folder.path / "vectors").iterdir()
        index = VectorIndex.load(path, SPREAD)
        assert index is not None and index.tuned is not None and index.tuned.wanted is None
        assert index.tuned.recall[10] < codes.GOALS[10]
        changed = path.stat().st_mtime_ns
        folder.vectors.refresh()
        assert path.stat().st_mtime_ns == changed  # nor is it tried again
        proposed.clear()  # of the tuning
        found = ask(folder, SPREAD, spread(1, 1)[0])
        assert not proposed and len(found) == 10


def test_the_measured_recall_is_the_recall(monkeypatch) -> None:
    """An oracle that counts: of the codes' order, and of exact search by matrix product."""
    vectors = spread(3000)
    rows = VectorRows(vectors, None, True)
    coded = codes.encode(rows)
    monkeypatch.setattr(codes, "GOALS", {10: 2.0, 100: 2.0})
    monkeypatch.setattr(codes, "_CHOICES", [150])
    asked, own = codes._queries(rows)
    shares: dict[int, list[list[float]]] = {10: [], 100: []}
    for query, self_ in zip(asked, own, strict=True):
        scores = vectors.astype(np.float64) @ query
        if self_ >= 0:
            scores[self_] = -np.inf
        proposals = [i for i in coded.search(query[None], 151)[1][0] if i != self_][:150]
        for k, kept in shares.items():
            kept.append(len(set(np.argsort(-scores)[:k]) & set(proposals)) / k)
    tuned = codes.tune(coded, rows, np.ones(3000, bool), 7)
    assert tuned.wanted is None and tuned.above == 7
    for k, kept in shares.items():
        kinds = [np.mean(kept[i : i + 32]) for i in (0, 32, 64, 96)]
        assert tuned.recall[k] == pytest.approx(
            min(kinds), abs=2e-3
        )  # equal codes come in any order


def test_the_setting_follows_the_writer(tmp_path, toy) -> None:
    with IndexFolder.create(tmp_path / "i", "", device="cpu") as folder:
        put(folder, toy, "v", spread(1000))
    for limit, above in ((None, None), (100, 100), (500, 500), (None, None)):
        with IndexFolder.create(tmp_path / "i", "", device="cpu", exact_up_to=limit) as folder:
            folder.vectors.refresh()
        (path,) = (tmp_path / "i" / "vectors").iterdir()
        index = VectorIndex.load(path, SPREAD)
        assert index is not None and (index.tuned and index.tuned.above) == above
    for wrong in (-1, "many", 1.5, True):
        with pytest.raises(ConfigError, match=f"exact_up_to must be a whole .* got {wrong!r}"):
            IndexFolder.open(tmp_path / "i", exact_up_to=wrong)


def test_more_than_was_measured_for_asks_for_more(many, exact) -> None:
    folder, space = many
    vector = spread(1, 4)[0]
    found, true = (ask(f, space, vector, 500) for f in (folder, exact))
    assert len(found) == 500
    assert len({i for i, _ in found} & {i for i, _ in true}) >= 450


def test_candidates_stay_among_those_seen() -> None:
    coded = codes.encode(VectorRows(spread(2000), None, True))
    query = spread(1, 1)[0]
    order = coded.search(query[None], 2000)[1][0]
    for seen in (order[:1000], order[1000:], order[1990:]):
        mask = np.zeros(2000, bool)
        mask[seen] = True
        found = codes.candidates(coded, query, mask, 50)
        best = min(50, len(seen))
        assert len(found) == best and mask[found].all()
        assert len(set(found) & set(seen[:50])) >= 0.9 * best  # equal codes come in any order


def test_scopes_of_another_moment_are_looked_up(many) -> None:
    folder, space = many
    scope = folder.catalog.scope(Query("q", videos=("v3",)))
    table = folder.catalog.table()
    other = Scope(scope.ids, SceneTable(**vars(table)), scope.allows[::-1], False)
    vector = spread(1, 2)[0]
    found = [folder.vectors.search("x", vector, space, s, 10) for s in (scope, other)]
    assert found[0] == found[1]
