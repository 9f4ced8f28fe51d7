"""Before the first video: packages, then weights, all that is wrong told at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fakes import EVENTS, FakeFrames, FakeText, Unpacked, checkpoint, install
from hub import hub

from egorag.encode.subtitles import Subtitles
from egorag.errors import ConfigError
from egorag.pipeline.models import SetupError
from egorag.pipeline.prepare import prepare
from egorag.pipeline.recipe import Recipe
from egorag.segment.fixed import Fixed


@pytest.fixture(autouse=True)
def fresh() -> None:
    EVENTS.clear()


def recipe(device: str = "cpu", **encoders: Any) -> Recipe:
    return Recipe(Fixed(), encoders, {}, device=device)


def test_each_is_fetched_once_in_order_and_settled(tmp_path: Path) -> None:
    where = [checkpoint(tmp_path / name) for name in "ab"]
    ready = prepare(
        recipe(b=FakeText(checkpoint=where[1]), s=Subtitles(), a=FakeFrames(checkpoint=where[0]))
    )
    assert EVENTS == [("fetch", "b"), ("fetch", "a")]
    assert list(ready.encoders) == ["b", "s", "a"]
    assert ready.encoders["a"].dtype == "float32"  # type: ignore[attr-defined]


def test_all_problems_are_one_error(tmp_path: Path) -> None:
    with pytest.raises(SetupError) as raised:
        prepare(
            recipe(
                gone=FakeFrames(checkpoint=str(tmp_path / "gone")),
                fine=FakeFrames(checkpoint=checkpoint(tmp_path / "fine")),
                dear=FakeFrames(checkpoint="x", fault="fetch"),
            )
        )
    said = str(raised.value)
    assert raised.value.exit_code == 2
    assert said.startswith("2 encoders are not ready, so nothing was indexed:")
    for part in ("\n  gone: ", "is not a folder", "\n  dear: ", "hf download it", "egorag.doctor"):
        assert part in said
    assert "fine" not in said


def test_packages_are_checked_before_any_download(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"an encoder is not ready.*\n  odd: .*no-such-package"):
        prepare(recipe(a=FakeFrames(checkpoint=checkpoint(tmp_path / "a")), odd=Unpacked()))
    assert EVENTS == []


def test_a_device_that_is_not_there_is_told_before_any_download(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    with pytest.raises(ConfigError, match="tpu"):
        prepare(recipe("tpu", a=FakeFrames(checkpoint=checkpoint(tmp_path / "a"))))
    assert EVENTS == []


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from egorag.sample import make

    path = tmp_path_factory.mktemp("clip") / "a.mp4"
    make(path, seconds=4, seed=1, size=(160, 90))
    return path


def index(
    tmp_path: Path, clip: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    site = tmp_path / "site"
    variables = {
        **os.environ,
        "PYTHONPATH": install(site) if not site.exists() else f"{site}:{Path(__file__).parents[1]}",
        "HF_HUB_CACHE": str(tmp_path / "hub"),
        **environment,
    }
    given = [f"input={clip}", f"index={tmp_path / 'i'}", "encoder=[subtitles]", "device=cpu"]
    return subprocess.run(
        [sys.executable, "-m", "egorag.index", *given, *arguments],
        env=variables,
        capture_output=True,
        text=True,
    )


def test_offline_the_command_ends_before_it_writes(tmp_path: Path, clip: Path) -> None:
    chosen = ["encoders.mine._target_=fakes.FakeFrames", "encoders.odd._target_=fakes.Gated"]
    done = index(tmp_path, clip, *chosen, HF_HUB_OFFLINE="1")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "  mine: " in done.stderr
    assert "hf download nobody/fake" in done.stderr
    assert "encoders.mine.checkpoint=FOLDER" in done.stderr
    assert "  odd: " in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "i").exists()


def test_weights_are_fetched_and_the_summary_says_what_was_done(tmp_path: Path, clip: Path) -> None:
    folder = Path(checkpoint(tmp_path / "published"))
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    chosen = ["encoders.mine._target_=fakes.FakeFrames", "output=json"]
    with hub("nobody/fake", files) as (address, asked):
        done = index(tmp_path, clip, *chosen, HF_ENDPOINT=address, HF_HUB_OFFLINE="0")
        assert done.returncode == 0, done.stderr
        assert "fetching nobody/fake" in done.stderr
        assert asked
        asked.clear()
        again = index(tmp_path, clip, *chosen, HF_ENDPOINT=address, HF_HUB_OFFLINE="0")
        assert again.returncode == 0, again.stderr
        assert asked == [], "what is here is not asked for"
    got = json.loads(done.stdout)
    assert got["videos"][0]["encoders"]["mine"]["rows"] == got["videos"][0]["scenes"]
    assert got["passes"] == [{"encoders": ["subtitles", "mine"], "bytes": 10**9}]
    mine = got["encoders"]["mine"]
    assert mine["does"] == "the weights of fake times the mean colour"
    assert (mine["checkpoint"], mine["device"], mine["dtype"]) == ("nobody/fake", "cpu", "float32")
    assert mine["space"]["revision"].startswith("sha256:")
    assert mine["fingerprint"]
    repeated = json.loads(again.stdout)["encoders"]["mine"]
    assert (mine["made"], mine["reused"]) == (1, 0)
    assert (repeated["made"], repeated["reused"], repeated["seconds"]) == (0, 1, 0.0)
    assert all(repeated[key] == mine[key] for key in ("does", "fingerprint", "space"))
    text = index(tmp_path, clip, *chosen[:1], HF_HUB_OFFLINE="1").stdout
    assert f"  mine (nobody/fake, float32 on cpu): {mine['does']}" in text.splitlines()
