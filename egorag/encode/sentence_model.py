"""Loading a sentence-transformers checkpoint so that every weight comes from it, or not at all.

The library logs a line when a transformer's layers are missing and leaves them random. Here the
transformer is opened a second time without memory (on torch's meta device), only for the report of
what is missing, left over or misshapen; the dense layers are strict by themselves.
"""

from __future__ import annotations

import re
from typing import Any

from egorag.encode import sentence_files as files
from egorag.encode.pretrained.checkpoint import Checkpoint
from egorag.encode.pretrained.loading import MismatchError, check_keys, place, quiet
from egorag.encode.pretrained.placement import Placement
from egorag.errors import ConfigError

LONGEST = 8192
"""Tokens of a window, where the checkpoint names no limit or a larger one."""

HEADS = (
    r"^(cls|lm_head|classifier|predictions|qa_outputs|score|pooler|head|decoder|logit_scale)\b",
    r"^(vocab_transform|vocab_layer_norm|vocab_projector|discriminator_predictions|lm_predictions)\b",
)
"""What a checkpoint may have beyond the encoder: heads of its pretraining, which no text meets."""


def load_sentence_model(checkpoint: Checkpoint, placement: Placement) -> Any:
    """A ``SentenceTransformer`` in eval mode on its device.

    Raises:
        MismatchError: tensors are missing, left over or of another shape; names them.
        ConfigError: the files are damaged, of another kind, or bring code of their own.
    """
    import torch
    from sentence_transformers import SentenceTransformer

    listed = files.parts(checkpoint)
    chosen = {} if placement.attention == "auto" else {"attn_implementation": placement.attention}
    how = {
        "dtype": placement.torch_dtype,
        "weights_only": True,
        "ignore_mismatched_sizes": True,  # refused below, by name
        **chosen,
    }
    with quiet():
        try:
            model = SentenceTransformer(
                str(checkpoint.folder),
                device="cpu",
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs=how,
            )
            for (kind, path), part in zip(listed, model, strict=True):
                _check(checkpoint, kind, path, part)
        except (ImportError, torch.OutOfMemoryError, ConfigError):
            raise
        except Exception as error:  # damaged files fail in as many ways as there are formats
            told = " ".join(str(error).split())
            misfit = "state_dict" in told or "mismatch" in told
            wrong = MismatchError if misfit else ConfigError
            raise wrong(
                f"{checkpoint} cannot be loaded as SentenceTransformer: {told[:400]}"
            ) from error
    if model.get_embedding_dimension() is None or not model.supports("text"):
        raise ConfigError(f"{checkpoint} embeds no text")
    if listed[0][0] == "Transformer":
        model.max_seq_length = min(model.max_seq_length or LONGEST, LONGEST)
    else:
        model.to(placement.torch_dtype)
    return place(model, placement)


def _check(checkpoint: Checkpoint, kind: str, path: str, part: Any) -> None:
    """Raise MismatchError unless all of a part's weights are the checkpoint's."""
    config = files.settings(checkpoint, kind, path)
    if kind == "Transformer":
        architecture = type(part.model)
        _, info = architecture.from_pretrained(
            str(checkpoint.folder),
            subfolder=path,
            config=part.model.config,
            local_files_only=True,
            output_loading_info=True,
            weights_only=True,
            ignore_mismatched_sizes=True,
            device_map="meta",
        )
        if part.module_output_name == "token_embeddings":  # a pooler's output is not used
            missing = [k for k in info["missing_keys"] if not re.match(r"pooler\.", str(k))]
            info = {**info, "missing_keys": missing}
        check_keys(checkpoint, architecture.__name__, info, HEADS)
    elif kind == "Dense" and "activation_function" in config:
        # The library warns, and takes Tanh, where it does not trust the published one.
        published = str(config["activation_function"]).rpartition(".")[2]
        if (taken := type(part.activation_function).__name__) != published:
            raise MismatchError(
                f"{checkpoint}: {path} is published with activation {published}, which the library "
                f"loads as {taken}; it is refused, because such a model answers anyway"
            )
