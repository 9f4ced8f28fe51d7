"""PySceneDetect's detectors: which there are, what they take, and how late each may report a cut.

Source: https://www.scenedetect.com/docs/ (version 0.7).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from egorag.errors import ConfigError, did_you_mean
from egorag.segment.quick import quicken

FADE_LAG = 250
"""Frames the threshold detector may report a cut late. It cuts in the middle of a dark stretch
once the picture returns, however long that takes; a cut further back is moved up to this."""


@dataclass(frozen=True)
class Kind:
    """One of PySceneDetect's detectors.

    Attributes:
        class_name: in ``scenedetect``.
        threshold: how the class calls its threshold.
        options: its other settings that a user may give.
        defaults: our own, where PySceneDetect's serve worse.
    """

    class_name: str
    threshold: str
    options: tuple[str, ...]
    defaults: Mapping[str, float] = field(default_factory=dict)


_CONTENT = ("min_scene_len", "weights", "luma_only", "kernel_size")
KINDS = {
    "adaptive": Kind(
        "AdaptiveDetector",
        "adaptive_threshold",
        (*_CONTENT, "window_width", "min_content_val"),
        # With four neighbours a flash of one frame stays just under 4 times their mean, a cut in a
        # calm scene is far above. Measured by benchmarks/shots.py.
        {"adaptive_threshold": 4.0, "min_content_val": 20.0},
    ),
    "content": Kind("ContentDetector", "threshold", _CONTENT),
    "hash": Kind("HashDetector", "threshold", ("min_scene_len", "size", "lowpass")),
    "histogram": Kind("HistogramDetector", "threshold", ("min_scene_len", "bins")),
    "threshold": Kind(
        "ThresholdDetector",
        "threshold",
        ("min_scene_len", "fade_bias", "add_final_scene", "min_out_length"),
    ),
}


def _number(low: float, high: float = float("inf")) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        return (
            isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
        )

    return check


def _whole(low: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= low


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _weights(value: Any) -> bool:
    listed = isinstance(value, list | tuple) and len(value) in (3, 4)
    return listed and all(_number(0, 1e6)(weight) for weight in value) and sum(value) > 0


_CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "min_scene_len": (_whole(0), "a whole number of frames"),
    "min_out_length": (_whole(0), "a whole number of frames"),
    "window_width": (_whole(1), "a whole number of frames, 1 or more"),
    "min_content_val": (_number(0), "a number, 0 or more"),
    "luma_only": (_flag, "true or false"),
    "add_final_scene": (_flag, "true or false"),
    "weights": (_weights, "[hue, saturation, luma, edges], 0 or more each, not all 0"),
    "kernel_size": (lambda v: _whole(3)(v) and v % 2 == 1, "an odd whole number, 3 or more"),
    "size": (lambda v: _whole(2)(v) and v % 2 == 0, "an even whole number, 2 or more"),
    "lowpass": (_whole(1), "a whole number, 1 or more"),
    "bins": (_whole(1), "a whole number, 1 or more"),
    "fade_bias": (_number(-1, 1), "a number from -1 to 1"),
}


def check(name: str, threshold: float | None, options: Mapping[str, Any]) -> None:
    """Refuse what the detector would not take, without importing PySceneDetect.

    Raises:
        ConfigError: an unknown detector or option, or a value out of range.
    """
    if name not in KINDS:
        raise ConfigError(f"unknown shot detector {name!r}{did_you_mean(name, KINDS)}")
    if threshold is not None and not _number(0)(threshold):
        raise ConfigError(f"threshold must be a number, 0 or more, got {threshold!r}")
    known = KINDS[name].options
    for option, value in options.items():
        if option not in known:
            hint = did_you_mean(option, known)
            raise ConfigError(f"the {name} detector has no option {option!r}{hint}")
        allowed, expected = _CHECKS[option]
        if not allowed(value):
            raise ConfigError(f"{option} of the {name} detector must be {expected}, got {value!r}")


def build(
    name: str, threshold: float | None, options: Mapping[str, Any], *, original: bool
) -> tuple[Any, int]:
    """A detector for one video, and how many frames late it may report a cut.

    Args:
        original: keep PySceneDetect's default settings where ours differ.
    """
    import scenedetect  # half a second: not before a video is really cut

    kind = KINDS[name]
    settings: dict[str, Any] = {**({} if original else kind.defaults), **options}
    if "weights" in settings:
        settings["weights"] = scenedetect.ContentDetector.Components(*settings["weights"])
    if threshold is not None:
        settings[kind.threshold] = threshold
    detector = getattr(scenedetect, kind.class_name)(**settings)
    if isinstance(detector, scenedetect.ContentDetector):
        detector = quicken(detector)
    return detector, FADE_LAG if name == "threshold" else detector.event_buffer_length
