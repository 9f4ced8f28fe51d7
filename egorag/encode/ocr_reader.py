"""Finds and reads lines of text in one picture, with the models that rapidocr carries.

PP-OCRv6 small (PaddlePaddle, Apache-2.0), detection and recognition, through onnxruntime.
Detection looks at the whole picture and recognition at one line, so a line that has not changed
since the last picture need not be read again.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Image: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Line:
    """One line of text in a picture.

    Attributes:
        box: left, top, right, bottom in pixels of the picture.
        confidence: 0..1, mean over characters, as the recogniser gives it.
    """

    text: str
    confidence: float
    box: tuple[int, int, int, int]


class TextReader:
    """rapidocr without its angle classifier, its logging and its downloads.

    Args:
        detect_at: the longer side of the picture that detection sees. Capitals lower than about 4
            pixels there are missed (10 in a picture of 1280, seen at 448); recognition cuts its
            lines from the full picture.
        threads: of onnxruntime; with 1 it starts none, so none spin against the decoder.
    """

    def __init__(self, detect_at: int, threads: int) -> None:
        import rapidocr

        models = Path(rapidocr.__file__).parent / "models"
        onnxruntime = "EngineConfig.onnxruntime"
        self._engine: Any = rapidocr.RapidOCR(
            params={
                "Global.log_level": "critical",
                # Given by path, so that rapidocr neither checks for nor downloads anything.
                "Det.model_path": str(models / "PP-OCRv6_det_small.onnx"),
                "Rec.model_path": str(models / "PP-OCRv6_rec_small.onnx"),
                "Det.limit_type": "max",
                "Det.limit_side_len": detect_at,
                f"{onnxruntime}.intra_op_num_threads": threads,
                f"{onnxruntime}.inter_op_num_threads": 1,
            }
        )
        blank = np.zeros((64, 64, 3), np.uint8)
        self._engine(blank, use_det=True, use_cls=False, use_rec=False)  # it loads on first use
        self._engine(blank, use_det=False, use_cls=False, use_rec=True)

    def read(self, image: Image, known: KnownLines | None = None) -> list[Line]:
        """Every line in an RGB picture, top to bottom and left to right, confident or not."""
        import cv2
        from rapidocr.utils.process_img import get_rotate_crop_image

        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        found = self._engine(bgr, use_det=True, use_cls=False, use_rec=False)
        lines = []
        for corners in () if found.boxes is None else found.boxes:
            left, top = np.floor(corners.min(axis=0)).astype(int).tolist()
            right, bottom = np.ceil(corners.max(axis=0)).astype(int).tolist()
            box = (left, top, right, bottom)
            line = known.at(box) if known is not None else None
            if line is None:
                crop = get_rotate_crop_image(bgr, corners.astype(np.float32))
                read = self._engine(crop, use_det=False, use_cls=False, use_rec=True)
                line = Line(plain(read.txts[0]), float(read.scores[0]), box) if read.txts else None
            if line is not None:
                lines.append(line)
        return lines


class KnownLines:
    """The lines of the last picture that was read, and where the new one differs from it."""

    def __init__(self, lines: list[Line], differs: npt.NDArray[np.bool_], scale: float) -> None:
        """``differs`` is bool [h, w], ``scale`` its size over the picture's."""
        self._lines, self._differs, self._scale = lines, differs, scale

    def at(self, box: tuple[int, int, int, int]) -> Line | None:
        """The line that was in this place, if nothing has changed there."""
        line = max(self._lines, key=lambda line: overlap(line.box, box), default=None)
        if line is None or overlap(line.box, box) < 0.7:
            return None
        left, top, right, bottom = (
            max(0, round(side * self._scale))
            for side in (
                min(line.box[0], box[0]),
                min(line.box[1], box[1]),
                max(line.box[2], box[2]),
                max(line.box[3], box[3]),
            )
        )
        return None if self._differs[top : bottom + 1, left : right + 1].any() else line


def overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> float:
    """Intersection over union of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0, width) * max(0, height)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return shared / max(1, sum(areas) - shared)


def plain(text: str) -> str:
    """Without control, format and other invisible characters; one space between words.

    >>> plain("a\\x00b\\u202e  c\\n")
    'a b c'
    """
    visible = (" " if unicodedata.category(c)[0] == "C" else c for c in text)
    return " ".join("".join(visible).split())
