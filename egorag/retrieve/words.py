"""Words of a text, as the full-text index sees them."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from egorag.store.fulltext import stems
from egorag.terminal import plain

_FUNCTION_WORDS = """
a about above after again against all also am an and any are as at be because been before being
below between both but by can cannot could d did didn do does doesn doing don down during each
either else ever every few for from further get gets getting got had hadn has hasn have haven
having he her here hers herself him himself his how i if in into is isn it its itself just last let
ll m may me might more most much must my myself no nor not of off on once one only or other ought
our ours ourselves out over own please re s same shall she should shouldn so some something such t
than that the their theirs them themselves then there these they this those through to too under
until up upon us ve very was wasn we were weren what when where whether which while who whom whose
why will with won would wouldn yet you your yours yourself
"""


def content_words(texts: Sequence[str]) -> list[frozenset[str]]:
    """The distinct stems of each text, English function words left out.

    >>> [sorted(words) for words in content_words(["Where did I leave the knives?", ""])]
    [['knive', 'leav'], []]
    """
    common = function_words()
    return [frozenset(words) - common for words in stems([plain(text) for text in texts])]


@functools.cache
def function_words() -> frozenset[str]:
    """Stems of English function words."""
    return frozenset(stems([_FUNCTION_WORDS])[0])
