"""answerer=agent against a scripted server: rounds, answers, what is told to the model."""

from __future__ import annotations

import json
import re

import pytest

pytest.importorskip("openai")

from openai_server import openai_server, says

from egorag.errors import ConfigError
from egorag.generate.base import Searching
from egorag.registry import build

GOOD = (("They are in the blue bowl.", (2, "the car keys into the blue bowl")),)


def test_searches_reads_and_answers(run, told):
    script = [
        told.calls(("search", {"query": "hook", "video": "v1"})),
        told.calls(("read_transcript", {"video": "v1", "after": "0:20"})),
        told.answers(("On the hook.", (1, "I move the car keys to the hook"))),
    ]
    with openai_server(*map(says, script)) as server:
        answer = run(server)
    assert answer.text == "On the hook. [1]"
    (citation,) = answer.citations
    assert (citation.span.start, citation.quote) == (20_000_000, "I move the car keys to the hook")
    assert (answer.abstained, answer.confidence, answer.verified) == (False, 0.8, 1.0)
    assert answer.notes == ()
    assert len(server.bodies) == 3
    roles = [message["role"] for message in server.bodies[2]["messages"]]
    assert roles == ["system", "user", "assistant", "user", "assistant", "user"]


def test_the_first_message_holds_what_the_question_finds(run, told):
    with openai_server(says(told.answers(*GOOD))) as server:
        assert run(server).text == "They are in the blue bowl. [1]"
    (asked,) = server.bodies
    head, *rest = told.results(asked)
    assert head == {"tool": "search"}
    assert rest[0] == {"found": 2}
    assert [scene["scene"] for scene in rest[1:]] == [1, 2]
    assert rest[1]["video"] == "v1"
    assert "Rounds left: 8." in asked["messages"][1]["content"]
    assert asked["response_format"]["json_schema"]["strict"] is True


def test_a_strict_schema_names_every_key_of_every_tool(run, told):
    with openai_server(says(told.answers(*GOOD))) as server:
        run(server)

    def check(node):
        if isinstance(node, dict):
            if node.get("type") == "object":
                assert node["required"] == list(node["properties"])
                assert node["additionalProperties"] is False
            for value in node.values():
                check(value)
        elif isinstance(node, list):
            for value in node:
                check(value)

    shape = server.bodies[0]["response_format"]["json_schema"]["schema"]
    check(shape)
    listed = shape["properties"]["calls"]["items"]["anyOf"]
    names = [one["properties"]["tool"]["enum"][0] for one in listed]
    assert names == ["orient", "search", "scenes", "read_transcript", "look", "zoom", "answer"]


def test_several_tools_in_one_round_and_no_more_than_four(run, told):
    many = told.calls(*[("read_transcript", {"video": "v1", "after": n}) for n in range(6)])
    with openai_server(says(many), says(told.answers(*GOOD))) as server:
        run(server)
    tools = [line["tool"] for line in told.results(server.bodies[1]) if "tool" in line]
    assert tools == ["read_transcript"] * 4
    assert "only the first 4 calls were run" in server.bodies[1]["messages"][-1]["content"]


@pytest.mark.parametrize(
    "reply",
    [
        {"tool": "orient", "arguments": {}},
        {"calls": [{"tool": "orient"}]},
        'I think:\n```json\n{"calls": [{"tool": "orient", "arguments": {}}]}\n```',
        '<think>{"calls": 1}</think>{"tool": "orient", "arguments": {"first": null}}',
    ],
)
def test_a_call_may_stand_alone_or_in_prose(run, told, reply):
    with openai_server(says(reply), says(told.answers(*GOOD))) as server:
        run(server)
    assert told.results(server.bodies[1])[1]["of"] == 2


