"""The sentences of a reply on a person's terminal while they are written, before any check."""

from __future__ import annotations

import json
import re
import sys

from egorag.terminal import plain

HEAD = "unchecked: "
_KEY = re.compile(r'"text"\s*:\s*"')
_REACH = 100  # characters within which a key is known that came in two pieces
# Characters and whole escapes of a JSON string; the halves of a surrogate pair stay together.
_WHOLE = re.compile(
    r'(?:[^"\\]|\\["\\/bfnrt]|\\u(?![dD][89abAB])[0-9a-fA-F]{4}'
    r"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[0-9a-fA-F]{4})*+"
)


class Sentences:
    """The texts of a reply's sentences, read out of JSON that is not whole yet.

    >>> read = Sentences()
    >>> read.feed('{"sentences": [{"te'), read.feed('xt": "In the b'), read.feed('owl.", "cit')
    ('', 'In the b', 'owl. ')
    """

    def __init__(self) -> None:
        self._rest = ""
        self._inside = False

    def feed(self, piece: str) -> str:
        """What ``piece`` adds to them, a blank after each; nothing more once it is no JSON."""
        self._rest += piece
        found = ""
        while True:
            if not self._inside:
                key = _KEY.search(self._rest)
                self._rest = self._rest[key.end() :] if key else self._rest[-_REACH:]
                if key is None:
                    return found
                self._inside = True
            whole = _WHOLE.match(self._rest)
            read = whole[0] if whole else ""
            found += str(json.loads(f'"{read}"', strict=False))
            self._rest = self._rest[len(read) :]
            if not self._rest.startswith('"'):
                return found
            found += " "
            self._rest, self._inside = self._rest[1:], False


class Live:
    """A ``Listener`` that prints the sentences of each reply to stderr, through ``plain``."""

    def __init__(self) -> None:
        self._sentences = Sentences()
        self._words = ""
        self._line = False

    def __call__(self, piece: str | None) -> None:
        """Print the words that are whole by now."""
        if piece is None:
            self.end()
            self._sentences = Sentences()
            return
        self._words += self._sentences.feed(piece)
        whole, _, self._words = self._words.rpartition(" ")
        self._print(whole)

    def end(self) -> None:
        """Print what is left, and end the line if there is one."""
        self._print(self._words)
        if self._line:
            sys.stderr.write("\n")
        self._words, self._line = "", False

    def _print(self, words: str) -> None:
        if said := plain(words):
            head = " " if self._line else HEAD
            sys.stderr.write((head + said).encode("utf-8", "replace").decode())
            sys.stderr.flush()
            self._line = True
