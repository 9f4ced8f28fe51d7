"""Progressive indexing: each profile adds what is missing and reuses everything before it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from snapshot import artifact_hashes

from egorag import config

PROFILES = ("scan", "index", "deep")


def chosen(*overrides: str) -> list[str]:
    return list(config.compose("index", ["input=x", "index=y", *overrides])["encoders"])


def test_each_profile_holds_the_one_before() -> None:
    sets = [set(chosen(f"profile={name}")) for name in PROFILES]
    assert sets[0] < sets[1] < sets[2]
    assert chosen() == chosen("profile=index"), "the default"


def test_a_profile_is_a_set_like_any_other() -> None:
    assert chosen("profile=scan", "+encoder=clap") == [*chosen("profile=scan"), "clap"]
    assert "picture" not in chosen("profile=scan", "~encoders.picture")
    assert chosen("profile=scan", "encoder=[ocr]") == ["ocr"]


def test_a_mistyped_profile_is_named(command: Any) -> None:
    done = command("index", "input=x", "index=y", "profile=deeper")
    assert done.returncode == 2 and "did you mean 'deep'" in done.stderr


@pytest.fixture
def tiny(tmp_path: Path) -> list[str]:
    """Tiny checkpoints in place of those that deep adds."""
    pytest.importorskip("torch")
    pytest.importorskip("faster_whisper")
    from checkpoints import makers

    made = makers()
    overrides: list[str] = []
    for name in sorted(set(chosen("profile=deep")) & set(made)):
        folder = tmp_path / name
        folder.mkdir()
        overrides += made[name](folder)
    return overrides


def test_scan_then_index_then_deep(
    sample: Path, tmp_path: Path, command: Any, tiny: list[str]
) -> None:
    index = tmp_path / "i"

    def run(profile: str, *more: str) -> Any:
        settings = [f"input={sample}", f"index={index}", f"profile={profile}", "device=cpu"]
        done = command("index", *settings, *more, "output=json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def made(summary: Any) -> set[str]:
        return {name for name, did in summary["encoders"].items() if did["made"]}

    def reused(summary: Any) -> set[str]:
        return {name for name, did in summary["encoders"].items() if did["reused"]}

    first = run("scan")
    assert made(first) == set(chosen("profile=scan"))
    assert first["searchable"] == {"text": ["minilm", "bm25"], "image": ["picture"]}
    kept = artifact_hashes(index)
    second = run("index")
    # Signs change what scenes say, so their text is embedded anew; nothing else is.
    assert made(second) == {"ocr", "sound", "minilm"}
    assert reused(second) == {"subtitles", "speech", "picture"}
    assert second["searchable"]["sound"] == ["sound"]
    third = run("deep", *tiny)
    assert made(third) >= {"vjepa2_quality", "siglip2", "qwen2_vl_captioner", "clap"}
    assert reused(third) >= {"subtitles", "ocr", "speech", "sound", "picture"}
    assert third["searchable"]["video"] == ["vjepa2_quality", "siglip2"]
    assert all(did["seconds"] >= 0 for did in third["encoders"].values())
    again = run("deep", *tiny)
    assert not made(again), "nothing is done twice"
    assert kept.items() <= artifact_hashes(index).items(), "and nothing made before is lost"
