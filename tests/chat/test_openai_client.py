"""The chat with an OpenAI-compatible server: retries, refusals, limits, keys."""

from __future__ import annotations

import logging

import pytest

pytest.importorskip("openai")
pytest.importorskip("httpx2")

from openai_server import Response, no_waiting, openai_server, refuses, says

from egorag.chat.openai_client import Chat, Server
from egorag.errors import ConfigError, MissingPackageError, ServerError
from egorag.generate.reply import schema

GOOD = {"answerable": False, "sentences": [], "confidence": 0.5}


@pytest.fixture
def ask(monkeypatch):
    """``ask(server, **settings)``: the completion and the chat's notes."""

    def one(server, api_key_env="", timeout=5.0, retries=3):
        parameters = {"temperature": 0.0, "seed": 0, "max_tokens": 100}
        with Chat(Server(server.url, "toy/m:1", api_key_env, timeout, retries), parameters) as chat:
            return chat.complete([{"role": "user", "content": "Hi"}], schema()), chat.notes

    with no_waiting(monkeypatch) as one.waits:
        yield one


def test_a_rate_limit_is_waited_for_as_long_as_the_server_says(ask):
    limited = refuses(429, "slow down", Retry_After="7")
    with openai_server(limited, limited, says(GOOD)) as server:
        assert ask(server)[0].text
    assert ask.waits == [7.0, 7.0]


def test_errors_that_may_pass_are_tried_again(ask):
    with openai_server(refuses(500, "oops"), refuses(503, "busy"), says(GOOD)) as server:
        assert ask(server)[0].text
    assert len(server.bodies) == 3


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (refuses(429, "slow down"), "429: .*slow down.* raise answerer.retries"),
        (refuses(500, "oops"), "500: .*oops.*after 1 retries"),
        (refuses(404, "no such model"), "404: .*no such model.* model 'toy/m:1'.* end in /v1"),
        (refuses(401, "who are you"), "401: .*set answerer.api_key_env"),
        (refuses(400, "context is 512 tokens"), "400: .*lower answerer.evidence_tokens"),
        (Response(b"<html>moved", 302, {"Location": "http://127.0.0.1:9/v1"}), "302: .*not follow"),
        (Response(b"<html>Hi"), "no chat completion .*'<html>Hi'.* end in /v1"),
        (Response(b""), "no chat completion"),
        (Response(b"[]"), "no chat completion"),
        (Response(b'{"choices": []}'), "no chat completion"),
        (Response(b'{"choices": [{"message": "x"}]}'), "no chat completion"),
        (Response(b"[" * 50_000), "no chat completion"),
        (Response(b'{"choices": ' + b"9" * 5000), "no chat completion"),
        (Response(b" " * (16 * 2**20 + 1)), "more than 16777216 bytes"),
        (Response(says(GOOD).body, cut=True), "cannot be reached"),
        (Response(b"", 200, {"Content-Encoding": "gzip"}), "no chat completion"),
        (Response(b"no gzip", 200, {"Content-Encoding": "gzip"}), "cannot be reached"),
    ],
)
def test_what_cannot_be_used_is_an_error_that_says_what_to_do(ask, response, message):
    with openai_server(response) as server, pytest.raises(ServerError, match=message) as told:
        ask(server, retries=1)
    assert server.url in str(told.value)
    assert "\x1b" not in str(told.value)


@pytest.mark.parametrize("slow", [{"wait": 0.6}, {"drip": 0.02}])
def test_a_slow_server_is_given_up(ask, slow):
    response = Response(says(GOOD).body, **slow)
    with openai_server(response) as server, pytest.raises(ServerError, match=r"within 0\.2 s"):
        ask(server, timeout=0.2, retries=0)


def test_a_server_that_is_down_is_told(ask):
    with openai_server(says(GOOD)) as server:
        pass
    with pytest.raises(ServerError, match=r"cannot be reached.*refused.*is the server running"):
        ask(server, retries=1)
    assert len(ask.waits) == 1


def refusing(*names):
    """A server that knows no parameter called so."""

    def script(asked):
        for name in names:
            if name in asked or asked.get("response_format", {}).get("type") == name:
                return refuses(400, f"Unsupported: '{name}'", param=None)
        return says(GOOD)

    return script


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["json_schema"], ["response format json_schema; json_object was used"]),
        (["response_format"], ["json_schema; json_object", "json_object; no format was asked"]),
        (["seed"], ["seed; left out"]),
        (["max_tokens"], ["max_tokens; max_completion_tokens was used"]),
        (["seed", "temperature", "json_schema"], ["seed", "temperature", "json_schema"]),
    ],
)
def test_what_a_server_refuses_is_given_up_and_told(ask, names, told):
    with openai_server(refusing(*names)) as server:
        notes = ask(server)[1]
        assert len(notes) == len(told)
        assert all(part in note for part, note in zip(told, notes, strict=True))


def test_a_schema_that_the_server_fails_on_is_given_up(ask):
    failed = refuses(500, "failed to parse grammar")
    with openai_server(failed, says(GOOD)) as server:
        notes = ask(server, retries=0)[1]
    assert notes == ["the server refused the response format json_schema; json_object was used"]


def test_a_reply_that_breaks_off_is_asked_for_again(ask):
    with openai_server(Response(says(GOOD).body, cut=True), says(GOOD)) as server:
        assert ask(server, retries=1)[0].text
    assert len(server.bodies) == 2


def test_a_refusal_without_a_reason_costs_the_format_alone(ask):
    def script(asked):
        return refuses(422, "bad request") if "response_format" in asked else says(GOOD)

    with openai_server(script) as server:
        assert len(ask(server)[1]) == 2
    assert len(server.bodies) == 3


def test_the_key_is_sent_and_never_shown(ask, monkeypatch, caplog):
    monkeypatch.setenv("TOY_KEY", "sk-very-secret")
    caplog.set_level(logging.DEBUG)
    echo = refuses(401, "Incorrect API key provided: sk-very-secret")
    with openai_server(echo) as server:
        with pytest.raises(ServerError, match=r"key in TOY_KEY is not accepted") as told:
            ask(server, api_key_env="TOY_KEY")
        assert server.headers[0]["authorization"] == "Bearer sk-very-secret"
    assert "secret" not in str(told.value)
    assert "***" in str(told.value)
    assert not [r for r in caplog.records if "secret" in r.getMessage() and "egorag" in r.name]


def test_the_environments_own_key_is_not_sent_unasked(ask, monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "very-secret")
    with openai_server(says(GOOD)) as server:
        ask(server)
    assert "secret" not in str(server.headers)


def test_a_key_that_is_not_set_is_told(ask, monkeypatch):
    monkeypatch.delenv("TOY_KEY", raising=False)
    with openai_server(says(GOOD)) as server, pytest.raises(ConfigError, match="export TOY_KEY"):
        ask(server, api_key_env="TOY_KEY")
    assert server.bodies == []


def test_a_missing_package_is_told(ask, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openai", None)
    with (
        openai_server(says(GOOD)) as server,
        pytest.raises(MissingPackageError, match=r"pip install 'egorag\[openai\]'"),
    ):
        ask(server)
