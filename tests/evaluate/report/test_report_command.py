"""The command as a user runs it, on a benchmark that was run."""

from __future__ import annotations

import base64
import importlib.util
import json
import re

import cv2
import numpy as np
import pytest

pytest.importorskip("jinja2")

from finished import items_of, ranking, write_run

from egorag.errors import ConfigError, MissingPackageError
from egorag.evaluate.measure import bench
from egorag.evaluate.report import page
from egorag.report import run


def test_a_report_is_made_from_anywhere_with_pictures(world, command, tmp_path, monkeypatch):
    monkeypatch.chdir(world.parent)  # the videos' paths are relative to where the run was made
    small = ["benchmark.videos=2", "benchmark.seconds=24", "benchmark.size=[160,90]"]
    own = [f"benchmark.folder={world.name}", "benchmark.limit=6", "encoder=[subtitles]"]
    for fuser in ("rrf", "weighted"):
        bench(*small, *own, f"cache={tmp_path / 'cache'}", f"fuser={fuser}")
    done = command("report", "cache", "to=r/day.html", "examples=2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "scor" in done.stdout and done.stdout.endswith("r/day.html and r/day.md\n")
    html = (tmp_path / "r" / "day.html").read_text()
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', html)
    assert pictures and "no picture" not in html
    shapes = {
        cv2.imdecode(np.frombuffer(base64.b64decode(one), np.uint8), cv2.IMREAD_COLOR).shape
        for one in pictures
    }
    assert shapes == {(90, 160, 3)}
    assert "scenes ranked" in html
    assert "egorag.bench rerun=" in html
    assert "| fuser=weighted |" in (tmp_path / "r" / "day.md").read_text()


def test_an_unfinished_run_is_named_and_the_rest_reported(command, tmp_path):
    write_run(tmp_path / "whole", items_of(), {"main": [ranking(1.0)] * 12})
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "rows.jsonl").touch()
    done = command("report", f"runs={tmp_path}", "output=json", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert [*told["left_out"]] == [str(tmp_path / "begun")]
    assert [section["title"] for section in told["sections"]] == ["toy: mrr"]
    assert (tmp_path / "report.html").is_file() and (tmp_path / "report.md").is_file()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"to": "report.pdf"}, r"report\.pdf: a report is an \.html file"),
        ({"examples": -1}, "examples must be a whole number from 0 to 100, got -1"),
        ({"examples": "many"}, "got 'many'"),
        ({"runs": "nowhere"}, "there is no 'nowhere'"),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_written(tmp_path, monkeypatch, changed, said):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "a", items_of(), {"main": [ranking(1.0)] * 12})
    with pytest.raises(ConfigError, match=said):
        run({"runs": "a", "to": "report.html", "examples": 1, **changed})
    assert not list(tmp_path.glob("report.*"))


def test_several_runs_are_given_with_commas(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, k in (("a", 3), ("b,c", 5)):
        write_run(tmp_path / name, items_of(), {"main": [ranking(1.0)] * 12}, {"k": k})
    settings = {"to": "report.html", "examples": 0}
    assert len(run({**settings, "runs": "b,c"}).data["sections"][0]["runs"]) == 1
    (tmp_path / "b,c").rename(tmp_path / "b")
    assert len(run({**settings, "runs": "a,b"}).data["sections"][0]["runs"]) == 2


def test_without_jinja_the_command_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"egorag\[report\]"):
        page.check_jinja()
