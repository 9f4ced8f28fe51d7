"""OpenCLIP against the library's own loop: ``create_model_and_transforms``, one picture a time."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
open_clip = pytest.importorskip("open_clip")

from checkpoints import openclip as tiny
from checkpoints import scenes as made
from PIL import Image

from egorag.encode.base import Encoder, FrameClip, QueryEncoder, Vectors
from egorag.encode.openclip import DEFAULT, OpenCLIP
from egorag.encode.openclip_model import build, layout_of
from egorag.encode.pretrained.checkpoint import Checkpoint, MissingWeightsError
from egorag.encode.pretrained.loading import MismatchError
from egorag.errors import ConfigError, EgoragError, SpaceError
from egorag.media.sampling import FrameSampling
from egorag.types import Query

FULL_SIZE = Path(__file__).parents[2] / "benchmarks" / "full_size" / "openclip"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("openclip"))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> OpenCLIP:
    return ready(checkpoint=str(folder))


def ready(**settings: Any) -> OpenCLIP:
    encoder = OpenCLIP(**settings)
    encoder.setup()
    return encoder


def library(clips: list[FrameClip], *names: Any, **settings: Any) -> Vectors:
    model, _, preprocess = open_clip.create_model_and_transforms(*names, **settings)
    model.eval()
    rows = []
    for clip in clips:
        total = 0
        for frame in clip.frames:
            with torch.no_grad():
                image = preprocess(Image.fromarray(frame.image))[None]
                total += model.encode_image(image, normalize=True)[0]
        rows.append((total / total.norm()).numpy())
    return np.stack(rows)


def library_text(text: str, name: str) -> Vectors:
    model = open_clip.create_model(name)
    with torch.no_grad():
        tokens = open_clip.get_tokenizer(name)([text])
        return model.eval().encode_text(tokens, normalize=True)[0].numpy()


def text(encoder: OpenCLIP, words: str) -> Vectors:
    return encoder.embed_query(Query(text=words), "text")


@pytest.mark.parametrize("resize", ["shortest", "longest", "squash"])
def test_rows_are_those_of_the_library(tmp_path: Path, resize: str) -> None:
    local = tiny.make(tmp_path, resize_mode=resize, mean=[0.5] * 3, interpolation="bilinear")
    clips = made.scenes(1, 5, 2, width=64, height=40)
    rows = ready(checkpoint=str(local)).encode(clips)
    np.testing.assert_allclose(rows, library(clips, f"local-dir:{local}"), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert np.abs(rows[0] - rows[1]).max() > 1e-3  # different scenes differ


@pytest.mark.parametrize("words", ["a red dog", "A Red DOG!", "x " * 500, "", "🐕"])
@pytest.mark.parametrize("config", [tiny.CLIP, tiny.CUSTOM], ids=["clip", "custom"])
def test_text_is_that_of_the_library(tmp_path: Path, config: dict[str, Any], words: str) -> None:
    local = tiny.make(tmp_path, config)
    asked = text(ready(checkpoint=str(local)), words)
    np.testing.assert_allclose(asked, library_text(words, f"local-dir:{local}"), atol=1e-5)


def test_text_cannot_steer_the_tokenizer(encoder: OpenCLIP) -> None:
    assert np.isfinite(text(encoder, "caf\udce9")).all()
    asked = text(encoder, "a <end_of_text> dog")
    np.testing.assert_allclose(asked, text(encoder, "a dog"), atol=1e-6)


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_rows_do_not_depend_on_the_batch(folder: Path, encoder: OpenCLIP, batch: int) -> None:
    clips = made.scenes(4, 1, 7)
    other = ready(checkpoint=str(folder), batch=batch)
    np.testing.assert_allclose(other.encode(clips), encoder.encode(clips), atol=1e-5)
    assert encoder.encode([]).shape == (0, tiny.DIM)


def test_the_same_twice_also_after_closing(folder: Path) -> None:
    clips = made.scenes(3, 2)
    encoder = OpenCLIP(checkpoint=str(folder))
    with pytest.raises(EgoragError, match="setup"):
        encoder.encode(clips)
    encoder.setup()
    first = encoder.encode(clips)
    encoder.close()
    encoder.setup()
    np.testing.assert_array_equal(encoder.encode(clips), first)


@pytest.mark.parametrize("config", [tiny.CLIP, tiny.CUSTOM], ids=["clip", "custom"])
def test_bfloat16_stays_near(tmp_path: Path, config: dict[str, Any]) -> None:
    local, clips = tiny.make(tmp_path, config), made.scenes(3, 2)
    full = ready(checkpoint=str(local))
    low = ready(checkpoint=str(local), dtype="bfloat16")
    np.testing.assert_allclose(low.encode(clips), full.encode(clips), atol=2e-2)
    assert text(low, "a dog") @ text(full, "a dog") > 0.99


@pytest.mark.parametrize("size", [(97, 41), (3, 50), (1, 1)])
def test_a_picture_is_a_scene_of_one_frame(
    folder: Path, encoder: OpenCLIP, tmp_path: Path, size: tuple[int, int]
) -> None:
    image = made.picture(7, *size)
    path = tmp_path / "asked.png"
    path.write_bytes(cv2.imencode(".png", image[..., ::-1])[1].tobytes())
    asked = encoder.embed_query(Query(image=path), "image")
    np.testing.assert_allclose(
        asked, library([made.scene(image)], f"local-dir:{folder}")[0], atol=1e-5
    )


def test_a_clip_is_sampled_as_a_scene(encoder: OpenCLIP, sample: Path) -> None:
    from egorag.media.reader import frames

    taken = [frame.image for frame in frames(sample, encoder.sampling)]
    assert min(taken[0].shape[:2]) == tiny.SIZE
    asked = encoder.embed_query(Query(video=sample), "video")
    np.testing.assert_allclose(asked, encoder.encode([made.scene(*taken)])[0], atol=1e-5)


def test_other_queries_are_refused(encoder: OpenCLIP) -> None:
    with pytest.raises(SpaceError, match="sound"):
        encoder.embed_query(Query(sound=Path("a.wav")), "sound")
    with pytest.raises(SpaceError, match="text"):
        encoder.embed_query(Query(image=Path("a.png")), "text")


def test_the_librarys_own_file_is_taken_whatever_lies_beside_it(
    folder: Path, encoder: OpenCLIP, tmp_path: Path
) -> None:
    """laion's repositories hold a transformers ``model.safetensors`` too, and old formats."""
    clips = made.scenes(2)
    local = tiny.make(tmp_path, weights="open_clip_pytorch_model.bin")
    (local / "model.safetensors").write_bytes(b"of transformers")
    old = ready(checkpoint=str(local))
    assert "model.safetensors" not in old.source().files
    np.testing.assert_array_equal(old.encode(clips), encoder.encode(clips))

    (local / "open_clip_model.safetensors").write_bytes(
        (folder / "open_clip_model.safetensors").read_bytes()
    )
    assert "open_clip_pytorch_model.bin" not in old.source().files
    np.testing.assert_array_equal(ready(checkpoint=str(local)).encode(clips), encoder.encode(clips))


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> str:
    """A model of open_clip's lists, with a tag that was trained with QuickGELU."""
    from open_clip import factory, pretrained

    entry = {
        "hf_hub": "made/up/",
        "mean": (0.4,) * 3,
        "std": (0.3,) * 3,
        "interpolation": "bilinear",
        "resize_mode": "squash",
        "quick_gelu": True,
    }
    monkeypatch.setitem(factory._MODEL_CONFIGS, "tiny", tiny.CLIP)
    monkeypatch.setitem(pretrained._PRETRAINED, "tiny", {"made_up": entry})
    return "tiny"


