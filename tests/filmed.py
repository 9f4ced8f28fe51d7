"""A film whose brightness tells its time, with subtitles, and an index of it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE = 10
SECONDS = 20
SAID = {2: "I put the keys into the blue bowl", 12: "I make a cup of green tea"}


def film(path: Path, seconds: int = SECONDS, invert: bool = False) -> Path:
    """64 x 36 at 10 frames a second: frame ``i`` has luma 20 + i (or 220 - i) all over."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"qp": "0", "g": "25"})
        stream.width, stream.height, stream.pix_fmt = 64, 36, "yuv420p"
        stream.codec_context.time_base = Fraction(1, RATE)
        for i in range(seconds * RATE):
            planes = np.full((36 * 3 // 2, 64), 128, np.uint8)
            planes[:36] = 220 - i if invert else 20 + i
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts = i
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def second(image: np.ndarray) -> float:
    """The time in the film that a picture of it shows, to about 0.1 s."""
    luma = 16 + float(image.mean()) * 219 / 255
    return (luma - 20) / RATE


def filmed(folder: Path, scene: float = 5.0) -> Path:
    """Index the film in scenes of so many seconds; lines of ``SAID`` last 2 s."""
    import egorag

    path = film(folder / "day.mp4")
    cues = [f"00:00:{at:02},000 --> 00:00:{at + 2:02},000\n{text}" for at, text in SAID.items()]
    numbered = (f"{number}\n{cue}\n" for number, cue in enumerate(cues, 1))
    (folder / "day.srt").write_text("\n".join(numbered))
    index = folder / "index"
    chosen = ["encoder=[subtitles]", "segmenter=fixed", f"segmenter.seconds={scene}"]
    egorag.build(path, index, chosen).close()
    return index
