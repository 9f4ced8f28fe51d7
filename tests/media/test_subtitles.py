"""Subtitle files: real ones, hostile ones, and every encoding they come in."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.media.cuetext import parse_cues
from egorag.media.markup import clean_text
from egorag.media.subtitles import decode, read_subtitles, sidecars
from egorag.spans import Span

CUE = "1\n00:00:01,000 --> 00:00:02,500\n{}\n\n"

# What ExoPlayer's tests expect of these files (and what the files say of themselves).
REAL = {
    "subrip/empty": (0, 0),
    "subrip/typical_bad_timestamps": (1, 2),
    "subrip/typical_missing_sequence": (3, 0),
    "subrip/typical_negative_timestamps": (1, 2),
    "subrip/typical_unexpected_end": (2, 1),
    "subrip/typical_utf16le": (3, 0),
    "subrip/typical_with_tags": (14, 0),
    "webvtt/empty": (0, 0),
    "webvtt/typical_with_bad_timestamps": (2, 4),
    "webvtt/typical_with_identifiers": (2, 0),
    "webvtt/with_bom": (2, 0),
    "webvtt/with_css_complex_selectors": (5, 0),
    "webvtt/with_css_text_combine_upright": (2, 0),
    "webvtt/with_overlapping_timestamps": (4, 0),
    "webvtt/with_rubies": (4, 0),
    "webvtt/with_vertical": (3, 0),
    "webvtt/with_x-timestamp-map_header": (2, 0),
}


def texts(content: str) -> list[str]:
    return [text for _, text in parse_cues(content).cues]


@pytest.mark.parametrize("name", REAL)
def test_real_files(shared_data: Path, name: str) -> None:
    read = read_subtitles(shared_data / "subtitles" / name)
    assert (len(read.cues), read.skipped) == REAL[name]
    assert bool(read.problems) == (read.skipped > 0 or not read.cues or "x-timestamp" in name)
    for cue in read.cues:
        assert "discarded" not in cue.text
        assert not set("<>") & set(cue.text) and "-->" not in cue.text and "{\\" not in cue.text


def test_every_real_file_is_listed(shared_data: Path) -> None:
    folder = shared_data / "subtitles"
    assert {str(f.relative_to(folder)) for f in folder.glob("*/*")} == set(REAL)


def test_real_cues_word_for_word(shared_data: Path) -> None:
    rubies = read_subtitles(shared_data / "subtitles" / "webvtt" / "with_rubies").cues
    assert [c.text for c in rubies] == [
        "Some text with over-ruby.",
        "Some text with under-ruby and over-ruby (default).",
        "base1base2base3.",
        "Some text with no ruby text.",
    ]
    wide = read_subtitles(shared_data / "subtitles" / "subrip" / "typical_utf16le").cues
    assert wide[1].span == Span(2_345_000, 3_456_000)
    assert wide[1].text == "This is the second subtitle.\nSecond subtitle with second line."


@pytest.mark.parametrize(
    ("markup", "plain"),
    [
        ("<i>a</i> &lt;b&gt; &amp;amp;", "a <b> &amp;"),
        ("a < b and c > d", "a < b and c > d"),
        ("<00:01.500><c.x.y> two </c>  three", "two three"),
        ("<ruby>kanji<rt>reading", "kanji"),
        ("a\u2028b\x0bc\r\nd\re", "a\nb\nc\nd\ne"),
        ("x\x00\x1b[31my\u202e\ud800", "x[31my"),
        ("&#27;&#0;&#x202e;z", "\ufffdz"),
        ("&#" + "9" * 5000 + ";z", "z"),
        ("  \t \n\n \xa0a&nbsp;b ", "a b"),
        ("می‌خواهم 👩‍🚀", "می‌خواهم 👩‍🚀"),
    ],
)
def test_clean_text(markup: str, plain: str) -> None:
    assert clean_text(markup) == plain


@given(st.text())
def test_clean_text_is_safe(text: str) -> None:
    clean = clean_text(text)
    clean.encode("utf-8")
    assert all(c >= " " or c == "\n" for c in clean)
    assert clean == clean.strip() and "\n\n" not in clean


@pytest.mark.parametrize("hostile", ["<", "<rt>", "{\\", "&", "&#", "<a ", "{\\{", "-->"])
def test_hostile_markup_costs_linear_time(hostile: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    clean_text(hostile * 300_000)
    parse_cues(CUE.format(hostile * 300_000))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 5


def test_subrip_as_it_is_found() -> None:
    assert texts("00:00:01.000-->00:00:02,000 X1:1 Y1:2\na\n00:00:02 --> 00:00:03\nb") == ["a", "b"]
    assert texts("1\n00:01,0\n\n" + CUE.format("x")) == ["x"]
    assert texts(CUE.format("one\n\ntwo")) == ["one\ntwo"]  # a blank line inside a cue
    assert texts(CUE.format("42") + CUE.format("43")) == ["42", "43"]  # not taken for numbers
    assert texts(CUE.format("x").replace("\n", "\r")) == ["x"]
    assert texts((CUE.format("x") + CUE.format("y")).replace("\n", "\r\r\n")) == ["x", "y"]
    assert texts((CUE.format("x") + CUE.format("y")).replace("\n", "\n\n")) == ["x", "y"]


def test_cues_come_sorted() -> None:
    late, early = CUE.replace("01,", "02,").format("late"), CUE.format("early")
    assert texts(late + early) == ["early", "late"]


def test_webvtt_parts_that_are_not_cues() -> None:
    parsed = parse_cues(
        "\ufeffWEBVTT - title\nKind: captions\nLanguage: pt-BR\n\nNOTE\nnot --> this\n\n"
        "STYLE\n::cue { color: red }\n\nREGION\nid:fred\n\nid\n00:01.000 --> 00:02.000 line:0\n"
        "- a\n- b\n\n00:03.000 --> 00:04.000\n00:05.000 --> 00:06.000\nc\n\nstray\n"
    )
    assert [text for _, text in parsed.cues] == ["- a\n- b", "c"]
    assert parsed.language == "pt-BR"
    assert parsed.skipped == 1 and "stray" in parsed.reasons[0]


def test_reasons_are_few_and_name_the_line() -> None:
    parsed = parse_cues("1\n00:00:05,000 --> 00:00:01,000\nx\n\n" * 100)
    assert parsed.skipped == 100 and not parsed.cues
    assert len(parsed.reasons) == 5 and parsed.reasons[1].startswith("line 6: ")


stamp = st.from_regex(r"-?([0-9]{1,5}:)?[0-9]{1,3}:[0-9]{1,3}[.,][0-9]{2,4}", fullmatch=True)
line = st.one_of(
    st.sampled_from(
        ["", "WEBVTT", "NOTE", "STYLE", "1", "-->", "X-TIMESTAMP-MAP=LOCAL:0", "\ufeff"]
    ),
    st.builds("{} --> {}".format, stamp, stamp),
    st.text(max_size=30),
)


@given(st.lists(line, max_size=30).map("\n".join), st.sampled_from([None, True, False]))
def test_any_text_gives_valid_sorted_cues(text: str, webvtt: bool | None) -> None:
    parsed = parse_cues(text, webvtt)
    spans = [span for span, _ in parsed.cues]
    assert spans == sorted(spans)
    assert all(0 <= span.start < span.end for span in spans)
    assert all(clean and clean == clean.strip() for _, clean in parsed.cues)
    assert parsed.skipped >= 0 and (parsed.skipped == 0 or parsed.reasons)


@given(st.binary(max_size=300), st.sampled_from([".srt", ".vtt"]))
def test_any_bytes_are_read(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, end: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"fuzz{end}"
    path.write_bytes(data)
    for cue in read_subtitles(path).cues:
        cue.text.encode("utf-8")


words = st.text(st.characters(categories=["L", "Nd"]), min_size=1, max_size=12)


@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(1, 10**5), words), max_size=20))
def test_written_cues_are_read_back(cues: list[tuple[int, int, str]]) -> None:
    def clock(ms: int) -> str:
        return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02},{ms % 1000:03}"

    want = sorted(((Span(s * 1000, (s + d) * 1000), f"a {t}") for s, d, t in cues), key=str)
    srt = "".join(
        f"{i}\n{clock(s)} --> {clock(s + d)}\na {t}\n\n" for i, (s, d, t) in enumerate(cues, 1)
    )
    vtt = "WEBVTT\n\n" + srt.replace(",", ".")
    for content in (srt, vtt, srt.replace("\n", "\r\n")):
        parsed = parse_cues(content)
        if cues:
            assert (sorted(parsed.cues, key=str), parsed.skipped) == (want, 0)


SPOKEN = {
    "fr": "Où est passée la clé ?|Ça a été créé à l'été, près du château.|Je l'ai laissée à côté du"
    " café.|Très bien, à bientôt !|C'était déjà réglé, j'espère.",
    "de": "Wo ist der Schlüssel für die Küche?|Ich weiß nicht, frag später.|Schöne Grüße!",
    "pl": "Gdzie położyłeś klucz do kuchni?|Nie pamiętam, zapytaj swojego brata.|Zostawił go na"
    " stole obok kawy, już wczoraj.|Dziękuję bardzo, do zobaczenia jutro. Żółć, źdźbło, ćma.",
    "ru": "Куда ты положил ключ от кухни?|Я не помню, спроси у брата.|Он оставил его на столе.",
    "he": "איפה שמת את המפתח של המטבח?|אני לא זוכר, תשאל את אחיך.|הוא השאיר אותו על השולחן.",
    "ja": "台所の鍵はどこに置きましたか。|覚えていません、お兄さんに聞いてください。|テーブルの上の"
    "コーヒーの隣に置きました。|わかりました、ありがとう。また明日。",
    "zh": "你把厨房的钥匙放在哪里了?|我不记得了,去问问你的哥哥吧。|好的,谢谢你。明天见。",
    "ko": "부엌 열쇠를 어디에 두었어요?|기억이 안 나요, 형에게 물어보세요.|탁자 위에 두었어요.",
}
ENCODINGS = {
    "fr": "utf-8 utf-8-sig utf-16 utf-16-le utf-16-be utf-32 cp1252 iso8859-15",
    "de": "cp1252",
    "pl": "cp1250 iso8859-2",
    "ru": "utf-8 utf-16-le cp1251 koi8-r",
    "he": "cp1255",
    "ja": "utf-8 shift_jis euc-jp",
    "zh": "gb18030 utf-16-be",
    "ko": "cp949",
}


@pytest.mark.parametrize(
    ("language", "encoding"), [(key, e) for key, names in ENCODINGS.items() for e in names.split()]
)
def test_encodings(tmp_path: Path, language: str, encoding: str) -> None:
    path = tmp_path / "a.srt"
    lines = SPOKEN[language].split("|")
    path.write_bytes("".join(map(CUE.format, lines)).encode(encoding))
    assert [cue.text for cue in read_subtitles(path).cues] == lines


def test_a_few_bad_bytes_do_not_make_it_another_encoding() -> None:
    text, doubt = decode((SPOKEN["ru"] * 10).encode() + b"\xd0")
    assert text == SPOKEN["ru"] * 10 + "\ufffd" and doubt == "1 places are not valid UTF-8"


def test_sidecars(tmp_path: Path) -> None:
    mine = ["a.srt", "a.mp4.vtt", "a.en.srt", "a.pt-BR.vtt", "a.en.forced.SRT", "a.mp4.eng.srt"]
    others = ["a.b.srt", "ab.srt", "a.fr.srt", "a.txt", "b.srt", "a.mkv.srt", ".srt", "A.srt"]
    for name in [*mine, *others, "a.mp4", "a.fr.mp4", "a.mkv", "a.b.mp4"]:
        (tmp_path / name).touch()
    (tmp_path / "a.de.srt").mkdir()
    found = [p.name for p in sidecars(tmp_path / "a.mp4")]
    assert found == [
        "a.mp4.vtt",
        "a.srt",
        "a.en.srt",
        "a.mp4.eng.srt",
        "a.pt-BR.vtt",
        "a.en.forced.SRT",
    ]
    assert sidecars(tmp_path / "a.b.mp4") == [tmp_path / "a.b.srt"]
    assert sidecars(tmp_path / "gone" / "a.mp4") == []


@pytest.mark.parametrize("name", ["a[0]*?", "-a", 'it\'s "it"', "two\nlines", "..a", "{x}", "日本"])
def test_sidecars_of_odd_names(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.mp4").touch()
    (tmp_path / "a0xx.srt").touch()
    (tmp_path / f"{name}.srt").write_text(CUE.format("x"))
    (found,) = sidecars(tmp_path / f"{name}.mp4")
    assert read_subtitles(found).cues[0].source == f"{name}.srt"


def test_language(tmp_path: Path) -> None:
    stated = {"a.en.srt": "en", "a.pt-BR.forced.srt": "pt-BR", "a.mp4.srt": None, "a.mkv.srt": None}
    for name, language in stated.items():
        (tmp_path / name).write_text(CUE.format("x"))
        read = read_subtitles(tmp_path / name)
        assert read.language == language == read.cues[0].language


def test_a_file_over_the_limit_costs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "huge.srt"
    with path.open("wb") as file:
        file.truncate(200_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    read = read_subtitles(path)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 5_000
    assert read.cues == ()
    assert all(part in read.problems[0] for part in ("200,000,000", "16,777,216", "split"))


def test_an_unreadable_file_says_so(tmp_path: Path) -> None:
    read = read_subtitles(tmp_path / "gone.srt")
    assert read.cues == () and read.problems == ("not read: No such file or directory",)
