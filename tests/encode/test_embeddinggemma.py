"""EmbeddingGemma against sentence-transformers: its prompts, its sizes, its number formats."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
library = pytest.importorskip("sentence_transformers")

from checkpoints import scenes as made
from checkpoints import sentence as tiny

from egorag.encode import sentence_files as files
from egorag.encode.base import Document, Encoder, QueryEncoder, Vectors
from egorag.encode.embeddinggemma import SIZES, EmbeddingGemma
from egorag.encode.pretrained.checkpoint import Checkpoint, MissingWeightsError
from egorag.encode.pretrained.loading import MismatchError
from egorag.errors import ConfigError, SpaceError
from egorag.spans import Span
from egorag.types import Query

FULL_SIZE = Path(__file__).parents[2] / "benchmarks" / "full_size" / "embeddinggemma"
NAME = "google/embeddinggemma-300m"
QUERY, DOCUMENT = "task: search result | query: ", "title: none | text: "  # the model card's
TEXTS = ["the red dog", "Somebody opens a door.", "x", "Äpfel 漢字 🙂"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make_gemma(tmp_path_factory.mktemp("gemma"))


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """To be damaged."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Iterator[EmbeddingGemma]:
    ready = EmbeddingGemma(checkpoint=str(folder))
    ready.setup()
    yield ready
    ready.close()


@pytest.fixture(scope="module")
def plain(folder: Path) -> Any:
    return library.SentenceTransformer(str(folder), device="cpu", local_files_only=True)


def loaded(folder: Path, **settings: Any) -> EmbeddingGemma:
    ready = EmbeddingGemma(checkpoint=str(folder), **settings)
    ready.setup()
    return ready


def documents(*texts: str) -> list[Document]:
    return [Document(Span(0, 1), text, {"subtitle": text}) for text in texts]


def ask(encoder: EmbeddingGemma, text: str) -> Vectors:
    return encoder.embed_query(Query(text=text), "text")


def test_rows_are_the_librarys(encoder: EmbeddingGemma, plain: Any) -> None:
    alone = np.stack([plain.encode_document(text) for text in TEXTS])
    np.testing.assert_allclose(encoder.encode(documents(*TEXTS)), alone, atol=1e-5)
    for text in TEXTS:
        np.testing.assert_allclose(ask(encoder, text), plain.encode_query(text), atol=1e-5)


def test_the_published_prompts_are_what_the_model_sees(encoder: EmbeddingGemma) -> None:
    seen: list[str] = []
    model = encoder.loaded.held.model

    def look(module: Any, arguments: tuple[Any, ...]) -> None:
        seen.extend(model.tokenizer.batch_decode(arguments[0]["input_ids"]))

    hook = model[0].register_forward_pre_hook(look)
    ask(encoder, "a red dog")
    encoder.encode(documents("a red dog"))
    hook.remove()
    assert seen == [f"<bos>{QUERY}a red dog<eos>", f"<bos>{DOCUMENT}a red dog<eos>"]
    assert repr(QUERY) in encoder.describe() and repr(DOCUMENT) in encoder.describe()


def test_without_the_prompts_rows_would_differ(encoder: EmbeddingGemma, plain: Any) -> None:
    bare = plain.encode(TEXTS)
    assert np.abs(bare - encoder.embed_texts(TEXTS)).max() > 1e-3
    assert np.abs(ask(encoder, TEXTS[0]) - encoder.embed_texts(TEXTS[:1])[0]).max() > 1e-3


def test_another_of_its_prompts_by_name(folder: Path, plain: Any) -> None:
    encoder = loaded(folder, query_prompt="STS", document_prompt="STS")
    expected = plain.encode(TEXTS[0], prompt_name="STS")
    np.testing.assert_allclose(ask(encoder, TEXTS[0]), expected, atol=1e-5)
    np.testing.assert_allclose(encoder.embed_texts(TEXTS[:1])[0], expected, atol=1e-5)


@pytest.mark.parametrize("size", [256, 128])
def test_smaller_sizes_have_unit_length(folder: Path, plain: Any, size: int) -> None:
    encoder = loaded(folder, truncate_dim=size)
    cut = plain.encode_document(TEXTS, truncate_dim=size)
    rows = encoder.embed_texts(TEXTS)
    np.testing.assert_allclose(rows, cut / np.linalg.norm(cut, axis=1)[:, None], atol=1e-5)
    assert encoder.space.dim == size == len(ask(encoder, "x"))
    if size < tiny.GEMMA_DIM:
        assert np.linalg.norm(cut, axis=1).max() < 0.9  # what the library leaves


