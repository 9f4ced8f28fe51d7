"""Replies of a language model: what is read of them, whatever they are."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.generate.reply import CITATIONS, SENTENCES, Claim, Reply, parse, schema

GOOD = {
    "answerable": True,
    "sentences": [{"text": "In the bowl.", "citations": [{"scene": 2, "quote": "blue bowl"}]}],
    "confidence": 0.7,
    "choice": "B",
}
READ = Reply(True, (Claim("In the bowl.", ((2, "blue bowl"),)),), 0.7, "B")

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "around",
    ["{}", "```json\n{}\n```", "<think>{{no}} maybe</think>{}", "Set {{x}} is empty. {} Bye {{}}",
     json.dumps(schema("AB")).replace("{", "{{").replace("}", "}}") + "\n{}"],
)  # fmt: skip
def test_the_reply_is_found_in_what_stands_around_it(around):
    assert parse(around.format(json.dumps(GOOD)), "ABC") == READ


def test_a_letter_that_was_not_offered_is_none():
    assert parse(json.dumps(GOOD), "A").choice is None
    for told, read in (("B) the blue one", "B"), (" b ", "B"), ("Blue", None), (2, None)):
        assert parse(json.dumps({**GOOD, "choice": told}), "ABC").choice == read


@pytest.mark.parametrize(
    "text",
    ["", "no JSON", "{", '{"answerable": tru', "[1, 2]", "{}" * 50, "[" * 10_000, "{" * 10_000,
     '{"answerable":' * 5000, '{"other": 1}', '{"confidence": ' + "9" * 5000 + "}"],
)  # fmt: skip
def test_what_is_no_reply_is_none(text):
    assert parse(text) is None


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(GOOD, json_values)), json_values)
def test_any_json_is_read_without_error(keys, inner):
    cited = [inner, {"scene": inner, "quote": inner}]
    for sentences in (inner, [inner], [{"text": inner, "citations": inner}],
                      [{"text": "x", "citations": cited}]):  # fmt: skip
        reply = parse(json.dumps({"answerable": True, **keys, "sentences": sentences}), "ABC")
        assert reply is not None
        assert 0 <= reply.confidence <= 1
        assert reply.choice in (None, "A", "B", "C")
        for claim in reply.claims:
            assert claim.text
            assert all(type(n) is int and isinstance(q, str) for n, q in claim.citations)


def test_what_is_read_is_bounded():
    citation = {"scene": 1, "quote": "q" * 5000}
    sentence = {"text": "t" * 5000, "citations": [citation] * 2}
    reply = parse(json.dumps({**GOOD, "sentences": [sentence] * 6}))
    assert len(reply.claims[0].text) == len(reply.claims[0].citations[0][1]) == 2000
    short = {"text": "t", "citations": [{"scene": 1, "quote": "q"}] * 50}
    reply = parse(json.dumps({**GOOD, "sentences": [short] * 50}))
    assert len(reply.claims) == SENTENCES
    assert len(reply.claims[0].citations) == CITATIONS
    assert parse(json.dumps({**GOOD, "sentences": [sentence] * 1000})) is None


def test_marks_of_citations_are_ours_alone():
    text = "It is red [1], \x1b[31mblue [2, 3] [unverified] or [sic]."
    reply = parse(json.dumps({**GOOD, "sentences": [{"text": text, "citations": []}]}))
    assert reply.claims == (Claim("It is red , [31mblue or [sic].", ()),)


def test_the_schema_is_what_strict_servers_take():
    def check(node):
        if node["type"] == "object":
            assert node["additionalProperties"] is False
            assert node["required"] == list(node["properties"])
            for inner in node["properties"].values():
                check(inner)
        elif node["type"] == "array":
            check(node["items"])

    check(schema())
    check(schema("AB"))
    assert schema("AB")["properties"]["choice"]["enum"] == ["A", "B"]
    assert "choice" not in schema()["properties"]
