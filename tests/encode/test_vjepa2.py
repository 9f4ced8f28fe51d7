"""V-JEPA 2 against the model card's loop, on a tiny checkpoint of the real classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from checkpoints import vjepa2 as tiny

from egorag.encode.base import Encoder, FrameClip, QueryEncoder, TokenEncoder
from egorag.encode.pretrained.checkpoint import MissingWeightsError
from egorag.encode.pretrained.loading import MismatchError
from egorag.encode.vjepa2 import SHORTEST, VJEPA2, clip_frames
from egorag.errors import ConfigError, EgoragError, SpaceError
from egorag.media.sampling import Frame
from egorag.spans import Span
from egorag.types import Query

Image = npt.NDArray[np.uint8]
FULL_SIZE = Path(__file__).parents[2] / "benchmarks" / "full_size"
PUBLISHED = {
    "vjepa2_fast": ("facebook/vjepa2-vitl-fpc64-256", 292, 256),
    "vjepa2_balanced": ("facebook/vjepa2-vith-fpc64-256", 292, 256),
    "vjepa2_quality": ("facebook/vjepa2-vitg-fpc64-384", 438, 384),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write(tmp_path_factory.mktemp("vjepa2"))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> VJEPA2:
    made = VJEPA2(checkpoint=str(folder), frames=8)
    made.setup()
    return made


def scene(count: int, seed: int = 0, size: tuple[int, int] = (36, 64)) -> FrameClip:
    """Moving blocks of colour: each frame is another one."""
    dice = np.random.default_rng(seed)
    blocks = dice.integers(0, 256, (count, 4, 4, 3), np.uint8)
    images = [np.kron(b, np.ones((size[0] // 4, size[1] // 4, 1), np.uint8)) for b in blocks]
    frames = tuple(Frame(i * 250_000, i * 250_000, i, image) for i, image in enumerate(images))
    return FrameClip(Span(0, count * 250_000), frames)


def card(folder: Path, clips: list[list[Image]]) -> npt.NDArray[np.float32]:
    """The model card's loop: processor and whole model, one clip at a time; unit rows. The vector
    of several clips is the mean over all of their tokens."""
    processor = transformers.AutoVideoProcessor.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    tokens = []
    with torch.no_grad():
        for images in clips:
            inputs = processor(np.stack(images), return_tensors="pt")
            tokens.append(model(**inputs).last_hidden_state[0])
    mean = torch.cat(tokens).mean(0).numpy()
    return np.asarray(mean / np.linalg.norm(mean), np.float32)


# -- what it computes --


@pytest.mark.parametrize("size", [(36, 64), (64, 36), (72, 128), (20, 24), (240, 40)])
def test_a_scene_of_one_clip_is_the_model_cards_loop(
    encoder: VJEPA2, folder: Path, size: tuple[int, int]
) -> None:
    """Any size of frame: the processor's own scaling and crop, also where nothing was scaled."""
    clip = scene(8, size=size)
    expected = card(folder, [[f.image for f in clip.frames]])
    np.testing.assert_allclose(encoder.encode([clip])[0], expected, atol=1e-5)


def test_a_long_scene_is_the_mean_over_the_tokens_of_consecutive_clips(
    encoder: VJEPA2, folder: Path
) -> None:
    clip = scene(21)
    images = [f.image for f in clip.frames]
    expected = card(folder, [images[:6], images[6:14], [*images[14:], images[20]]])
    np.testing.assert_allclose(encoder.encode([clip])[0], expected, atol=1e-5)


def test_a_still_is_repeated_as_the_model_card_does(folder: Path) -> None:
    whole = VJEPA2(checkpoint=str(folder), frames=64)
    whole.setup()
    clip = scene(1)
    expected = card(folder, [[clip.frames[0].image] * SHORTEST])
    np.testing.assert_allclose(whole.encode([clip])[0], expected, atol=1e-5)
    whole.close()


def test_no_frame_is_lost_not_even_an_odd_last_one(encoder: VJEPA2) -> None:
    """The model itself ignores frame 9 of 9."""
    for count in (5, 8, 9, 17, 20):
        clip = scene(count)
        row = encoder.encode([clip])[0]
        for changed in range(count):
            frames = list(clip.frames)
            frame = frames[changed]
            frames[changed] = Frame(frame.time, frame.time, changed, 255 - frame.image)
            other = encoder.encode([FrameClip(clip.span, tuple(frames))])[0]
            assert np.abs(row - other).max() > 1e-4, f"frame {changed} of {count}"


