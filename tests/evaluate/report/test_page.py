"""The page and the tables: numbers are those of the records, text is text, nothing is fetched."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest

pytest.importorskip("jinja2")

from finished import answer, items_of, ranking, write_run

from egorag.evaluate.report import page
from egorag.evaluate.report.curves import recall, sureness
from egorag.evaluate.report.runs import read_run
from egorag.metrics.intervals import Interval

HOSTILE = (
    "<script>document.title='owned'</script><img src=http://hostile.invalid/x onerror=alert(1)>"
    "\x1b[31m|`*\u202e{{7*7}}"
)


class Seen(HTMLParser):
    """Text of a page, its tags and their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def answers(tmp_path):
    """Two runs of answers, of which the first is right more often, and their controls."""
    items, dice = items_of(80), np.random.default_rng(0)
    for name, chance, k in (("better", 0.9, 3), ("worse", 0.3, 5)):
        right = [float(x) for x in dice.random(80) < chance]
        main = [answer(r, 0.2 + 0.7 * r) for r in right]
        controls = {"blind": [answer(0.0)] * 80, "oracle": [answer(1.0)] * 80}
        write_run(tmp_path / "runs" / name, items, {"main": main, **controls}, {"k": k})
    return tmp_path


def tables(markdown: str) -> list[list[list[str]]]:
    """Cells of each table, without its line of dashes."""
    found: list[list[list[str]]] = [[]]
    for line in markdown.splitlines():
        if line.startswith("|"):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            found[-1] += [] if set("".join(cells)) == {"-"} else [cells]
        elif found[-1]:
            found.append([])
    return [table for table in found if table]


def test_numbers_are_those_of_the_records(answers):
    report = page.read([answers])
    seen, markdown = Seen(page.html(report, 2)), page.markdown(report)
    (table,) = tables(markdown)
    head, *rows = table
    assert len({len(row) for row in table}) == 1
    assert head == ["run", "accuracy", "abstained", "evidence", "items", "videos"]
    assert [row[0] for row in rows] == ["k=3", "k=5", "*blind*", "*oracle*"]
    (section,) = report.sections
    for run, row in zip(section.runs, rows, strict=False):
        score = str(Interval(**run.result["scores"]["accuracy"]))
        assert row[1] == score and score in seen.text
        assert row[4:] == ["80", "4"]
    (pair,) = section.pairs
    assert f"{pair['value']:+.3f} [{pair['low']:+.3f}, {pair['high']:+.3f}]" in seen.text
    for name in (
        "Stage by stage",
        "Risk and coverage",
        "Confidence",
        "accuracy by seconds an item",
    ):
        assert name in seen.text
    for category in section.first.result["categories"]["kind"].values():
        assert str(Interval(**category["accuracy"])) in seen.text


def test_what_survives_is_said(answers):
    (section,) = page.read([answers]).sections
    assert section.pairs[0]["survives"]
    told = " ".join(section.findings)
    assert "k=3 scores highest of 2 runs" in told
    assert "Its gain survives the correction for one comparison over: k=5." in told
    assert "k=3 is surely better than its controls: blind." in told
    assert "Given the right scenes (oracle)" in told
    assert "Only 4 videos" in told


def test_what_does_not_survive_is_said(tmp_path):
    items = items_of()
    main = [ranking(1.0)] * 11 + [ranking(0.0, 1.0)]
    write_run(tmp_path / "a", items, {"main": main, "bm25": [ranking(1.0)] * 12}, {"k": 3})
    write_run(tmp_path / "b", items, {"main": [ranking(0.0, 1.0), *main[1:]]}, {"k": 5})
    (section,) = page.read([tmp_path]).sections
    told = " ".join(section.findings)
    assert "Its gain does not survive the correction for one comparison over: k=5." in told
    assert "is not surely better than: bm25" in told


def test_runs_that_score_the_same_have_no_gain(tmp_path):
    for k in (3, 5):
        write_run(tmp_path / str(k), items_of(), {"main": [ranking(1.0)] * 12}, {"k": k})
    first, *rest = page.read([tmp_path]).sections[0].findings
    assert first == "k=3, k=5 score the same, the highest of 2 runs."
    assert not any("gain" in one for one in rest)


def test_answers_that_are_not_public_have_no_score(tmp_path):
    hidden = [({}, ranking(1.0)[1])] * 12
    for k in (3, 5):
        write_run(tmp_path / str(k), items_of(), {"main": hidden}, {"k": k})
    report = page.read([tmp_path])
    assert report.sections[0].findings[0].startswith("The answers to these items are not public")
    assert "| k=3 |" in page.markdown(report).replace("mrr", "")
    assert "not public" in Seen(page.html(report, 2)).text


def test_one_video_has_no_interval(tmp_path):
    items = [item for item in items_of() if item.cluster == "v0"]
    write_run(tmp_path / "a", items, {"main": [ranking(1.0)] * 3})
    report = page.read([tmp_path])
    assert "One video only" in " ".join(report.sections[0].findings)
    assert "| run | 1.000 |" in page.markdown(report)
    assert "1.000" in Seen(page.html(report, 1)).text


