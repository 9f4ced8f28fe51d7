"""Reranking and choosing by the command and the Python interface, end to end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import egorag
from egorag.fuse.rrf import ReciprocalRank
from egorag.rerank.base import Top
from egorag.rerank.clusters import Clusters
from egorag.rerank.cross_encoder import CrossEncoder
from egorag.rerank.mmr import MMR
from egorag.retrieve.retriever import Retriever
from egorag.types import Query

LINES = {
    "a.mp4": ("the dog walks in the house", "a red dog walks", "the woman cuts bread"),
    "b.mp4": ("the dog walks in the house", "a man and a dog", "two green doors"),
}
POISON = ("a dog walks", "the dog walks in the house", "a dog a dog a dog")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("index")
    rows = [
        {"video": video, "start": 2 * i, "end": 2 * i + 2, "text": text, "track": "caption"}
        for video, texts in LINES.items()
        for i, text in enumerate(texts)
    ]
    (folder / "t.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    egorag.build(folder / "t.jsonl", folder / "i").close()
    return folder / "i"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("sentence_transformers")
    from checkpoints import cross_encoder

    return cross_encoder.make(tmp_path_factory.mktemp("cross"))


def test_the_command_reranks_chooses_and_folds(index: Path, checkpoint: Path, command: Any) -> None:
    asked = [f"index={index}", "query=a dog walks", "k=6", "output=json"]
    done = command(
        "search",
        *asked,
        "reranker=cross_encoder",
        f"reranker.checkpoint={checkpoint}",
        "selector=mmr",
        "selector.fold=0.95",
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found["hits"]) == 5  # the dog walks in the house in both videos
    assert {h["text"]: h["similar"] for h in found["hits"]}["the dog walks in the house"] == 1
    ranks = sorted(h["parts"]["cross_encoder"]["rank"] for h in found["hits"])
    scores = [h["parts"]["cross_encoder"]["score"] for h in found["hits"]]
    assert ranks[0] == 1 and len(set(scores)) == 5
    assert found["hits"][0]["parts"]["cross_encoder"]["rank"] == 1

    told = command("search", *asked[:-1], "selector.fold=0.95")
    assert told.returncode == 0 and "+1 nearly the same" in told.stdout


def test_the_command_tells_what_the_judge_could_not_do(index: Path, command: Any) -> None:
    pytest.importorskip("openai")
    settings = ["reranker=judge", "reranker.base_url=http://127.0.0.1:9/v1", "reranker.model=m"]
    done = command("search", f"index={index}", "query=a dog", *settings, "reranker.retries=0")
    assert done.returncode == 0, done.stderr
    assert "the judge was not asked on" in done.stdout and "kept their place" in done.stdout


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["reranker=judge"], "base_url must be"),
        (["reranker=cross_encoder", "reranker.checkpoint=/no/such/folder"], "is not a folder"),
        (["selector=mmr", "selector.encoders=[clap]"], "selector.encoders names 'clap'"),
        (["selector=mmr", "selector.relevance=3"], "relevance must lie in 0..1"),
        (["selector=clusters", "selector.fol=1"], "did you mean 'fold'"),
    ],
)
def test_the_command_refuses_what_is_wrong(
    index: Path, command: Any, settings: list[str], told: str
) -> None:
    done = command("search", f"index={index}", "query=a dog", *settings)
    assert done.returncode == 2 and told in done.stderr and "Traceback" not in done.stderr


def test_what_comes_after_the_cut_off_changes_nothing(make_index: Any, checkpoint: Path) -> None:
    """Nor does it fold a scene, lengthen a count or push one out of a group."""
    reranker = CrossEncoder(checkpoint=str(checkpoint))
    reranker.setup()
    selectors = (Top(fold=0.9), MMR(fold=0.9), MMR(relevance=0.3), Clusters(clusters=2))
    toys = [make_index(), make_index()]
    for toy, late in zip(toys, ((), POISON), strict=True):
        for video, texts in LINES.items():
            said = [(2 * i, 2 * i + 2, text) for i, text in enumerate(texts)]
            said += [(100 + 2 * i, 102 + 2 * i, text) for i, text in enumerate(late)]
            toy.add(video, *said)

    def told(toy: Any, selector: Any, k: int, **until: float) -> list[dict[str, Any]]:
        query = Query("a dog walks", **until)
        found = Retriever(toy.folder, toy.encoders, ReciprocalRank()).search(query, 20)
        looked = reranker.rerank(query, found, toy.folder)
        chosen = selector.select(query, looked.hits, toy.folder, k)
        return [{**hit.to_json(), "video": ""} for hit in chosen]

    for selector in selectors:
        for k in (1, 3, 6):
            clean, poisoned = (told(toy, selector, k, until=50.0) for toy in toys)
            assert clean == poisoned and clean
        assert told(toys[0], selector, 6) != told(toys[1], selector, 6)  # without it, it would
