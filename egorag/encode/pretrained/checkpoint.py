"""Checkpoints: a hub name and revision, or a local folder; found, fetched, hashed.

Nothing here downloads unless ``fetch`` is called. A checkpoint's identity is the hash of the files
that decide its output, wherever they lie: the same weights from the hub and from a folder of
yours are the same space. Only safetensors, or files that load as weights alone, are ever read.
"""

from __future__ import annotations

import fnmatch
import functools
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egorag.errors import ConfigError

WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.pth")
"""Weight files in order of preference: only the first kind that is there is used."""

DATA = ("*.json", "*.txt", "*.model", "*.jinja", "*.yaml", "*.npz")
"""What else decides a model's output: configs, tokenizers, templates."""

_OTHER_RUNTIMES = ("onnx", "openvino", "original", "flax", "tf", "coreml", "gguf", "runs")
_BLOB = re.compile(r"[0-9a-f]{64}")


class MissingWeightsError(ConfigError):
    """A checkpoint is not on this machine; ``mend`` is the command that brings it."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message)
        self.mend = mend


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on this disk.

    Attributes:
        name: as the config gives it.
        folder: where its files lie.
        files: SHA-256 by relative path, of every file that decides the output.
    """

    name: str
    folder: Path
    files: Mapping[str, str]

    @property
    def sha256(self) -> str:
        """One hash of all files; independent of where they lie and what they are called by."""
        text = json.dumps(sorted(self.files.items()))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def weight_bytes(self) -> int:
        """Size of the weight files on disk."""
        weights = [n for n in self.files if any(fnmatch.fnmatch(n, p) for p in WEIGHTS)]
        return sum((self.folder / name).stat().st_size for name in weights)

    def read_json(self, name: str = "config.json", *needed: str) -> dict[str, Any]:
        """A JSON file of the checkpoint.

        Raises:
            ConfigError: not there, or not a JSON object with the ``needed`` keys.
        """
        path = self.folder / name
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(data, dict):
                raise ValueError("not a JSON object")
            if lacking := [key for key in needed if key not in data]:
                raise ValueError(f"without {', '.join(lacking)}")
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"checkpoint {self.name!r} has no readable {name} ({error}); it is damaged or of "
                "another kind: fetch it again, or give the folder that `save_pretrained` wrote"
            ) from error
        return data

    def __str__(self) -> str:
        return f"{self.name} (sha256 {self.sha256[:12]})"


def find(name: str, revision: str | None = None, weights: Sequence[str] = WEIGHTS) -> Checkpoint:
    """The checkpoint on this disk; never touches the network.

    Args:
        name: a local folder, or a hub name such as ``facebook/vjepa2-vitl-fpc64-256``.
        revision: of the hub: a commit, tag or branch; None is the default branch as last fetched.
        weights: patterns of weight files, best first; where a repository holds a model in several
            layouts, the first that is there is the checkpoint's.

    Raises:
        ConfigError: a folder that does not exist or holds no weights.
        MissingWeightsError: a hub name whose weights are not cached here.
    """
    if is_path(name):
        folder = Path(name).expanduser()
        if not folder.is_dir():
            raise ConfigError(f"checkpoint {name!r} is not a folder; give a folder or a hub name")
        if not _complete(folder, weights):
            raise ConfigError(
                f"checkpoint folder {name!r} holds no whole set of weights ({', '.join(weights)}); "
                "give the folder that `save_pretrained` wrote, with all its shards"
            )
        return _checkpoint(name, folder, weights)
    snapshot = _cached(name, revision, weights)
    if snapshot is None or not _complete(snapshot, weights):
        raise MissingWeightsError(
            f"the weights of {name}{f' at {revision}' if revision else ''} are not on this machine",
            download_command(name, revision, weights),
        )
    return _checkpoint(name, snapshot, weights)


def fetch(
    name: str,
    revision: str | None,
    tell: Callable[[str], None],
    weights: Sequence[str] = WEIGHTS,
    setting: str = "encoders.NAME.checkpoint",
) -> Checkpoint:
    """The checkpoint, downloaded first if it is a hub name that is not cached.

    Licence, size and gated access are told before the download starts.

    Args:
        setting: what the config calls its name, for messages.

    Raises:
        ConfigError: offline, no such name or revision, or access not granted; says what to do.
    """
    try:
        return find(name, revision, weights)
    except MissingWeightsError as missing:
        import huggingface_hub
        from huggingface_hub import errors

        if huggingface_hub.is_offline_mode():
            raise MissingWeightsError(
                f"{missing}, and HF_HUB_OFFLINE forbids fetching them; where there is a network "
                f"run: {missing.mend}  - or give a folder: {setting}=FOLDER",
                missing.mend,
            ) from None
        try:
            info = huggingface_hub.HfApi().model_info(name, revision=revision, files_metadata=True)
            sizes = {s.rfilename: s.size or 0 for s in info.siblings or ()}
            wanted = relevant(sizes, weights)
            tell(_announcement(name, info, sum(sizes[n] for n in wanted)))
            huggingface_hub.snapshot_download(name, revision=revision, allow_patterns=wanted)
        except errors.GatedRepoError as error:
            raise MissingWeightsError(
                f"{name} is gated: accept its licence at https://huggingface.co/{name}, then log "
                "in with `hf auth login` (or set HF_TOKEN) and run this again",
                "hf auth login",
            ) from error
        except errors.RepositoryNotFoundError as error:
            raise ConfigError(
                f"the hub knows no model {name!r} (or it is private and you are not logged in); "
                "check the name, or give a local folder"
            ) from error
        except errors.RevisionNotFoundError as error:
            raise ConfigError(f"{name} has no revision {revision!r} on the hub") from error
        except Exception as error:  # requests, httpx, ssl, DNS: whatever stops a download
            raise MissingWeightsError(
                f"{missing} and could not be fetched ({type(error).__name__}: {_first(error)}); "
                f"where there is a network run: {missing.mend}  - or give a folder: "
                f"{setting}=FOLDER",
                missing.mend,
            ) from error
        return find(name, revision, weights)


