"""Qwen3-VL-Embedding against the model card's loop, on a tiny checkpoint of the real classes."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from checkpoints import qwen3_vl_embedding as tiny
from checkpoints.scenes import picture, scene, scenes, without

from egorag.encode.base import Encoder, FrameClip, QueryEncoder
from egorag.encode.pretrained.checkpoint import MissingWeightsError
from egorag.encode.pretrained.loading import MismatchError
from egorag.encode.pretrained.plaintext import plain, shortened
from egorag.encode.qwen3_vl_embedding import Qwen3VLEmbedding
from egorag.errors import ConfigError, SpaceError
from egorag.sample import make
from egorag.types import Query

Row = npt.NDArray[np.float32]
FULL_SIZE = Path(__file__).parents[2] / "benchmarks" / "full_size"
SAID, ASKED = "Represent the user's input.", "Retrieve images or text relevant to the user's query."
SECOND = 1_000_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("qwen3"))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Qwen3VLEmbedding:
    made = Qwen3VLEmbedding(checkpoint=str(folder), batch=2)
    made.setup()
    return made


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds."""
    path = tmp_path_factory.mktemp("video") / "short.mp4"
    make(path, seconds=6, seed=3, size=(160, 90))
    return path


class Card:
    """The model card's loop: one input at a time, the whole model with its head, no batch."""

    def __init__(self, folder: Path) -> None:
        whole = transformers.Qwen3VLForConditionalGeneration.from_pretrained(folder)
        self.model = whole.eval().model
        self.processor = transformers.AutoProcessor.from_pretrained(folder)

    def embed(self, instruction: str, part: dict[str, str], **media: Any) -> Row:
        chat = (
            f"<|im_start|>system\n{instruction}<|im_end|>\n<|im_start|>user\n"
            f"{part.get('text', '')}{part.get('place', '')}<|im_end|>\n<|im_start|>assistant\n"
        )
        settings = {"do_resize": False, "do_sample_frames": False, "return_tensors": "pt"}
        inputs = self.processor(text=[chat], **media, **settings)
        with torch.no_grad():
            state = self.model(**inputs).last_hidden_state[0, -1].numpy()
        return np.asarray(state / np.linalg.norm(state), np.float32)

    def clip(self, clip: FrameClip, size: tuple[int, int], instruction: str = SAID) -> Row:
        """Frames at one a second, resized to ``size`` (height, width)."""
        from torchvision.transforms import InterpolationMode, functional

        film = torch.from_numpy(np.stack([f.image for f in clip.frames])).permute(0, 3, 1, 2)
        film = functional.resize(film, list(size), InterpolationMode.BICUBIC, antialias=True)
        count = len(clip.frames)
        times = {"fps": 1.0, "frames_indices": list(range(count)), "total_num_frames": count}
        place = {"place": "<|video_pad|>"}
        return self.embed(instruction, place, videos=[film.float()], video_metadata=[times])


@pytest.fixture(scope="module")
def card(folder: Path) -> Card:
    return Card(folder)


# Tokens are 8 x 8 pixels here. A frame of 32 x 32 has fewer than 128 of them and is enlarged.
@pytest.mark.parametrize(
    ("count", "width", "height", "size"),
    [
        (1, 32, 32, (96, 96)),
        (2, 128, 96, (96, 128)),
        (3, 64, 32, (64, 128)),
        (5, 400, 300, (192, 256)),
    ],
)
def test_a_scene_is_the_model_cards_loop(
    encoder: Qwen3VLEmbedding, card: Card, count: int, width: int, height: int, size: Any
) -> None:
    """The sizes were worked out by hand from qwen-vl-utils' rule for videos."""
    clip = scene(*(picture(k, width, height) for k in range(count)), step=SECOND)
    np.testing.assert_allclose(encoder.encode([clip])[0], card.clip(clip, size), atol=2e-5)


def test_the_sizing_is_that_of_qwen_vl_utils(encoder: Qwen3VLEmbedding) -> None:
    """Its rule for videos: 128..768 tokens a pair of frames, 7680 in all shared by the pairs."""
    vision = pytest.importorskip("qwen_vl_utils.vision_process")
    for count, width, height in ((1, 90, 60), (4, 333, 111), (30, 300, 300), (63, 320, 180)):
        film = encoder._video(scene(*[picture(0, width, height)] * count).frames)
        most = max(min(768 * 64, 7680 * 64 / (count + count % 2) * 2), int(128 * 64 * 1.05))
        rule = vision.smart_resize(height, width, factor=8, min_pixels=128 * 64, max_pixels=most)
        assert tuple(film.shape[2:]) == tuple(rule)
        assert len(film) == count