@pytest.mark.parametrize("batch", [1, 3])
def test_rows_do_not_depend_on_the_batch(folder: Path, encoder: EmbeddingGemma, batch: int) -> None:
    texts = [*TEXTS, "one two three " * 40]  # sliding windows and padding at work
    other = loaded(folder, batch=batch)
    np.testing.assert_allclose(other.embed_texts(texts), encoder.embed_texts(texts), atol=1e-5)
    np.testing.assert_array_equal(other.embed_texts(texts), other.embed_texts(texts))


def test_float16_is_refused_and_never_chosen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="does not compute right in float16; choose of auto, fl"):
        EmbeddingGemma(dtype="float16")
    # As on Apple's GPU, where other families take float16.
    monkeypatch.setattr("egorag.encode.pretrained.base.dtype_of", lambda *_: "float16")
    encoder = EmbeddingGemma(checkpoint=str(folder))
    assert encoder.on("cpu").dtype == "float32"
    encoder.setup()
    assert encoder.loaded.held.model.dtype is torch.float32


def test_bfloat16_is_near(folder: Path, encoder: EmbeddingGemma) -> None:
    rows = loaded(folder, dtype="bfloat16").embed_texts(TEXTS)
    assert rows.dtype == np.float32
    assert (rows * encoder.embed_texts(TEXTS)).sum(axis=1).min() > 0.99


@pytest.mark.parametrize("file", ["model.safetensors", "2_Dense/model.safetensors"])
def test_missing_weights_are_refused_by_name(copy: Path, file: str) -> None:
    gone = made.without(copy, "weight", file)
    with pytest.raises(MismatchError, match=gone.replace(".", r"\.")):
        loaded(copy)


def test_a_dense_layer_of_another_shape_is_refused(copy: Path) -> None:
    config = json.loads((copy / "3_Dense/config.json").read_text())
    (copy / "3_Dense/config.json").write_text(json.dumps({**config, "out_features": 99}))
    with pytest.raises(MismatchError, match=r"linear\.weight"):
        loaded(copy)


def test_an_activation_the_library_would_replace_is_refused(copy: Path) -> None:
    """It warns, and takes Tanh."""
    config = json.loads((copy / "2_Dense/config.json").read_text())
    config["activation_function"] = "transformers.activations.GELUActivation"
    (copy / "2_Dense/config.json").write_text(json.dumps(config))
    with pytest.raises(MismatchError, match=r"activation GELUActivation, which .* loads as Tanh"):
        loaded(copy)


def test_a_checkpoint_that_lost_its_prompts_is_refused(tmp_path: Path) -> None:
    bare = tiny.make_gemma(tmp_path / "bare", prompts={})
    with pytest.raises(ConfigError, match=r"names no (query|document) prompt"):
        loaded(bare)
    given = loaded(bare, query_prompt=QUERY, document_prompt=DOCUMENT)
    assert given.embed_texts(["x"]).shape == (1, tiny.GEMMA_DIM)


def test_is_an_encoder_and_refuses_other_media(encoder: EmbeddingGemma) -> None:
    assert isinstance(encoder, Encoder)
    assert isinstance(encoder, QueryEncoder)
    assert encoder.space.queries == {"text"}
    assert encoder.space.model == "embeddinggemma"
    with pytest.raises(SpaceError, match="image"):
        encoder.embed_query(Query(text="x", image=Path("p.jpg")), "image")


@pytest.mark.parametrize("size", [0, 64, 700, 1024])
def test_sizes_it_was_not_trained_for_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="truncate_dim must be"):
        EmbeddingGemma(truncate_dim=size)


def test_weights_that_are_not_here_name_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingWeightsError) as missing:
        EmbeddingGemma().setup()
    assert missing.value.mend == f"hf download {NAME}"


def test_the_full_size_is_as_published() -> None:
    published = EmbeddingGemma.published[NAME]
    listed = [str(p.relative_to(FULL_SIZE)) for p in FULL_SIZE.rglob("*.json")]
    weights = ["model.safetensors", "2_Dense/model.safetensors", "3_Dense/model.safetensors"]
    at = Checkpoint(NAME, FULL_SIZE, dict.fromkeys([*listed, *weights], ""))
    assert files.width(at) == published.dim == max(SIZES)
    assert (files.own_prompt(at, "query"), files.own_prompt(at, "document")) == (QUERY, DOCUMENT)
    dense = [json.loads((FULL_SIZE / f"{n}_Dense/config.json").read_text()) for n in (2, 3)]
    with torch.device("meta"):
        config = transformers.AutoConfig.from_pretrained(FULL_SIZE)
        model = transformers.AutoModel.from_config(config)
    count = model.num_parameters() + sum(d["in_features"] * d["out_features"] for d in dense)
    assert count == pytest.approx(published.parameters, rel=0.03)
    assert model.config.hidden_size == dense[0]["in_features"]
