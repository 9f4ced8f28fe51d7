"""The command lines that users of pretrained encoders type, on real video with sound, hub off.

Tiny real checkpoints stand in for the published ones by override; nothing else is different.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("faster_whisper")

from checkpoints import makers, siglip2

import egorag
from egorag.errors import ConfigError, SpaceError

MAKERS = makers()
LIGHT = "encoder=[subtitles,minilm]"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """``tiny("clap", ...)``: the overrides that put tiny checkpoints in place, each made once."""
    made: dict[str, list[str]] = {}

    def overrides(*presets: str) -> list[str]:
        for preset in presets:
            if preset not in made:
                made[preset] = MAKERS[preset](tmp_path_factory.mktemp(preset))
        return [override for preset in presets for override in made[preset]]

    return overrides


@pytest.fixture
def nasa(shared_data: Path) -> Path:
    """13 s of real narration with subtitles."""
    return shared_data / "media" / "nasa_13013.mp4"


@pytest.fixture
def bunny(shared_data: Path) -> Path:
    """30 s with sound and no subtitles."""
    return shared_data / "media" / "big_buck_bunny_0_30.webm"


def ok(done: Any) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def rows(summary: Any) -> dict[str, int]:
    (video,) = summary["videos"]
    assert video["problems"] == [], video
    return {name: encoder["rows"] for name, encoder in video["encoders"].items()}


def test_one_line_adds_vjepa2_quality(nasa: Path, tmp_path: Path, command: Any, tiny: Any) -> None:
    settings = [f"input={nasa}", f"index={tmp_path / 'i'}", *tiny("vjepa2_quality"), "device=cpu"]
    summary = ok(command("index", "+encoder=vjepa2_quality", *settings, "output=json"))
    made = rows(summary)
    assert made["vjepa2_quality"] == summary["videos"][0]["scenes"] >= 2
    assert made["minilm"] and made["subtitles"], "the default set runs beside it"
    assert "patch tokens" in summary["encoders"]["vjepa2_quality"]["does"]


def test_two_sound_encoders(bunny: Path, tmp_path: Path, command: Any, tiny: Any) -> None:
    chosen = ["clap", "faster_whisper"]
    settings = [f"input={bunny}", f"index={tmp_path / 'i'}", *tiny(*chosen), "device=cpu", LIGHT]
    summary = ok(command("index", "+encoder=[clap,faster_whisper]", *settings, "output=json"))
    assert rows(summary)["clap"] == summary["videos"][0]["scenes"]
    assert "faster_whisper" in rows(summary)
    assert summary["encoders"]["faster_whisper"]["dtype"] == "int8"


def test_files_without_sound_skip_them(
    shared_data: Path, tmp_path: Path, command: Any, tiny: Any
) -> None:
    chosen = ["clap", "faster_whisper", "whisper", "ast", "embeddinggemma2_sound"]
    silent = shared_data / "media" / "bikes.mp4"
    settings = [f"input={silent}", f"index={tmp_path / 'i'}", *tiny(*chosen), "device=cpu"]
    summary = ok(command("index", f"encoder=[{','.join(chosen)}]", *settings, "output=json"))
    (video,) = summary["videos"]
    assert {e["skipped"] for e in video["encoders"].values()} == {"no sound"}


def test_a_sweep_over_encoders(nasa: Path, tmp_path: Path, command: Any, tiny: Any) -> None:
    """Each job of ``-m`` has its own encoder; an index a job, by Hydra's own interpolation."""
    done = command(
        "index",
        "-m",
        "+encoder=vjepa2_fast,xclip",
        "~encoders.ocr",
        f"input={nasa}",
        f"index={tmp_path / 'i'}",
        *tiny("vjepa2_fast", "xclip"),
        "device=cpu",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert [*tmp_path.glob("i/artifacts/*/*.safetensors")]
    settings = [f"input={nasa}", f"index={tmp_path / 'j'}"]
    wrong = command("index", "-m", "+encoder=clap,ast", "encoders.xclip.rate=1", *settings)
    assert wrong.returncode == 2 and "encoders.xclip is not chosen" in wrong.stderr


def test_two_presets_of_a_family_and_exact_spaces(
    nasa: Path, tmp_path: Path, command: Any, tiny: Any
) -> None:
    """A query uses exactly the spaces that can take it, and the rest is named."""
    chosen = ["vjepa2_fast", "vjepa2_quality", "xclip", "clap", "siglip2"]
    index = f"index={tmp_path / 'i'}"
    overrides = [f"+encoder=[{','.join(chosen)}]", *tiny(*chosen), "device=cpu", LIGHT]
    with egorag.build(nasa, tmp_path / "i", overrides=overrides) as built:
        (video,) = built.videos()
        made = built.folder.catalog.encodings(video.id)
        assert made["vjepa2_fast"].rows == made["vjepa2_quality"].rows >= 2

    with egorag.open(tmp_path / "i", device="cpu") as opened:

        def search(**query: Any) -> tuple[set[str], dict[str, str]]:
            hits = opened.search(**query, k=5)
            return {name for hit in hits for name in hit.parts}, opened.left_out(**query)

        used, left_out = search(query="the clean room of the telescope")
        assert used - {"bm25"} == {"minilm", "xclip", "clap", "siglip2"}
        assert set(left_out) == {"vjepa2_fast", "vjepa2_quality"}
        assert left_out["vjepa2_fast"].startswith("takes video, not text")
        used, left_out = search(video=nasa)
        assert used == {"vjepa2_fast", "vjepa2_quality", "xclip", "siglip2"}
        assert set(left_out) == {"minilm", "clap", "bm25"}
        used, left_out = search(sound=nasa)
        assert used == {"clap"}
    left = ["without=[clap,xclip,siglip2]"]
    data = ok(command("search", index, "query=telescope", *left, "output=json"))
    assert data["left_out"]["clap"] == "left out on request" and data["hits"]


def test_the_weights_may_lie_elsewhere_but_must_be_the_same(nasa: Path, tmp_path: Path) -> None:
    here, there, other = tmp_path / "here", tmp_path / "there", tmp_path / "other"
    for folder in (here, other):
        folder.mkdir()
    MAKERS["siglip2"](here)
    siglip2.make(other, seed=1)
    overrides = [f"encoders.siglip2.checkpoint={here}", "device=cpu", "encoder=[siglip2]"]
    egorag.build(nasa, tmp_path / "i", overrides=overrides).close()
    shutil.move(here, there)

    def search(**encoders: Any) -> list[Any]:
        with egorag.open(tmp_path / "i", device="cpu", encoders=encoders) as index:
            return list(index.search("telescope"))

    with pytest.raises(ConfigError, match=r"without=\[siglip2\] searches without it"):
        search()
    assert search(siglip2={"checkpoint": str(there)})
    with pytest.raises(SpaceError, match="cannot be compared"):
        search(siglip2={"checkpoint": str(other)})


def test_no_weights_no_network(nasa: Path, tmp_path: Path, command: Any) -> None:
    """Told at once, with the command that mends it, and nothing is left behind."""
    done = command(
        "index", "+encoder=[vjepa2_quality,clap]", f"input={nasa}", f"index={tmp_path / 'i'}"
    )
    assert done.returncode == 2
    for name in ("facebook/vjepa2-vitg-fpc64-384", "laion/clap-htsat-unfused"):
        assert f"hf download {name}" in done.stderr
    assert not (tmp_path / "i").exists()
