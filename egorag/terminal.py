"""Text on its way to a person's terminal, or to a model's prompt."""

from __future__ import annotations

import re
import sys

# Control characters, line separators, marks that turn the writing direction, lone surrogates.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Text safe for a terminal: control characters shown, not obeyed.

    >>> printable("a\\x1b[31mb\\nc")
    'a\\\\x1b[31mb\\nc'
    """
    return "".join(
        c if c in "\n\t" or (c.isprintable() or ord(c) > 0x9F) else f"\\x{ord(c):02x}" for c in text
    )


def plain(text: str) -> str:
    """``text`` on one line, safe to print: white space collapsed, control characters gone.

    >>> plain("  put\\n the \\x1b[31mknife\\x07 down ")
    'put the [31mknife down'
    """
    return " ".join(_UNPRINTABLE.sub(" ", text).split())


def tell(text: str) -> None:
    """One message for a person, on stderr."""
    sys.stderr.write(printable(text).encode("utf-8", "replace").decode() + "\n")
    sys.stderr.flush()
