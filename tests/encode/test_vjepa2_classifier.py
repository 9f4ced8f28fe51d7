"""V-JEPA 2's heads against the model card's loop, on a tiny checkpoint of the real classes."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from checkpoints import vjepa2 as headless
from checkpoints import vjepa2_classifier as tiny

from egorag.encode.base import Encoder, FrameClip
from egorag.encode.pretrained.checkpoint import MissingWeightsError
from egorag.encode.pretrained.loading import MismatchError
from egorag.encode.vjepa2_classifier import VJEPA2Classifier, readable
from egorag.errors import ConfigError, EgoragError
from egorag.media.sampling import Frame
from egorag.spans import Span

FULL_SIZE = Path(__file__).parents[2] / "benchmarks" / "full_size"
PUBLISHED = {
    "vjepa2_ssv2": ("facebook/vjepa2-vitl-fpc16-256-ssv2", 174, 16),
    "vjepa2_ssv2_quality": ("facebook/vjepa2-vitg-fpc64-384-ssv2", 174, 64),
    "vjepa2_diving48": ("facebook/vjepa2-vitl-fpc32-256-diving48", 48, 32),
    "vjepa2_diving48_quality": ("facebook/vjepa2-vitg-fpc32-384-diving48", 48, 32),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write(tmp_path_factory.mktemp("classifier"))


def made(folder: Path, **settings: object) -> VJEPA2Classifier:
    every = {"checkpoint": str(folder), "frames": 8, "top": 5, "threshold": 0.0, **settings}
    encoder = VJEPA2Classifier(**every)  # type: ignore[arg-type]
    encoder.setup()
    return encoder


@pytest.fixture(scope="module")
def encoder(folder: Path) -> VJEPA2Classifier:
    return made(folder)


def scene(count: int, seed: int = 0, start: int = 1_000_000) -> FrameClip:
    dice = np.random.default_rng(seed)
    blocks = dice.integers(0, 256, (count, 4, 4, 3), np.uint8)
    images = [np.kron(b, np.ones((9, 16, 1), np.uint8)) for b in blocks]
    step = 250_000
    frames = tuple(
        Frame(start + i * step, start + i * step, i, image) for i, image in enumerate(images)
    )
    return FrameClip(Span(start, start + count * step), frames)


def card(folder: Path, clip: FrameClip, chosen: list[int]) -> dict[str, float]:
    """The model card's loop over one clip: scores by label."""
    processor = transformers.AutoVideoProcessor.from_pretrained(folder)
    model = transformers.AutoModelForVideoClassification.from_pretrained(folder).eval()
    video = np.stack([clip.frames[i].image for i in chosen])
    with torch.no_grad():
        logits = model(**processor(video, return_tensors="pt")).logits
    scores = torch.softmax(logits, -1)[0].tolist()
    return {readable(model.config.id2label[i]): score for i, score in enumerate(scores)}