def test_pairs_are_corrected_for_all_of_them(tmp_path):
    for k in (1, 2, 3, 4):
        main = [ranking(1.0)] * (3 * k) + [ranking(0.0)] * (12 - 3 * k)
        write_run(tmp_path / str(k), items_of(), {"main": main}, {"k": k})
    (section,) = page.read([tmp_path]).sections
    least = min(section.pairs, key=lambda pair: pair["p"])
    assert len(section.pairs) == 6
    assert least["p_corrected"] == pytest.approx(6 * least["p"])


def test_recall_is_that_of_the_scores(tmp_path):
    main = [ranking(0.0, 1.0, 1.0, relevant=2), ranking(1.0, 0.0, 0.0)] * 6
    run = read_run(write_run(tmp_path / "a", items_of(), {"main": main}))
    found = recall(run.main, seed=0)
    assert found is not None
    assert found.values.tolist() == [0.5, 0.75, 1.0]
    assert found.values[0] == run.result["scores"]["recall@1"]["value"]
    assert found.low is not None
    assert found.low[0] == pytest.approx(run.result["scores"]["recall@1"]["low"])


def test_what_was_abstained_from_is_never_covered(tmp_path):
    given = [answer(1.0, 0.9), answer(0.0, 0.6), answer(1.0, 0.1, abstained=True)] * 4
    found = sureness(read_run(write_run(tmp_path / "a", items_of(), {"main": given})).main)
    assert found is not None and (found.given, found.asked) == (8, 12)
    assert found.curve.coverage.tolist() == pytest.approx([1 / 3, 2 / 3])
    assert found.curve.risk.tolist() == [0.0, 0.5]


def test_hostile_text_is_text(tmp_path):
    items = items_of(text=HOSTILE)
    hit = {"text": HOSTILE, "path": f"{HOSTILE}.mp4"}
    config = {"note": HOSTILE}
    write_run(tmp_path / "a", items, {"main": [ranking(1.0, **hit)] * 12}, config)
    write_run(tmp_path / "b", items, {"main": [ranking(0.0, **hit)] * 12})
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "record.json").write_text(f'{{"format": "{HOSTILE[:40]}"}}')
    report = page.read([tmp_path])
    html, markdown = page.html(report, 3), page.markdown(report)
    seen = Seen(html)
    assert "script" not in seen.tags and "<script>" in seen.text
    assert "img" not in seen.tags and "{{7*7}}" in seen.text
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    assert not set("\x1b\u202e") & set(html + markdown)
    assert "<" not in markdown.replace(r"\<", "")
    assert all(len({len(row) for row in table}) == 1 for table in tables(markdown))


def test_on_what_a_run_was_made_is_told(answers):
    text = Seen(page.html(page.read([answers]), 0)).text
    assert "commit abc1234 and changes" in text and "a processor, 2 cores" in text
    assert f"egorag.bench rerun={answers / 'runs' / 'better'}" in text
    assert '"numpy": "2.0"' in text and '"k": 3' in text


def test_nothing_is_fetched(answers):
    seen = Seen(page.html(page.read([answers]), 2))
    assert not {"script", "iframe", "object", "form", "base"} & set(seen.tags)
    sources = [value for name, value in seen.attributes if name in ("src", "href")]
    assert all(str(value).startswith(("data:", "#")) for value in sources)
    policy = next(value for name, value in seen.attributes if name == "content" and "src" in value)
    assert policy.startswith("default-src 'none'")


def test_missing_media_are_said(tmp_path):
    write_run(tmp_path / "a", items_of(), {"main": [ranking(0.0)] * 12})
    seen = Seen(page.html(page.read([tmp_path]), 2))
    assert "no picture: the video is not there any more" in seen.text
    assert "no picture: no hit tells where this video is" in seen.text


@pytest.mark.parametrize("path", ["x" * 5000, "a\0b", "/dev/zero", "http://hostile.invalid/x.mp4"])
def test_a_path_that_is_no_video_gives_no_picture(tmp_path, path):
    write_run(tmp_path / "a", items_of(), {"main": [ranking(0.0, path=path)] * 12})
    assert "no picture: the video is not there" in Seen(page.html(page.read([tmp_path]), 1)).text


def test_equal_runs_give_equal_bytes(answers):
    once, again = (page.html(page.read([answers]), 2) for _ in range(2))
    assert once == again


def test_a_browser_shows_it_without_a_complaint(answers, tmp_path):
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium on PATH")
    write_run(answers / "runs" / "hostile", items_of(text=HOSTILE), {"main": [ranking(0.0)] * 12})
    file, log = tmp_path / "report.html", tmp_path / "net.json"
    file.write_text(page.html(page.read([answers]), 2), encoding="utf-8")
    quiet = ["disable-background-networking", "disable-component-update", "disable-sync"]
    options = ["headless", "no-sandbox", "disable-gpu", "no-first-run", *quiet, "dump-dom"]
    done = subprocess.run(
        [
            chromium,
            *(f"--{option}" for option in options),
            f"--user-data-dir={tmp_path / 'profile'}",
            "--enable-logging=stderr",
            f"--log-net-log={log}",
            file.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = Seen(done.stdout)
    assert "Report: toy: accuracy, toy: mrr" in seen.text
    assert seen.tags.count("table") == page.html(page.read([answers]), 2).count("<table")
    assert seen.tags.count("svg") > 10
    assert "CONSOLE" not in done.stderr, done.stderr
    # What the browser asks on its own account comes from no page.
    asked = re.findall(r'"initiator":"([^"]*)"', log.read_text(errors="replace"))
    assert set(asked) <= {"not an origin"}
