"""What doctor finds of encoders, without loading, downloading or asking the network."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import FakeFrames, checkpoint, install
from hub import hub

from egorag import registry
from egorag.checkup import encoders as encoders_module
from egorag.checkup.encoders import BROKEN, PACKAGES, READY, WEIGHTS, Row, check_encoders
from egorag.checkup.told import told
from egorag.errors import ConfigError


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    install(folder)
    return folder


@pytest.fixture
def fakes_installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("HF_HUB_CACHE", str(site / "hub"))
    registry.plugins.cache_clear()
    yield
    registry.plugins.cache_clear()


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch, fakes_installed: None) -> None:
    """Presets left out: the encoders of this package have tests of their own."""
    monkeypatch.setattr(encoders_module, "_presets", lambda: ({}, []))


@pytest.fixture
def rows(only: None) -> dict[str, Row]:
    return {n: row for n, row in check_encoders("cpu").items() if n.startswith("fake_")}


def test_weights_that_are_not_here(rows: dict[str, Row]) -> None:
    row = rows["fake_frames"]
    assert (row.state, row.fine, row.preset) == (WEIGHTS, False, False)
    assert row.mend == "hf download nobody/fake"
    assert (row.medium, row.yields, row.dim) == ("frames", "vectors", 3)
    assert (row.licence, row.gated, row.download) == ("MIT", False, 2e9)
    assert row.memory == 10**9
    assert row.bytes is None
    assert rows["fake_text"].medium == "text"


def test_gated_weights_name_the_licence_and_one_command(rows: dict[str, Row]) -> None:
    row = rows["fake_gated"]
    assert row.state == WEIGHTS
    assert row.mend == "hf auth login && hf download nobody/gated"
    assert "https://huggingface.co/nobody/gated" in str(row.lacks)


def test_packages_come_before_weights(rows: dict[str, Row]) -> None:
    row = rows["fake_unpacked"]
    assert row.state == PACKAGES
    assert "no-such-package" in str(row.lacks)
    assert row.mend == f"{sys.executable} -m pip install 'egorag[vision]'"


def test_a_plugin_that_cannot_be_imported_is_told_alone(rows: dict[str, Row]) -> None:
    row = rows["fake_absent"]
    assert row.state == PACKAGES
    assert "no_such_module" in str(row.mend)
    assert row.medium is None


def test_weights_that_are_here(only: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = checkpoint(tmp_path / "mine")
    node = {"_target_": "fakes.FakeFrames", "checkpoint": where}
    monkeypatch.setattr(encoders_module, "_presets", lambda: ({"mine": node}, ["mine"]))
    row = check_encoders("cpu")["mine"]
    assert (row.state, row.default, row.preset, row.lacks, row.mend) == (
        READY, True, True, None, None
    )  # fmt: skip
    assert (row.yields, row.dim, row.queries) == ("vectors", 3, ["text"])
    assert row.does == "the weights of mine times the mean colour"
    assert row.bytes == sum(p.stat().st_size for p in Path(where).iterdir())

    node["checkpoint"] = str(tmp_path / "nowhere")
    row = check_encoders("cpu")["mine"]
    assert row.state == BROKEN
    assert "nowhere" in str(row.lacks)


def test_fetched_weights_are_seen(only: None, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the hub's own client, into its own cache, as ``hf download`` leaves them."""
    folder = Path(checkpoint(site / "published"))
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    with hub("nobody/fake", files) as (address, asked):
        code = "from fakes import FakeFrames; FakeFrames().fetch()"
        environment = {
            **os.environ,
            "HF_ENDPOINT": address,
            "HF_HUB_CACHE": str(site / "cache"),
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }
        environment.pop("HF_HUB_OFFLINE", None)
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert "licence: mit" in done.stderr
        asked.clear()
        code = (
            "from egorag.checkup import encoders as e; e._presets = lambda: ({}, [])\n"
            "row = e.check_encoders('cpu')['fake_frames']; print(row.state, row.bytes, row.lacks)"
        )
        environment["PYTHONPATH"] = f"{site}:{Path(__file__).parents[1]}"
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True
        )
        assert done.stdout.split() == ["ready", str(sum(map(len, files.values()))), "None"], (
            done.stderr
        )
        assert asked == [], "doctor asked the network"


def test_nothing_heavy_is_imported_and_no_network_asked() -> None:
    code = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise AssertionError('network')\n"
        "socket.socket.connect = refuse; socket.getaddrinfo = refuse\n"
        "from egorag.checkup.encoders import check_encoders\n"
        "rows = check_encoders('cpu')\n"
        "assert not {'torch', 'transformers'} & set(sys.modules), 'torch'\n"
        "print(all(row.fine for row in rows.values() if row.default))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "True", done.stderr


def test_a_default_encoder_that_cannot_run_is_exit_code_1(
    only: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from egorag import doctor

    nodes = {"a": {"_target_": "fakes.FakeFrames"}, "b": {"_target_": "fakes.Gated"}}
    monkeypatch.setattr(encoders_module, "_presets", lambda: (nodes, ["b"]))
    assert doctor.run({"device": "cpu"}).exit_code == 1
    monkeypatch.setattr(encoders_module, "_presets", lambda: (nodes, []))
    assert doctor.run({"device": "cpu"}).exit_code == 0


def test_a_wrong_preset_of_a_plugin_fails_in_its_row(
    only: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(FakeFrames):
        def check_packages(self) -> None:  # type: ignore[override]
            raise KeyError("a plugin's mistake")

    monkeypatch.setattr(registry, "build", lambda *_: Wrong())
    row = check_encoders("cpu")["fake_frames"]
    assert row.state == BROKEN
    assert "KeyError" in str(row.lacks)


def test_the_text_is_readable_in_a_hundred_columns(rows: dict[str, Row]) -> None:
    lines = told({"python": "3", "torch": "not installed"}, rows).splitlines()
    commands = [row.mend for row in rows.values()]
    assert all(len(line) <= 100 for line in lines if line.strip() not in commands)
    assert {str(c) for c in commands} <= {line.strip() for line in lines}
    heads = [line.partition(":")[0] for line in lines if line and not line.startswith(" ")]
    assert heads[2:4] == ["Needs weights (index fetches them, or get them now)", "Needs packages"]
    assert "not installed: torch" in lines


def test_settings_that_do_not_exist_are_told(only: None, monkeypatch: pytest.MonkeyPatch) -> None:
    node = {"_target_": "fakes.FakeFrames", "colour": "red"}
    monkeypatch.setattr(encoders_module, "_presets", lambda: ({"mine": node}, []))
    assert "no setting 'colour'" in str(check_encoders("cpu")["mine"].lacks)
    with pytest.raises(ConfigError):
        registry.build("encoders", "mine", node)
