"""The settings and manners that every encoder with downloaded weights has.

A family subclasses ``Pretrained``, says what it needs and what its owners publish, loads in
``_load`` and encodes. Everything else (finding and hashing the checkpoint, choosing device and
number format, fingerprints, giving memory back) is here, once.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np

from egorag.encode.base import Available, Medium, Over, Vectors
from egorag.encode.pretrained import checkpoint as checkpoints
from egorag.encode.pretrained.checkpoint import Checkpoint
from egorag.encode.pretrained.placement import ATTENTION, DTYPES, Placement, device_of, dtype_of
from egorag.encode.pretrained.shared import free
from egorag.errors import EgoragError, MissingPackageError, did_you_mean
from egorag.fingerprint import fingerprint_of
from egorag.spaces import EmbeddingSpace
from egorag.terminal import tell

_ABSENT = {Medium.FRAMES: "frames", Medium.SOUND: "sound", Medium.TEXT: "text"}
_REASON = {Medium.FRAMES: "no picture", Medium.SOUND: "no sound", Medium.TEXT: "no text"}
_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True)
class Published:
    """What a checkpoint's owners publish of it; source: its model card.

    Attributes:
        parameters: how many.
        dim: width of the embedding; None for one that yields text.
        licence: as the model card names it.
        gated: whether access must be granted first.
        download: bytes of its files.
    """

    parameters: float
    dim: int | None
    licence: str
    gated: bool = False
    download: float = 0.0


def by_name(default: str) -> Any:
    """A setting that only names where something lies: the hash of what lies there counts."""
    return field(default=default, metadata={"affects_output": False})


@dataclass(frozen=True, kw_only=True)
class Pretrained(ABC):
    """Settings common to all.

    Attributes:
        checkpoint: hub name, or a local folder as ``save_pretrained`` writes it.
        revision: commit, tag or branch on the hub; None is the default branch as last fetched.
        dtype: ``auto`` is bfloat16 on a GPU and float32 on a CPU.
        attention: ``auto`` is SDPA where the model has it.
        batch: items at once; None finds it from the free memory.
    """

    medium: ClassVar[Medium]
    over: ClassVar[Over] = Over.SCENES
    family: ClassVar[str]
    """Names the spaces of this family."""
    version: ClassVar[int] = 1
    """Raised when the same input gives another output."""
    packages: ClassVar[Mapping[str, str]] = {"torch": "torch", "transformers": "transformers"}
    """Modules it imports, and the package each comes in."""
    extra: ClassVar[str] = "vision"
    """The extra of egorag that installs them."""
    setting: ClassVar[str] = "encoders.NAME.checkpoint"
    """What the config calls the place of its weights, for messages."""
    queried_by: ClassVar[Sequence[str]] = ()
    """Media that can query its space, told where its weights are not here; ``space`` decides."""
    published: ClassVar[Mapping[str, Published]] = {}
    """By hub name."""
    working_bytes: ClassVar[float] = 0.5e9
    """About what one batch takes beside the weights."""
    shares: ClassVar[bool] = False
    """Whether encoders of this family load one model for equal ``share_key``s."""
    batch_size: ClassVar[int] = 8
    """Scenes handed over at once; how many run at once is ``batch``'s business."""
    dtypes: ClassVar[tuple[str, ...]] = DTYPES
    """Number formats the family computes right in; where ``auto`` finds another, float32."""

    checkpoint: str = by_name("")
    revision: str | None = field(default=None, metadata={"affects_output": False})
    dtype: str = "auto"
    attention: str = "auto"
    batch: int | None = field(default=None, metadata={"affects_output": False})
    _loaded: Any = field(
        default=None, init=False, repr=False, compare=False, metadata={"affects_output": False}
    )

    def __post_init__(self) -> None:
        if not self.checkpoint:
            raise ValueError("checkpoint must name a model of the hub or a local folder")
        if self.dtype not in DTYPES:
            raise ValueError(f"unknown dtype {self.dtype!r}{did_you_mean(self.dtype, DTYPES)}")
        if self.dtype not in self.dtypes:
            raise ValueError(
                f"{type(self).__name__} does not compute right in {self.dtype}; choose of "
                f"{', '.join(self.dtypes)}"
            )
        if self.attention not in ATTENTION:
            raise ValueError(
                f"unknown attention {self.attention!r}{did_you_mean(self.attention, ATTENTION)}"
            )
        if self.batch is not None and self.batch < 1:
            raise ValueError(f"batch must be 1 or more items at once, got {self.batch}")

    # -- the checkpoint --

    def source(self) -> Checkpoint:
        """Its checkpoint on this disk.

        Raises:
            ConfigError: not here, with the command that brings it.
        """
        return checkpoints.find(self.location(), self.revision, self.weight_files())

    def location(self) -> str:
        """Hub name or folder of the checkpoint; a family with names of its own looks them up."""
        return self.checkpoint

    def weight_files(self) -> Sequence[str]:
        """Patterns of weight files, best first; see ``checkpoints.find``."""
        return checkpoints.WEIGHTS

    def fetch(self) -> None:
        """Have packages and weights here: downloads what is missing, having told what.

        Raises:
            ConfigError: something is missing and cannot be fetched.
        """
        self.check_packages()
        checkpoints.fetch(self.location(), self.revision, tell, self.weight_files(), self.setting)

    @classmethod
    def check_packages(cls) -> None:
        """Raise MissingPackageError, with the command that mends it, unless all are installed."""
        missing = [p for m, p in cls.packages.items() if not _installed(m)]
        if missing:
            raise MissingPackageError(
                f"{cls.__name__} needs the package{'s' * (len(missing) > 1)} "
                f"{', '.join(missing)}: {cls.install_command()}"
            )

    @classmethod
    def install_command(cls) -> str:
        """What a user types to get the packages."""
        return f"{sys.executable} -m pip install 'egorag[{cls.extra}]'"

    # -- identity --

    def on(self, device: str) -> Self:
        """This encoder with nothing left to the device: ``dtype`` as it will be there."""
        if self.dtype != "auto":
            return self
        self.check_packages()
        return dataclasses.replace(self, dtype=self._dtype_on(device_of(device)))

    def _dtype_on(self, place: str) -> str:
        chosen = dtype_of(self.dtype, place)
        return chosen if chosen in self.dtypes else "float32"

    def fingerprint(self) -> str:
        """Class, version, settings and the checkpoint's hash, wherever it lies. ``dtype=auto``
        counts as float32: the pipeline asks after ``on``."""
        settled = dataclasses.replace(self, dtype="float32") if self.dtype == "auto" else self
        return fingerprint_of(settled, version=self.version, checkpoint=self.source().sha256)

    def space_of(self, dim: int, *queries: str) -> EmbeddingSpace:
        """Unit vectors of width ``dim`` in this checkpoint's space, queried by ``queries``."""
        revision = f"sha256:{self.source().sha256[:16]}"
        return EmbeddingSpace(self.family, revision, dim, True, frozenset(queries))

    def skip_reason(self, available: Available) -> str | None:
        there = getattr(available, _ABSENT[self.medium])
        return None if there else _REASON[self.medium]

    # -- running --

    def setup(self, device: str = "cpu") -> None:
        """Load the weights.

        Raises:
            ConfigError: packages or weights missing, or weights that are not this model's.
        """
        if self._loaded is not None:
            return
        self.check_packages()
        place = device_of(device)
        placement = Placement(place, self._dtype_on(place), self.attention)
        object.__setattr__(self, "_loaded", self._load(placement))

    @abstractmethod
    def _load(self, placement: Placement) -> Any:
        """The family's models and processors, kept as ``self.loaded``."""

    @property
    def loaded(self) -> Any:
        """What ``_load`` returned.

        Raises:
            EgoragError: before ``setup``.
        """
        if self._loaded is None:
            raise EgoragError(
                f"{type(self).__name__} is not loaded; call setup() before it is used"
            )
        return self._loaded

    def close(self) -> None:
        """Give memory back."""
        if self._loaded is not None:
            object.__setattr__(self, "_loaded", None)
            free()

    def share_key(self) -> Hashable:
        """Encoders with equal keys use one model: it counts once in a memory budget."""
        of_model = (self.family, self.location(), self.revision, self.dtype, self.attention)
        return of_model if self.shares else (*of_model, id(self))

    def memory(self) -> int:
        """About how many bytes it takes on its device: weights in ``dtype``, and one batch."""
        return round(self.weights_memory() + self.working_bytes)

    def weights_memory(self) -> float:
        """Bytes of the weights alone, in ``dtype``."""
        width = _BYTES.get(self.dtype, 4)
        known = self.published.get(self.location())
        if known is not None:
            return known.parameters * width
        return self.source().weight_bytes * width / 4  # float32 on disk: never too little

    @abstractmethod
    def describe(self) -> str:
        """What it does with a scene, in one line, for reports."""


def unit(rows: Any) -> Vectors:
    """float32 [n, dim] with unit rows, from a tensor or array.

    Raises:
        EgoragError: a row that is zero or not finite, which has no direction.
    """
    if hasattr(rows, "detach"):
        rows = rows.detach().float().cpu().numpy()
    vectors = np.asarray(rows, np.float32)
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if not (np.isfinite(norms).all() and (norms > 0).all()):
        raise EgoragError("the model gave a vector that is zero or not finite; try dtype=float32")
    unit_rows: Vectors = (vectors / norms).astype(np.float32)
    return unit_rows


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
