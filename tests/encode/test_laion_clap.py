"""laion-clap against the package's own functions; what they do at random or unsafely is not done.

Runs where the package is: in an environment of its own with numpy 1.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
# Not importorskip: importing the package looks for tokenizers on the hub, for minutes.
if importlib.util.find_spec("laion_clap") is None:
    pytest.skip("laion-clap is not installed", allow_module_level=True)

from checkpoints import laion_clap as tiny
from checkpoints import sounds as made

from egorag.encode.base import Encoder, QueryEncoder, Vectors
from egorag.encode.laion_clap import DIM, RATE, LaionCLAP
from egorag.encode.pretrained.checkpoint import MissingWeightsError
from egorag.encode.pretrained.loading import MismatchError
from egorag.errors import ConfigError, SpaceError
from egorag.media.sampling import SoundSampling
from egorag.types import Query

FULL_SIZE = Path(__file__).parents[2] / "benchmarks" / "full_size" / "laion_clap"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("laion_clap"))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Iterator[LaionCLAP]:
    ready = LaionCLAP(checkpoint=str(folder), tokenizer=str(folder))
    ready.setup()
    yield ready
    ready.close()


@pytest.fixture(scope="module")
def package(folder: Path, encoder: LaionCLAP) -> Any:
    """The package's own front, with its own loader, its RoBERTa put in the hub's place."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # quick to find nothing
        import laion_clap

        roberta = sys.modules["clap_module.model"].RobertaModel
        config = encoder.loaded.model.text_branch.config
        patch.setattr(
            sys.modules["clap_module.model"],
            "RobertaModel",
            type("Hub", (), {"from_pretrained": staticmethod(lambda _: roberta(config))}),
        )
        front = laion_clap.CLAP_Module(enable_fusion=False, device="cpu")
    front.load_ckpt(str(folder / tiny.WEIGHTS), verbose=False)
    front.tokenize = transformers.RobertaTokenizer.from_pretrained(folder)
    return front


def text(encoder: LaionCLAP, words: str) -> Vectors:
    return encoder.embed_query(Query(text=words), "text")


def test_rows_are_those_of_the_package(encoder: LaionCLAP, package: Any) -> None:
    """Windows of 10 s, shorter ones, and a rest; the mean by length."""
    clips = made.scenes(0.3, 10.5, rate=RATE)
    clips[0].samples[:50] *= 9  # clipped, as the package does
    expected = []
    for clip in clips:
        pieces = [clip.samples[:480_000], clip.samples[480_000:]]
        rows = [len(p) * package.get_audio_embedding_from_data([p])[0] for p in pieces if len(p)]
        expected.append(np.sum(rows, axis=0) / np.linalg.norm(np.sum(rows, axis=0)))
    rows = encoder.encode(clips)
    np.testing.assert_allclose(rows, expected, atol=1e-5)
    assert np.abs(rows[0] - rows[1]).max() > 1e-4  # different scenes differ


def test_text_is_that_of_the_package(encoder: LaionCLAP, package: Any) -> None:
    for words in ("a dog barks", "", "x" * 200):
        expected = package.get_text_embedding([words])[0]
        np.testing.assert_allclose(text(encoder, words), expected, atol=1e-5)
    assert text(encoder, "a dog barks") @ text(encoder, "water") < 0.999
    np.testing.assert_array_equal(text(encoder, "caf\udce9"), text(encoder, "caf?"))


