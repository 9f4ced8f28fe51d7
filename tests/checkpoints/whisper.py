"""Tiny Whispers: as transformers saves one, and converted for CTranslate2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

LANGUAGES = ("en", "de", "ja")
WORDS = ("the", "cat", "dog", "sat", "here", "there", "and", "then", "went", "home", ".", ",")
ALIGNMENT_HEADS = [[1, 0], [1, 1]]


def make(
    folder: Path, *, seed: int = 4, multilingual: bool = True, word_times: bool = True
) -> Path:
    """A Whisper of 30 s windows, 16 mel bands and width 16 in ``folder``."""
    import torch
    from transformers import (
        GenerationConfig,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
    )

    tokenizer = make_tokenizer(multilingual)
    ids = tokenizer.get_vocab()
    eot, start = ids["<|endoftext|>"], ids["<|startoftranscript|>"]
    config = WhisperConfig(
        vocab_size=len(tokenizer),
        num_mel_bins=16,
        d_model=16,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_source_positions=1500,
        max_target_positions=448,
        pad_token_id=eot,
        bos_token_id=eot,
        eos_token_id=eot,
        decoder_start_token_id=start,
        suppress_tokens=None,
        begin_suppress_tokens=None,
        init_std=0.6,
    )
    torch.manual_seed(seed)
    model = WhisperForConditionalGeneration(config)
    decoder = model.model.decoder
    scale = torch.full((len(tokenizer), 1), 0.1)  # lone bytes and special tokens: never
    scale[[ids[f"Ġ{word}" if word.isalpha() else word] for word in WORDS]] = 4.0
    scale[ids["<|0.00|>"] :] = 1.3
    decoder.embed_tokens.weight.data *= scale
    # What is said depends on how much has been said, and leans towards the end, so that it ends.
    end = torch.nn.functional.normalize(torch.randn(16), dim=0)
    decoder.embed_tokens.weight.data[eot] = 4 * end
    decoder.embed_positions.weight.data *= 10
    decoder.embed_positions.weight.data += 3 * torch.arange(448)[:, None] * end
    settings = {
        "decoder_start_token_id": start,
        "eos_token_id": eot,
        "bos_token_id": eot,
        "pad_token_id": eot,
        "max_length": 448,
        "max_initial_timestamp_index": 50,
        "no_timestamps_token_id": ids["<|notimestamps|>"],
        "is_multilingual": multilingual,
        "suppress_tokens": [],
        "begin_suppress_tokens": [eot],
        "return_timestamps": False,
    }
    if multilingual:
        settings["lang_to_id"] = {f"<|{name}|>": ids[f"<|{name}|>"] for name in LANGUAGES}
        settings["task_to_id"] = {name: ids[f"<|{name}|>"] for name in ("transcribe", "translate")}
    if word_times:
        settings["alignment_heads"] = ALIGNMENT_HEADS
    model.generation_config = GenerationConfig(**settings)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=16).save_pretrained(folder)
    return folder


def make_tokenizer(multilingual: bool = True) -> Any:
    """Byte-level BPE with a few whole words, and all special tokens in the published order."""
    from tokenizers import AddedToken
    from transformers import WhisperTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    pieces = list(bytes_to_unicode().values())
    merges: list[tuple[str, str]] = []
    for word in WORDS:
        whole = "Ġ" if word.isalpha() else ""
        for letter in word if whole else word[1:]:
            pair = (whole, letter)
            whole += letter
            if pair not in merges:
                merges.append(pair)
                pieces.append(whole)
    vocab = {piece: at for at, piece in enumerate(pieces)}
    named = ["<|startoftranscript|>"]
    named += [f"<|{name}|>" for name in LANGUAGES] if multilingual else []
    named += ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>"]
    named += ["<|nospeech|>", "<|notimestamps|>"]
    vocab["<|endoftext|>"] = len(vocab)
    tokenizer = WhisperTokenizer(vocab=vocab, merges=merges)
    tokenizer.add_special_tokens({"extra_special_tokens": named})
    tokenizer.add_tokens([AddedToken(f"<|{step * 0.02:.2f}|>") for step in range(1501)])
    return tokenizer


def convert(folder: Path, into: Path) -> Path:
    """The same model in CTranslate2's format."""
    from ctranslate2.converters import TransformersConverter

    files = ["tokenizer.json", "preprocessor_config.json"]
    TransformersConverter(str(folder), copy_files=files).convert(str(into))
    return into


def _whisper(folder: Path) -> list[str]:
    # What a random model says repeats itself: nothing is dropped for it.
    return [f"encoders.whisper.checkpoint={make(folder)}", "encoders.whisper.compression=1000"]


def _faster(preset: str) -> Callable[[Path], list[str]]:
    def maker(folder: Path) -> list[str]:
        made = convert(make(folder / "transformers"), folder / "ctranslate2")
        name = f"encoders.{preset}"
        return [f"{name}.checkpoint={made}", f"{name}.compression=1000", f"{name}.beam=1"]

    return maker


PRESETS: dict[str, Callable[[Path], list[str]]] = {
    "whisper": _whisper,
    "faster_whisper": _faster("faster_whisper"),
    "faster_whisper_distil": _faster("faster_whisper_distil"),
}
