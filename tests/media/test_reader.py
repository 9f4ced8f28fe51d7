"""One pass feeds many readers, and each gets what it would have got alone."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from egorag.errors import MediaError
from egorag.media.reader import Pass, frames, sound
from egorag.media.sampling import (
    Cue,
    CueSampling,
    Frame,
    FrameSampling,
    Item,
    Sampling,
    ShotSampling,
    SoundChunk,
    SoundSampling,
)
from egorag.spans import to_us

Write = Callable[..., Path]
EVERY = FrameSampling(None, longest=32)


def collect(path: Path, samplings: list[Sampling], **options: bool) -> list[list[Item]]:
    got: list[list[Item]] = [[] for _ in samplings]
    with Pass(path, samplings, **options) as run:
        for reader, item in run:
            got[reader].append(item)
    return got


def presented(path: Path, stream: int) -> list[Fraction]:
    """Times of all frames by plain PyAV, in seconds since the container's start."""
    with av.open(str(path)) as container:
        video = container.streams[stream]
        start = Fraction(container.start_time or 0, 1_000_000)
        return [
            f.pts * Fraction(f.time_base) - start
            for f in container.decode(video)
            if isinstance(f, av.VideoFrame)
        ]


@pytest.mark.parametrize(
    ("name", "stream"),
    [("nasa_13013.mp4", 3), ("big_buck_bunny_0_30.webm", 0), ("bikes.mp4", 0)],
)
def test_times_and_sampled_frames_against_plain_pyav(
    shared_data: Path, name: str, stream: int
) -> None:
    path = shared_data / "media" / name
    truth = [to_us(time) for time in presented(path, stream)]
    shots, sampled = collect(path, [ShotSampling(), FrameSampling(2.0, longest=64)])
    assert [f.time for f in shots if isinstance(f, Frame)] == truth
    assert [f.index for f in shots if isinstance(f, Frame)] == list(range(len(truth)))
    for k, frame in enumerate(sampled):
        assert isinstance(frame, Frame)
        assert frame.time == k * 500_000
        shown = [time for time in truth if time <= frame.time]
        assert frame.index == max(0, len(shown) - 1)
        assert frame.shown_at == truth[frame.index]


def test_the_sampled_picture_is_that_of_its_frame(write: Write, tmp_path: Path, luma_of) -> None:  # type: ignore[no-untyped-def]
    times = [0, 0.1, 0.15, 0.9, 1.0, 2.5, 2.55, 4.0]  # variable rate, B-frames
    path = write(tmp_path / "vfr.mp4", times, options={"bf": "3", "crf": "5"})
    for frame in frames(path, FrameSampling(rate=4.0)):
        expected = max(i for i, time in enumerate(times) if to_us(time) <= frame.time)
        assert frame.index == expected
        assert abs(float(frame.image.mean()) - luma_of(expected)) < 4


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "mov"])
def test_a_start_offset_is_taken_off(write: Write, tmp_path: Path, suffix: str) -> None:
    times = [10 + k / 25 for k in range(50)]
    path = write(tmp_path / f"late.{suffix}", times, options={"bf": "2"})
    got = [f.time for f in frames(path, EVERY)]
    assert got == [k * 40_000 for k in range(50)]


def test_sound_and_frames_share_the_axis(write: Write, tmp_path: Path) -> None:
    tone = np.full((1, 48_000), 0.5, np.float32)
    path = write(tmp_path / "s.mkv", [5 + k / 10 for k in range(20)], [(4.5, tone)])
    pictures, chunks = collect(path, [FrameSampling(10.0, longest=16), SoundSampling(8_000)])
    first = pictures[0]
    assert isinstance(first, Frame)
    assert (first.time, first.shown_at) == (0, 500_000), "the first frame stands in before it"
    assert [f.index for f in pictures if isinstance(f, Frame)][:7] == [0, 0, 0, 0, 0, 0, 1]
    heard = np.concatenate([c.samples for c in chunks if isinstance(c, SoundChunk)])
    assert heard[:7_900].min() > 0.4


