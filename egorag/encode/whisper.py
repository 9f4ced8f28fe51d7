"""Whisper (OpenAI, 2022) as transformers runs it: a transcript with word times.

Word times are the library's own: dynamic time warping over the cross-attention of the heads that
the checkpoint's generation config names (``alignment_heads``). Source: the model card of
openai/whisper-large-v3-turbo and ``WhisperForConditionalGeneration.generate``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from egorag.encode.pretrained.base import Published, by_name
from egorag.encode.pretrained.batches import Batches
from egorag.encode.pretrained.loading import load_model, load_processor, quiet
from egorag.encode.pretrained.placement import Placement
from egorag.encode.transcriber import Heard, HeardWord, Line, Transcriber
from egorag.encode.vad import RATE, Samples
from egorag.errors import ConfigError

STEP = 0.02  # seconds a time stamp token


@dataclass(frozen=True)
class _Model:
    model: Any
    features: Any
    tokenizer: Any
    batches: Batches
    attention: str
    dtype: Any


@dataclass(frozen=True, kw_only=True)
class Whisper(Transcriber):
    """Speech to words: track ``transcript``, one timed text a line.

    Each stretch is decoded in one pass with time stamps, without the text before it; the library's
    fallback to sampling is off. Confidence is the mean probability of the words' tokens. A
    checkpoint without alignment heads gives lines without word times. Batches change the
    probabilities by rounding only (below 1e-4 in float32): greedy words are the same unless two
    tokens are that close.
    """

    family: ClassVar[str] = "whisper"
    working_bytes: ClassVar[float] = 2.0e9
    published: ClassVar[Mapping[str, Published]] = {
        "openai/whisper-large-v3-turbo": Published(808.9e6, None, "MIT", download=1.62e9),
        "openai/whisper-large-v3": Published(1543.5e6, None, "Apache-2.0", download=3.09e9),
        "openai/whisper-small": Published(241.7e6, None, "Apache-2.0", download=0.97e9),
        "openai/whisper-tiny": Published(37.8e6, None, "Apache-2.0", download=0.15e9),
    }

    checkpoint: str = by_name("openai/whisper-large-v3-turbo")

    def _load(self, placement: Placement) -> _Model:
        import transformers

        source = self.source()
        model = load_model(transformers.WhisperForConditionalGeneration, source, placement)
        settings = model.generation_config
        if not hasattr(settings, "no_timestamps_token_id"):
            raise ConfigError(
                f"{source} has no generation_config.json with no_timestamps_token_id, so it gives "
                "no times; take the one of the openai/whisper model it was made from"
            )
        # As set by us, not by what the checkpoint's owners left in: nothing is sampled.
        settings.update(do_sample=False, temperature=None, top_k=None, top_p=None)
        features = load_processor(transformers.WhisperFeatureExtractor, source)
        if features.feature_size != model.config.num_mel_bins:
            raise ConfigError(
                f"{source}: preprocessor_config.json makes {features.feature_size} mel bands, "
                f"config.json takes {model.config.num_mel_bins}; take both from one checkpoint"
            )
        tokenizer = load_processor(transformers.AutoTokenizer, source)
        return _Model(
            model,
            features,
            tokenizer,
            Batches(placement.device, self.batch),
            model.config._attn_implementation,
            placement.torch_dtype,
        )

    def languages(self) -> list[str]:
        named: Mapping[str, int] = getattr(self.loaded.model.generation_config, "lang_to_id", {})
        many = getattr(self.loaded.model.generation_config, "is_multilingual", bool(named))
        return [token.strip("<|>") for token in named] if many else ["en"]

    def _detect(self, sound: Samples) -> str:
        import torch

        with torch.inference_mode():
            encoded, _ = self._encoded([sound])
            settings = self.loaded.model.generation_config
            logits = self._first_logits(encoded)[0]
        ids: Mapping[str, int] = settings.lang_to_id
        return max(ids, key=lambda token: float(logits[ids[token]])).strip("<|>")

    def _hear(self, sounds: Sequence[Samples], language: str, no_repeat: int) -> list[Heard]:
        import torch

        def run(batch: Sequence[Samples]) -> list[Heard]:
            with torch.inference_mode(), quiet():
                return self._decode(batch, language, no_repeat)

        return [heard for batch in self.loaded.batches.map(sounds, run) for heard in batch]

    def _encoded(self, sounds: Sequence[Samples]) -> tuple[Any, Any]:
        """Encoder output, and the mask of the mel frames that are sound."""
        held = self.loaded
        taken = held.features(
            list(sounds), sampling_rate=RATE, return_tensors="pt", return_attention_mask=True
        )
        features = taken.input_features.to(held.model.device, held.dtype)
        return held.model.model.encoder(features), taken.attention_mask

    def _first_logits(self, encoded: Any) -> Any:
        """What the model would say first of all: a language, or that nobody speaks."""
        import torch

        model = self.loaded.model
        start = model.generation_config.decoder_start_token_id
        ids = torch.full((len(encoded[0]), 1), start, device=model.device)
        return model(encoder_outputs=encoded, decoder_input_ids=ids).logits[:, -1].float()

    def _decode(self, batch: Sequence[Samples], language: str, no_repeat: int) -> list[Heard]:
        model = self.loaded.model
        settings = model.generation_config
        encoded, mask = self._encoded(batch)
        # The token before <|notimestamps|> is <|nospeech|> in every Whisper.
        silence = self._first_logits(encoded).softmax(-1)[:, settings.no_timestamps_token_id - 1]
        many = len(self.languages()) > 1
        tokens = model.generate(
            encoder_outputs=encoded,
            return_timestamps=True,
            force_unique_generate_call=True,
            condition_on_prev_tokens=False,
            num_beams=self.beam,
            no_repeat_ngram_size=no_repeat,
            **({"language": language, "task": "transcribe"} if many else {}),
        )
        prompt = 3 if many else 1
        logs, weights = self._read_again(tokens, encoded)
        results = []
        for row, said in enumerate(tokens[:, prompt:].tolist()):
            ended = settings.eos_token_id in said
            length = said.index(settings.eos_token_id) if ended else len(said)
            sure = logs[row, prompt - 1 : prompt + length - (not ended)].tolist()
            times = None
            if weights is not None:
                frames = int(mask[row].sum()) // 2
                rows = weights[row, :, prompt : prompt + length, :frames]
                times = _token_times(rows, model.config.median_filter_width)
            lines = self._lines(said[:length], sure, times, len(batch[row]) / RATE, language)
            results.append(Heard(tuple(lines), float(silence[row]), sum(sure) / max(1, len(sure))))
        return results

    def _read_again(self, tokens: Any, encoded: Any) -> tuple[Any, Any]:
        """Log probability of each token but the first, and where each listens: float32
        [batch, alignment heads, tokens, encoder frames], None without alignment heads.

        The library collects both while it decodes, but then normalises over the padding of the
        batch (word times depend on what else is in it) and copies all attention, gigabytes a
        batch. One pass over the finished text gives the same numbers.
        """
        import torch

        model = self.loaded.model
        heads = getattr(model.generation_config, "alignment_heads", None)
        # Only eager attention tells its weights.
        model.config._attn_implementation = "eager" if heads else self.loaded.attention
        found = model.model.decoder(
            input_ids=tokens,
            encoder_hidden_states=encoded[0],
            output_attentions=bool(heads),
            use_cache=False,
        )
        model.config._attn_implementation = self.loaded.attention
        logits = model.proj_out(found.last_hidden_state[:, :-1]).float()
        chosen = logits.gather(-1, tokens[:, 1:, None])[..., 0]
        logs = (chosen - logits.logsumexp(-1)).cpu()
        if not heads:
            return logs, None
        listened = [found.cross_attentions[layer][:, head] for layer, head in heads]
        return logs, torch.stack(listened, dim=1).float()

    def _lines(
        self,
        tokens: Sequence[int],
        logs: Sequence[float],
        times: Sequence[float] | None,
        seconds: float,
        language: str,
    ) -> list[Line]:
        """Tokens cut at their time stamps."""
        tokenizer = self.loaded.tokenizer
        begin = self.loaded.model.generation_config.no_timestamps_token_id + 1
        marks = [-1, *(i for i, token in enumerate(tokens) if token >= begin), len(tokens)]

        def stamp(at: int, otherwise: float) -> float:
            return (tokens[at] - begin) * STEP if 0 <= at < len(tokens) else otherwise

        lines = []
        for before, after in pairwise(marks):
            said = tokens[before + 1 : after]
            if not said:
                continue
            text = tokenizer.decode(said, skip_special_tokens=True)
            start, end = stamp(before, 0.0), stamp(after, seconds)
            words: tuple[HeardWord, ...] = ()
            if times is not None:
                words = self._words(before + 1, said, logs, times, language)
            if words:
                start, end = words[0].start, words[-1].end
            lines.append(Line(text, start, end, words))
        return lines

    def _words(
        self,
        first: int,
        said: Sequence[int],
        logs: Sequence[float],
        times: Sequence[float],
        language: str,
    ) -> tuple[HeardWord, ...]:
        """As the library's own recognition pipeline makes them from token times."""
        from math import exp

        from transformers.models.whisper.tokenization_whisper import (
            LANGUAGES,
            _combine_tokens_into_words,
        )

        name = LANGUAGES.get(language, language)
        texts, _, places = _combine_tokens_into_words(self.loaded.tokenizer, list(said), name)
        words = []
        for text, indices in zip(texts, places, strict=True):
            at = [first + i for i in indices]
            # A token's time is where the next one is listened for: its end, and that one's start.
            start = times[at[0] - 1] if at[0] else 0.0
            probability = sum(exp(logs[i]) for i in at) / len(at)
            words.append(HeardWord(text, start, max(start, times[at[-1]]), probability))
        return tuple(words)

    def describe(self) -> str:
        told = self._word_times()
        return f"{self.manner()}; {told}"

    def _word_times(self) -> str:
        try:
            heads = self.source().read_json("generation_config.json").get("alignment_heads")
        except ConfigError:
            return "word times if the checkpoint has alignment heads"
        if heads:
            return "word times from its alignment heads"
        return "no word times: its generation config names no alignment heads"


def _token_times(weights: Any, width: int) -> list[float]:
    """Seconds at which each token ends, from ``weights`` [heads, tokens, frames], by the library's
    functions, for one stretch alone."""
    from transformers.models.whisper.generation_whisper import (
        _dynamic_time_warping,
        _median_filter,
    )

    if not weights.shape[1] or not weights.shape[2]:
        return [0.0] * weights.shape[1]
    spread = weights.std(dim=-2, keepdim=True, unbiased=False)
    level = (weights - weights.mean(dim=-2, keepdim=True)) / spread.clamp_min(1e-12)
    matrix = _median_filter(level, width).mean(dim=0)
    texts, places = _dynamic_time_warping(-matrix.double().cpu().numpy())
    begins = np.pad(np.diff(texts), (1, 0), constant_values=1).astype(bool)
    times: list[float] = (places[begins] * STEP).tolist()
    return times
