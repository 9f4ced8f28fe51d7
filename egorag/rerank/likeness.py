"""How alike the scenes of a ranking are, by the vectors that an index has of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from egorag.errors import ConfigError, did_you_mean
from egorag.store.folder import IndexFolder
from egorag.types import Hit

Floats = npt.NDArray[np.float64]


def cosines(
    hits: Sequence[Hit], folder: IndexFolder, encoders: Sequence[str] = ()
) -> dict[str, Floats]:
    """float64 [n, n] by encoder: the cosine of each two scenes, NaN where one has no vector.

    Nothing but the vectors of these scenes is read, so that what a query may not see has no say.

    Args:
        encoders: whose vectors; all of the index's where empty.

    Raises:
        ConfigError: an encoder that has no vectors of scenes here.
        StoreError: an artifact is missing or damaged.
    """
    ids = np.array([hit.scene.id for hit in hits], np.int64)
    with folder.catalog.snapshot():
        known = [row.name for row in folder.catalog.scene_encoders()]
        for name in encoders:
            if name not in known:
                raise ConfigError(f"selector.encoders names {name!r}{did_you_mean(name, known)}")
        rows = {name: folder.vectors.rows(name, ids) for name in encoders or known}
    return {name: _cosines(vectors.astype(np.float64)) for name, vectors in rows.items()}


def mean_cosine(by_encoder: dict[str, Floats], count: int) -> Floats:
    """float64 [count, count]: the mean over the encoders that have a vector of both scenes.

    Two scenes that no encoder has both of count as alike as two of these scenes are on average:
    to lack a modality makes a scene neither new nor old.
    """
    both = np.array([~np.isnan(values) for values in by_encoder.values()]).reshape(-1, count, count)
    values = np.array(list(by_encoder.values())).reshape(-1, count, count)
    shared = both.sum(axis=0)
    total = np.where(both, values, 0.0).sum(axis=0)
    mean: Floats = np.divide(total, shared, out=np.zeros((count, count)), where=shared > 0)
    pairs = (shared > 0) & ~np.eye(count, dtype=bool)
    mean[shared == 0] = mean[pairs].mean() if pairs.any() else 0.0
    np.fill_diagonal(mean, 1.0)
    return mean


def _cosines(vectors: Floats) -> Floats:
    """Of rows float64 [n, d]; a zero row has no direction and so no cosine."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = vectors / lengths
        return np.asarray((unit @ unit.T).clip(-1, 1))