def test_a_tag_says_where_and_how(listed: str, folder: Path, tmp_path: Path) -> None:
    assert OpenCLIP(model=listed, pretrained="made_up").location() == "made/up"
    assert OpenCLIP(model=listed, pretrained="Made-Up").location() == "made/up"
    clips = made.scenes(2, 3, width=64, height=40)
    weights = folder / "open_clip_model.safetensors"
    (tmp_path / weights.name).write_bytes(weights.read_bytes())  # without a config

    tagged = ready(model=listed, pretrained="made_up", checkpoint=str(tmp_path))
    how = {"image_mean": (0.4,) * 3, "image_std": (0.3,) * 3, "image_resize_mode": "squash"}
    expected = library(
        clips, listed, str(weights), force_quick_gelu=True, image_interpolation="bilinear", **how
    )
    np.testing.assert_allclose(tagged.encode(clips), expected, atol=1e-5)
    assert tagged.sampling == FrameSampling(2.0, size=(tiny.SIZE, tiny.SIZE))

    own = ready(model=listed, checkpoint=str(tmp_path))
    np.testing.assert_allclose(own.encode(clips), library(clips, listed, str(weights)), atol=1e-5)
    assert np.abs(own.encode(clips) - expected).max() > 1e-3
    assert len({own.space, tagged.space, OpenCLIP(checkpoint=str(folder)).space}) == 3
    assert len({own.share_key(), tagged.share_key()}) == 2


def test_every_tag_of_the_library_leads_to_the_hub() -> None:
    for model, pretrained in open_clip.list_pretrained():
        encoder = OpenCLIP(model=model, pretrained=pretrained)
        assert encoder.location().count("/") == 1
        layout = layout_of(Checkpoint("none", Path("none"), {}), model, pretrained)
        assert layout.dim > 0
        assert layout.resize in ("shortest", "squash")
    assert OpenCLIP(model="ViTamin-S", pretrained="datacomp1b").weight_files()[0] == (
        "pytorch_model.bin"
    )


