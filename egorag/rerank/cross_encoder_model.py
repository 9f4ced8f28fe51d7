"""Loading a cross-encoder so that every weight comes from its checkpoint, or not at all.

sentence-transformers logs a line when layers are missing (the classifier of a checkpoint that never
had one, say) and leaves them random. Here the model is opened a second time without memory, only
for the report of what is missing, left over or misshapen.
"""

from __future__ import annotations

import json
from typing import Any

from egorag.encode.pretrained.checkpoint import Checkpoint
from egorag.encode.pretrained.loading import VOCABULARIES, MismatchError, check_keys, place, quiet
from egorag.encode.pretrained.placement import Placement
from egorag.errors import ConfigError

LONGEST = 8192
"""Tokens of a pair, where the checkpoint names no limit or a larger one."""
PARTS = ("Transformer", "LogitScore")
"""Parts of a checkpoint that are run; none of them brings code."""


def load_cross_encoder(checkpoint: Checkpoint, placement: Placement) -> Any:
    """A ``sentence_transformers.CrossEncoder`` in eval mode on its device.

    Raises:
        MismatchError: tensors are missing, left over or of another shape; names them.
        ConfigError: it gives no single score, or its files are damaged, of another kind, or bring
            code of their own.
    """
    import torch
    from sentence_transformers import CrossEncoder

    _check_parts(checkpoint)
    chosen = {} if placement.attention == "auto" else {"attn_implementation": placement.attention}
    how = {
        "dtype": placement.torch_dtype,
        "weights_only": True,
        "ignore_mismatched_sizes": True,  # refused below, by name
        **chosen,
    }
    with quiet():
        try:
            model = CrossEncoder(
                str(checkpoint.folder),
                device="cpu",
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs=how,
            )
            architecture = type(model[0].model)
            _, info = architecture.from_pretrained(
                str(checkpoint.folder),
                config=model[0].model.config,
                local_files_only=True,
                output_loading_info=True,
                weights_only=True,
                ignore_mismatched_sizes=True,
                device_map="meta",
            )
        except (ImportError, torch.OutOfMemoryError, ConfigError):
            raise
        except Exception as error:  # damaged files fail in as many ways as there are formats
            told = " ".join(str(error).split())
            wrong = MismatchError if "mismatch" in told else ConfigError
            raise wrong(f"{checkpoint} cannot be loaded as CrossEncoder: {told[:400]}") from error
    check_keys(checkpoint, architecture.__name__, info)
    if model.num_labels != 1:
        raise ConfigError(
            f"{checkpoint} gives {model.num_labels} scores for a pair; a reranker needs one that "
            "gives a single score, such as cross-encoder/ms-marco-MiniLM-L6-v2"
        )
    model.max_seq_length = min(model.max_seq_length or LONGEST, LONGEST)
    return place(model, placement)


def _check_parts(checkpoint: Checkpoint) -> None:
    """Refuse what runs code of its own, is no model by itself, or knows no words."""
    if "adapter_config.json" in checkpoint.files:
        raise ConfigError(
            f"{checkpoint} is an adapter to another model; merge the two (peft's "
            "`merge_and_unload`), save the result and give its folder"
        )
    if not VOCABULARIES & checkpoint.files.keys():
        raise ConfigError(
            f"checkpoint {checkpoint.name!r} has no tokenizer (such as tokenizer.json); give the "
            "whole folder as `save_pretrained` writes it"
        )
    if "modules.json" in checkpoint.files:
        try:
            listed = json.loads((checkpoint.folder / "modules.json").read_text(encoding="utf-8"))
            kinds = [str(module["type"]) for module in listed]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ConfigError(f"{checkpoint}: modules.json does not list its parts") from error
        for kind in kinds:
            own = kind.startswith("sentence_transformers.")
            if not own or kind.rpartition(".")[2] not in PARTS:
                raise ConfigError(
                    f"{checkpoint} has a part of type {kind}; a cross-encoder here is made of "
                    f"{' and '.join(PARTS)} of sentence_transformers, and no code that comes with "
                    "a checkpoint is run"
                )
