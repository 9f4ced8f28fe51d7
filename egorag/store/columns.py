"""Arrays in one file that is written whole or not at all and read through a memory map.

The file is an ordinary safetensors file. Its metadata holds the SHA-256 of each array, so that only
what is used needs to be read: an array is compared with its hash when it is first asked for.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from egorag.store.files import replacing
from egorag.store.ids import canonical_json

ENDING = ".safetensors"

Array = npt.NDArray[Any]

_HEADER = 8192  # bytes kept free at the front: what stands there is known last
_TYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "U32": np.dtype("<u4"),
    "U8": np.dtype("u1"),
}
_NAMES = {dtype: name for name, dtype in _TYPES.items()}


class DamagedError(Exception):
    """A derived file does not hold what was written; it is to be made anew."""


class ColumnWriter:
    """Takes arrays one after another; see ``writing``."""

    def __init__(self, file: BinaryIO) -> None:
        self.meta: dict[str, str] = {}
        self._file = file
        self._columns: dict[str, dict[str, Any]] = {}
        self._hashes: dict[str, str] = {}
        self._at = 0
        file.write(bytes(_HEADER))

    def add(
        self, name: str, parts: Iterable[Array], dtype: str, width: tuple[int, ...] = ()
    ) -> int:
        """Append the parts, each [m, *width], as one array; returns its length."""
        hasher = hashlib.sha256()
        start, length = self._at, 0
        for part in parts:
            data = np.ascontiguousarray(part, _TYPES[dtype])
            if data.shape[1:] != width:
                raise ValueError(f"expected [*, {width}] in column {name}, got {data.shape}")
            hasher.update(data.data.cast("B") if data.size else b"")
            self._file.write(data.data)
            self._at += data.nbytes
            length += len(data)
        self._columns[name] = {
            "dtype": dtype,
            "shape": [length, *width],
            "data_offsets": [start, self._at],
        }
        self._hashes[name] = hasher.hexdigest()
        return length

    def mapped(self, name: str) -> Array:
        """A column that was added, from the file; let go of it before the file is whole."""
        self._file.flush()
        return _view(_mapped(Path(self._file.name)), self._columns[name])

    def finish(self) -> None:
        """Write the header."""
        meta = {**self.meta, "sha256": canonical_json(self._hashes).decode()}
        header = canonical_json({**self._columns, "__metadata__": meta})
        self._file.seek(0)
        self._file.write((_HEADER - 8).to_bytes(8, "little") + header.ljust(_HEADER - 8))


@contextlib.contextmanager
def writing(path: Path) -> Iterator[ColumnWriter]:
    """Write the file at ``path``, whole or not at all.

    Raises:
        StoreError: the disk is full or read-only, or permission is denied.
    """
    with replacing(path) as file:
        writer = ColumnWriter(file)
        yield writer
        writer.finish()


class Columns(Mapping[str, Array]):
    """The arrays of one file, read-only and mapped; valid even after the file is replaced.

    Attributes:
        meta: what the writer said of it.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._data = _mapped(path)
            if int.from_bytes(self._data[:8], "little") != _HEADER - 8:
                raise ValueError("another kind of file")
            self._columns = json.loads(self._data[8:_HEADER])
            self.meta: dict[str, str] = self._columns.pop("__metadata__")
            self._hashes = json.loads(self.meta.pop("sha256"))
            self._arrays = {name: _view(self._data, c) for name, c in self._columns.items()}
            ends = [column["data_offsets"][1] for column in self._columns.values()]
            if max(ends, default=0) + _HEADER != len(self._data):
                raise ValueError("not as long as it should be")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedError(f"{path}: {error}") from error
        self._unchecked = set(self._arrays)

    def __getitem__(self, name: str) -> Array:
        array = self._arrays[name]
        if name in self._unchecked:
            if hashlib.sha256(array.data.cast("B") if array.size else b"").hexdigest() != (
                self._hashes.get(name)
            ):
                raise DamagedError(f"column {name} has changed since it was written")
            self._unchecked.discard(name)
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def unchecked(self, name: str) -> Array:
        """A column that is not compared with its hash: whoever uses it checks in another way."""
        return self._arrays[name]


def load(path: Path, digest: str) -> Columns | None:
    """The file at ``path`` if it is there, readable and made for ``digest``."""
    try:
        columns = Columns(path)
    except DamagedError:
        return None
    return columns if columns.meta.get("digest") == digest else None


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _view(data: mmap.mmap, column: Mapping[str, Any]) -> Array:
    shape, (start, end) = tuple(column["shape"]), column["data_offsets"]
    dtype = _TYPES[column["dtype"]]
    count = int(np.prod(shape))
    if count * dtype.itemsize != end - start:
        raise ValueError(f"a column of shape {shape} cannot lie at {start} to {end}")
    if not count:
        return np.empty(shape, dtype)
    array: Array = np.frombuffer(data, dtype, count, _HEADER + start)
    return array.reshape(shape)
