"""Which scene of the level above each scene is part of, in columns."""

from __future__ import annotations

import numpy as np

from egorag.store.catalog import Catalog
from egorag.store.scope import Int64s, SceneTable


def parents(catalog: Catalog) -> Int64s:
    """int64 [n]: for each scene of the catalog's table the row of its parent, -1 at the top."""
    return catalog.memo("parents", lambda: parents_of(catalog.table()))


def parents_of(table: SceneTable) -> Int64s:
    """As ``parents``. A parent is a union of adjacent children, so it is the last one of its
    video to start no later than the child."""
    found = np.full(len(table.ids), -1, np.int64)
    for level in range(int(table.level.max(initial=0))):
        rows = np.flatnonzero((table.level == level) | (table.level == level + 1))
        above = table.level[rows] == level + 1
        # In time, and a parent before the child that starts with it.
        order = np.lexsort((~above, table.start[rows], table.video[rows]))
        rows, above = rows[order], above[order]
        last = np.maximum.accumulate(np.where(above, np.arange(len(rows)), -1))
        has = ~above & (last >= 0)
        parent = rows[last[has]]
        same = table.video[parent] == table.video[rows[has]]
        found[rows[has][same]] = parent[same]
    return found


def line(row: int, parents: Int64s) -> list[int]:
    """The row itself, its parent, and so on to the top."""
    found = [row]
    while parents[found[-1]] >= 0:
        found.append(int(parents[found[-1]]))
    return found
