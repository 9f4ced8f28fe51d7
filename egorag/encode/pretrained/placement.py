"""Where a model runs and in which number format: chosen once, stated, part of the fingerprint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from egorag.errors import ConfigError, did_you_mean

DTYPES = ("auto", "float32", "bfloat16", "float16")
ATTENTION = ("auto", "sdpa", "eager", "flash_attention_2")


@dataclass(frozen=True)
class Placement:
    """A device and number format with nothing left to choose.

    Attributes:
        device: as torch takes it: ``cpu``, ``cuda:0``, ``mps``.
        dtype: name of a torch dtype.
        attention: of ``ATTENTION``; ``auto`` lets transformers take SDPA where the model has it.
    """

    device: str
    dtype: str
    attention: str = "auto"

    @property
    def torch_dtype(self) -> Any:
        """The ``torch.dtype``."""
        import torch

        return getattr(torch, self.dtype)


def device_of(device: str) -> str:
    """``auto`` resolved to the fastest device here; any other name checked.

    Raises:
        ConfigError: torch does not have that device.
    """
    if device == "cpu":
        return device  # known without torch
    import torch

    if device == "auto":
        if torch.cuda.is_available():
            return "cuda:0"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    kind, colon, number = device.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (colon and not number.isdecimal()):
        raise ConfigError(
            f"unknown device {device!r}{did_you_mean(kind, ('auto', 'cpu', 'cuda', 'mps'))}"
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise ConfigError(
            f"device {device!r} was asked for, but torch has no Metal here; use device=cpu"
        )
    if kind == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            f"device {device!r} was asked for, but torch sees no GPU; use device=cpu, or mend the "
            'driver (python -c "import torch; torch.cuda.init()" tells why)'
        )
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"device {device!r} was asked for, but torch sees {torch.cuda.device_count()} GPU(s), "
            "counted from cuda:0"
        )
    return "cuda:0" if device == "cuda" else device


def dtype_of(dtype: str, device: str) -> str:
    """``auto`` resolved: bfloat16 on a GPU that has it, float16 on mps and older GPUs, else
    float32."""
    if dtype != "auto":
        return dtype
    if device.startswith("cuda"):
        import torch

        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    return "float16" if device == "mps" else "float32"


def free_memory(device: str) -> int:
    """Bytes that a model and its batches may still take on ``device``."""
    if device.startswith("cuda"):
        import torch

        free, _ = torch.cuda.mem_get_info(device)
        # What torch's allocator keeps for reuse is free for us.
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free + kept)
    return _free_ram()


def _free_ram() -> int:
    """The machine's available memory, or what a container's limit leaves."""
    from pathlib import Path

    available = 0
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                available = int(line.split()[1]) * 1024
    except OSError:
        import os

        if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
            available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    for folder, limit, used in (
        ("/sys/fs/cgroup", "memory.max", "memory.current"),
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        try:
            most = (Path(folder) / limit).read_text().strip()
            if most != "max":
                left = int(most) - int((Path(folder) / used).read_text())
                available = min(available or left, max(left, 0))
        except (OSError, ValueError):
            continue
    return available or 4 * 2**30
