"""Files of predicted choices, in the form that owners of benchmarks take them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from egorag.errors import ConfigError
from egorag.evaluate.base import Dataset, Item, Scores
from egorag.evaluate.files import Entry, Files
from egorag.evaluate.score import Row, summarise

SHOWN = 3


def read_choices(path: Path, dataset: Dataset) -> dict[str, int]:
    """A JSON object {id of the item: number from 0, or letter from A}: the number of the choice.

    Raises:
        ConfigError: no such file, an id of no item, an item without a prediction, a choice out of
            range.
    """
    files = Files(path.parent, "Give benchmark.predictions=FILE.json")
    told = files.json(path.name)
    if not isinstance(told, dict):
        raise ConfigError(f"{path}: expected an object of choices by id, got {type(told).__name__}")
    items = {item.id: item for item in dataset.items}
    if unknown := [id for id in told if id not in items]:
        raise ConfigError(f"{path}: {len(unknown)} ids of no item: {_some(unknown)}")
    if lacking := [id for id in items if id not in told]:
        raise ConfigError(f"{path}: {len(lacking)} items have no prediction: {_some(lacking)}")
    entry = Entry(told, str(path))
    return {id: _choice(entry, item) for id, item in items.items()}


def score_choices(dataset: Dataset, chosen: Mapping[str, int], seed: int) -> Scores:
    """Accuracy of the choices where the right one is public."""
    rows = [
        Row(item, {"accuracy": float(chosen[item.id] == item.answer)}, {}, 0.0)
        for item in dataset.items
        if item.public
    ]
    if not rows:
        raise ConfigError(f"{dataset.name}: not one answer of these items is public")
    return summarise(rows, "accuracy", seed)


def _choice(entry: Entry, item: Item) -> int:
    if isinstance(entry.get(item.id), str):
        return entry.letter(item.id, len(item.choices))
    return entry.whole(item.id, len(item.choices))


def _some(ids: list[str]) -> str:
    return ", ".join(map(repr, ids[:SHOWN])) + (", ..." if len(ids) > SHOWN else "")
