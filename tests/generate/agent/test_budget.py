"""Rounds, tokens, seconds, and servers that fail on the way: a clear answer or none."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

pytest.importorskip("openai")

from openai_server import Response, openai_server, refuses, says
from openai_server import no_waiting as without_waiting

from egorag.errors import ServerError
from egorag.generate.agent.budget import Budget, BudgetError

BOWL = ("In the bowl.", (2, "the blue bowl"))


def reads(told, *after):
    """Replies that read on, each from another time."""
    return [says(told.calls(("read_transcript", {"video": "v1", "after": n}))) for n in after]


def is_last(asked):
    """Whether a request is the one that asks for the answer alone."""
    return "calls" not in asked["response_format"]["json_schema"]["schema"]["properties"]


def test_after_the_last_round_the_answer_is_asked_for(run, told):
    with openai_server(*reads(told, 6, 7), says(told.claims(BOWL))) as server:
        answer = run(server, rounds=2)
    assert answer.text == "In the bowl. [1]"
    assert answer.notes == (
        "answered from what 2 rounds found, since the budget of answerer.rounds=2 is used up",
    )
    assert [is_last(asked) for asked in server.bodies] == [False, False, True]
    assert "Rounds left: 1." in server.bodies[1]["messages"][-1]["content"]


def test_the_last_request_holds_what_was_cited_or_found_last(run, told):
    done = told.answers(("On the hook.", (1, "car keys")))
    with openai_server(says(done), says(told.claims(BOWL, choice="A"))) as server:
        run(server, ["a", "b"], orders=1, evidence_tokens=60)
    assert [json.loads(x)["scene"] for x in evidence(server.bodies[1])] == [1]
    with openai_server(*reads(told, 6, 16), says(told.claims(BOWL))) as server:
        run(server, rounds=2, evidence_tokens=60)
    (only,) = evidence(server.bodies[2])
    assert json.loads(only)["from"] == "0:16.000"


def evidence(asked):
    text = asked["messages"][1]["content"]
    return text[text.index("<evidence>\n") + 11 : text.index("\n</evidence>")].splitlines()


@pytest.mark.parametrize("repeated", ["same", "broken", "unknown"])
def test_two_rounds_that_bring_nothing_end_the_search(run, told, repeated):
    again = {
        "same": told.calls(("orient", {}), ("orient", {"first": None})),
        "broken": "well",
        "unknown": told.calls(("shell", {"command": "ls"})),
    }[repeated]
    script = [says(told.calls(("orient", {}))), says(again), says(again), says(told.claims(BOWL))]
    with openai_server(*script) as server:
        answer = run(server)
    assert answer.notes[0].endswith("2 rounds in a row brought nothing new")
    assert len(server.bodies) == 4


def test_tokens_are_never_overspent(run, told):
    spent = []

    def counted(asked):
        body = json.loads(reads(told, len(spent))[0].body)
        spent.append(2000)
        if is_last(asked):
            (text,) = [line for line in evidence(asked) if "blue bowl" in line]
            cited = ("In the bowl.", (json.loads(text)["scene"], "the blue bowl"))
            body = json.loads(says(told.claims(cited)).body)
        body["usage"] = {"total_tokens": 2000}
        return Response(json.dumps(body).encode())

    with openai_server(counted) as server:
        answer = run(server, tokens=15_000, evidence_tokens=400, max_tokens=500, rounds=50)
    assert answer.text == "In the bowl. [1]"
    assert "answerer.tokens=15000" in answer.notes[0]
    assert sum(spent) <= 15_000
    assert [is_last(asked) for asked in server.bodies] == [False] * (len(spent) - 1) + [True]


def test_a_budget_that_allows_nothing_is_no_answer(run, told):
    with openai_server(says(told.answers(BOWL))) as server:
        answer = run(server, tokens=100)
    assert answer.text == (
        "No answer: the budget of answerer.tokens=100 allows no further request."
    )
    assert (answer.abstained, server.bodies) == (True, [])
    assert len(answer.evidence) == 2


def test_orders_of_choices_beyond_the_budget_are_told(run, told):
    done = says(told.answers(("In the bowl.", (2, "bowl"))))
    with openai_server(done, says(told.claims(BOWL, choice="A"))) as server:
        answer = run(
            server, ["a", "b", "c"], orders=6, tokens=7_000, evidence_tokens=300, max_tokens=200
        )
    assert 2 < len(server.bodies) < 7
    assert "answerer.tokens=7000 allows no further request" in answer.notes[-1]


def test_seconds_end_the_search(run, told, monkeypatch):
    from egorag.generate.agent import answerer

    now = iter(range(0, 1000, 3))
    monkeypatch.setattr(answerer, "time", SimpleNamespace(monotonic=lambda: float(next(now))))
    with openai_server(*reads(told, 6, 7, 8), says(told.claims(BOWL))) as server:
        answer = run(server, seconds=25.0)
    assert "answerer.seconds=25" in answer.notes[0]
    assert is_last(server.bodies[-1])


def test_a_slow_server_is_waited_for_only_as_long_as_there_is_time(run, told):
    slow = Response(says(told.claims(BOWL)).body, wait=6.0)
    with openai_server(*reads(told, 6), slow) as server:
        answer = run(server, seconds=1.5, timeout=60.0)
    assert answer.abstained
    assert "answerer.seconds=1.5" in answer.text or "sent no whole reply" in answer.text
    assert answer.evidence


def test_what_is_kept_back():
    now = [0.0]
    budget = Budget(100, 10.0, lambda: now[0], kept=40)
    budget.allow(60)
    now[0] = 4.0
    budget.spend(30)
    with pytest.raises(BudgetError, match="tokens=100"):
        budget.allow(31)
    with pytest.raises(BudgetError, match="seconds=10"):
        budget.allow(10)  # one that takes 4 s more and a last one of 4 s end at 12
    budget.last = True
    budget.allow(70)
    now[0] = 10.0
    with pytest.raises(BudgetError, match="seconds=10"):
        budget.allow(10)


def test_a_server_that_never_answers_is_an_error(run, told):
    with openai_server(refuses(500, "broken")) as server, pytest.raises(ServerError, match="500"):
        run(server)


@pytest.mark.parametrize(
    "failure",
    [
        refuses(500, "out of memory"),
        refuses(413, "maximum context length exceeded"),
        refuses(429, "slow down"),
        Response(b"<html>"),
        Response(says("x").body, cut=True),
    ],
)
def test_a_server_that_fails_midway_is_asked_once_more(run, told, failure):
    with openai_server(*reads(told, 6), failure, says(told.claims(BOWL))) as server:
        answer = run(server)
    assert answer.text == "In the bowl. [1]"
    assert "the server failed in round 2" in answer.notes[-1]
    with openai_server(*reads(told, 6), failure) as server:
        answer = run(server)
    assert answer.abstained
    assert answer.text.startswith("No answer: the server failed in round 2")
    assert answer.evidence


def test_what_may_pass_is_tried_again(run, told, monkeypatch):
    late = refuses(429, "wait", retry_after="1")
    with without_waiting(monkeypatch) as waits, openai_server(late, says(told.answers(BOWL))) as s:
        assert run(s, retries=1).text == "In the bowl. [1]"
    assert waits
