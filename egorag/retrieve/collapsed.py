"""All levels at once, as in a collapsed tree."""

from __future__ import annotations

from dataclasses import dataclass, replace

from egorag.errors import did_you_mean
from egorag.fuse.base import Fused
from egorag.fuse.places import FusedList
from egorag.retrieve.expand import Expanding
from egorag.retrieve.levels import line, parents
from egorag.retrieve.retriever import Retriever
from egorag.store.catalog import Catalog
from egorag.types import LEVELS, Hit, Query

NESTED = ("finer", "better", "both")


@dataclass(frozen=True, kw_only=True)
class Collapsed(Expanding):
    """Ranks videos, events and scenes in one list, whatever level the query names.

    The collapsed tree of RAPTOR (Sarthi et al., "RAPTOR: Recursive abstractive processing for
    tree-organized retrieval", ICLR 2024), where a node and its own part may both be found.

    Attributes:
        nested: what is kept of a scene and the event or video it is part of: the ``finer``, in
            the place and with the score of whichever ranked higher (a good event lifts its best
            scene); the ``better`` ranked one; or ``both``, as in RAPTOR.
    """

    nested: str = "finer"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nested not in NESTED:
            raise ValueError(f"no nested={self.nested}{did_you_mean(self.nested, NESTED)}")

    def find(self, query: Query, retriever: Retriever, k: int) -> list[Hit]:
        every = replace(query, levels=LEVELS)
        vectors = retriever.embed(query)
        catalog = retriever.folder.catalog
        with catalog.snapshot():
            depth, before = k, -1
            while True:
                ranked = retriever.ranked(every, vectors, depth)
                kept = self._apart(ranked, catalog, k)
                if len(kept) >= k or len(ranked) == before:
                    return retriever.shown(query, vectors, kept[:k])
                # What was dropped left too few: look deeper, until that finds nothing more.
                before, depth = len(ranked), 2 * max(depth, retriever.depth)

    def _apart(self, ranked: FusedList, catalog: Catalog, k: int) -> list[Fused]:
        """The first ``k`` that remain once nested ones are settled, or fewer."""
        table, above = catalog.table(), parents(catalog)
        rows = table.places(ranked.ids)
        kept: dict[int, Fused] = {}  # by row, in order; a finer scene takes its parent's place
        covered: set[int] = set()  # the rows that something kept is part of
        for row, item in zip(rows.tolist(), ranked, strict=True):
            if len(kept) == k:
                break
            over = line(row, above)[1:]
            held = next((parent for parent in over if parent in kept), None)
            if self.nested != "both" and row in covered:
                continue
            if held is None or self.nested == "both":
                kept[row] = item
            elif self.nested == "finer":
                finer = replace(item, score=kept[held].score)
                kept = {row if r == held else r: finer if r == held else f for r, f in kept.items()}
            else:
                continue
            covered.update(over)
        return list(kept.values())
