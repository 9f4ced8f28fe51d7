"""``python -m egorag.tune`` as a user runs it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from conftest import Command

from egorag import config
from egorag.errors import EgoragError
from egorag.tune import run as tune


@pytest.fixture(scope="module")
def days(command: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three short days with their truth, indexed offline by ``segmenter=ward``."""
    from egorag.sample import make

    folder = tmp_path_factory.mktemp("days")
    for seed in range(3):
        make(folder / f"d{seed}.mp4", seconds=15, seed=seed, size=(160, 90), scenes=3)
    done = command(
        "index", f"input={folder}", f"index={folder / 'i'}", "segmenter=ward",
        "encoder=[minilm]", "+encoder=picture_frames",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def settings(days: Path, *overrides: str) -> dict[str, object]:
    return config.compose("tune", [f"index={days / 'i'}", *overrides])


def test_a_threshold_to_type(days: Path, command: Command) -> None:
    files = ",".join(str(days / f"d{seed}.truth.json") for seed in range(3))
    done = command("tune", f"index={days / 'i'}", f"cuts=[{files}]", "output=json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["videos"] == 3 and told["cuts"] == 6
    assert told["best"]["f1"] == max(row["f1"] for row in told["sweep"]) == 1.0
    assert told["held_out"]["true"] == 6 and set(told["by_video"]) == {"d0", "d1", "d2"}
    assert told["default"]["threshold"] == 0.4
    assert told["override"] == f"segmenter.threshold={told['best']['threshold']:g}"
    again = command(
        "index", f"input={days}", f"index={days / 'i'}", "segmenter=ward", told["override"],
        "encoder=[minilm,picture_frames]", "output=json",
    )  # fmt: skip
    assert [video["scenes"] for video in json.loads(again.stdout)["videos"]] == [3, 3, 3]


def test_labels_by_name_path_and_id_in_csv(days: Path, tmp_path: Path) -> None:
    index = json.loads((days / "d0.truth.json").read_text())["cuts"]
    (tmp_path / "a.csv").write_text(
        "video,seconds\n" + "".join(f"d0.mp4,{cut['seconds']}\n" for cut in index)
    )
    found = tune(settings(days, f"cuts={tmp_path / 'a.csv'}"))
    assert found.data["held_out"] is None and "label more" in found.text
    assert found.data["best"]["f1"] == 1.0
    assert found.data["override"] in found.text


@pytest.mark.parametrize(
    ("labels", "overrides", "said"),
    [
        ('{"elsewhere.mp4": [1]}', [], "no video called"),
        ('{"d0": [1], "d0.mp4": [2]}', [], "labelled before"),
        ('{"d0": [1]}', ["tolerance=-1"], "tolerance must be"),
        ('{"d0": [1]}', ["segmenter.encoder=minilm"], "no moments of encoder 'minilm'"),
        ('{"d0": [1]}', ["segmenter=shots"], "only segmenter=ward is tuned"),
    ],
)
def test_what_cannot_be_tuned_is_said(
    labels: str, overrides: list[str], said: str, days: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.json").write_text(labels)
    with pytest.raises(EgoragError, match=said):
        tune(settings(days, f"cuts={tmp_path / 'a.json'}", *overrides))


def test_a_name_that_two_videos_have_is_refused(
    days: Path, command: Command, tmp_path: Path
) -> None:
    for number in range(2):
        (tmp_path / f"{number}").mkdir()
        shutil.copy(days / f"d{number}.mp4", tmp_path / f"{number}" / "d.mp4")
    done = command(
        "index", f"input={tmp_path}/*/d.mp4", f"index={tmp_path / 'i'}", "segmenter=fixed",
        "encoder=[picture_frames]",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (tmp_path / "a.json").write_text('{"d": [1]}')
    with pytest.raises(EgoragError, match="several videos are called 'd'"):
        tune(config.compose("tune", [f"index={tmp_path / 'i'}", f"cuts={tmp_path / 'a.json'}"]))


def test_ward_without_its_encoder_ends_before_the_first_video(
    days: Path, command: Command, tmp_path: Path
) -> None:
    done = command("index", f"input={days}", f"index={tmp_path / 'i'}", "segmenter=ward")
    assert done.returncode == 2
    assert "+encoder=picture_frames" in done.stderr
    assert not (tmp_path / "i").exists()
