"""The trace: whole whatever happens, without the key, and the same when it is replayed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("openai")

from openai_server import Response, openai_server, refuses, says

from egorag.errors import ConfigError, ServerError, StoreError
from egorag.fuse.rrf import ReciprocalRank
from egorag.generate.agent.replay import replay
from egorag.generate.agent.told import steps
from egorag.generate.agent.trace import Trace, digest, read_trace
from egorag.retrieve.retriever import Retriever


def script(told):
    """A run with every kind of step."""
    return [
        told.calls(("orient", {}), ("search", {"query": "hook", "after": 3})),
        "no JSON",
        told.calls(("look", {"video": "v1", "after": "0:06"}), ("shell", {"c": "ls"})),
        told.answers(("On the hook.", (1, "the car keys to the hook"))),
    ]


@pytest.fixture
def again(world):
    """``again(path, toy=None)``: the replay of a trace."""

    def one(path, toy=None):
        toy = toy or world()
        lines, _ = read_trace(path)
        search = Retriever(toy.folder, toy.encoders, ReciprocalRank()).search
        return replay(lines, toy.folder, lambda query: search)

    return one


@pytest.fixture
def trace(run, told, tmp_path):
    """The trace of a good run."""
    path = tmp_path / "one.jsonl"
    with openai_server(*map(says, script(told))) as server:
        run(server, trace=str(path))
    return path


def kinds(path):
    return [line["kind"] for line in read_trace(path)[0]]


def test_every_step_is_there(trace, told):
    lines, cut = read_trace(trace)
    assert not cut
    asked = ["asked", "reply"]
    assert [line["kind"] for line in lines] == [
        *("start", "evidence", *asked, "call", "call", *asked),
        *(*asked, "call", "call", *asked, "answer"),
    ]
    first, last = lines[0], lines[-1]
    assert first["question"] == told.QUESTION
    assert first["settings"]["model"] == "m"
    assert first["filters"] == {"after": None, "before": None, "until": None, "videos": []}
    assert isinstance(first["generation"], int)
    assert last["answer"]["answer"] == "On the hook. [1]"
    search = lines[5]
    assert (search["tool"], search["arguments"]) == ("search", {"query": "hook", "after": 3})
    assert "move the car keys" in search["result"]
    assert search["digest"] == digest([search["result"], []])
    assert sorted(line["at"] for line in lines if "at" in line) == [
        line["at"] for line in lines if "at" in line
    ]


def test_a_replay_is_the_same(trace, again):
    done = again(trace)
    assert (done.same, done.differences, done.notes) == (True, (), ())


def test_a_replay_of_choices_and_filters_is_the_same(run, told, tmp_path, again):
    path = tmp_path / "choices.jsonl"
    likeliest = [{"token": "A", "top_logprobs": [{"token": "A", "logprob": -0.1}]}]
    reply = told.claims(("In the bowl.", (1, "the blue bowl")), choice="A")
    script = [says(told.answers()), says(reply, logprobs={"content": likeliest}), refuses(500, "x")]
    with openai_server(*script) as server:
        answer = run(server, ["a", "b"], trace=str(path), until=15.0, before=14.5, orders=2)
    assert len(answer.notes) == 1
    assert again(path).same


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("call", "result", "{}"),
        ("evidence", "result", "{}"),
        ("asked", "messages", "0"),
        ("reply", "text", '{"tool": "orient", "arguments": {}}'),
        ("answer", "answer", {"answer": "In Paris."}),
        ("start", "hits", []),
        ("start", "question", "Where is the kettle?"),
    ],
)
def test_a_tampered_trace_is_told(trace, again, kind, field, value):
    lines = [json.loads(line) for line in trace.read_text().splitlines()]
    number, line = next((n, line) for n, line in enumerate(lines, 1) if line["kind"] == kind)
    line[field] = value
    trace.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = again(trace)
    assert not done.same
    first = done.differences[0]
    if kind in ("start", "reply"):  # what follows from them comes out otherwise
        assert first.line >= number
    else:
        assert (first.line, first.kind, first.field) == (number, kind, field)


def test_another_index_is_told(trace, again, world, told):
    other = world([*told.DAY[:4], (20, 25, "Later I move the car keys to the drawer", "subtitle")])
    done = again(trace, other)
    assert not done.same
    assert any("hook" in d.was and "drawer" in d.now for d in done.differences)
    assert done.notes[0].startswith("generation was ")


def test_a_damaged_first_line_is_told(trace, again):
    first, rest = trace.read_text().split("\n", 1)
    for damage in ({"settings": {"model": "m"}}, {"filters": None}, {"hits": [{"scene": 1}]}):
        trace.write_text(json.dumps({**json.loads(first), **damage}) + "\n" + rest)
        with pytest.raises(StoreError):
            again(trace)


def test_a_damaged_reply_is_told(trace, again):
    lines = trace.read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if '"kind": "reply"' in line)
    lines[at] = json.dumps({"kind": "reply", "at": 1.0, "notes": []})
    trace.write_text("\n".join(lines) + "\n")
    done = again(trace)
    assert not done.same


def test_a_cut_off_trace_is_read_as_far_as_it_goes(trace, again):
    whole = trace.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    for end in ends[:-1]:
        trace.write_bytes(whole[: end + 7])
        lines, cut = read_trace(trace)
        assert (len(lines), cut) == (ends.index(end) + 1, True)
        done = again(trace)
        assert (done.same, done.differences) == (False, ())
        assert "before there was an answer" in done.notes[-1]
        assert steps(lines)


@pytest.mark.parametrize("content", [b"", b"x\n", b"{}\n", b'{"kind": "reply"}\n', b"[1]\n", b"{"])
def test_what_is_no_trace_is_refused(tmp_path, content):
    path = tmp_path / "t.jsonl"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="is no trace"):
        read_trace(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_trace(tmp_path / "none.jsonl")


def test_a_server_that_dies_midway_leaves_a_whole_trace(run, told, tmp_path, again):
    path = tmp_path / "t.jsonl"
    replies = [says(script(told)[0]), refuses(500, "gone")]
    with openai_server(*replies) as server:
        answer = run(server, trace=str(path))
    assert answer.abstained
    assert kinds(path)[-5:] == ["asked", "failed", "asked", "failed", "answer"]
    assert again(path).same


def test_a_run_that_ends_in_an_error_says_so(run, told, tmp_path, again):
    path = tmp_path / "t.jsonl"
    with openai_server(refuses(500, "gone")) as server, pytest.raises(ServerError) as raised:
        run(server, trace=str(path))
    last = read_trace(path)[0][-1]
    assert (last["kind"], last["error"]) == ("error", str(raised.value))
    assert again(path).same


def test_a_run_that_cannot_begin_leaves_no_file(run, tmp_path):
    path = tmp_path / "t.jsonl"
    with openai_server(says("")) as server, pytest.raises(ConfigError, match="NO_SUCH_KEY"):
        run(server, trace=str(path), api_key_env="NO_SUCH_KEY")
    assert not path.exists()


def test_a_folder_gets_a_file_a_run_and_no_file_is_written_over(run, told, tmp_path):
    replies = [says(reply) for reply in script(told)]
    for _ in range(2):
        with openai_server(*replies) as server:
            run(server, trace=f"{tmp_path}/new/")
    files = list((tmp_path / "new").iterdir())
    assert len(files) == 2
    with openai_server(*replies) as server:
        with pytest.raises(ConfigError, match="is there already"):
            run(server, trace=str(files[0]))
        with pytest.raises(StoreError, match="cannot be written"):
            run(server, trace=f"{files[0]}/below/t.jsonl")
        assert server.bodies == []


def test_a_full_disk_is_an_error():
    class Full:
        name = "t.jsonl"

        def write(self, text):
            raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match="No space left"):
        Trace(Full()).add("start")


SECRET = "sk-very-secret-123"


def test_the_key_is_nowhere(run, told, tmp_path, monkeypatch, again):
    monkeypatch.setenv("AGENT_TEST_KEY", SECRET)
    path = tmp_path / "t.jsonl"

    def echo(asked):
        return says(
            {"thought": SECRET, "calls": [{"tool": "search", "arguments": {"query": SECRET}}]}
        )

    leak = told.answers((f"The key is {SECRET}.", (1, "car keys to the hook")))
    with openai_server(echo, refuses(500, f"bad key {SECRET}"), says(leak["calls"][0])) as server:
        answer = run(server, trace=str(path), api_key_env="AGENT_TEST_KEY", rounds=3)
    assert server.headers[0]["authorization"] == f"Bearer {SECRET}"
    assert SECRET not in path.read_text()
    assert SECRET not in json.dumps(answer.to_json())
    assert "AGENT_TEST_KEY" in path.read_text()
    assert SECRET not in json.dumps(server.bodies)
    assert again(path).same


def test_a_key_too_short_to_be_one_is_left(run, told, tmp_path, monkeypatch, again):
    monkeypatch.setenv("AGENT_TEST_KEY", "e")
    path = tmp_path / "t.jsonl"
    with openai_server(*map(says, script(told))) as server:
        answer = run(server, trace=str(path), api_key_env="AGENT_TEST_KEY")
    assert answer.text == "On the hook. [1]"
    assert again(path).same


INTERRUPTED = """
from pathlib import Path
from egorag.generate.agent.answerer import Agent
from egorag.store.folder import IndexFolder
from egorag.types import Query
folder = IndexFolder.open(Path({index!r}))
agent = Agent(base_url={url!r}, model="m", trace={trace!r})
agent.answer(Query("Where are the car keys?"), [], folder)
"""


@pytest.mark.parametrize(("sent", "last"), [("SIGINT", ["interrupted"]), ("SIGKILL", [])])
def test_a_run_that_is_stopped_keeps_its_trace(world, told, tmp_path, sent, last):
    trace = tmp_path / "t.jsonl"
    orient = says(told.calls(("orient", {})))
    hangs = Response(orient.body, wait=30.0)
    with openai_server(orient, hangs) as server:
        index = str(world().folder.path)
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                INTERRUPTED.format(index=index, url=server.url, trace=str(trace)),
            ],
            stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        while len(server.bodies) < 2 and process.poll() is None:
            time.sleep(0.01)
        os.kill(process.pid, getattr(signal, sent))
        process.communicate(timeout=60)
    assert kinds(trace) == ["start", "evidence", "asked", "reply", "call", "asked", *last]
    assert steps(read_trace(trace)[0]).endswith(last[0] if last else "tokens")


def test_the_steps_are_told_on_safe_lines(trace):
    text = steps(read_trace(trace)[0])
    assert "round 1: search" in text
    assert "answer: On the hook. [1]" in text
    lines = [
        {"kind": "start", "question": "\x1b[31mx"},
        {"kind": "call", "result": 3},
        {"kind": "?"},
    ]
    assert "\x1b" not in steps(lines)
