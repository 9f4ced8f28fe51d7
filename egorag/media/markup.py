"""Plain text from subtitle markup: what a reader sees, and nothing else."""

from __future__ import annotations

import html
import re

# Every class below excludes its own opening character, so that "<<<<..." costs linear time.
_RUBY_NOTE = re.compile(r"<(rt|rp)\b[^<>]*>.*?(?:</\1>|(?=</ruby>)|\Z)", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<(?:/?[A-Za-z!][^<>]*|/|[0-9:.]+)>")
_ASS_OVERRIDE = re.compile(r"\{\\[^{}]*\}")
_LINE_BREAK = re.compile("\r\n?|[\v\f\x85\u2028\u2029]")
# C0 and C1 controls but newline and tab, half surrogate pairs (no UTF-8 for them), the byte order
# mark, and the marks that reorder a terminal's line. Joiners stay: Persian and emoji need them.
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)
_ABSURD_NUMBER = re.compile(r"&#[0-9]{8,};?")  # no character; html.unescape raises on 4,301 digits
_BLANKS = re.compile(r"[^\S\n]+")


def clean_text(text: str) -> str:
    """Text without tags, entities, ruby notes, ASS overrides and control characters.

    Lines are kept, trimmed; runs of blanks become one space, empty lines go. Any string is safe.

    >>> clean_text("<v Ann><i>Tom &amp; Jerry</i>  {\\\\an8}run")
    'Tom & Jerry run'
    """
    text = _LINE_BREAK.sub("\n", text)
    if "<" in text:
        text = _TAG.sub("", _RUBY_NOTE.sub("", text))
    if "{" in text:
        text = _ASS_OVERRIDE.sub("", text)
    if "&" in text:
        text = _LINE_BREAK.sub("\n", html.unescape(_ABSURD_NUMBER.sub("", text)))
    text = _BLANKS.sub(" ", _CONTROL.sub("", text))
    return "\n".join(line for raw in text.split("\n") if (line := raw.strip()))