def test_a_bare_answer_is_one(run, told):
    with openai_server(says(told.claims(*GOOD))) as server:
        assert run(server).text == "They are in the blue bowl. [1]"
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    ("reply", "notice"),
    [
        ("the keys are in the bowl", "not one JSON object"),
        ('{"calls": [{"tool": "sea', "not one JSON object"),
        ({"calls": []}, "a list of one or more tools"),
        ({"calls": {"tool": "orient"}}, "a list of one or more tools"),
        ({"calls": ["orient"]}, "an object with tool and arguments"),
        ({"calls": [{"tool": "orient", "arguments": [1]}]}, "an object with tool and arguments"),
        ({"calls": [{"tool": "answer", "arguments": {}}]}, "an answer needs"),
        ("[" * 50_000, "not one JSON object"),
        ('{"calls": ' + "[" * 900 + "]" * 900 + "}", "an object with tool and arguments"),
        ('{"calls": ' + "[" * 9000 + "]" * 9000 + "}", "not one JSON object"),
        ({"tool": "zoom", "arguments": {"scene": [1]}}, "arguments of zoom must be plain values"),
        (None, "not one JSON object"),
    ],
)
def test_a_broken_reply_is_told_and_costs_a_round(run, told, reply, notice):
    with openai_server(says(reply), says(told.answers(*GOOD))) as server:
        answer = run(server)
    said = server.bodies[1]["messages"][-1]["content"]
    assert notice in said
    assert "Rounds left: 7." in said
    assert answer.text == "They are in the blue bowl. [1]"


def test_a_cut_off_reply_and_a_refusal_are_told(run, told):
    replies = [says('{"calls": [', finish="length"), says(told.answers(*GOOD))]
    with openai_server(*replies) as server:
        run(server)
    assert "be shorter" in server.bodies[1]["messages"][-1]["content"]
    with openai_server(says(None, refusal="no"), says(told.answers(*GOOD))) as server:
        run(server)
    assert "You refused" in server.bodies[1]["messages"][-1]["content"]


def test_an_answer_without_a_verified_quote_is_sent_back_once(run, told):
    wrong = told.answers(("In Paris.", (1, "in Paris")))
    with openai_server(says(wrong), says(told.answers(*GOOD))) as server:
        assert run(server).text == "They are in the blue bowl. [1]"
    assert "None of what the answer cites" in server.bodies[1]["messages"][-1]["content"]
    with openai_server(says(wrong)) as server:
        answer = run(server)
    assert len(server.bodies) == 2
    assert answer.text == "No answer: no quote could be verified."
    assert "Paris" not in answer.text


def test_a_model_that_finds_none_is_believed(run, told):
    with openai_server(says(told.answers(answerable=False))) as server:
        answer = run(server)
    assert answer.text == "No answer: the model finds none in the evidence."
    assert len(server.bodies) == 1


def test_a_weak_answer_is_no_answer(run, told):
    with openai_server(says(told.answers(*GOOD))) as server:
        assert run(server, abstain_below=0.81).text == "No answer: confidence 0.80, needed 0.81."


def test_evidence_is_what_searches_found(run, told):
    look = told.calls(("search", {"query": "budget meeting", "video": "v2"}))
    with openai_server(says(look), says(told.answers(*GOOD))) as server:
        answer = run(server)
    assert {hit.path for hit in answer.evidence} == {"home/day.mp4", "office/work.mp4"}
    assert len({hit.scene.id for hit in answer.evidence}) == len(answer.evidence)


def test_choices_are_asked_for_once_enough_is_known(run, told):
    def choose(asked):
        text = asked["messages"][1]["content"]
        letter = next(n for n in "AB" if f'{n}: "a hook"' in text)
        number = next(
            json.loads(line)["scene"] for line in text.splitlines() if "move the car keys" in line
        )
        return says(told.claims(("On it.", (number, "keys to the hook")), choice=letter))

    found = told.calls(("search", {"query": "hook"}))
    done = told.answers(("On the hook.", (1, "car keys")))
    seen = []
    for options in (["a bowl", "a hook"], ["a hook", "a bowl"]):
        with openai_server(says(found), says(done), choose) as server:
            answer = run(server, options, orders=2)
        assert answer.choice == options.index("a hook")
        assert answer.probabilities[answer.choice] == 1.0
        assert [c.quote for c in answer.citations] == ["keys to the hook"]
        assert len(server.bodies) == 4
        seen.append(server.bodies)
    assert seen[0] == seen[1], "the order in which choices are given has no effect"


