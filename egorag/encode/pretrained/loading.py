"""Loading weights so that every parameter comes from the checkpoint, or not at all.

``from_pretrained`` only logs a line when layers are missing and leaves them random; such a model
answers anyway. Here a missing, unexpected or misshapen tensor refuses to load, by name.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from egorag.encode.pretrained.checkpoint import Checkpoint
from egorag.encode.pretrained.placement import Placement
from egorag.errors import ConfigError

VOCABULARIES = frozenset(
    ("tokenizer.json", "vocab.json", "vocab.txt", "tokenizer.model", "spiece.model")
)
"""Files one of which a tokenizer is made from."""


class MismatchError(ConfigError):
    """A checkpoint's tensors are not the model's."""


def load_model(
    architecture: Any,
    checkpoint: Checkpoint,
    placement: Placement,
    ignore: Sequence[str] = (),
    **options: Any,
) -> Any:
    """A transformers model in eval mode on its device, every parameter from the checkpoint.

    Args:
        architecture: a class with ``from_pretrained``, e.g. ``transformers.VJEPA2Model``.
        ignore: regular expressions of tensor names the checkpoint may have beyond the model
            (a head that is not used). Missing ones are never ignored.
        options: for ``from_pretrained``, e.g. ``key_mapping`` where only a part is loaded.

    Raises:
        MismatchError: tensors are missing, left over or of another shape.
        ConfigError: the files are damaged or of another kind of model.
    """
    import torch

    check_kind(checkpoint, architecture)
    chosen = {} if placement.attention == "auto" else {"attn_implementation": placement.attention}
    with quiet():
        try:
            model, info = architecture.from_pretrained(
                str(checkpoint.folder),
                local_files_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # refused below, by name
                dtype=placement.torch_dtype,
                weights_only=True,
                **chosen,
                **options,
            )
        except (ImportError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # damaged files fail in as many ways as there are formats
            kind = MismatchError if "mismatch" in str(error) else ConfigError
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise kind(
                f"{checkpoint} cannot be loaded as {architecture.__name__}: {reason}"
            ) from error
    check_keys(checkpoint, architecture.__name__, info, ignore)
    return place(model, placement)


def check_kind(checkpoint: Checkpoint, architecture: Any) -> None:
    """Refuse another family's checkpoint by its ``model_type``, before anything is built.

    transformers reads what it knows of such a config and fills in the rest: a model of full size,
    which may take more memory than the machine has before a single tensor is compared.

    Raises:
        ConfigError: of another kind.
    """
    wanted = architecture.config_class.model_type
    given = checkpoint.read_json().get("model_type")
    if given != wanted and not wanted.startswith(f"{given}_"):  # a part, such as qwen2_vl_vision
        raise ConfigError(
            f"checkpoint {checkpoint.name!r} is of type {given!r} (config.json), but "
            f"{architecture.__name__} takes {wanted!r}; give the checkpoint this encoder is for"
        )


def load_processor(kind: Any, checkpoint: Checkpoint, **options: Any) -> Any:
    """A tokenizer, or what prepares pictures or sound, from the checkpoint's own files.

    Args:
        kind: a class with ``from_pretrained``, e.g. ``transformers.AutoTokenizer``.
        options: for ``from_pretrained``.

    Raises:
        ConfigError: its files are missing or damaged. Of a folder without a vocabulary transformers
            makes a tokenizer that knows no words: all texts would be equal, all captions empty.
    """
    from transformers import ProcessorMixin

    speaks = kind.__name__.endswith("Tokenizer") or issubclass(kind, ProcessorMixin)
    if speaks and not VOCABULARIES & checkpoint.files.keys():
        raise ConfigError(
            f"checkpoint {checkpoint.name!r} has no tokenizer (such as tokenizer.json, or "
            "vocab.json and merges.txt); give the whole folder, with its processor and tokenizer"
        )
    with quiet():
        try:
            return kind.from_pretrained(str(checkpoint.folder), local_files_only=True, **options)
        except ImportError:
            raise
        except Exception as error:  # damaged files fail in as many ways as there are formats
            reason = str(error).strip().split(". ")[0].splitlines() or [type(error).__name__]
            raise ConfigError(
                f"checkpoint {checkpoint.name!r} has no {kind.__name__} that can be loaded "
                f"({reason[0]}); give the whole folder, with its processor and tokenizer"
            ) from error


def place(model: Any, placement: Placement) -> Any:
    """In eval mode, without gradients, on its device."""
    return model.eval().requires_grad_(False).to(placement.device)


def check_keys(
    checkpoint: Checkpoint, architecture: str, info: Any, ignore: Sequence[str] = ()
) -> None:
    """Refuse a loading report with anything missing, left over or misshapen.

    Args:
        info: ``missing_keys``, ``unexpected_keys``, ``mismatched_keys`` (and ``error_msgs``), as
            transformers' ``output_loading_info`` and torch's ``load_state_dict`` give them.

    Raises:
        MismatchError: names the tensors.
    """
    get = (
        info.get if isinstance(info, dict) else lambda key, default=(): getattr(info, key, default)
    )
    ignored = re.compile("|".join(f"(?:{p})" for p in ignore)) if ignore else None
    unexpected = [k for k in get("unexpected_keys", ()) if not (ignored and ignored.search(k))]
    wrong = {
        "missing": sorted(map(str, get("missing_keys", ()))),
        "unexpected": sorted(map(str, unexpected)),
        "of another shape": sorted(str(k) for k in get("mismatched_keys", ())),
        "in error": sorted(map(str, get("error_msgs", ()))),
    }
    told = [f"{len(keys)} tensors {how} ({_some(keys)})" for how, keys in wrong.items() if keys]
    if told:
        raise MismatchError(
            f"{checkpoint} does not fit {architecture}: {'; '.join(told)}. It is refused, because "
            "a layer without weights answers anyway; give the checkpoint this encoder is for"
        )


def _some(keys: Iterable[str], most: int = 5) -> str:
    listed = list(keys)
    more = f", and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' bars and warnings: what matters is checked and raised."""
    import transformers

    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
