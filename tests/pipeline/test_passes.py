"""Several passes leave what one pass leaves, whatever fails and whenever it is stopped."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from fakes import EVENTS, GB, FakeFrames, FakeSpeech, FakeText, checkpoint, install
from snapshot import artifact_hashes, catalog_rows

from egorag.encode.subtitles import Subtitles
from egorag.media.inputs import discover
from egorag.pipeline import video as video_module
from egorag.pipeline.batch import Summary, index_all
from egorag.pipeline.models import SetupError
from egorag.pipeline.onepass import run_pass
from egorag.pipeline.progress import Silent
from egorag.pipeline.recipe import Recipe
from egorag.segment.fixed import Fixed
from egorag.store.folder import IndexFolder

ALL, TWO = 100 * GB, 2 * GB


class Recorder(Silent):
    """Keeps what it was told; may stop the run as it is told so."""

    def __init__(self, stop_at: tuple[object, ...] = ()) -> None:
        self.notes: list[str] = []
        self.ends: list[tuple[str, str | None]] = []
        self.turns: list[tuple[int, int]] = []
        self._stop_at = stop_at

    def note(self, text: str) -> None:
        self.notes.append(text)

    def turn(self, number: int, of: int) -> None:
        self.turns.append((number, of))
        if self._stop_at == (number, of):
            raise KeyboardInterrupt

    def end(self, name: str, outcome: str | None) -> None:
        self.ends.append((Path(name).name, outcome))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """a has French subtitles; b has English ones, which say nothing to who reads French."""
    from egorag.sample import make

    folder = tmp_path_factory.mktemp("clips")
    for seed, name in enumerate("ab"):
        make(folder / f"{name}.mp4", seconds=4, seed=seed, size=(160, 90), subtitles="none")
        (folder / f"{name}.truth.json").unlink()
    for name, said in (("a.fr.srt", "bonjour"), ("b.en.srt", "hello there")):
        (folder / name).write_text(f"1\n00:00:01,000 --> 00:00:02,000\n{said}\n")
    return folder


@pytest.fixture(autouse=True)
def fresh() -> None:
    EVENTS.clear()


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file was decoded."""
    counts: Counter[str] = Counter()

    def counting(path: Path, *rest: Any) -> Any:
        counts[path.name] += 1
        return run_pass(path, *rest)

    monkeypatch.setattr(video_module, "run_pass", counting)
    return counts


def chosen(weights: Path, **faults: str) -> dict[str, Any]:
    """Two that read frames, one that hears, one that reads text, and subtitles."""

    def of(name: str, seed: int) -> dict[str, Any]:
        return {
            "checkpoint": checkpoint(weights / name, seed),
            "dtype": "float32",
            "fault": faults.get(name, ""),
        }

    return {
        "subtitles": Subtitles(languages=("fr",)),
        "first": FakeFrames(**of("first", 1), size=2 * GB),
        "second": FakeFrames(**of("second", 2), size=2 * GB),
        "hears": FakeSpeech(**of("hears", 3), size=2 * GB),
        "reads": FakeText(**of("reads", 4), size=2 * GB),
    }


def run(
    videos: Path, index: Path, encoders: dict[str, Any], memory: int, watch: Silent | None = None
) -> Summary:
    settings = {name: {"_target_": name} for name in encoders}
    recipe = Recipe(Fixed(seconds=1.0), encoders, settings, 2.0, "cpu", memory)
    with IndexFolder.create(index, "") as folder:
        return index_all(discover(videos), recipe, folder, watch or Silent())


def state(index: Path) -> tuple[Any, Any]:
    return catalog_rows(index), artifact_hashes(index)


def told(summary: Summary) -> list[dict[str, Any]]:
    told = [outcome.to_json() for outcome in summary.outcomes]
    for outcome in told:
        for encoder in outcome.get("encoders", {}).values():
            del encoder["seconds"]  # the clock's, not the run's
    return told


def test_many_passes_leave_what_one_leaves(
    clips: Path, tmp_path: Path, decodes: Counter[str]
) -> None:
    one = run(clips, tmp_path / "one", chosen(tmp_path / "w"), ALL)
    assert len(one.passes) == 1
    assert decodes == {"a.mp4": 1, "b.mp4": 2}, "b again for what stood back for its subtitles"
    decodes.clear()
    EVENTS.clear()
    watch = Recorder()
    many = run(clips, tmp_path / "many", chosen(tmp_path / "w"), TWO, watch)
    assert [p["encoders"] for p in many.passes] == [
        ["subtitles", "first"],
        ["second"],
        ["hears"],
        ["reads"],
    ]
    assert state(tmp_path / "many") == state(tmp_path / "one")
    assert told(many) == told(one)
    heard = {o["path"][-5:]: o["encoders"]["hears"].get("skipped") for o in told(many)}
    assert heard == {"a.mp4": "has subtitles", "b.mp4": None}
    # Each loaded once, one at a time; nothing decoded where there was nothing to do.
    loads = [event for event in EVENTS if event[0] in ("setup", "close")]
    assert loads == [
        (e, n) for n in ("first", "second", "hears", "reads") for e in ("setup", "close")
    ]
    assert decodes == {"a.mp4": 2, "b.mp4": 3}
    assert watch.turns == [(n, 4) for n in (1, 2, 3, 4)]
    assert watch.notes == [str_of(many)]
    assert [e for e in watch.ends if e[1] is not None] == watch.ends[-2:]


