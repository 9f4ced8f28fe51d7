"""X-CLIP against the plain loop of its model card, with frames chosen by independent code."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
cluster = pytest.importorskip("sklearn.cluster")

from checkpoints import scenes as made
from checkpoints import xclip as tiny

from egorag.encode.base import Encoder, FrameClip, QueryEncoder, Vectors
from egorag.encode.pretrained.checkpoint import MissingWeightsError
from egorag.encode.pretrained.loading import MismatchError
from egorag.encode.xclip import XCLIP, central, evenly
from egorag.errors import ConfigError, EgoragError, SpaceError
from egorag.media.sampling import FrameSampling
from egorag.types import Query

FULL_SIZE = Path(__file__).parents[2] / "benchmarks" / "full_size" / "xclip"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("xclip"))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> XCLIP:
    return ready(folder)


def ready(folder: Path, **settings: Any) -> XCLIP:
    encoder = XCLIP(checkpoint=str(folder), **settings)
    encoder.setup()
    return encoder


def nearest(distances: Vectors) -> list[int]:
    """The first row within rounding of the least, of each column: a cluster of two is a tie."""
    return sorted((distances <= distances.min(axis=0) + 1e-6).argmax(axis=0))


class Card:
    """What a user would write, a scene and a frame at a time."""

    def __init__(self, folder: Path) -> None:
        self.processor = transformers.VideoMAEImageProcessor.from_pretrained(folder)
        self.model = transformers.XCLIPModel.from_pretrained(folder).eval()
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)

    def video(self, images: Sequence[made.Image]) -> Vectors:
        with torch.no_grad():
            row = self.model.get_video_features(**self.processor(list(images), return_tensors="pt"))
        return torch.nn.functional.normalize(row.pooler_output)[0].numpy()

    def still(self, image: made.Image) -> Vectors:
        """The vision tower's embedding of a video in which nothing moves."""
        pixels = self.processor([image] * tiny.FRAMES, return_tensors="pt")["pixel_values"][0]
        with torch.no_grad():
            row = self.model.visual_projection(self.model.vision_model(pixels).pooler_output)
        return torch.nn.functional.normalize(row)[0].numpy()

    def chosen(self, clip: FrameClip) -> list[int]:
        rows = np.stack([self.still(frame.image) for frame in clip.frames]).astype(np.float64)
        fit = cluster.KMeans(tiny.FRAMES, n_init=4, random_state=0).fit(rows)
        return nearest(fit.transform(rows))

    def row(self, clip: FrameClip) -> Vectors:
        images = [frame.image for frame in clip.frames]
        return self.video([images[i] for i in self.chosen(clip)])

    def text(self, words: str) -> Vectors:
        tokens = self.tokenizer([words], truncation=True, max_length=24, return_tensors="pt")
        with torch.no_grad():
            row = self.model.get_text_features(**tokens).pooler_output
        return torch.nn.functional.normalize(row)[0].numpy()


@pytest.fixture(scope="module")
def card(folder: Path) -> Card:
    return Card(folder)


def text(encoder: XCLIP, words: str) -> Vectors:
    return encoder.embed_query(Query(text=words), "text")


def test_long_scenes_are_those_of_the_model_card(card: Card, encoder: XCLIP) -> None:
    clips = made.scenes(9, 20, 33, width=64, height=40)
    rows = encoder.encode(clips)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, [card.row(clip) for clip in clips], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert np.abs(rows[0] - rows[1]).max() > 1e-3  # different scenes differ


