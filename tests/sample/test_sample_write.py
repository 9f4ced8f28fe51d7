"""Refusals, whole files or none, sidecars, the command, long files by repetition."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest

from egorag.errors import ConfigError
from egorag.sample import make, mux, repeat
from egorag.sample.__main__ import main, parse

SMALL: dict[str, Any] = {"seconds": 2, "size": (96, 64), "rate": 10}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size": (641, 360)}, "even"),
        ({"size": (32, 360)}, "at least 64"),
        ({"seconds": 0.5}, "1 to 86400"),
        ({"seconds": float("nan")}, "1 to 86400"),
        ({"rate": 0}, "1 to 240"),
        ({"scenes": 0}, "1 or more"),
        ({"scenes": 9}, "a second or longer"),
        ({"seed": -1}, "0 or more"),
        ({"subtitles": "steam"}, "did you mean 'stream'"),
    ],
)
def test_a_bad_setting_is_named(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        make(tmp_path / "a.mp4", **{**SMALL, **changes})
    assert not list(tmp_path.iterdir())


def test_a_bad_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no folder .*nowhere"):
        make(tmp_path / "nowhere" / "a.mp4", **SMALL)
    with pytest.raises(ConfigError, match=r"\.mp4"):
        make(tmp_path / "a.avi", **SMALL)


def test_an_existing_file_is_kept_unless_told(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"mine")
    with pytest.raises(ConfigError, match="exists"):
        make(path, **SMALL)
    assert path.read_bytes() == b"mine"
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
    make(path, **SMALL, overwrite=True)
    assert path.read_bytes() != b"mine"


def test_a_failure_half_way_leaves_no_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mux, "_picture", full)
    with pytest.raises(OSError, match="No space"):
        make(path, **SMALL, overwrite=True)
    assert path.read_bytes() == b"old"
    assert not [p for p in tmp_path.iterdir() if "partial" in p.name]


def test_sidecar_holds_the_narration(tmp_path: Path) -> None:
    truth = make(tmp_path / "a.mp4", 8, size=(96, 64), rate=10, subtitles="sidecar")
    blocks = (tmp_path / "a.srt").read_text(encoding="utf-8").strip().split("\n\n")
    assert len(blocks) == len(truth.narration) >= 2
    for number, (block, said) in enumerate(zip(blocks, truth.narration, strict=True), start=1):
        head, times, text = block.split("\n")
        assert head == str(number)
        assert text == said.text
        fields = [int(digits) for digits in re.findall(r"\d+", times)]
        hours, minutes, seconds, ms = fields[:4]
        start = ((hours * 60 + minutes) * 60 + seconds) * 1000 + ms
        assert start * 1000 == said.span.start
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert not container.streams.subtitles


def test_command_prints_the_truth_and_exits_as_agreed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = ["seconds=2", "size=96x64", "rate=10", f"to={tmp_path / 'a.mp4'}"]
    assert main([*wanted, "output=json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads((tmp_path / "a.truth.json").read_text(encoding="utf-8"))
    assert main(wanted) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "exists" in captured.err
    assert captured.err.count("\n") == 1
    assert main(["--help"]) == 0
    assert "to=FILE" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("secnds=3", "did you mean 'seconds'"),
        ("seconds=long", "seconds='long'"),
        ("size=640", "size='640'"),
        ("rate=1/0", "rate='1/0'"),
        ("overwrite=maybe", "overwrite='maybe'"),
        ("output=yaml", "output='yaml'"),
        ("hello", "KEY=VALUE"),
    ],
)
def test_a_mistyped_argument_is_named(argument: str, words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        parse(["to=a.mp4", argument])
    with pytest.raises(ConfigError, match="to=FILE"):
        parse(["seed=1"])


def test_importing_the_sample_loads_no_opencv() -> None:
    code = "import egorag.sample.__main__, sys; sys.exit('cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_repeat_shifts_every_stream_exactly(tmp_path: Path) -> None:
    once, thrice = tmp_path / "a.mp4", tmp_path / "b.mp4"
    truth = make(once, 5, size=(96, 64), rate=30, scenes=1)
    length = repeat(once, thrice, 3)
    assert length == 5

    def times(path: Path, kind: str) -> list[tuple[Fraction, bytes]]:
        with av.open(str(path)) as container:
            stream = getattr(container.streams, kind)[0]
            return [
                (packet.pts * packet.time_base, bytes(packet))
                for packet in container.demux(stream)
                if packet.pts is not None and bytes(packet) not in (b"", b"\0\0")
            ]

    for kind in ("video", "subtitles"):
        first = times(once, kind)
        expected = [(time + copy * 5, data) for copy in range(3) for time, data in first]
        assert (times(thrice, kind) == expected) is True  # no diff: it would print the packets
    with av.open(str(thrice)) as container:
        assert container.duration == 15_000_000
        shown = [frame.pts * frame.time_base for frame in container.decode(video=0)]
        assert len(shown) == 3 * truth.frames
        assert all(after - before == shown[1] for before, after in pairwise(shown))
    heard = [time for time, _ in times(thrice, "audio")]
    steps = [after - before for before, after in pairwise(heard)]
    assert min(steps) > 0
    assert max(steps) < 2.1 * 1024 / 48_000
    with pytest.raises(ConfigError, match="exists"):
        repeat(once, thrice, 2)
    with pytest.raises(ConfigError, match="times=0"):
        repeat(once, tmp_path / "c.mp4", 0)
    with pytest.raises(ConfigError, match="no file"):
        repeat(tmp_path / "none.mp4", tmp_path / "c.mp4", 2)
