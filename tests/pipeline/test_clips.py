"""Clips: every item reaches exactly the scene it lies in, whenever the scene is closed."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from egorag.encode.base import FrameClip, Medium, SoundClip
from egorag.media.sampling import Frame, SoundChunk
from egorag.pipeline.clips import ClipAssembler
from egorag.spans import MICROSECONDS, Span

cuts = st.lists(st.integers(1, 99), unique=True, max_size=8).map(sorted)


def tiles(bounds: list[int], unit: int) -> list[Span]:
    edges = [0, *bounds, 100]
    return [Span(a * unit, b * unit) for a, b in itertools.pairwise(edges)]


def drive(assembler: ClipAssembler, items: list, scenes: list[Span], lags: list[int]):  # type: ignore[no-untyped-def]
    """Feed items; close scene i once its end plus a lag has been passed."""
    out = []
    waiting = list(zip(scenes, lags, strict=True))
    for item in items:
        assembler.add(item)
        now = item.time if isinstance(item, Frame) else item.span.end
        while waiting and now >= waiting[0][0].end + waiting[0][1]:
            assembler.close([waiting.pop(0)[0]])
        out += assembler.ready()
    assembler.close(scene for scene, _ in waiting)
    return out + assembler.ready(last=True)


@given(cuts, st.integers(1, 7), st.data())
def test_frames(bounds: list[int], step: int, data: st.DataObject) -> None:
    scenes = tiles(bounds, 1000)
    lags = data.draw(st.lists(st.integers(0, 30_000), min_size=len(scenes), max_size=len(scenes)))
    blank = np.zeros((1, 1), np.uint8)
    frames = [Frame(t * 1000, t * 1000, i, blank) for i, t in enumerate(range(0, 100, step))]
    clips = drive(ClipAssembler(Medium.FRAMES), frames, scenes, lags)
    assert [span for span, _ in clips] == scenes
    for span, clip in clips:
        inside = [f for f in frames if f.time in span]
        if inside:
            assert isinstance(clip, FrameClip)
            assert list(clip.frames) == inside
        else:
            assert clip is None


@given(cuts, st.lists(st.integers(1, 400), min_size=1, max_size=30), st.data())
def test_sound_is_neither_lost_nor_doubled(
    bounds: list[int], sizes: list[int], data: st.DataObject
) -> None:
    rate = 50
    scenes = tiles(bounds, MICROSECONDS // 10)
    lags = data.draw(
        st.lists(st.integers(0, 3_000_000), min_size=len(scenes), max_size=len(scenes))
    )
    total = sum(sizes)
    samples = np.arange(total, dtype=np.float32)
    chunks, at = [], 0
    for size in sizes:
        chunks.append(SoundChunk(at, rate, samples[at : at + size]))
        at += size
    clips = drive(ClipAssembler(Medium.SOUND), chunks, scenes, lags)
    assert [span for span, _ in clips] == scenes
    heard = []
    for span, clip in clips:
        if clip is None:
            continue
        assert isinstance(clip, SoundClip)
        heard.append(clip.samples)
        times = clip.samples.astype(np.int64) * MICROSECONDS // rate
        assert all(int(t) in span for t in times)
    inside = samples[: min(total, 10 * rate)]
    assert np.array_equal(np.concatenate(heard), inside)
