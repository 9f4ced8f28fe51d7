"""The commands as a user runs them: contract, exit codes, what goes where."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

import egorag
from egorag.sample import Truth  # noqa: F401  (the sample's package must import without media)


def truth_of(sample: Path) -> dict:  # type: ignore[type-arg]
    return json.loads(sample.with_suffix(".truth.json").read_text())  # type: ignore[no-any-return]


def one_json(text: str) -> dict:  # type: ignore[type-arg]
    assert text.count("\n") == 1, "exactly one line"
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


def test_scenes_tile_and_match_the_truth(sample, sample_index, command) -> None:  # type: ignore[no-untyped-def]
    got = one_json(command("scenes", f"index={sample_index}", "output=json").stdout)
    (video,) = got["videos"]
    assert video["path"] == str(sample)
    scenes = video["scenes"]
    assert scenes[0]["start"] == 0
    assert scenes[-1]["end"] == video["duration"]
    assert all(a["end"] == b["start"] for a, b in itertools.pairwise(scenes))
    starts = [s["start"] for s in scenes]
    for cut in truth_of(sample)["cuts"]:
        assert min(abs(cut["seconds"] - s) for s in starts) < 0.2
    said = " ".join(s["text"].get("subtitle", "") for s in scenes)
    for scene in truth_of(sample)["scenes"]:
        for sentence in scene["narration"]:
            assert sentence["text"] in said.replace("\n", " ")


def test_search_finds_what_is_said_in_its_seconds(sample, sample_index, command) -> None:  # type: ignore[no-untyped-def]
    sentence = truth_of(sample)["scenes"][1]["narration"][0]
    done = command(
        "search", f"index={sample_index}", f"query={sentence['text']}", "k=3", "output=json"
    )
    assert done.returncode == 0, done.stderr
    got = one_json(done.stdout)
    assert got["query"] == sentence["text"]
    top = got["hits"][0]
    middle = (sentence["span"][0] + sentence["span"][1]) / 2
    assert top["start"] <= middle < top["end"]
    assert top["parts"]["bm25"]["rank"] == 1
    assert set(top) == {
        *("video", "path", "start", "end", "level", "score", "parts", "text"),
        *("similar", "form", "focus"),
    }
    scores = [h["score"] for h in got["hits"]]
    assert scores == sorted(scores, reverse=True)


def test_until_hides_what_comes_later(sample, sample_index, command) -> None:  # type: ignore[no-untyped-def]
    sentence = truth_of(sample)["scenes"][-1]["narration"][0]
    cut = sentence["span"][0]
    done = command(
        "search",
        f"index={sample_index}",
        f"query={sentence['text']}",
        f"until={cut}",
        "output=json",
    )
    got = one_json(done.stdout)
    assert all(hit["end"] <= cut for hit in got["hits"])
    asked = command(
        "ask",
        f"index={sample_index}",
        f"question={sentence['text']}",
        f"until={cut}",
        "output=json",
    )
    answer = one_json(asked.stdout)
    assert all(c["end"] <= cut for c in answer["citations"])
    del answer["plan"]  # repeats the question, whose words these are
    assert sentence["text"] not in json.dumps(answer)


def test_ask_cites_what_was_really_said(sample, sample_index, command) -> None:  # type: ignore[no-untyped-def]
    sentence = truth_of(sample)["scenes"][1]["narration"][0]
    done = command(
        "ask",
        f"index={sample_index}",
        f"question=When do I hear: {sentence['text']}",
        "output=json",
    )
    answer = one_json(done.stdout)
    assert not answer["abstained"]
    assert answer["citations"]
    texts = egorag.open(sample_index).texts(answer["citations"][0]["video"])
    for citation in answer["citations"]:
        assert citation["verified"]
        assert citation["source"]
        inside = " ".join(
            t.text
            for t in texts
            if t.track == citation["track"]
            and t.span.start < citation["end"] * 1e6
            and t.span.end > citation["start"] * 1e6
        )
        assert " ".join(citation["quote"].split()) in " ".join(inside.split())


def test_ask_abstains_from_what_is_absent(sample_index, command) -> None:  # type: ignore[no-untyped-def]
    done = command(
        "ask",
        f"index={sample_index}",
        "question=Which volcano erupted during the treaty negotiations in Lisbon?",
        "output=json",
    )
    answer = one_json(done.stdout)
    assert answer["abstained"]
    assert answer["choice"] is None
    assert not answer["citations"]


def test_query_by_picture_and_by_sound(sample, sample_index, command, tmp_path) -> None:  # type: ignore[no-untyped-def]
    from PIL import Image

    from egorag.media import frames, sound
    from egorag.media.sampling import FrameSampling, SoundSampling

    scene = truth_of(sample)["scenes"][2]
    start, end = scene["span"][0], scene["span"][1]
    for frame in frames(sample, FrameSampling(rate=2)):
        if frame.time >= (start + end) / 2 * 1e6:
            Image.fromarray(frame.image).save(tmp_path / "query.jpg", quality=60)
            break
    done = command(
        "search", f"index={sample_index}", f"image={tmp_path / 'query.jpg'}", "k=1", "output=json"
    )
    (hit,) = one_json(done.stdout)["hits"]
    assert hit["start"] < end
    assert hit["end"] > start
    assert set(hit["parts"]) == {"picture"}

    import wave

    import numpy as np

    heard = np.concatenate([c.samples for c in sound(sample, SoundSampling(16000))])
    clip = heard[int(start * 16000) : int(end * 16000)]
    with wave.open(str(tmp_path / "query.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes((np.clip(clip, -1, 1) * 32767).astype("<i2").tobytes())
    done = command(
        "search", f"index={sample_index}", f"sound={tmp_path / 'query.wav'}", "k=1", "output=json"
    )
    (hit,) = one_json(done.stdout)["hits"]
    assert hit["start"] < end
    assert hit["end"] > start
    assert set(hit["parts"]) == {"sound"}


def test_levels(sample_index, command) -> None:  # type: ignore[no-untyped-def]
    got = one_json(
        command(
            "search", f"index={sample_index}", "query=mug", "level=all", "k=50", "output=json"
        ).stdout
    )
    assert {h["level"] for h in got["hits"]} == {"scene", "event", "video"}


def test_running_again_changes_nothing(sample, sample_index, command) -> None:  # type: ignore[no-untyped-def]
    before = {
        p: p.stat().st_mtime_ns
        for p in sample_index.rglob("*")
        if p.suffix in (".safetensors", ".json", ".faiss")
    }
    assert before
    done = command("index", f"input={sample}", f"index={sample_index}", "output=json")
    assert done.returncode == 0
    got = one_json(done.stdout)
    assert not got["videos"][0]["changed"]
    after = {
        p: p.stat().st_mtime_ns
        for p in sample_index.rglob("*")
        if p.suffix in (".safetensors", ".json", ".faiss")
    }
    assert after == before


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("search", ["query=x"], "index=..."),
        ("search", ["index=nowhere", "query=x"], "nowhere"),
        ("search", ["index=INDEX"], "query=TEXT"),
        ("search", ["index=INDEX", "query=x", "k=0"], "k must be"),
        ("search", ["index=INDEX", "query=x", "k=many"], "k must be"),
        ("search", ["index=INDEX", "query=x", "level=shot"], "no level 'shot'"),
        ("search", ["index=INDEX", "query=x", "until=soon"], "is no time"),
        ("search", ["index=INDEX", "query=x", "until=2026-01-01T00:00"], "time zone"),
        ("search", ["index=INDEX", "query=x", "videos=other.mp4"], "no video called"),
        ("search", ["index=INDEX", "image=missing.jpg"], "missing.jpg"),
        ("ask", ["index=INDEX", "question=x", "choices=[one]"], "two texts"),
        ("index", ["input=missing.mp4", "index=x"], "missing.mp4"),
        ("index", ["input=x", "index=y", "encoder=[clpa]"], "no encoder 'clpa'"),
    ],
)
def test_wrong_usage(name, arguments, said, sample_index, command, tmp_path) -> None:  # type: ignore[no-untyped-def]
    given = [a.replace("INDEX", str(sample_index)) for a in arguments]
    done = command(name, *given, cwd=tmp_path)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert done.returncode in (1, 2)


def test_help_names_every_setting(command) -> None:  # type: ignore[no-untyped-def]
    done = command("index", "--help")
    assert done.returncode == 0
    for word in ("input:", "index:", "events:", "minilm", "shots", "+encoder=NAME"):
        assert word in done.stdout


def test_multirun(sample_index, command, tmp_path) -> None:  # type: ignore[no-untyped-def]
    done = command(
        "search", "-m", f"index={sample_index}", "query=mug", "k=1,2", "output=json", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert [len(json.loads(line)["hits"]) for line in done.stdout.splitlines()] == [1, 2]


def test_export_reads_back(sample_index, command, tmp_path) -> None:  # type: ignore[no-untyped-def]
    done = command(
        "export", f"index={sample_index}", f"to={tmp_path / 'all.safetensors'}", "output=json"
    )
    assert done.returncode == 0, done.stderr
    assert one_json(done.stdout)["videos"] == 1
    assert egorag.load_embeddings(tmp_path / "all.safetensors")


def test_doctor_tells_of_every_encoder(command) -> None:  # type: ignore[no-untyped-def]
    from egorag import config

    done = command("doctor", "output=json")
    got = one_json(done.stdout)
    assert done.returncode == 0, done.stdout
    assert set(got["encoders"]) >= set(config.options()["encoder"])
    assert got["encoders"]["minilm"]["queries"] == ["text"]
    default = config.compose("index", ["input=x", "index=y"])["encoders"]
    assert {n for n, row in got["encoders"].items() if row["default"]} == set(default)
    assert all(got["encoders"][name]["state"] == "ready" for name in default)


def test_a_rough_transcript_is_called_one(shared_data, command, tmp_path) -> None:  # type: ignore[no-untyped-def]
    done = command(
        "index", f"input={shared_data / 'media' / 'jfk.flac'}", f"index={tmp_path / 'j'}"
    )
    assert done.returncode == 0, done.stderr
    for name, arguments in (
        ("scenes", []),
        ("ask", ["question=What can you do for your country?"]),
    ):
        shown = command(name, f"index={tmp_path / 'j'}", *arguments).stdout
        assert "rough transcript" in shown
        assert "your country" in shown


def test_an_encoder_of_another_package(sample, command, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """One file, one YAML, entry points: as CONTRIBUTING says."""
    package = tmp_path / "outside"
    (package / "outside_egorag" / "configs" / "encoder").mkdir(parents=True)
    for folder in ("outside_egorag", "outside_egorag/configs"):
        (package / folder / "__init__.py").touch()
    (package / "outside_egorag" / "mine.py").write_text(
        "from dataclasses import dataclass\n"
        "from egorag.encode.picture import Picture\n\n\n"
        "@dataclass(frozen=True)\nclass Mine(Picture): ...\n"
    )
    (package / "outside_egorag" / "configs" / "encoder" / "mine.yaml").write_text(
        "# @package encoders.mine\n_target_: outside_egorag.mine.Mine\n"
    )
    info = package / "outside_egorag-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside-egorag\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[egorag.encoders]\nmine = outside_egorag.mine:Mine\n"
        "[egorag.configs]\noutside = outside_egorag.configs\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(package))
    chosen = ["encoder=[subtitles]", "+encoder=mine"]
    done = command("index", f"input={sample}", f"index={tmp_path / 'i'}", *chosen, "output=json")
    assert done.returncode == 0, done.stderr
    (video,) = one_json(done.stdout)["videos"]
    assert video["encoders"]["mine"]["rows"] == video["scenes"]
