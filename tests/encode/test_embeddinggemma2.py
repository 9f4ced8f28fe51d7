"""EmbeddingGemma 2 against its card's loop and sentence-transformers, on a tiny checkpoint."""

from __future__ import annotations

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

from checkpoints import embeddinggemma2 as tiny
from checkpoints.scenes import picture, scene, scenes, without

from egorag.encode.base import Available, Document, Encoder, Medium, QueryEncoder, SoundClip
from egorag.encode.embeddinggemma2 import (
    EmbeddingGemma2,
    EmbeddingGemma2Sound,
    EmbeddingGemma2Text,
    _Item,
)
from egorag.encode.pretrained import shared
from egorag.encode.pretrained.checkpoint import MissingWeightsError
from egorag.encode.pretrained.loading import MismatchError
from egorag.errors import ConfigError, SpaceError
from egorag.sample import make
from egorag.spans import Span
from egorag.types import Query

Row = npt.NDArray[np.float32]
Kind = type[EmbeddingGemma2] | type[EmbeddingGemma2Sound] | type[EmbeddingGemma2Text]
KINDS: tuple[Kind, ...] = (EmbeddingGemma2, EmbeddingGemma2Sound, EmbeddingGemma2Text)
FULL_SIZE = Path(__file__).parents[2] / "benchmarks" / "full_size"
PUBLISHED = "google/embeddinggemma-2"
SAID, ASKED = "title: none | text: ", "task: search result | query: "
RATE = 16_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tiny.make(tmp_path_factory.mktemp("gemma2"))
    tiny.add_sentence_transformers(made)
    return made


def ready(kind: Kind, folder: Path, **settings: Any) -> Any:
    made = kind(checkpoint=str(folder), **settings)
    made.setup()
    return made


@pytest.fixture(scope="module")
def encoders(folder: Path) -> dict[str, Any]:
    return {kind.medium.value: ready(kind, folder, batch=2, window=4.0) for kind in KINDS}


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds with sound."""
    path = tmp_path_factory.mktemp("video") / "short.mp4"
    make(path, seconds=6, seed=3, size=(160, 90))
    return path


def heard(*lengths: int) -> list[SoundClip]:
    """Chords of different pitch, so many samples long."""
    clips = []
    for i, length in enumerate(lengths):
        time = np.arange(length) / RATE
        wave = sum(np.sin(2 * np.pi * (180 + 90 * i) * k * time) / k for k in (1, 2, 3))
        samples = (0.2 * np.asarray(wave)).astype(np.float32)
        clips.append(SoundClip(Span(0, max(1, length * 10**6 // RATE)), samples, RATE))
    return clips


def written(*texts: str) -> list[Document]:
    return [Document(Span(0, 1), text, {}) for text in texts]


DATA: dict[str, list[Any]] = {
    "frames": [*scenes(1, 5, 2), *scenes(3, width=90, height=40)],
    "sound": heard(1, 700, 16_000, 40_001),
    "text": written("a", "a red kettle on the table", "x" * 300),
}


class Card:
    """The model card's loop: one input at a time, mean over the tokens, unit length."""

    def __init__(self, folder: Path) -> None:
        self.model = transformers.AutoModel.from_pretrained(folder).eval()
        self.processor = transformers.AutoProcessor.from_pretrained(folder)

    def embed(self, **given: Any) -> Row:
        inputs = self.processor(**given, return_tensors="pt")
        with torch.no_grad():
            tokens = self.model(**inputs).last_hidden_state[0]
        assert bool(inputs["attention_mask"].all())
        mean = tokens.mean(0).numpy()
        return np.asarray(mean / np.linalg.norm(mean), np.float32)

    def of(self, medium: str, clip: Any, prompt: str = SAID) -> Row:
        if medium == "frames":
            film = np.stack([frame.image for frame in clip.frames])
            return self.embed(text=[f"{prompt}<|video|>"], videos=[film], do_sample_frames=False)
        if medium == "sound":
            samples = np.pad(clip.samples, (0, max(0, 640 - len(clip.samples))))
            return self.embed(text=[f"{prompt}<|audio|>"], audio=[samples])
        return self.embed(text=[prompt + clip.text])


@pytest.fixture(scope="module")
def card(folder: Path) -> Card:
    return Card(folder)


