"""CLAP by its authors' own package, ``laion-clap`` (https://github.com/LAION-AI/CLAP).

For their ``.pt`` checkpoints, published or trained by yourself; for the published ones in
transformers' form use ``clap``. The package's model is used. Its loader is not: it unpickles
whatever a checkpoint holds, fetches RoBERTa's weights only to overwrite them, and without a
network goes on with a tokenizer that knows no words. Nor is its cutting: of a sound longer than
10 s it takes a part at random.
"""

from __future__ import annotations

import importlib.util
import pickle
import sys
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from egorag.encode.pretrained import checkpoint as checkpoints
from egorag.encode.pretrained.base import Published, by_name
from egorag.encode.pretrained.batches import Batches
from egorag.encode.pretrained.checkpoint import Checkpoint, MissingWeightsError
from egorag.encode.pretrained.loading import MismatchError, check_keys, place, quiet
from egorag.encode.pretrained.placement import Placement
from egorag.encode.pretrained.sound_windows import Sound, SoundWindows
from egorag.errors import ConfigError
from egorag.terminal import tell

RATE, WINDOW, DIM, TEXT_TOKENS = 48_000, 480_000, 512, 77
"""Fixed in the package: Hz, samples, width of the embedding, tokens of a text."""

TOWERS = {96: "HTSAT-tiny", 128: "HTSAT-base", 256: "HTSAT-large"}
"""The package's sound towers by the width of their first layer."""


@dataclass(frozen=True, eq=False)
class _Loaded:
    model: Any  # clap_module.model.CLAP
    tokenizer: Any  # transformers.RobertaTokenizer
    batches: Batches


@dataclass(frozen=True, kw_only=True)
class LaionCLAP(SoundWindows):
    """Windows of 10 s at 48 kHz, and their mean.

    Samples are rounded to 16 bits, and a window shorter than 10 s is repeated as often as it fits
    whole and padded with silence: both as the package does. Text is cut to 77 tokens. It computes
    in float32, as the package. Checkpoints with fusion, which is for sounds of more than a window,
    are refused.

    Attributes:
        weights: file name of the checkpoint in its repository or folder, which may hold several.
        tokenizer: hub name or folder of RoBERTa's tokenizer; of it no weights are fetched.
    """

    family: ClassVar[str] = "laion/clap-package"
    packages: ClassVar[Mapping[str, str]] = {
        "torch": "torch",
        "torchvision": "torchvision",
        "transformers": "transformers",
        "laion_clap": "laion-clap",
    }
    extra: ClassVar[str] = "laion"
    published: ClassVar[Mapping[str, Published]] = {
        "lukewys/laion_clap": Published(158_334_169, DIM, "CC0-1.0", download=1.86e9),
    }
    dtypes: ClassVar[tuple[str, ...]] = ("auto", "float32")

    checkpoint: str = by_name("lukewys/laion_clap")
    weights: str = by_name("630k-audioset-best.pt")
    tokenizer: str = by_name("FacebookAI/roberta-base")

    def __post_init__(self) -> None:
        super().__post_init__()
        if Path(self.weights).suffix != ".pt":
            raise ValueError(f"weights must be the name of a .pt file, got {self.weights!r}")

    def weight_files(self) -> Sequence[str]:
        return (self.weights,)

    def share_key(self) -> Hashable:
        return (super().share_key(), self.weights)

    def source(self) -> Checkpoint:
        folder = Path(self.checkpoint).expanduser()
        if checkpoints.is_path(self.checkpoint) and not (folder / self.weights).is_file():
            held = sorted(p.name for p in folder.glob("*.pt"))
            raise ConfigError(
                f"checkpoint folder {self.checkpoint!r} holds no {self.weights}; give "
                f"encoders.NAME.weights={held[0] if held else 'FILE.pt'}"
            )
        return super().source()

    def fetch(self) -> None:
        super().fetch()
        checkpoints.fetch(self.tokenizer, None, tell, ("tokenizer.json",))

    def _window(self) -> tuple[int, int]:
        return RATE, WINDOW

    def _dim(self) -> int:
        return DIM

    def describe(self) -> str:
        return (
            f"laion-clap ({self.checkpoint}, {self.weights}): {self._cut()}, {DIM}-d; a shorter "
            f"window is repeated and padded with silence; text of up to {TEXT_TOKENS} tokens as "
            "it is given"
        )

    def _load(self, placement: Placement) -> _Loaded:
        source = self.source()
        self._step()
        state = _state(source, self.weights)
        model = architecture(*_shape(source, state))
        try:
            report = model.load_state_dict(state, strict=False)
        except RuntimeError as error:
            raise MismatchError(f"{source} does not fit laion-clap's model: {error}") from error
        # An index of positions that transformers kept with the weights until 4.31.
        check_keys(source, "laion-clap's model", report, [r"\.position_ids$"])
        tokenizer = _tokenizer(self.tokenizer, model.text_branch.config.vocab_size)
        return _Loaded(place(model, placement), tokenizer, Batches(placement.device, self.batch))

    def _embed_sounds(self, windows: Sequence[Sound]) -> Any:
        import torch

        not_longer = torch.tensor([False])
        return self.loaded.model.get_audio_embedding(
            [{"waveform": torch.from_numpy(_fill(w)), "longer": not_longer} for w in windows]
        )

    def _embed_text(self, text: str) -> Any:
        tokens = self.loaded.tokenizer(
            [text],
            padding="max_length",
            truncation=True,
            max_length=TEXT_TOKENS,
            return_tensors="pt",
        )
        return self.loaded.model.get_text_embedding(
            {name: tokens[name] for name in ("input_ids", "attention_mask")}
        )


