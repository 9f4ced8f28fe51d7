"""Learning to find moving shapes by text: on videos never seen, against chance and oracles."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import moving_shapes
from checkpoints import vjepa2

import egorag
from egorag import config
from egorag.encode.projection import Projection, run
from egorag.errors import ConfigError, EgoragError, SpaceError, StoreError
from egorag.metrics.recall import rank, report
from egorag.predict.anticipation import TextProjection
from egorag.train import projection_command
from egorag.train.card import read, write
from egorag.train.projection import (
    Contrastive,
    Examples,
    info_nce,
    learn,
    load_projection,
    network,
    plain_layers,
    scores,
)

VIDEOS = 18


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos of moving shapes, their subtitles, and what picture and a tiny V-JEPA 2 see."""
    folder = tmp_path_factory.mktemp("shapes")
    (folder / "videos").mkdir()
    for seed in range(VIDEOS):
        moving_shapes.make(folder / "videos" / f"{seed}.mp4", seed)
    checkpoint = vjepa2.write(folder / "checkpoint")
    egorag.build(
        folder / "videos",
        folder / "index",
        [
            "encoder=[subtitles,minilm,picture,picture_frames,vjepa2_fast]",
            "encoders.picture.rate=4",
            f"encoders.vjepa2_fast.checkpoint={checkpoint}",
            "encoders.vjepa2_fast.frames=8",
            "segmenter=fixed",
            f"segmenter.seconds={moving_shapes.SECONDS}",
        ],
    ).close()
    return folder / "index"


def train(index: Path, to: Path, *overrides: str) -> dict:  # type: ignore[type-arg]
    given = [f"index={index}", f"to={to}", "encoder=picture", "pairs=track:subtitle", *overrides]
    keys = {argument.partition("=")[0]: argument for argument in given}  # the last one counts
    settings = config.compose("train projection", list(keys.values()))
    return projection_command.run(settings).data


@pytest.fixture(scope="module")
def trained(index: Path) -> Path:
    """Where it travels with the index."""
    train(index, index / "projections" / "shapes", "training.epochs=60")
    return index / "projections" / "shapes"


def examples(seed: int = 0, texts: int = 12, clips: int = 40, noise: float = 0.5) -> Examples:
    """Clips that lie where a fixed map puts their text, and noise."""
    way = np.random.default_rng(99).normal(size=(16, 24))
    told = np.random.default_rng(98).normal(size=(texts, 16))
    dice = np.random.default_rng(seed)
    of = np.arange(clips) % texts
    seen = told[of] @ way + noise * dice.normal(size=(clips, 24)) * 4
    seen /= np.linalg.norm(seen, axis=1, keepdims=True)
    pairs = np.stack([of, np.arange(clips)], 1)
    return Examples(told.astype(np.float32), seen.astype(np.float32), pairs)


# -- what is computed --


def test_the_loss_is_the_loop_over_pairs_that_its_definition_is() -> None:
    dice = np.random.default_rng(0)
    queries, clips = (
        x / np.linalg.norm(x, axis=1, keepdims=True) for x in dice.normal(size=(2, 7, 5))
    )
    pairs = np.array([(0, 0), (1, 1), (2, 2), (0, 3), (4, 4), (5, 1), (6, 6)])
    scale, total = 14.0, 0.0
    for i in range(7):
        others = [j for j in range(7) if j == i or not (pairs[i] == pairs[j]).any()]
        assert len(others) == (6 if i in (0, 3, 1, 5) else 7)  # one text twice, one clip twice
        own = math.exp(scale * queries[i] @ clips[i])
        total -= math.log(own / sum(math.exp(scale * queries[i] @ clips[j]) for j in others)) / 14
        total -= math.log(own / sum(math.exp(scale * queries[j] @ clips[i]) for j in others)) / 14
    tensors = [torch.tensor(x) for x in (queries, clips, scale, pairs)]
    assert float(info_nce(*tensors)) == pytest.approx(total, abs=1e-12)
    tensors[3] = torch.arange(7).repeat(2, 1).T  # all different: as the library has it
    logits = scale * torch.tensor(queries) @ torch.tensor(clips).T
    ways = [torch.nn.functional.cross_entropy(x, torch.arange(7)) for x in (logits, logits.T)]
    assert float(info_nce(*tensors)) == pytest.approx(float(sum(ways)) / 2, abs=1e-12)


@pytest.mark.parametrize("layers", [1, 2])
def test_numpy_applies_what_torch_learned(layers: int) -> None:
    dice = np.random.default_rng(1)
    texts = dice.normal(3, 2, (50, 16)).astype(np.float32)
    mean, spread = texts.mean(axis=0), 1.7
    model = network(Contrastive(layers=layers, hidden=32, dropout=0.5), 16, 24).eval()
    with torch.no_grad():
        found = torch.nn.functional.normalize(model(torch.from_numpy((texts - mean) / spread)))
    np.testing.assert_allclose(run(plain_layers(model, mean, spread), texts), found, atol=1e-6)


# -- what is learned --


