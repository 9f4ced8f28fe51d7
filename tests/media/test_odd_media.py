"""Real odd and broken files, and good ones broken here: read sanely, or refused with a reason."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from egorag.errors import MediaError
from egorag.media.probe import probe
from egorag.media.reader import Pass
from egorag.media.report import PassReport
from egorag.media.sampling import (
    Cue,
    CueSampling,
    Frame,
    FrameSampling,
    ShotSampling,
    SoundChunk,
    SoundSampling,
)
from egorag.spans import to_us

Write = Callable[..., Path]

LISTED = """
-video-with-dash-.mp4 100kB-garbage-prefix.mp3 av1-clearkey-cbcs-video.mp4
bbb_176x144_128kbps_15fps_h263.3gp bbb_800x640_768kbps_30fps_avc_2b_firstpts_10_sec.mp4
bear-vp9-odd-dimensions.webm bear_no_num_samples.flac bear_vorbis_gap.ogg bipbop-cenc-audioinit.mp4
bipbop_audioinit.mp4 bipbop_cbcs_video_init.mp4 chaplin.mp4 chunk_out_of_range.mp4 example_mask.mp4
fragmented_captions.mp4 h265_bframes.mp4 hevc_white_frame.mp4 iibbibb_editlist_videoonly.mp4
large_stbl_truncated_after_moov.m4b long_180p_av1.mp4 metadata.mp4 minimal.mp4 opus_audioinit.mp4
play-trimmed.mp3 rain.mp3 result.webm sample-with-large-length.avi sample.flv sample.mp4
sample_80KHz_mono_20_repeating_1_samples.wav sample_ac4.mp4 sample_audio_only.mp4 sample_av1.mp4
sample_empty_track.mp4 sample_fragmented_widevine.mp4 sample_h264_mpeg_audio.ts sample_h265.ts
sample_last_cluster.mkv sample_mdat_too_long.mp4 sample_missing_stsd.mp4 sample_portrait.mp4
sample_rotate_and_reflect.mp4 sample_unsupported_brands.mp4 sample_vvc.mp4
sample_with_htc_rotation_track_name.mkv sample_with_invalid_nalu.mp4
sample_with_overlapping_srt.mkv sample_with_trailing_bytes.wav sample_with_vtt_subtitles.mkv
segment_1.m4s short-cenc.mp4 smpte-2997.mp4 subsample_encrypted_altref.webm test_case_1185230.mp4
transparent.webm trim_optimization_failure.mp4 video_colr_nclx_and_icc.mp4
video_colr_nclx_hdr10_full_range.mp4 video_colr_nclx_hlg_full_range.mp4
video_colr_nclx_two_colr.mp4 white.mp4
"""
FILES = LISTED.split()
REFUSED = {
    "bipbop-cenc-audioinit.mp4",
    "bipbop_audioinit.mp4",
    "bipbop_cbcs_video_init.mp4",
    "chunk_out_of_range.mp4",
    "large_stbl_truncated_after_moov.m4b",
    "play-trimmed.mp3",
    "result.webm",
    "sample_ac4.mp4",
    "sample_fragmented_widevine.mp4",
    "segment_1.m4s",
    "short-cenc.mp4",
    "subsample_encrypted_altref.webm",
    "test_case_1185230.mp4",
}
RATE = 2.0


def read(path: Path) -> PassReport:
    """Read with one reader of each kind, and check all that must hold of any file."""
    probe(path)
    points, heard, newest = 0, 0, -1
    samplings = [
        FrameSampling(RATE, longest=48),
        ShotSampling(),
        SoundSampling(8_000),
        CueSampling(),
    ]
    with Pass(path, samplings) as run:
        for reader, item in run:
            if isinstance(item, Frame) and reader == 0:
                assert item.time == to_us(points / RATE), "on the grid, none left out"
                assert item.shown_at <= max(item.time, newest)
                points += 1
            elif isinstance(item, Frame):
                assert item.time > newest
                newest = item.time
                assert item.image.ndim == 3
            elif isinstance(item, SoundChunk):
                assert item.start == heard, "contiguous"
                assert np.abs(item.samples).max() <= 1
                heard += len(item.samples)
            else:
                assert isinstance(item, Cue)
                assert item.text
    report = run.report
    assert 0 < report.duration < 3600 * 10**6
    assert report.duration == max(report.video_end or 0, report.sound_end or 0)
    assert (report.frames > 0) == (report.video_end is not None) == (points > 0)
    if report.video_end is not None:
        assert newest < report.video_end
        assert to_us((points - 1) / RATE) < report.video_end <= to_us(points / RATE)
    if report.sound_end is not None:
        assert abs(heard - report.sound_end * 8_000 / 1e6) <= 2
    return report


def test_the_list_is_the_folder(shared_data: Path) -> None:
    there = {p.name for p in (shared_data / "odd").iterdir()}
    assert {n for n in there if not n.startswith("LICENSE")} == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_odd_file(shared_data: Path, name: str) -> None:
    if name in REFUSED:
        with pytest.raises(MediaError) as refused:
            read(shared_data / "odd" / name)
        message = str(refused.value)
        assert name in message
        assert len(message.partition(name)[2]) > 15, "a reason follows the name"
    else:
        read(shared_data / "odd" / name)


def test_what_the_report_says_of_damage(shared_data: Path) -> None:
    odd = shared_data / "odd"
    assert read(odd / "sample_with_invalid_nalu.mp4").frames_skipped == 1
    assert any("no decoder" in p for p in read(odd / "sample_missing_stsd.mp4").problems)
    garbage = read(odd / "100kB-garbage-prefix.mp3")
    assert any("header claims 0:13.573" in p for p in garbage.problems)


def test_disordered_stamps_of_a_real_avi(shared_data: Path) -> None:
    report = read(shared_data / "odd" / "sample-with-large-length.avi")
    assert report.frames == 58
    assert report.sound_end == pytest.approx(2_000_000, abs=50_000)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi"])
def test_files_cut_off_or_damaged_anywhere(write: Write, tmp_path: Path, suffix: str) -> None:
    tone = 0.3 * np.sin(np.arange(96_000) / 20).astype(np.float32)[None]
    rng = random.Random(suffix)
    noise = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)

    def paint(index: int) -> np.ndarray:
        return np.roll(noise, 3 * index, axis=1)

    codec = "mp2" if suffix != "mp4" else "aac"
    if codec == "aac":  # floats only
        whole = write(
            tmp_path / f"w.{suffix}", [k / 25 for k in range(50)], paint=paint
        ).read_bytes()
    else:
        whole = write(
            tmp_path / f"w.{suffix}",
            [k / 25 for k in range(50)],
            [(0, tone)],
            sound_codec=codec,
            paint=paint,
        ).read_bytes()
    good = 0
    for attempt in range(24):
        data = bytearray(whole)
        if attempt % 2:
            del data[rng.randrange(1, len(data)) :]
        else:
            for _ in range(rng.randrange(1, 60)):
                data[rng.randrange(len(data))] = rng.randrange(256)
        path = tmp_path / f"broken{attempt}.{suffix}"
        path.write_bytes(data)
        try:
            report = read(path)
        except MediaError as refused:
            assert path.name in str(refused)
        else:
            good += report.frames > 0
    assert good >= 6, "most of them hold something"
