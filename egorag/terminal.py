"""Text on its way to a person's terminal."""

from __future__ import annotations

import sys


def printable(text: str) -> str:
    """Text safe for a terminal: control characters shown, not obeyed.

    >>> printable("a\\x1b[31mb\\nc")
    'a\\\\x1b[31mb\\nc'
    """
    return "".join(
        c if c in "\n\t" or (c.isprintable() or ord(c) > 0x9F) else f"\\x{ord(c):02x}" for c in text
    )


def tell(text: str) -> None:
    """One message for a person, on stderr."""
    sys.stderr.write(printable(text).encode("utf-8", "replace").decode() + "\n")
    sys.stderr.flush()