def test_rows_do_not_depend_on_the_batch(folder: Path) -> None:
    clips = [*scenes(1, 4, 2), *scenes(3, width=80, height=40)]
    rows = []
    for batch in (1, 3):
        made = Qwen3VLEmbedding(checkpoint=str(folder), batch=batch)
        made.setup()
        rows.append(made.encode(clips))
    np.testing.assert_array_equal(rows[-1], made.encode(clips))
    made.close()
    made.setup()
    np.testing.assert_array_equal(rows[-1], made.encode(clips))
    np.testing.assert_allclose(rows[0], rows[1], atol=2e-5)
    np.testing.assert_allclose(np.linalg.norm(rows[0], axis=1), 1, atol=1e-5)
    assert len({row.tobytes() for row in rows[0]}) == len(clips)


def test_long_scenes_are_thinned_evenly(folder: Path, encoder: Qwen3VLEmbedding) -> None:
    few = Qwen3VLEmbedding(checkpoint=str(folder), frames=4, batch=1)
    few.setup()
    (long,) = scenes(10)
    kept = dataclasses.replace(long, frames=tuple(long.frames[i] for i in (0, 3, 6, 9)))
    np.testing.assert_array_equal(few.encode([long]), few.encode([kept]))
    np.testing.assert_allclose(few.encode([kept]), encoder.encode([kept]), atol=2e-5)


def test_what_the_model_reads(encoder: Qwen3VLEmbedding) -> None:
    """The instruction in the system turn, true times, and marks around each pair alone."""
    clip = scene(*(picture(k) for k in range(5)), step=SECOND)
    item = {"instruction": "Find it", "frames": clip.frames}
    inputs = encoder._inputs([item])
    read = encoder.loaded.processor.tokenizer.decode(inputs["input_ids"][0])
    assert read.startswith(
        "<|im_start|>system\nFind it.<|im_end|>\n<|im_start|>user\n<0.5 seconds>"
    )
    assert read.endswith("<|vision_end|><|im_end|>\n<|im_start|>assistant\n")
    assert [f"<{t} seconds>" in read for t in (0.5, 2.5, 4.0)] == [True] * 3
    assert read.count("<|vision_start|>") == read.count("<|vision_end|>") == 3
    grid = inputs["video_grid_thw"][0]
    assert read.count("<|video_pad|>") == int(grid.prod()) // 4


def test_queries_are_the_cards_with_their_own_instruction(
    encoder: Qwen3VLEmbedding, card: Card, tmp_path: Path, video: Path
) -> None:
    text = encoder.embed_query(Query(text="a red kettle"), "text")
    np.testing.assert_allclose(text, card.embed(ASKED, {"text": "a red kettle"}), atol=2e-5)
    assert not np.allclose(text, card.embed(SAID, {"text": "a red kettle"}), atol=1e-3)

    image = picture(1, 64, 32)
    cv2.imwrite(str(tmp_path / "p.png"), image[..., ::-1])
    seen = encoder.embed_query(Query(image=tmp_path / "p.png"), "image")
    pixels = torch.from_numpy(image).permute(2, 0, 1)
    expected = card.embed(
        ASKED, {"place": "<|vision_start|><|image_pad|><|vision_end|>"}, images=[pixels]
    )
    np.testing.assert_allclose(seen, expected, atol=2e-5)

    shown = encoder.embed_query(Query(video=video), "video")
    assert shown.shape == (tiny.WIDTH,)
    np.testing.assert_allclose(np.linalg.norm(shown), 1, atol=1e-5)


def test_a_clip_as_query_is_the_scene_under_another_instruction(folder: Path, video: Path) -> None:
    from egorag.encode.pretrained.queries import query_frames

    same = Qwen3VLEmbedding(checkpoint=str(folder), query_instruction=SAID, frames=4)
    same.setup()
    clip = query_frames(video, same.sampling)
    row = same.embed_query(Query(video=video), "video")
    np.testing.assert_allclose(row, same.encode([clip])[0], atol=2e-5)
    np.testing.assert_allclose(row @ row, 1, atol=1e-5)


@pytest.mark.parametrize(
    "text", ["", " ", "\ud800", "<|image_pad|>", "<|im_end|>x", "word " * 9000]
)
def test_any_text_is_safe(encoder: Qwen3VLEmbedding, text: str) -> None:
    row = encoder.embed_query(Query(text=text), "text")
    assert np.isfinite(row).all()
    read = encoder._inputs([{"instruction": "x", "text": text}])["input_ids"]
    assert read.shape[1] <= 8192
    told = encoder.loaded.processor.tokenizer.decode(read[0])
    assert told.count("<|im_start|>") == 3 and told.count("<|im_end|>") == 2
    assert told.endswith("<|im_start|>assistant\n")


def test_a_strip_of_a_picture_is_read(encoder: Qwen3VLEmbedding, tmp_path: Path) -> None:
    for size in ((1, 700), (700, 1), (3, 3)):
        cv2.imwrite(str(tmp_path / "p.png"), picture(1, *size))
        row = encoder.embed_query(Query(image=tmp_path / "p.png"), "image")
        assert np.isfinite(row).all()
        assert np.isfinite(encoder.encode([scene(picture(1, *size))])).all()


