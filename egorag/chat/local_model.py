"""Language models loaded by transformers' own classes, with every weight from the checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from egorag.encode.pretrained.checkpoint import Checkpoint
from egorag.encode.pretrained.loading import load_model, load_processor, quiet
from egorag.encode.pretrained.placement import Placement
from egorag.errors import ConfigError, MissingPackageError


@dataclass(eq=False)
class LocalModel:
    """A loaded model. Use it under its ``Held.lock``.

    Attributes:
        processor: a tokenizer, or what holds one and prepares pictures.
        ends: tokens that end a reply.
        context: tokens it reads at most, those of its reply included; None where its config does
            not say.
    """

    checkpoint: Checkpoint
    model: Any
    processor: Any
    ends: tuple[int, ...]
    context: int | None
    sees: bool

    @property
    def tokenizer(self) -> Any:
        """Of the text."""
        return getattr(self.processor, "tokenizer", self.processor)


def load_text(checkpoint: Checkpoint, placement: Placement) -> LocalModel:
    """A model that reads text (``AutoModelForCausalLM``).

    Raises:
        ConfigError: the checkpoint is not one, lacks a chat template, or its weights do not fit.
    """
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoTokenizer

    other = "answerer=hf_vlm takes models that see"
    architecture = _architecture(checkpoint, MODEL_FOR_CAUSAL_LM_MAPPING, "reads text", other)
    tokenizer = load_processor(AutoTokenizer, checkpoint)
    return _loaded(checkpoint, placement, architecture, tokenizer, sees=False)


def load_vision(checkpoint: Checkpoint, placement: Placement) -> LocalModel:
    """A model that reads text and pictures (``AutoModelForImageTextToText``): Qwen2-VL, Qwen3-VL
    and kin.

    Raises:
        ConfigError: the checkpoint is not one, lacks a chat template, or its weights do not fit.
    """
    from transformers import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING, AutoProcessor

    other = "answerer=hf_text takes models that only read"
    architecture = _architecture(
        checkpoint, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING, "sees and speaks", other
    )
    processor = load_processor(AutoProcessor, checkpoint)
    if not hasattr(processor, "image_processor") or not hasattr(processor, "tokenizer"):
        raise ConfigError(
            f"checkpoint {checkpoint.name!r} has no processor for pictures and text; give the "
            "whole folder, with its processor and tokenizer"
        )
    return _loaded(checkpoint, placement, architecture, processor, sees=True)


def _architecture(checkpoint: Checkpoint, known: Any, does: str, other: str) -> Any:
    """The class of transformers that its config.json names."""
    from transformers import AutoConfig

    kind = checkpoint.read_json("config.json", "model_type")["model_type"]
    try:
        with quiet():
            config = AutoConfig.from_pretrained(
                str(checkpoint.folder), local_files_only=True, trust_remote_code=False
            )
        return known[type(config)]
    except KeyError:
        reason = f"no model that {does}; {other}"
    except Exception as error:  # a damaged config fails in as many ways as there are models
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
    raise ConfigError(f"checkpoint {checkpoint.name!r} is of type {kind!r} (config.json): {reason}")


def _loaded(
    checkpoint: Checkpoint, placement: Placement, architecture: Any, processor: Any, *, sees: bool
) -> LocalModel:
    from transformers import GenerationConfig

    tokenizer = getattr(processor, "tokenizer", processor)
    if not (getattr(processor, "chat_template", None) or tokenizer.chat_template):
        raise ConfigError(
            f"checkpoint {checkpoint.name!r} has no chat template, so it was not trained to be "
            "asked; give an Instruct or chat checkpoint"
        )
    try:
        model = load_model(architecture, checkpoint, placement)
    except ImportError as error:
        raise MissingPackageError(
            f"{checkpoint} cannot be loaded: {str(error).strip().splitlines()[0]}"
        ) from error
    config = model.config.get_text_config()
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        raise ConfigError(
            f"the tokenizer of checkpoint {checkpoint.name!r} is another model's: it knows "
            f"{len(tokenizer)} tokens, the model {model.get_input_embeddings().num_embeddings}"
        )
    own = model.generation_config.eos_token_id
    ends = {*(own if isinstance(own, list) else [own]), tokenizer.eos_token_id} - {None}
    # What the checkpoint asks for (sampling, penalties) would fill in what decoding leaves open.
    model.generation_config = GenerationConfig()
    context = getattr(config, "max_position_embeddings", None)
    return LocalModel(checkpoint, model, processor, tuple(sorted(ends)), context, sees)