def str_of(summary: Summary) -> str:
    listed = "; ".join(
        f"{n}. {', '.join(p['encoders'])} (2.0 GB)" for n, p in enumerate(summary.passes, 1)
    )
    return f"4 passes within 2.0 GB: {listed}"


def test_one_pass_says_nothing_of_passes(clips: Path, tmp_path: Path) -> None:
    watch = Recorder()
    run(clips / "a.mp4", tmp_path / "i", chosen(tmp_path / "w"), ALL, watch)
    assert watch.notes == []
    assert watch.turns == [(1, 1)]


@pytest.mark.parametrize("name", ["first", "second", "hears", "reads"])
def test_a_failure_is_told_and_not_tried_again(name: str, clips: Path, tmp_path: Path) -> None:
    number = 1 if name == "hears" else 2  # it skips the first video
    for memory, index in ((ALL, tmp_path / "one"), (TWO, tmp_path / "many")):
        EVENTS.clear()
        faulty = chosen(tmp_path / "w", **{name: f"encode {number}"})
        summary = run(clips, index, faulty, memory)
        a, b = told(summary)
        assert "error" not in a["encoders"][name]
        assert b["encoders"][name]["error"] == "RuntimeError: out of luck"
        assert b["problems"] == [f"{name} failed: RuntimeError: out of luck"]
        assert EVENTS.count(("encode", name)) == number
        assert [o.failed for o in summary.outcomes] == [False, True]
    assert state(tmp_path / "many") == state(tmp_path / "one")
    assert not run(clips, tmp_path / "many", chosen(tmp_path / "w"), TWO).failed
    run(clips, tmp_path / "whole", chosen(tmp_path / "w"), ALL)
    assert catalog_rows(tmp_path / "many") == catalog_rows(tmp_path / "whole")
    assert artifact_hashes(tmp_path / "many").items() >= artifact_hashes(tmp_path / "whole").items()