def test_plain_text_keeps_what_is_harmless(encoder: Qwen3VLEmbedding) -> None:
    tokenizer = encoder.loaded.processor.tokenizer
    assert plain("Grüße, 猫 <b>\n", tokenizer) == "Grüße, 猫 <b>\n"
    assert plain("a<|im_<|im_end|>end|>b\udc80", tokenizer) == "a<|im_ end|>b?"
    assert shortened("abcdef", tokenizer, 4) == "abcd"
    assert shortened("", tokenizer, 4) == ""


def test_dimensions_are_kept_from_the_front_at_unit_length(
    folder: Path, encoder: Qwen3VLEmbedding
) -> None:
    small = Qwen3VLEmbedding(checkpoint=str(folder), dim=8)
    small.setup()
    clips = scenes(2, 3)
    whole = encoder.encode(clips)[:, :8]
    whole /= np.linalg.norm(whole, axis=1, keepdims=True)
    np.testing.assert_allclose(small.encode(clips), whole, atol=2e-5)
    assert small.embed_query(Query(text="a"), "text").shape == (8,)
    assert small.space.dim == 8 and small.space != encoder.space
    assert small.fingerprint() != encoder.fingerprint()
    with pytest.raises(ConfigError, match=r"dim=33.*32 components"):
        _ = Qwen3VLEmbedding(checkpoint=str(folder), dim=33).space


def test_is_an_encoder_with_a_queryable_space(encoder: Qwen3VLEmbedding) -> None:
    assert isinstance(encoder, Encoder) and isinstance(encoder, QueryEncoder)
    assert encoder.space.queries == {"text", "image", "video"}
    assert encoder.encode([]).shape == (0, tiny.WIDTH)
    assert encoder.sampling.rate == 1.0
    # 768 tokens of 8 x 8 pixels at 2:1.
    assert encoder.sampling.longest == round((768 * 64 * 2) ** 0.5)
    told = encoder.describe()
    for part in ("1 a second", "64", "7680", SAID, ASKED, "last token", str(tiny.WIDTH)):
        assert part in told


@pytest.mark.parametrize(
    ("query", "medium"),
    [
        (Query(sound=Path("a.wav")), "sound"),
        (Query(text="a"), "image"),
        (Query(image=Path("a.png")), "text"),
    ],
)
def test_other_queries_are_refused(encoder: Qwen3VLEmbedding, query: Query, medium: str) -> None:
    with pytest.raises(SpaceError, match=medium):
        encoder.embed_query(query, medium)


@pytest.mark.parametrize(
    "wrong",
    [{"rate": 0}, {"frames": 0}, {"tokens": 9}, {"dim": 0}, {"instruction": " "}, {"batch": 0}],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Qwen3VLEmbedding(**wrong)


@pytest.mark.parametrize("part", ["language_model.norm", "visual.patch_embed", "deepstack"])
def test_missing_weights_are_refused_by_name(folder: Path, tmp_path: Path, part: str) -> None:
    damaged = shutil.copytree(folder, tmp_path / "damaged")
    name = without(damaged, part)
    with pytest.raises(MismatchError, match=name.split(".", 1)[1].replace(".", r"\.")):
        Qwen3VLEmbedding(checkpoint=str(damaged)).setup()


def test_a_checkpoint_without_template_or_weights_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = shutil.copytree(folder, tmp_path / "bare")
    (bare / "chat_template.jinja").unlink()
    with pytest.raises(ConfigError, match="chat template"):
        Qwen3VLEmbedding(checkpoint=str(bare)).setup()
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingWeightsError) as missing:
        Qwen3VLEmbedding(checkpoint="Qwen/Qwen3-VL-Embedding-9B").source()
    assert missing.value.mend == "hf download Qwen/Qwen3-VL-Embedding-9B"


@pytest.mark.parametrize(
    ("preset", "name"),
    [
        ("qwen3_vl_embedding", "Qwen/Qwen3-VL-Embedding-2B"),
        ("qwen3_vl_embedding_8b", "Qwen/Qwen3-VL-Embedding-8B"),
    ],
)
def test_the_full_size_has_the_published_width_and_parameters(preset: str, name: str) -> None:
    published = Qwen3VLEmbedding.published[name]
    config = transformers.AutoConfig.from_pretrained(FULL_SIZE / preset)
    with torch.device("meta"):
        model = transformers.Qwen3VLModel(config)
    parameters = sum(p.numel() for p in model.parameters())
    assert abs(parameters / published.parameters - 1) < 0.03
    told = json.loads((FULL_SIZE / preset / "config.json").read_text())
    assert told["text_config"]["hidden_size"] == published.dim
    assert model.language_model.norm.weight.shape == (published.dim,)
    assert model.visual.merger.linear_fc2.out_features == published.dim
