"""On-screen text, voice activity and the rough transcript: speed, and the transcript's errors.

    python benchmarks/speech_ocr.py [--minutes 2] > result.json

``times_real_time`` is media time over this process's (and its workers') time. The generated
sample stands for ordinary video; ``every_picture_new`` is the worst case for OCR, where no picture
is like the one before. The transcript needs real speech, two clips of ``../shared/data`` (or
``EGORAG_TEST_DATA``), and is left out where they are absent: 51 words, so a difference of two
errors is noise.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from measure import report, sample

from egorag.encode.ocr import OCR
from egorag.encode.speech import SpeechActivity
from egorag.encode.sphinx import PocketSphinx
from egorag.encode.vad import RATE, Hysteresis, silero, speech_segments
from egorag.media.reader import frames, sound
from egorag.media.sampling import Frame

DATA = Path(os.environ.get("EGORAG_TEST_DATA", "../shared/data"))
SPOKEN = {
    "jfk.flac": "and so my fellow americans ask not what your country can do for you "
    "ask what you can do for your country",
    "nasa_13013.mp4": "this is the optical and science segment of the webb space telescope in one "
    "of the largest cleanrooms in the world at nasa's goddard space flight center in greenbelt "
    "maryland",
}
POCKETSPHINX_DEFAULT = 30_000
"""PocketSphinx's own ``maxhmmpf``."""
REPEATS = 3
"""Each clip is transcribed so often, for the workers' start not to outweigh their work."""


def timed(media_seconds: float, work: Callable[[], Any]) -> dict[str, float]:
    """Wall and CPU seconds of ``work``, ended child processes included."""

    def cpu() -> float:
        used = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(u.ru_utime + u.ru_stime for u in used)

    began, before = time.perf_counter(), cpu()
    work()
    wall, spent = time.perf_counter() - began, cpu() - before
    return {
        "media_s": media_seconds,
        "wall_s": wall,
        "cpu_s": spent,
        "cpu_s_per_10_min": 600 * spent / media_seconds,
        "times_real_time": media_seconds / wall,
    }


def measure_ocr(path: Path) -> dict[str, Any]:
    encoder = OCR()
    encoder.setup()
    pictures = list(frames(path, encoder.sampling))
    seconds = len(pictures) / encoder.rate
    noise = np.random.default_rng(0).integers(0, 100, (len(pictures), 3))
    # A new shade on every picture: nothing is alike, and what is written on it stays readable.
    changed = [
        Frame(f.time, f.shown_at, f.index, np.maximum(f.image, shade.astype(np.uint8)))
        for f, shade in zip(pictures, noise, strict=True)
    ]
    return {
        "sample": timed(seconds, lambda: list(encoder.encode(iter(pictures)))),
        "every_picture_new": timed(seconds, lambda: list(encoder.encode(iter(changed)))),
    }


def measure_speech(path: Path) -> dict[str, Any]:
    encoder = SpeechActivity()
    encoder.setup()
    chunks = list(sound(path))
    seconds = sum(len(c.samples) for c in chunks) / RATE
    return timed(seconds, lambda: list(encoder.encode(iter(chunks))))


def measure_transcript(max_hmms: int) -> dict[str, Any]:
    clips = {name: list(sound(DATA / "media" / name)) for name in SPOKEN}
    spoken = sum(
        len(segment.samples) / RATE
        for chunks in clips.values()
        for segment in speech_segments(chunks, silero(), Hysteresis())
    )
    heard: dict[str, str] = {}

    def work() -> None:
        encoder = PocketSphinx(max_hmms=max_hmms)
        encoder.setup()
        for name, chunks in REPEATS * list(clips.items()):
            heard[name] = " ".join(t.text for t in encoder.encode(iter(chunks)))
        encoder.close()

    found = timed(REPEATS * spoken, work)
    errors = {name: word_errors(heard[name].split(), SPOKEN[name].split()) for name in SPOKEN}
    words = sum(len(said.split()) for said in SPOKEN.values())
    rate = sum(errors.values()) / words
    return {**found, "heard": heard, "word_errors": errors, "word_error_rate": rate}


def word_errors(heard: list[str], said: list[str]) -> int:
    """Edit distance in words."""
    row = np.arange(len(heard) + 1)
    for i, word in enumerate(said, 1):
        before, row = row, np.full_like(row, i)
        for j, other in enumerate(heard, 1):
            row[j] = min(row[j - 1] + 1, before[j] + 1, before[j - 1] + (word != other))
    return int(row[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed of OCR, voice activity and transcript.")
    parser.add_argument("--minutes", type=float, default=2.0)
    minutes = parser.parse_args().minutes
    path = sample(minutes)
    found: dict[str, Any] = {"ocr": measure_ocr(path), "speech": measure_speech(path)}
    if (DATA / "SHA256SUMS").exists():
        tuned, untuned = PocketSphinx().max_hmms, POCKETSPHINX_DEFAULT
        found["transcript"] = {f"max_hmms={n}": measure_transcript(n) for n in (untuned, tuned)}
    report(**found)


if __name__ == "__main__":
    main()
