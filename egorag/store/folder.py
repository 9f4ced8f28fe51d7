"""The index: one portable folder.

catalog.sqlite    videos, scenes, texts, full-text index (its version is the folder's version)
artifacts/        results of encoders, or ``artifacts.path``: a line naming a shared folder
vectors/          vectors laid out for search, made from the artifacts at any time
tables/           columns of the catalog laid out for search, made from it at any time
projections/      trained projections that travel with it, where there are any
config.yaml       the resolved config of the last run
lock              held by the one process that writes
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from egorag.errors import StoreError
from egorag.store.artifacts import Artifacts
from egorag.store.catalog import Catalog
from egorag.store.files import remove_leftovers, store_error, write_whole
from egorag.store.vectors import Vectors

_CATALOG = "catalog.sqlite"
_POINTER = "artifacts.path"
_DERIVED = ("vectors", "tables")
_OURS = {_CATALOG, _POINTER, "artifacts", *_DERIVED, "projections", "config.yaml", "lock"}

_DAY = 86_400.0  # seconds; no artifact takes longer to write


@dataclass(frozen=True, eq=False)
class IndexFolder:
    """An open index; close it, or use it in a ``with`` statement."""

    path: Path
    catalog: Catalog
    artifacts: Artifacts
    vectors: Vectors

    @classmethod
    def create(
        cls,
        path: Path,
        config_yaml: str,
        artifacts: Path | None = None,
        device: str = "auto",
        exact_up_to: int | None = None,
    ) -> IndexFolder:
        """Make an index, or open the one at ``path`` for writing, and put its config there.

        Args:
            config_yaml: the resolved config.
            artifacts: a folder that several indexes share, instead of one inside the index.
            device, exact_up_to: see ``Vectors``.

        Raises:
            StoreError: ``path`` holds something else, cannot be written, is being written by
                another process, or is of a newer version.
        """
        if path.exists() and not path.is_dir():
            raise StoreError(f"{str(path)!r} is a file; choose a folder for the index")
        try:
            path.mkdir(parents=True, exist_ok=True)
            strangers = {p.name for p in path.iterdir() if not p.name.startswith(".")} - _OURS
        except OSError as error:
            raise store_error(error, path) from error
        if strangers and not (path / _CATALOG).exists():
            raise StoreError(
                f"{str(path)!r} is not an index and not empty (it holds {min(strangers)!r}); "
                "choose a new folder"
            )
        with _locked(path):
            if artifacts is not None:
                write_whole(path / _POINTER, os.fsencode(artifacts.absolute()) + b"\n")
            catalog = Catalog(path / _CATALOG, read_only=False)
            write_whole(path / "config.yaml", config_yaml.encode("utf-8", "surrogateescape"))
        return cls._assemble(path, catalog, device, exact_up_to)

    @classmethod
    def open(
        cls,
        path: Path,
        read_only: bool = True,
        device: str = "auto",
        exact_up_to: int | None = None,
    ) -> IndexFolder:
        """Open an index that exists.

        Args:
            device, exact_up_to: see ``Vectors``.

        Raises:
            StoreError: there is none at ``path``, it is damaged, or of another version.
        """
        if not (path / _CATALOG).is_file():
            state = "is not an index" if path.exists() else "does not exist"
            raise StoreError(
                f"{str(path)!r} {state} (no {_CATALOG} in it); make one: "
                f"python -m egorag.index input=VIDEO index={path}"
            )
        if read_only:
            return cls._assemble(path, Catalog(path / _CATALOG), device, exact_up_to)
        with _locked(path):
            catalog = Catalog(path / _CATALOG, read_only=False)
            return cls._assemble(path, catalog, device, exact_up_to)

    @classmethod
    def _assemble(
        cls, path: Path, catalog: Catalog, device: str, exact_up_to: int | None
    ) -> IndexFolder:
        artifacts = Artifacts(_artifacts_folder(path))
        vectors = Vectors(path / "vectors", catalog, artifacts, device, exact_up_to)
        return cls(path, catalog, artifacts, vectors)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the index for writing; what killed writers left half-done is removed first.

        Raises:
            StoreError: another process is writing, or the folder cannot be written.
        """
        with _locked(self.path):
            shared = (self.path / _POINTER).exists()
            remove_leftovers(self.path)
            for name in _DERIVED:
                remove_leftovers(self.path / name)
            self.artifacts.clean(older_than=_DAY if shared else 0.0)
            yield

    def config(self) -> str:
        """The resolved config of the last run, as YAML."""
        try:
            return (self.path / "config.yaml").read_bytes().decode("utf-8", "surrogateescape")
        except FileNotFoundError:
            return ""

    def close(self) -> None:
        """Close the catalog."""
        self.catalog.close()

    def __enter__(self) -> IndexFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _artifacts_folder(path: Path) -> Path:
    try:
        shared = (path / _POINTER).read_bytes().rstrip(b"\n")
    except FileNotFoundError:
        return path / "artifacts"
    return path / os.fsdecode(shared)  # a relative one is meant from the index


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = FileLock(path / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise StoreError(
            f"another process is writing the index {str(path)!r}; wait until it has finished, or "
            "stop it (readers may go on meanwhile)"
        ) from None
    except OSError as error:
        raise store_error(error, path / "lock") from error
    try:
        yield
    finally:
        lock.release()
