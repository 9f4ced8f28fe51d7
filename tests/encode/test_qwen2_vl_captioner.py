"""Qwen2-VL's captions against the model card's loop, one clip at a time."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("torchvision")

from checkpoints import qwen2_vl as tiny
from checkpoints import scenes as made

from egorag.encode.base import Encoder, FrameClip
from egorag.encode.pretrained.checkpoint import MissingWeightsError
from egorag.encode.qwen2_vl_captioner import Qwen2VLCaptioner
from egorag.encode.qwen2_vl_model import PUBLISHED
from egorag.errors import ConfigError, EgoragError, MediaError

SMALL = {"max_pixels": 128 * 28 * 28, "max_frames": 6}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write(tmp_path_factory.mktemp("qwen2_vl"))


@pytest.fixture(scope="module")
def captioner(folder: Path) -> Iterator[Qwen2VLCaptioner]:
    ready = Qwen2VLCaptioner(checkpoint=str(folder), max_new_tokens=16, **SMALL)
    ready.setup()
    yield ready
    ready.close()


@pytest.fixture
def clips() -> list[FrameClip]:
    """Of other lengths and shapes, so that their prompts differ in length."""
    return [
        *made.scenes(1, 4, 9, width=336, height=280),
        *made.scenes(3, width=168, height=560),
        *made.scenes(2, width=448, height=224),
    ]


def texts(captioner: Qwen2VLCaptioner, clips: list[FrameClip]) -> list[str]:
    return [text.text for found in captioner.encode(clips) for text in found]


def card(folder: Path, clip: FrameClip, **how: Any) -> str:
    """What a user would write, for a clip whose frames need no change of size."""
    processor = transformers.AutoProcessor.from_pretrained(folder)
    model = transformers.Qwen2VLForConditionalGeneration.from_pretrained(folder).eval()
    images = [frame.image for frame in clip.frames]
    images += images[-1:] * (len(images) % 2)
    content = [{"type": "video"}, {"type": "text", "text": "Describe this scene briefly."}]
    prompt = processor.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    inputs = processor(
        text=[prompt],
        videos=[torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)],
        videos_kwargs={"do_resize": False},
        return_tensors="pt",
    )
    told = model.generate(**inputs, max_new_tokens=16, **how)
    (answer,) = processor.batch_decode(
        told[:, inputs.input_ids.shape[1] :], skip_special_tokens=True
    )
    return str(answer)


@pytest.mark.parametrize("dim", [24, 32], ids=["tied as the 2B", "untied as the 7B"])
def test_captions_are_those_of_the_model_card(tmp_path: Path, dim: int) -> None:
    folder = tiny.write(tmp_path / "tiny", dim=dim)
    captioner = Qwen2VLCaptioner(checkpoint=str(folder), max_new_tokens=16, **SMALL)
    captioner.setup()
    fitting = made.scenes(1, 4, 5, width=448, height=224)
    found = captioner.encode(fitting)
    captioner.close()
    for clip, (caption,) in zip(fitting, found, strict=True):
        assert caption.text == card(folder, clip, do_sample=False)
        assert caption.span == clip.span
        assert caption.track == "caption"
        assert caption.source == "tiny (generated)"
    assert len({caption.text for (caption,) in found}) > 1


def test_the_likeliest_token_is_taken_although_the_checkpoint_samples(
    folder: Path, captioner: Qwen2VLCaptioner
) -> None:
    clip = made.scenes(2, width=448, height=224)[0]
    own = transformers.GenerationConfig.from_pretrained(folder)
    assert own.do_sample
    assert own.temperature == 5
    sampled = set()
    for seed in range(3):
        torch.manual_seed(seed)
        sampled.add(card(folder, clip))
        assert len(set(texts(captioner, [clip] * 2))) == 1
    assert len(sampled) > 1
    used = captioner.loaded.held.model.whole.generation_config
    assert (used.do_sample, used.temperature, used.top_k, used.top_p) == (False, None, None, None)
    assert used.eos_token_id == own.eos_token_id


@pytest.mark.parametrize("batch", [2, 5])
def test_captions_do_not_depend_on_the_batch(
    captioner: Qwen2VLCaptioner, clips: list[FrameClip], batch: int
) -> None:
    other = dataclasses.replace(captioner, batch=batch)
    other.setup()
    assert other.encode(clips) == captioner.encode(clips)
    assert other.encode(clips[::-1]) == captioner.encode(clips)[::-1]
    other.close()


def test_the_same_twice_also_after_closing(folder: Path, clips: list[FrameClip]) -> None:
    captioner = Qwen2VLCaptioner(checkpoint=str(folder), max_new_tokens=6, **SMALL)
    with pytest.raises(EgoragError, match="setup"):
        captioner.encode(clips)
    captioner.setup()
    first = captioner.encode(clips)
    assert captioner.encode(clips) == first
    captioner.close()
    captioner.setup()
    assert captioner.encode(clips) == first
    captioner.close()


def test_a_caption_has_at_most_so_many_tokens(
    captioner: Qwen2VLCaptioner, clips: list[FrameClip]
) -> None:
    """A token is a letter here."""
    short = dataclasses.replace(captioner, max_new_tokens=3)
    short.setup()
    whole = texts(captioner, clips)
    assert texts(short, clips) == [text[:3] for text in whole]
    assert max(map(len, whole)) == captioner.max_new_tokens
    short.close()


def test_an_empty_answer_gives_no_text_and_an_odd_one_is_cleaned(
    captioner: Qwen2VLCaptioner, clips: list[FrameClip], monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = captioner.loaded.processor.tokenizer
    answers = iter(["", "<|im_end|>", " A\x00 dog\x1b[31m runs.\n<|im_end|>", "\u202e \n"])

    def answer(input_ids: Any, **_: Any) -> Any:
        told = tokenizer(next(answers), return_tensors="pt")["input_ids"].long()
        return torch.cat([input_ids, told], dim=1)

    monkeypatch.setattr(captioner.loaded.held.model.whole, "generate", answer)
    found = captioner.encode(clips[:4])
    assert [[text.text for text in texts] for texts in found] == [[], [], ["A dog [31m runs."], []]


def test_no_scenes_give_no_captions(captioner: Qwen2VLCaptioner) -> None:
    assert captioner.encode([]) == []


def test_frames_of_impossible_shape_are_refused_by_size(captioner: Qwen2VLCaptioner) -> None:
    with pytest.raises(MediaError, match="4 x 1000"):
        captioner.encode([made.scene(np.zeros((1000, 4, 3), np.uint8))])


def test_is_an_encoder_that_says_what_it_does(captioner: Qwen2VLCaptioner) -> None:
    assert isinstance(captioner, Encoder)
    assert captioner.space is None
    assert "16 tokens to 'Describe this scene briefly.', one caption a scene" in (
        captioner.describe()
    )
    for change in ({"prompt": "What is it?"}, {"max_new_tokens": 4}, {"rate": 1}):
        assert dataclasses.replace(captioner, **change).fingerprint() != captioner.fingerprint()
    for setting, wrong in (
        ("prompt", " "),
        ("prompt", "<|video_pad|>"),
        ("max_new_tokens", 0),
        ("max_frames", 3),
    ):
        with pytest.raises(ValueError, match=setting):
            dataclasses.replace(captioner, **{setting: wrong})
    assert Qwen2VLCaptioner().max_new_tokens == 64
    assert all(known.dim is None for known in Qwen2VLCaptioner.published.values())


def test_a_checkpoint_without_a_chat_template_or_tokenizer_is_refused(
    folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    captioner = Qwen2VLCaptioner(checkpoint=str(tmp_path))
    template = tmp_path / "chat_template.json"
    template.write_text(json.dumps({"chat_template": "{{ 'Hello' }}"}))
    with pytest.raises(ConfigError, match="no place for a video"):
        captioner.setup()
    template.unlink()
    with pytest.raises(ConfigError, match="cannot be asked"):
        captioner.setup()
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(ConfigError, match="Qwen2VLProcessor"):
        captioner.setup()
    (tmp_path / "tokenizer.json").unlink()  # transformers makes an empty tokenizer of it
    with pytest.raises(ConfigError, match="has no tokenizer"):
        captioner.setup()


def test_weights_that_are_not_here_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    for name in PUBLISHED:
        with pytest.raises(MissingWeightsError) as told:
            Qwen2VLCaptioner(checkpoint=name, dtype="float32").setup()
        assert f"hf download {name}" in told.value.mend
