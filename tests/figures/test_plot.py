"""``python -m egorag.plot`` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib")

import egorag
from egorag.errors import ConfigError, MediaError
from egorag.plot import run


@pytest.fixture(scope="module")
def index(day: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from checkpoints import vjepa2

    folder = tmp_path_factory.mktemp("plot")
    checkpoint = vjepa2.write(folder / "checkpoint", frames_per_clip=32)
    settings = [f"checkpoint={checkpoint}", "frames=8", "dtype=float32"]
    tuned = [f"encoders.vjepa2_fast.{s}" for s in settings]
    with egorag.build(day, folder / "index", ["encoder=[vjepa2_fast]", *tuned, "device=cpu"]):
        return folder / "index"


def settings(index: Path, to: Path, /, **changes: Any) -> dict[str, Any]:
    given = {"index": str(index), "to": str(to), "what": "tree", "video": None, "encoder": None}
    return {**given, "encoders": {}, "ahead": None, "device": "cpu", **changes}


def test_a_surprise_curve_is_drawn_and_told(index: Path, day: Path, tmp_path: Path) -> None:
    to = tmp_path / "surprise.svg"
    got = run(settings(index, to, what="surprise")).data
    assert (got["to"], got["what"], got["path"]) == (str(to), "surprise", str(day))
    assert got["times"] == [2.5 + k / 2 for k in range(36)]
    assert len(got["energy"]) == len(got["static"]) == 36
    assert to.read_text().startswith("<?xml")


def test_the_command_draws_a_tree_and_prints_one_object(
    index: Path, day: Path, tmp_path: Path, command: Any
) -> None:
    to = tmp_path / "tree.png"
    given = (f"index={index}", "what=tree", f"video={day.name}", f"to={to}")
    done = command("plot", *given, "output=json")
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout)
    assert set(got) == {"to", "what", "video", "path", "scenes"}
    assert got["scenes"]["video"] == 1
    assert to.read_bytes().startswith(b"\x89PNG")
    assert "figures need" not in done.stderr
    refused = command("plot", f"index={index}", "what=tree")
    assert refused.returncode == 2
    assert "to=..." in refused.stderr
    assert command("plot", "--help").stdout.startswith("Draw a video")


def test_a_tree_of_moments_is_drawn_where_there_is_one(day: Path, tmp_path: Path) -> None:
    with egorag.build(day, tmp_path / "index", ["encoder=[picture_frames]"]):
        pass
    to = tmp_path / "tree.svg"
    run(settings(tmp_path / "index", to, encoder="picture_frames"))
    plain = tmp_path / "plain.svg"
    assert to.exists()
    with pytest.raises(ConfigError, match="picture_frame'; did you mean 'picture_frames'"):
        run(settings(tmp_path / "index", plain, encoder="picture_frame"))
    with pytest.raises(ConfigError, match=r"no V-JEPA 2 encoder.*\+encoder=vjepa2_fast"):
        run(settings(tmp_path / "index", plain, what="surprise"))
    assert not plain.exists()


def test_what_cannot_be_drawn_is_refused(index: Path, tmp_path: Path) -> None:
    to = tmp_path / "a.png"
    for changes, said in [
        ({"what": "trea"}, "did you mean 'tree'"),
        ({"to": str(tmp_path / "a.jpg")}, r"\.png or \.svg"),
        ({"video": "other.mp4"}, "no video called 'other.mp4'"),
        ({"what": "surprise", "encoder": "vjepa2_fats"}, "did you mean 'vjepa2_fast'"),
        ({"what": "surprise", "ahead": 100}, "at most"),
    ]:
        with pytest.raises(ConfigError, match=said):
            run(settings(index, to, **changes))
    assert not to.exists()


def test_a_video_that_went_away_is_named(day: Path, tmp_path: Path) -> None:
    copy = tmp_path / "gone.mp4"
    copy.write_bytes(day.read_bytes())
    with egorag.build(copy, tmp_path / "index", ["encoder=[picture]"]):
        pass
    copy.unlink()
    with pytest.raises(MediaError, match=r"gone\.mp4.*put it back"):
        run(settings(tmp_path / "index", tmp_path / "a.png"))


def test_of_several_videos_one_must_be_named(day: Path, tmp_path: Path) -> None:
    from egorag.sample import make

    make(tmp_path / "other.mp4", seconds=6, seed=2, size=(160, 90))
    with egorag.build([day, tmp_path / "other.mp4"], tmp_path / "index", ["encoder=[picture]"]):
        pass
    with pytest.raises(ConfigError, match=r"2 videos.*video="):
        run(settings(tmp_path / "index", tmp_path / "a.png"))
    run(settings(tmp_path / "index", tmp_path / "a.png", video="other.mp4"))
