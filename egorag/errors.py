"""The few kinds of error egorag raises on purpose.

Every message names the value that was given, what was expected, and what to do. A command turns
any of these into one line on stderr and an exit code; anything else is a bug and keeps its
traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EgoragError(Exception):
    """Base of every deliberate error. ``exit_code`` is what a command ends with."""

    exit_code = 1


class ConfigError(EgoragError):
    """Wrong usage: an unknown name, a mistyped key, a value out of range."""

    exit_code = 2


class MediaError(EgoragError):
    """One input file cannot be read; the message is the reason, the batch goes on."""


class SpaceError(EgoragError):
    """Vectors of two spaces were about to be mixed, or a query cannot enter a space."""

    exit_code = 2


class StoreError(EgoragError):
    """The index folder cannot be read or written (locked, full, read-only, damaged)."""


class ServerError(EgoragError):
    """A model server cannot be reached, refuses, or answers with something else than a reply."""


class MissingPackageError(ConfigError):
    """A plugin needs a package that is not installed; the message gives the command."""


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'? Choices: ..."`` for an error message.

    >>> did_you_mean("minlm", ["minilm", "ocr"])
    "; did you mean 'minilm'? Choices: minilm, ocr"
    >>> did_you_mean("zzz", ["minilm", "ocr"])
    '. Choices: minilm, ocr'
    """
    known = sorted(choices)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    listed = ", ".join(known) if known else "(none)"
    return f"; did you mean {close[0]!r}? Choices: {listed}" if close else f". Choices: {listed}"
