"""Subtitle files beside a video: found by name, decoded from any encoding, read into cues."""

from __future__ import annotations

import codecs
import os
from dataclasses import dataclass
from pathlib import Path, PurePath

from egorag.media.cuetext import parse_cues
from egorag.media.languages import is_known
from egorag.media.sampling import Cue
from egorag.media.suffixes import MEDIA_SUFFIXES, SUBTITLE_SUFFIXES

LIMIT_BYTES = 16 * 1024 * 1024
"""Over 200 hours of speech as SubRip; a larger file is something else."""

_FLAGS = frozenset(("cc", "default", "forced", "sdh"))
_SAMPLE_BYTES = 64 * 1024
_BOMS = (  # UTF-32 first: its little-endian mark begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
_LEGACY = (  # what subtitle files were written in before UTF-8; no EBCDIC, no Macintosh
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258"),
    *("iso8859_2", "iso8859_15", "koi8_r", "koi8_u", "cp866", "cp874"),
    *("cp932", "euc_jp", "gb18030", "big5", "cp949"),
)


@dataclass(frozen=True)
class SubtitleFile:
    """What one subtitle file holds.

    Attributes:
        language: from the name (``NAME.en.srt``) or a WebVTT header; None if unsaid.
        cues: in time order; plain text, none empty.
        skipped: number of malformed cues.
        problems: what was wrong, the first few cues by line, or why the file was not read; they
            don't repeat the file's name.
    """

    path: Path
    language: str | None
    cues: tuple[Cue, ...]
    skipped: int = 0
    problems: tuple[str, ...] = ()


def sidecars(video: Path) -> list[Path]:
    """Subtitle files that belong to ``video``: NAME.srt, NAME.vtt, NAME.en.srt, NAME.mp4.srt, ...

    Between the video's name and the suffix (in any case) only a language and flags (``forced``,
    ``sdh``, ``cc``, ``default``) may stand, so that ``a.srt`` of ``a.mp4`` and ``a.b.srt`` of
    ``a.b.mp4`` are told apart. Names are compared, never used as patterns. Sorted: the file
    without a language first, then by name. An unreadable folder has none.
    """
    try:
        names = [entry.name for entry in video.parent.iterdir()]
    except OSError:
        return []
    media_stems = {n.rpartition(".")[0] for n in names if _suffix(n) in MEDIA_SUFFIXES}
    found = []
    for name in names:
        if _suffix(name) not in SUBTITLE_SUFFIXES:
            continue
        stem = name.rpartition(".")[0]
        tags = _tags(stem, video)
        taken = stem != video.stem and stem != video.name and stem in media_stems
        if tags is not None and not taken and (path := video.with_name(name)).is_file():
            found.append((len(tags), name, path))
    return [path for _, _, path in sorted(found)]


def read_subtitles(path: Path, limit_bytes: int = LIMIT_BYTES) -> SubtitleFile:
    """Read a SubRip or WebVTT file. Never raises for what the file holds.

    A file that cannot be read, or is larger than ``limit_bytes`` (nothing of it is read then),
    gives no cues and a problem that says so.
    """
    language = _language_in(path.stem)
    try:
        size = path.stat().st_size
        if size > limit_bytes:
            return SubtitleFile(
                path,
                language,
                (),
                problems=(
                    f"not read: it has {size:,} bytes, over the limit of {limit_bytes:,} for a "
                    "subtitle file; split it, or move it away from the video if it isn't one",
                ),
            )
        data = path.read_bytes()
    except OSError as error:
        return SubtitleFile(path, language, (), problems=(f"not read: {error.strerror}",))
    text, doubt = decode(data)
    parsed = parse_cues(text, webvtt=True if _suffix(path.name) == ".vtt" else None)
    language = language or parsed.language
    source = _shown(path)
    reasons = [doubt] if doubt else []
    if parsed.skipped:
        reasons.append(f"{parsed.skipped} malformed cues skipped")
    elif not parsed.cues:
        reasons.append("it holds no cues")
    return SubtitleFile(
        path,
        language,
        tuple(Cue(span, text, source, language) for span, text in parsed.cues),
        parsed.skipped,
        (*reasons, *parsed.reasons),
    )


def decode(data: bytes) -> tuple[str, str | None]:
    """Text of ``data`` in whatever encoding it is, and a doubt worth telling, if there is one.

    Byte order marks, then UTF-8, then UTF-16 without a mark, then what charset-normalizer makes
    of the lines that are not ASCII. Undecodable bytes become U+FFFD.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace"), None
    sample = data[:_SAMPLE_BYTES]
    if sample.count(0) * 5 > len(sample):  # every second byte of ASCII in UTF-16 is NUL
        little = sample[1::2].count(0) >= sample[::2].count(0)
        return data.decode("utf-16-le" if little else "utf-16-be", errors="replace"), None
    text = data.decode("utf-8", errors="replace")
    bad = text.count("\ufffd")
    if not bad:
        return text, None
    if bad * 20 < sum(1 for c in text if c > "\x7f"):
        return text, f"{bad} places are not valid UTF-8"
    return _guess(data)


def _guess(data: bytes) -> tuple[str, str | None]:
    from charset_normalizer import from_bytes  # 30 ms, and rarely needed

    telling = b"\n".join(line for line in data.splitlines() if not line.isascii())
    matches = from_bytes(telling[:_SAMPLE_BYTES], cp_isolation=list(_LEGACY))
    best = matches.best()
    encoding = best.encoding if best else "cp1252"
    for match in matches:  # French read as cp1257 or Mac Latin 2 scores as well as in its own
        if best and "cp1252" in match.could_be_from_charset and match.coherence >= best.coherence:
            encoding = "cp1252"
    return data.decode(encoding, errors="replace"), f"encoding guessed: {encoding}"


def _tags(stem: str, video: Path) -> list[str] | None:
    """What stands between the video's name and the suffix; None if the file isn't its."""
    for name in (video.name, video.stem):
        if stem == name:
            return []
        if stem.startswith(name + "."):
            tags = stem[len(name) + 1 :].split(".")
            return tags if all(t.lower() in _FLAGS or is_known(t) for t in tags) else None
    return None


def _language_in(stem: str) -> str | None:
    """The language tag at the end of a subtitle file's stem, behind flags."""
    for tag in reversed(stem.split(".")[1:]):
        if tag.lower() not in _FLAGS:
            return tag if is_known(tag) else None
    return None


def _suffix(name: str) -> str:
    return PurePath(name).suffix.lower()


def _shown(path: Path) -> str:
    """The file's name as storable text: bytes that are not UTF-8 become U+FFFD."""
    return os.fsencode(path.name).decode("utf-8", errors="replace")
