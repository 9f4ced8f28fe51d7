"""Every fuser over one index: all different, fair to what lacks a modality, and causal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from egorag import config, registry
from egorag.fuse.early import JOINT, MISSING, Concatenated, Whitened
from egorag.retrieve.joint import rows_of
from egorag.retrieve.retriever import Retriever
from egorag.retrieve.top_down import TopDown
from egorag.train.card import Card, write
from egorag.types import Query

WORDS = ["knife", "fridge", "milk", "bread", "soup", "open", "take", "plate", "wash", "cut"]
LEARNED = {"bm25": 0.125, "looks": 1.0, "sounds": 0.5, "words": 0.25}


@pytest.fixture(scope="module")
def fusers(tmp_path_factory):
    """Each fuser of ``configs/fuser`` as it comes, and the variants that its settings name."""
    folder = tmp_path_factory.mktemp("card") / "fitted"
    write(
        folder,
        Card("fusion", {}, {}, {}, {"names": list(LEARNED), "normalise": "rank"}, {}),
        {"weights": np.array(list(LEARNED.values()), np.float32)},
    )
    variants = {
        "rrf": ["fuser.fair=false"],
        "weighted": ["fuser.normalise=z", "fuser.normalise=rank"],
        "concatenated": [f"fuser.missing={missing}" for missing in MISSING[1:]],
        "whitened": [f"fuser.missing={missing}" for missing in MISSING[1:]],
    }
    found = {}
    for name in config.options()["fuser"]:
        card = [f"fuser.card={folder}"] if name == "learned" else []
        for more in [[], *([one] for one in variants.get(name, ()))]:
            given_settings = config.compose("search", ["index=i", f"fuser={name}", *card, *more])
            made = registry.build("fusers", "fuser", given_settings["fuser"])
            found[" ".join([name, *more])] = made
    return found


@pytest.fixture
def kitchen(make_index, bag_of_words):
    """24 scenes; one encoder reads all three videos, the others a part of them."""
    every = {
        "words": bag_of_words(dim=96),
        "looks": bag_of_words("text+image", "toy-looks", 64),
        "sounds": bag_of_words("text", "toy-sounds", 48),
    }
    toy = make_index(**every)
    rng = np.random.default_rng(4)
    for video, names in (("a", every), ("b", ["words", "looks"]), ("c", ["words"]), ("d", every)):
        toy.encoders = {name: every[name] for name in names}
        said = [" ".join(rng.choice(WORDS, rng.integers(1, 5))) for _ in range(6)]
        toy.add(video, *[(2 * i, 2 * i + 2, text) for i, text in enumerate(said)])
    toy.encoders = every
    return toy


def test_each_is_really_different(kitchen, fusers):
    orders = {}
    for name, fuser in fusers.items():
        hits = Retriever(kitchen.folder, kitchen.encoders, fuser).search(Query("cut bread"), 24)
        assert len(hits) == 24
        orders[name] = [hit.scene.id for hit in hits]
    assert len(orders) >= 12
    same = [(a, b) for a in orders for b in orders if a < b and orders[a] == orders[b]]
    assert same == []


@pytest.mark.parametrize("fuser", [Concatenated(), Whitened(dim=8), Whitened("mean", dim=8)])
def test_the_joint_ranking_stands_beside_bm25(kitchen, fuser):
    retriever = Retriever(kitchen.folder, kitchen.encoders, fuser)
    found = retriever.rankings(Query("cut bread"))
    assert set(found) == {JOINT, "bm25"}
    assert len(found[JOINT]) == 24 == len(found[JOINT].known)
    # The scores are those of the scope's rows, however few are then ranked.
    catalog, query = kitchen.folder.catalog, Query("cut bread", after=4.0)
    scope = catalog.scope(query)
    rows = {
        name: rows_of(kitchen.folder, catalog.encoders()[name], scope) for name in kitchen.encoders
    }
    joined = fuser.join(rows)
    asked = {n: e.embed_texts(["cut bread"])[0] for n, e in kitchen.encoders.items()}
    expected = dict(zip(joined.ids.tolist(), fuser.scores(asked, joined), strict=True))
    assert dict(retriever.rankings(query)[JOINT]) == expected
    part = TopDown(videos=1, events=1).find(query, retriever, 2)
    assert len(part) == 2
    by_image = retriever.search(Query(image="bread.png"), 24)
    assert {tuple(hit.parts) for hit in by_image} == {(JOINT,)}
    assert {hit.path for hit in by_image} == {"a", "b", "d"}  # c was never looked at


def test_rows_are_those_that_search_compares(kitchen):
    """An oracle for reading artifacts: inner products with the rows are the search's scores."""
    catalog = kitchen.folder.catalog
    for levels in (("scene",), ("scene", "event", "video")):
        query = Query("soup", levels=levels, until=9.0)
        scope = catalog.scope(query)
        for name, encoder in kitchen.encoders.items():
            rows = rows_of(kitchen.folder, catalog.encoders()[name], scope)
            vector = encoder.embed_texts(["soup"])[0]
            found = kitchen.folder.vectors.search(name, vector, encoder.space, scope, 99)
            told = dict(zip(rows.ids.tolist(), (rows.vectors @ vector).tolist(), strict=True))
            assert told == pytest.approx(dict(found), abs=1e-6)


phrases = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    past=st.lists(phrases, min_size=2, max_size=5),
    poison=st.lists(phrases, min_size=1, max_size=4),
    question=phrases,
)
def test_no_fuser_counts_what_is_after_the_cut_off(
    make_index, bag_of_words, fusers, past, poison, question
):
    """Later scenes, videos and vectors: means, whitenings and maps are the same to the last bit."""
    cut = float(2 * len(past))
    told = []
    for extra in ([], poison):
        every = {
            "words": bag_of_words(),
            "looks": bag_of_words("text", "toy-looks", 32),
            "sounds": bag_of_words("text", "toy-sounds", 16),
        }
        toy = make_index(**every)
        lines = [(2 * i, 2 * i + 2, text) for i, text in enumerate([*past, *extra])]
        toy.add("v", *lines, scenes=[line[:2] for line in lines])
        if extra:
            toy.add("later", (cut, cut + 3, " ".join(poison)), scenes=[(0, cut + 3)])
        toy.encoders = {"words": every["words"]}
        toy.add("other", (0, 2, "take the milk"), scenes=[(0, 2)])
        query = Query(question, until=cut)
        hits = {n: Retriever(toy.folder, every, f).search(query, 9) for n, f in fusers.items()}
        told.append({name: [hit.to_json() for hit in found] for name, found in hits.items()})
    assert told[0] == told[1]
