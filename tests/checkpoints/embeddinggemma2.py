"""Tiny EmbeddingGemma 2 checkpoints: real classes, 24-d, two text layers, seeded weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

WIDTH = 24

# As the published one: no roles, media where they stand, then the text.
TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message.content is string -%}{{ message.content }}{%- else -%}"
    "{%- for part in message.content -%}"
    "{%- if part.type == 'text' -%}{{ part.text }}{%- else -%}{{ '<|' + part.type + '|>' }}"
    "{%- endif -%}{%- endfor -%}{%- endif -%}{%- endfor -%}"
)

TOKENS = {
    "image_token": "<|image|>",
    "video_token": "<|video|>",
    "audio_token": "<|audio|>",
    "boi_token": "<|image>",
    "eoi_token": "<image|>",
    "boa_token": "<|audio>",
    "eoa_token": "<audio|>",
}


def make(folder: Path, seed: int = 0, media: bool = True) -> Path:
    """Write a checkpoint as ``save_pretrained`` does; without ``media``, the text model alone."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import (
        EmbeddingGemma2Config,
        EmbeddingGemma2Model,
        EmbeddingGemma2Processor,
        EmbeddingGemma2VideoProcessor,
        Gemma4AudioFeatureExtractor,
        Gemma4ImageProcessor,
        PreTrainedTokenizerFast,
    )

    alphabet = ["<pad>", "<eos>", "<bos>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    backend = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>", special_tokens=[("<bos>", 2), ("<eos>", 1)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        extra_special_tokens=TOKENS,
        chat_template=TEMPLATE,
        padding_side="right",
    )
    ids = {name: tokenizer.convert_tokens_to_ids(token) for name, token in TOKENS.items()}
    vision = {
        "model_type": "gemma4_vision",
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "patch_size": 4,
        "position_embedding_size": 256,
    }
    audio = {
        "model_type": "gemma4_audio",
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "output_proj_dims": 16,
        "conv_kernel_size": 3,
    }
    config = EmbeddingGemma2Config(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 16,
            "global_head_dim": 16,
            "num_global_key_value_heads": 1,
            "sliding_window": 8,
            "layer_types": ["sliding_attention", "full_attention"],
            "hidden_size_per_layer_input": 8,
            "embedding_dim": WIDTH,
        },
        vision_config=vision if media else None,
        audio_config=audio if media else None,
        image_token_id=ids["image_token"],
        video_token_id=ids["video_token"],
        audio_token_id=ids["audio_token"],
        boi_token_id=ids["boi_token"],
        eoi_token_id=ids["eoi_token"],
        boa_token_id=ids["boa_token"],
        eoa_token_index=ids["eoa_token"],
    )
    torch.manual_seed(seed)
    EmbeddingGemma2Model(config).save_pretrained(folder)
    EmbeddingGemma2Processor(
        feature_extractor=Gemma4AudioFeatureExtractor(),
        image_processor=Gemma4ImageProcessor(patch_size=4, max_soft_tokens=70, do_normalize=False),
        video_processor=EmbeddingGemma2VideoProcessor(
            patch_size=4, max_soft_tokens=70, do_normalize=False
        ),
        tokenizer=tokenizer,
        chat_template=TEMPLATE,
    ).save_pretrained(folder)
    return folder


def add_sentence_transformers(folder: Path) -> None:
    """The files that make it a sentence-transformers model, as in the published checkpoint."""
    base = "sentence_transformers.base.modules"
    modules = (
        ("", f"{base}.transformer.Transformer"),
        ("1_Pooling", "sentence_transformers.sentence_transformer.modules.pooling.Pooling"),
        ("2_Normalize", f"{base}.normalize.Normalize"),
    )
    listed = [
        {"idx": i, "name": str(i), "path": path, "type": kind}
        for i, (path, kind) in enumerate(modules)
    ]
    forward = {"method": "forward", "method_output_name": "last_hidden_state"}
    media = dict.fromkeys(("text", "image", "audio", "video"), forward)
    prompts = {"query": "task: search result | query: ", "document": "title: none | text: "}
    files = {
        "modules.json": listed,
        "sentence_bert_config.json": {
            "transformer_task": "feature-extraction",
            "modality_config": {**media, "message": {**forward, "format": "structured"}},
            "module_output_name": "token_embeddings",
        },
        "1_Pooling/config.json": {"embedding_dimension": WIDTH, "pooling_mode": "mean"},
        "2_Normalize/config.json": {},
        "config_sentence_transformers.json": {
            "model_type": "SentenceTransformer",
            "prompts": prompts,
        },
    }
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf-8")


def _preset(name: str) -> Callable[[Path], list[str]]:
    def maker(folder: Path) -> list[str]:
        make(folder)
        return [f"encoders.{name}.checkpoint={folder}", f"encoders.{name}.frames=4"]

    return maker


PRESETS = {
    name: _preset(name)
    for name in ("embeddinggemma2", "embeddinggemma2_sound", "embeddinggemma2_text")
}
