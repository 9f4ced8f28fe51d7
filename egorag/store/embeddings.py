"""The embedding dict of every scene, as the field's users know it, and its file form."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from egorag.errors import StoreError
from egorag.spaces import EmbeddingSpace
from egorag.spans import to_seconds, to_us
from egorag.store.catalog import Catalog
from egorag.store.files import write_whole
from egorag.store.folder import IndexFolder
from egorag.store.ids import canonical_json
from egorag.store.means import weighted_mean
from egorag.store.records import EncoderRow
from egorag.store.rows import time_in, time_out
from egorag.types import Scene, Video

Array = npt.NDArray[np.float32]

_FORMAT = 1
_MEDIA = {"video": "frames", "audio": "sound", "text": "text"}


@dataclass(frozen=True, eq=False)
class Matrix:
    """One encoder's vectors of one video: float32 [n, d], row i of scene number ``scenes[i]``."""

    scenes: Sequence[int]
    vectors: Array


@dataclass(frozen=True, eq=False)
class Embeddings:
    """The embeddings of one video.

    Attributes:
        video: which one.
        scenes: one dict a level-0 scene, in order of time: ``start`` and ``end`` in seconds;
            ``transcript``, ``caption_text`` and ``visuals`` as text; float32 [d] or None under
            each encoder's name; and under ``video``, ``audio`` and ``text`` that of the config's
            first encoder of frames, sound and text; ``caption`` where a text encoder reads
            captions alone. These four names win over an encoder that is called the same.
        whole: the same keys for the whole video: means weighted by the scenes' durations.
        spaces: by encoder.
        roles: which encoder stands behind ``video``, ``audio``, ``text`` and ``caption``.
    """

    video: Video
    scenes: tuple[dict[str, Any], ...]
    whole: dict[str, Array | None]
    spaces: dict[str, EmbeddingSpace]
    roles: dict[str, str | None]

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {space.dim}-d" for name, space in self.spaces.items())
        return f"Embeddings({self.video!r}, {len(self.scenes)} scenes, {shapes or 'no vectors'})"


def embeddings(folder: IndexFolder, video: str) -> Embeddings:
    """The embeddings of the video with this id.

    Raises:
        StoreError: no such video, or an artifact is missing or damaged.
    """
    with folder.catalog.snapshot():
        found = folder.catalog.video(video)
        rows = folder.catalog.scene_encoders()
        scenes = folder.catalog.scenes(video, level=0)
        return _assemble(
            found,
            _described(folder.catalog, scenes),
            _matrices(folder, rows, scenes),
            _spaces(rows),
            _roles(rows),
        )


def export(folder: IndexFolder, to: Path) -> Path:
    """Write the embeddings of all videos to ``to``.safetensors, all else to ``to``.json beside it.

    Returns:
        The path of the arrays; ``load_embeddings`` reads both.

    Raises:
        StoreError: a file cannot be written, or an artifact is missing or damaged.
    """
    arrays_path, rest_path = _paths(to)
    tensors: dict[str, npt.NDArray[Any]] = {}
    videos: list[dict[str, Any]] = []
    with folder.catalog.snapshot():
        catalog = folder.catalog
        rows = catalog.scene_encoders()
        for video in catalog.videos():
            scenes = catalog.scenes(video.id, level=0)
            vectors = []
            for name, matrix in _matrices(folder, rows, scenes).items():
                tensor = f"{video.id}/{name}"
                tensors[tensor] = np.ascontiguousarray(matrix.vectors)
                vectors.append({"name": name, "tensor": tensor, "scenes": list(matrix.scenes)})
            described = {
                "id": video.id,
                "path": video.path,
                "duration": video.duration,
                "recorded_at": time_in(video.recorded_at),
                "metadata": dict(video.metadata),
                "scenes": _described(catalog, scenes),
                "vectors": vectors,
            }
            videos.append(described)
    data = save_safetensors(tensors)
    sha256 = hashlib.sha256(data).hexdigest()
    rest = {
        "format": _FORMAT,
        "arrays": sha256,
        "spaces": [[name, space.to_json()] for name, space in _spaces(rows).items()],
        "roles": _roles(rows),
        "videos": videos,
    }
    write_whole(arrays_path, data)
    write_whole(rest_path, canonical_json(rest))
    return arrays_path