def test_nothing_of_a_long_sound_is_taken_at_random(
    encoder: LaionCLAP, package: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    [clip] = made.scenes(10.5, rate=RATE)
    cropped = []
    for seed in range(2):
        np.random.seed(seed)
        cropped.append(package.get_audio_embedding_from_data([clip.samples])[0])
    assert np.ptp(cropped, axis=0).max() > 1e-6
    ours = encoder.encode([clip])

    def thrown(*_: object) -> int:
        raise AssertionError("dice were thrown")

    monkeypatch.setattr(np.random, "randint", thrown)
    np.testing.assert_array_equal(encoder.encode([clip]), ours)


def test_rows_do_not_depend_on_the_batch_or_on_closing(folder: Path, encoder: LaionCLAP) -> None:
    clips = made.scenes(0.2, 1 / RATE, rate=RATE)
    first = encoder.encode(clips)
    other = LaionCLAP(checkpoint=str(folder), tokenizer=str(folder), batch=1)
    other.setup()
    np.testing.assert_allclose(other.encode(clips), first, atol=1e-5)
    encoder.close()
    encoder.setup()
    np.testing.assert_array_equal(encoder.encode(clips), first)
    assert encoder.encode([]).shape == (0, DIM)


def test_is_an_encoder_that_says_what_it_does(folder: Path, encoder: LaionCLAP) -> None:
    assert isinstance(encoder, Encoder)
    assert isinstance(encoder, QueryEncoder)
    assert encoder.sampling == SoundSampling(48_000)
    assert encoder.space.dim == DIM
    assert encoder.space.queries == {"text", "sound"}
    assert "windows of 10 s, one every 10 s" in encoder.describe()
    with pytest.raises(SpaceError, match="image"):
        encoder.embed_query(Query(image=Path("a.png")), "image")
    with pytest.raises(ValueError, match="float32"):
        LaionCLAP(dtype="bfloat16")
    with pytest.raises(ValueError, match=r"\.pt"):
        LaionCLAP(weights="model.safetensors")


def damaged(folder: Path, to: Path, change: Any) -> LaionCLAP:
    """An encoder of the checkpoint with its file changed."""
    data = torch.load(folder / tiny.WEIGHTS, weights_only=False, mmap=True)
    change(data)
    torch.save(data, to / tiny.WEIGHTS)
    return LaionCLAP(checkpoint=str(to), tokenizer=str(folder))


@pytest.mark.parametrize("part", ["audio_branch.layers.1.blocks.0.mlp.fc1.bias", "logit_scale_a"])
def test_a_missing_tensor_is_refused_by_name(folder: Path, tmp_path: Path, part: str) -> None:
    encoder = damaged(folder, tmp_path, lambda data: data["state_dict"].pop(f"module.{part}"))
    with pytest.raises(MismatchError, match=part):
        encoder.setup()


class Harm:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (Path.touch, (Path("harmed"),))


def test_nothing_but_weights_is_unpickled(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    encoder = damaged(folder, tmp_path, lambda data: data.update(name=Harm()))
    with pytest.raises(ConfigError, match="cannot be read as weights alone"):
        encoder.setup()
    assert not Path("harmed").exists()


def test_fusion_another_model_and_broken_files_are_refused(folder: Path, tmp_path: Path) -> None:
    def fuse(data: Any) -> None:
        data["state_dict"]["module.audio_branch.patch_embed.fusion_model.x"] = torch.zeros(1)

    with pytest.raises(ConfigError, match="has fusion"):
        damaged(folder, tmp_path, fuse).setup()
    other = damaged(folder, tmp_path, lambda data: data.update(state_dict={"w": torch.zeros(1)}))
    with pytest.raises(MismatchError, match="no laion-clap checkpoint"):
        other.setup()
    for content in (b"", b"nothing of the kind"):
        (tmp_path / tiny.WEIGHTS).write_bytes(content)
        with pytest.raises(ConfigError, match="cannot be read as weights"):
            LaionCLAP(checkpoint=str(tmp_path), tokenizer=str(folder)).setup()
    with pytest.raises(ConfigError, match=f"weights={tiny.WEIGHTS}"):
        LaionCLAP(checkpoint=str(tmp_path), weights="other.pt").setup()


def test_what_is_not_here_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The package would look for RoBERTa on the hub, and go on without its words."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingWeightsError) as told:
        LaionCLAP().setup()
    assert told.value.mend == "hf download lukewys/laion_clap 630k-audioset-best.pt"
    with pytest.raises(MissingWeightsError, match="tokenizer of FacebookAI") as told:
        LaionCLAP(checkpoint=str(folder)).setup()
    assert told.value.mend == "hf download FacebookAI/roberta-base tokenizer.json"


def test_a_tokenizer_of_other_words_is_refused(folder: Path, tmp_path: Path) -> None:
    file = json.loads((folder / "tokenizer.json").read_text())
    file["model"]["vocab"].pop("A")
    (tmp_path / "tokenizer.json").write_text(json.dumps(file))
    with pytest.raises(ConfigError, match="tokens, the model"):
        LaionCLAP(checkpoint=str(folder), tokenizer=str(tmp_path)).setup()


def test_full_size_is_as_published(encoder: LaionCLAP) -> None:
    """The sound tower is of full size here; the text tower is made without weights."""
    published = LaionCLAP.published[LaionCLAP().checkpoint]
    config = json.loads((FULL_SIZE / "config.json").read_text())
    assert config["sound"] == "HTSAT-tiny"
    with torch.device("meta"):
        roberta = transformers.RobertaModel(
            transformers.RobertaConfig(type_vocab_size=1, **config["text"])
        )
    model = encoder.loaded.model
    count = sum(w.numel() for w in (*model.parameters(), *roberta.parameters()))
    count -= sum(w.numel() for w in model.text_branch.parameters())
    assert count == pytest.approx(published.parameters, rel=0.03)
    assert encoder.space.dim == published.dim
