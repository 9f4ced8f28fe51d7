"""Tiny text embedders, written by sentence-transformers: a BERT, and an EmbeddingGemma."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

BERT_DIM, BERT_WINDOW = 32, 24
GEMMA_DIM = 256  # more than the smallest of its published sizes, 128
GEMMA_PROMPTS = {
    "query": "task: search result | query: ",
    "document": "title: none | text: ",
    "STS": "task: sentence similarity | query: ",
}
WORDS = (
    "the a man woman dog red blue green cuts opens walks bread door house kitchen and in of "
    "query passage text title none one two three four five six seven eight nine ten : . | ,"
)


def make_bert(folder: Path, seed: int = 0, prompts: dict[str, str] | None = None) -> Path:
    """BERT, mean pooling, unit length; reads 24 tokens. No prompts unless given."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS.split()]
    vocab += [chr(code) for code in range(ord("a"), ord("z") + 1) if chr(code) not in vocab]
    vocab += [f"##{chr(code)}" for code in range(ord("a"), ord("z") + 1)]
    torch.manual_seed(seed)
    model = BertModel(
        BertConfig(
            vocab_size=len(vocab),
            hidden_size=BERT_DIM,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=48,
            max_position_embeddings=64,
            initializer_range=0.3,
        )
    )
    tokenizer = BertTokenizer(
        vocab={token: i for i, token in enumerate(vocab)}, model_max_length=BERT_WINDOW
    )
    return _write(folder, model, tokenizer, BERT_DIM, (), prompts or {})


def make_gemma(folder: Path, seed: int = 0, prompts: dict[str, str] | None = None) -> Path:
    """As EmbeddingGemma: bidirectional Gemma 3, mean pooling, two dense layers, unit length."""
    import torch
    from transformers import Gemma3TextConfig, Gemma3TextModel, GemmaTokenizer

    vocab = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", ".", ":", "|"]
    vocab += [f"<0x{byte:02X}>" for byte in range(256)]
    vocab += [chr(code) for start in "aA" for code in range(ord(start), ord(start) + 26)]
    tokenizer = GemmaTokenizer(
        vocab={token: i for i, token in enumerate(vocab)},
        merges=[],
        add_bos_token=True,
        add_eos_token=True,
        model_max_length=96,
    )
    torch.manual_seed(seed)
    model = Gemma3TextModel(
        Gemma3TextConfig(
            use_bidirectional_attention=True,
            vocab_size=len(vocab),
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=16,
            query_pre_attn_scalar=16,
            sliding_window=16,
            layer_types=["sliding_attention", "full_attention"],
            max_position_embeddings=96,
            initializer_range=0.2,
        )
    )
    given = GEMMA_PROMPTS if prompts is None else prompts
    return _write(folder, model, tokenizer, 32, (32, 48, GEMMA_DIM), given)


def change(folder: Path, name: str, edit: Callable[[Any], Any]) -> None:
    """Edit a JSON or safetensors file in place."""
    from safetensors.torch import load_file, save_file

    path = folder / name
    if path.suffix == ".json":
        data = json.loads(path.read_text()) if path.exists() else {}
        data = edit(data) or data
        path.write_text(json.dumps(data))
    else:
        tensors = load_file(path)
        edit(tensors)
        save_file(tensors, path, metadata={"format": "pt"})


def _write(
    folder: Path,
    model: Any,
    tokenizer: Any,
    dim: int,
    dense: Sequence[int],
    prompts: dict[str, str],
) -> Path:
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense, Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    with tempfile.TemporaryDirectory() as kept:
        model.save_pretrained(kept)
        tokenizer.save_pretrained(kept)
        parts: list[Any] = [Transformer(kept), Pooling(dim, "mean")]
    for small, large in pairwise(dense):
        parts.append(Dense(small, large, bias=False, activation_function=torch.nn.Identity()))
    made = SentenceTransformer(modules=[*parts, Normalize()], prompts=prompts, device="cpu")
    made.save_pretrained(str(folder), create_model_card=False)
    return folder


def _overrides(preset: str, make: Callable[[Path], Path]) -> Callable[[Path], list[str]]:
    return lambda folder: [f"encoders.{preset}.checkpoint={make(folder)}"]


PRESETS: dict[str, Callable[[Path], list[str]]] = {
    "sentence_transformers": _overrides("sentence_transformers", make_bert),
    "embeddinggemma": _overrides("embeddinggemma", make_gemma),
}