def test_readers_do_not_disturb_each_other(shared_data: Path) -> None:
    path = shared_data / "media" / "nasa_13013.mp4"
    samplings: list[Sampling] = [
        FrameSampling(1.0, longest=224),
        SoundSampling(16_000),
        FrameSampling(0.5, size=(96, 96), colour="gray"),
        ShotSampling(),
        SoundSampling(8_000),
        CueSampling(),
        FrameSampling(1.0, longest=224),
    ]
    together = collect(path, samplings)
    for sampling, items in zip(samplings, together, strict=True):
        (alone,) = collect(path, [sampling], measure=False)
        assert len(alone) == len(items) > 0
        for one, other in zip(alone, items, strict=True):
            if isinstance(one, Frame) and isinstance(other, Frame):
                assert (one.time, one.shown_at, one.index) == (
                    other.time,
                    other.shown_at,
                    other.index,
                )
                np.testing.assert_array_equal(one.image, other.image)
            elif isinstance(one, SoundChunk) and isinstance(other, SoundChunk):
                assert one.start == other.start
                np.testing.assert_array_equal(one.samples, other.samples)
            else:
                assert one == other


def test_a_grid_point_comes_before_the_frame_that_ends_it(shared_data: Path) -> None:
    """A segmenter that closes a scene at a frame's time has all earlier samples already."""
    newest = -1
    path = shared_data / "media" / "bikes.mp4"
    with Pass(path, [ShotSampling(), FrameSampling(3.0, longest=32)]) as run:
        for reader, item in run:
            assert isinstance(item, Frame)
            if reader == 0:
                newest = item.time
            else:
                assert item.time >= newest


def test_the_report(write: Write, tmp_path: Path) -> None:
    tone = np.full((1, 72_000), 0.1, np.float32)
    path = write(tmp_path / "r.mkv", [k / 25 for k in range(25)], [(0, tone)])
    with Pass(path, [FrameSampling(1.0)]) as run:
        list(run)
    report = run.report
    assert (report.frames, report.frames_skipped, report.sound_skipped) == (25, 0, 0)
    assert report.video_end == pytest.approx(1_000_000, abs=10_000)
    assert report.sound_end == report.duration == 1_500_000
    assert report.problems == ()


def test_the_duration_does_not_depend_on_who_reads(shared_data: Path) -> None:
    for name in ("nasa_13013.mp4", "bikes.mp4", "jfk.flac"):
        durations = set()
        for samplings in ([], [FrameSampling(1.0)], [SoundSampling()], [CueSampling()]):
            with Pass(shared_data / "media" / name, samplings) as run:
                list(run)
            durations.add(run.report.duration)
        assert len(durations) == 1
        assert durations.pop() > 9_000_000


def test_only_what_is_asked_for_is_read(write: Write, tmp_path: Path) -> None:
    tone = np.full((1, 48_000), 0.1, np.float32)
    path = write(tmp_path / "o.mkv", [0, 1], [(0, tone)])
    with Pass(path, [SoundSampling()], measure=False) as run:
        list(run)
    assert (run.report.frames, run.report.video_end, run.report.duration) == (0, None, 1_000_000)


def test_what_is_missing_is_not_an_error_but_a_lone_reader_is_told(
    write: Write, tmp_path: Path
) -> None:
    silent = write(tmp_path / "silent.mp4", [0, 1])
    heard = write(tmp_path / "heard.mka", sound=[(0, np.zeros((1, 9_000), np.float32))])
    assert collect(silent, [SoundSampling(), CueSampling()]) == [[], []]
    assert collect(silent, [CueSampling()], measure=False) == [[]]
    pictures, chunks = collect(heard, [FrameSampling(), SoundSampling()])
    assert not pictures
    assert chunks
    with pytest.raises(MediaError, match=r"silent\.mp4.*no sound"):
        list(sound(silent))
    with pytest.raises(MediaError, match=r"heard\.mka.*no video"):
        list(frames(heard))


