"""Feature maps of scenes, of any size each, kept whole: losslessly packed, read one at a time.

A file is chunks, then an index (canonical JSON: of each scene its span, its shape and where its
chunks lie), then a tail that says where the index is. It is written front to back, a scene at a
time, and read through a memory map: only the scene that is asked for is unpacked. Every chunk and
the index carry their SHA-256.

A chunk is some steps of one map. Features hardly repeat, so a dictionary finds little in them; but
of the two bytes of a float16 the high one (sign, exponent) takes few values, and the low one of
what was a bfloat16 has three zero bits. So the bytes are parted by place and coded by Huffman
alone: as small as deflate makes it, at several times its speed (``benchmarks/token_maps.py``).
"""

from __future__ import annotations

import hashlib
import json
import mmap
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from egorag.errors import StoreError
from egorag.spans import Span
from egorag.store.files import Draft, store_error
from egorag.store.ids import canonical_json

TokenMap = npt.NDArray[np.float16]

CHUNK = 8 * 2**20
"""Bytes of a chunk, unpacked, about: what packing holds beside the map."""

_MAGIC = b"egorag token maps 1\n"
_TAIL = struct.Struct("<QQ32s20s")  # where the index begins, its length, its SHA-256, the magic


class TokenWriter:
    """Writes the maps of one video, in order of time, under a temporary name in ``folder``.

    Raises:
        StoreError: from every method but ``discard``: the disk is full or cannot be written.
    """

    def __init__(self, folder: Path, meta: Mapping[str, str]) -> None:
        self._folder = folder
        self._meta = dict(meta)
        self._scenes: list[dict[str, Any]] = []
        self._at = 0
        try:
            self._draft = Draft(folder, "tokens")
        except OSError as error:
            raise store_error(error, folder) from error
        self._write(_MAGIC)

    def add(self, span: Span, tokens: TokenMap) -> None:
        """Keep float16 [steps, rows, columns, dim] of the scene over ``span``.

        Raises:
            ValueError: another type or number of axes, or a scene that begins before the last.
        """
        if tokens.dtype != np.float16 or tokens.ndim != 4:
            raise ValueError(
                "a token map must be float16 [steps, rows, columns, dim], got "
                f"{tokens.dtype} {list(tokens.shape)}"
            )
        if self._scenes and span.start < self._scenes[-1]["span"][1]:
            raise ValueError(f"the scene at {span} is not after the one before it")
        chunks = []
        each = max(1, CHUNK // max(1, tokens[:1].nbytes))
        for start in range(0, len(tokens), each):
            part = tokens[start : start + each]
            packed = _pack(part)
            digest = hashlib.sha256(packed).hexdigest()
            chunks.append([self._at, len(packed), len(part), digest])
            self._write(packed)
        self._scenes.append(
            {"span": [span.start, span.end], "shape": list(tokens.shape), "chunks": chunks}
        )

    def keep(self, path: Path) -> None:
        """No more scenes: write the index and give the file its name."""
        index = canonical_json({"meta": self._meta, "scenes": self._scenes})
        start = self._at
        self._write(index)
        self._write(_TAIL.pack(start, len(index), hashlib.sha256(index).digest(), _MAGIC))
        try:
            self._draft.keep(path)
        except OSError as error:
            raise store_error(error, path) from error

    def discard(self) -> None:
        """Leave nothing behind; does nothing once it is kept."""
        self._draft.discard()

    def _write(self, data: bytes) -> None:
        try:
            self._draft.file.write(data)
        except OSError as error:
            self.discard()
            raise store_error(error, self._folder) from error
        self._at += len(data)


class TokenMaps(Sequence[TokenMap]):
    """The maps of one video, in order of time: float16 [steps, rows, columns, dim] each, unpacked
    when it is asked for. Close it, or use ``with``.

    Attributes:
        spans: of the scenes; a scene without a picture has no map.
        shapes: known without unpacking.
        meta: what it was written with.

    Raises:
        StoreError: missing or damaged; names the file and the remedy.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.open("rb") as file:
                # An empty file cannot be mapped; it is damaged as any other without a tail.
                self._data: mmap.mmap = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError:
            raise StoreError(f"no token maps at {str(path)!r}") from None
        except ValueError:
            raise self._damaged("it is empty") from None
        except OSError as error:
            raise StoreError(f"cannot read token maps {str(path)!r}: {error.strerror}") from error
        try:
            index = self._index()
            self.meta: Mapping[str, str] = index["meta"]
            self._scenes = index["scenes"]
            self.spans = tuple(Span(*scene["span"]) for scene in self._scenes)
            self.shapes = tuple(tuple(scene["shape"]) for scene in self._scenes)
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self._scenes)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(len(self)))]
        return self._read(self._scenes[number])

    def __iter__(self) -> Iterator[TokenMap]:
        return (self._read(scene) for scene in self._scenes)

    def close(self) -> None:
        """Let go of the file."""
        self._data.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"TokenMaps({str(self._path)!r}, {len(self)} scenes)"

    def _index(self) -> Any:
        size = len(self._data)
        if size < len(_MAGIC) + _TAIL.size or self._data[: len(_MAGIC)] != _MAGIC:
            raise self._damaged("it does not begin as one")
        start, length, digest, magic = _TAIL.unpack(self._data[size - _TAIL.size :])
        if magic != _MAGIC or start + length + _TAIL.size != size:
            raise self._damaged("it does not end as one")
        index = self._data[start : start + length]
        if hashlib.sha256(index).digest() != digest:
            raise self._damaged("its index has changed since it was written")
        return json.loads(index)

    def _read(self, scene: Any) -> TokenMap:
        tokens = np.empty(scene["shape"], np.float16)
        first = 0
        for start, length, steps, digest in scene["chunks"]:
            packed = self._data[start : start + length]
            if hashlib.sha256(packed).hexdigest() != digest:
                raise self._damaged(f"the scene at {Span(*scene['span'])} has changed")
            _unpack(packed, tokens[first : first + steps])
            first += steps
        return tokens

    def _damaged(self, reason: str) -> StoreError:
        return StoreError(
            f"token maps {str(self._path)!r} are damaged ({reason}); delete the file and run the "
            "same `python -m egorag.index` command again to make it anew"
        )


def _pack(part: TokenMap) -> bytes:
    """All low bytes, then all high ones, Huffman-coded; zlib's format, which has a checksum."""
    planes = np.ascontiguousarray(part, "<f2").reshape(-1, 1).view(np.uint8).T
    coder = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_HUFFMAN_ONLY)
    return coder.compress(planes.tobytes()) + coder.flush()


def _unpack(packed: bytes, into: TokenMap) -> None:
    planes = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(2, -1)
    into[...] = np.ascontiguousarray(planes.T).view("<f2").reshape(into.shape)
