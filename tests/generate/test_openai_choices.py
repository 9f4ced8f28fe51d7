"""answerer=openai with choices: orders, probabilities, abstention."""

from __future__ import annotations

import itertools
import json
import math

import pytest

pytest.importorskip("openai")

from openai_server import openai_server, refuses, says

from egorag.errors import ServerError
from egorag.fuse.rrf import ReciprocalRank
from egorag.generate.openai_answerer import OpenAI
from egorag.retrieve.retriever import Retriever
from egorag.types import Query

CHOICES = ["on the hook", "in the bowl", "in Paris"]


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    from retrieve_conftest import BagOfWords, Toy

    toy = Toy(tmp_path_factory.mktemp("toy") / "index", {"words": BagOfWords()})
    toy.add("day.mp4", (0, 5, "I drop the car keys into the blue bowl"))
    query = Query("Where are the car keys?")
    yield query, Retriever(toy.folder, toy.encoders, ReciprocalRank()).search(query), toy.folder
    toy.folder.close()


@pytest.fixture
def ask(case):
    query, hits, folder = case

    def one(server, choices=CHOICES, **settings):
        by = OpenAI(base_url=server.url, model="m", **{"retries": 0, **settings})
        answer = by.answer(query, hits, folder, None, choices)
        json.dumps(answer.to_json(), allow_nan=False)
        return answer

    return one


def shown(asked):
    """Letter by text of the choices, as the model saw them."""
    lines = asked["messages"][1]["content"].split("The choices:\n")[1].splitlines()
    return {json.loads(line[3:]): line[0] for line in lines}


def reply(letter, quote="blue bowl", answerable=True):
    cited = [{"text": "So.", "citations": [{"scene": 1, "quote": quote}]}]
    return {"answerable": answerable, "sentences": cited, "confidence": 1, "choice": letter}


def prefers(text, **more):
    return lambda asked: says(reply(shown(asked)[text], **more))


def test_the_choice_is_named_with_probabilities_and_citation(ask):
    with openai_server(prefers("in the bowl")) as server:
        answer = ask(server)
    assert (answer.choice, answer.text, answer.confidence) == (1, "in the bowl", 1.0)
    assert answer.probabilities == (0.0, 1.0, 0.0)
    assert [c.quote for c in answer.citations] == ["blue bowl"]
    assert answer.verified == 1.0
    assert len(server.bodies) == 4
    assert server.bodies[0]["logprobs"] is True


def test_a_model_that_likes_a_letter_is_seen_through(ask):
    def likes_a(asked):
        return says(reply("A"))

    with openai_server(likes_a) as server:
        answer = ask(server, orders=3)
    assert answer.probabilities == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert answer.confidence == pytest.approx(1 / 3)


def test_permuting_the_choices_permutes_the_result(ask):
    def script(asked):  # a mean taste: whatever is shown first, unless the bowl is shown last
        return says(reply("C" if shown(asked)["in the bowl"] == "C" else "A"))

    with openai_server(script) as server:
        found = set()
        for order in itertools.permutations(CHOICES):
            answer = ask(server, order, orders=4)
            assert order[answer.choice] == answer.text
            found.add((answer.text, tuple(sorted(zip(order, answer.probabilities, strict=True)))))
    assert len(found) == 1


def test_log_probabilities_are_averaged_where_the_server_gives_them(ask):
    def script(asked):
        letters = shown(asked)
        likely = {"in the bowl": 0.6, "on the hook": 0.3, "in Paris": 0.1}
        body = json.dumps(reply(letters["in the bowl"]))
        at = body.rindex('"choice": "') + len('"choice": "')
        tops = [
            {"token": letters[text], "logprob": math.log(share)} for text, share in likely.items()
        ]
        tokens = [
            {"token": body[:at], "logprob": 0.0, "top_logprobs": []},
            {"token": body[at], "logprob": -0.5, "top_logprobs": tops},
            {"token": body[at + 1 :], "logprob": 0.0, "top_logprobs": []},
        ]
        return says(body, logprobs={"content": tokens})

    with openai_server(script) as server:
        answer = ask(server)
    assert answer.probabilities == pytest.approx((0.3, 0.6, 0.1))
    assert answer.choice == 1


def test_servers_without_log_probabilities_answer_too(ask):
    def script(asked):
        if "logprobs" in asked:
            return refuses(400, "logprobs are not supported")
        return prefers("in the bowl")(asked)

    with openai_server(script) as server:
        answer = ask(server)
    assert answer.choice == 1
    assert answer.notes == ("the server refused logprobs; left out",)
    assert len(server.bodies) == 5


def test_equal_choices_are_asked_once_and_the_first_is_taken(ask):
    with openai_server(prefers("in the bowl")) as server:
        answer = ask(server, ["in Paris", "in the bowl", "in the bowl"])
    assert (answer.choice, answer.probabilities) == (1, (0.0, 1.0, 0.0))
    assert len(server.bodies) == 2  # there are no more orders of two


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"answerable": False}, "the model finds none in the evidence"),
        ({"quote": "red bowl"}, "no quote for the likeliest choice could be verified"),
    ],
)
def test_abstains_without_support(ask, more, reason):
    with openai_server(prefers("in the bowl", **more)) as server:
        answer = ask(server)
    assert answer.abstained
    assert answer.choice is None
    assert reason in answer.text
    assert answer.probabilities == (0.0, 1.0, 0.0)


def test_what_another_choice_cites_does_not_support_the_winner(ask):
    made_up, real = prefers("in the bowl", quote="red bowl"), prefers("on the hook")
    with openai_server(real, made_up) as server:
        answer = ask(server)
    assert answer.abstained
    assert answer.probabilities == (0.25, 0.75, 0.0)
    assert answer.verified == 0.25


def test_a_weak_choice_is_no_answer(ask):
    with openai_server(prefers("on the hook"), prefers("in the bowl")) as server:
        answer = ask(server, abstain_below=0.8)
    assert answer.abstained
    assert "confidence 0.75, needed 0.80" in answer.text


def test_replies_that_fail_later_do_not_count(ask):
    bowl = prefers("in the bowl")
    cut = says('{"answerable"', finish="length")
    with openai_server(bowl, refuses(500, "oops"), cut, says(reply("Z"))) as server:
        answer = ask(server)
    assert answer.choice == 1
    assert [note.split(": ")[0] for note in answer.notes] == [
        "order 2 of the choices failed",
        "order 3 of the choices does not count",
        "order 4 of the choices does not count",
    ]


def test_no_usable_reply_abstains_and_a_dead_server_is_an_error(ask):
    with openai_server(says("Bowl!")) as server:
        answer = ask(server)
    assert answer.abstained
    assert answer.probabilities is None
    with openai_server(refuses(500, "oops")) as server, pytest.raises(ServerError, match="oops"):
        ask(server)
    assert len(server.bodies) == 1
