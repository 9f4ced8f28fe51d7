"""Videos of shapes that move, one a scene, with subtitles that say what: for learning in tests.

Size, speed, place, tone and background differ with the seed; what is said is the same sentence for
the same colour and way.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

COLOURS = {"red": (215, 45, 40), "green": (40, 170, 60), "blue": (45, 70, 215), "white": (240,) * 3}
LANES = ("along the top", "along the bottom", "down the left side", "down the right side")

SECONDS, RATE, SIDE = 2, 4, 64


def make(path: Path, seed: int, scenes: int = 8) -> list[str]:
    """Write ``path`` and its .srt; returns what each scene shows."""
    import av

    dice = np.random.default_rng(seed)
    told = []
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=RATE)
        stream.width = stream.height = SIDE
        stream.bit_rate = 400_000
        for _ in range(scenes):
            colour, lane = str(dice.choice(list(COLOURS))), int(dice.integers(len(LANES)))
            told.append(f"a {colour} square moves {LANES[lane]}")
            for image in _scene(dice, COLOURS[colour], lane):
                file.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        file.mux(stream.encode())
    cues = [f"{i}\n{_at(i)} --> {_at(i + 1)}\n{text}\n" for i, text in enumerate(told)]
    path.with_suffix(".srt").write_text("\n".join(cues))
    return told


def _scene(dice: np.random.Generator, colour: tuple[int, ...], lane: int) -> list[np.ndarray]:
    count = SECONDS * RATE
    size = int(dice.integers(10, 18))
    tone = np.clip(np.array(colour) * dice.uniform(0.85, 1.1), 0, 255).astype(np.uint8)
    ground = dice.integers(70, 130) + dice.integers(-12, 13, (8, 8, 1))
    ground = np.kron(ground, np.ones((SIDE // 8, SIDE // 8, 3))).astype(np.uint8)
    start, step = dice.uniform(0, 10), dice.uniform(3, 5)
    across = (
        int(dice.integers(0, 12)) if lane in (0, 2) else SIDE - size - int(dice.integers(0, 12))
    )
    images = []
    for number in range(count):
        along = int(start + step * number)
        top, left = (across, along) if lane < 2 else (along, across)
        image = ground.copy()
        image[top : top + size, left : left + size] = tone
        images.append(image)
    return images


def _at(scene: int) -> str:
    seconds = scene * SECONDS
    return f"00:{seconds // 60:02}:{seconds % 60:02},000"
