"""Server-sent events, however the network cuts them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.chat.events import events

pytest.importorskip("openai")


def theirs(chunks):
    """The openai client's own decoder."""
    from openai._streaming import SSEDecoder

    return [event.data for event in SSEDecoder().iter_bytes(iter(chunks)) if event.data]


FIELDS = ["data: a", "data:b", 'data: {"x": "é\\n"}', "data", ": comment", "event: x", "id: 3", ""]
lines = st.lists(st.sampled_from(FIELDS))


@given(lines, st.sampled_from(["\n", "\r\n", "\r"]), st.lists(st.integers(0, 60)))
def test_they_are_those_of_the_clients_decoder(lines, end, cuts):
    # An end of our own, so that both see every event whole; theirs reads on after a lone CR.
    body = (end.join([*lines, "", "", ""])).encode()
    edges = [0, *sorted(c for c in cuts if c < len(body)), len(body)]
    chunks = [body[a:b] for a, b in pairwise(edges)]
    assert [e for e in events([*chunks, b"\n"]) if e] == theirs([body])


def test_an_event_that_is_not_ended_is_dropped():
    assert list(events([b"data: whole\n\ndata: ha"])) == ["whole"]
    assert list(events([b"data: whole\n\ndata: half\n"])) == ["whole"]


def test_bytes_that_are_no_text_are_marked():
    assert list(events([b"data: \xff\n\n"])) == ["\ufffd"]
