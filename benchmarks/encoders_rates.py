"""Rates for ``encoders.py``: what the card can do, what a model needs, how busy the card is."""

from __future__ import annotations

import contextlib
import statistics
import threading
import time
from collections.abc import Callable
from typing import Any, Self


def synchronize(device: str) -> None:
    """Wait until the device has done what it was given."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.synchronize(device)


def seconds(run: Callable[[], Any], device: str) -> float:
    """Wall time of one call, the device's work included."""
    synchronize(device)
    began = time.perf_counter()
    run()
    synchronize(device)
    return time.perf_counter() - began


def each(run: Callable[[], Any], device: str, times: int = 10, rounds: int = 3) -> float:
    """Wall time of one of ``times`` calls in a row, after a warm-up; median of ``rounds``."""
    run()
    taken = [seconds(lambda: [run() for _ in range(times)], device) for _ in range(rounds)]
    return statistics.median(taken) / times


def matmul_tflops(device: str) -> dict[str, Any]:
    """The device's own rate for a square product of random matrices: 8192 in bfloat16 on a GPU,
    1024 in float32 elsewhere."""
    import torch

    gpu = device.startswith("cuda")
    n, dtype = (8192, torch.bfloat16) if gpu else (1024, torch.float32)
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    taken = each(lambda: a @ b, device)
    return {"tflops": 2 * n**3 / taken / 1e12, "size": n, "dtype": str(dtype).split(".")[1]}


def vjepa2_tflop(config: Any, frames: int) -> float:
    """1e12 floating-point operations of one clip through V-JEPA 2's encoder; a multiply-add is 2.

    With N tokens of width D in L layers, an MLP of width rD and patches of t x p x p x 3 values::

        N = (frames / t) * (crop / p)^2
        FLOP = 2 N D (3 t p^2)  +  L * (2 N D^2 (4 + 2 r)  +  4 N^2 D)
               patches                  projections, MLP     attention
    """
    width, patch, tubelet = config.hidden_size, config.patch_size, config.tubelet_size
    tokens = frames // tubelet * (config.crop_size // patch) ** 2
    patches = 2 * tokens * width * 3 * tubelet * patch**2
    dense = 2 * tokens * width**2 * (4 + 2 * config.mlp_ratio)
    attention = 4 * tokens**2 * width
    return float(patches + config.num_hidden_layers * (dense + attention)) / 1e12


def counted_tflop(run: Callable[[], Any]) -> float:
    """1e12 operations of the products, convolutions and attention in one call, as torch counts."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    def attention(q: Any, k: Any, v: Any, *_: Any, **__: Any) -> int:
        batch, heads, queries, width = q
        return int(2 * batch * heads * queries * k[-2] * (width + v[-1]))

    # Torch 2.11 counts neither a CPU's attention nor keys shared by several heads.
    kernels = ("flash_attention", "flash_attention_for_cpu", "efficient_attention")
    counting = {
        getattr(torch.ops.aten, f"_scaled_dot_product_{kernel}"): attention
        for kernel in (*kernels, "cudnn_attention")
    }
    with FlopCounterMode(display=False, custom_mapping=counting) as counter:
        run()
    return float(counter.get_total_flops()) / 1e12


def attention_tflops(config: Any, frames: int, device: str, dtype: Any) -> dict[str, float | str]:
    """By kernel, the rate of attention alone at V-JEPA 2's shape: where most of its work is."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.nn.functional import scaled_dot_product_attention as attend

    tokens = frames // config.tubelet_size * (config.crop_size // config.patch_size) ** 2
    heads, width = config.num_attention_heads, config.hidden_size
    shape = (1, heads, tokens, width // heads)
    q, k, v = (torch.randn(shape, device=device, dtype=dtype) for _ in range(3))
    found: dict[str, float | str] = {}
    for name in ("chosen", "flash", "cudnn", "efficient"):
        kernel = getattr(SDPBackend, f"{name.upper()}_ATTENTION", None)
        try:
            with contextlib.nullcontext() if kernel is None else sdpa_kernel(kernel):
                taken = each(lambda: attend(q, k, v), device)
        except RuntimeError:
            found[name] = "not available here"
        else:
            found[name] = float(f"{4 * tokens**2 * width / taken / 1e12:.4g}")
    return found


class Busy:
    """How much of the time the GPU had a kernel running, by the driver (NVML), every 50 ms."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._samples: list[tuple[float, int]] = []
        self._done = threading.Event()
        self.reason: str | None = None if device.startswith("cuda") else f"device is {device}"
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        if self.reason is None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()

    def percent(self, since: float = 0.0) -> float | None:
        """Mean over samples after ``since`` (``time.perf_counter``); None: not measured."""
        taken = [used for at, used in self._samples if at >= since]
        return round(statistics.mean(taken), 1) if taken else None

    def _watch(self) -> None:
        import torch

        while not self._done.wait(0.05):
            try:
                used = torch.cuda.utilization(self._device)
            except Exception as error:  # no NVML, or one that may not be asked
                self.reason = f"{type(error).__name__}: {error}"
                return
            self._samples.append((time.perf_counter(), used))