@pytest.mark.parametrize("medium", DATA)
def test_a_scene_is_the_model_cards_loop(encoders: Any, card: Card, medium: str) -> None:
    rows = encoders[medium].encode(DATA[medium])
    for row, clip in zip(rows, DATA[medium], strict=True):
        np.testing.assert_allclose(row, card.of(medium, clip), atol=2e-5)
    assert len({row.tobytes() for row in rows}) == len(rows)


def test_it_is_what_sentence_transformers_computes(
    encoders: Any, folder: Path, tmp_path: Path
) -> None:
    sentences = pytest.importorskip("sentence_transformers")
    model = sentences.SentenceTransformer(str(folder), device="cpu")
    texts = [clip.text for clip in DATA["text"]]
    documents = model.encode_document(texts)
    np.testing.assert_allclose(encoders["text"].encode(DATA["text"]), documents, atol=2e-5)
    asked = encoders["text"].embed_query(Query(text="a kettle"), "text")
    np.testing.assert_allclose(asked, model.encode_query("a kettle"), atol=2e-5)

    sound = DATA["sound"][2]
    given = {"audio": {"array": sound.samples, "sampling_rate": RATE}}
    expected = model.encode_document([given])[0]
    np.testing.assert_allclose(encoders["sound"].encode([sound])[0], expected, atol=2e-5)

    from PIL import Image

    cv2.imwrite(str(tmp_path / "p.png"), picture(3, 90, 60)[..., ::-1])
    seen = encoders["text"].embed_query(Query(image=tmp_path / "p.png"), "image")
    expected = model.encode_query([{"image": Image.fromarray(picture(3, 90, 60))}])[0]
    np.testing.assert_allclose(seen, expected, atol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_do_not_depend_on_the_batch(folder: Path, kind: Kind) -> None:
    data = DATA[kind.medium.value]
    rows = []
    for batch in (1, 3):
        made = ready(kind, folder, batch=batch, window=1.0)
        rows.append(made.encode(data))
    np.testing.assert_array_equal(rows[-1], made.encode(data))
    made.close()
    made.setup()
    np.testing.assert_array_equal(rows[-1], made.encode(data))
    np.testing.assert_allclose(rows[0], rows[1], atol=2e-5)
    np.testing.assert_allclose(np.linalg.norm(rows[0], axis=1), 1, atol=1e-5)


def test_long_scenes_are_thinned_evenly(folder: Path, card: Card) -> None:
    few = ready(EmbeddingGemma2, folder, frames=4)
    (long,) = scenes(10)
    kept = scene(*(long.frames[i].image for i in (0, 3, 6, 9)))
    np.testing.assert_allclose(few.encode([long])[0], card.of("frames", kept), atol=2e-5)


def test_frames_of_another_size_are_brought_to_the_first(encoders: Any) -> None:
    mixed = scene(picture(1, 48, 48), picture(2, 96, 48))
    assert np.isfinite(encoders["frames"].encode([mixed])).all()


def test_no_sound_is_dropped(folder: Path, card: Card) -> None:
    """The feature extractor cuts off at 30 seconds without a word; windows reach the end."""
    made = ready(EmbeddingGemma2Sound, folder, window=1.0)
    (clip,) = heard(2 * RATE + 100)
    parts = np.array_split(clip.samples, 3)
    rows = [card.of("sound", SoundClip(clip.span, part, RATE)) for part in parts]
    mean = np.mean(rows, axis=0)
    expected = mean / np.linalg.norm(mean)
    np.testing.assert_allclose(made.encode([clip])[0], expected, atol=2e-5)
    whole = EmbeddingGemma2Sound(checkpoint=str(folder))
    lengths = [len(w) for w in whole._windows(SoundClip(Span(0, 1), np.zeros(31 * RATE), RATE))]
    assert lengths == [248_000, 248_000]
    assert len(whole._windows(SoundClip(Span(0, 1), np.zeros(30 * RATE), RATE))) == 1
    with pytest.raises(ValueError, match=r"window must be 1\.\.30"):
        EmbeddingGemma2Sound(window=31)


@pytest.mark.parametrize("medium", DATA)
@pytest.mark.parametrize("prompt", [SAID, ASKED, ""])
def test_the_prompt_is_in_what_the_model_reads(encoders: Any, medium: str, prompt: str) -> None:
    clip = DATA[medium][1]
    part: dict[str, Any] = {
        "frames": {"frames": clip.frames} if medium == "frames" else {},
        "sound": {"sound": clip.samples} if medium == "sound" else {},
        "text": {"text": clip.text} if medium == "text" else {},
    }[medium]
    encoder = encoders[medium]
    read = encoder._inputs([_Item(prompt, **part)])["input_ids"][0]
    told = encoder.loaded.held.model[1].tokenizer.decode(read)
    after = {"frames": "<|image><|video|>", "sound": "<|audio><|audio|>", "text": "a red kettle"}
    assert told.startswith("<bos>" + prompt + after[medium])
    assert told.endswith("<eos>")


def test_queries_are_the_cards_under_their_own_prompt(
    encoders: Any, card: Card, tmp_path: Path, video: Path
) -> None:
    """And the same whichever of the three is asked: they share one space."""
    from egorag.encode.pretrained.queries import query_frames, query_sound

    frames, sound = encoders["frames"], encoders["sound"]
    cv2.imwrite(str(tmp_path / "p.png"), picture(1, 90, 60)[..., ::-1])
    clip = query_frames(video, frames.sampling)
    rows = [
        card.of("sound", SoundClip(Span(0, 1), part, RATE), ASKED)
        for part in np.array_split(query_sound(video, sound.sampling).samples, 2)
    ]
    mean = np.mean(rows, axis=0)
    expected = {
        "text": card.of("text", written("a kettle")[0], ASKED),
        "image": card.embed(text=[f"{ASKED}<|image|>"], images=[[picture(1, 90, 60)]]),
        "video": card.of("frames", clip, ASKED),
        "sound": mean / np.linalg.norm(mean),
    }
    query = Query(text="a kettle", image=tmp_path / "p.png", sound=video, video=video)
    for medium, row in expected.items():
        np.testing.assert_allclose(frames.embed_query(query, medium), row, atol=2e-5)
    for other in (sound, encoders["text"]):
        row = other.embed_query(query, "image")
        np.testing.assert_allclose(row, expected["image"], atol=2e-5)


def test_the_three_share_one_space_and_one_model(folder: Path, encoders: Any) -> None:
    spaces = {encoder.space for encoder in encoders.values()}
    assert len(spaces) == 1
    assert spaces.pop().queries == {"text", "image", "sound", "video"}
    assert len({encoder.share_key() for encoder in encoders.values()}) == 1
    assert len({encoder.fingerprint() for encoder in encoders.values()}) == 3
    assert len({id(encoder.loaded.held.model[0]) for encoder in encoders.values()}) == 1

    before = set(shared._held)
    first, second = (ready(k, folder, attention="eager") for k in KINDS[:2])
    (key,) = set(shared._held) - before
    first.close()
    assert key in shared._held and second.encode(DATA["sound"][:1]).shape == (1, tiny.WIDTH)
    second.close()
    second.close()
    assert key not in shared._held


@pytest.mark.parametrize("kind", KINDS)
def test_dimensions_are_kept_from_the_front_at_unit_length(
    folder: Path, encoders: Any, kind: Kind
) -> None:
    data, whole = DATA[kind.medium.value], encoders[kind.medium.value]
    small = ready(kind, folder, dim=8)
    rows = whole.encode(data)[:, :8]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(small.encode(data), rows, atol=2e-5)
    assert small.embed_query(Query(text="a"), "text").shape == (8,)
    assert small.space.dim == 8 and small.space != whole.space
    with pytest.raises(ConfigError, match=r"dim=25.*24 components"):
        _ = kind(checkpoint=str(folder), dim=25).space


@pytest.mark.parametrize("text", [" ", "\ud800", "<|image|> <|video|><|audio|>", "<eos>x<bos>"])
def test_any_text_is_safe(encoders: Any, text: str) -> None:
    encoder = encoders["text"]
    rows = encoder.encode(written(text, "another"))
    assert np.isfinite(rows).all() and rows.shape == (2, tiny.WIDTH)
    asked = encoder.embed_query(Query(text=text), "text")
    assert np.isfinite(asked).all()
    read = encoder._inputs([_Item(SAID, text=text)])["input_ids"][0].tolist()
    assert read[0] == 2 and read[-1] == 1
    assert max(read) < 259 and read.count(1) == read.count(2) == 1


def test_a_long_text_keeps_its_beginning_and_its_end_mark(encoders: Any) -> None:
    read = encoders["text"]._inputs([_Item(SAID, text="long " * 4000)])["input_ids"][0].tolist()
    short = encoders["text"]._inputs([_Item(SAID, text="long " * 40)])["input_ids"][0].tolist()
    assert len(read) == 8192 and read[:200] == short[:200]
    assert read[0] == 2 and read[-1] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_is_an_encoder(encoders: Any, kind: Kind) -> None:
    encoder = encoders[kind.medium.value]
    assert isinstance(encoder, Encoder) and isinstance(encoder, QueryEncoder)
    assert encoder.encode([]).shape == (0, tiny.WIDTH)
    told = encoder.describe()
    assert SAID in told and ASKED in told and str(tiny.WIDTH) in told
    nothing = Available(frames=False, sound=False, subtitles=False, text=False)
    assert encoder.skip_reason(nothing)


def test_a_strip_of_a_picture_is_read(encoders: Any, tmp_path: Path) -> None:
    for size in ((1, 700), (700, 1), (3, 3)):
        cv2.imwrite(str(tmp_path / "p.png"), picture(1, *size))
        row = encoders["frames"].embed_query(Query(image=tmp_path / "p.png"), "image")
        assert np.isfinite(row).all()
        assert np.isfinite(encoders["frames"].encode([scene(picture(1, *size))])).all()


def test_what_the_decoder_must_deliver(encoders: Any) -> None:
    assert encoders["frames"].sampling.rate == 1.0
    # 70 tokens of 3 x 3 patches of 4 x 4 pixels, at 2:1.
    assert encoders["frames"].sampling.longest == round((70 * 144 * 2) ** 0.5)
    assert encoders["sound"].sampling.rate == RATE
    assert encoders["text"].sampling is None
    assert [kind.medium for kind in KINDS] == [Medium.FRAMES, Medium.SOUND, Medium.TEXT]


def test_a_text_only_checkpoint_takes_only_text(tmp_path: Path) -> None:
    alone = tiny.make(tmp_path / "alone", media=False)
    text = ready(EmbeddingGemma2Text, alone)
    assert text.space.queries == {"text"}
    assert text.encode(written("a")).shape == (1, tiny.WIDTH)
    with pytest.raises(SpaceError, match="image"):
        text.embed_query(Query(image=tmp_path / "p.png"), "image")
    for kind, needed in ((EmbeddingGemma2, "video"), (EmbeddingGemma2Sound, "sound")):
        with pytest.raises(ConfigError, match=f"no tower for {needed}"):
            kind(checkpoint=str(alone)).setup()


def test_wrong_queries_are_refused(encoders: Any) -> None:
    with pytest.raises(SpaceError, match="smell"):
        encoders["frames"].embed_query(Query(text="a"), "smell")
    with pytest.raises(SpaceError, match="image"):
        encoders["frames"].embed_query(Query(text="a"), "image")


@pytest.mark.parametrize(
    "wrong", [{"rate": 0}, {"frames": 0}, {"window": 0.5}, {"dim": 0}, {"dtype": "float16"}]
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong)) if "dtype" not in wrong else "float16"):
        EmbeddingGemma2(**wrong)


