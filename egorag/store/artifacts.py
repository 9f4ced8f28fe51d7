"""Immutable files of results, addressed by what they were made from.

Layout: ``artifacts/ab/abcdef....safetensors`` (vectors with their spans), ``.json`` (timed text,
scenes) or ``.tokens`` (feature maps). A file appears under its name only when it is whole, and its
bytes depend on nothing but its content, so equal inputs give equal hashes on every machine.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from egorag.errors import StoreError
from egorag.spans import Span
from egorag.store.files import remove_leftovers, write_whole
from egorag.store.ids import canonical_json, digest
from egorag.store.token_maps import TokenMaps, TokenWriter

Vectors = npt.NDArray[np.float32]

_KEY = re.compile(r"[0-9a-f]{64}")
_VECTORS, _JSON, _TOKENS = ".safetensors", ".json", ".tokens"


@dataclass(frozen=True)
class Stored:
    """An artifact on disk: its key, the SHA-256 (hex) of its bytes, their number."""

    key: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Artifacts:
    """The artifact files under ``root``; several indexes may share one root."""

    root: Path

    @staticmethod
    def key(**parts: Any) -> str:
        """The key of what these parts (plain data) identify: 64 hex digits.

        >>> Artifacts.key(video="a", fingerprint="b")[:12]
        'c1bd28ecaf0f'
        """
        return digest(parts)

    def has(self, key: str) -> bool:
        """Whether the result is there; if it is, it is whole."""
        return self._find(key) is not None

    def write_vectors(
        self, key: str, vectors: Vectors, spans: Sequence[Span], meta: Mapping[str, str]
    ) -> Stored:
        """Keep float32 [n, d] ``vectors``, row i over ``spans[i]``, with descriptive ``meta``.

        Raises:
            ValueError: shapes disagree, or a component is not finite.
            StoreError: the file cannot be written.
        """
        if vectors.ndim != 2 or vectors.dtype != np.float32 or len(vectors) != len(spans):
            raise ValueError(
                f"expected float32 [{len(spans)}, d] vectors for {len(spans)} spans, "
                f"got {vectors.dtype} {list(vectors.shape)}"
            )
        if not np.isfinite(vectors).all():
            raise ValueError(f"vectors of artifact {key[:12]} hold NaN or infinity")
        times = np.array([(s.start, s.end) for s in spans], dtype=np.int64).reshape(-1, 2)
        # One metadata entry: safetensors writes several in random order.
        described = {"meta": canonical_json(dict(meta)).decode()}
        tensors: dict[str, npt.NDArray[Any]] = {
            "vectors": np.ascontiguousarray(vectors),
            "spans": times,
        }
        return self._write(key, _VECTORS, save_safetensors(tensors, metadata=described))

    def read_vectors(self, key: str, sha256: str | None = None) -> tuple[Vectors, list[Span]]:
        """The vectors (float32 [n, d]) and spans kept under ``key``.

        Args:
            sha256: what the bytes must hash to, as the catalog recorded it.

        Raises:
            StoreError: missing or damaged; names the file and the remedy.
        """
        data = self._read(key, _VECTORS, sha256)
        try:
            tensors = load_safetensors(data)
            vectors, times = tensors["vectors"], tensors["spans"]
            if vectors.dtype != np.float32 or times.shape != (len(vectors), 2):
                raise ValueError(f"unexpected shapes {vectors.shape}, {times.shape}")
            return vectors, [Span(start, end) for start, end in times.tolist()]
        except (SafetensorError, KeyError, ValueError) as error:
            raise self._damaged(key, _VECTORS, str(error)) from error

    def write_json(self, key: str, data: Any) -> Stored:
        """Keep plain data under ``key``."""
        return self._write(key, _JSON, canonical_json(data))

    def read_json(self, key: str, sha256: str | None = None) -> Any:
        """The plain data kept under ``key``; arguments and errors as for ``read_vectors``."""
        data = self._read(key, _JSON, sha256)
        try:
            return json.loads(data)
        except ValueError as error:
            raise self._damaged(key, _JSON, str(error)) from error

    def token_writer(self, meta: Mapping[str, str]) -> TokenWriter:
        """For the maps of one video, which may fill a disk: they are written as they come, and
        ``keep_tokens`` gives them their key."""
        return TokenWriter(self._temporary, meta)

    def keep_tokens(self, key: str, writer: TokenWriter) -> None:
        """What was written has its place under ``key``. StoreError if that cannot be."""
        writer.keep(self._path(key, _TOKENS))

    def read_tokens(self, key: str) -> TokenMaps:
        """The maps kept under ``key``, unpacked when they are asked for; close it.

        Raises:
            StoreError: missing or damaged; names the file and the remedy.
        """
        path = self._path(key, _TOKENS)
        if not path.exists():
            raise self._missing(key)
        return TokenMaps(path)

    def stored(self, key: str) -> Stored:
        """The artifact as it is on disk now, hashed anew. StoreError if it is missing."""
        path = self._find(key)
        if path is None:
            raise self._missing(key)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return Stored(key, sha256, path.stat().st_size)

    def verify(self, key: str, sha256: str) -> None:
        """Raise StoreError unless the artifact is there and its bytes hash to ``sha256``."""
        path = self._find(key)
        if path is None:
            raise self._missing(key)
        if self.stored(key).sha256 != sha256:
            raise self._damaged(key, path.suffix, "its bytes changed since they were written")

    def discard(self, key: str) -> None:
        """Remove an artifact (a damaged one), so that the next run makes it anew."""
        path = self._find(key)
        if path is not None:
            path.unlink()

    def clean(self, older_than: float = 0.0) -> None:
        """Remove what killed runs left half-written at least ``older_than`` seconds ago.

        Only for the one writer of this root; for a root that others write too, give an age no
        write can reach.
        """
        remove_leftovers(self._temporary, older_than)

    @property
    def _temporary(self) -> Path:
        return self.root / "tmp"

    def _path(self, key: str, suffix: str) -> Path:
        if not _KEY.fullmatch(key):  # keys come from the catalog; none may name another folder
            raise StoreError(f"{key!r} is no artifact key (64 hex digits)")
        return self.root / key[:2] / f"{key}{suffix}"

    def _find(self, key: str) -> Path | None:
        paths = (self._path(key, suffix) for suffix in (_VECTORS, _JSON, _TOKENS))
        return next((path for path in paths if path.exists()), None)

    def _write(self, key: str, suffix: str, data: bytes) -> Stored:
        write_whole(self._path(key, suffix), data, temporary_in=self._temporary)
        return Stored(key, hashlib.sha256(data).hexdigest(), len(data))

    def _read(self, key: str, suffix: str, sha256: str | None) -> bytes:
        path = self._path(key, suffix)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise self._missing(key) from None
        except OSError as error:
            raise StoreError(f"cannot read artifact {str(path)!r}: {error.strerror}") from error
        if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
            raise self._damaged(key, suffix, "its bytes changed since they were written")
        return data

    def _missing(self, key: str) -> StoreError:
        return StoreError(
            f"artifact {key[:12]} is missing from {str(self.root)!r}; "
            "run the same `python -m egorag.index` command again to make it anew"
        )

    def _damaged(self, key: str, suffix: str, reason: str) -> StoreError:
        return StoreError(
            f"artifact {str(self._path(key, suffix))!r} is damaged ({reason}); delete it and run "
            "the same `python -m egorag.index` command again to make it anew"
        )
