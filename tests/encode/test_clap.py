"""CLAP against the plain loop of its model card, one window at a time."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from checkpoints import clap as tiny
from checkpoints import sounds as made
from checkpoints.scenes import without

from egorag.encode.base import Available, Encoder, QueryEncoder, SoundClip, Vectors
from egorag.encode.clap import CLAP
from egorag.encode.pretrained.checkpoint import MissingWeightsError
from egorag.encode.pretrained.loading import MismatchError
from egorag.encode.pretrained.sound_windows import windows
from egorag.errors import ConfigError, EgoragError, MediaError, SpaceError
from egorag.media.sampling import SoundSampling
from egorag.types import Query

FULL_SIZE = Path(__file__).parents[2] / "benchmarks" / "full_size" / "clap"
RATE = tiny.RATE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("clap"))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Iterator[CLAP]:
    ready = CLAP(checkpoint=str(folder))
    ready.setup()
    yield ready
    ready.close()


class Card:
    """What a user would write: one sound of at most a window at a time."""

    def __init__(self, folder: Path) -> None:
        self.processor = transformers.ClapProcessor.from_pretrained(folder)
        self.model = transformers.ClapModel.from_pretrained(folder).eval()

    def hear(self, samples: made.Sound, **how: object) -> Vectors:
        inputs = self.processor(audio=samples, sampling_rate=RATE, return_tensors="pt")
        with torch.no_grad():
            row = self.model.get_audio_features(**{**inputs, **how}).pooler_output
        return row[0].numpy()

    def read(self, text: str) -> Vectors:
        inputs = self.processor(text=[text], return_tensors="pt")
        with torch.no_grad():
            return self.model.get_text_features(**inputs).pooler_output[0].numpy()

    def scene(self, clip: SoundClip, hop: float = 1.0, **how: object) -> Vectors:
        total, start, samples = np.zeros(tiny.DIM), 0.0, clip.samples
        while True:
            piece = samples[round(start * RATE) : round((start + tiny.SECONDS) * RATE)]
            total += len(piece) * self.hear(piece, **how)
            if round((start + tiny.SECONDS) * RATE) >= len(samples):
                return (total / np.linalg.norm(total)).astype(np.float32)
            start += hop


@pytest.fixture(scope="module")
def card(folder: Path) -> Card:
    return Card(folder)


def text(encoder: CLAP, words: str) -> Vectors:
    return encoder.embed_query(Query(text=words), "text")


def test_rows_are_those_of_the_model_card(encoder: CLAP, card: Card) -> None:
    """Shorter than a window, one sample more and less, whole windows, and a rest."""
    clips = made.scenes(0.3, 1.0, 1 + 1 / RATE, 1 - 1 / RATE, 3.0, 2.25, rate=RATE)
    rows = encoder.encode(clips)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, [card.scene(clip) for clip in clips], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert np.abs(rows[4] - rows[5]).max() > 1e-3  # different scenes differ


def test_windows_may_overlap(folder: Path, encoder: CLAP, card: Card) -> None:
    clips = made.scenes(2.75, 0.4, rate=RATE)
    half = CLAP(checkpoint=str(folder), hop=0.5)
    half.setup()
    rows = half.encode(clips)
    np.testing.assert_allclose(rows, [card.scene(clip, 0.5) for clip in clips], atol=1e-5)
    assert np.abs(rows[0] - encoder.encode(clips)[0]).max() > 1e-4
    assert half.fingerprint() != encoder.fingerprint()


def test_nothing_of_a_long_sound_is_taken_at_random(
    encoder: CLAP, card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a long sound at once, the processor crops it: other dice, other row."""
    [clip] = made.scenes(3.5, rate=RATE)
    cropped, ours = [], []
    for seed in range(3):
        np.random.seed(seed)
        cropped.append(card.hear(clip.samples))
        ours.append(encoder.encode([clip])[0])
    assert np.ptp(cropped, axis=0).max() > 1e-4
    np.testing.assert_array_equal(ours[1:], [ours[0]] * 2)

    def thrown(*_: object) -> int:
        raise AssertionError("dice were thrown")

    monkeypatch.setattr(np.random, "randint", thrown)
    np.testing.assert_array_equal(encoder.encode([clip])[0], ours[0])