def _fill(samples: Sound) -> Sound:
    """A whole window as the package makes one: 16 bits, ``repeatpad``."""
    rounded = (np.clip(samples, -1, 1) * 32767).astype(np.int16)
    repeated = np.tile((rounded / 32767).astype(np.float32), WINDOW // len(samples))
    return np.pad(repeated, (0, WINDOW - len(repeated)))


def architecture(sound: str, text: Mapping[str, int]) -> Any:
    """The package's model with random weights, its text tower made without the network.

    Args:
        sound: of ``TOWERS``.
        text: sizes for ``transformers.RobertaConfig``.
    """
    import torch
    from transformers import RobertaConfig, RobertaModel

    package = _package()
    config = package.factory._MODEL_CONFIGS[sound]
    # Made with the small tower of the package that needs no download, which RoBERTa then replaces.
    other = {**config["text_cfg"], "model_type": "transformer", "width": 8, "heads": 1, "layers": 1}
    with quiet():
        model = package.model.CLAP(config["embed_dim"], config["audio_cfg"], other)
        tower = RobertaModel(RobertaConfig(type_vocab_size=1, layer_norm_eps=1e-5, **text))
    del model.token_embedding, model.positional_embedding, model.ln_final
    model.text_branch, model.text_branch_type = tower, "roberta"
    model.text_projection[0] = torch.nn.Linear(tower.config.hidden_size, DIM)
    return model


def _package() -> Any:
    """``laion_clap.clap_module``, under the name that it calls itself by.

    Importing ``laion_clap`` itself also imports its training code, which looks for three
    tokenizers on the hub, for minutes where there is no network.
    """
    name = "clap_module"
    if name not in sys.modules:
        found = importlib.util.find_spec("laion_clap")
        assert found is not None and found.submodule_search_locations
        folder = Path(found.submodule_search_locations[0]) / name
        spec = importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


def _state(source: Checkpoint, name: str) -> dict[str, Any]:
    """The tensors by name, without unpickling anything but tensors and numbers.

    Raises:
        ConfigError: the file holds other objects, is damaged, or holds no tensors.
    """
    import torch

    # The published files hold a score as a numpy number; these names make one of bytes, no more.
    number = np.dtype(np.float64)
    allowed = [
        (number.type(0).__reduce__()[0], "numpy.core.multiarray.scalar"),
        (np.dtype, "numpy.dtype"),
        type(number),
    ]
    try:
        with torch.serialization.safe_globals(allowed):
            data = torch.load(source.folder / name, "cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise ConfigError(
            f"{source.folder / name} cannot be read as weights alone, and nothing else is ever "
            f"loaded ({str(error).strip().splitlines()[0]}); fetch it again, or save its "
            "state_dict alone with torch.save"
        ) from error
    state = data.get("state_dict", data) if isinstance(data, dict) else {}
    tensors = {k.removeprefix("module."): v for k, v in state.items() if torch.is_tensor(v)}
    if not tensors:
        raise ConfigError(f"{source.folder / name} holds no tensors; give a laion-clap checkpoint")
    return tensors


def _shape(source: Checkpoint, state: Mapping[str, Any]) -> tuple[str, dict[str, int]]:
    """Which architecture the tensors are of, as ``architecture`` takes it.

    Raises:
        MismatchError: none of the package's with HTSAT and RoBERTa.
        ConfigError: one with fusion.
    """
    if any(".fusion_model." in name for name in state):
        raise ConfigError(
            f"{source.name} has fusion, which is for sounds longer than a window; give one without "
            "(630k-audioset-best.pt), or use +encoder=clap with laion/clap-htsat-fused"
        )
    text = "text_branch.encoder.layer."
    places = "text_branch.embeddings.position_embeddings.weight"
    try:
        sound = TOWERS[state["audio_branch.patch_embed.proj.weight"].shape[0]]
        words, width = state["text_branch.embeddings.word_embeddings.weight"].shape
        sizes = {
            "vocab_size": words,
            "hidden_size": width,
            "num_attention_heads": max(1, width // 64),
            "num_hidden_layers": len({k.split(".")[3] for k in state if k.startswith(text)}),
            "intermediate_size": state[f"{text}0.intermediate.dense.weight"].shape[0],
            "max_position_embeddings": state[places].shape[0],
        }
    except (KeyError, ValueError) as error:
        raise MismatchError(
            f"{source} is no laion-clap checkpoint of HTSAT and RoBERTa (tensor {error} is missing "
            "or of another width)"
        ) from error
    return sound, sizes


def _tokenizer(name: str, words: int) -> Any:
    """RoBERTa's tokenizer from this disk.

    Raises:
        MissingWeightsError: not here.
        ConfigError: of another vocabulary than the model's ``words``.
    """
    from transformers import RobertaTokenizer

    try:
        found = checkpoints.find(name, None, ("tokenizer.json",))
    except MissingWeightsError as missing:
        raise MissingWeightsError(
            f"the tokenizer of {name} is not on this machine", missing.mend
        ) from None
    with quiet():
        tokenizer = RobertaTokenizer.from_pretrained(str(found.folder), local_files_only=True)
    if len(tokenizer) != words:
        raise ConfigError(
            f"the tokenizer of {name!r} knows {len(tokenizer)} tokens, the model {words}; give "
            "encoders.NAME.tokenizer=FacebookAI/roberta-base or the one it was trained with"
        )
    return tokenizer