def test_what_was_never_seen_is_found_far_above_chance(index: Path, tmp_path: Path) -> None:
    card = train(index, tmp_path / "new", "held_out=0.3")
    for way in ("text_to_clip", "clip_to_text"):
        one, five = (card["scores"][way][f"recall@{k}"] for k in (1, 5))
        assert one["low"] > 5 * one["chance"]
        assert five["low"] > 2 * five["chance"]
        assert one["clusters"] == len(card["trained_on"]["videos"]["held_out"]) == 5
    parts = card["trained_on"]["videos"].values()
    assert len(set().union(*parts)) == sum(map(len, parts)) == VIDEOS


def test_shuffled_pairs_teach_nothing() -> None:
    def shuffled(part: Examples, seed: int) -> Examples:
        dice = np.random.default_rng(seed)
        return replace(
            part, pairs=np.stack([dice.permutation(part.pairs[:, 0]), part.pairs[:, 1]], 1)
        )

    train_on, stop_by, test_on = (
        examples(seed, clips=n) for seed, n in ((0, 120), (1, 40), (2, 60))
    )
    quick = Contrastive(hidden=64, epochs=60)
    videos = [str(i // 6) for i in range(60)]
    real = scores(learn(train_on, stop_by, quick).layers, test_on)
    found = report(real, test_on.pairs, videos, 0)["text_to_clip"]["recall@1"]
    assert found["low"] > 5 * found["chance"]
    nothing = learn(shuffled(train_on, 3), shuffled(stop_by, 4), quick).layers
    for name, score in report(scores(nothing, test_on), test_on.pairs, videos, 0)[
        "text_to_clip"
    ].items():
        assert score["value"] < 2.5 * score["chance"], name
    untold = shuffled(test_on, 5)  # the map is right, the texts are of other clips
    score = report(real, untold.pairs, videos, 0)["text_to_clip"]["recall@5"]
    assert score["low"] <= score["chance"] <= score["high"]


def test_the_best_round_is_kept() -> None:
    found = learn(examples(0), examples(1), Contrastive(hidden=32, epochs=40, patience=5))
    shorter = learn(examples(0), examples(1), Contrastive(hidden=32, epochs=found.epochs))
    for one, two in zip(found.layers, shorter.layers, strict=True):
        np.testing.assert_array_equal(one[0], two[0])
    assert found.validation == shorter.validation and found.temperature != 0.07


def test_twice_the_same_bytes(index: Path, tmp_path: Path) -> None:
    files = []
    for name in ("once", "twice"):
        train(index, tmp_path / name, "training.epochs=3")
        files.append(
            [(tmp_path / name / f).read_bytes() for f in ("card.json", "model.safetensors")]
        )
    assert files[0] == files[1]
    train(index, tmp_path / "other", "training.epochs=3", "training.seed=1")
    assert (tmp_path / "other" / "model.safetensors").read_bytes() != files[0][1]


# -- what it is used for --


def test_search_by_text_reaches_scenes_that_take_none(index: Path, trained: Path) -> None:
    card = json.loads((trained / "card.json").read_text())
    unseen = card["trained_on"]["videos"]["held_out"]
    with egorag.open(index, projections=["shapes"]) as opened:
        told = {v.id: opened.texts(v.id, "subtitle") for v in opened.videos()}
        query = Counter(t.text for v in unseen for t in told[v]).most_common(1)[0][0]
        hits = opened.search(query, k=1, videos=unseen, without=["bm25", "minilm"])
        assert hits[0].parts.keys() == {"picture"}
        (line,) = [t for t in told[hits[0].scene.video] if t.span.overlap(hits[0].scene.span)]
        assert line.text == query
        assert set(opened.left_out(query)) == {"picture_frames", "vjepa2_fast"}
        assert opened.search(query, videos=unseen).notes == ()
        (note,) = opened.search(query).notes
        assert f"on {VIDEOS - len(unseen)} of these {VIDEOS} videos" in note
        assert isinstance(opened.projected("picture"), TextProjection)
        vectors = opened.projected("picture").embed_texts([query, "a red square"])
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
        with pytest.raises(ConfigError, match="no projection leads to 'vjepa2_fast'"):
            opened.projected("vjepa2_fast")
    with egorag.open(index) as opened:
        assert "picture" in opened.left_out(query)
        assert opened.left_out(query)["vjepa2_fast"].endswith("lets text in")


def test_the_commands_take_it_and_it_travels_with_the_index(
    index: Path, trained: Path, command, tmp_path: Path
) -> None:
    moved = shutil.copytree(index, tmp_path / "moved")
    asked = [f"index={moved}", "projections=[shapes]", "output=json"]
    found = json.loads(command("search", *asked, "query=a red square").stdout)
    assert "picture" in found["hits"][0]["parts"]
    assert "was trained on" in found["notes"][0] and "picture" not in found["left_out"]
    answer = json.loads(command("ask", *asked, "question=where is the red square?").stdout)
    assert answer["notes"] == found["notes"]
    assert any("picture" in hit["parts"] for hit in answer["evidence"])
    plain = command("search", f"index={moved}", "query=a red square", f"projections=[{trained}]")
    assert plain.stdout.rstrip().endswith("says nothing of others")


def test_vjepa2_scenes_are_searched_by_text_without_torch(index: Path, tmp_path: Path) -> None:
    card = train(index, tmp_path / "v", "encoder=vjepa2_fast", "training.epochs=40")
    assert card["spaces"]["to"]["model"] == "vjepa2" and card["model"]["widths"] == [384, 512, 48]
    code = (
        "import sys, egorag\n"
        f"with egorag.open({str(index)!r}, projections=[{str(tmp_path / 'v')!r}]) as index:\n"
        "    hits = index.search('a red square', without=['bm25', 'minilm'])\n"
        "    assert {n for h in hits for n in h.parts} == {'vjepa2_fast'}, hits\n"
        "    assert 'vjepa2_fast' not in index.left_out('a red square')\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# -- what is refused --


def test_what_cannot_be_learned_from_is_refused(index: Path, tmp_path: Path) -> None:
    def refused(said: str, *overrides: str) -> None:
        with pytest.raises(ConfigError, match=said):
            train(index, tmp_path / "no", *overrides)
        assert not (tmp_path / "no").exists()

    refused("has no vectors of 'pictures'; did you mean 'picture'", "encoder=pictures")
    refused("text=picture takes no text.*Choices: minilm", "text=picture")
    refused("takes text by itself; it needs no projection", "encoder=minilm")
    refused("picture_frames makes moments, which no query searches", "encoder=picture_frames")
    refused("no setting 'epoch'; did you mean 'epochs'", "training.epoch=3")
    refused("layers must be 1 or 2, got 3", "training.layers=3")
    refused("hidden must be a whole number, got 1.5", "training.hidden=1.5")
    refused("held_out must be a share", "held_out=2")
    refused("encoders.picture: only text=minilm is loaded", "encoders.picture.rate=3")
    refused("text track 'caption'. Choices: subtitle", "pairs=track:caption")
    table = tmp_path / "pairs.csv"
    table.write_text("video,start,end,text\n" + "0.mp4,0,2,a red square\n" * 60)
    refused(r"60 pairs of 1 videos are too few .* at least 50 pairs of 3 videos", f"pairs={table}")
    rows = "".join(f"{v}.mp4,{2 * s},{2 * s + 2},text {s}\n" for v in range(3) for s in range(8))
    table.write_text("video,start,end,text\n" + rows)
    refused("24 pairs of 3 videos are too few", f"pairs={table}")
    rows = "".join(f"{v}.mp4,{2 * s},{2 * s + 2},the same\n" for v in range(9) for s in range(8))
    table.write_text("video,start,end,text\n" + rows)
    refused("the train videos have 56 clips with 1 different texts", f"pairs={table}")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    with pytest.raises(ConfigError, match="is not empty"):
        train(index, tmp_path / "full")


def test_a_training_that_diverges_says_so() -> None:
    with np.errstate(all="ignore"), pytest.raises(EgoragError, match=r"diverged.*lower the rate"):
        learn(examples(), examples(1), Contrastive(rate=1e30, epochs=5))


def test_a_folder_that_is_no_whole_projection_is_refused(
    index: Path, trained: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="no trained projection lies in"):
        egorag.open(index, projections=[tmp_path / "none"])
    copy = shutil.copytree(trained, tmp_path / "copy")
    assert isinstance(load_projection(copy), Projection)
    weights = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(weights[:-1] + b"\0")
    with pytest.raises(StoreError, match="is not what its card was written for"):
        load_projection(copy)
    (copy / "model.safetensors").write_bytes(weights)
    card = json.loads((copy / "card.json").read_text())
    whole, tensors = read(copy, "projection")

    def changed(**changes: object) -> None:
        (copy / "card.json").write_text(json.dumps({**card, **changes}))

    changed(kind="probe")
    with pytest.raises(ConfigError, match="holds a probe, not a projection"):
        load_projection(copy)
    changed(trained_on={})
    with pytest.raises(StoreError, match="is damaged"):
        load_projection(copy)
    for role, said in (("from", "leads from"), ("to", "leads to")):
        strange = replace(whole.spaces[role], revision="of other weights")
        write(copy, replace(whole, spaces={**whole.spaces, role: strange}), tensors)
        with pytest.raises(SpaceError, match=f"'copy' {said} .*@of other weights"):
            egorag.open(index, projections=[copy])


def test_several_texts_of_a_clip_and_clips_of_a_text_are_no_rivals() -> None:
    scores_of = np.array([[0.9, 0.8, 0.1], [0.7, 0.2, 0.95]], np.float32)
    pairs = np.array([(0, 0), (0, 1), (1, 0)])
    assert rank(scores_of, pairs).ranks.tolist() == [1, 1, 2]
    assert rank(scores_of.T, pairs[:, ::-1]).ranks.tolist() == [1, 1, 1]
