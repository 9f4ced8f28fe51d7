"""Facts of a file, the hash of its content, and the reasons why a file is refused."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from datetime import datetime
from fractions import Fraction
from pathlib import Path

import av
import pytest

from egorag.errors import MediaError
from egorag.media.probe import content_hash, probe
from egorag.media.reader import Pass

Write = Callable[..., Path]


def test_facts_of_a_file_with_two_of_each(shared_data: Path) -> None:
    facts = probe(shared_data / "media" / "nasa_13013.mp4")
    assert facts.video is not None
    assert facts.sound is not None
    assert (facts.video.index, facts.video.codec) == (3, "h264"), "the larger of two"
    assert (facts.video.width, facts.video.height) == (480, 270)
    assert facts.video.rate == Fraction(30_000, 1001)
    assert facts.video.rotation == 0
    assert (facts.sound.codec, facts.sound.rate, facts.sound.channels) == ("aac", 16_000, 2)
    assert [(s.index, s.codec, s.language, s.text) for s in facts.subtitles] == [
        (2, "mov_text", "eng", True),
        (5, "mov_text", "eng", True),
    ]
    assert facts.claimed == pytest.approx(13_056_000, abs=4_000_000)


def test_cover_art_is_no_video(shared_data: Path) -> None:
    video = probe(shared_data / "odd" / "metadata.mp4").video
    assert video is not None
    assert video.index == 0


def test_a_start_offset(shared_data: Path) -> None:
    assert probe(shared_data / "odd" / "sample_h264_mpeg_audio.ts").start == 1_466_733


def test_variable_rate(write: Write, tmp_path: Path) -> None:
    steady = probe(write(tmp_path / "c.mp4", [k / 25 for k in range(25)])).video
    varying = probe(write(tmp_path / "v.mp4", [0, 0.1, 0.15, 0.9, 1.0])).video
    assert steady is not None
    assert varying is not None
    assert (steady.variable_rate, varying.variable_rate) == (False, True)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("2023-05-06T07:08:09.000000Z", "2023-05-06T07:08:09+00:00"),
        ("1904-01-01T00:00:00.000000Z", None),
        ("1970-01-01T00:00:00.000000Z", None),
        ("last summer", None),
        (None, None),
    ],
)
def test_recording_time(
    write: Write, tmp_path: Path, stated: str | None, expected: str | None
) -> None:
    metadata = {"creation_time": stated} if stated else {}
    facts = probe(write(tmp_path / "t.mkv", [0, 1], metadata=metadata))
    assert facts.recorded_at == (datetime.fromisoformat(expected) if expected else None)


def test_content_hash(tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    (tmp_path / "a").write_bytes(data)
    (tmp_path / "b").write_bytes(data)
    assert content_hash(tmp_path / "a") == content_hash(tmp_path / "b")
    assert content_hash(tmp_path / "a") == hashlib.sha256(data).hexdigest()
    with pytest.raises(MediaError, match="missing"):
        content_hash(tmp_path / "missing")


NAMES = [
    b"-dash.mp4",
    b"pipe:1.mp4",
    b"http:evil.mp4",
    b"concat:a|b.mp4",
    b"img%03d.mp4",
    b"new\nline.mp4",
    b"quote'\"`.mp4",
    b"\xff\xfe.mp4",
    "日本.mp4".encode(),
    b" .mp4",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_a_name(
    write: Write, tmp_path: Path, name: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = write(tmp_path / "plain.mp4", [0, 1])
    odd = tmp_path / os.fsdecode(name)
    plain.rename(odd)
    monkeypatch.chdir(tmp_path)
    for path in (odd, Path(odd.name), odd.name):
        assert probe(path).video is not None
    with Pass(odd.name, []) as run:
        list(run)
    assert run.report.frames == 2


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.mp4", b"", "empty"),
        ("text.mp4", b"This is not a video at all.\n" * 100, "no media format recognised"),
        ("zeros.mkv", bytes(10_000), "no media format recognised"),
        ("head.mp4", b"\0\0\0\x18ftypisom\0\0\2\0isomiso2", "moov"),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:2,\nhttp://127.0.0.1:9/a.ts\n", ""),
        ("list.ffconcat", b"ffconcat version 1.0\nfile /etc/passwd\n", ""),
        ("\udcff.mp4", b"", "empty"),
    ],
)
def test_refusals_name_the_file_and_the_reason(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(MediaError) as refused:
        probe(path)
    message = str(refused.value)
    assert repr(os.fspath(path)) in message
    assert reason in message
    assert "\n" not in message
    message.encode()  # printable, whatever bytes the name is made of


def test_a_playlist_beside_its_media_is_refused_too(write: Write, tmp_path: Path) -> None:
    write(tmp_path / "a.ts", [k / 10 for k in range(20)])
    path = tmp_path / "list.m3u8"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\na.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(MediaError):
        probe(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path, reason in (
        (tmp_path / "nowhere.mp4", "no such file"),
        (tmp_path, "not a regular file"),
        (tmp_path / "fifo", "not a regular file"),
        (Path("/dev/zero"), "not a regular file"),
        (tmp_path / "nul\0.mp4", None),
        (tmp_path / ("x" * 5000), None),
    ):
        with pytest.raises(MediaError, match=reason):
            probe(path)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("sample_ac4.mp4", "no decoder"),
        ("short-cenc.mp4", "encrypted"),
        ("bipbop_audioinit.mp4", "no media data"),
        ("segment_1.m4s", "moov"),
        ("result.webm", "empty"),
    ],
)
def test_real_files_that_cannot_be_read(shared_data: Path, name: str, reason: str) -> None:
    with pytest.raises(MediaError, match=reason), Pass(shared_data / "odd" / name, []) as run:
        list(run)


def test_ffmpegs_log_stays_off_stderr(shared_data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    av.logging.restore_default_callback()  # as PySceneDetect does
    try:
        with Pass(shared_data / "odd" / "sample_with_invalid_nalu.mp4", []) as run:
            list(run)
    finally:
        av.logging.set_level(None)
    assert run.report.frames_skipped == 1
    assert capfd.readouterr().err == ""
