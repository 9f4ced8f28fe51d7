"""Moments of a video read back, and the Ward tree over them.

A tree follows from the moments alone, so it is an artifact under a key of their hash: cutting
again with another threshold, or asking for the tree, makes it at most once.
"""

from __future__ import annotations

import numpy as np

from egorag.errors import ConfigError, StoreError, did_you_mean
from egorag.segment.by_tree import SceneTree
from egorag.segment.ward import WardTree, ward_tree
from egorag.spans import Span
from egorag.store.artifacts import Artifacts, Vectors
from egorag.store.folder import IndexFolder
from egorag.store.records import Encoding


def moments(folder: IndexFolder, video: str, encoder: str) -> tuple[list[Span], Vectors]:
    """The moments of a video: spans in time order, and float32 [n, dim].

    Raises:
        ConfigError: the encoder has none of this video; names those that do.
        StoreError: the artifact is missing or damaged.
    """
    made = _made(folder, video, encoder)
    assert made.key is not None
    vectors, spans = folder.artifacts.read_vectors(made.key, made.sha256)
    return spans, vectors


def scene_tree(folder: IndexFolder, video: str, encoder: str | None = None) -> SceneTree:
    """The Ward tree over the moments of a video.

    Args:
        encoder: whose moments; may be left out where one encoder alone has any.

    Raises:
        ConfigError, StoreError: as for ``moments``.
    """
    made = _made(folder, video, encoder)
    assert made.key is not None and made.sha256 is not None
    vectors, spans = folder.artifacts.read_vectors(made.key, made.sha256)
    tree = _recall(folder.artifacts, _key(made.sha256), len(spans)) or ward_tree(vectors)
    return SceneTree(made.encoder, tuple(spans), tree)


def keep_tree(artifacts: Artifacts, made: Encoding) -> SceneTree:
    """The tree over moments that an encoder made, from disk or made now and kept.

    Raises:
        StoreError: the moments are missing or damaged, or the tree cannot be written.
    """
    assert made.key is not None and made.sha256 is not None
    vectors, spans = artifacts.read_vectors(made.key, made.sha256)
    key = _key(made.sha256)
    tree = _recall(artifacts, key, len(spans))
    if tree is None:
        artifacts.discard(key)
        tree = ward_tree(vectors)
        data = {"children": tree.children.tolist(), "distances": tree.distances.tolist()}
        artifacts.write_json(key, data)
    return SceneTree(made.encoder, tuple(spans), tree)


def _key(sha256: str) -> str:
    return Artifacts.key(tree=1, moments=sha256)


def _recall(artifacts: Artifacts, key: str, leaves: int) -> WardTree | None:
    """The tree under ``key``; None if it is not there, damaged or of other moments."""
    if not artifacts.has(key):
        return None
    try:
        kept = artifacts.read_json(key)
        children = np.array(kept["children"], np.int64).reshape(-1, 2)
        distances = np.array(kept["distances"], np.float64)
    except (StoreError, KeyError, TypeError, ValueError):
        return None
    if len(children) != leaves - 1 or distances.shape != (leaves - 1,):
        return None
    return WardTree(children, distances)


def _made(folder: IndexFolder, video: str, encoder: str | None) -> Encoding:
    """What an encoder made of a video, if those are moments."""
    found = {
        name: each
        for name, each in folder.catalog.encodings(video).items()
        if each.kind == "moments" and each.key is not None and each.rows
    }
    if encoder is None and len(found) == 1:
        return next(iter(found.values()))
    if encoder is not None and encoder in found:
        return found[encoder]
    if not found:
        raise ConfigError(
            f"video {video[:12]} has no moments; index it with an encoder that yields them, such "
            "as +encoder=picture_frames"
        )
    if encoder is None:
        raise ConfigError(f"several encoders have moments, name one of {', '.join(found)}")
    raise ConfigError(f"no moments of encoder {encoder!r}{did_you_mean(encoder, found)}")
