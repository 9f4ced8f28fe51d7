"""Arrays in one file: read by the safetensors library too, and every change of a byte noticed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from egorag.store.columns import Columns, DamagedError, load, writing

PARTS = [np.arange(6, dtype=np.float32).reshape(2, 3), np.ones((1, 3), np.float32)]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "new" / "x.safetensors"
    with writing(path) as file:
        file.meta = {"digest": "d"}
        assert file.add("rows", iter(PARTS), "F32", (3,)) == 3
        assert np.array_equal(file.mapped("rows"), np.concatenate(PARTS))
        file.add("none", [], "I64")
        file.add("ids", [np.array([2**62, -1])], "I64")
    return path


def test_it_is_a_safetensors_file(path) -> None:
    columns, theirs = Columns(path), load_file(path)
    assert set(columns) == set(theirs) == {"rows", "none", "ids"} and len(columns) == 3
    for name, array in columns.items():
        assert np.array_equal(array, theirs[name]) and array.dtype == theirs[name].dtype
        assert not array.flags.writeable or not array.size
    assert columns.meta == {"digest": "d"}


def test_it_outlives_its_name(path) -> None:
    columns = Columns(path)
    path.unlink()
    assert columns["ids"].tolist() == [2**62, -1]


def test_only_the_digest_asked_for(path) -> None:
    assert load(path, "d") is not None
    assert load(path, "e") is None
    assert load(path.with_name("other"), "d") is None


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), header=st.booleans())
def test_no_change_of_a_bit_passes(path, tmp_path, at, bit, header) -> None:
    whole = path.read_bytes()
    data = bytearray(whole)
    length = len(whole[8:8192].rstrip())
    data[int(at * (8 + length)) if header else 8192 + int(at * (len(data) - 8192))] ^= 1 << bit
    changed = tmp_path / "changed"
    changed.write_bytes(data)
    try:
        columns = Columns(changed)
        found = {name: array.tolist() for name, array in columns.items()}
    except (DamagedError, KeyError):
        return
    # What is left: a name or a word of the metadata, which whoever reads it compares.
    true = Columns(path)
    assert columns.meta != true.meta or set(found) != set(true)


def test_what_does_not_fit_is_not_written(tmp_path) -> None:
    path = tmp_path / "x"
    with pytest.raises(ValueError, match="column rows"), writing(path) as file:
        file.add("rows", PARTS, "F32", (4,))
    assert list(tmp_path.iterdir()) == []