@pytest.mark.parametrize("length", range(1, tiny.FRAMES + 1))
def test_short_scenes_show_each_frame_longer(card: Card, encoder: XCLIP, length: int) -> None:
    clip = made.scenes(length)[0]
    images = [frame.image for frame in clip.frames]
    repeated = [images[i * length // tiny.FRAMES] for i in range(tiny.FRAMES)]
    assert len({id(image) for image in repeated}) == length
    np.testing.assert_allclose(encoder.encode([clip])[0], card.video(repeated), atol=1e-5)


def test_equal_frames_count_as_one_picture(card: Card, encoder: XCLIP) -> None:
    """A still of a minute, and a scene that goes back and forth, are no special case."""
    a, b = made.picture(1), made.picture(2)
    still, back = encoder.encode([made.scene(*[a] * 240), made.scene(*[a, a, b, a, b] * 8)])
    np.testing.assert_allclose(still, card.video([a] * 8), atol=1e-5)
    np.testing.assert_allclose(back, card.video([a] * 4 + [b] * 4), atol=1e-5)


def test_equal_frames_still_weigh(card: Card, encoder: XCLIP) -> None:
    """The centres are those of all frames, however few of them have to be computed."""
    pictures = [made.picture(seed) for seed in range(12)]
    clip = made.scene(*(pictures[k] for k in [0] * 30 + list(range(12))))
    rows = np.stack([card.still(image) for image in pictures]).astype(np.float64)
    fit = cluster.KMeans(8, n_init=4, random_state=0).fit(rows, sample_weight=[31] + [1] * 11)
    expected = card.video([pictures[i] for i in nearest(fit.transform(rows))])
    np.testing.assert_allclose(encoder.encode([clip])[0], expected, atol=1e-5)


def test_a_frames_embedding_does_not_depend_on_its_neighbours(card: Card, encoder: XCLIP) -> None:
    """The trap: in X-CLIP's tower, frames run together exchange messages."""
    images = [made.picture(seed) for seed in range(8)]
    with torch.inference_mode():
        rows = torch.nn.functional.normalize(encoder._embed_stills(images)).numpy()
        pixels = encoder._pixels([images])[0]
        mixed = card.model.visual_projection(card.model.vision_model(pixels).pooler_output)
    np.testing.assert_allclose(rows, [card.still(image) for image in images], atol=1e-5)
    assert np.abs(rows - torch.nn.functional.normalize(mixed).numpy()).max() > 1e-3


def test_the_order_of_time_shows(card: Card, encoder: XCLIP) -> None:
    clip = made.scenes(16)[0]
    reverse = made.scene(*(frame.image for frame in clip.frames[::-1]))
    forth, back = encoder.encode([clip, reverse])
    assert np.abs(forth - back).max() > 1e-3


@pytest.mark.parametrize("batch", [1, 2, 64])
def test_rows_do_not_depend_on_the_batch(folder: Path, encoder: XCLIP, batch: int) -> None:
    clips = made.scenes(12, 1, 40, 8, 3, 17)
    rows = encoder.encode(clips)
    np.testing.assert_allclose(ready(folder, batch=batch).encode(clips), rows, atol=1e-5)
    np.testing.assert_allclose(encoder.encode(clips[2:3]), rows[2:3], atol=1e-5)
    assert encoder.encode([]).shape == (0, tiny.DIM)


def test_the_same_twice_also_after_closing(folder: Path) -> None:
    clips = made.scenes(30, 2)
    encoder = XCLIP(checkpoint=str(folder))
    with pytest.raises(EgoragError, match="setup"):
        encoder.encode(clips)
    encoder.setup()
    first = encoder.encode(clips)
    encoder.close()
    encoder.setup()
    np.testing.assert_array_equal(encoder.encode(clips), first)


def test_bfloat16_stays_near(folder: Path, encoder: XCLIP) -> None:
    clips = made.scenes(8, 2)  # nothing to choose
    low = ready(folder, dtype="bfloat16")
    np.testing.assert_allclose(low.encode(clips), encoder.encode(clips), atol=2e-2)
    assert low.encode(made.scenes(20)).shape == (1, tiny.DIM)


def test_one_frame_of_each_cluster_is_kept() -> None:
    dice = np.random.default_rng(0)
    centres = np.eye(8, 64, dtype=np.float32)
    rows = np.repeat(centres, 5, axis=0) + dice.normal(0, 0.01, (40, 64)).astype(np.float32)
    for order in (np.arange(40), dice.permutation(40)):
        picks = central(rows[order], [1] * 40, 8)
        assert sorted(order[picks] // 5) == list(range(8))
        assert picks == sorted(picks)
    assert central(rows[[0, 0, 0, 7, 7, 7]], [1] * 6, 4) == [0, 3]


@pytest.mark.parametrize("count", range(1, 9))
def test_repeats_are_even(count: int) -> None:
    shown = evenly(range(count), 8)
    often = np.bincount(shown)
    assert len(shown) == 8
    assert shown == sorted(shown)
    assert often.max() - often.min() <= 1


@pytest.mark.parametrize("words", ["a red dog", "A Red DOG", "x " * 90, ""])
def test_text_is_that_of_the_model_card(card: Card, encoder: XCLIP, words: str) -> None:
    np.testing.assert_allclose(text(encoder, words), card.text(words), atol=1e-5)


def test_text_is_not_conditioned_on_a_video(card: Card, encoder: XCLIP) -> None:
    clip = made.scenes(8)[0]
    pixels = card.processor([frame.image for frame in clip.frames], return_tensors="pt")
    with torch.no_grad():
        whole = card.model(**card.tokenizer(["a red dog"], return_tensors="pt"), **pixels)
    assert np.abs(text(encoder, "a red dog") - whole.text_embeds[0, 0].numpy()).max() > 1e-3


def test_text_cannot_steer_the_tokenizer(card: Card, encoder: XCLIP) -> None:
    assert np.isfinite(text(encoder, "caf\udce9")).all()
    np.testing.assert_allclose(text(encoder, "a <|endoftext|> dog"), card.text("a dog"), atol=1e-5)


@pytest.mark.parametrize("size", [(32, 32), (97, 41), (3, 50), (1, 1)])
def test_a_picture_is_a_scene_of_one_frame(
    encoder: XCLIP, tmp_path: Path, size: tuple[int, int]
) -> None:
    image = made.picture(7, *size)
    path = tmp_path / "asked.png"
    path.write_bytes(cv2.imencode(".png", image[..., ::-1])[1].tobytes())
    asked = encoder.embed_query(Query(image=path), "image")
    np.testing.assert_allclose(asked, encoder.encode([made.scene(image)])[0], atol=1e-6)


def test_a_clip_is_sampled_as_a_scene(encoder: XCLIP, sample: Path) -> None:
    from egorag.media.reader import frames

    taken = [frame.image for frame in frames(sample, encoder.sampling)]
    assert min(taken[0].shape[:2]) == tiny.SIZE
    asked = encoder.embed_query(Query(video=sample), "video")
    np.testing.assert_allclose(asked, encoder.encode([made.scene(*taken)])[0], atol=1e-5)


def test_is_an_encoder_that_says_what_it_does(folder: Path, encoder: XCLIP) -> None:
    assert isinstance(encoder, Encoder)
    assert isinstance(encoder, QueryEncoder)
    assert encoder.sampling == FrameSampling(4.0, shortest=tiny.SIZE)
    assert encoder.frames == tiny.FRAMES
    assert encoder.space.dim == tiny.DIM
    assert encoder.space.queries == {"text", "image", "video"}
    assert "the 8 nearest the centres of k-means" in encoder.describe()
    assert dataclasses.replace(encoder, rate=1.0).fingerprint() != encoder.fingerprint()
    with pytest.raises(SpaceError, match="sound"):
        encoder.embed_query(Query(sound=Path("a.wav")), "sound")
    with pytest.raises(ValueError, match="rate"):
        XCLIP(rate=-1)


def test_the_wrong_checkpoint_is_refused(tmp_path: Path) -> None:
    local = tiny.make(tmp_path)
    config = json.loads((local / "config.json").read_text())
    other = {**config, "vision_config": {**config["vision_config"], "num_frames": 16}}
    (local / "config.json").write_text(json.dumps(other))
    with pytest.raises(MismatchError, match=r"mit\.position_embedding"):
        XCLIP(checkpoint=str(local)).setup()
    (local / "config.json").write_text(json.dumps({**config, "model_type": "clip"}))
    with pytest.raises(ConfigError, match="'clip'"):
        XCLIP(checkpoint=str(local)).setup()
    (local / "config.json").write_text(json.dumps(config))
    name = made.without(local, "message_fc.weight")
    with pytest.raises(MismatchError, match=name):
        XCLIP(checkpoint=str(local)).setup()


def test_weights_that_are_not_here_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingWeightsError) as told:
        XCLIP().setup()
    assert told.value.mend == "hf download microsoft/xclip-base-patch32"


def test_full_size_is_as_published(tmp_path: Path) -> None:
    published = XCLIP.published["microsoft/xclip-base-patch32"]
    config = transformers.XCLIPConfig.from_pretrained(FULL_SIZE)
    with torch.device("meta"):
        model = transformers.XCLIPModel(config)
        row = model.get_video_features(torch.zeros(1, 8, 3, 224, 224))
    assert row.pooler_output.shape == (1, published.dim)
    count = sum(weights.numel() for weights in model.parameters())
    assert count == pytest.approx(published.parameters, rel=0.03)

    (tmp_path / "model.safetensors").write_bytes(b"never read")
    for name in ("config.json", "preprocessor_config.json"):
        (tmp_path / name).write_text((FULL_SIZE / name).read_text())
    told = XCLIP(checkpoint=str(tmp_path))
    assert told.space.dim == published.dim
    assert told.frames == 8
    assert told.sampling == FrameSampling(4.0, shortest=224)
    images = transformers.VideoMAEImageProcessor.from_pretrained(tmp_path)
    pixels = images([made.picture(0, 398, 224)] * 8, return_tensors="pt")["pixel_values"]
    assert pixels.shape == (1, 8, 3, 224, 224)