def load_embeddings(path: str | Path) -> dict[str, Embeddings]:
    """Read what ``export`` wrote: embeddings by video id, in order of path.

    Raises:
        StoreError: a file is missing or damaged, or the two do not belong together.
    """
    arrays_path, rest_path = _paths(Path(path))
    try:
        data, rest = arrays_path.read_bytes(), json.loads(rest_path.read_bytes())
    except (OSError, ValueError) as error:
        raise StoreError(
            f"cannot read exported embeddings {str(arrays_path)!r} with {rest_path.name!r} "
            f"({error}); export them again: python -m egorag.export index=DIR to={path}"
        ) from error
    expected = {"format": _FORMAT, "arrays": hashlib.sha256(data).hexdigest()}
    if not isinstance(rest, dict) or not expected.items() <= rest.items():
        raise StoreError(
            f"{str(arrays_path)!r} and {rest_path.name!r} do not belong together or are damaged; "
            f"export them again: python -m egorag.export index=DIR to={path}"
        )
    tensors = load_safetensors(data)
    spaces = {name: EmbeddingSpace.from_json(space) for name, space in rest["spaces"]}
    return {
        described["id"]: _assemble(
            Video(
                described["id"],
                described["path"],
                described["duration"],
                time_out(described["recorded_at"]),
                described["metadata"],
            ),
            described["scenes"],
            {v["name"]: Matrix(v["scenes"], tensors[v["tensor"]]) for v in described["vectors"]},
            spaces,
            rest["roles"],
        )
        for described in rest["videos"]
    }


def _paths(to: Path) -> tuple[Path, Path]:
    stem = to.name.removesuffix(".safetensors").removesuffix(".json")
    return to.with_name(f"{stem}.safetensors"), to.with_name(f"{stem}.json")


def _roles(rows: Iterable[EncoderRow]) -> dict[str, str | None]:
    listed = list(rows)
    roles = {
        role: next((row.name for row in listed if row.medium == medium), None)
        for role, medium in _MEDIA.items()
    }
    return roles | {"caption": None}  # no encoder reads captions alone yet


def _spaces(rows: Iterable[EncoderRow]) -> dict[str, EmbeddingSpace]:
    return {row.name: row.space for row in rows if row.space is not None}


def _described(catalog: Catalog, scenes: Sequence[Scene]) -> list[dict[str, Any]]:
    """Times and texts of level-0 scenes, as plain data."""
    texts = catalog.scene_texts([scene.id for scene in scenes])
    return [
        {
            "start": to_seconds(scene.span.start),
            "end": to_seconds(scene.span.end),
            "transcript": texts[scene.id].speech,
            "caption_text": " ".join(
                text.text for text in catalog.texts(scene.video, "caption", scene.span)
            ),
            "visuals": texts[scene.id].visuals,
        }
        for scene in scenes
    ]


def _matrices(
    folder: IndexFolder, rows: Iterable[EncoderRow], scenes: Sequence[Scene]
) -> dict[str, Matrix]:
    """Each encoder's vectors of one video, from the artifacts."""
    if not scenes:
        return {}
    number = {scene.span: i for i, scene in enumerate(scenes)}
    encodings = folder.catalog.encodings(scenes[0].video)
    found: dict[str, Matrix] = {}
    for row in rows:
        made = encodings.get(row.name)
        if made is None or made.key is None or made.kind != "vectors":
            continue
        if made.fingerprint == row.fingerprint:
            vectors, spans = folder.artifacts.read_vectors(made.key, made.sha256)
            found[row.name] = Matrix([number[span] for span in spans], vectors)
    return found


def _assemble(
    video: Video,
    described: Sequence[Mapping[str, Any]],
    matrices: Mapping[str, Matrix],
    spaces: dict[str, EmbeddingSpace],
    roles: Mapping[str, str | None],
) -> Embeddings:
    scenes: list[dict[str, Any]] = [dict.fromkeys(spaces) for _ in described]
    whole: dict[str, Array | None] = dict.fromkeys(spaces)
    durations = np.array([to_us(d["end"]) - to_us(d["start"]) for d in described], dtype=np.int64)
    for name, matrix in matrices.items():
        for i, vector in zip(matrix.scenes, matrix.vectors, strict=True):
            scenes[i][name] = vector
        if matrix.scenes:
            weights = durations[list(matrix.scenes)]
            whole[name] = weighted_mean(matrix.vectors, weights, spaces[name].normalised)
    for values in (*scenes, whole):
        by_role = {role: values.get(name) if name else None for role, name in roles.items()}
        values.update(by_role)
    for values, texts in zip(scenes, described, strict=True):
        values.update(texts)
    return Embeddings(video, tuple(scenes), whole, spaces, dict(roles))
