"""Orders of choices and what is made of the replies to them."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.chat.base import Token, read_tokens
from egorag.generate.orders import letter_shares, mean_shares, orders


@given(st.integers(1, 7), st.integers(1, 12), st.integers(0, 99))
def test_orders_are_distinct_seeded_permutations(choices, count, seed):
    drawn = orders(choices, count, seed)
    assert len(set(drawn)) == len(drawn) == min(count, math.factorial(choices))
    assert all(sorted(order) == list(range(choices)) for order in drawn)
    assert drawn == orders(choices, count, seed)


@given(st.integers(1, 6), st.integers(0, 99))
def test_each_choice_stands_at_each_place_equally_often(choices, seed):
    drawn = orders(choices, choices, seed)
    seen = Counter((place, choice) for order in drawn for place, choice in enumerate(order))
    assert set(seen.values()) == {1}
    assert len(seen) == choices**2


@given(st.integers(2, 6), st.integers(0, 9), st.floats(0, 1))
def test_a_liking_for_a_letter_cancels(choices, seed, liking):
    """The model gives letter A ``liking`` whatever stands there, and the rest to choice 1."""
    replies = []
    for order in orders(choices, choices, seed):
        shares = dict.fromkeys(range(choices), 0.0)
        shares[order[0]] += liking
        shares[1] += 1 - liking
        replies.append(shares)
    mean = mean_shares(replies, choices)
    assert sum(mean) == pytest.approx(1)
    others = [share for i, share in enumerate(mean) if i != 1]
    assert others == pytest.approx([liking / choices] * (choices - 1))


@pytest.mark.parametrize(
    "pieces",
    [
        ['{"choice": "', "B", '"}'],
        ['{"choice":', ' "', "B", '"', "}"],
        ['{"choice":', '"B', '"}'],
        ['{"choice": "A"}, no: {"choice"', ":", ' "B"}'],
    ],
)
def test_the_token_of_the_letter_gives_its_probability(pieces):
    def alternatives(piece):
        given = [("A", 0.2), ("B", 0.6), ("x", 0.2)]
        return tuple((piece.replace("B", letter), math.log(p)) for letter, p in given)

    tokens = [Token(piece, alternatives(piece)) for piece in pieces]
    assert letter_shares("AB", "B", tokens) == pytest.approx({"A": 0.25, "B": 0.75})


def test_without_usable_log_probabilities_the_letter_chosen_has_all():
    alone = {"A": 0.0, "B": 1.0}
    unlikely = Token("B", (("B", -math.inf), ("?", 0.0)))
    for tokens in (
        [],
        [Token('{"choice": "B"}', ())],
        [Token("B", (("B", 0.0),))],
        [Token('{"choice": "', ()), unlikely],
    ):
        assert letter_shares("AB", "B", tokens) == alone
    assert letter_shares("AB", None, []) is None


def test_tokens_are_read_from_any_json():
    good = {"token": "B", "logprob": -0.1, "top_logprobs": [{"token": "A", "logprob": -2.0}]}
    assert read_tokens([good]) == (Token("B", (("A", -2.0),)),)
    for listed in (None, "x", {}, [None], [{"token": 3}], [good, 1]):
        assert read_tokens(listed) == ()
    for others in (None, 3, [1, {}, {"token": 1, "logprob": 0.0}, {"token": "A"},
                             {"token": "A", "logprob": "0"}, {"token": "A", "logprob": 10**400},
                             {"token": "A", "logprob": math.nan}]):  # fmt: skip
        assert read_tokens([{**good, "top_logprobs": others}]) == (Token("B", ()),)
