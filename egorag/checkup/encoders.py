"""Every encoder that a config can name: whether it can run here, and what mends it.

An encoder without weights to download is really set up. Of a pretrained one, packages and weights
are looked for: nothing is loaded, downloaded or asked of the network.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from egorag import __version__, config, registry
from egorag.encode.base import Encoder
from egorag.encode.pretrained.base import Pretrained
from egorag.encode.pretrained.checkpoint import MissingWeightsError
from egorag.encode.pretrained.placement import device_of
from egorag.errors import EgoragError, MissingPackageError

READY = "ready"
WEIGHTS = "needs weights"
PACKAGES = "needs packages"
BROKEN = "broken"

T = TypeVar("T")


@dataclass
class Row:
    """What is known of one encoder.

    Attributes:
        state: ``READY``, ``WEIGHTS``, ``PACKAGES`` or ``BROKEN``.
        default: it is in the set that ``index`` takes unless told otherwise.
        preset: a file of ``configs/encoder``; False for a class that another package registers.
        yields: ``vectors``, ``text``, or None if it cannot be said.
        queries: media that can query it.
        does: what it does with a scene; None if it cannot be said without its weights.
        bytes: of the weights on this disk; None if they are not here.
        download: bytes, as published.
        memory: bytes it needs where it runs.
        seconds: it took to set up; None for what is not set up here.
        lacks, mend: why it cannot run, and the one command that mends it.
    """

    plugin: str
    state: str = BROKEN
    default: bool = False
    preset: bool = True
    medium: str | None = None
    yields: str | None = None
    dim: int | None = None
    queries: list[str] = field(default_factory=list)
    does: str | None = None
    checkpoint: str | None = None
    licence: str | None = None
    gated: bool | None = None
    bytes: int | None = None
    download: float | None = None
    memory: int | None = None
    seconds: float | None = None
    lacks: str | None = None
    mend: str | None = None

    @property
    def fine(self) -> bool:
        """Whether it runs here as it stands."""
        return self.state == READY

    def to_json(self) -> dict[str, Any]:
        """Plain data, all fields."""
        return {"ok": self.fine, **asdict(self)}


def check_encoders(device: str) -> dict[str, Row]:
    """Every preset by name, and every registered class that no preset here names.

    Raises:
        ConfigError: the device is not there.
    """
    place = _place(device)
    nodes, default = _presets()
    named = {node.get("_target_") for node in nodes.values()}
    rows = {name: check_encoder(name, node, place) for name, node in sorted(nodes.items())}
    for name, point in sorted(registry.plugins("encoders").items()):
        target = point.value.replace(":", ".")
        if target not in named:
            key = name if name not in rows else point.value
            rows[key] = check_encoder(name, {"_target_": target}, place)
            rows[key].preset = False
    for name in default:
        rows[name].default = True
    return rows


def _place(device: str) -> str:
    try:
        return device_of(device)
    except ImportError:  # no torch: then only the CPU
        return "cpu"


def _presets() -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The settings of every preset, as ``index`` would have them, and the default set."""
    given = ["input=-", "index=-"]
    every = f"encoder=[{','.join(config.options()['encoder'])}]"
    default = config.compose("index", given)["encoders"]
    return config.compose("index", [*given, every])["encoders"], list(default)


def check_encoder(name: str, node: Mapping[str, Any], device: str) -> Row:
    """The encoder that ``node`` (its settings, ``_target_`` included) describes."""
    target = str(node.get("_target_"))
    row = Row(".".join(target.split(".")[:-1]) + ":" + target.split(".")[-1])
    try:
        encoder: Encoder = registry.build("encoders", name, node)
        row.medium = encoder.medium.value
        (_look if isinstance(encoder, Pretrained) else _set_up)(row, encoder, device)
    except Exception as error:  # a plugin's mistake is told in its row, whatever it is
        _blame(row, error)
    return row


def _set_up(row: Row, encoder: Encoder, device: str) -> None:
    """Load it, as a run would, and give it back."""
    _describe(row, encoder)
    began = time.perf_counter()
    encoder.setup(device)
    encoder.close()
    row.seconds = round(time.perf_counter() - began, 3)
    row.state = READY


def _look(row: Row, encoder: Any, device: str) -> None:
    """See what a pretrained one lacks, from what lies here."""
    row.checkpoint = encoder.checkpoint
    published = encoder.published.get(encoder.location())
    if published is not None:
        row.dim, row.licence = published.dim, published.licence
        row.gated, row.download = published.gated, published.download or None
        row.yields = "text" if published.dim is None else "vectors"
        row.queries = sorted(encoder.queried_by)
    try:
        encoder.check_packages()
    except MissingPackageError as error:
        row.state, row.mend = PACKAGES, encoder.install_command()
        row.lacks = str(error).removesuffix(f": {row.mend}")
    else:
        encoder = encoder if device == "cpu" else encoder.on(device)
    row.memory = _known(encoder.memory)
    try:
        source = encoder.source()
    except MissingWeightsError as error:
        if row.lacks is None:
            row.state, row.lacks, row.mend = WEIGHTS, str(error), error.mend
            if row.gated:
                row.lacks = f"accept its licence first, at https://huggingface.co/{row.checkpoint}"
                row.mend = f"hf auth login && {error.mend}"
        return
    row.bytes = sum((source.folder / name).stat().st_size for name in source.files)
    _describe(row, encoder)
    if row.lacks is None:
        row.state = READY


def _describe(row: Row, encoder: Encoder) -> None:
    space = encoder.space
    row.yields = "text" if space is None else "vectors"
    row.dim = None if space is None else space.dim
    row.queries = [] if space is None else sorted(space.queries)
    describe = getattr(encoder, "describe", None)
    row.does = None if describe is None else _known(describe)


def _known(ask: Callable[[], T]) -> T | None:
    """What it says, None if it cannot without what is missing."""
    try:
        return ask()
    except (EgoragError, OSError, ImportError):
        return None


def _blame(row: Row, error: Exception) -> None:
    """Put an error into the row, and the command that mends it, if there is one."""
    row.lacks = str(error) if isinstance(error, EgoragError) else f"{type(error).__name__}: {error}"
    missing = error if isinstance(error, ImportError) else error.__cause__
    if isinstance(missing, ImportError) and not (missing.name or "").startswith("egorag"):
        row.state = PACKAGES
        row.mend = f"{sys.executable} -m pip install {missing.name or 'PACKAGE'}"
    else:
        row.state = BROKEN
        if row.plugin.startswith("egorag."):
            row.mend = f"{sys.executable} -m pip install --force-reinstall egorag=={__version__}"
