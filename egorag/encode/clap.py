"""CLAP: sounds and text in one space (Wu et al., arXiv:2211.06687), by ``transformers.ClapModel``.

What transformers' feature extractor does at random is not done here: it never gets a sound longer
than the model's window, of which it would take a random part; and its ``is_longer``, with which
it marks one short sound of a batch at random for fused checkpoints, is not used. A fused checkpoint
gets windows that are not longer, as its authors' own code has it for sounds of up to 10 s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from egorag.encode.pretrained.base import Published, by_name
from egorag.encode.pretrained.batches import Batches
from egorag.encode.pretrained.checkpoint import Checkpoint
from egorag.encode.pretrained.loading import check_kind, load_model, load_processor
from egorag.encode.pretrained.placement import Placement
from egorag.encode.pretrained.sound_windows import Sound, SoundWindows
from egorag.errors import ConfigError

FUSED, UNFUSED = "fusion", "rand_trunc"
"""What the extractor's ``truncation`` says of the spectrogram: which mel filters, how many."""


@dataclass(frozen=True, eq=False)
class _Loaded:
    model: Any  # transformers.ClapModel
    extractor: Any  # transformers.ClapFeatureExtractor
    tokenizer: Any
    placement: Placement
    batches: Batches


@dataclass(frozen=True, kw_only=True)
class CLAP(SoundWindows):
    """Windows of the model's length (10 s at 48 kHz), and their mean.

    A window shorter than that (a short scene, or what is left at the end of a long one) is
    repeated as often as it fits whole and padded with silence, as in training (``repeatpad``).
    Text is taken as it is, up to 512 tokens; in training texts were captions, so a phrase such as
    "a dog barks" does better than a bare word.
    """

    family: ClassVar[str] = "laion/clap"
    published: ClassVar[Mapping[str, Published]] = {
        "laion/clap-htsat-unfused": Published(153_492_890, 512, "Apache-2.0", download=0.62e9),
        "laion/larger_clap_general": Published(193_913_882, 512, "Apache-2.0", download=0.78e9),
        "laion/clap-htsat-fused": Published(153_507_530, 512, "Apache-2.0", download=0.62e9),
    }

    checkpoint: str = by_name("laion/clap-htsat-unfused")

    def _window(self) -> tuple[int, int]:
        config = self.source().read_json("preprocessor_config.json")
        rate = int(config.get("sampling_rate", 48_000))
        return rate, round(config.get("max_length_s", 10) * rate)

    def _dim(self) -> int:
        return int(self.source().read_json().get("projection_dim", 512))

    def describe(self) -> str:
        return (
            f"CLAP ({self.checkpoint}): {self._cut()}, {self._dim()}-d; a shorter window is "
            "repeated and padded with silence; text as it is given"
        )

    def _load(self, placement: Placement) -> _Loaded:
        from transformers import AutoTokenizer, ClapFeatureExtractor, ClapModel

        source = self.source()
        check_kind(source, ClapModel)
        self._step()
        extractor = load_processor(ClapFeatureExtractor, source)
        _check_fusion(source, extractor.truncation)
        model = load_model(ClapModel, source, placement)
        return _Loaded(
            model,
            extractor,
            load_processor(AutoTokenizer, source),
            placement,
            Batches(placement.device, self.batch),
        )

    def _embed_sounds(self, windows: Sequence[Sound]) -> Any:
        import torch

        loaded = self.loaded
        heard = loaded.extractor(
            list(windows), sampling_rate=loaded.extractor.sampling_rate, return_tensors="pt"
        )["input_features"]
        return loaded.model.get_audio_features(
            input_features=heard.to(loaded.placement.device, loaded.placement.torch_dtype),
            is_longer=torch.zeros(len(windows), 1, dtype=torch.bool),
        ).pooler_output

    def _embed_text(self, text: str) -> Any:
        loaded = self.loaded
        config = loaded.model.config.text_config
        tokens = loaded.tokenizer(
            [text],
            truncation=True,
            # The first positions are the padding's: RoBERTa counts on from pad_token_id.
            max_length=config.max_position_embeddings - config.pad_token_id - 1,
            return_tensors="pt",
        ).to(loaded.placement.device)
        return loaded.model.get_text_features(
            input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
        ).pooler_output


def _check_fusion(source: Checkpoint, truncation: str) -> None:
    """Raises ConfigError unless the extractor makes what the model takes: a fused model runs on an
    unfused model's spectrogram, and gives something else."""
    fused = bool(source.read_json().get("audio_config", {}).get("enable_fusion", False))
    if truncation != (FUSED if fused else UNFUSED):
        raise ConfigError(
            f"checkpoint {source.name!r} has a model {'with' if fused else 'without'} fusion "
            f"(config.json) and truncation={truncation!r} (preprocessor_config.json), which do not "
            f"go together; give one that is whole, such as {CLAP.checkpoint}"
        )
