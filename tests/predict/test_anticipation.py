"""Candidates ranked by hand-made means, and who may be a candidate at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from predict.conftest import FRAMES, blocks, write

pytest.importorskip("torch")
pytest.importorskip("transformers")

from egorag.errors import ConfigError, SpaceError
from egorag.predict import Footage, OnFeatures, Predictor, TextProjection, TokenProbe, normalised
from egorag.spaces import EmbeddingSpace
from egorag.spans import Span


class Projection:
    """Texts are the vectors given."""

    def __init__(self, space: EmbeddingSpace, vectors: Any) -> None:
        self.space, self.vectors = space, vectors

    def embed_texts(self, texts: list[str]) -> Any:
        return np.stack([self.vectors[text] for text in texts])


class Probe:
    """Scores are components of the mean token."""

    def classify(self, tokens: Any) -> dict[str, float]:
        return {f"label {i}": float(v) for i, v in enumerate(tokens.mean((0, 1, 2)))}


def cosine(a: Any, b: Any) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_clips_are_ranked_by_the_mean_of_what_is_predicted(
    predictor: Predictor, tmp_path: Path
) -> None:
    shown = blocks(FRAMES)
    path = write(tmp_path / "a.mkv", blocks(30, seed=5))
    candidates = [
        blocks(8, seed=1), blocks(20, seed=2), blocks(3, seed=3), path,
        Footage(path, Span.seconds(1, 3)),
    ]  # fmt: skip
    found = predictor.anticipate(shown, 1.5, candidates)
    mean = predictor.predict_future(shown, 1.5).mean((0, 1, 2))
    still = predictor.ahead(list(shown), 3)[1].mean((0, 1, 2))
    assert [f.score for f in found] == sorted((f.score for f in found), reverse=True)
    for each in found:
        example = predictor.clip_mean(each.candidate)  # type: ignore[arg-type]
        assert each.score == pytest.approx(cosine(mean, example), abs=1e-5)
        assert each.static == pytest.approx(cosine(still, example), abs=1e-5)
        assert each.gain == each.score - each.static
    assert {id(f.candidate) for f in found} == {id(c) for c in candidates}


def test_a_clips_mean_is_over_all_of_its_normalised_tokens(predictor: Predictor) -> None:
    shown = blocks(20)
    parts = [shown[:6], shown[6:12], shown[12:]]  # as ``clip_frames`` divides 20 by 8
    tokens = np.concatenate(
        [normalised(predictor.encoder.patch_tokens(list(p)).numpy()) for p in parts]
    )
    np.testing.assert_allclose(predictor.clip_mean(shown), tokens.mean(0), atol=1e-5)


def test_texts_go_through_a_projection_into_this_very_space(predictor: Predictor) -> None:
    shown = blocks(FRAMES)
    mean = predictor.predict_future(shown, 1).mean((0, 1, 2))
    vectors = {"like it": mean, "unlike it": -mean}
    projection = Projection(predictor.encoder.space, vectors)
    assert isinstance(projection, TextProjection)
    found = predictor.anticipate(shown, 1, ["unlike it", "like it"], projection=projection)
    assert [(f.candidate, round(f.score, 4)) for f in found] == [("like it", 1), ("unlike it", -1)]
    other = Projection(replace(predictor.encoder.space, revision="sha256:other"), vectors)
    with pytest.raises(SpaceError, match="other"):
        predictor.anticipate(shown, 1, ["like it"], projection=other)


def test_labels_go_through_a_probe_over_the_predicted_tokens(predictor: Predictor) -> None:
    shown, probe = blocks(FRAMES), Probe()
    assert isinstance(probe, TokenProbe)
    found = predictor.anticipate(shown, 1, ["label 1", "label 0"], probe=probe)
    tokens = predictor.predict_future(shown, 1).reshape(-1, predictor.encoder.space.dim)
    expected = {f"label {i}": pytest.approx(tokens.mean(0)[i], abs=1e-5) for i in range(2)}
    assert {f.candidate: f.score for f in found} == expected
    with pytest.raises(ConfigError, match="label 99"):
        predictor.anticipate(shown, 1, ["label 99"], probe=probe)


def test_a_probe_of_stored_features_is_shown_means_of_the_predicted_tokens(
    predictor: Predictor,
) -> None:
    shown, space = blocks(FRAMES), predictor.encoder.space
    given: list[Any] = []

    class Stored:
        def classify(self, vectors: Any, space: EmbeddingSpace, kind: str, top: int) -> Any:
            given.append((vectors, space, kind))
            return {"label": [("stir", 0.7), ("pour", 0.2)][:top]}

    found = predictor.anticipate(
        shown, 1.5, ["pour", "stir"], probe=OnFeatures(Stored(), space, "moments")
    )
    assert [(f.candidate, f.score) for f in found] == [("stir", 0.7), ("pour", 0.2)]
    means = predictor.predict_future(shown, 1.5).mean((1, 2))
    vectors, told, kind = given[0]
    assert (vectors.dtype, told, kind) == (np.float32, space, "moments")
    np.testing.assert_allclose(
        vectors, means / np.linalg.norm(means, axis=1, keepdims=True), atol=1e-6
    )
    predictor.anticipate(shown, 1.5, ["stir"], probe=OnFeatures(Stored(), space, "vectors"))
    assert given[-2][0].shape == (1, space.dim)
    assert cosine(given[-2][0][0], means.mean(0)) == pytest.approx(1, abs=1e-6)
    with pytest.raises(ConfigError, match=r"no query 'verb'.*label"):
        predictor.anticipate(shown, 1, ["stir"], probe=OnFeatures(Stored(), space, query="verb"))


def test_a_trained_projection_is_one(predictor: Predictor) -> None:
    from egorag.encode.projection import Projected
    from egorag.encode.projection import Projection as Trained

    space, dim = predictor.encoder.space, predictor.encoder.space.dim
    words = EmbeddingSpace("words", "1", dim, True, frozenset({"text"}))
    layers = ((np.eye(dim, dtype=np.float32), np.zeros(dim, np.float32)),)
    mean = predictor.predict_future(blocks(FRAMES), 1).mean((0, 1, 2))

    class Encoder:
        def embed_query(self, query: Any, medium: str) -> Any:
            return mean if query.text == "like it" else -mean

    projected = Projected(Trained("p", words, space, layers, frozenset()), Encoder())
    assert isinstance(projected, TextProjection)
    found = predictor.anticipate(blocks(FRAMES), 1, ["no", "like it"], projection=projected)
    assert [f.candidate for f in found] == ["like it", "no"]


def test_words_without_anything_trained_are_refused_with_the_remedy(predictor: Predictor) -> None:
    shown = blocks(FRAMES)
    with pytest.raises(ConfigError, match=r"'pour milk'.*neither.*train projection.*probe"):
        predictor.anticipate(shown, 1, ["pour milk"])
    both = {"projection": Projection(predictor.encoder.space, {}), "probe": Probe()}
    with pytest.raises(ConfigError, match="both were given"):
        predictor.anticipate(shown, 1, ["pour milk"], **both)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="one kind"):
        predictor.anticipate(shown, 1, ["pour milk", blocks(8)])
    with pytest.raises(ConfigError, match="needs candidates"):
        predictor.anticipate(shown, 1, [])
