"""Devices, batches and shared models; memory and time are faked, the arithmetic is not."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from egorag.encode.pretrained import batches, shared
from egorag.encode.pretrained.batches import Batches, fitting
from egorag.encode.pretrained.placement import device_of, dtype_of, free_memory
from egorag.errors import ConfigError, EgoragError


def test_batches_keep_the_order_and_drop_nothing() -> None:
    seen: list[int] = []

    def run(batch: Sequence[int]) -> list[int]:
        seen.append(len(batch))
        return list(batch)

    found = Batches("cpu", 3).map(list(range(8)), run)
    assert [x for part in found for x in part] == list(range(8))
    assert seen == [3, 3, 2]
    assert Batches("cpu", 3).map([], run) == []


def test_a_batch_that_does_not_fit_is_halved_and_run_again() -> None:
    tried: list[int] = []

    def run(batch: Sequence[int]) -> list[int]:
        tried.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("no room")
        return list(batch)

    held = Batches("cpu", 8)
    found = held.map(list(range(8)), run)
    assert [x for part in found for x in part] == list(range(8))
    assert tried == [8, 4, 2, 2, 2, 2] and held.size == 2


def test_one_item_that_does_not_fit_says_what_to_do() -> None:
    def run(batch: Sequence[int]) -> list[int]:
        raise torch.OutOfMemoryError("no room")

    with pytest.raises(EgoragError, match="smaller preset or frame count"):
        Batches("cpu", 2).map([1, 2, 3], run)


def test_another_error_is_not_swallowed() -> None:
    def run(batch: Sequence[int]) -> list[int]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Batches("cpu", 2).map([1], run)


def test_a_gpu_batch_is_found_from_one_item(monkeypatch: pytest.MonkeyPatch) -> None:
    """The measuring itself, on a card made of numbers: 100 bytes before, 250 at the peak."""
    for name, value in {
        "synchronize": lambda device: None,
        "memory_allocated": lambda device: 100,
        "reset_peak_memory_stats": lambda device: None,
        "max_memory_allocated": lambda device: 250,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(batches, "free_memory", lambda device: 2_000)
    sizes: list[int] = []

    def run(batch: Sequence[int]) -> list[int]:
        sizes.append(len(batch))
        return list(batch)

    held = Batches("cuda:0", None)
    found = held.map(list(range(20)), run)
    assert [x for part in found for x in part] == list(range(20))
    assert held.size == fitting(2_000, 150, 64) == 9
    assert sizes == [1, 1, 9, 9, 2]


def test_devices() -> None:
    assert device_of("cpu") == "cpu"
    assert device_of("auto") in ("cpu", "cuda:0", "mps")
    with pytest.raises(ConfigError, match="did you mean 'cuda'"):
        device_of("cudo")
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="torch sees no GPU"):
            device_of("cuda:1")


def test_devices_that_are_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="no Metal here; use device=cpu"):
        device_of("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert device_of("cuda:1") == "cuda:1"
    with pytest.raises(ConfigError, match=r"torch sees 2 GPU\(s\), counted from cuda:0"):
        device_of("cuda:2")
    with pytest.raises(ConfigError, match="unknown device 'cuda:x'"):
        device_of("cuda:x")


def test_number_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    assert dtype_of("auto", "cpu") == "float32"
    assert dtype_of("bfloat16", "cpu") == "bfloat16"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert dtype_of("auto", "cuda:0") == "bfloat16"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    assert dtype_of("auto", "cuda:0") == "float16"


def test_free_memory_is_of_this_machine() -> None:
    psutil = pytest.importorskip("psutil")
    assert 0 < free_memory("cpu") <= psutil.virtual_memory().total


def test_a_shared_model_is_loaded_once_and_freed_by_the_last() -> None:
    loads: list[int] = []

    def load() -> Any:
        loads.append(1)
        return object()

    first = shared.acquire("key", load)
    second = shared.acquire("key", load)
    assert first is second and len(loads) == 1
    shared.release(first)
    assert second.model is not None
    shared.release(second)
    assert second.model is None
    shared.release(shared.acquire("key", load))
    assert len(loads) == 2


def test_a_shared_model_is_loaded_once_from_many_threads() -> None:
    loads: list[int] = []
    gate = threading.Barrier(8)

    def load() -> Any:
        loads.append(1)
        return object()

    def use() -> None:
        gate.wait()
        held.append(shared.acquire("many", load))

    held: list[shared.Held] = []
    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1 and len(held) == 8
    for one in held:
        shared.release(one)


def test_a_model_that_cannot_be_loaded_is_not_held() -> None:
    def fail() -> Any:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        shared.acquire("broken", fail)
    shared.release(shared.acquire("broken", object))
