"""Server-sent events, as a chat completion is streamed (WHATWG HTML, section 9.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def events(chunks: Iterable[bytes]) -> Iterator[str]:
    """The data of each event. One that is not ended by an empty line is dropped, as the standard
    has it; fields other than ``data`` do not matter here.

    >>> list(events([b'data: {"a"', b': 1}\\r\\n\\r', b"\\n: a comment\\n\\ndata: [DONE]\\n\\n"]))
    ['{"a": 1}', '[DONE]']
    """
    said: list[str] = []
    for line in _lines(chunks):
        name, _, value = line.partition(":")
        if name == "data":
            said.append(value.removeprefix(" "))
        elif not line and said:
            yield "\n".join(said)
            said = []


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Lines ended by CR LF, LF or CR; what follows the last end is not whole and not given."""
    rest = bytearray()
    looked = 0  # bytes of the rest that hold no end of a line
    for chunk in chunks:
        rest += chunk
        while (end := _end(rest, looked)) is not None:
            line, after = end
            yield rest[:line].decode("utf-8", "replace")
            del rest[:after]
            looked = 0
        looked = max(0, len(rest) - 1)


def _end(text: bytearray, start: int) -> tuple[int, int] | None:
    """(where the first line ends, where the next begins); None where that cannot be told yet."""
    found = [at for at in (text.find(b"\n", start), text.find(b"\r", start)) if at >= 0]
    if not found:
        return None
    at = min(found)
    if text[at : at + 1] == b"\n":
        return at, at + 1
    if at + 1 == len(text):
        return None  # perhaps the half of a CR LF
    return at, at + 1 + (text[at + 1 : at + 2] == b"\n")
