"""An answer tells how many tokens a language model took for it; a guess needs no evidence."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("openai")

from openai_server import Response, openai_server, says

from egorag.chat.base import Completion
from egorag.chat.counted import Counted
from egorag.generate.agent.answerer import Agent
from egorag.generate.base import Guessing
from egorag.generate.openai_answerer import OpenAI
from egorag.types import Query

GUESS = {
    "answerable": True,
    "sentences": [{"text": "In the bowl.", "citations": []}],
    "confidence": 0.6,
}


def counted(content: object, tokens: int) -> Response:
    body = json.loads(says(content).body)
    return Response(json.dumps(body | {"usage": {"total_tokens": tokens}}).encode())


@pytest.mark.parametrize("answerer", [Agent, OpenAI])
def test_a_guess_is_one_request_without_evidence(answerer: type[Agent] | type[OpenAI]) -> None:
    with openai_server(counted(GUESS, 41)) as server:
        by = answerer(base_url=server.url, model="m", timeout=5, retries=0)
        assert isinstance(by, Guessing)
        answer = by.guess(Query("Where are the keys?"))
    assert (answer.text, answer.tokens, answer.citations) == ("In the bowl.", 41, ())
    assert answer.to_json()["tokens"] == 41
    (body,) = server.bodies
    assert "cannot see" in body["messages"][0]["content"]
    assert "tools" not in body and "logprobs" not in body


def test_an_agent_guesses_a_choice_in_each_order() -> None:
    with openai_server(counted({**GUESS, "choice": "A"}, 10)) as server:
        by = Agent(base_url=server.url, model="m", timeout=5, retries=0, orders=2)
        answer = by.guess(Query("Where?"), None, ["bowl", "hook"])
    assert len(server.bodies) == 2 and answer.tokens == 20
    assert all(body["logprobs"] for body in server.bodies)
    assert answer.probabilities == (0.5, 0.5)  # the letter says nothing


def test_tokens_are_added_up_and_none_where_nobody_counts() -> None:
    class Chat:
        def __init__(self, *used: int) -> None:
            self.notes: list[str] = []
            self.used = list(used)

        def complete(self, messages: object, shape: object) -> Completion:
            return Completion("x", used=self.used.pop(0))

    for used, total in (([3, 0, 4], 7), ([0], None), ([], None)):
        chat = Counted(Chat(*used))
        for _ in used:
            chat.complete([], {})
        assert chat.used == total
