"""SigLIP 2: frames and text in one space (Tschannen et al., arXiv:2502.14786).

The fixed-resolution checkpoints, ``google/siglip2-*-patch*-*``; NaFlex ones are refused. In
transformers these are ``SiglipModel`` with a Gemma tokenizer, and two things go wrong unless one
sees to them: ``AutoTokenizer`` does not lowercase, and padding other than to 64 tokens on the
right moves the token that the text embedding is read from
(https://github.com/huggingface/transformers/pull/43101, google-research/big_vision#186).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from egorag.encode.pretrained.base import Published, by_name
from egorag.encode.pretrained.batches import Batches
from egorag.encode.pretrained.checkpoint import Checkpoint
from egorag.encode.pretrained.frame_encoder import FrameMean, Image
from egorag.encode.pretrained.loading import load_model, load_processor
from egorag.encode.pretrained.placement import Placement
from egorag.encode.pretrained.plaintext import plain
from egorag.errors import ConfigError
from egorag.media.sampling import FrameSampling

TEXT_TOKENS = 64
"""All texts were padded or cut to this in training."""


@dataclass(frozen=True, eq=False)
class _Loaded:
    model: Any  # transformers.SiglipModel
    images: Any  # transformers.SiglipImageProcessor
    tokenizer: Any  # transformers.Siglip2Tokenizer
    placement: Placement
    batches: Batches


@dataclass(frozen=True, kw_only=True)
class SigLIP2(FrameMean):
    """Frames at a rate, each squeezed to the model's square as in training (no crop), and their
    mean. Text is lowercased, cut and padded to 64 tokens, without a mask.
    """

    family: ClassVar[str] = "google/siglip2"
    published: ClassVar[Mapping[str, Published]] = {
        "google/siglip2-so400m-patch14-384": Published(
            1_136_008_498, 1152, "Apache-2.0", download=4.58e9
        ),
        "google/siglip2-base-patch16-256": Published(
            375_234_050, 768, "Apache-2.0", download=1.54e9
        ),
    }

    checkpoint: str = by_name("google/siglip2-so400m-patch14-384")

    @property
    def sampling(self) -> FrameSampling:
        size = self.source().read_json("preprocessor_config.json", "size")["size"]
        return FrameSampling(self.rate, size=(size["width"], size["height"]))

    def _dim(self) -> int:
        return int(_config(self.source())["vision_config"].get("hidden_size", 768))

    def describe(self) -> str:
        width, height = self.sampling.size or (0, 0)
        return (
            f"SigLIP 2 ({self.checkpoint}): {self.rate:g} frames a second, each squeezed to "
            f"{width} x {height}; the mean of the frames' unit embeddings, {self._dim()}-d, over "
            "every frame of a long scene and the one of a short scene"
        )

    def _load(self, placement: Placement) -> _Loaded:
        from transformers import SiglipImageProcessor, SiglipModel

        source = self.source()
        _config(source)
        images = load_processor(SiglipImageProcessor, source)
        return _Loaded(
            load_model(SiglipModel, source, placement),
            images,
            _tokenizer(source),
            placement,
            Batches(placement.device, self.batch, most=128),
        )

    def _embed_images(self, images: Sequence[Image]) -> Any:
        loaded = self.loaded
        pixels = loaded.images(
            list(images),
            input_data_format="channels_last",  # or a picture 3 pixels high is misread
            return_tensors="pt",
            device=loaded.placement.device,
        )["pixel_values"].to(loaded.placement.torch_dtype)
        return loaded.model.get_image_features(pixel_values=pixels).pooler_output

    def _embed_text(self, text: str) -> Any:
        loaded = self.loaded
        tokens = loaded.tokenizer(
            [plain(text, loaded.tokenizer)],
            padding="max_length",
            truncation=True,
            max_length=TEXT_TOKENS,
            padding_side="right",
            return_tensors="pt",
        )["input_ids"].to(loaded.placement.device)
        return loaded.model.get_text_features(input_ids=tokens).pooler_output


def _config(source: Checkpoint) -> dict[str, Any]:
    """Raises ConfigError unless it is a fixed-resolution SigLIP."""
    config = source.read_json()
    kind = config.get("model_type")
    if kind == "siglip":
        return config
    told = "a NaFlex checkpoint" if kind == "siglip2" else f"a checkpoint of type {kind!r}"
    raise ConfigError(
        f"checkpoint {source.name!r} is {told}; SigLIP2 reads the fixed-resolution ones, such as "
        f"{SigLIP2.checkpoint}"
    )


def _tokenizer(source: Checkpoint) -> Any:
    """Gemma's tokens, lowercased: what SigLIP 2 was trained on, whatever class the checkpoint
    names (the published ones name GemmaTokenizer, which keeps capitals).

    Raises:
        ConfigError: no such tokenizer there, as in SigLIP 1.
    """
    from transformers import Siglip2Tokenizer

    if not (source.folder / "tokenizer.json").is_file():
        raise ConfigError(
            f"checkpoint {source.name!r} has no tokenizer.json, as SigLIP 1 has none; give a "
            f"SigLIP 2 checkpoint such as {SigLIP2.checkpoint}, or use +encoder=openclip"
        )
    return load_processor(Siglip2Tokenizer, source)
