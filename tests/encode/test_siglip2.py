"""SigLIP 2 against the plain loop of its model card, one picture at a time."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from checkpoints import scenes as made
from checkpoints import siglip2 as tiny

from egorag.encode.base import Encoder, FrameClip, QueryEncoder, Vectors
from egorag.encode.pretrained.checkpoint import MissingWeightsError
from egorag.encode.pretrained.loading import MismatchError
from egorag.encode.siglip2 import SigLIP2
from egorag.errors import ConfigError, EgoragError, SpaceError
from egorag.media.sampling import FrameSampling
from egorag.types import Query

FULL_SIZE = Path(__file__).parents[2] / "benchmarks" / "full_size"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("siglip2"))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Iterator[SigLIP2]:
    ready = SigLIP2(checkpoint=str(folder))
    ready.setup()
    yield ready
    ready.close()


def card(folder: Path, clips: list[FrameClip]) -> Vectors:
    """What a user would write: picture by picture, default dtype."""
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    rows = []
    for clip in clips:
        total = 0
        for frame in clip.frames:
            inputs = processor(images=frame.image, return_tensors="pt")
            with torch.no_grad():
                row = model.get_image_features(**inputs).pooler_output[0]
            total += row / row.norm()
        rows.append((total / total.norm()).numpy())
    return np.stack(rows)


def card_text(folder: Path, text: str, **how: object) -> Vectors:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    how = {"padding": "max_length", "max_length": 64, "truncation": True, **how}
    with torch.no_grad():
        row = model.get_text_features(**tokenizer([text], return_tensors="pt", **how))
    return torch.nn.functional.normalize(row.pooler_output)[0].numpy()


def text(encoder: SigLIP2, words: str) -> Vectors:
    return encoder.embed_query(Query(text=words), "text")


def test_rows_are_those_of_the_model_card(folder: Path, encoder: SigLIP2) -> None:
    clips = made.scenes(1, 5, 13, 2)
    rows = encoder.encode(clips)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, card(folder, clips), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert np.abs(rows[0] - rows[1]).max() > 1e-3  # different scenes differ


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_rows_do_not_depend_on_the_batch(folder: Path, encoder: SigLIP2, batch: int) -> None:
    clips = made.scenes(4, 1, 7)
    other = SigLIP2(checkpoint=str(folder), batch=batch)
    other.setup()
    np.testing.assert_allclose(other.encode(clips), encoder.encode(clips), atol=1e-5)
    np.testing.assert_allclose(other.encode(clips[2:]), encoder.encode(clips)[2:], atol=1e-5)


def test_the_same_twice_also_after_closing(folder: Path) -> None:
    clips = made.scenes(3, 2)
    encoder = SigLIP2(checkpoint=str(folder))
    with pytest.raises(EgoragError, match="setup"):
        encoder.encode(clips)
    encoder.setup()
    first = encoder.encode(clips)
    np.testing.assert_array_equal(encoder.encode(clips), first)
    encoder.close()
    encoder.setup()
    np.testing.assert_array_equal(encoder.encode(clips), first)


def test_no_scenes_give_no_rows(encoder: SigLIP2) -> None:
    assert encoder.encode([]).shape == (0, tiny.DIM)


@pytest.mark.parametrize("words", ["a red dog", "Ä Dog.", "x" * 500, "", "🐕"])
def test_text_is_that_of_the_model_card_lowercased(
    folder: Path, encoder: SigLIP2, words: str
) -> None:
    np.testing.assert_allclose(text(encoder, words), card_text(folder, words.lower()), atol=1e-5)


def test_capitals_and_padding_are_no_trap(folder: Path, encoder: SigLIP2) -> None:
    """The published checkpoints name a tokenizer that keeps capitals, and pad only if told."""
    asked = text(encoder, "A Red DOG")
    np.testing.assert_array_equal(asked, text(encoder, "a red dog"))
    for wrong in (
        card_text(folder, "A Red DOG"),
        card_text(folder, "a red dog", padding=False),
        card_text(folder, "a red dog", padding_side="left"),
    ):
        assert np.abs(asked - wrong).max() > 1e-3


def test_text_cannot_steer_the_tokenizer(encoder: SigLIP2) -> None:
    assert np.isfinite(text(encoder, "caf\udce9")).all()
    np.testing.assert_allclose(text(encoder, "a<eos>dog"), text(encoder, "a dog"), atol=1e-6)


@pytest.mark.parametrize("size", [(32, 32), (97, 41), (3, 50), (50, 3), (1, 1)])
def test_a_picture_is_a_scene_of_one_frame(
    folder: Path, encoder: SigLIP2, tmp_path: Path, size: tuple[int, int]
) -> None:
    image = made.picture(7, *size)
    path = tmp_path / "asked.png"
    path.write_bytes(cv2.imencode(".png", image[..., ::-1])[1].tobytes())
    asked = encoder.embed_query(Query(image=path), "image")
    np.testing.assert_allclose(asked, encoder.encode([made.scene(image)])[0], atol=1e-5)
    if min(size) > 3:  # of smaller ones the processor alone mistakes the height for the channels
        np.testing.assert_allclose(asked, card(folder, [made.scene(image)])[0], atol=1e-5)


def test_a_clip_is_sampled_as_a_scene(encoder: SigLIP2, sample: Path) -> None:
    from egorag.media.reader import frames

    taken = list(frames(sample, encoder.sampling))
    assert {frame.image.shape for frame in taken} == {(tiny.SIZE, tiny.SIZE, 3)}
    asked = encoder.embed_query(Query(video=sample), "video")
    whole = encoder.encode([made.scene(*(frame.image for frame in taken))])[0]
    np.testing.assert_allclose(asked, whole, atol=1e-5)


def test_other_queries_are_refused(encoder: SigLIP2) -> None:
    with pytest.raises(SpaceError, match="sound"):
        encoder.embed_query(Query(sound=Path("a.wav")), "sound")
    with pytest.raises(SpaceError, match="image"):
        encoder.embed_query(Query(text="a dog"), "image")


def test_is_an_encoder_that_says_what_it_does(folder: Path, encoder: SigLIP2) -> None:
    assert isinstance(encoder, Encoder)
    assert isinstance(encoder, QueryEncoder)
    assert encoder.sampling == FrameSampling(2.0, size=(tiny.SIZE, tiny.SIZE))
    assert encoder.space.dim == tiny.DIM
    assert encoder.space.queries == {"text", "image", "video"}
    assert "2 frames a second, each squeezed to 32 x 32" in encoder.describe()
    assert encoder.fingerprint() != SigLIP2(checkpoint=str(folder), rate=1).fingerprint()
    assert encoder.fingerprint() == SigLIP2(checkpoint=str(folder), batch=3).fingerprint()
    with pytest.raises(ValueError, match="rate"):
        SigLIP2(checkpoint=str(folder), rate=0)


def test_bfloat16_stays_near(folder: Path, encoder: SigLIP2) -> None:
    clips = made.scenes(3, 2)
    low = dataclasses.replace(encoder, dtype="bfloat16")
    low.setup()
    np.testing.assert_allclose(low.encode(clips), encoder.encode(clips), atol=2e-2)
    assert text(low, "a dog") @ text(encoder, "a dog") > 0.99


def test_a_missing_tensor_is_refused_by_name(tmp_path: Path) -> None:
    name = made.without(tiny.make(tmp_path), "vision_model.head.mlp.fc1.weight")
    with pytest.raises(MismatchError, match=name):
        SigLIP2(checkpoint=str(tmp_path)).setup()


def test_naflex_siglip_1_and_other_models_are_refused(tmp_path: Path) -> None:
    config = tiny.make(tmp_path) / "config.json"
    encoder = SigLIP2(checkpoint=str(tmp_path))
    (tmp_path / "tokenizer.json").rename(tmp_path / "gone")
    with pytest.raises(ConfigError, match="SigLIP 1"):
        encoder.setup()
    for kind, told in (("siglip2", "NaFlex"), ("clip", "'clip'")):
        config.write_text(json.dumps({**json.loads(config.read_text()), "model_type": kind}))
        with pytest.raises(ConfigError, match=told):
            encoder.setup()


def test_weights_that_are_not_here_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingWeightsError) as told:
        SigLIP2(checkpoint="google/siglip2-none-of-this-name").setup()
    assert told.value.mend == "hf download google/siglip2-none-of-this-name"


@pytest.mark.parametrize("preset", ["siglip2", "siglip2_base"])
def test_full_size_is_as_published(preset: str, tmp_path: Path) -> None:
    import yaml

    settings = yaml.safe_load((FULL_SIZE.parents[1] / f"configs/encoder/{preset}.yaml").read_text())
    published = SigLIP2.published[settings.get("checkpoint", SigLIP2().checkpoint)]
    config = transformers.SiglipConfig.from_pretrained(FULL_SIZE / preset)
    with torch.device("meta"):
        model = transformers.SiglipModel(config)
        row = model.get_image_features(torch.zeros(1, 3, *[config.vision_config.image_size] * 2))
        words = model.get_text_features(torch.zeros(1, 64, dtype=torch.long))
    assert row.pooler_output.shape == words.pooler_output.shape == (1, published.dim)
    count = sum(weights.numel() for weights in model.parameters())
    assert count == pytest.approx(published.parameters, rel=0.03)

    (tmp_path / "model.safetensors").write_bytes(b"never read")
    for name in ("config.json", "preprocessor_config.json"):
        (tmp_path / name).write_text((FULL_SIZE / preset / name).read_text())
    told = SigLIP2(checkpoint=str(tmp_path))
    assert told.space.dim == published.dim
    assert told.sampling.size == (config.vision_config.image_size,) * 2
