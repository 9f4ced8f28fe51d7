"""Tiny language models that are asked: Llama, Qwen2, Qwen3, Qwen2-VL, Qwen3-VL; real classes.

Their weights are random, or made so that the model says what a test scripts: each token decides
the next one alone, with the probabilities given.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SEES = ("qwen2_vl", "qwen3_vl")
READS = ("llama", "qwen2", "qwen3")
WIDTH = 320  # more than there are tokens
SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)

TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<|im_start|>' + message.role + '\n' }}"
    "{%- if message.content is string -%}{{ message.content }}"
    "{%- else -%}{%- for part in message.content -%}"
    "{%- if part.type == 'image' -%}{{ '<|vision_start|><|image_pad|><|vision_end|>' }}"
    "{%- else -%}{{ part.text }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{{ '<|im_end|>\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
)
"""As Qwen's own, for contents that are texts and for lists of parts."""

Script = Mapping[str, Mapping[str, float]]
"""By token its followers with their probabilities; the first token follows the template's last
line feed, and ``<|im_end|>`` ends the reply."""


def saying(*pieces: str | Mapping[str, float]) -> dict[str, dict[str, float]]:
    """The script of a reply made of these tokens in turn; several with probabilities may stand at
    one place."""
    script: dict[str, dict[str, float]] = {}
    before: Sequence[str] = ["\n"]
    for piece in [*pieces, "<|im_end|>"]:
        here = {piece: 1.0} if isinstance(piece, str) else dict(piece)
        script |= dict.fromkeys(before, here)
        before = list(here)
    return script


def make(
    folder: Path,
    kind: str,
    script: Script | None = None,
    *,
    context: int = 32768,
    template: str | None = TEMPLATE,
    seed: int = 0,
) -> Path:
    """Write a checkpoint of one of ``SEES`` and ``READS``."""
    import torch
    import transformers as hf

    folder.mkdir(parents=True, exist_ok=True)
    said = {t for pair in (script or {}).items() for t in (pair[0], *pair[1])} - {"\n", *SPECIAL}
    tokenizer = _tokenizer(sorted(said), template)
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL}
    torch.manual_seed(seed)
    config = _config(kind, len(tokenizer), context, ids)
    architecture = {
        "llama": hf.LlamaForCausalLM,
        "qwen2": hf.Qwen2ForCausalLM,
        "qwen3": hf.Qwen3ForCausalLM,
        "qwen2_vl": hf.Qwen2VLForConditionalGeneration,
        "qwen3_vl": hf.Qwen3VLForConditionalGeneration,
    }[kind]
    model = architecture(config)
    if script is not None:
        _teach(model, tokenizer, script)
    # As the published ones, which sample.
    model.generation_config = hf.GenerationConfig(
        do_sample=True,
        temperature=5.0,
        top_k=50,
        repetition_penalty=1.5,
        eos_token_id=[ids["<|im_end|>"], ids["<|endoftext|>"]],
        pad_token_id=ids["<|endoftext|>"],
    )
    model.save_pretrained(folder)
    if kind in READS:
        tokenizer.save_pretrained(folder)
    else:
        _processor(kind, tokenizer, template).save_pretrained(folder)
    return folder


def _tokenizer(said: Sequence[str], template: str | None) -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=SPECIAL[0],
        eos_token="<|im_end|>",
        additional_special_tokens=list(SPECIAL[1:]),
        chat_template=template,
    )
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in said])
    return tokenizer


def _config(kind: str, vocabulary: int, context: int, ids: Mapping[str, int]) -> Any:
    import transformers as hf

    text: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": WIDTH,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 10,
        "num_key_value_heads": 2,
        "max_position_embeddings": context,
        "initializer_range": 0.2,
        "tie_word_embeddings": False,
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
    }
    if kind in READS:
        made = {"llama": hf.LlamaConfig, "qwen2": hf.Qwen2Config, "qwen3": hf.Qwen3Config}[kind]
        return made(**text, head_dim=32) if kind != "qwen2" else made(**text)
    marks = {
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
        "tie_word_embeddings": False,
    }
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [8, 4, 4]}
    if kind == "qwen2_vl":
        vision = {"depth": 1, "embed_dim": 16, "num_heads": 2, "hidden_size": WIDTH, "mlp_ratio": 2}
        text = {**text, "rope_parameters": rope}
        return hf.Qwen2VLConfig(text_config=text, vision_config=vision, **marks)
    text = {**text, "head_dim": 32, "rope_parameters": {**rope, "mrope_interleaved": True}}
    vision = {
        "depth": 1,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_heads": 2,
        "patch_size": 4,
        "out_hidden_size": WIDTH,
        "num_position_embeddings": 16,
        "deepstack_visual_indexes": [0],
    }
    return hf.Qwen3VLConfig(text_config=text, vision_config=vision, **marks)


def _processor(kind: str, tokenizer: Any, template: str | None) -> Any:
    import transformers as hf

    if kind == "qwen2_vl":
        images: Any = hf.Qwen2VLImageProcessor(min_pixels=28 * 28, max_pixels=56 * 56)
        videos: Any = hf.Qwen2VLVideoProcessor()
        return hf.Qwen2VLProcessor(images, tokenizer, videos, chat_template=template)
    size = {"shortest_edge": 64, "longest_edge": 32 * 32}
    images = hf.Qwen2VLImageProcessor(patch_size=4, size=size)
    videos = hf.Qwen3VLVideoProcessor(patch_size=4, size=size)
    return hf.Qwen3VLProcessor(images, tokenizer, videos, chat_template=template)


def _teach(model: Any, tokenizer: Any, script: Script) -> None:
    """Each token is a direction of its own, layers add nothing, the head reads the next token."""
    import torch

    number = {t: tokenizer(t, add_special_tokens=False)["input_ids"] for t in script}
    assert all(len(n) == 1 for n in number.values()), "a piece that is no token"
    embedding, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    assert embedding.shape[0] <= WIDTH
    with torch.no_grad():
        embedding.copy_(torch.eye(*embedding.shape))
        for name, tensor in model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                tensor.zero_()
        head.fill_(0)
        for token, followers in script.items():
            (before,) = number[token]
            head[:, before] = -30.0 / math.sqrt(WIDTH)
            for follower, probability in followers.items():
                after = tokenizer.convert_tokens_to_ids(follower)
                head[after, before] = math.log(probability) / math.sqrt(WIDTH)


def reply(*sentences: tuple[str, list[dict[str, Any]]], **more: Any) -> str:
    """A reply's JSON; more comes after the sentences."""
    told = [{"text": text, "citations": cited} for text, cited in sentences]
    return json.dumps({"answerable": True, "sentences": told, **more})
