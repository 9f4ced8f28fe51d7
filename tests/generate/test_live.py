"""The sentences of a reply as they come, out of JSON cut anywhere."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.generate.live import HEAD, Live, Sentences
from egorag.terminal import plain

texts = st.lists(st.text(max_size=20), max_size=4)


def reply(said, ascii):
    sentences = [{"text": t, "citations": [{"scene": 1, "quote": t}]} for t in said]
    return json.dumps({"answerable": True, "sentences": sentences}, ensure_ascii=ascii)


@given(texts, st.booleans(), st.lists(st.integers(0, 400), max_size=30))
def test_they_are_read_whole_however_the_reply_is_cut(said, ascii, cuts):
    body = reply(said, ascii)
    edges = [0, *sorted(c for c in cuts if c < len(body)), len(body)]
    read = Sentences()
    found = "".join(read.feed(body[a:b]) for a, b in pairwise(edges))
    assert found == "".join(t + " " for t in said)


@given(st.lists(st.text(st.sampled_from('"\\u{}:text ndD8'), max_size=12), max_size=12))
def test_what_is_no_json_does_no_harm(pieces):
    read = Sentences()
    for piece in ['{"text": "', *pieces]:
        read.feed(piece)


@pytest.fixture
def told(capsys):
    def one(*pieces):
        live = Live()
        for piece in pieces:
            live(piece)
        live.end()
        return capsys.readouterr().err

    return one


def test_words_are_printed_on_one_line(told):
    body = reply(["In the blue bowl.", "Then the hook."], True)
    assert told(None, *body) == f"{HEAD}In the blue bowl. Then the hook.\n"
    assert told(None, body) == f"{HEAD}In the blue bowl. Then the hook.\n"


@given(said=texts)
def test_nothing_reaches_a_terminal_but_plain_text(said):
    import contextlib
    import io

    shown = io.StringIO()
    with contextlib.redirect_stderr(shown):
        live = Live()
        for piece in [None, *reply(said, True)]:
            live(piece)
        live.end()
    line = shown.getvalue().removesuffix("\n")
    assert line == plain(line)
    assert plain(line.removeprefix(HEAD)) == plain(" ".join(said))


def test_a_reply_begun_anew_gets_a_line_of_its_own(told):
    body = reply(["In the bowl."], True)
    assert told(None, body[:-40], None, body).splitlines() == [f"{HEAD}In the bowl."] * 2


def test_a_reply_without_sentences_prints_nothing(told):
    assert told(None, '{"answerable": false, "sentences": []}') == ""
    assert told() == ""
