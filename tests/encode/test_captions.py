"""What a scene's frames say together, and which frames are asked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.encode.captions import combine, tidy
from egorag.encode.keyframes import keyframes
from egorag.media.sampling import Frame


@pytest.mark.parametrize(
    ("captions", "expected"),
    [
        ([], ""),
        (["", " . ", "?"], ""),
        (["a dog"], "A dog."),
        (["a dog", "A dog.", "the dog"], "A dog."),
        (["a man rides a horse", "horse"], "A man rides a horse."),
        (["horse", "a man rides a horse"], "A man rides a horse."),
        (["a red car", "a dog on a road"], "A red car. A dog on a road."),
        # 3 of 4 words shared: the longer, or the earlier of equals, stays in its place
        (["a cook cuts red onions", "a dog", "cook cuts onions"], "A cook cuts red onions. A dog."),
        (["cook cuts three onions now", "cook cuts four onions now"],) * 2,
        (["cook cuts onions on a board", "cook cuts onions by a board"],) * 2,
        (["a a a", "the"], "A. The."),
        (["éclair au café", "café"], "Éclair au café."),
        (["a woman's hat", "woman"], "A woman's hat. Woman."),
    ],
)
def test_captions_are_joined_without_repeating(
    captions: list[str], expected: str | list[str]
) -> None:
    if isinstance(expected, list):  # 3 of 5 words are not enough: both stay
        expected = " ".join(c[0].upper() + c[1:] + "." for c in expected)
    assert combine(captions) == expected


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("arafed image of a man on a horse", "a man on a horse"),
        ("araffe standing in a field", "standing in a field"),
        ("there is arafed man with a hat", "there is man with a hat"),
        ("a an araffes view of the sea", "a an the sea"),
        ("a paraffin lamp and an arab horse", "a paraffin lamp and an arab horse"),
        ("a dog dog dog Dog runs", "a dog runs"),
        ("10 10 numbers", "10 10 numbers"),
        ("  two\nlines . ", "two lines"),
    ],
)
def test_invented_and_echoed_words_go(caption: str, expected: str) -> None:
    assert tidy(caption) == expected


@given(st.lists(st.text(max_size=30), max_size=6))
def test_any_captions_give_plain_sentences(captions: list[str]) -> None:
    text = combine(captions)
    assert text == "" or text.endswith(".")
    assert combine(captions * 2) == text


def frame(index: int, value: int) -> Frame:
    image = np.full((20, 30, 3), value, np.uint8)
    return Frame(index * 10**6, index * 10**6, index, image)


def chosen(values: list[int], most: int = 5) -> list[int]:
    return [f.index for f in keyframes([frame(i, v) for i, v in enumerate(values)], most)]


def test_keyframes_are_spread_and_different() -> None:
    assert chosen([7]) == [0]
    assert chosen([0, 90, 180]) == [0, 1, 2]
    assert chosen([0] * 60) == [0 + 5]  # still: the middle of the first stretch
    assert chosen([0, 2, 4, 1, 3]) == [0]  # noise is no news
    assert chosen([0] * 10 + [200] * 10, 2) == [4, 10]
    # of each stretch of four the one least like those taken: the flash, not the picture seen
    assert chosen([0, 0, 0, 0, 0, 0, 250, 0, 0, 90, 250, 250, 0, 0, 0, 0], 4) == [1, 6, 9]
    ramp = chosen(list(range(0, 250, 5)))
    assert len(ramp) == 5 and ramp == sorted(ramp) and ramp[-1] == 49


@given(st.lists(st.integers(0, 255), min_size=1, max_size=40), st.integers(1, 5))
def test_keyframes_keep_order_and_number(values: list[int], most: int) -> None:
    taken = chosen(values, most)
    assert 1 <= len(taken) <= most
    assert taken == sorted(set(taken))
    assert chosen(values, most) == taken
