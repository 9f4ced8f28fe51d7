"""The command as a user runs it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from worlds import read_world


@pytest.fixture(scope="module")
def bench(command: Callable[..., Any], world: Path, cache: Path) -> Callable[..., dict[str, Any]]:
    def run(*arguments: str, code: int = 0) -> Any:
        small = [f"benchmark.folder={world}", "benchmark.videos=2", "benchmark.seconds=24"]
        small.append("benchmark.size=[160,90]")
        done = command(
            "bench",
            *arguments,
            *(small if "benchmark=sample_world" in arguments else []),
            f"cache={cache}",
            "encoder=[subtitles]",
            "controls=false",
        )
        assert done.returncode == code, done.stderr
        return done

    return run


def test_the_command_tells_scores_counts_and_sources(bench: Callable[..., Any]) -> None:
    data = json.loads(bench("benchmark=sample_world", "output=json").stdout)
    assert data["benchmark"] == "sample_world" and data["main"] == "ndcg@10"
    assert data["items"]["run"] == data["items"]["all"] == data["items"]["scored"]
    assert 0 < data["scores"]["ndcg@10"]["value"] <= 1
    assert set(data["categories"]["kind"]) >= {"spoken", "visible"}
    assert data["missing_media"] == [] and data["left_out"] == {} and data["sources"]
    text = bench("benchmark=sample_world", "benchmark.task=boundaries").stdout
    assert "2 of 2 items run" in text and "recall" in text


def test_a_sweep_runs_each_job(bench: Callable[..., Any]) -> None:
    done = bench("-m", "benchmark=sample_world", "fuser=rrf,weighted", "output=json")
    jobs = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(jobs) == 2 and jobs[0]["record"] != jobs[1]["record"]
    assert jobs[0]["items"] == jobs[1]["items"]


def test_one_s_own_videos_and_questions(
    bench: Callable[..., Any], world: Path, tmp_path: Path
) -> None:
    media = tmp_path / "media"
    media.mkdir()
    source = read_world(world, "boundaries").media[0].path
    assert source is not None
    shutil.copy(source, media / "mine.mp4")
    rows = [
        {"query": "I", "relevant": [{"video": "mine.mp4", "start": 0, "end": "0:05", "grade": 2}]},
        {"query": "I", "id": "away", "relevant": [{"video": "b.mp4", "start": 0, "end": 5}]},
    ]
    questions = tmp_path / "mine.jsonl"
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    own = ["benchmark=custom", f"benchmark.questions={questions}", f"benchmark.media={media}"]
    data = json.loads(bench(*own, "output=json").stdout)
    assert data["items"] == {"all": 2, "run": 1, "scored": 1, "left_out": 1}
    assert data["missing_media"] == ["b.mp4"] and data["left_out"] == {
        "away": "the media lack b.mp4"
    }
    assert "media missing, 1: b.mp4" in bench(*own).stdout


def test_wrong_usage_is_one_line(bench: Callable[..., Any], tmp_path: Path) -> None:
    def refused(*arguments: str) -> str:
        done = bench(*arguments, code=2)
        assert done.stdout == "" and done.stderr.count("\n") == 1, done.stderr
        return str(done.stderr)

    assert "did you mean 'egoschema'" in refused("benchmark=egoshema")
    assert "needs a value for folder" in refused("benchmark=lvbench")
    assert "has no setting 'foldr'; did you mean 'folder'" in refused(
        "benchmark=lvbench", "benchmark.foldr=x", "benchmark.folder=y"
    )
    told = refused("benchmark=egoschema", f"benchmark.folder={tmp_path}")
    assert "'questions.json' is not in" in told and "https://github.com/egoschema" in told
