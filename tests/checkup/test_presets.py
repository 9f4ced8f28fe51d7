"""What doctor tells of every pretrained preset, with its weights here and without."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from checkpoints import makers

from egorag import config, registry
from egorag.checkup.encoders import PACKAGES, READY, check_encoder
from egorag.encode.pretrained.base import Pretrained

MAKERS = makers()


@pytest.mark.parametrize("preset", MAKERS)
def test_told_with_weights_as_without(preset: str, tmp_path: Path) -> None:
    given = ["input=-", "index=-", f"encoder=[{preset}]"]
    published = config.compose("index", given)["encoders"]
    tiny = config.compose("index", [*given, *MAKERS[preset](tmp_path)])["encoders"]
    before = check_encoder(preset, published[preset], "cpu")
    row = check_encoder(preset, tiny[preset], "cpu")
    if row.state == PACKAGES:
        pytest.skip(str(row.lacks))
    assert (row.state, row.lacks) == (READY, None)
    assert row.does
    assert row.bytes
    assert row.memory
    assert (before.medium, before.yields) == (row.medium, row.yields)
    assert before.queries == row.queries
    assert (before.dim is None) == (row.dim is None)
    assert before.memory
    assert before.licence
    encoder = registry.build("encoders", preset, tiny[preset])
    assert isinstance(encoder, Pretrained)
    if encoder.space is not None:
        assert encoder.space.queries == set(encoder.queried_by)