@given(st.integers(1, 400), st.integers(1, 40).map(lambda n: 2 * n))
def test_clips_are_even_in_order_and_leave_nothing_out(count: int, frames: int) -> None:
    clips = clip_frames(count, frames)
    every = [i for clip in clips for i in clip]
    assert sorted(set(every)) == list(range(count))
    assert every == sorted(every)
    lengths = [len(clip) for clip in clips]
    assert all(n % 2 == 0 and n <= frames for n in lengths)
    assert max(lengths) - min(lengths) <= 2
    assert min(lengths) >= min(SHORTEST, frames) or len(clips) > 1
    if count >= min(SHORTEST, frames):
        assert len(every) == count + count % 2  # nothing is seen twice but an odd last frame
        assert len(clips) == -(-(count + count % 2) // frames)


def test_rows_do_not_depend_on_the_batch(encoder: VJEPA2, folder: Path) -> None:
    scenes = [scene(n, seed=n) for n in (1, 8, 3, 30, 9, 8, 2, 16)]
    alone = np.concatenate([encoder.encode([s]) for s in scenes])
    for batch in (1, 3, 16):
        other = VJEPA2(checkpoint=str(folder), frames=8, batch=batch)
        other.setup()
        np.testing.assert_allclose(other.encode(scenes), alone, atol=1e-5)
        other.close()


def test_bfloat16_is_near_float32_and_near_itself_in_another_batch(
    encoder: VJEPA2, folder: Path
) -> None:
    scenes = [scene(n, seed=n) for n in (8, 8, 3, 30)]
    rows = []
    for batch in (1, 8):
        half = VJEPA2(checkpoint=str(folder), frames=8, batch=batch, dtype="bfloat16")
        half.setup()
        rows.append(half.encode(scenes))
        half.close()
    assert (rows[0] * rows[1]).sum(1).min() > 0.999
    assert (rows[0] * encoder.encode(scenes)).sum(1).min() > 0.99
    np.testing.assert_allclose(np.linalg.norm(rows[0], axis=1), 1, atol=1e-6)


def test_same_input_same_rows_also_after_loading_again(encoder: VJEPA2, folder: Path) -> None:
    scenes = [scene(n, seed=n) for n in (1, 9, 20)]
    first = encoder.encode(scenes)
    assert np.array_equal(first, encoder.encode(scenes))
    other = VJEPA2(checkpoint=str(folder), frames=8)
    for _ in range(2):
        other.setup()
        assert np.array_equal(first, other.encode(scenes))
        other.close()


def test_frames_that_change_their_size_within_a_scene_are_each_prepared(
    encoder: VJEPA2, folder: Path
) -> None:
    wide, tall = scene(4), scene(4, seed=1, size=(64, 36))
    mixed = FrameClip(wide.span, (*wide.frames, *tall.frames))
    processor = transformers.VJEPA2VideoProcessor.from_pretrained(folder)
    pixels = [
        processor(f.image[None], return_tensors="pt")["pixel_values_videos"] for f in mixed.frames
    ]
    model = transformers.VJEPA2Model.from_pretrained(folder).eval()
    with torch.no_grad():
        mean = model(torch.cat(pixels, 1)).last_hidden_state[0].mean(0).numpy()
    np.testing.assert_allclose(encoder.encode([mixed])[0], mean / np.linalg.norm(mean), atol=1e-5)


def test_the_token_map_is_every_token_in_its_place(encoder: VJEPA2, folder: Path) -> None:
    clip = scene(8)
    tokens = encoder.tokens(clip)
    assert (tokens.shape, tokens.dtype) == ((4, 2, 2, tiny.WIDTH), np.float16)
    processor = transformers.VJEPA2VideoProcessor.from_pretrained(folder)
    model = transformers.VJEPA2Model.from_pretrained(folder).eval()
    inputs = processor(np.stack([f.image for f in clip.frames]), return_tensors="pt")
    with torch.no_grad():
        expected = model(**inputs).last_hidden_state[0].numpy()
    np.testing.assert_allclose(tokens.reshape(-1, tiny.WIDTH), expected, atol=5e-3)
    assert encoder.tokens(scene(21)).shape == (11, 2, 2, tiny.WIDTH)
    assert encoder.tokens(scene(1)).shape == (4, 2, 2, tiny.WIDTH)
    mean = tokens.astype(np.float32).reshape(-1, tiny.WIDTH).mean(0)
    assert encoder.encode([clip])[0] @ (mean / np.linalg.norm(mean)) > 0.9999


@pytest.mark.parametrize("count", [1, 3, 8, 9, 21, 40])
def test_rows_with_tokens_are_the_rows_without_and_the_room_is_told(
    encoder: VJEPA2, count: int
) -> None:
    clip = scene(count)
    row, tokens = encoder.encode_with_tokens(clip)
    assert np.array_equal(row, encoder.encode([clip])[0])
    assert np.array_equal(tokens, encoder.tokens(clip))
    assert encoder.token_bytes([clip.span]) == tokens.nbytes
    half = [Span(0, 500_001), Span(500_001, count * 250_000)] if count > 2 else [clip.span]
    parts = [[f for f in clip.frames if s.start <= f.time < s.end] for s in half]
    expected = [
        encoder.tokens(FrameClip(s, tuple(part))).nbytes if part else 0
        for s, part in zip(half, parts, strict=True)
    ]
    assert encoder.token_bytes(half) == sum(expected)


def test_tokens_do_not_depend_on_the_batch(encoder: VJEPA2, folder: Path) -> None:
    clip = scene(45)
    row, tokens = encoder.encode_with_tokens(clip)
    other = VJEPA2(checkpoint=str(folder), frames=8, batch=4)
    other.setup()
    other_row, other_tokens = other.encode_with_tokens(clip)
    np.testing.assert_allclose(other_row, row, atol=1e-5)
    np.testing.assert_allclose(other_tokens, tokens, atol=5e-3)
    other.close()


def test_keeping_tokens_is_the_same_encoder(encoder: VJEPA2, folder: Path) -> None:
    keeping = VJEPA2(checkpoint=str(folder), frames=8, keep_tokens=True)
    assert isinstance(keeping, TokenEncoder) and keeping.keep_tokens and not encoder.keep_tokens
    assert keeping.fingerprint() == encoder.fingerprint()


# -- who may ask --


def test_a_clip_file_is_treated_as_a_scene_is(encoder: VJEPA2, tmp_path: Path) -> None:
    from egorag.media.reader import frames
    from egorag.sample import make

    path = tmp_path / "clip.mp4"
    make(path, seconds=4, seed=1, size=(160, 90))
    taken = tuple(frames(path, encoder.sampling))
    assert [f.image.shape[0] for f in taken] == [36] * 16
    row = encoder.embed_query(Query(video=path), "video")
    expected = encoder.encode([FrameClip(Span(0, 4_000_000), taken)])[0]
    assert np.array_equal(row, expected)


@pytest.mark.parametrize("medium", ["text", "image", "sound", "video"])
def test_other_media_are_refused(encoder: VJEPA2, medium: str) -> None:
    with pytest.raises(SpaceError, match=medium):
        encoder.embed_query(Query(text="open the fridge"), medium)


def test_is_an_encoder_and_tells_what_it_does(encoder: VJEPA2, folder: Path) -> None:
    assert isinstance(encoder, Encoder)
    assert isinstance(encoder, QueryEncoder)
    assert encoder.encode([]).shape == (0, tiny.WIDTH)
    assert encoder.space.dim == tiny.WIDTH
    assert encoder.space.queries == {"video"}
    told = encoder.describe()
    assert "8 frames at 4 a second" in told
    assert "centre crop 32 x 32" in told
    same = VJEPA2(checkpoint=str(folder), frames=4)
    assert same.space == encoder.space
    assert same.fingerprint() != encoder.fingerprint()


def test_two_presets_of_one_checkpoint_share_its_model(encoder: VJEPA2, folder: Path) -> None:
    other = VJEPA2(checkpoint=str(folder), frames=4)
    other.setup()
    assert other.loaded.held.model is encoder.loaded.held.model
    other.close()
    assert encoder.encode([scene(3)]).shape == (1, tiny.WIDTH)


# -- what it refuses --


def _without(folder: Path, tmp_path: Path, prefix: str) -> str:
    from safetensors.torch import load_file, save_file

    copy = tiny.write(tmp_path)
    tensors = load_file(copy / "model.safetensors")
    dropped = next(name for name in tensors if name.startswith(prefix))
    del tensors[dropped]
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    return dropped


@pytest.mark.parametrize("part", ["encoder.layer.1", "predictor"])
def test_a_checkpoint_without_a_tensor_is_refused_by_its_name(
    folder: Path, tmp_path: Path, part: str
) -> None:
    dropped = _without(folder, tmp_path, part)
    with pytest.raises(MismatchError) as refused:
        VJEPA2(checkpoint=str(tmp_path)).setup()
    assert dropped in str(refused.value)


def test_a_classifier_is_not_taken_for_the_model(tmp_path: Path) -> None:
    config = transformers.VJEPA2Config.from_pretrained(tiny.write(tmp_path))
    transformers.VJEPA2ForVideoClassification(config).save_pretrained(tmp_path)
    with pytest.raises(MismatchError, match="classifier"):
        VJEPA2(checkpoint=str(tmp_path)).setup()


@pytest.mark.parametrize("crop", [48, {"height": 32, "width": 48}])
def test_a_crop_the_positions_are_not_for_is_refused(tmp_path: Path, crop: Any) -> None:
    """The model itself would run: RoPE counts rows of another length."""
    path = tiny.write(tmp_path) / "video_preprocessor_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "crop_size": crop}))
    encoder = VJEPA2(checkpoint=str(tmp_path))
    with pytest.raises(ConfigError, match="48"):
        _ = encoder.sampling
    with pytest.raises(ConfigError, match="32 x 32"):
        encoder.setup()


def test_another_tubelet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="tubelet of 4"):
        VJEPA2(checkpoint=str(tiny.write(tmp_path, tubelet_size=4))).setup()


