"""Moments of pictures: the query descriptor of ``picture`` as oracle, blocks, spans."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from egorag.encode.base import Available, Encoder
from egorag.encode.picture import APPEARANCE_DIM, Picture
from egorag.encode.picture_frames import PictureFrames
from egorag.errors import SpaceError
from egorag.media.sampling import Frame
from egorag.segment.by_tree import SceneTree, Ward
from egorag.segment.tuning import match
from egorag.segment.ward import ward_tree
from egorag.spans import Span
from egorag.types import Query


def frames(count: int, period: int = 250_000) -> list[Frame]:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (count, 24, 32, 3), np.uint8)
    return [Frame(i * period, i * period, i, image) for i, image in enumerate(images)]


def test_every_picture_is_told_as_a_query_is(tmp_path: Path) -> None:
    import cv2

    (told,) = PictureFrames().encode(frames(2))
    cv2.imwrite(str(tmp_path / "a.png"), frames(2)[1].image[:, :, ::-1])
    query = Query(image=tmp_path / "a.png")
    coarse = Picture().embed_query(query, "image")
    assert np.array_equal(told.vectors[1], coarse[:APPEARANCE_DIM])
    assert np.array_equal(told.vectors[1], PictureFrames().embed_query(query, "image"))
    with pytest.raises(SpaceError, match="to enter by 'text'"):
        PictureFrames().embed_query(Query("knife"), "text")


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 9])
def test_blocks_are_one_whole(count: int) -> None:
    blocks = list(PictureFrames(batch_size=4).encode(frames(count)))
    assert [len(block.spans) for block in blocks] == [min(4, count - i) for i in range(0, count, 4)]
    spans = [span for block in blocks for span in block.spans]
    assert spans == [Span(i * 250_000, (i + 1) * 250_000) for i in range(count)]
    if count:
        (whole,) = PictureFrames(batch_size=99).encode(frames(count))
        vectors = np.concatenate([block.vectors for block in blocks])
        assert np.array_equal(vectors, whole.vectors) and vectors.dtype == np.float32
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_it_holds_two_blocks_at_most() -> None:
    taken = 0

    def stream() -> object:
        nonlocal taken
        for frame in frames(40):
            taken += 1
            yield frame

    told = PictureFrames(batch_size=4).encode(stream())
    next(told)
    assert taken <= 8


def test_it_is_an_encoder_of_streams() -> None:
    encoder = PictureFrames()
    assert isinstance(encoder, Encoder)
    assert encoder.space.queries == {"image"} and encoder.space.dim == APPEARANCE_DIM
    assert encoder.fingerprint() == PictureFrames(batch_size=2).fingerprint()
    assert encoder.fingerprint() != PictureFrames(rate=2).fingerprint()
    assert encoder.skip_reason(Available(False, True, True, True)) == "no picture"


@pytest.mark.parametrize("settings", [{"rate": 0}, {"rate": 61}, {"batch_size": 0}])
def test_wrong_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must be|or more"):
        PictureFrames(**settings)


def test_it_finds_the_cuts_of_a_day(sample: Path) -> None:
    """At its own default, on a video that had no part in choosing it."""
    import json

    from egorag.media.reader import Pass

    truth = json.loads(sample.with_name("day.truth.json").read_text())
    encoder = PictureFrames()
    with Pass(sample, [encoder.sampling], measure=False) as decode:
        blocks = list(encoder.encode(item for _, item in decode if isinstance(item, Frame)))
    spans = tuple(span for block in blocks for span in block.spans)
    tree = SceneTree("p", spans, ward_tree(np.concatenate([block.vectors for block in blocks])))
    ward = Ward(max_seconds=None)
    scenes = ward.cut(tree, spans[-1].end, ward.threshold_for(encoder)).scenes
    true = [round(cut["seconds"] * 1e6) for cut in truth["cuts"]]
    score = match([scene.start for scene in scenes[1:]], true, 250_000)
    assert len(true) == 4 and score.f1 == 1
