"""A streamed reply is the reply; one that breaks, lies or never ends is an error that says so."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("openai")

from openai_server import (
    Response,
    no_waiting,
    openai_server,
    piece,
    refuses,
    says,
    streams,
)

from egorag.chat.openai_client import Chat, Server
from egorag.errors import ServerError
from egorag.generate.reply import schema

TEXT = '{"answerable": false, "sentences": [], "confidence": 0.5}'
PIECES = [TEXT[:5], TEXT[5:20], TEXT[20:]]


@pytest.fixture
def ask(monkeypatch):
    """``ask(server, **settings)``: the completion, the chat's notes, what the listener got."""

    def one(server, timeout=5.0, retries=3):
        heard = []
        to = Server(server.url, "m", "", timeout, retries)
        with Chat(to, {"max_tokens": 100}) as chat:
            chat.stream_to(heard.append)
            got = chat.complete([{"role": "user", "content": "Hi"}], schema())
        return got, chat.notes, heard

    with no_waiting(monkeypatch):
        yield one


def test_pieces_come_as_they_are_sent_and_make_the_reply(ask):
    usage = {"choices": [], "usage": {"total_tokens": 41}}
    logprobs = {"content": [{"token": "{", "top_logprobs": [{"token": "{", "logprob": -0.5}]}]}
    first = piece(PIECES[0], logprobs=logprobs)
    with openai_server(streams(first, *PIECES[1:], piece(None, "stop"), usage)) as server:
        got, notes, heard = ask(server)
    assert (got.text, got.cut, got.used, notes) == (TEXT, False, 41, [])
    assert heard == [None, *PIECES]
    assert got.tokens[0].likeliest == (("{", -0.5),)
    (asked,) = server.bodies
    assert asked["stream"] is True
    assert asked["stream_options"] == {"include_usage": True}


def test_the_end_may_be_told_by_the_last_piece_alone(ask):
    with openai_server(streams(*PIECES, piece(None, "length"), done=False)) as server:
        got = ask(server)[0]
    assert got.cut
    assert got.text == TEXT


def test_a_server_that_does_not_stream_is_read_whole(ask):
    with openai_server(says(TEXT)) as server:
        got, notes, heard = ask(server)
    assert (got.text, notes, heard) == (TEXT, [], [])


def test_a_stream_that_breaks_off_is_begun_anew(ask):
    whole = streams(*PIECES, piece(None, "stop"))
    hung_up = Response(whole.body, headers=whole.headers, cut=True)
    for broken in (streams(*PIECES[:2], done=False), hung_up):
        with openai_server(broken, whole) as server:
            got, _, heard = ask(server, retries=1)
        assert got.text == TEXT
        assert heard.count(None) == 2
        assert "".join(heard[-3:]) == TEXT


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (streams(*PIECES[:2], done=False), "ended its stream .*, 1 retries.*stream=false"),
        (streams(done=False), "ended its stream before the reply"),
        (Response(streams(*PIECES).body, headers={"Content-Type": "text/event-stream"}, cut=True),
         "cannot be reached"),
        (streams(PIECES[0], b"data: {oops\n\n"), "no chat completion"),
        (streams(b"data: 7\n\n"), "no chat completion"),
        (streams(b"data: []\n\n"), "no chat completion"),
        (streams(b'data: {"choices": 3}\n\n'), "no chat completion"),
        (streams(b'data: {"choices": [[]]}\n\n'), "no chat completion"),
        (streams(b"data: " + b"[" * 50_000 + b"\n\n"), "no chat completion"),
        (streams(PIECES[0], {"error": {"message": "out of \x1b[31mmemory"}}),
         r"error 'out of \[31mmemory'"),
        (streams({"error": "busy"}), "error 'busy'"),
        (streams(b"data: " + b"x" * (16 * 2**20)), "more than 16777216 bytes"),
        (streams(*["x" * 2**20] * 17), "more than 16777216 bytes"),
        (refuses(500, "oops"), "500: .*oops"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_an_error_that_says_what_to_do(ask, response, message):
    with openai_server(response) as server, pytest.raises(ServerError, match=message) as told:
        ask(server, retries=1)
    assert server.url in str(told.value)
    assert "\x1b" not in str(told.value)


@pytest.mark.parametrize("slow", [{"wait": 0.6}, {"drip": 0.02}])
def test_a_stream_that_takes_too_long_is_given_up(ask, slow):
    with (
        openai_server(streams(*PIECES, **slow)) as server,
        pytest.raises(ServerError, match=r"within 0\.2 s"),
    ):
        ask(server, timeout=0.2, retries=0)


@pytest.mark.parametrize(
    ("events", "text"),
    [
        ([b": ping\n\n", b"event: x\nid: 3\n\n", TEXT], TEXT),
        ([{"choices": [{"delta": None}]}, {"choices": [{}]}, TEXT], TEXT),
        ([piece(7), piece(["x"]), TEXT, piece(None, logprobs={"content": [3]})], TEXT),
        ([], ""),
    ],
)
def test_odd_events_do_no_harm(ask, events, text):
    with openai_server(streams(*events)) as server:
        got = ask(server)[0]
    assert (got.text, got.tokens) == (text, ())


def test_a_refusal_is_told(ask):
    with openai_server(streams({"choices": [{"delta": {"refusal": "I can\x1b not"}}]})) as server:
        assert ask(server)[0].refusal == "I can not"


@pytest.mark.parametrize("name", ["stream_options", "stream"])
def test_a_server_that_refuses_to_stream_is_asked_without(ask, name):
    def script(asked):
        if name in asked:
            return refuses(400, f"Unsupported parameter: '{name}'")
        return streams(TEXT) if "stream" in asked else says(TEXT)

    with openai_server(script) as server:
        got, notes, _ = ask(server)
    assert got.text == TEXT
    assert notes == [f"the server refused {name}; left out"]
    assert "stream_options" not in server.bodies[-1]
    assert json.dumps(server.bodies[-1]).count("stream") == (name == "stream_options")
