"""From open_clip's names and configs to a model whose every tensor comes from the checkpoint.

open_clip's own ``create_model`` fetches what is not here, resizes position embeddings that do not
fit, and takes the first weight file it likes; here the files are found and hashed before.
"""

from __future__ import annotations

import copy
import fnmatch
from dataclasses import dataclass
from typing import Any

from egorag.encode.pretrained.checkpoint import WEIGHTS, Checkpoint
from egorag.encode.pretrained.loading import MismatchError, check_keys, quiet
from egorag.encode.pretrained.plaintext import plain
from egorag.errors import ConfigError, did_you_mean

CONFIG = "open_clip_config.json"


@dataclass(frozen=True, eq=False)
class Layout:
    """An architecture and how its pictures are prepared.

    Attributes:
        name: for messages.
        model: keyword arguments of open_clip's model classes.
        preprocess: of ``open_clip.transform.PreprocessCfg``.
    """

    name: str
    model: dict[str, Any]
    preprocess: dict[str, Any]

    @property
    def dim(self) -> int:
        """Width of the embedding."""
        return int(self.model["embed_dim"])

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        size = self.preprocess["size"]
        height, width = size if isinstance(size, (list, tuple)) else (size, size)
        return int(width), int(height)

    @property
    def resize(self) -> str:
        """``shortest`` (and cut), ``longest`` (and bars) or ``squash``."""
        return str(self.preprocess.get("resize_mode", "shortest"))


def tag(model: str, pretrained: str) -> dict[str, Any]:
    """open_clip's entry for a tag: where its weights lie and how pictures are prepared.

    Raises:
        ConfigError: no such model or tag, or one that lies nowhere on the hub.
    """
    import open_clip

    architecture(model)
    found: dict[str, Any] = open_clip.get_pretrained_cfg(model, pretrained)
    if not found:
        known = open_clip.list_pretrained_tags_by_model(model)
        raise ConfigError(
            f"open_clip has no {pretrained!r} of {model}{did_you_mean(pretrained, known)}"
        )
    if not found.get("hf_hub"):
        raise ConfigError(
            f"open_clip keeps {pretrained!r} of {model} at {found.get('url')}, not on the hub; "
            "download it and give its folder as checkpoint"
        )
    return found


def architecture(model: str) -> dict[str, Any]:
    """The config of an architecture that open_clip knows by name.

    Raises:
        ConfigError: no such name.
    """
    import open_clip

    config: dict[str, Any] | None = open_clip.get_model_config(model)
    if config is None:
        raise ConfigError(
            f"open_clip has no model {model!r}{did_you_mean(model, open_clip.list_models())}"
        )
    return config


def layout_of(source: Checkpoint, model: str | None, pretrained: str | None) -> Layout:
    """From open_clip's lists where names are given, else from the checkpoint's own config.

    Raises:
        ConfigError: no such name, or a checkpoint that is none of open_clip's.
    """
    if model is None:
        told = source.read_json(CONFIG)
        if not {"embed_dim", "vision_cfg", "text_cfg"} <= set(told.get("model_cfg", {})):
            raise ConfigError(
                f"{CONFIG} of checkpoint {source.name!r} has no whole model_cfg; give model, the "
                "name of an architecture of open_clip"
            )
        config, preprocess = told["model_cfg"], dict(told.get("preprocess_cfg", {}))
    else:
        config = architecture(model)
        preprocess = {}
        if pretrained is not None:
            entry = tag(model, pretrained)
            kept = ("mean", "std", "interpolation", "resize_mode")
            preprocess = {key: entry[key] for key in kept if key in entry}
            if entry.get("quick_gelu"):  # it was trained so, whatever the architecture says
                config["quick_gelu"] = True
        elif (source.folder / CONFIG).is_file():
            preprocess = dict(source.read_json(CONFIG).get("preprocess_cfg", {}))
    # The tower's own size wins, as in open_clip.
    preprocess["size"] = config["vision_cfg"].get("image_size", 224)
    return Layout(model or source.name, config, preprocess)


