"""python -m egorag.ask answerer=openai, as a user runs it."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("openai")

from openai_server import openai_server, refuses, says

REPLY = {
    "answerable": True,
    "sentences": [
        {"text": "In the bowl.", "citations": [{"scene": 1, "quote": "the blue bowl"}]},
        {"text": "Or in Paris.", "citations": [{"scene": 1, "quote": "in Paris"}]},
    ],
    "confidence": 0.5,
    "choice": "A",
}


@pytest.fixture(scope="module")
def ask(tmp_path_factory, command):
    """``ask(url, *arguments)`` over an index of one line without encoders."""
    from retrieve_conftest import Toy

    path = tmp_path_factory.mktemp("command") / "index"
    toy = Toy(path, {})
    toy.add("day.mp4", (0, 5, "I drop the car keys into the blue bowl"))
    toy.folder.close()

    def one(url, *arguments):
        given = [f"index={path}", "question=Where are the keys?", "answerer=openai"]
        return command("ask", *given, f"answerer.base_url={url}", *arguments)

    return one


def test_answers_through_the_command(ask):
    def script(asked):
        if asked.get("response_format", {}).get("type") == "json_schema":
            return refuses(400, "response_format json_schema is not supported")
        return says(REPLY)

    with openai_server(script) as server:
        done = ask(server.url, "answerer.model=Qwen/Qwen3-8B:x", "output=json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["answer"] == "In the bowl. [1] Or in Paris. [unverified]"
    assert (answer["verified"], answer["abstained"]) == (0.5, False)
    assert answer["notes"] == [
        "the server refused the response format json_schema; json_object was used"
    ]
    assert answer["probabilities"] is None
    assert [c["quote"] for c in answer["citations"]] == ["the blue bowl"]
    assert {body["model"] for body in server.bodies} == {"Qwen/Qwen3-8B:x"}


def test_shows_probabilities_and_the_share_verified(ask):
    with openai_server(says(REPLY)) as server:
        done = ask(server.url, "answerer.model=m", "choices=[bowl, hook]", "answerer.orders=1")
    assert done.returncode == 0, done.stderr
    assert "confidence 1.00, 50% of the citations given verified" in done.stdout
    assert "choices 1.00, 0.00" in done.stdout or "choices 0.00, 1.00" in done.stdout


def test_a_server_that_is_down_is_one_line(ask):
    with openai_server(says(REPLY)) as server:
        pass
    done = ask(server.url, "answerer.model=m", "answerer.retries=0")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert f"{server.url} cannot be reached" in done.stderr


def test_what_must_be_set_is_one_line(ask):
    done = ask("http://127.0.0.1:1/v1", "answerer.model=m", "answerer.api_key_env=NO_SUCH_KEY")
    assert done.returncode == 2
    assert "export NO_SUCH_KEY" in done.stderr
    assert done.stderr.count("\n") == 1
