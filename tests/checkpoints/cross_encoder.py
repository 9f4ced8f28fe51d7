"""A tiny cross-encoder as sentence-transformers' own are published: a BERT with one score."""

from __future__ import annotations

from pathlib import Path

from checkpoints.sentence import WORDS

WINDOW = 40


def make(folder: Path, seed: int = 0, labels: int = 1) -> Path:
    """Reads 40 tokens of a pair. Written by transformers, as most of these models are."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS.split()]
    vocab += [chr(code) for code in range(ord("a"), ord("z") + 1) if chr(code) not in vocab]
    vocab += [f"##{chr(code)}" for code in range(ord("a"), ord("z") + 1)]
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(vocab),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=64,
        initializer_range=0.3,
        num_labels=labels,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    tokens = {token: i for i, token in enumerate(vocab)}
    BertTokenizer(vocab=tokens, model_max_length=WINDOW).save_pretrained(folder)
    return folder
