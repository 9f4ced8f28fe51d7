"""Frames of a scene: its backdrop with things, the hand that moves one, the board, the camera."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from egorag.sample import backdrop, props
from egorag.sample.camera import THING, Camera, backdrop_size, place_of
from egorag.sample.pen import Image, Pen
from egorag.sample.truth import Scene, Thing, Truth
from egorag.spans import to_seconds, to_us

REACH = to_us(0.4)
"""How long the hand takes to come into the picture and to leave it."""

GRAIN = 2.0
"""Standard deviation of the grain in steps of 8-bit luma."""


def frames(truth: Truth, scene: Scene) -> Iterator[Image]:
    """Every frame of ``scene`` in order as YUV 4:2:0 planes, uint8 [height * 3 / 2, width]."""
    camera = Camera.of(truth.seed, scene.index)
    dark, lit = _stills(truth, scene)
    movers = [thing for thing in scene.things if thing.moved is not None]
    grain = _grain(truth)
    canvas = np.empty_like(dark)
    drawn: tuple[bool, int] | None = None
    for number in range(scene.first_frame, scene.end_frame):
        us = to_us(number / truth.rate)
        shown = scene.board is not None and us in scene.board.span
        moment = _moment(movers, us)
        if drawn != (shown, moment):
            np.copyto(canvas, lit if shown else dark)
            for thing in movers:
                _stand(canvas, thing, scene, moment)
            drawn = shown, moment
        middle = camera.look(to_seconds(us - scene.span.start), truth.size)
        planes = cv2.cvtColor(cv2.getRectSubPix(canvas, truth.size, middle), cv2.COLOR_BGR2YUV_I420)
        luma = planes[: truth.size[1]]
        cv2.add(luma, grain[number % len(grain)], dst=luma)
        yield np.asarray(planes, np.uint8)


def _stills(truth: Truth, scene: Scene) -> tuple[Image, Image]:
    """The scene without what moves, with its board dark and lit."""
    dark = backdrop.paint(scene.place, backdrop_size(truth.size), truth.seed)
    backdrop.board(dark, scene.place, None)
    lit = dark.copy()
    backdrop.board(lit, scene.place, scene.board)
    for thing in scene.things:
        if thing.moved is None:
            for image in (dark, lit):
                _stand(image, thing, scene, scene.span.start)
    return dark, lit


def _moment(movers: list[Thing], us: int) -> int:
    """``us``, or the nearest time at which the hand isn't in the picture: equal ones look alike."""
    spans = [thing.moved for thing in movers if thing.moved]
    if not spans:
        return 0
    return min(max(us, spans[0].start - REACH), spans[0].end + REACH)


def _stand(image: Image, thing: Thing, scene: Scene, us: int) -> None:
    """Draw ``thing`` where it is at ``us``, with the hand when it is being moved."""
    height, width = image.shape[:2]
    x, y = place_of(thing, scene.place, us)
    unit = THING * min(width, height)
    pen = Pen.over(image).at(x, y, unit)
    props.thing(pen, thing.name.split()[1], thing.rgb)
    if thing.moved and thing.moved.start - REACH < us < thing.moved.end + REACH:
        away = max(thing.moved.start - us, us - thing.moved.end, 0) / REACH
        gone = (1.1 - y) * height / unit  # units from here to below the picture
        props.hand(pen.at(0, away * away * gone, unit))


def _grain(truth: Truth) -> list[Image]:
    """Film grain, a few fields used in turn: still pictures would be too easy to decode."""
    rng = np.random.default_rng([truth.seed, 3])
    width, height = truth.size
    fields = rng.normal(2, GRAIN, (5, height, width)).clip(0, 8).round()
    return list(fields.astype(np.uint8))
