"""What ``input=`` finds: every file accounted for, names of every kind, bad entries alone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.errors import ConfigError
from egorag.media.inputs import Input, discover
from egorag.media.textlines import read_text_lines
from egorag.spans import Span


def names(found: list[Input], below: Path) -> list[str]:
    return [str(item.path.relative_to(below)) for item in found]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    names = "b.MP4 a.mkv a.srt a.en.vtt notes.txt .hidden.mp4 sub/c.wav .git/d.mp4 z.bin"
    for name in names.split():
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "tree"


def test_folder(tree: Path) -> None:
    assert names(discover(str(tree)), tree) == ["a.mkv", "b.MP4", "sub/c.wav"]


def test_every_odd_file_is_accounted_for(shared_data: Path) -> None:
    folder = shared_data / "odd"
    media = sorted(f for f in folder.iterdir() if not f.name.startswith("LICENSE"))
    found = discover(str(folder))
    assert [item.path for item in found] == media and len(media) == 61
    assert not any(item.error for item in found)


def test_a_named_file_is_tried_whatever_its_suffix(tree: Path) -> None:
    assert names(discover(tree / "notes.txt"), tree) == ["notes.txt"]
    assert names(discover([tree / ".hidden.mp4", str(tree / "a.srt")]), tree) == [
        ".hidden.mp4",
        "a.srt",
    ]


def test_globs(tree: Path) -> None:
    assert names(discover(f"{tree}/*"), tree) == ["a.mkv", "b.MP4", "sub/c.wav"]
    assert names(discover(f"{tree}/*.bin"), tree) == ["z.bin"]
    assert names(discover(f"{tree}/**/*.wav"), tree) == ["sub/c.wav"]
    with pytest.raises(ConfigError, match="matches no media file"):
        discover(f"{tree}/*.avi")


def test_lists_and_commas(tree: Path) -> None:
    both = f"{tree}/b.MP4, {tree}/a.mkv,"
    assert names(discover(both), tree) == ["b.MP4", "a.mkv"]
    assert names(discover([tree / "b.MP4", tree]), tree) == ["b.MP4", "a.mkv", "sub/c.wav"]
    with pytest.raises(ConfigError, match="does not exist"):
        discover(f"{tree}/b.MP4,{tree}/gone.mp4")


@pytest.mark.parametrize(
    "name",
    ["-x.mp4", "--help", "a[0]*?.mp4", "it's \"q\".mp4", "two\nlines.mp4", "a,b.mp4", " .mp4", "~",
     "日本.mp4", "http:x.mp4", "$(x);&.mp4", "%s{}.mp4"],
)  # fmt: skip
def test_a_path_that_exists_is_that_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).touch()
    (tmp_path / "a0xy.mp4").touch()
    assert [item.path for item in discover(name)] == [Path(name)]
    (tmp_path / "sub").mkdir()
    assert discover(f"sub/../{name}")[0].path == Path(f"sub/../{name}")
    assert Path(name) in [item.path for item in discover([".", name])]


def test_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.mp4").touch()
    assert discover("~/a.mp4")[0].path == discover("~/*.mp4")[0].path == tmp_path / "a.mp4"


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("kitchn.mp4", "does not exist .* did you mean 'kitchen.mp4'"),
        ("", "input is empty"),
        ([], "empty list"),
        ("https://example.org/a.mp4", "download it first"),
        ("empty", "holds no media file"),
        ("a\0b", "does not exist"),
        ("a\0*", "matches no"),
        ("x" * 5000, "does not exist"),
        ("~nobody-of-that-name/x", "does not exist"),
    ],
)
def test_wrong_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str | list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kitchen.mp4").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=told):
        discover(spec)


def test_what_cannot_be_opened_comes_with_a_reason(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "gone.mp4").symlink_to("nowhere")
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    (tmp_path / "good.mp4").touch()
    (tmp_path / "latin\udce9.mp4").touch()
    reasons = {item.path.name: item.error for item in discover(tmp_path)}
    assert reasons.pop("good.mp4") is None
    assert "ordinary file" in str(reasons.pop("pipe.mp4"))
    assert "No such file" in str(reasons.pop("gone.mp4"))
    assert "symbolic links" in str(reasons.pop("loop.mp4"))
    assert reasons.pop("latin\udce9.mp4") is None, "any name will do"
    assert not reasons
    assert discover(tmp_path / "pipe.mp4")[0].error


def test_an_unreadable_folder_is_named(tree: Path) -> None:
    (tree / "sub").chmod(0)
    try:
        if os.access(tree / "sub", os.R_OK):
            pytest.skip("this user reads every folder")
        (failed,) = [item for item in discover(tree) if item.error]
    finally:
        (tree / "sub").chmod(0o755)
    assert failed.path == tree / "sub" and "Permission denied" in str(failed.error)


Write = Callable[[object], Path]


@pytest.fixture
def manifest(tmp_path: Path) -> Write:
    (tmp_path / "a.mp4").touch()
    (tmp_path / "b.mp4").touch()

    def write(entries: object) -> Path:
        path = tmp_path / "MANIFEST.json"
        path.write_text(entries if isinstance(entries, str) else json.dumps(entries))
        return path

    return write


def test_manifest(manifest: Write, tmp_path: Path) -> None:
    entry = {
        "path": "a.mp4",
        "recorded_at": "2026-05-01T09:30:00+02:00",
        "scenes": [[2, 3.5], [0, 2]],
        "metadata": {"kitchen": "P01"},
    }
    full, short = discover(manifest([entry, {"path": str(tmp_path / "b.mp4")}]))
    assert full == Input(
        tmp_path / "a.mp4",
        datetime(2026, 5, 1, 7, 30, tzinfo=UTC),
        (Span(0, 2_000_000), Span(2_000_000, 3_500_000)),
        {"kitchen": "P01"},
    )
    assert short == Input(tmp_path / "b.mp4")


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"path": "a.mp4", "scene": []}, "unknown key 'scene'; did you mean 'scenes'"),
        ({"recorded_at": "2026-05-01T09:30Z"}, "'path' is missing"),
        ({"path": ""}, "path must be a text"),
        ({"path": 3}, "path must be a text"),
        ({"path": "\ud800"}, "surrogate"),
        ({"path": "gone.mp4"}, "No such file"),
        ({"path": "."}, "ordinary file"),
        ("a.mp4", "expected an object"),
        (None, "expected an object"),
        ({"path": "a.mp4", "recorded_at": "yesterday"}, "ISO 8601"),
        ({"path": "a.mp4", "recorded_at": 5}, "ISO 8601"),
        ({"path": "a.mp4", "recorded_at": "2026-05-01T09:30"}, "time zone"),
        ({"path": "a.mp4", "scenes": {"0": 1}}, r"\[\[start, end\]"),
        ({"path": "a.mp4", "scenes": [[0, 2], [1, 3]]}, "overlap"),
        ({"path": "a.mp4", "scenes": [[0, 1, 2]]}, "a scene must be"),
        ({"path": "a.mp4", "scenes": [[1, 1]]}, "not later"),
        ({"path": "a.mp4", "scenes": [[True, 2]]}, "seconds from 0"),
        ({"path": "a.mp4", "scenes": [[0, 1e300]]}, "seconds from 0"),
        ({"path": "a.mp4", "metadata": [1]}, "metadata must be an object"),
        ({"path": "b.mp4"}, "listed twice"),
    ],
)
def test_a_bad_entry_fails_alone(manifest: Write, entry: object, told: str) -> None:
    good, bad = discover(manifest([{"path": "b.mp4"}, entry]))
    assert good.error is None and good.path.name == "b.mp4"
    assert bad.error is not None
    with pytest.raises(AssertionError, match=told):
        raise AssertionError(bad.error)
    assert "entry 2" in bad.error or isinstance(entry, dict)


@pytest.mark.parametrize("text", ["", "{}", "[]", '"x"', "[", "[" * 100_000, "nul", "\ufeff[1"])
def test_a_manifest_that_is_none(manifest: Write, text: str) -> None:
    with pytest.raises(ConfigError, match="manifest"):
        discover(manifest(text))


def row(**changes: object) -> dict[str, object]:
    return {"video": "v", "start": 0, "end": 1, "text": "opens the fridge", **changes}


def lines(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows) + "\n")
    return path


def test_text_lines(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "corpus.JSONL",
        row(start=2.5, end=4),
        "",
        row(video="w", track="transcript", recorded_at="2026-05-01T09:30:00Z"),
        row(text="<b>washes</b>\x00 a  cup\n"),
        row(start=2.5, end=4),
    )
    v, w = discover(str(path))
    assert v.path == Path("v") and v.texts is not None and w.texts is not None
    assert [(t.span, t.text, t.track) for t in v.texts] == [
        (Span(0, 1_000_000), "washes a cup", "caption"),
        (Span(2_500_000, 4_000_000), "opens the fridge", "caption"),
    ]
    assert w.texts[0].track == "transcript" and w.recorded_at == datetime(
        2026, 5, 1, 9, 30, tzinfo=UTC
    )
    assert len(v.id) == 64 and v.id != w.id


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ("{", "not valid JSON"),
        ("\xff", "not valid"),
        ("[" * 100_000, "nested too deeply"),
        ("[1]", "expected an object"),
        (row(txt="x"), "unknown key 'txt'; did you mean 'text'"),
        ({"video": "v", "start": 0, "end": 1}, "'text' is missing"),
        (row(video=""), "video must be a text"),
        (row(video="a\0b"), "NUL"),
        (row(text="<i> </i>"), "besides markup"),
        (row(text=None), "text must say"),
        (row(start="0"), "seconds"),
        (row(start=-1), "seconds"),
        (row(end=0), "not later"),
        (row(end=float("nan")), "seconds"),
        (row(end=float("inf")), "seconds"),
        (row(track="No!"), "track"),
        (row(recorded_at="2020-01-01T00:00:00"), "time zone"),
        (row(recorded_at="2020-01-01T00:00:00Z"), "recorded_at differs"),
    ],
)
def test_bad_lines_are_counted_and_good_ones_kept(tmp_path: Path, bad: object, told: str) -> None:
    path = lines(tmp_path / "t.jsonl", row(recorded_at="2021-01-01T00:00:00Z"), bad, row(start=0.5))
    good, failed = discover(path)
    assert good.texts is not None and len(good.texts) == 2 and good.error is None
    assert failed.path == path and failed.texts is None and failed.error is not None
    assert failed.error.startswith("1 of 3 lines left out: line 2: ") and told in failed.error


def test_many_bad_lines_are_told_briefly(tmp_path: Path) -> None:
    (failed,) = discover(lines(tmp_path / "t.jsonl", *["x"] * 1000))
    assert failed.error is not None
    assert "1000 of 1000" in failed.error and "995 more" in failed.error and len(failed.error) < 600


def test_no_lines(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no lines"):
        discover(lines(tmp_path / "t.jsonl"))


def test_names_that_collide_do_not_mix(tmp_path: Path) -> None:
    one = lines(tmp_path / "one.jsonl", row())
    other = lines(tmp_path / "other.jsonl", row(text="closes it"))
    again = lines(tmp_path / "again.jsonl", row(), row())
    found = discover([one, other, again])
    assert len(found) == 2 and len({item.id for item in found}) == 2
    assert all(item.texts is not None and len(item.texts) == 1 for item in found)


rows = st.builds(
    lambda video, start, length, text: row(video=video, start=start, end=start + length, text=text),
    st.sampled_from(["v", "w"]),
    st.integers(0, 50),
    st.integers(1, 9),
    st.sampled_from(["a", "b"]),
)


@given(st.lists(rows, min_size=1), st.randoms())
def test_id_does_not_depend_on_the_order_of_lines(
    tmp_path_factory: pytest.TempPathFactory, good: list[dict[str, object]], random: object
) -> None:
    path = tmp_path_factory.getbasetemp() / "order.jsonl"
    before = {item.path: item for item in read_text_lines(lines(path, *good))}
    random.shuffle(good)  # type: ignore[attr-defined]
    after = {item.path: item for item in read_text_lines(lines(path, *good))}
    assert before == after
    changed = {**good[0], "text": "c"}
    ids = {item.id for item in read_text_lines(lines(path, *good[1:], changed))}
    assert before[Path(str(good[0]["video"]))].id not in ids
    for item in before.values():
        assert item.texts is not None
        assert list(item.texts) == sorted(item.texts, key=lambda t: (t.span, t.text))
