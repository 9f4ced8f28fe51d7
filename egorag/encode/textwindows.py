"""A long text as parts that a model can read whole."""

from __future__ import annotations

from collections.abc import Callable


def windows(text: str, most: float, count: Callable[[str], int]) -> list[tuple[str, int]]:
    """Parts of at most ``most`` tokens with their counts; the text itself where it fits.

    A longer text is halved at the blank nearest its middle, again and again: each part is counted
    as it will be read, and every word is in one of them.

    Args:
        count: tokens of a text, without the special ones.

    >>> windows("one two three four", 2, lambda text: len(text.split()))
    [('one two', 2), ('three four', 2)]
    """
    tokens = count(text)
    if tokens <= most or len(text) < 2:
        return [(text, tokens)]
    cut = _middle(text)
    halves = [half for half in (text[:cut].strip(), text[cut:].strip()) if half]
    return [part for half in halves for part in windows(half, most, count)] or [("", 0)]


def _middle(text: str) -> int:
    """Place of the blank nearest the middle, if one lies in the middle half."""
    middle, reach = len(text) // 2, len(text) // 4
    for distance in range(reach):
        for place in (middle - distance, middle + distance):
            if text[place].isspace():
                return place
    return middle
