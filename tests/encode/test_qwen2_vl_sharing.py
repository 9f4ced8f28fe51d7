"""Qwen2-VL's embedder and captioner use one model, whichever comes or goes first."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("torchvision")

from checkpoints import qwen2_vl as tiny
from checkpoints import scenes as made

from egorag.encode.base import FrameClip
from egorag.encode.pretrained.loading import MismatchError
from egorag.encode.qwen2_vl import Qwen2VL
from egorag.encode.qwen2_vl_captioner import Qwen2VLCaptioner
from egorag.errors import EgoragError

SMALL = {"max_pixels": 128 * 28 * 28, "max_frames": 6}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write(tmp_path_factory.mktemp("qwen2_vl"))


@pytest.fixture(scope="module")
def clips() -> list[FrameClip]:
    return [*made.scenes(1, 5, width=336, height=280), *made.scenes(3, width=168, height=560)]


def same(one: Any, other: Any) -> bool:
    return np.array_equal(one, other) if isinstance(one, np.ndarray) else bool(one == other)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["embedder first", "captioner first"])
def test_one_model_for_both(folder: Path, clips: list[FrameClip], order: tuple[int, int]) -> None:
    embedder = Qwen2VL(checkpoint=str(folder), **SMALL)
    captioner = Qwen2VLCaptioner(checkpoint=str(folder), max_new_tokens=6, **SMALL)
    assert embedder.share_key() == captioner.share_key()
    alone = []
    for one in (embedder, captioner):
        one.setup()
        alone.append(one.encode(clips))
        one.close()
    both = (embedder, captioner)
    for number in order:
        both[number].setup()
    weights = embedder.loaded.held.model
    assert weights is captioner.loaded.held.model
    assert weights.tower is weights.whole.model.visual
    np.testing.assert_array_equal(embedder.encode(clips), alone[0])
    assert captioner.encode(clips) == alone[1]
    np.testing.assert_array_equal(embedder.encode(clips), alone[0])
    both[order[0]].close()
    rest = both[order[1]]
    assert same(rest.encode(clips), alone[order[1]])
    gone = weakref.ref(weights.whole)
    del weights
    rest.close()
    gc.collect()
    assert gone() is None
    with pytest.raises(EgoragError, match="setup"):
        rest.encode(clips)


def test_all_at_once_from_threads_of_their_own(
    folder: Path, clips: list[FrameClip], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model keeps the positions of the running text on itself: computing is one at a time."""
    encoders: list[Any] = [
        Qwen2VL(checkpoint=str(folder), **SMALL),
        Qwen2VLCaptioner(checkpoint=str(folder), max_new_tokens=6, **SMALL),
        Qwen2VLCaptioner(checkpoint=str(folder), max_new_tokens=6, prompt="Who?", **SMALL),
    ]
    for encoder in encoders:
        encoder.setup()
    expected = [[encoder.encode([clip]) for clip in clips] for encoder in encoders]
    found: list[list[Any]] = [[] for _ in encoders]
    weights, inside, together = encoders[0].loaded.held.model, set(), []

    def watched(compute: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any, **named: Any) -> Any:
            inside.add(threading.get_ident())
            time.sleep(0.005)  # let another in, if nothing keeps it out
            together.append(len(inside))
            result = compute(*given, **named)
            inside.discard(threading.get_ident())
            return result

        return run

    monkeypatch.setattr(weights.whole, "generate", watched(weights.whole.generate))
    monkeypatch.setattr(weights.tower.merger, "forward", watched(weights.tower.merger.forward))

    def work(number: int) -> None:
        for _ in range(2):
            found[number].append([encoders[number].encode([clip]) for clip in clips])
        encoders[number].close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(encoders))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(together) == {1}
    for number, rounds in enumerate(found):
        assert len(rounds) == 2
        for results in rounds:
            assert all(map(same, results, expected[number]))


def test_a_missing_tensor_of_the_language_model_is_refused_by_name(tmp_path: Path) -> None:
    """By the captioner that comes second, too, which leaves the embedder as it was."""
    tiny.write(tmp_path)
    name = made.without(tmp_path, "layers.1.mlp.up_proj.weight")
    embedder = Qwen2VL(checkpoint=str(tmp_path), **SMALL)
    embedder.setup()
    before = embedder.encode(made.scenes(2))
    with pytest.raises(MismatchError, match=name.removeprefix("model.")):
        Qwen2VLCaptioner(checkpoint=str(tmp_path)).setup()
    np.testing.assert_array_equal(embedder.encode(made.scenes(2)), before)
    gone = weakref.ref(embedder.loaded.held.model.tower)
    embedder.close()
    gc.collect()
    assert gone() is None
