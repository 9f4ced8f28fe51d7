"""``python -m egorag.sample to=FILE [seconds=60] [seed=0] ...``: render a sample video."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from egorag.errors import ConfigError, EgoragError, did_you_mean
from egorag.sample.truth import Truth
from egorag.sample.write import make

USAGE = """\
python -m egorag.sample to=FILE [KEY=VALUE ...]

Renders a made-up first-person video with narration, and its ground truth beside it.

  to=FILE          the MP4 file to write; FILE.truth.json (its name without .mp4) goes beside it
  seconds=60       length
  seed=0           which day
  size=640x360     width x height
  rate=30          frames a second, whole or a fraction such as 30000/1001
  scenes=          how many; one for every 7.5 seconds unless given
  subtitles=stream the narration as a subtitle stream; or sidecar (an .srt file), or none
  overwrite=false  true replaces a file that exists
  output=text      json prints the ground truth
"""


def _size(value: str) -> tuple[int, int]:
    width, height = value.lower().split("x")
    return int(width), int(height)


def _flag(value: str) -> bool:
    return {"true": True, "false": False}[value.lower()]


KEYS: dict[str, Callable[[str], Any]] = {
    "to": str,
    "seconds": float,
    "seed": int,
    "size": _size,
    "rate": Fraction,
    "scenes": int,
    "subtitles": str,
    "overwrite": _flag,
    "output": str,
}


def parse(arguments: list[str]) -> dict[str, Any]:
    """``["to=a.mp4", "seed=1"]`` as typed values.

    >>> parse(["to=a.mp4", "size=320x180"])
    {'to': 'a.mp4', 'size': (320, 180)}
    """
    values: dict[str, Any] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals:
            raise ConfigError(f"expected KEY=VALUE, got {argument!r}; try --help")
        if key not in KEYS:
            raise ConfigError(f"unknown key {key!r}{did_you_mean(key, KEYS)}")
        try:
            values[key] = KEYS[key](value)
        except (ValueError, KeyError, ZeroDivisionError) as error:
            raise ConfigError(f"{key}={value!r} can't be read; try --help") from error
    if "to" not in values:
        raise ConfigError("to=FILE is missing; try --help")
    if values.get("output", "text") not in ("text", "json"):
        raise ConfigError(f"output={values['output']!r}: expected text or json")
    return values


def _summary(path: str, truth: Truth) -> str:
    return (
        f"{path}: {truth.seconds:g} s, {len(truth.scenes)} scenes, "
        f"{len(truth.narration)} sentences, {len(truth.questions)} questions"
    )


def main(arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    if {"-h", "--help"} & set(arguments):
        sys.stdout.write(USAGE)
        return 0
    try:
        options = parse(arguments)
        path, output = options.pop("to"), options.pop("output", "text")
        truth = make(path, **options)
    except EgoragError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    said = json.dumps(truth.to_json()) if output == "json" else _summary(path, truth)
    sys.stdout.write(said + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
