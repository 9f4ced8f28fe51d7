"""Search over many scenes with two dense encoders and text, against exact search and a plain loop.

The corpus is made up: 100 scenes a video, sentences of a vocabulary with Zipf's distribution, and
768-d unit vectors, spread out evenly for one encoder and in clusters for the other. Half of the
queries lie off the data (random directions), half near a scene. No query is embedded.
"""

from __future__ import annotations

import functools
import itertools
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import corpus
import numpy as np
import numpy.typing as npt
from measure import CACHE, measure

from egorag.encode.base import Encoder
from egorag.fuse.weighted import WeightedScores
from egorag.retrieve.retriever import Retriever
from egorag.spaces import EmbeddingSpace
from egorag.spans import Span
from egorag.store.folder import IndexFolder
from egorag.store.fulltext import search_text
from egorag.types import Query, TimedText

SCENES_A_VIDEO = 100
DIM = 768
CENTRES = 2000
WORDS = 30_000
KINDS = ("spread", "clustered")
DEPTH = 300  # scenes taken from each ranking, as by default
NEVER = 10**12  # scenes: everything is searched exactly

Floats = npt.NDArray[np.float32]


class Synthetic:
    """An encoder of made-up vectors; ``kind`` is one of ``KINDS``."""

    def __init__(self, kind: str) -> None:
        self.space = EmbeddingSpace(f"made-up/{kind}", "1", DIM, True, frozenset({"text"}))
        self.asked = np.zeros(DIM, np.float32)
        self._dice = np.random.default_rng(KINDS.index(kind))
        self._centres = unit(self._dice, CENTRES) if kind == "clustered" else None

    def encode(self, clips: Sequence[object]) -> Floats:
        """float32 [n, DIM], the next ones."""
        made = unit(self._dice, len(clips))
        if self._centres is not None:
            made = 0.7 * made + self._centres[self._dice.integers(0, CENTRES, len(clips))]
            made /= np.linalg.norm(made, axis=1, keepdims=True)
        return made

    def embed_query(self, query: Query, medium: str) -> Floats:
        """What ``asked`` is set to: embedding is not what is measured."""
        return self.asked