def is_path(name: str) -> bool:
    """Whether ``name`` means a folder and not a hub name (``owner/model`` or ``model``)."""
    if name.startswith((".", "~", os.sep)) or Path(name).is_absolute():
        return True
    return name.count("/") > 1 or Path(name).is_dir()


def download_command(
    name: str, revision: str | None = None, weights: Sequence[str] = WEIGHTS
) -> str:
    """What a user types to get the weights: of a repository of many, the one file that counts."""
    file = f" {weights[0]}" if len(weights) == 1 and "*" not in weights[0] else ""
    return f"hf download {name}{file}" + (f" --revision {revision}" if revision else "")


def relevant(names: Iterable[str], weights: Sequence[str] = WEIGHTS) -> list[str]:
    """Of a checkpoint's files, those that decide its output: one kind of weights, and the data.

    >>> relevant(["model.safetensors", "pytorch_model.bin", "config.json", "onnx/model.onnx"])
    ['config.json', 'model.safetensors']
    """
    kept = [n for n in sorted(names) if not _aside(n)]
    for pattern in weights:
        chosen = [n for n in kept if fnmatch.fnmatch(n, pattern)]
        if chosen:
            break
    else:
        chosen = []
    # The index of a weight kind that is not used says nothing.
    suffixes = {Path(n).suffix for n in chosen}
    data = [
        n
        for n in kept
        if any(fnmatch.fnmatch(n, p) for p in DATA)
        and not (
            n.endswith(".index.json") and Path(n[: -len(".index.json")]).suffix not in suffixes
        )
    ]
    return sorted({*chosen, *data})


def _aside(name: str) -> bool:
    folders = name.split("/")[:-1]
    return any(f in _OTHER_RUNTIMES or f.startswith((".", "checkpoint-")) for f in folders) or (
        name.split("/")[-1].startswith(".") or name.endswith("training_args.bin")
    )


def _complete(folder: Path, weights: Sequence[str]) -> bool:
    """Whether weights are there and no shard that an index names is missing."""
    names = _names(folder, weights)
    if not any(fnmatch.fnmatch(n, p) for n in names for p in weights):
        return False
    for name in names:
        if name.endswith(".index.json"):
            index = json.loads((folder / name).read_text(encoding="utf-8"))
            shards: Sequence[str] = list(set(index.get("weight_map", {}).values()))
            beside = Path(name).parent
            if not all((folder / beside / shard).is_file() for shard in shards):
                return False
    return True


def _names(folder: Path, weights: Sequence[str]) -> list[str]:
    """Relative paths of the relevant files."""
    files = (p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return relevant(files, weights)


def _cached(name: str, revision: str | None, weights: Sequence[str]) -> Path | None:
    """The hub cache's snapshot folder; None if there is none, or not all of what counts."""
    try:
        import huggingface_hub
        from huggingface_hub import errors
    except ImportError:
        return None
    try:
        try:
            listed = huggingface_hub.get_cached_repo_tree(name, revision=revision)
            wanted = relevant((file.path for file in listed), weights)
        except errors.CachedRepoTreeNotFoundError:
            wanted = None  # fetched by a tool that keeps no listing
        found = huggingface_hub.snapshot_download(
            name, revision=revision, local_files_only=True, allow_patterns=wanted
        )
    except errors.LocalEntryNotFoundError:
        return None
    except (errors.HFValidationError, ValueError) as error:
        raise ConfigError(f"{name!r} is neither a folder nor a hub name: {error}") from error
    return Path(found)


def _checkpoint(name: str, folder: Path, weights: Sequence[str]) -> Checkpoint:
    return Checkpoint(name, folder, {n: _sha256(folder / n) for n in _names(folder, weights)})


def _sha256(path: Path) -> str:
    """Of the content. A large file of the hub's cache is named by its hash: not read again."""
    blob = path.resolve()
    if path.is_symlink() and _BLOB.fullmatch(blob.name):
        return blob.name
    state = blob.stat()
    return _digest(blob, state.st_size, state.st_mtime_ns)


@functools.lru_cache(maxsize=4096)
def _digest(path: Path, size: int, modified: int) -> str:
    del size, modified  # only in the key: another state is another digest
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _announcement(name: str, info: Any, size: int) -> str:
    card = info.card_data or {}
    licence = card.get("license_name") or card.get("license") or "not stated"
    gated = " It is gated: access must have been granted to your account." if info.gated else ""
    return f"fetching {name}: {size / 1e9:.1f} GB, licence: {licence}.{gated}"


def _first(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "")[:200]