@pytest.mark.parametrize(
    ("count", "clips"),
    [
        (8, [range(8)]),
        (16, [range(8), range(8, 16)]),
        (13, [range(6), range(6, 13)]),
        (3, [[0, 0, 0, 1, 1, 1, 2, 2]]),
        (1, [[0] * 8]),
    ],
)
def test_scores_are_the_model_cards_clip_by_clip(
    encoder: VJEPA2Classifier, folder: Path, count: int, clips: list[list[int]]
) -> None:
    """Long scenes as clips that leave no frame out; short ones lengthened evenly."""
    shown = scene(count)
    texts = encoder.encode([shown])[0]
    assert len(texts) == len(clips) * len(tiny.LABELS)
    for number, chosen in enumerate(clips):
        seen = list(chosen)
        spread = [seen[i * len(seen) // 8] for i in range(8)]
        expected = card(folder, shown, spread)
        told = texts[number * 5 : number * 5 + 5]
        assert {t.text: t.confidence for t in told} == pytest.approx(expected, abs=2e-4)
        assert [t.confidence for t in told] == sorted((t.confidence for t in told), reverse=True)
        assert told[0].span.start == (shown.frames[seen[0]].time)
    assert texts[-1].span.end == shown.span.end
    assert {(t.track, t.source) for t in texts} == {("action", "V-JEPA 2")}


def test_the_clips_of_a_scene_tile_it_and_a_changed_frame_is_heard(
    encoder: VJEPA2Classifier,
) -> None:
    shown = scene(29)
    spans = list(dict.fromkeys(t.span for t in encoder.encode([shown])[0]))
    assert spans[0].start == shown.span.start and spans[-1].end == shown.span.end
    assert all(a.end == b.start for a, b in pairwise(spans))
    before = encoder.encode([shown])[0]
    for changed in (0, 7, 28):
        frames = list(shown.frames)
        old = frames[changed]
        frames[changed] = Frame(old.time, old.time, changed, 255 - old.image)
        after = encoder.encode([FrameClip(shown.span, tuple(frames))])[0]
        differ = {a.span for a, b in zip(before, after, strict=True) if a != b}
        assert differ and all(old.time in span for span in differ)


def test_top_and_threshold_say_what_is_told(folder: Path, encoder: VJEPA2Classifier) -> None:
    shown = scene(8)
    every = encoder.encode([shown])[0]
    assert made(folder, top=2).encode([shown])[0] == every[:2]
    least = every[2].confidence
    assert least is not None
    assert made(folder, threshold=least - 1e-4).encode([shown])[0] == every[:3]
    assert made(folder, threshold=1.0).encode([shown]) == [[]]
    assert sum(t.confidence or 0 for t in every) == pytest.approx(1, abs=1e-3)


def test_neither_the_batch_nor_loading_again_changes_scores(
    folder: Path, encoder: VJEPA2Classifier
) -> None:
    scenes = [scene(n, seed=n) for n in (1, 8, 3, 30, 9)]
    expected = [encoder.encode([s])[0] for s in scenes]
    for batch in (1, 3):
        other = made(folder, batch=batch)
        for _ in range(2):
            other.setup()
            for mine, theirs in zip(other.encode(scenes), expected, strict=True):
                assert [t.span for t in mine] == [t.span for t in theirs]
                scores = {(t.span, t.text): t.confidence for t in theirs}
                assert {(t.span, t.text): t.confidence for t in mine} == pytest.approx(
                    scores, abs=1.1e-4
                )
            other.close()
    assert encoder.encode(scenes) == encoder.encode(scenes)
    assert encoder.encode([]) == []


def test_is_an_encoder_of_timed_text_and_tells_what_it_does(
    encoder: VJEPA2Classifier, folder: Path
) -> None:
    assert isinstance(encoder, Encoder)
    assert encoder.space is None
    told = encoder.describe()
    assert "head of 5 labels" in told and "8 frames at 3 a second" in told
    assert encoder.labels()[2] == "Inward, 35som, NoTwis, TUCK"
    assert made(folder, top=1).fingerprint() != encoder.fingerprint()


# -- what it refuses --


@pytest.mark.parametrize("part", ["pooler.query_tokens", "classifier.weight", "vjepa2.encoder"])
def test_a_head_without_a_tensor_is_refused_by_its_name(tmp_path: Path, part: str) -> None:
    """transformers would fill it with random numbers, and it would answer."""
    from safetensors.torch import load_file, save_file

    weights = tiny.write(tmp_path) / "model.safetensors"
    tensors = load_file(weights)
    dropped = next(name for name in tensors if name.startswith(part))
    del tensors[dropped]
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(MismatchError) as refused:
        made(tmp_path)
    assert dropped in str(refused.value)


def test_a_head_of_another_number_of_labels_is_refused(tmp_path: Path) -> None:
    path = tiny.write(tmp_path) / "config.json"
    config = json.loads(path.read_text())
    config["id2label"] = {str(i): f"label {i}" for i in range(7)}
    config["label2id"] = {f"label {i}": i for i in range(7)}
    path.write_text(json.dumps(config))
    with pytest.raises(MismatchError, match="classifier"):
        made(tmp_path)


def test_a_model_without_a_head_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no classification head"):
        made(headless.write(tmp_path))


def test_a_number_of_frames_the_head_was_not_trained_on_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="clips of 8 frames"):
        made(folder, frames=16)


@pytest.mark.parametrize(
    ("setting", "said"),
    [({"top": 0}, "top"), ({"threshold": 1.1}, "threshold"), ({"frames": 7}, "even")],
)
def test_settings_that_make_no_sense_are_refused(setting: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        VJEPA2Classifier(**setting)  # type: ignore[arg-type]


def test_without_weights_the_command_that_brings_them_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingWeightsError) as missing:
        VJEPA2Classifier().setup()
    assert missing.value.mend == "hf download facebook/vjepa2-vitl-fpc16-256-ssv2"


def test_it_is_set_up_before_use(folder: Path) -> None:
    with pytest.raises(EgoragError, match="setup"):
        VJEPA2Classifier(checkpoint=str(folder), frames=8).encode([scene(2)])


@pytest.mark.parametrize("preset", PUBLISHED)
def test_the_full_size_architecture_is_as_published(preset: str) -> None:
    """Configs as huggingface/transformers' ``convert_vjepa2_classifier_to_hf.py`` gives them."""
    name, labels, frames = PUBLISHED[preset]
    config = transformers.VJEPA2Config.from_pretrained(FULL_SIZE / preset)
    with torch.device("meta"):
        model = transformers.VJEPA2ForVideoClassification(config)
    assert model.num_parameters() == pytest.approx(
        VJEPA2Classifier.published[name].parameters, rel=0.001
    )
    assert model.classifier.out_features == labels
    assert len(model.pooler.self_attention_layers) == 3
    assert config.frames_per_clip == frames
