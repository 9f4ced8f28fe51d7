"""Draw docs/images/timeline.svg: what an index of the sample video knows, and one answer from it.

    python docs/make_figures.py

Renders the sample, indexes it with the default encoders, asks it one question, and writes the
picture by hand as SVG (thumbnails inside), so that no plotting library is needed.
"""

from __future__ import annotations

import base64
import sys
import tempfile
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import cv2
import numpy as np

import egorag
from egorag.api import Index
from egorag.media.reader import frames, sound
from egorag.media.sampling import FrameSampling
from egorag.sample import make
from egorag.spans import Span, clock
from egorag.types import Answer, Scene, TimedText

QUESTION = "Where did I put the purple mug?"
WIDTH, LEFT, RIGHT = 1280, 92, 16
COLOURS = {"subtitle": "#3b6fb6", "ocr": "#c9782b", "speech": "#4c9a6a", "sound": "#8a8f98"}
INK, FAINT, MARK = "#22262b", "#d9dce1", "#c0392b"


class Sheet:
    """An SVG under way: elements in order, and the scale from microseconds to x."""

    def __init__(self, duration: int) -> None:
        self.parts: list[str] = []
        self.scale = (WIDTH - LEFT - RIGHT) / duration

    def x(self, us: int) -> float:
        return LEFT + us * self.scale

    def box(self, span: Span, top: float, height: float, fill: str, more: str = "") -> None:
        width = max(1.0, span.duration * self.scale - 1)
        self.parts.append(
            f'<rect x="{self.x(span.start):.1f}" y="{top}" width="{width:.1f}" '
            f'height="{height}" rx="2" fill="{fill}" {more}/>'
        )

    def text(self, x: float, y: float, words: str, more: str = "") -> None:
        self.parts.append(f'<text x="{x:.1f}" y="{y}" {more}>{escape(words)}</text>')

    def label(self, y: float, words: str) -> None:
        self.text(LEFT - 10, y, words, 'text-anchor="end" font-weight="600"')

    def render(self, height: int) -> str:
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'font-family="Helvetica, Arial, sans-serif" font-size="13" fill="{INK}">\n'
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>\n'
            + "\n".join(self.parts)
            + "\n</svg>\n"
        )


def thumbnails(sheet: Sheet, path: Path, scenes: Sequence[Scene], top: int, height: int) -> None:
    """The middle picture of every scene, as wide as the scene is long."""
    wanted = iter(scenes)
    scene = next(wanted, None)
    for frame in frames(path, FrameSampling(rate=4.0, longest=320)):
        if scene and frame.time >= scene.span.middle:
            width = scene.span.duration * sheet.scale - 3
            picture = _crop(frame.image, width / height)
            jpeg = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 82])[1]
            data = base64.b64encode(jpeg.tobytes()).decode()
            sheet.parts.append(
                f'<image x="{sheet.x(scene.span.start) + 1:.1f}" y="{top}" width="{width:.1f}" '
                f'height="{height}" href="data:image/jpeg;base64,{data}"/>'
            )
            scene = next(wanted, None)


def _crop(image: np.ndarray, aspect: float) -> np.ndarray:
    """The middle of ``image`` in another aspect ratio, width over height."""
    height, width = image.shape[:2]
    keep = min(width, round(height * aspect)), min(height, round(width / aspect))
    left, top = (width - keep[0]) // 2, (height - keep[1]) // 2
    return image[top : top + keep[1], left : left + keep[0]]


def envelope(sheet: Sheet, path: Path, top: int, height: int) -> None:
    """Loudness of the sound, mirrored about a middle line."""
    samples = np.concatenate([chunk.samples for chunk in sound(path)])
    step = 16_000 // 10
    whole = samples[: len(samples) // step * step].reshape(-1, step)
    loud = np.sqrt((whole**2).mean(axis=1))
    half = np.minimum(1, loud / np.quantile(loud, 0.99)) * height / 2
    xs = [sheet.x(round((i + 0.5) * 100_000)) for i in range(len(half))]
    middle = top + height / 2
    points = [(x, middle - h) for x, h in zip(xs, half, strict=True)]
    points += [(x, middle + h) for x, h in zip(reversed(xs), half[::-1], strict=True)]
    path_data = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    sheet.parts.append(f'<polygon points="{path_data}" fill="{COLOURS["sound"]}"/>')


def track(sheet: Sheet, texts: Sequence[TimedText], top: int, named: bool) -> None:
    """One bar for each timed text, with the words in it where ``named``."""
    for text in texts:
        sheet.box(text.span, top, 20, COLOURS[text.track])
        if named:
            x = sheet.x(text.span.start) + 6
            sheet.text(x, top + 14, text.text, 'fill="#ffffff" font-size="12"')


def answered(sheet: Sheet, question: str, answer: Answer, top: int, bottom: int) -> None:
    """The question, the answer, and a line to the time it cites."""
    cited = answer.citations[0]
    sheet.box(cited.span, top, bottom - top, "none", f'stroke="{MARK}" stroke-width="2"')
    x = sheet.x(cited.span.middle)
    sheet.parts.append(
        f'<path d="M{x:.1f} {bottom} v14" stroke="{MARK}" stroke-width="2" fill="none"/>'
    )
    checked = "verified" if cited.verified else "not verified"
    place = f"{clock(cited.span.start)} - {clock(cited.span.end)}, {cited.track}, {checked}"
    centre = f'text-anchor="{"start" if x < WIDTH / 2 else "end"}"'
    at = x - 8 if x < WIDTH / 2 else x + 8
    sheet.text(at, bottom + 32, question, f'{centre} font-size="15" font-weight="600"')
    quote = f"“{cited.quote}”"
    sheet.text(at, bottom + 53, quote, f'{centre} font-size="15" fill="{MARK}"')
    sheet.text(at, bottom + 72, place, f'{centre} fill="#6b7178"')


def timeline(index: Index, path: Path, question: str) -> str:
    """The whole picture as SVG."""
    (video,) = index.videos()
    scenes = index.scenes(video.id, "scene")
    sheet = Sheet(video.duration)
    thumbnails(sheet, path, scenes, 14, 86)
    sheet.label(62, "scenes")
    for scene in scenes:
        x = sheet.x(scene.span.start)
        sheet.text(x + 2, 116, clock(scene.span.start)[:-2], 'font-size="11" fill="#6b7178"')
        sheet.parts.append(f'<path d="M{x:.1f} 122 V244" stroke="{FAINT}"/>')
    for row, name in enumerate(["subtitle", "speech", "ocr"]):
        top = 126 + 28 * row
        sheet.label(top + 14, name)
        track(sheet, index.texts(video.id, name), top, named=name == "ocr")
    sheet.label(229, "sound")
    envelope(sheet, path, 208, 34)
    answered(sheet, question, index.ask(question), 12, 246)
    return sheet.render(332)


def main(folder: Path) -> Iterator[Path]:
    """Make every figure; yields what was written."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "day.mp4"
        make(path, seconds=60, seed=0)
        with egorag.build(path, Path(temporary) / "index") as index:
            svg = timeline(index, path, QUESTION)
    target = folder / "timeline.svg"
    target.write_text(svg, encoding="utf-8", newline="\n")
    yield target


if __name__ == "__main__":
    for written in main(Path(__file__).parent / "images"):
        sys.stdout.write(f"{written} ({written.stat().st_size // 1000} kB)\n")
