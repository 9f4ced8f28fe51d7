"""Make sample files: checked arguments in, whole files out or none."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Literal, get_args

from egorag.errors import ConfigError, did_you_mean
from egorag.sample.truth import Sentence, Truth

Subtitles = Literal["stream", "sidecar", "none"]
SUFFIXES = (".mp4", ".m4v", ".mov")
SMALLEST = 64
SCENE_SECONDS = 7.5


def make(
    path: str | os.PathLike[str],
    seconds: float = 60,
    seed: int = 0,
    size: tuple[int, int] = (640, 360),
    rate: int | Fraction = 30,
    scenes: int | None = None,
    subtitles: Subtitles = "stream",
    overwrite: bool = False,
) -> Truth:
    """Render a sample video at ``path`` and its ground truth beside it, ``NAME.truth.json``.

    Args:
        path: an MP4 file; its folder must exist.
        seconds: length, rounded to whole frames.
        seed: which day; equal arguments give equal files on one machine and set of libraries.
        size: (width, height) in pixels, both even.
        rate: frames a second.
        scenes: how many; one for every 7.5 seconds unless given. The shorter, the less is said.
        subtitles: the narration as a ``stream`` in the file, as a ``sidecar`` NAME.srt, or
            ``none``, heard only.
        overwrite: replace files that exist.

    Raises:
        ConfigError: an argument out of range, no such folder, or the file exists.
    """
    target = Path(path)
    _check(target, seconds, scenes, seed, size, Fraction(rate), subtitles)
    notes = {target.with_name(f"{target.stem}.truth.json"): _as_json}
    if subtitles == "sidecar":
        notes[target.with_suffix(".srt")] = _as_srt
    _check_free([target, *notes], overwrite)

    from egorag.sample.mux import encode  # here, so that --help needn't load OpenCV
    from egorag.sample.world import script

    truth = script(seconds, _count(seconds, scenes), seed, size, Fraction(rate), subtitles)
    for note, render in notes.items():
        with whole(note) as partial:
            partial.write_text(render(truth), encoding="utf-8", newline="\n")
    with whole(target) as partial:
        encode(partial, truth, with_subtitles=subtitles == "stream")
    return truth


def written(
    path: str | os.PathLike[str],
    seconds: float = 60,
    seed: int = 0,
    size: tuple[int, int] = (640, 360),
    rate: int | Fraction = 30,
    scenes: int | None = None,
    subtitles: Subtitles = "stream",
) -> Truth | None:
    """The truth of the video at ``path`` if ``make`` wrote it with these arguments, else None."""
    from egorag.sample.world import script

    target = Path(path)
    _check(target, seconds, scenes, seed, size, Fraction(rate), subtitles)
    truth = script(seconds, _count(seconds, scenes), seed, size, Fraction(rate), subtitles)
    try:
        there = target.with_name(f"{target.stem}.truth.json").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    return truth if target.is_file() and there == _as_json(truth) else None


def _count(seconds: float, scenes: int | None) -> int:
    return scenes or max(1, round(seconds / SCENE_SECONDS))


@contextmanager
def whole(target: Path) -> Iterator[Path]:
    """A temporary path that becomes ``target`` when the block ends well, else is removed."""
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _check(
    target: Path,
    seconds: float,
    scenes: int | None,
    seed: int,
    size: tuple[int, int],
    rate: Fraction,
    subtitles: str,
) -> None:
    if target.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"a sample is an MP4 file: end its name in .mp4, not {target.name!r}")
    if not target.parent.is_dir():
        raise ConfigError(f"no folder {str(target.parent)!r} to write {target.name!r} in; make it")
    if subtitles not in get_args(Subtitles):
        choices = did_you_mean(subtitles, get_args(Subtitles))
        raise ConfigError(f"unknown subtitles={subtitles!r}{choices}")
    if any(side < SMALLEST or side % 2 for side in size):
        raise ConfigError(f"size={size}: both sides must be even and at least {SMALLEST} pixels")
    if not 1 <= rate <= 240:
        raise ConfigError(f"rate={rate}: expected 1 to 240 frames a second")
    if not 1 <= seconds <= 86_400:
        raise ConfigError(f"seconds={seconds}: expected 1 to 86400; see repeat() for long files")
    if scenes is not None and not 1 <= scenes <= seconds:
        raise ConfigError(f"scenes={scenes}: expected 1 or more, each a second or longer")
    if seed < 0:
        raise ConfigError(f"seed={seed}: expected 0 or more")


def _check_free(paths: list[Path], overwrite: bool) -> None:
    for path in paths:
        if path.exists() and not overwrite:
            raise ConfigError(f"{str(path)!r} exists; pass overwrite=true or another name")


def _as_json(truth: Truth) -> str:
    return json.dumps(truth.to_json(), indent=1) + "\n"


def _as_srt(truth: Truth) -> str:
    """The narration as SubRip."""
    cues = enumerate(truth.narration, start=1)
    return "\n".join(f"{number}\n{_srt_times(said)}\n{said.text}\n" for number, said in cues)


def _srt_times(said: Sentence) -> str:
    def stamp(us: int) -> str:
        ms = us // 1000
        return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02},{ms % 1000:03}"

    return f"{stamp(said.span.start)} --> {stamp(said.span.end)}"
