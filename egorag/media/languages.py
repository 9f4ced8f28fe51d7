"""Language codes as files and streams state them: ``en``, ``eng``, ``en-US`` are one language."""

from __future__ import annotations

# ISO 639-1 code, then its ISO 639-2 codes, of the languages subtitles are most often in.
_TABLE = """
ar ara|bg bul|bn ben|ca cat|cs ces cze|da dan|de deu ger|el ell gre|en eng|es spa|et est|eu baq eus
fa fas per|fi fin|fr fra fre|ga gle|gl glg|he heb|hi hin|hr hrv|hu hun|hy arm hye|id ind|is ice isl
it ita|ja jpn|ka geo kat|kk kaz|kn kan|ko kor|lt lit|lv lav|mk mac mkd|ml mal|mr mar|ms may msa
my bur mya|nb nob|nl dut nld|no nor|pa pan|pl pol|pt por|ro ron rum|ru rus|sk slk slo|sl slv
sq alb sqi|sr srp|sv swe|sw swa|ta tam|te tel|th tha|tl tgl|tr tur|uk ukr|ur urd|vi vie|zh chi zho
"""
_SHORT = {
    code: codes[0]
    for entry in _TABLE.replace("\n", "|").split("|")
    for codes in [entry.split()]
    for code in codes
}


def primary_language(tag: str) -> str:
    """The tag's language in its shortest known form; an unknown one as it is, in lower case.

    >>> primary_language("eng"), primary_language("pt-BR"), primary_language("tlh")
    ('en', 'pt', 'tlh')
    """
    primary = tag.strip().lower().replace("_", "-").split("-")[0]
    return _SHORT.get(primary, primary)


def is_known(tag: str) -> bool:
    """Whether the tag names a language of the table.

    >>> is_known("en-GB"), is_known("mkv")
    (True, False)
    """
    return primary_language(tag) in _SHORT