@pytest.mark.parametrize("count", [1, 2])
def test_a_still_lasts_as_long_as_it_says(write: Write, tmp_path: Path, count: int) -> None:
    path = write(tmp_path / "still.mp4", [0, 0.5][:count])
    got = list(frames(path, FrameSampling(100.0, longest=8)))
    assert [f.time for f in got] == [10_000 * k for k in range(len(got))]
    assert got[-1].time >= 500_000 * (count - 1)


def test_stopping_early_closes_everything(shared_data: Path) -> None:
    def handles() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    path = shared_data / "media" / "bikes.mp4"
    before = handles()
    reading = frames(path, FrameSampling(10.0))
    for _ in range(3):
        next(reading)
    assert handles() > before
    reading.close()
    assert handles() == before
    with Pass(path, [ShotSampling()]) as run:
        next(iter(run))
    assert handles() == before
    with pytest.raises(RuntimeError, match="no report"):
        _ = run.report
    with pytest.raises(RuntimeError, match="with block"):
        iter(run)


def test_stamps_that_jump_end_the_pass_with_a_word(write: Write, tmp_path: Path) -> None:
    day = 86_400.0
    path = write(tmp_path / "jump.mkv", [0, 0.04, 0.08, 0.12, day, day + 0.04], options={"bf": "0"})
    with Pass(path, [FrameSampling(1.0), ShotSampling()]) as run:
        items = list(run)
    assert len(items) < 20
    assert run.report.duration < 1_000_000
    assert any("timestamps jump" in problem for problem in run.report.problems)


def test_glued_transport_streams_play_on(write: Write, tmp_path: Path) -> None:
    tone = np.full((1, 96_000), 0.5, np.float32)
    times = [k / 25 for k in range(50)]
    part = write(tmp_path / "part.ts", times, [(0, tone)], sound_codec="mp2")
    both = tmp_path / "both.ts"
    both.write_bytes(part.read_bytes() * 3)
    shots, chunks = collect(both, [ShotSampling(), SoundSampling(8_000)])
    stamps = [f.time for f in shots if isinstance(f, Frame)]
    assert len(stamps) >= 140
    assert stamps == sorted(set(stamps))
    assert stamps[-1] == pytest.approx(5_960_000, abs=300_000)
    assert sum(len(c.samples) for c in chunks if isinstance(c, SoundChunk)) / 8_000 > 5.5


def test_embedded_cues(shared_data: Path) -> None:
    (nasa,) = collect(shared_data / "media" / "nasa_13013.mp4", [CueSampling()])
    (vtt,) = collect(shared_data / "odd" / "sample_with_vtt_subtitles.mkv", [CueSampling()])
    (srt,) = collect(shared_data / "odd" / "sample_with_overlapping_srt.mkv", [CueSampling()])
    spoken = [c for c in nasa if isinstance(c, Cue) and c.source == "stream:2"]
    assert [(c.span.start, c.span.end) for c in spoken] == [
        (210_000, 4_260_000),
        (4_260_000, 8_350_000),
        (8_350_000, 12_470_000),
        (12_470_000, 16_570_000),
    ]
    assert spoken[2].text == "at NASA’s Goddard Space Flight Center in Greenbelt, Maryland."
    assert {c.language for c in spoken} == {"eng"}
    assert [c.text for c in vtt if isinstance(c, Cue)] == ["This is the first subtitle."]
    starts = [(c.text.split()[0], c.span.start, c.span.end) for c in srt if isinstance(c, Cue)]
    assert starts == [
        ("First", 33_000, 263_000),
        ("Third", 83_000, 483_000),
        ("Second", 133_000, 383_000),
    ], "the container starts at 67 ms"


def test_ass_cues_become_plain_text(tmp_path: Path) -> None:
    from egorag.media.streamcues import _ass_text

    assert _ass_text(r"3,0,Default,,0,0,0,,{\i1}One, two{\i0}\Nthree\hfour") == (
        "{\\i1}One, two{\\i0}\nthree four"
    )