def unit(dice: np.random.Generator, count: int) -> Floats:
    """Directions, evenly spread: float32 [count, DIM]."""
    made: Floats = dice.standard_normal((count, DIM), dtype=np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made


def sentences(seed: int) -> Iterator[str]:
    """Sentences of twelve made-up words, endlessly."""
    dice = np.random.default_rng(seed)
    letters = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
    words = ["".join(w) for w in itertools.islice(itertools.product(letters, repeat=3), WORDS)]
    share = 1 / np.arange(10, WORDS + 10)  # the ten commonest are as stop words: nobody asks them
    share /= share.sum()
    while True:
        for row in dice.choice(WORDS, (1000, 12), p=share):
            yield " ".join(words[i] for i in row)


def made(scenes: int) -> Path:
    """The index of so many scenes; made once. EGORAG_BENCH_CACHE says where."""
    folder = CACHE / f"scale_{scenes}.index"
    if (folder / "done").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    encoders = {kind: Synthetic(kind) for kind in KINDS}
    said = sentences(seed=0)
    with IndexFolder.create(folder, "") as index, index.writing():
        corpus.write_encoders(index, encoders)
        for number in range(scenes // SCENES_A_VIDEO):
            lines = [
                TimedText(Span.seconds(5 * i, 5 * i + 5), next(said), "caption", "benchmark")
                for i in range(SCENES_A_VIDEO)
            ]
            corpus.write_video(index, f"video{number:05}.mp4", lines, encoders)
        began = time.perf_counter()
        index.vectors.refresh()
    (folder / "done").write_text(f"{time.perf_counter() - began:.1f}")
    return folder


@dataclass(frozen=True)
class Asked:
    """One query: its text, and a vector by encoder."""

    text: str
    vectors: dict[str, Floats]


def queries(folder: Path, count: int) -> list[Asked]:
    """Off the data and near it by turns."""
    dice = np.random.default_rng(7)
    said = sentences(seed=1)
    with IndexFolder.open(folder) as index:
        videos = _videos(index)
        asked = []
        for number in range(count):
            vectors = {kind: unit(dice, 1)[0] for kind in KINDS}
            if number % 2:
                video = videos[dice.integers(len(videos))]
                for kind in KINDS:
                    near = _rows(index, video, kind)
                    vectors[kind] += near[dice.integers(len(near))]
                    vectors[kind] /= np.linalg.norm(vectors[kind])
            text = " ".join(next(said).split()[: dice.integers(3, 8)])
            asked.append(Asked(text, vectors))
    return asked


def retriever(index: IndexFolder, encoders: dict[str, Synthetic]) -> Retriever:
    """Two dense rankings and text, fused as by default."""
    return Retriever(index, cast("dict[str, Encoder]", encoders), WeightedScores(), DEPTH)


def once(folder: Path) -> None:
    """One search, as a command would do it."""
    encoders = {kind: Synthetic(kind) for kind in KINDS}
    for encoder in encoders.values():
        encoder.asked = unit(np.random.default_rng(3), 1)[0]
    with IndexFolder.open(folder) as index:
        print(retriever(index, encoders).search(Query(next(sentences(seed=2))))[0], file=sys.stderr)


def measured(scenes: int, exact_scenes: int, count: int, repeats: int) -> dict[str, Any]:
    """All that is measured at this size."""
    folder = made(scenes)
    asked = queries(folder, count)
    encoders = {kind: Synthetic(kind) for kind in KINDS}
    with IndexFolder.open(folder) as index, IndexFolder.open(folder, exact_up_to=NEVER) as exact:

        def searched(by: IndexFolder) -> Callable[[Asked], list[int]]:
            made = retriever(by, encoders)

            def search(query: Asked) -> list[int]:
                for kind in KINDS:
                    encoders[kind].asked = query.vectors[kind]
                return [hit.scene.id for hit in made.search(Query(query.text), k=10)]

            return search

        ours = timed(searched(index), asked)
        reference = timed(searched(exact), asked[:50])
        scope = index.catalog.scope(Query("x"))
        parts = {
            "bm25": timed(lambda q: _ids(search_text(index.catalog, q.text, scope, DEPTH)), asked)
        }
        recall = {"fused, @10": _overlap(ours.found, reference.found, 10)}
        for kind in KINDS:
            parts[kind] = timed(_dense(index, kind), asked)
            true = timed(_dense(exact, kind), asked[:100]).found
            for k in (10, 100):
                for which, start in (("off the data", 0), ("near a scene", 1)):
                    some = parts[kind].found[start:100:2], true[start::2]
                    recall[f"{kind}, {which}, @{k}"] = _overlap(*some, k)
        loop = _loop(index, asked[: max(3, repeats)])
    cold = [measure([sys.executable, __file__, str(folder)]).wall for _ in range(repeats)]
    small = made(exact_scenes)
    with IndexFolder.open(small, exact_up_to=NEVER) as exact:
        again = queries(small, count)
        alone = {kind: timed(_dense(exact, kind), again) for kind in KINDS}
    return {
        "count": scenes,
        "queries": count,
        "refresh_s": float((folder / "done").read_text()),
        "search": ours.summary(),
        "recall_against_exact": recall,
        "parts": {name: part.summary() for name, part in parts.items()},
        "exact": reference.summary(),
        "loop_over_videos": {"wall_ms": summary(loop)},
        "exact_over_ours": _ratio(reference.walls, ours.walls),
        "loop_over_ours": _ratio(loop, ours.walls),
        "cold_process_s": summary(cold),
        "exact_an_encoder": {
            "count": exact_scenes,
            **{kind: part.summary() for kind, part in alone.items()},
        },
        "load": os.getloadavg() if hasattr(os, "getloadavg") else None,
    }


@dataclass(frozen=True)
class Timed:
    """Milliseconds of each call by the clock and of the processors, and what was found."""

    walls: list[float]
    cpus: list[float]
    found: list[list[int]]

    def summary(self) -> dict[str, dict[str, float]]:
        """Of both."""
        return {"wall_ms": summary(self.walls), "cpu_ms": summary(self.cpus)}


def timed(work: Callable[[Asked], list[int]], asked: Sequence[Asked]) -> Timed:
    """Each query by itself, after three that do not count."""
    for query in asked[:3]:
        work(query)
    done = Timed([], [], [])
    for query in asked:
        wall, cpu = time.perf_counter(), time.process_time()
        done.found.append(work(query))
        done.walls.append((time.perf_counter() - wall) * 1000)
        done.cpus.append((time.process_time() - cpu) * 1000)
    return done


def _overlap(found: Sequence[list[int]], true: Sequence[list[int]], k: int) -> float:
    """Mean share of the true best ``k`` that were found among the best ``k``."""
    shares = [len(set(a[:k]) & set(b[:k])) / k for a, b in zip(found, true, strict=False)]
    return round(statistics.mean(shares), 4)


def _dense(index: IndexFolder, kind: str) -> Callable[[Asked], list[int]]:
    """Search of one encoder alone, to the depth of a ranking."""
    space, scope = Synthetic(kind).space, index.catalog.scope(Query("x"))

    def search(asked: Asked) -> list[int]:
        return _ids(index.vectors.search(kind, asked.vectors[kind], space, scope, DEPTH))

    return search


def _ids(ranked: Sequence[tuple[int, float]]) -> list[int]:
    return [id for id, _ in ranked]


def _loop(index: IndexFolder, asked: Sequence[Asked]) -> list[float]:
    """The usual way: for each video, cosine similarities of its scenes; then sort. Milliseconds of
    both encoders, one held in memory after the other; no text."""
    total = np.zeros(len(asked))
    for kind in KINDS:
        held = {video: _rows(index, video, kind) for video in _videos(index)}
        total += timed(functools.partial(_look_through, held, kind), asked).walls
        del held
    return [float(value) for value in total]


def _look_through(held: Mapping[str, Floats], kind: str, asked: Asked) -> list[int]:
    query, scored = asked.vectors[kind], []
    for video, vectors in held.items():
        lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
        similar = vectors @ query / lengths
        scored += [(similar[i], video, i) for i in np.argsort(-similar)[:10]]
    return [int(place) for _, _, place in sorted(scored, reverse=True)[:10]]


def _videos(index: IndexFolder) -> list[str]:
    return [video.id for video in index.catalog.videos()]


def _rows(index: IndexFolder, video: str, kind: str) -> Floats:
    key = index.catalog.encodings(video)[kind].key
    assert key is not None
    return index.artifacts.read_vectors(key)[0]


def summary(values: Sequence[float]) -> dict[str, float]:
    """Median and 95th percentile."""
    median, p95 = np.percentile(values, [50, 95])
    return {"median": round(float(median), 2), "p95": round(float(p95), 2)}


def _ratio(slow: Sequence[float], quick: Sequence[float]) -> float:
    return round(statistics.median(slow) / statistics.median(quick), 1)


if __name__ == "__main__":
    once(Path(sys.argv[1]))
