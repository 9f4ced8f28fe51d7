"""A tiny CLAP: real classes, windows of one second, a byte-level RoBERTa tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

RATE, SECONDS, DIM = 48_000, 1, 32


def make(folder: Path, seed: int = 0, fused: bool = False) -> Path:
    """Write it into ``folder``."""
    import torch
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel

    tokenizer = roberta()
    torch.manual_seed(seed)
    config = ClapConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "max_position_embeddings": 34,
            "initializer_factor": 5.0,  # or all rows are nearly equal, and tests see nothing
        },
        audio_config={
            "spec_size": 64,
            "num_mel_bins": 16,
            "window_size": 2,
            "patch_embeds_hidden_size": 16,
            "depths": [1, 1, 1],
            "num_attention_heads": [2, 2, 2],
            "hidden_size": 64,
            "initializer_factor": 20.0,
            "enable_fusion": fused,
            "fusion_type": "aff_2d" if fused else None,
        },
        projection_dim=DIM,
        initializer_factor=20.0,
    )
    model = ClapModel(config)
    # Trained statistics of levels in dB, as the published ones have.
    model.audio_model.audio_encoder.batch_norm.running_mean.fill_(-30.0)
    model.audio_model.audio_encoder.batch_norm.running_var.fill_(400.0)
    model.save_pretrained(folder)
    ClapFeatureExtractor(
        feature_size=16,
        max_length_s=SECONDS,
        frequency_min=50,
        truncation="fusion" if fused else "rand_trunc",
    ).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def roberta() -> Any:
    """Bytes and four special tokens, in RoBERTa's places."""
    from tokenizers import pre_tokenizers
    from transformers import RobertaTokenizer

    vocab = ["<s>", "<pad>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    return RobertaTokenizer(
        vocab={token: i for i, token in enumerate([*vocab, "<mask>"])}, merges=[]
    )


PRESETS = {"clap": lambda folder: [f"encoders.clap.checkpoint={make(folder)}"]}