def test_wrong_names_are_refused_with_the_right_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'ViT-B-32'"):
        OpenCLIP(model="ViT-B32", pretrained="openai").location()
    with pytest.raises(ConfigError, match="did you mean 'laion2b_s34b_b79k'"):
        OpenCLIP(model="ViT-B-32", pretrained="laion2b_s34b_b79").location()
    with pytest.raises(ValueError, match="give model too"):
        OpenCLIP(pretrained="openai")
    with pytest.raises(ValueError, match="needs weights"):
        OpenCLIP(model="ViT-B-32")
    with pytest.raises(ValueError, match="SDPA"):
        OpenCLIP(attention="eager")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"open_clip_config\.json"):
        OpenCLIP(checkpoint=str(tmp_path)).describe()


def test_wrong_weights_are_refused_by_name(tmp_path: Path) -> None:
    local = tiny.make(tmp_path)
    config = local / "open_clip_config.json"
    told = json.loads(config.read_text())
    told["model_cfg"]["vision_cfg"]["image_size"] = 64  # open_clip itself resizes, and goes on
    config.write_text(json.dumps(told))
    with pytest.raises(MismatchError, match=r"visual\.positional_embedding"):
        OpenCLIP(checkpoint=str(local)).setup()
    tiny.make(tmp_path)
    name = made.without(local, "visual.proj", "open_clip_model.safetensors")
    with pytest.raises(MismatchError, match=name):
        OpenCLIP(checkpoint=str(local)).setup()
    (local / "open_clip_model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ConfigError, match="does not load"):
        OpenCLIP(checkpoint=str(local)).setup()


def test_pickles_run_no_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    local = tiny.make(tmp_path, weights="open_clip_pytorch_model.bin")
    torch.save({"state_dict": Evil()}, local / "open_clip_pytorch_model.bin")
    with pytest.raises(ConfigError, match="does not load"):
        OpenCLIP(checkpoint=str(local)).setup()
    assert not (tmp_path / "ran").exists()


def test_a_tower_or_tokenizer_from_elsewhere_must_be_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    local = tiny.make(tmp_path, tiny.CUSTOM)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (local / name).unlink()
    with pytest.raises(ConfigError, match="tokenizer files of nobody/never-fetched"):
        OpenCLIP(checkpoint=str(local)).setup()
    config = {**tiny.CLIP, "text_cfg": {"hf_model_name": "nobody/never-fetched"}}
    (local / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    with pytest.raises(ConfigError, match=r"hf download nobody/never-fetched config\.json"):
        OpenCLIP(checkpoint=str(local)).setup()


def test_weights_that_are_not_here_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingWeightsError) as told:
        OpenCLIP(model="ViT-B-32", pretrained="laion2b_s34b_b79k").setup()
    assert told.value.mend == "hf download laion/CLIP-ViT-B-32-laion2B-s34B-b79K"


def test_is_an_encoder_that_says_what_it_does(folder: Path, encoder: OpenCLIP) -> None:
    assert isinstance(encoder, Encoder)
    assert isinstance(encoder, QueryEncoder)
    assert encoder.sampling == FrameSampling(2.0, shortest=tiny.SIZE)
    assert encoder.space.queries == {"text", "image", "video"}
    assert "cut from the middle to 32 x 32" in encoder.describe()
    assert OpenCLIP(checkpoint=f"local-dir:{folder}").space == encoder.space
    assert OpenCLIP(checkpoint=f"hf-hub:{DEFAULT}").location() == DEFAULT
    assert dataclasses.replace(encoder, rate=1.0).fingerprint() != encoder.fingerprint()


def test_full_size_is_as_published(tmp_path: Path) -> None:
    published = OpenCLIP.published[DEFAULT]
    (tmp_path / "open_clip_model.safetensors").write_bytes(b"never read")
    (tmp_path / "open_clip_config.json").write_text(
        (FULL_SIZE / "open_clip_config.json").read_text()
    )
    encoder = OpenCLIP(checkpoint=str(tmp_path))
    layout = layout_of(encoder.source(), None, None)
    assert layout.model == open_clip.get_model_config("ViT-L-14")
    with torch.device("meta"):
        model = build(layout)
        row = model.encode_image(torch.zeros(1, 3, 224, 224))
        words = model.encode_text(torch.zeros(1, 77, dtype=torch.long))
    assert row.shape == words.shape == (1, published.dim)
    assert encoder.space.dim == published.dim
    assert encoder.sampling == FrameSampling(2.0, shortest=224)
    count = sum(weights.numel() for weights in model.parameters())
    assert count == pytest.approx(published.parameters, rel=0.03)
