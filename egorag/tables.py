"""Hits and answers as small HTML tables, for notebooks. Text from videos is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from egorag.spans import Span, clock
from egorag.terminal import plain

if TYPE_CHECKING:
    from egorag.types import Answer, Citation, Hit

LONGEST = 160
"""Characters of a hit's text that are shown."""

_LEFT = "text-align:left;vertical-align:top"


def hits_html(hits: Sequence[Hit], notes: Iterable[str] = ()) -> str:
    """A row a hit: place, score, the rank each ranking gave it, matching text; above, the notes."""
    above = "".join(f"<p>{_cell(note)}</p>" for note in notes)
    if not hits:
        return f"{above}<p>nothing found</p>"
    rows = [
        (
            str(number),
            *_place(hit.path, hit.scene.span),
            f"{hit.score:.4f}",
            ", ".join(f"{name} {part.rank}" for name, part in hit.parts.items()),
            _short(hit.text),
        )
        for number, hit in enumerate(hits, 1)
    ]
    return above + _table(("", "video", "time", "score", "rank by", "text"), rows)


def answer_html(answer: Answer) -> str:
    """The answer, how sure it is, and a row for each citation."""
    sure = f"confidence {answer.confidence:.2f}{', abstained' if answer.abstained else ''}"
    said = f"<p><b>{_cell(answer.text)}</b><br>{sure}</p>"
    rows = [
        (str(number), *_place(one.path, one.span), one.quote, one.track, _checked(one))
        for number, one in enumerate(answer.citations, 1)
    ]
    head = ("", "video", "time", "quote", "track", "")
    return said + (_table(head, rows) if rows else "")


def _checked(citation: Citation) -> str:
    if not citation.verified:
        return "NOT verified"
    return "verified" if citation.quote else "shown to the model"


def _place(path: str, span: Span) -> tuple[str, str]:
    return path, f"{clock(span.start)} – {clock(span.end)}"


def _short(text: str) -> str:
    line = plain(text)
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [_row("th", head), *(_row("td", row) for row in rows)]
    return f"<table>{''.join(lines)}</table>"


def _row(tag: str, values: Iterable[str]) -> str:
    cells = (f'<{tag} style="{_LEFT}">{_cell(value)}</{tag}>' for value in values)
    return f"<tr>{''.join(cells)}</tr>"


def _cell(text: str) -> str:
    return escape(plain(text).encode("utf-8", "replace").decode())
