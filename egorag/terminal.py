"""Text on its way to a person's terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """Text safe for a terminal: control characters shown, not obeyed.

    >>> printable("a\\x1b[31mb\\nc")
    'a\\\\x1b[31mb\\nc'
    """
    return "".join(
        c if c in "\n\t" or (c.isprintable() or ord(c) > 0x9F) else f"\\x{ord(c):02x}" for c in text
    )