def build(layout: Layout) -> Any:
    """The model without weights, in float32; no tower fetches weights of its own.

    Raises:
        OSError: a text tower of transformers whose config is not on this machine.
    """
    import open_clip

    config = copy.deepcopy(layout.model)
    vision, text = config["vision_cfg"], config["text_cfg"]
    if "timm_model_name" in vision:
        vision["timm_model_pretrained"] = False
    if "hf_model_name" in text:
        text["hf_model_pretrained"] = False
        _check_text_tower(text["hf_model_name"])
    custom = config.pop("custom_text", False) or "hf_model_name" in text
    if not custom:
        return open_clip.CLIP(**config)
    return (open_clip.CoCa if "multimodal_cfg" in config else open_clip.CustomTextCLIP)(**config)


def _check_text_tower(name: str) -> None:
    """Its config, which open_clip reads from a second repository, must be here."""
    from transformers import AutoConfig

    try:
        with quiet():
            AutoConfig.from_pretrained(name, local_files_only=True)
    except OSError as error:
        raise ConfigError(
            f"the text tower is built from the config of {name}, which is not on this machine; "
            f"where there is a network run: hf download {name} config.json"
        ) from error


def load_weights(model: Any, source: Checkpoint) -> None:
    """Every tensor from the checkpoint's weight file.

    Raises:
        MismatchError: tensors are missing, left over or of another shape.
        ConfigError: more than one weight file, or one that does not load as weights alone.
    """
    import torch
    from open_clip.convert import convert_state_dict
    from open_clip.factory import load_state_dict
    from open_clip.model import convert_to_custom_text_state_dict

    kind = f"open_clip's {type(model).__name__}"
    files = [n for n in source.files if any(fnmatch.fnmatch(n, p) for p in WEIGHTS)]
    if len(files) != 1:
        raise ConfigError(
            f"checkpoint {source.name!r} has {len(files)} weight files ({', '.join(files)}); "
            "open_clip's have one: remove the others"
        )
    try:
        state = load_state_dict(str(source.folder / files[0]), weights_only=True)
        state = convert_state_dict(model, state)
    except Exception as error:  # damaged files fail in as many ways as there are formats
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ConfigError(f"{source}: {files[0]} does not load as weights: {reason}") from error
    if "positional_embedding" in state and not hasattr(model, "positional_embedding"):
        state = convert_to_custom_text_state_dict(state)  # as saved before open_clip 2.0
    state.pop("text.transformer.embeddings.position_ids", None)  # no weights: 0, 1, 2, ...
    if getattr(model, "logit_bias", None) is not None:  # of the loss; embeddings have none
        state.setdefault("logit_bias", torch.zeros(()))
    for scalar in {"logit_scale", "logit_bias"} & set(state):  # saved with and without an axis
        own = getattr(model, scalar, None)
        if own is not None and own.numel() == state[scalar].numel():
            state[scalar] = state[scalar].reshape(own.shape)
    try:
        info = model.load_state_dict(state, strict=False)
    except RuntimeError as error:  # of another shape
        raise MismatchError(f"{source} does not fit {kind}: {error}") from error
    check_keys(source, kind, info)


def tokenizer_of(layout: Layout, source: Checkpoint) -> Any:
    """CLIP's own, or the one whose files lie with the checkpoint.

    Raises:
        ConfigError: the config wants a tokenizer whose files are not there.
    """
    from open_clip.tokenizer import DEFAULT_CONTEXT_LENGTH, HFTokenizer, SimpleTokenizer

    text = layout.model["text_cfg"]
    length = text.get("context_length", DEFAULT_CONTEXT_LENGTH)
    settings = text.get("tokenizer_kwargs", {})
    name = text.get("hf_tokenizer_name")
    if not name:
        return SimpleTokenizer(context_length=length, **settings)
    if not any((source.folder / f"tokenizer{end}").is_file() for end in (".json", "_config.json")):
        raise ConfigError(
            f"checkpoint {source.name!r} has no tokenizer; put the tokenizer files of {name} "
            "into its folder"
        )
    with quiet():
        return HFTokenizer(
            str(source.folder),
            context_length=length,
            tokenizer_mode=text.get("tokenizer_mode"),
            **settings,
        )


def harmless(text: str, tokenizer: Any) -> str:
    """``text`` without the marks that begin and end one: CLIP reads its embedding at the end."""
    inner = getattr(tokenizer, "tokenizer", None)
    if inner is not None:
        return plain(text, inner)
    for mark in (tokenizer.decoder[i] for i in tokenizer.all_special_ids):
        text = text.replace(mark, " ")
    return text