def test_a_bad_file_is_told_once_and_not_touched_again(
    clips: Path, tmp_path: Path, decodes: Counter[str]
) -> None:
    folder = tmp_path / "v"
    shutil.copytree(clips, folder)
    (folder / "a.mp4").write_bytes(b"no video")
    good = (folder / "b.mp4").read_bytes()
    (folder / "c.mp4").write_bytes(good[: len(good) // 3])
    watch = Recorder()
    summary = run(folder, tmp_path / "i", chosen(tmp_path / "w"), TWO, watch)
    assert [o.record is None for o in summary.outcomes] == [True, False, True]
    said = [name for name, outcome in watch.ends if outcome is not None]
    assert sorted(said) == ["a.mp4", "b.mp4", "c.mp4"]
    assert len(watch.ends) == 4 * 3, "the bar ends full"
    assert decodes == {"b.mp4": 3, **({"c.mp4": 1} if decodes["c.mp4"] else {})}


def test_a_failing_setup_names_the_encoder_and_closes_the_rest(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="encoder second cannot be set up: its weights are of"):
        run(clips, tmp_path / "i", chosen(tmp_path / "w", second="setup"), ALL)
    assert EVENTS[-1] == ("close", "first")
    # In a later pass the earlier ones' results are kept.
    EVENTS.clear()
    with pytest.raises(SetupError, match="encoder second"):
        run(clips, tmp_path / "i", chosen(tmp_path / "w", second="setup"), TWO)
    EVENTS.clear()
    run(clips, tmp_path / "i", chosen(tmp_path / "w"), TWO)
    assert ("setup", "first") not in EVENTS


@pytest.mark.parametrize("fault", ["memory", "gpu memory"])
def test_a_model_that_does_not_fit_says_what_to_do(fault: str, clips: Path, tmp_path: Path) -> None:
    if fault == "gpu memory":
        pytest.importorskip("torch")
    with pytest.raises(SetupError) as raised:
        run(clips, tmp_path / "i", chosen(tmp_path / "w", second=fault), ALL)
    for said in ("second does not fit", "cpu beside first", "2.0 GB", "memory=", "dtype=bfloat16"):
        assert said in str(raised.value)


def test_an_encoder_larger_than_the_budget_is_told_and_tried(clips: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="of memory, more than the budget of") as warned:
        summary = run(clips, tmp_path / "i", chosen(tmp_path / "w"), GB)
    assert "encoder first needs about 2.0 GB" in str(warned[0].message)
    assert len(warned) == 4
    assert not summary.failed
    run(clips, tmp_path / "one", chosen(tmp_path / "w"), ALL)
    assert state(tmp_path / "i") == state(tmp_path / "one")


@pytest.mark.parametrize("turn", [2, 3, 4])
def test_stopped_between_passes_and_run_again(turn: int, clips: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(clips, tmp_path / "i", chosen(tmp_path / "w"), TWO, Recorder((turn, 4)))
    assert not any(catalog_rows(tmp_path / "i")["videos"]), "no video is whole yet"
    EVENTS.clear()
    run(clips, tmp_path / "i", chosen(tmp_path / "w"), TWO)
    done = ["first", "second", "hears"][: turn - 1]
    assert not any(("setup", name) in EVENTS for name in done)
    run(clips, tmp_path / "one", chosen(tmp_path / "w"), ALL)
    assert state(tmp_path / "i") == state(tmp_path / "one")


def test_a_result_lost_between_passes_is_made_again(clips: Path, tmp_path: Path) -> None:
    class Thief(Recorder):
        def turn(self, number: int, of: int) -> None:
            if number == of:
                for path in (tmp_path / "i" / "artifacts").rglob("*.safetensors"):
                    path.unlink()

    run(clips, tmp_path / "i", chosen(tmp_path / "w"), TWO, Thief())
    run(clips, tmp_path / "one", chosen(tmp_path / "w"), ALL)
    assert state(tmp_path / "i") == state(tmp_path / "one")


def test_a_file_replaced_between_passes_is_read_anew(clips: Path, tmp_path: Path) -> None:
    class Swap(Recorder):
        def turn(self, number: int, of: int) -> None:
            if number == 2:
                shutil.copy(clips / "a.mp4", tmp_path / "v.mp4")

    shutil.copy(clips / "b.mp4", tmp_path / "v.mp4")
    run(tmp_path / "v.mp4", tmp_path / "i", chosen(tmp_path / "w"), TWO, Swap())
    run(tmp_path / "v.mp4", tmp_path / "one", chosen(tmp_path / "w"), ALL)
    assert catalog_rows(tmp_path / "i") == catalog_rows(tmp_path / "one")


def test_identity_is_computed_once_a_run(clips: Path, tmp_path: Path) -> None:
    summary = run(clips, tmp_path / "i", chosen(tmp_path / "w"), TWO)
    counts = Counter(name for what, name in EVENTS if what == "fingerprint")
    assert counts == {"first": 1, "second": 1, "hears": 1, "reads": 1}
    did = summary.to_json()["encoders"]
    assert list(did) == ["subtitles", "first", "second", "hears", "reads"]
    assert did["first"]["does"] == "the weights of first times the mean colour"
    assert did["first"]["space"]["dim"] == 3
    assert (did["first"]["dtype"], did["first"]["device"]) == ("float32", "cpu")
    assert did["subtitles"]["does"] is did["hears"]["space"] is None


def test_killed_at_random_moments_and_run_again(clips: Path, tmp_path: Path) -> None:
    """As a user would: processes, SIGKILL, a small budget; against one undisturbed pass."""
    environment = {**os.environ, "PYTHONPATH": install(tmp_path / "site"), "HF_HUB_OFFLINE": "1"}
    kinds = {"one": "FakeFrames", "two": "FakeFrames", "ear": "FakeSpeech", "text": "FakeText"}
    arguments = [
        "encoder=[subtitles]",
        "encoders.subtitles.languages=[fr]",
        "segmenter=fixed",
        "segmenter.seconds=1",
    ]
    arguments.append("device=cpu")
    for seed, (name, kind) in enumerate(kinds.items()):
        arguments.append(f"encoders.{name}._target_=fakes.{kind}")
        arguments.append(f"encoders.{name}.checkpoint={checkpoint(tmp_path / 'w' / name, seed)}")

    def start(index: Path, memory: str) -> subprocess.Popen[bytes]:
        given = [f"input={clips}", f"index={index}", f"memory={memory}", *arguments]
        command = [sys.executable, "-m", "egorag.index", *given]
        return subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment
        )

    def finish(index: Path, memory: str) -> str:
        process = start(index, memory)
        errors = process.communicate(timeout=300)[1].decode()
        assert process.returncode == 0, errors
        return errors

    assert "passes" not in finish(tmp_path / "one", "100GB")
    expected = state(tmp_path / "one")
    began = time.monotonic()
    assert "4 passes within 1.0 GB: 1. subtitles, one" in finish(tmp_path / "many", "1GB")
    whole = time.monotonic() - began
    assert state(tmp_path / "many") == expected
    moments = random.Random(7)
    for _ in range(4):
        process = start(tmp_path / "killed", "1GB")
        time.sleep(moments.uniform(0.4 * whole, whole))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate()
    finish(tmp_path / "killed", "1GB")
    assert state(tmp_path / "killed") == expected
