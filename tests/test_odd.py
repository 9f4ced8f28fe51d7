"""The whole folder of odd and broken files in one command: every file is accounted for."""

from __future__ import annotations

import json
from pathlib import Path

from egorag.spans import Span, check_tiling


def test_odd_folder(shared_data: Path, command, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    done = command(
        "index", f"input={shared_data / 'odd'}", f"index={tmp_path / 'odd'}", "output=json"
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    got = json.loads(done.stdout)
    files = {p.name for p in (shared_data / "odd").iterdir() if not p.name.startswith("LICENSE")}
    indexed = {Path(v["path"]).name for v in got["videos"]}
    failed = {Path(f["path"]).name: f["reason"] for f in got["failed"]}
    assert indexed | set(failed) == files
    assert not indexed & set(failed)
    assert len(indexed) > len(files) / 2, "most of them hold something that can be decoded"
    for reason in failed.values():
        assert 10 < len(reason) < 500
        assert "\n" not in reason

    import egorag

    with egorag.open(tmp_path / "odd") as index:
        for video in index.videos():
            assert 0 < video.duration < 3600 * 10**6, "the decoded length, not a header's claim"
            spans = [scene.span for scene in index.scenes(video.id, "scene")]
            check_tiling(spans, Span(0, video.duration))
