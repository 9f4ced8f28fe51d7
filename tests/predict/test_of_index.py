"""The predictor of an index's own V-JEPA 2."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from checkpoints import vjepa2

import egorag
from egorag.errors import ConfigError
from egorag.spans import Span


def test_an_index_predicts_by_its_own_encoder(sample: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "tiny"
    checkpoint.mkdir()
    overrides = [
        "encoder=[picture,vjepa2_fast]",
        "segmenter=fixed",
        "device=cpu",
        *vjepa2.PRESETS["vjepa2_fast"](checkpoint),
    ]
    with egorag.build(sample, tmp_path / "i", overrides=overrides) as index:
        (video,) = index.videos()
        with index.predictor("vjepa2_fast", video.id) as predictor:
            future = predictor.predict_future(Span.seconds(0, 1), seconds=0.5)
        assert future.ndim == 4 and len(future) == 1
        with pytest.raises(ConfigError, match=r"no V-JEPA 2 over scenes.*\+encoder=vjepa2_fast"):
            index.predictor("picture")
        with pytest.raises(ConfigError, match="did you mean 'vjepa2_fast'"):
            index.predictor("vjepa2_fst")
