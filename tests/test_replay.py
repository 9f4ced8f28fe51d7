"""python -m egorag.ask answerer=agent and python -m egorag.replay, as a user runs them."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("openai")

from openai_server import openai_server, says

SEARCH = {"tool": "search", "arguments": {"query": "hook", "video": "v1"}}
ANSWER = {
    "answerable": True,
    "sentences": [{"text": "On it.", "citations": [{"scene": 2, "quote": "keys to the hook"}]}],
    "confidence": 0.5,
}


@pytest.fixture(scope="module")
def indexes(tmp_path_factory):
    """Two indexes of two lines each, of which the second lines differ."""
    spec = importlib.util.spec_from_file_location(
        "retrieve_conftest", Path(__file__).parent / "retrieve" / "conftest.py"
    )
    assert spec and spec.loader
    if spec.name not in sys.modules:
        sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[spec.name])
    made = []
    for line in ("I move the car keys to the hook", "I move the car keys to the drawer"):
        path = tmp_path_factory.mktemp("command") / "index"
        toy = sys.modules[spec.name].Toy(path, {})
        toy.add("day.mp4", (0, 5, "The car keys are in a blue bowl"), (5, 9, line))
        toy.folder.close()
        made.append(path)
    return made


def test_asks_traces_and_replays(indexes, command, tmp_path):
    ours, other = indexes
    trace = tmp_path / "traces" / "one=1.jsonl"
    given = [f"index={ours}", "question=Where are the car keys?", "answerer=agent"]
    with openai_server(says(SEARCH), says({"tool": "answer", "arguments": ANSWER})) as server:
        settings = ["answerer.model=m", f"answerer.trace='{trace}'", "answerer.rounds=3"]
        done = command("ask", *given, f"answerer.base_url={server.url}", *settings, "output=json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert [c["quote"] for c in answer["citations"]] == ["keys to the hook"]
    assert '"tool": "search"' in server.bodies[1]["messages"][-1]["content"]

    same = command("replay", f"trace={trace}", f"index={ours}", "output=json")
    assert same.returncode == 0, same.stderr
    assert json.loads(same.stdout)["same"] is True
    differs = command("replay", f"trace={trace}", f"index={other}")
    assert differs.returncode == 1, differs.stderr
    assert "drawer" in differs.stdout
    assert "not the same" in differs.stdout

    with trace.open("ab") as file:
        file.write(b'{"kind": "cal')
    read = command("replay", f"trace={trace}")
    assert read.returncode == 0, read.stderr
    assert "round 1: search" in read.stdout
    assert "On it. [1]" in read.stdout
    assert "the last line of the trace is cut off" in read.stdout


def test_what_is_no_trace_is_one_line(command):
    done = command("replay", f"trace={__file__}")
    assert done.returncode == 1
    assert "is no trace" in done.stderr
    assert done.stderr.count("\n") == 1
