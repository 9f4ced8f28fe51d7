"""BLIP against the plain loop of its model card, one picture at a time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from checkpoints import blip as tiny
from checkpoints import scenes as made

from egorag.encode.base import Available, Encoder, QueryEncoder
from egorag.encode.blip import BLIP
from egorag.encode.captions import combine
from egorag.encode.keyframes import keyframes
from egorag.encode.pretrained.checkpoint import MissingWeightsError
from egorag.encode.pretrained.loading import MismatchError
from egorag.errors import ConfigError, EgoragError
from egorag.media.sampling import FrameSampling

FULL_SIZE = Path(__file__).parents[2] / "benchmarks" / "full_size" / "blip"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("blip"))


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """To be damaged."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Iterator[BLIP]:
    ready = loaded(folder)
    yield ready
    ready.close()


def loaded(folder: Path, **settings: Any) -> BLIP:
    ready = BLIP(checkpoint=str(folder), **settings)
    ready.setup()
    return ready


def card(folder: Path, images: Sequence[made.Image], **how: Any) -> list[str]:
    """What a user would write: picture by picture."""
    processor = transformers.AutoProcessor.from_pretrained(folder)
    model = transformers.BlipForConditionalGeneration.from_pretrained(folder).eval()
    how = {"num_beams": 3, "max_new_tokens": 30, "no_repeat_ngram_size": 3, **how}
    captions = []
    for image in images:
        inputs = processor(images=image, return_tensors="pt")
        out = model.generate(**inputs, do_sample=False, **how)
        captions.append(processor.decode(out[0], skip_special_tokens=True))
    return captions


def told(encoder: BLIP, *lengths: int) -> list[str]:
    texts = encoder.encode(made.scenes(*lengths))
    assert all(len(text) <= 1 for text in texts)
    return [text[0].text if text else "" for text in texts]


def test_captions_are_those_of_the_model_card(folder: Path, encoder: BLIP) -> None:
    clips = made.scenes(1, 1, 4, 13)
    texts = encoder.encode(clips)
    for clip, text in zip(clips, texts, strict=True):
        images = [frame.image for frame in keyframes(clip.frames, 5)]
        assert [t.text for t in text] == [combine(card(folder, images))]
        assert text[0].span == clip.span
        assert (text[0].track, text[0].source) == ("caption", "BLIP (generated caption)")
    assert len({text[0].text for text in texts}) == len(texts)  # the pictures matter


def test_greedy_and_shorter_captions(folder: Path) -> None:
    clip = made.scenes(1)[0]
    encoder = loaded(folder, beams=1, tokens=4)
    expected = card(folder, [clip.frames[0].image], num_beams=1, max_new_tokens=4)
    assert encoder.encode([clip])[0][0].text == combine(expected)


@pytest.mark.parametrize("batch", [1, 3])
def test_captions_do_not_depend_on_the_batch(folder: Path, encoder: BLIP, batch: int) -> None:
    """Float32, where a caption that ends early is padded beside longer ones."""
    lengths = (1, 7, 2)
    assert told(loaded(folder, batch=batch), *lengths) == told(encoder, *lengths)
    alone = [encoder.encode([clip]) for clip in made.scenes(*lengths)]
    assert alone == [[texts] for texts in encoder.encode(made.scenes(*lengths))]


def test_the_same_twice_also_after_closing(folder: Path) -> None:
    encoder = BLIP(checkpoint=str(folder))
    with pytest.raises(EgoragError, match="setup"):
        encoder.encode(made.scenes(1))
    encoder.setup()
    first = told(encoder, 3, 2)
    assert told(encoder, 3, 2) == first
    encoder.close()
    encoder.setup()
    assert told(encoder, 3, 2) == first


def test_a_still_or_short_scene_has_one_sentence(encoder: BLIP) -> None:
    image = made.picture(7)
    still, single = encoder.encode([made.scene(*[image] * 30), made.scene(image)])
    assert still[0].text == single[0].text
    assert single[0].text.count(".") == 1
    assert encoder.encode([]) == []


