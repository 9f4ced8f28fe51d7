"""What is trained is a folder: ``model.safetensors``, and ``card.json`` that tells what it is.

The card names what it was trained on by hash, the spaces it belongs to, its settings, seeds,
versions and held-out scores. Reading checks all of it: a folder without a card was never trained,
weights that are not the card's are refused, and so is a card that was changed: other labels in it
would be given out as learned. Nothing in it tells the time or the machine, so equal training gives
equal bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from egorag.errors import ConfigError, SpaceError, StoreError
from egorag.spaces import EmbeddingSpace
from egorag.store.files import write_whole

FORMAT = 1
CARD, WEIGHTS = "card.json", "model.safetensors"
_SEAL = "card_sha256"
_COMMANDS = {"calibration": "calibrate"}  # what writes a kind, where it is not egorag.train KIND

Tensors = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Card:
    """What a trained model is. All values are plain data.

    Attributes:
        kind: ``probe``, ``projection``, ``fusion`` or ``calibration``.
        spaces: by role, such as ``features``, or ``from`` and ``to``.
        trained_on: what it was trained on, by hash, with counts.
        settings: of the training, the seed included.
        model: what is needed to build it again, such as widths and label lists.
        scores: measured on held-out videos or queries, with intervals.
        versions: of egorag and the libraries that computed it.
        sha256: of the weights; filled in by ``write``.
    """

    kind: str
    spaces: Mapping[str, EmbeddingSpace]
    trained_on: Mapping[str, Any]
    settings: Mapping[str, Any]
    model: Mapping[str, Any]
    scores: Mapping[str, Any]
    versions: Mapping[str, str] = field(default_factory=lambda: versions())
    sha256: str = ""

    def check_space(self, role: str, given: EmbeddingSpace) -> None:
        """Raise SpaceError unless ``given`` is the space it was trained for as ``role``."""
        trained = self.spaces[role]
        if trained != given:
            raise SpaceError(
                f"this {self.kind} was trained for vectors of {trained}, but was given vectors of "
                f"{given}; train one on these: python -m egorag.train {self.kind} ..."
            )

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        spaces = {role: space.to_json() for role, space in self.spaces.items()}
        return {"format": FORMAT, **vars(self), "spaces": spaces}


def write(folder: Path, card: Card, tensors: Tensors) -> Card:
    """Write both files, in place of an earlier training's; the card last, so that it is whole.

    Returns:
        The card with the hash of the weights.

    Raises:
        ConfigError: the folder holds something else.
        StoreError: it cannot be written.
        ValueError: a weight is not finite.
    """
    from safetensors.numpy import save

    check_target(folder)
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise ValueError(f"weight {name} holds NaN or infinity; train at a lower rate")
    data = save({name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)})
    whole = Card(**{**vars(card), "sha256": hashlib.sha256(data).hexdigest()})
    told = whole.to_json()
    text = json.dumps({**told, _SEAL: _seal(told)}, indent=1, sort_keys=True, allow_nan=False)
    write_whole(folder / WEIGHTS, data)
    write_whole(folder / CARD, text.encode("ascii") + b"\n")
    return whole


def check_target(folder: Path) -> None:
    """Raise ConfigError unless a training may be written to ``folder``: new, empty, or an earlier
    training. Asked before the work, too."""
    if folder.is_dir():
        strangers = {p.name for p in folder.iterdir() if p.name[:1] != "."} - {CARD, WEIGHTS}
        if strangers:
            raise ConfigError(
                f"{str(folder)!r} is not empty (it holds {min(strangers)!r}); choose a new folder"
            )
    elif folder.exists():
        raise ConfigError(f"{str(folder)!r} is a file; choose a folder for what is trained")


def read(folder: Path, kind: str) -> tuple[Card, dict[str, npt.NDArray[np.float32]]]:
    """The card and weights of a trained model of this kind.

    Raises:
        ConfigError: nothing trained lies there, or something of another kind.
        StoreError: the files are damaged or were changed, do not belong together, or are of a
            newer egorag.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        told = json.loads((folder / CARD).read_bytes())
        data = (folder / WEIGHTS).read_bytes()
    except FileNotFoundError as error:
        raise ConfigError(
            f"no trained {kind} lies in {str(folder)!r} ({Path(error.filename).name} is missing); "
            f"make one: python -m egorag.{_COMMANDS.get(kind, f'train {kind}')} to={folder} ..."
        ) from None
    except (OSError, ValueError) as error:
        raise StoreError(f"{str(folder / CARD)!r} cannot be read: {error}") from error
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise StoreError(
            f"{str(folder / CARD)!r} is not of format {FORMAT}; train again with this egorag"
        )
    if told.get("kind") != kind:
        raise ConfigError(f"{str(folder)!r} holds a {told.get('kind')}, not a {kind}")
    if told.pop(_SEAL, None) != _seal(told):
        raise StoreError(
            f"the card {str(folder / CARD)!r} is damaged, or was changed after the training; train "
            "again, or fetch both files anew"
        )
    if told.get("sha256") != hashlib.sha256(data).hexdigest():
        raise StoreError(
            f"{str(folder / WEIGHTS)!r} is not what its card was written for: the weights were "
            "changed or damaged; train again, or fetch both files anew"
        )
    try:
        del told["format"]
        spaces = {role: EmbeddingSpace.from_json(s) for role, s in told["spaces"].items()}
        return Card(**{**told, "spaces": spaces}), load(data)
    except (SafetensorError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise StoreError(f"{str(folder)!r} is damaged ({error}); train again") from error


def _seal(told: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of what a card tells."""
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode("ascii")).hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 (hex) of a file, for ``trained_on``."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def versions() -> dict[str, str]:
    """Of egorag and of the libraries that compute: what a repetition needs."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in ("egorag", "numpy", "torch", "transformers"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