def test_a_fused_checkpoint_hears_windows_that_are_not_longer(tmp_path: Path) -> None:
    """Its processor calls one of several short sounds longer, at random; its authors' code,
    none: the fusion is for sounds of more than a window."""
    folder = tiny.make(tmp_path, fused=True)
    encoder, card = CLAP(checkpoint=str(folder)), Card(folder)
    encoder.setup()
    clips = made.scenes(0.5, 1.0, 2.3, rate=RATE)
    rows = []
    for seed in range(3):
        np.random.seed(seed)
        rows.append(encoder.encode(clips))
    np.testing.assert_array_equal(rows[1:], [rows[0]] * 2)
    short = {"is_longer": torch.tensor([[False]])}
    expected = [card.scene(clip, **short) for clip in clips]
    np.testing.assert_allclose(rows[0], expected, atol=1e-5)
    assert np.abs(rows[0][0] - card.hear(clips[0].samples)).max() > 1e-4


@pytest.mark.parametrize("fused", [False, True])
def test_a_processor_of_the_other_kind_is_refused(tmp_path: Path, fused: bool) -> None:
    path = tiny.make(tmp_path, fused=fused) / "preprocessor_config.json"
    other = "rand_trunc" if fused else "fusion"
    path.write_text(json.dumps({**json.loads(path.read_text()), "truncation": other}))
    with pytest.raises(ConfigError, match=f"truncation='{other}'"):
        CLAP(checkpoint=str(tmp_path)).setup()


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_rows_do_not_depend_on_the_batch(folder: Path, encoder: CLAP, batch: int) -> None:
    clips = made.scenes(2.4, 0.2, 1.0, rate=RATE)
    other = CLAP(checkpoint=str(folder), batch=batch)
    other.setup()
    np.testing.assert_allclose(other.encode(clips), encoder.encode(clips), atol=1e-5)
    np.testing.assert_allclose(other.encode(clips[2:]), encoder.encode(clips)[2:], atol=1e-5)


def test_the_same_twice_also_after_closing(folder: Path) -> None:
    clips = made.scenes(1.5, 0.1, rate=RATE)
    encoder = CLAP(checkpoint=str(folder))
    with pytest.raises(EgoragError, match="setup"):
        encoder.encode(clips)
    encoder.setup()
    first = encoder.encode(clips)
    np.testing.assert_array_equal(encoder.encode(clips), first)
    encoder.close()
    encoder.setup()
    np.testing.assert_array_equal(encoder.encode(clips), first)


def test_odd_sounds_have_rows(encoder: CLAP) -> None:
    """One sample, silence, damaged and far too loud samples; no scene, no row."""
    odd = [
        np.ones(1),
        np.zeros(RATE),
        np.full(2 * RATE, np.nan),
        np.full(100, np.inf),
        np.full(RATE, 1e30),
    ]
    rows = encoder.encode([made.scene(samples.astype(np.float32), RATE) for samples in odd])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(rows[2], rows[1], atol=1e-5)  # what is no number is silence
    assert encoder.encode([]).shape == (0, tiny.DIM)


@pytest.mark.parametrize("words", ["a dog barks", "Ä Dog.", "", "🐕"])
def test_text_is_that_of_the_model_card(encoder: CLAP, card: Card, words: str) -> None:
    np.testing.assert_allclose(text(encoder, words), card.read(words), atol=1e-5)


def test_any_text_is_taken(encoder: CLAP) -> None:
    """A long one is cut where the positions end; half a surrogate pair is a question mark."""
    np.testing.assert_array_equal(text(encoder, "bark " * 500), text(encoder, "bark " * 7))
    np.testing.assert_array_equal(text(encoder, "caf\udce9"), text(encoder, "caf?"))


def test_a_sound_is_a_scene(encoder: CLAP, tmp_path: Path) -> None:
    samples = made.sound(5, 2.2, RATE)
    path = made.write(tmp_path / "asked.wav", samples, RATE)
    asked = encoder.embed_query(Query(sound=path), "sound")
    assert asked @ encoder.encode([made.scene(samples, RATE)])[0] > 0.999  # 16 bits


def test_other_queries_are_refused(encoder: CLAP, tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="image"):
        encoder.embed_query(Query(image=Path("a.png")), "image")
    with pytest.raises(SpaceError, match="sound"):
        encoder.embed_query(Query(text="a dog"), "sound")
    (tmp_path / "odd.wav").write_bytes(b"no sound")
    with pytest.raises(MediaError, match=r"odd\.wav"):
        encoder.embed_query(Query(sound=tmp_path / "odd.wav"), "sound")
    with pytest.raises(ValueError, match="48000 Hz, got a clip at 16000 Hz"):
        encoder.encode(made.scenes(1.0, rate=16_000))