def test_no_three_tokens_come_twice(encoder: BLIP, monkeypatch: pytest.MonkeyPatch) -> None:
    """BLIP's loops ("a dog and a dog and a dog"): these weights make them when left alone."""
    seen: list[list[int]] = []
    generate = encoder.loaded.model.generate

    def look(*arguments: Any, **how: Any) -> Any:
        tokens = generate(*arguments, **how)
        seen.extend(tokens.tolist())
        return tokens

    def loops() -> int:
        triples = [[t for t in zip(s, s[1:], s[2:], strict=False) if any(t)] for s in seen]
        return sum(len(t) > len(set(t)) for t in triples)  # zeros are padding

    monkeypatch.setattr(encoder.loaded.model, "generate", look)
    encoder.encode(made.scenes(3, 3))
    assert seen and loops() == 0
    seen.clear()
    ids = encoder.loaded.processor(images=made.picture(3), return_tensors="pt")
    look(**ids, num_beams=3, max_new_tokens=30)
    assert loops() == 1


def test_nothing_to_say_is_no_text(encoder: BLIP, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BLIP, "_run", lambda self, frames: ["  "] * len(frames))
    assert encoder.encode(made.scenes(2, 1)) == [[], []]


def test_settings_that_old_configs_carry_change_nothing(copy: Path, encoder: BLIP) -> None:
    """The published ones hold generation settings and position ids of an older transformers."""
    config = json.loads((copy / "config.json").read_text())
    config["text_config"] |= {"max_length": 3, "do_sample": True, "num_beams": 2, "min_length": 9}
    (copy / "config.json").write_text(json.dumps(config))
    from safetensors.torch import load_file, save_file

    tensors = load_file(copy / "model.safetensors")
    tensors["text_decoder.bert.embeddings.position_ids"] = torch.arange(64)[None]
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    assert told(loaded(copy), 1, 5) == told(encoder, 1, 5)


@pytest.mark.parametrize("part", ["crossattention.self.key.weight", "vision_model.post_layernorm"])
def test_missing_weights_are_refused_by_name(copy: Path, part: str) -> None:
    gone = made.without(copy, part)
    with pytest.raises(MismatchError, match=gone.replace(".", r"\.")):
        loaded(copy)


def test_another_kind_of_model_is_refused(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "model_type": "blip-2"}))
    with pytest.raises(ConfigError, match="is a 'blip-2'; give a BLIP captioning checkpoint"):
        _ = BLIP(checkpoint=str(copy)).sampling


def test_is_an_encoder_of_timed_text(encoder: BLIP) -> None:
    assert isinstance(encoder, Encoder)
    assert not isinstance(encoder, QueryEncoder)
    assert encoder.space is None
    assert encoder.sampling == FrameSampling(1.0, size=(tiny.SIZE, tiny.SIZE))
    assert encoder.fingerprint() != BLIP(checkpoint=encoder.checkpoint, beams=1).fingerprint()
    sound_only = Available(frames=False, sound=True, subtitles=True, text=True)
    assert encoder.skip_reason(sound_only) == "no picture"
    assert "at most 5 spread over its time" in encoder.describe()


@pytest.mark.parametrize(
    "wrong", [{"keyframes": 0}, {"keyframes": 6}, {"beams": 0}, {"tokens": 0}, {"rate": 0}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        BLIP(**wrong)


def test_weights_that_are_not_here_name_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingWeightsError) as missing:
        BLIP().setup()
    assert missing.value.mend == "hf download Salesforce/blip-image-captioning-base"


@pytest.mark.parametrize("size", ["base", "large"])
def test_the_full_size_is_as_published(size: str) -> None:
    """The large one is the base with ViT-L, as the paper has it."""
    vit_l = {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
    }
    stated = json.loads((FULL_SIZE / "config.json").read_text())
    if size == "large":
        stated["vision_config"] |= vit_l
    with torch.device("meta"):
        model = transformers.BlipForConditionalGeneration(transformers.BlipConfig(**stated))
    published = BLIP.published[f"Salesforce/blip-image-captioning-{size}"]
    assert model.num_parameters() == pytest.approx(published.parameters, rel=0.03)
    assert published.dim is None
    assert model.config.vision_config.image_size == 384
    assert model.config.text_config.num_attention_heads == 12