@pytest.mark.parametrize("part", ["language_model.norm", "vision_tower", "embed_audio"])
def test_missing_weights_are_refused_by_name(folder: Path, tmp_path: Path, part: str) -> None:
    damaged = shutil.copytree(folder, tmp_path / "damaged")
    name = without(damaged, part)
    with pytest.raises(MismatchError, match=name.replace(".", r"\.")):
        EmbeddingGemma2Text(checkpoint=str(damaged)).setup()


def test_a_checkpoint_without_template_or_weights_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = shutil.copytree(folder, tmp_path / "bare")
    (bare / "chat_template.jinja").unlink()
    with pytest.raises(ConfigError, match="chat template"):
        EmbeddingGemma2(checkpoint=str(bare)).setup()
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingWeightsError) as missing:
        EmbeddingGemma2(checkpoint="google/embeddinggemma-3").source()
    assert missing.value.mend == "hf download google/embeddinggemma-3"


@pytest.mark.parametrize(
    "preset", ["embeddinggemma2", "embeddinggemma2_sound", "embeddinggemma2_text"]
)
def test_the_full_size_has_the_published_width_and_parameters(preset: str) -> None:
    published = EmbeddingGemma2.published[PUBLISHED]
    config = transformers.AutoConfig.from_pretrained(FULL_SIZE / preset)
    with torch.device("meta"):
        model = transformers.EmbeddingGemma2Model(config)
    assert sum(p.numel() for p in model.parameters()) == published.parameters
    told = json.loads((FULL_SIZE / preset / "config.json").read_text())
    assert told["text_config"]["embedding_dim"] == published.dim == 768
    assert model.language_model.embedding_projection.out_features == published.dim