def test_pictures_are_shown_and_cited_by_their_time(run, told, film, tmp_path):
    trace = tmp_path / "t.jsonl"

    def cites(asked):
        parts = asked["messages"][-1]["content"]
        said = "".join(part["text"] for part in parts if part["type"] == "text")
        number, time = re.findall(r"^Scene (\d+) at ([\d:.]+):$", said, re.M)[0]
        reply = told.claims(("Someone walks.", (int(number), "")))
        reply["sentences"][0]["citations"][0]["time"] = time
        return says(told.calls(("answer", reply)))

    look = told.calls(("look", {"video": "v1", "after": 2, "before": 6}))
    with openai_server(says(look), cites) as server:
        given = {"toy": film, "search": lambda query, k: [], "frames": 2, "size": 32}
        answer = run(server, trace=str(trace), **given)
    kinds = [part["type"] for part in server.bodies[1]["messages"][-1]["content"]]
    assert kinds == ["text", "image_url", "text", "image_url", "text"]
    (citation,) = answer.citations
    assert (citation.track, citation.quote) == ("frames", "")
    assert 2_000_000 <= citation.span.start < citation.span.end <= 6_000_000
    assert '"pictures": 2' in trace.read_text()
    assert "base64" not in trace.read_text()


def test_without_a_search_the_other_tools_stay(run, told):
    asked = told.calls(("search", {"query": "hook"}))
    with openai_server(says(asked), says(told.answers(*GOOD))) as server:
        run(server, searching=False)
    assert "there is no such tool" in told.results(server.bodies[1])[1]["error"]
    assert '"enum": ["search"]' not in server.bodies[0]["messages"][0]["content"]


def test_nothing_within_the_filters_asks_nobody(run, told):
    with openai_server(says(told.answers(*GOOD))) as server:
        answer = run(server, after=500.0)
    assert answer.text == "No answer: nothing in the index lies within the filters."
    assert server.bodies == []


def test_it_takes_a_search():
    agent = build("answerers", "answerer", {"_target_": TARGET, **AT})
    assert isinstance(agent, Searching)


TARGET = "egorag.generate.agent.answerer.Agent"
AT = {"base_url": "http://127.0.0.1:1/v1", "model": "m"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"base_url": ""}, "base_url must be"),
        ({"rounds": 0}, "rounds must be"),
        ({"tokens": 1.5}, "tokens must be"),
        ({"seconds": 0}, "seconds must be"),
        ({"seconds": float("inf")}, "seconds must be"),
        ({"k": 0}, "k must be"),
        ({"evidence_tokens": True}, "evidence_tokens must be"),
        ({"frames": -1}, "frames must be"),
        ({"orders": 0}, "orders must be"),
        ({"abstain_below": 2}, "abstain_below must"),
        ({"trace": ""}, "trace must be"),
        ({"rouds": 3}, "did you mean 'rounds'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        build("answerers", "answerer", {"_target_": TARGET, **AT, **settings})


@pytest.mark.parametrize(
    ("question", "choices", "message"),
    [
        (" ", None, "empty"),
        ("x", [], "non-empty"),
        ("x", list("abcdefghijklmnopqrstuvwxyz1"), "26"),
    ],
)
def test_questions_that_cannot_be_asked_are_refused(run, told, question, choices, message):
    def none(query, k):
        return []

    with openai_server(says("")) as server, pytest.raises(ConfigError, match=message):
        run(server, choices, question=question, search=none)
    assert server.bodies == []
