"""A trained folder: written whole, read back the same, refused when not what its card says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from egorag.errors import ConfigError, SpaceError, StoreError
from egorag.spaces import EmbeddingSpace
from egorag.train.card import CARD, WEIGHTS, Card, check_target, read, write

SPACE = EmbeddingSpace("tests/some", "1", 4, True, frozenset())
TENSORS = {"b": np.ones(3, np.float32), "a": np.arange(6, dtype=np.float32).reshape(2, 3)}


def card(**changes: object) -> Card:
    made = Card(
        kind="probe",
        spaces={"features": SPACE},
        trained_on={"labels": "00ff"},
        settings={"seed": 0},
        model={"labels": ["Öl", "water"]},
        scores={"accuracy": 0.5},
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_what_is_written_is_read_and_equal_training_gives_equal_bytes(tmp_path: Path) -> None:
    written = write(tmp_path / "one", card(), TENSORS)
    found, tensors = read(tmp_path / "one", "probe")
    assert found == written and found.sha256
    assert {"egorag", "numpy"} <= set(found.versions)
    assert all(np.array_equal(tensors[name], TENSORS[name]) for name in TENSORS)
    write(tmp_path / "two", card(), dict(reversed(TENSORS.items())))
    for name in (CARD, WEIGHTS):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    write(tmp_path / "one", card(settings={"seed": 1}), TENSORS)  # trained again
    assert read(tmp_path / "one", "probe")[0].settings == {"seed": 1}


def test_where_nothing_was_trained_the_command_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"card.json is missing.*egorag.train probe to="):
        read(tmp_path, "probe")
    write(tmp_path, card(), TENSORS)
    (tmp_path / WEIGHTS).unlink()
    with pytest.raises(ConfigError, match=r"model.safetensors is missing"):
        read(tmp_path, "probe")


def test_weights_that_are_not_the_cards_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a", card(), TENSORS)
    other = {name: tensor + 1 for name, tensor in TENSORS.items()}
    write(tmp_path / "b", card(), other)
    (tmp_path / "a" / WEIGHTS).write_bytes((tmp_path / "b" / WEIGHTS).read_bytes())
    with pytest.raises(StoreError, match=r"model.safetensors.*not what its card"):
        read(tmp_path / "a", "probe")


def test_another_kind_format_or_a_damaged_card_is_refused(tmp_path: Path) -> None:
    write(tmp_path, card(), TENSORS)
    with pytest.raises(ConfigError, match="holds a probe, not a projection"):
        read(tmp_path, "projection")
    told = json.loads((tmp_path / CARD).read_text())
    for changed, said in (
        ({**told, "format": 99}, "not of format 1"),
        ([1, 2], "not of format 1"),
        ({**told, "spaces": {"features": {}}}, "damaged"),
        ({**told, "spaces": 3}, "damaged"),
        ({**told, "surprise": 1}, "damaged"),
        ({**told, "model": {"labels": ["Öl", "wine"]}}, "was changed after the training"),
        ({**told, "scores": {"accuracy": 1.0}}, "was changed after the training"),
        ({k: v for k, v in told.items() if k != "card_sha256"}, "was changed after the training"),
    ):
        (tmp_path / CARD).write_text(json.dumps(changed))
        with pytest.raises(StoreError, match=said):
            read(tmp_path, "probe")
    (tmp_path / CARD).write_text("{")
    with pytest.raises(StoreError, match="cannot be read"):
        read(tmp_path, "probe")


def test_another_space_is_refused_by_both_names() -> None:
    other = replace(SPACE, revision="2")
    card().check_space("features", SPACE)
    with pytest.raises(SpaceError, match=r"tests/some@1.*tests/some@2.*egorag.train probe"):
        card().check_space("features", other)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"notes.txt"):
        write(tmp_path, card(), TENSORS)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(ConfigError, match="is a file"):
        check_target(tmp_path / "notes.txt")


def test_weights_that_are_no_numbers_are_not_kept(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="weight a holds NaN"):
        write(tmp_path / "new", card(), {"a": np.array([np.nan], np.float32)})
    assert not (tmp_path / "new").exists()
