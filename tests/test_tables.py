"""Results as a notebook shows them: well-formed tables in which nothing from a video is markup."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.spans import Span
from egorag.tables import LONGEST, answer_html, hits_html
from egorag.types import Answer, Citation, Hit, Part, Scene

HIT = Hit(
    Scene(1, "v", Span.seconds(1, 2.5), 0, 0, None, 2_500_000),
    "a.mp4",
    0.03125,
    {"bm25": Part(2, 1.0), "minilm": Part(1, 0.5)},
    "the mug",
)
CITED = Citation("v", "a.mp4", Span.seconds(1, 2), "the mug", "subtitle", True, "a.srt")


def read(html: str) -> list[list[str]]:
    """The cells of every row; fails on markup that is not well-formed."""
    tree = ElementTree.fromstring(f"<div>{html.replace('<br>', '<br/>')}</div>")
    return [["".join(cell.itertext()) for cell in row] for row in tree.iter("tr")]


def test_a_row_a_hit_says_where_and_why() -> None:
    head, row = read(HIT._repr_html_())
    assert head == ["", "video", "time", "score", "rank by", "text"]
    place = ["1", "a.mp4", "0:01.000 – 0:02.500"]
    assert row == [*place, "0.0312", "bm25 2, minilm 1", "the mug"]
    assert [row[0] for row in read(hits_html([HIT, HIT]))] == ["", "1", "2"]


def test_nothing_found_is_said() -> None:
    assert "nothing found" in hits_html([])
    assert "planned &lt;so&gt;" in hits_html([], ["planned <so>"])


@given(st.text(max_size=30))
def test_text_from_a_video_is_never_markup(text: str) -> None:
    """Whatever it says, the page has the cells it would have without; rtl marks and the like go."""
    hit = replace(HIT, text=f"<script>{text}</td>", path=f"{text}&<b>.mp4")
    answer = Answer(f"<img>{text}", False, 0.5, (replace(CITED, quote=f"x{text}</table>"),))
    for html in (hits_html([hit], [text]), answer_html(answer)):
        assert "<script" not in html and "<img" not in html and "<b>.mp4" not in html
        assert "\x1b" not in html and "\u202e" not in html
        assert [len(row) for row in read(html)] == [6, 6]


def test_long_text_is_cut() -> None:
    (_, row) = read(hits_html([replace(HIT, text="word " * 200)]))
    assert len(row[-1]) == LONGEST and row[-1].endswith("...")


@pytest.mark.parametrize(
    ("citation", "mark"),
    [
        (CITED, "verified"),
        (replace(CITED, verified=False), "NOT verified"),
        (replace(CITED, quote="", track="frames"), "shown to the model"),
        (replace(CITED, quote="", verified=False), "NOT verified"),
    ],
)
def test_an_answer_tells_whether_its_quotes_were_checked(citation: Citation, mark: str) -> None:
    answer = Answer("On the shelf. [1]", False, 0.875, (citation,))
    html = answer._repr_html_()
    assert "On the shelf. [1]" in html and "confidence 0.88" in html and "abstained" not in html
    assert read(html)[1][-1] == mark


def test_an_abstention_has_no_table() -> None:
    html = answer_html(Answer("No answer.", True, 0.1))
    assert "abstained" in html and "<table" not in html
