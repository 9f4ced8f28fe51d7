"""Text from outside as a tokenizer may have it: nothing in it steers the model."""

from __future__ import annotations

from typing import Any


def plain(text: str, tokenizer: Any) -> str:
    """``text`` with a blank for each of the tokenizer's special tokens (a subtitle may well say
    ``<|image|>``), and a question mark for half of a surrogate pair, which has no UTF-8."""
    for token in special_tokens(tokenizer):
        text = text.replace(token, " ")
    return text.encode("utf-8", "replace").decode()


def special_tokens(tokenizer: Any) -> list[str]:
    """Its special tokens, the longest first."""
    added = [t.content for t in tokenizer.added_tokens_decoder.values() if t.special]
    return sorted({*tokenizer.all_special_tokens, *added}, key=lambda t: (-len(t), t))


def shortened(text: str, tokenizer: Any, most: int) -> str:
    """The beginning of ``text`` that is at most ``most`` tokens."""
    taken = tokenizer(
        text,
        truncation=True,
        max_length=most,
        add_special_tokens=False,
        return_offsets_mapping=True,
    )
    ends = [end for _, end in taken["offset_mapping"]]
    return text[: max(ends, default=0)]
