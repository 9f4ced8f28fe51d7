"""Qwen2-VL's pooled tokens against the model card's loop, and sizes against qwen-vl-utils."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("torchvision")

from checkpoints import qwen2_vl as tiny
from checkpoints import scenes as made
from checkpoints.scenes import Image

from egorag.encode.base import Encoder, FrameClip, QueryEncoder, Vectors
from egorag.encode.pretrained.checkpoint import MissingWeightsError
from egorag.encode.pretrained.loading import MismatchError
from egorag.encode.qwen2_vl import TOWER, Qwen2VL
from egorag.encode.qwen2_vl_model import PUBLISHED
from egorag.errors import ConfigError, EgoragError, MediaError, SpaceError
from egorag.types import Query

FULL_SIZE = Path(__file__).parents[2] / "benchmarks" / "full_size"
SMALL = 128 * 28 * 28  # pixels: the least a frame has


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write(tmp_path_factory.mktemp("qwen2_vl"))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Iterator[Qwen2VL]:
    ready = Qwen2VL(checkpoint=str(folder), max_frames=8)
    ready.setup()
    yield ready
    ready.close()


def tokens(folder: Path, video: Any) -> Any:
    """What a user would write: the whole model, one clip, no resizing. float32 [tokens, dim]."""
    processor = transformers.AutoProcessor.from_pretrained(folder)
    model = transformers.Qwen2VLForConditionalGeneration.from_pretrained(folder).eval()
    inputs = processor.video_processor(
        videos=[video], do_resize=False, do_sample_frames=False, return_tensors="pt"
    )
    with torch.no_grad():
        features = model.model.get_video_features(
            inputs["pixel_values_videos"], inputs["video_grid_thw"]
        )
    return features.pooler_output[0]


def card(folder: Path, clip: FrameClip) -> Vectors:
    """Their mean, of frames whose size needs no change."""
    images = [frame.image for frame in clip.frames]
    images += images[-1:] * (len(images) % 2)
    mean = tokens(folder, torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)).mean(0)
    return (mean / mean.norm()).numpy()


def save(path: Path, image: Image) -> Path:
    path.write_bytes(cv2.imencode(".png", image[..., ::-1])[1].tobytes())
    return path


def test_rows_are_those_of_the_model_card(folder: Path, encoder: Qwen2VL) -> None:
    clips = made.scenes(1, 2, 5, 8, width=392, height=280)
    rows = encoder.encode(clips)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, [card(folder, clip) for clip in clips], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert np.abs(rows[0] - rows[1]).max() > 1e-2  # different scenes differ


def test_all_tokens_are_pooled_and_not_the_first(folder: Path, encoder: Qwen2VL) -> None:
    """The first token is the upper left corner: equal in two pictures that differ elsewhere."""
    left = made.picture(1, 392, 280)
    right = left.copy()
    right[140:] = 255 - right[140:]
    first, other = encoder.encode([made.scene(left), made.scene(right)])
    assert first @ other < 0.99
    corner = tokens(folder, torch.from_numpy(np.stack([left] * 2)).permute(0, 3, 1, 2))[0]
    assert first @ torch.nn.functional.normalize(corner, dim=0).numpy() < 0.99


@pytest.mark.parametrize(
    "size", [(448, 336), (1120, 672), (112, 112), (336, 560), (56, 448), (1008, 112)]
)
def test_frames_are_sized_as_qwen_vl_utils_does(
    folder: Path, encoder: Qwen2VL, size: tuple[int, int]
) -> None:
    """Within the limits, above, below, upright, and long ones. (Sides are multiples of 56: of
    frames in a list qwen-vl-utils 0.0.14 makes such before it sizes them.)"""
    utils = pytest.importorskip("qwen_vl_utils")
    from PIL import Image as pillow

    clip = made.scenes(3, width=size[0], height=size[1])[0]
    frames = [pillow.fromarray(frame.image) for frame in clip.frames]
    asked = [{"role": "user", "content": [{"type": "video", "video": frames}]}]
    _, (video,) = utils.process_vision_info(asked)
    mean = tokens(folder, video).mean(0)
    np.testing.assert_allclose(encoder.encode([clip])[0], mean / mean.norm(), atol=1e-4)


@pytest.mark.parametrize("most", [SMALL, 360 * 420, 768 * 28 * 28])
def test_sizes_are_those_of_qwen_vl_utils(folder: Path, encoder: Qwen2VL, most: int) -> None:
    utils = pytest.importorskip("qwen_vl_utils")
    chosen = dataclasses.replace(encoder, max_pixels=most)
    dice = np.random.default_rng(0)
    for width, height in [*dice.integers(20, 900, (12, 2)).tolist(), (1, 1), (700, 4), (3, 40)]:
        video = torch.zeros((2, 3, height, width), dtype=torch.uint8)
        given = encoder.loaded.processor(
            videos=[video], return_tensors="pt", **chosen.sizing("cpu")
        )
        expected = utils.vision_process.smart_resize(height, width, 28, SMALL, most)
        assert [14 * n for n in given["video_grid_thw"][0, 1:].tolist()] == list(expected)


def test_a_long_scene_is_spread_evenly_as_qwen_vl_utils_does(encoder: Qwen2VL) -> None:
    utils = pytest.importorskip("qwen_vl_utils")
    for length in (8, 9, 10, 33, 120, 1001):
        clip = made.scene(*(np.full((4, 4, 3), i % 251, np.uint8) for i in range(length)))
        asked = {"fps": 2.0, "max_frames": 8}
        count = utils.vision_process.smart_nframes(asked, length, 2.0)
        expected = torch.linspace(0, length - 1, count).round().long() % 251
        assert encoder.video(clip)[:, 0, 0, 0].tolist() == expected.tolist()


def test_up_to_the_most_frames_the_size_of_a_frame_never_depends_on_their_number() -> None:
    utils = pytest.importorskip("qwen_vl_utils")
    most = utils.vision_process.VIDEO_MAX_TOKEN_NUM * 28 * 28
    total = utils.vision_process.MODEL_SEQ_LEN * 28 * 28 * 0.9
    assert total / 300 * 2 >= most == Qwen2VL().max_pixels
    for wrong in (0, 1, 7, 302):
        with pytest.raises(ValueError, match=f"max_frames.* {wrong}"):
            Qwen2VL(max_frames=wrong)


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_rows_do_not_depend_on_the_batch(encoder: Qwen2VL, batch: int) -> None:
    clips = [
        *made.scenes(4, 1, width=320, height=240),
        *made.scenes(3, width=200, height=400),
        *made.scenes(7, width=64, height=64),
    ]
    other = dataclasses.replace(encoder, batch=batch)
    other.setup()
    np.testing.assert_allclose(other.encode(clips), encoder.encode(clips), atol=1e-5)
    np.testing.assert_allclose(other.encode(clips[2:]), encoder.encode(clips)[2:], atol=1e-5)
    other.close()


def test_the_same_twice_also_after_closing(folder: Path) -> None:
    clips = made.scenes(3, 2)
    encoder = Qwen2VL(checkpoint=str(folder), max_pixels=SMALL)
    with pytest.raises(EgoragError, match="setup"):
        encoder.encode(clips)
    encoder.setup()
    first = encoder.encode(clips)
    np.testing.assert_array_equal(encoder.encode(clips), first)
    encoder.close()
    encoder.close()
    encoder.setup()
    np.testing.assert_array_equal(encoder.encode(clips), first)
    encoder.close()


def test_a_scene_of_one_frame_is_that_frame_twice(encoder: Qwen2VL) -> None:
    image = made.picture(3)
    one, two, many = encoder.encode([made.scene(*[image] * n) for n in (1, 2, 7)])
    np.testing.assert_allclose(one, two, atol=1e-5)
    np.testing.assert_allclose(one, many, atol=1e-5)


def test_a_video_that_changes_its_size_within_a_scene_is_taken(encoder: Qwen2VL) -> None:
    image = made.picture(3, 320, 240)
    half = np.asarray(cv2.resize(image, (160, 120), interpolation=cv2.INTER_AREA))
    same, changed = encoder.encode([made.scene(image, image), made.scene(image, half)])
    assert same @ changed > 0.9


def test_frames_of_impossible_shape_are_refused_by_size(encoder: Qwen2VL) -> None:
    with pytest.raises(MediaError, match="1000 x 4"):
        encoder.encode([made.scene(np.zeros((4, 1000, 3), np.uint8))])


def test_no_scenes_give_no_rows(encoder: Qwen2VL) -> None:
    assert encoder.encode([]).shape == (0, 24)


@pytest.mark.parametrize("size", [(320, 240), (3, 50), (50, 3), (1, 1)])
def test_a_picture_is_a_scene_of_one_frame(
    encoder: Qwen2VL, tmp_path: Path, size: tuple[int, int]
) -> None:
    image = made.picture(7, *size)
    asked = encoder.embed_query(Query(image=save(tmp_path / "asked.png", image)), "image")
    np.testing.assert_allclose(asked, encoder.encode([made.scene(image)])[0], atol=1e-6)


def test_a_still_of_a_scene_finds_it(encoder: Qwen2VL, tmp_path: Path) -> None:
    """Even with random weights, because it goes the same way."""
    pictures = [made.picture(i, 320, 240) for i in range(4)]
    clips = [made.scene(image, np.roll(image, 9, 1), np.roll(image, 18, 1)) for image in pictures]
    rows = encoder.encode(clips)
    for number, clip in enumerate(clips):
        image = save(tmp_path / "still.png", clip.frames[0].image)
        asked = encoder.embed_query(Query(image=image), "image")
        assert int((rows @ asked).argmax()) == number


def test_a_clip_is_sampled_as_a_scene(encoder: Qwen2VL, sample: Path) -> None:
    from egorag.media.reader import frames

    taken = [frame.image for frame in frames(sample, encoder.sampling)]
    assert {image.shape for image in taken} == {(270, 480, 3)}
    asked = encoder.embed_query(Query(video=sample), "video")
    whole = encoder.encode([made.scene(*taken)])[0]
    np.testing.assert_allclose(asked, whole, atol=1e-5)


@pytest.mark.parametrize(
    ("asked", "medium"),
    [
        (Query(text="a dog"), "text"),
        (Query(text="a dog"), "image"),
        (Query(sound=Path("a.wav")), "sound"),
    ],
)
def test_other_queries_are_refused(encoder: Qwen2VL, asked: Query, medium: str) -> None:
    with pytest.raises(SpaceError, match=f"{medium}.*siglip2"):
        encoder.embed_query(asked, medium)


def test_is_an_encoder_that_says_what_it_does(folder: Path, encoder: Qwen2VL) -> None:
    assert isinstance(encoder, Encoder)
    assert isinstance(encoder, QueryEncoder)
    assert encoder.space.dim == 24
    assert encoder.space.queries == {"image", "video"}
    assert encoder.sampling.rate == 2
    told = encoder.describe()
    assert "2 frames a second, of more than 8 in a scene 8 evenly spread" in told
    assert "100352..602112 pixels" in told
    for change in ({"rate": 1}, {"max_frames": 4}, {"max_pixels": SMALL}):
        assert dataclasses.replace(encoder, **change).fingerprint() != encoder.fingerprint()
    assert dataclasses.replace(encoder, batch=3).fingerprint() == encoder.fingerprint()
    for setting, wrong in (("rate", 0), ("rate", float("nan")), ("max_pixels", SMALL - 1)):
        with pytest.raises(ValueError, match=setting):
            Qwen2VL(checkpoint=str(folder), **{setting: wrong})
    with pytest.raises(ValueError, match="float16"):  # the published 2B overflows in it
        Qwen2VL(checkpoint=str(folder), dtype="float16")


def test_frames_are_decoded_large_enough(encoder: Qwen2VL) -> None:
    """Sizing never enlarges what the decoder made small: up to 2.5 : 1."""
    longest = encoder.sampling.longest
    assert longest is not None
    for ratio in (1.0, 16 / 9, 2.39):
        assert longest * longest / ratio >= encoder.max_pixels
    assert longest < 1280


def test_bfloat16_stays_near(encoder: Qwen2VL) -> None:
    clips = made.scenes(3, 2)
    low = dataclasses.replace(encoder, dtype="bfloat16")
    low.setup()
    np.testing.assert_allclose(low.encode(clips), encoder.encode(clips), atol=2e-2)
    low.close()


def test_only_the_tower_is_loaded(folder: Path, encoder: Qwen2VL) -> None:
    weights = encoder.loaded.held.model
    assert weights.whole is None
    whole = transformers.Qwen2VLForConditionalGeneration.from_pretrained(folder)
    expected = {name: tuple(p.shape) for name, p in whole.model.visual.named_parameters()}
    assert {n: tuple(p.shape) for n, p in weights.tower.named_parameters()} == expected


@pytest.mark.parametrize("how", ["missing", "unexpected", "shape"])
def test_a_tower_that_does_not_fit_is_refused_by_name(
    folder: Path, tmp_path: Path, how: str
) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    tensors = load_file(tmp_path / "model.safetensors")
    name = "visual.blocks.1.attn.proj.weight"
    if how == "missing":
        del tensors[name]
    elif how == "shape":
        tensors[name] = tensors[name][:8].clone()
    else:
        name = "visual.blocks.2.attn.proj.weight"
        tensors[name] = torch.zeros(16, 16)
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(MismatchError, match=name.removeprefix("visual.")):
        Qwen2VL(checkpoint=str(tmp_path)).setup()


def test_other_models_and_folders_without_a_processor_are_refused(
    folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    encoder = Qwen2VL(checkpoint=str(tmp_path))
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(ConfigError, match="Qwen2VLVideoProcessor"):
        encoder.setup()
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "model_type": "qwen2_5_vl"}))
    with pytest.raises(ConfigError, match="'qwen2_5_vl', not 'qwen2_vl'"):
        encoder.setup()
    with pytest.raises(ConfigError, match="qwen2_5_vl"):
        _ = encoder.space


def test_weights_that_are_not_here_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    for name in PUBLISHED:
        with pytest.raises(MissingWeightsError) as told:
            Qwen2VL(checkpoint=name, dtype="float32").setup()
        assert f"hf download {name}" in told.value.mend


@pytest.mark.parametrize("preset", ["qwen2_vl", "qwen2_vl_7b"])
def test_the_full_size_is_as_published(preset: str) -> None:
    """Built without weights from the values of the checkpoints' config.json."""
    name = {"qwen2_vl": "Qwen/Qwen2-VL-2B-Instruct"}.get(preset, "Qwen/Qwen2-VL-7B-Instruct")
    config = transformers.Qwen2VLConfig.from_pretrained(FULL_SIZE / preset)
    with torch.device("meta"):
        model = transformers.Qwen2VLForConditionalGeneration(config)
    known = PUBLISHED[name]
    assert model.model.visual.merger.mlp[-1].out_features == known.dim
    assert model.get_input_embeddings().embedding_dim == known.dim
    assert _count([model]) == pytest.approx(known.parameters, rel=1e-6)
    assert _count([model.model.visual]) == pytest.approx(TOWER[name], rel=3e-3)
    encoder = Qwen2VL(checkpoint=name, dtype="bfloat16")
    assert encoder.weights_memory() == pytest.approx(2 * TOWER[name])


def _count(modules: Sequence[Any]) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())