def test_is_an_encoder_that_says_what_it_does(folder: Path, encoder: CLAP) -> None:
    assert isinstance(encoder, Encoder)
    assert isinstance(encoder, QueryEncoder)
    assert encoder.sampling == SoundSampling(RATE)
    assert encoder.space.dim == tiny.DIM
    assert encoder.space.queries == {"text", "sound"}
    assert "48000 Hz mono in windows of 1 s, one every 1 s" in encoder.describe()
    assert encoder.fingerprint() == CLAP(checkpoint=str(folder), batch=3).fingerprint()
    silent = Available(frames=True, sound=False, subtitles=True, text=True)
    assert encoder.skip_reason(silent) == "no sound"
    assert encoder.skip_reason(dataclasses.replace(silent, sound=True)) is None


def test_a_hop_that_leaves_sound_out_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="hop"):
        CLAP(checkpoint=str(folder), hop=0)
    with pytest.raises(ConfigError, match=r"hop=1\.5 .* windows of 1 seconds"):
        CLAP(checkpoint=str(folder), hop=1.5).setup()


@pytest.mark.parametrize("size", [1, 4, 10])
@pytest.mark.parametrize("part", [1, 2, 3, 10])
def test_windows_hold_every_sample_and_none_in_vain(size: int, part: int) -> None:
    step = max(1, size // part)
    for length in range(1, 50):
        cut = windows(length, size, step)
        assert sorted({i for a, b in cut for i in range(a, b)}) == list(range(length))
        assert all(b - a == size for a, b in cut[:-1])
        assert all(b > before for (_, before), (_, b) in pairwise(cut))


def test_bfloat16_stays_near(folder: Path, encoder: CLAP) -> None:
    clips = made.scenes(1.3, 0.5, rate=RATE)
    low = dataclasses.replace(encoder, dtype="bfloat16")
    low.setup()
    assert np.diag(low.encode(clips) @ encoder.encode(clips).T).min() > 0.99
    assert text(low, "a dog") @ text(encoder, "a dog") > 0.99


@pytest.mark.parametrize("part", ["audio_encoder.layers.0", "text_model.encoder.layer.1"])
def test_a_missing_tensor_is_refused_by_name(tmp_path: Path, part: str) -> None:
    name = without(tiny.make(tmp_path), part)
    with pytest.raises(MismatchError, match=name):
        CLAP(checkpoint=str(tmp_path)).setup()


def test_a_checkpoint_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    """transformers would make one that knows five tokens, and all texts would be equal."""
    tiny.make(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    assert len(transformers.AutoTokenizer.from_pretrained(tmp_path)) == 5
    with pytest.raises(ConfigError, match="has no tokenizer"):
        CLAP(checkpoint=str(tmp_path)).setup()


def test_weights_that_are_not_here_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingWeightsError) as told:
        CLAP(checkpoint="laion/none-of-this-name").setup()
    assert told.value.mend == "hf download laion/none-of-this-name"


LARGER = {"depths": [2, 2, 12, 2], "patch_embeds_hidden_size": 128, "hidden_size": 1024}


@pytest.mark.parametrize(
    ("name", "audio"),
    [
        ("laion/clap-htsat-unfused", {}),
        ("laion/larger_clap_general", LARGER),
        ("laion/clap-htsat-fused", {"enable_fusion": True, "fusion_type": "aff_2d"}),
    ],
)
def test_full_size_is_as_published(name: str, audio: dict[str, object], tmp_path: Path) -> None:
    """From the default's config, and what the others' published ones say beyond it."""
    published = CLAP.published[name]
    config = json.loads((FULL_SIZE / "config.json").read_text())
    config["audio_config"].update(audio)
    with torch.device("meta"):
        model = transformers.ClapModel(transformers.ClapConfig(**config))
    assert model.audio_projection.linear2.out_features == published.dim
    assert model.text_projection.linear2.out_features == published.dim
    count = sum(weights.numel() for weights in model.parameters())
    assert count == pytest.approx(published.parameters, rel=0.03)

    (tmp_path / "model.safetensors").write_bytes(b"never read")
    for file in ("config.json", "preprocessor_config.json"):
        (tmp_path / file).write_text((FULL_SIZE / file).read_text())
    told = CLAP(checkpoint=str(tmp_path))
    assert told.space.dim == published.dim
    assert told.sampling == SoundSampling(48_000)
    assert "windows of 10 s, one every 10 s" in told.describe()
