"""Stored vectors cut by time: what touches a clip, and what may be known at its end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.encode.picture import Picture
from egorag.errors import ConfigError
from egorag.spans import Span
from egorag.store.folder import IndexFolder
from egorag.store.records import EncoderRow
from egorag.train import features as stored
from egorag.train.features import Features, encoder_row, features_of, reach_of

from .conftest import CLIP, STEP, Moving


def made(count: int, step: int = 10, reach: int = 0) -> Features:
    starts = np.arange(count, dtype=np.int64) * step
    return Features(starts, starts + step, np.arange(count, dtype=np.float32)[:, None], reach)


@given(st.integers(0, 120), st.integers(1, 120), st.integers(0, 30))
def test_a_clip_is_what_touches_it_and_a_causal_one_knows_nothing_later(
    start: int, length: int, reach: int
) -> None:
    features, span = made(9, reach=reach), Span(start, start + length)
    touching = [i for i in range(9) if span.overlap(Span(10 * i, 10 * i + 10))]
    clip = features.clip(span)
    assert ([] if clip is None else clip.vectors[:, 0].tolist()) == touching
    known = [i for i in touching if 10 * i + 10 + reach <= span.end]
    causal = features.clip(span, causal=True)
    assert ([] if causal is None else causal.vectors[:, 0].tolist()) == known
    for found in (clip, causal):
        if found is not None:
            assert (np.diff(found.places) >= 0).all()
            assert found.places.min() >= 0 and found.places.max() <= 1


def test_places_are_the_middles_within_the_clip() -> None:
    clip = made(9).clip(Span(20, 60))
    assert clip is not None
    assert clip.places == pytest.approx([0.125, 0.375, 0.625, 0.875])


def test_too_many_vectors_are_thinned_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "LONGEST", 4)
    clip = made(9).clip(Span(0, 90))
    assert clip is not None
    assert clip.vectors[:, 0].tolist() == [0, 2, 4, 6]


def test_an_indexs_moments_are_read_with_their_hash(few: Moving) -> None:
    with IndexFolder.open(few.index) as folder:
        row = encoder_row(folder, "looks")
        found = features_of(folder, row, "video0000")
        assert found is not None
        kind, features = found
        assert kind == "moments"
        assert len(features.vectors) == 6 * CLIP // STEP
        assert features.sha256() != features_of(folder, row, "video0001")[1].sha256()  # type: ignore[index]
        assert features_of(folder, row, "nowhere") is None
        with pytest.raises(ConfigError, match=r"no vectors of 'lokks'; did you mean 'looks'"):
            encoder_row(folder, "lokks")


def test_windows_that_look_ahead_say_how_far() -> None:
    """``vjepa2_frames``: 16 frames at 4 a second see 15 frames more."""
    pytest.importorskip("torch")
    from egorag.encode.vjepa2_frames import VJEPA2Frames

    assert VJEPA2Frames(frames=16, stride=4).reach == 3_750_000
    row = EncoderRow(
        "w", "", None, {"_target_": "egorag.encode.vjepa2_frames.VJEPA2Frames", "frames": 32}
    )
    assert reach_of(row) == 7_750_000
    picture = EncoderRow("p", "", Picture().space, {"_target_": "egorag.encode.picture.Picture"})
    assert reach_of(picture) == 0


def test_the_index_of_another_encoder_is_told(tmp_path: Path) -> None:
    with (
        IndexFolder.create(tmp_path / "i", "") as folder,
        pytest.raises(ConfigError, match="no vectors of 'looks'"),
    ):
        encoder_row(folder, "looks")