@pytest.mark.parametrize("frames", [0, 1, 7, -2])
def test_an_odd_number_of_frames_is_refused(frames: int) -> None:
    with pytest.raises(ValueError, match=rf"even number.*{frames}"):
        VJEPA2(frames=frames)


def test_keep_tokens_is_yes_or_no() -> None:
    setting: Any = "maybe"
    with pytest.raises(ValueError, match="keep_tokens must be true or false, got 'maybe'"):
        VJEPA2(keep_tokens=setting)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), 61.0])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="rate"):
        VJEPA2(rate=rate)


def test_without_weights_the_command_that_brings_them_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingWeightsError) as missing:
        VJEPA2(checkpoint="facebook/vjepa2-of-nobody").setup()
    assert missing.value.mend == "hf download facebook/vjepa2-of-nobody"


def test_it_is_set_up_before_use(folder: Path) -> None:
    with pytest.raises(EgoragError, match="setup"):
        VJEPA2(checkpoint=str(folder)).encode([scene(2)])


# -- the published sizes --


@pytest.mark.parametrize("preset", PUBLISHED)
def test_the_full_size_architecture_has_the_published_width_and_parameters(preset: str) -> None:
    """Configs as huggingface/transformers' ``convert_vjepa2_to_hf.py`` gives them."""
    name, shortest, crop = PUBLISHED[preset]
    folder = FULL_SIZE / preset
    with torch.device("meta"):
        model = transformers.VJEPA2Model(transformers.VJEPA2Config.from_pretrained(folder))
    published = VJEPA2.published[name]
    assert model.config.hidden_size == model.encoder.layernorm.weight.numel() == published.dim
    assert model.num_parameters() == pytest.approx(published.parameters, rel=0.001)
    processor = transformers.VJEPA2VideoProcessor.from_pretrained(folder)
    assert processor.size["shortest_edge"] == shortest == int(crop * 256 / 224)
    assert processor.crop_size["height"] == model.config.crop_size == crop


def test_the_benchmarks_formula_counts_the_operations_that_torch_counts(encoder: VJEPA2) -> None:
    """``benchmarks/encoders.py`` tells V-JEPA 2's rate by it."""
    from benchmarks.encoders_rates import counted_tflop, vjepa2_tflop

    config = encoder.loaded.held.model.config
    counted = counted_tflop(lambda: encoder.encode([scene(8)]))
    assert vjepa2_tflop(config, 8) == pytest.approx(counted, rel=1e-6)
