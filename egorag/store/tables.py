"""Columns of the catalog laid out for search in ``tables/``: scenes, and who says which word.

They are copies made for speed, one file each, named after the catalog's generation. Whoever finds
one missing, damaged or older reads the catalog's rows instead; only the writer saves it.
"""

from __future__ import annotations

import bisect
import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from egorag.store.columns import ENDING, Array, Columns, DamagedError, load, writing
from egorag.store.scope import COLUMNS, Int64s, SceneTable
from egorag.types import Video

Postings = tuple[Int64s, npt.NDArray[np.float64]]
"""Rows of the documents that hold a term, ascending, and how often each does."""

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Documents:
    """The scenes with text.

    Attributes:
        ids: int64 [n], ascending.
        lengths: in tokens, int64 [n].
        columns: the inverted file, where it has been laid out.
    """

    ids: Int64s
    lengths: Int64s
    columns: Columns | None = None

    @classmethod
    def make(cls, lengths: Sequence[tuple[int, int]]) -> Documents:
        """From (scene, number of tokens) in ascending order of scene."""
        columns = np.array(lengths, dtype=np.int64).reshape(-1, 2).T.copy()
        return cls(columns[0], columns[1])

    def postings(self, term: str) -> Postings | None:
        """Who holds a term, as FTS5 stems it; None where the inverted file is not laid out."""
        if self.columns is None:
            return None
        terms, ends = self.columns["terms"], self.columns["term_ends"]
        wanted = _bytes(term)

        def at(i: int) -> bytes:
            return bytes(terms[ends[i] : ends[i + 1]].tobytes())

        place = bisect.bisect_left(range(len(ends) - 1), wanted, key=at)
        if place == len(ends) - 1 or at(place) != wanted:
            return np.empty(0, np.int64), np.empty(0)
        start, stop = self.columns["row_ends"][place : place + 2].tolist()
        rows = self.columns["rows"][start:stop].astype(np.int64)
        return rows, self.columns["counts"][start:stop].astype(np.float64)


def count(documents: Int64s, scenes: Int64s) -> Postings:
    """Postings from the scene of each occurrence (int64 [m], in any order)."""
    rows, counts = np.unique(np.searchsorted(documents, scenes), return_counts=True)
    return rows, counts.astype(np.float64)


def scenes(
    folder: Path, generation: int, videos: Callable[[], Sequence[Video]]
) -> SceneTable | None:
    """The table of scenes as of ``generation``, if it is there and whole."""

    def read(columns: Columns) -> SceneTable:
        ordered = tuple(sorted(videos(), key=lambda video: video.id))
        return SceneTable(**{name: columns[name] for name in COLUMNS}, videos=ordered)

    return _read(folder, "scenes", generation, read)


def documents(folder: Path, generation: int) -> Documents | None:
    """The scenes with text as of ``generation``, if they are there and whole."""

    def read(columns: Columns) -> Documents:
        for name in columns:
            columns[name]  # compares it with its hash
        return Documents(columns["ids"], columns["lengths"], columns)

    return _read(folder, "text", generation, read)


def save(
    folder: Path,
    generation: int,
    table: Callable[[], SceneTable],
    lengths: Callable[[], Sequence[tuple[int, int]]],
    terms: Callable[[], Iterable[tuple[str, Int64s]]],
) -> None:
    """Write both files as of ``generation``, unless they are there, and remove older ones.

    Args:
        lengths: (scene, number of tokens) of every scene with text, in ascending order of id.
        terms: every term in ascending order of its bytes, with the scene of each occurrence.

    Raises:
        StoreError: a file cannot be written.
    """
    if _read(folder, "scenes", generation, dict) is None:
        with writing(_path(folder, "scenes", generation)) as file:
            file.meta = {"digest": str(generation)}
            for name, column in table().columns.items():
                file.add(name, [column], "I64")
    if _read(folder, "text", generation, dict) is None:
        with writing(_path(folder, "text", generation)) as file:
            file.meta = {"digest": str(generation)}
            columns = np.array(lengths(), dtype=np.int64).reshape(-1, 2)
            file.add("ids", [columns[:, 0]], "I64")
            file.add("lengths", [columns[:, 1]], "I64")
            written: list[tuple[bytes, Int64s]] = []

            def rows() -> Iterator[Array]:
                for term, scenes in terms():
                    places, counts = count(columns[:, 0], scenes)
                    written.append((_bytes(term), counts.astype(np.int32)))
                    yield places

            file.add("rows", rows(), "I32")
            file.add("counts", [counts for _, counts in written], "I32")
            names = np.frombuffer(b"".join(name for name, _ in written), np.uint8)
            file.add("terms", [names], "U8")
            file.add("term_ends", [_ends([len(name) for name, _ in written])], "I64")
            file.add("row_ends", [_ends([len(counts) for _, counts in written])], "I64")
    for path in folder.iterdir():
        if path not in (_path(folder, name, generation) for name in ("scenes", "text")):
            with contextlib.suppress(PermissionError):  # Windows: a reader has it open
                path.unlink()


def _read(folder: Path, name: str, generation: int, read: Callable[[Columns], T]) -> T | None:
    columns = load(_path(folder, name, generation), str(generation))
    try:
        return read(columns) if columns is not None else None
    except (DamagedError, KeyError):
        return None


def _path(folder: Path, name: str, generation: int) -> Path:
    return folder / f"{name}.{generation:016x}{ENDING}"


def _ends(counts: Sequence[int]) -> Int64s:
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)


def _bytes(term: str) -> bytes:
    return term.encode("utf-8", "surrogatepass")
