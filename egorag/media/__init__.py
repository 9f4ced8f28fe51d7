"""Media files in; frames, sound and cues out, at exact times.

    from egorag.media.probe import content_hash, probe
    from egorag.media.reader import Pass, frames, sound
    from egorag.media.sampling import CueSampling, FrameSampling, ShotSampling, SoundSampling

    facts = probe("kitchen.mp4")
    with Pass("kitchen.mp4", [FrameSampling(rate=1.0), SoundSampling(rate=16_000)]) as run:
        for reader, item in run:
            ...
    print(run.report)

PyAV is loaded with the module that needs it; the reader's names are here too, loaded when used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from egorag.media.reader import Pass, frames, sound

__all__ = ["Pass", "frames", "sound"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from egorag.media import reader

        return getattr(reader, name)
    raise AttributeError(f"module 'egorag.media' has no attribute {name!r}")
