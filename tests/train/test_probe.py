"""Probes: they learn motion, are the same twice, and refuse what they were not trained for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import egorag
from egorag import config
from egorag.errors import ConfigError, EgoragError, SpaceError, StoreError
from egorag.spans import Span
from egorag.store.folder import IndexFolder
from egorag.train.attentive import Shape, build
from egorag.train.card import CARD, WEIGHTS, read, write
from egorag.train.features import Clip
from egorag.train.learning import Example, Training, learn, scored
from egorag.train.probe import Probe
from egorag.train.probe_command import run

from .conftest import CLIP, SPACE, STEP, WAYS, Moving, table

QUICK = ("training.epochs=2", "training.blocks=0", "training.width=12")


def train(moving: Moving, to: Path, *more: str) -> dict[str, Any]:
    given = [f"index={moving.index}", "encoder=looks", f"labels={moving.labels}", f"to={to}"]
    settings = config.compose("train probe", [*given, "device=cpu", *more])
    return run(settings).data


@pytest.fixture(scope="module")
def quick(few: Moving, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A probe that was hardly trained. Read only."""
    to = tmp_path_factory.mktemp("quick") / "probe"
    train(few, to, *QUICK)
    return to


# -- learning --


def test_it_learns_which_way_shapes_move_on_videos_it_has_not_seen(
    shapes: Moving, tmp_path: Path
) -> None:
    """Four ways, so 0.25 by chance; what a clip looks like without its order gives the axis, 0.5.
    The whole interval over held-out videos lies above that."""
    told = train(
        shapes, tmp_path / "probe", "training.blocks=1", "training.batch=32", "training.rate=3e-3",
        "training.epochs=25", "training.patience=25",
    )  # fmt: skip
    score = told["scores"]["label"]["class_mean_recall@1"]
    assert score["chance"] == pytest.approx(0.25)
    assert score["clusters"] == len(told["trained_on"]["videos"]["held_out"]) == 12
    assert score["low"] > 0.6, score
    # Each moment of the same clips in another's place: the way is gone, the axis stays.
    probe = Probe.open(tmp_path / "probe")
    dice = np.random.default_rng(0)
    right = {True: 0, False: 0}
    with IndexFolder.open(shapes.index) as folder:
        from egorag.train.features import encoder_row, features_of
        from egorag.train.labels import read_labels

        row = encoder_row(folder, "looks")
        truth = read_labels(shapes.labels, "label")
        held_out = told["trained_on"]["videos"]["held_out"]
        tested = [r for r in truth if f"video{int(r.video[1:]):04}" in held_out]
        for labelled in tested:
            found = features_of(folder, row, f"video{int(labelled.video[1:]):04}")
            assert found is not None
            clip = found[1].clip(labelled.span)
            assert clip is not None
            for shuffled in right:
                vectors = dice.permutation(clip.vectors) if shuffled else clip.vectors
                ((label, _),) = probe.classify(vectors, SPACE, "moments", top=1)["label"]
                right[shuffled] += label == labelled.labels["label"]
    accuracy = told["scores"]["label"]["accuracy"]["value"]
    assert right[False] / len(tested) == pytest.approx(accuracy, abs=0.03)
    assert right[True] / len(tested) < 0.62


def examples(count: int, seed: int, labels: int = 3) -> list[Example]:
    """Clips whose label is the place of their largest component; verbs and nouns, too."""
    dice = np.random.default_rng(seed)
    found = []
    for i in range(count):
        verb, noun = (int(dice.integers(labels)) for _ in range(2))
        vectors = dice.normal(0, 0.3, (int(dice.integers(1, 5)), 2 * labels)).astype(np.float32)
        vectors[:, verb] += 2
        vectors[:, labels + noun] += 2
        names = {"verb": f"v{verb}", "noun": f"n{noun}", "action": f"v{verb} n{noun}"}
        places = np.linspace(0, 1, len(vectors), dtype=np.float32)
        found.append(Example(f"{seed}-{i // 4}", Clip(vectors, places), names))
    return found


def test_verb_noun_and_action_are_learned_together() -> None:
    settings = Training(blocks=0, width=32, rate=3e-3, batch=32, epochs=25, patience=25)
    learned = learn(examples(400, 0), examples(60, 1), "ek100", settings)
    tested = examples(80, 2)
    for query, rows in scored(learned, tested).items():
        best = [learned.shape.labels[query][i] for i in rows.argmax(1)]
        right = np.mean([b == e.labels[query] for b, e in zip(best, tested, strict=True)])
        assert right > 0.8, query
    assert len(learned.shape.labels["action"]) == 9


def test_it_stops_when_the_validation_videos_say_so_and_keeps_the_best() -> None:
    told: list[tuple[int, float, float]] = []
    learned = learn(
        examples(60, 0), examples(40, 1), "ek100",
        Training(blocks=0, width=16, rate=1e-2, epochs=60, patience=4),
        watch=lambda *round_: told.append(round_),
    )  # fmt: skip
    assert len(told) < 60
    best = max(told, key=lambda t: (t[1], -t[2]))
    assert (learned.epochs, learned.validation) == (best[0], best[1])
    assert told[-1][0] == learned.epochs + 4


def test_what_torch_was_at_is_left_as_it_was() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    learn(examples(20, 0), examples(8, 1), "ek100", Training(blocks=0, width=8, epochs=1))
    assert torch.equal(torch.rand(3), expected)
    assert not torch.are_deterministic_algorithms_enabled()


# -- the folder --


def test_trained_twice_it_is_the_same_byte_for_byte(
    few: Moving, quick: Path, tmp_path: Path
) -> None:
    train(few, tmp_path / "again", *QUICK)
    for name in (CARD, WEIGHTS):
        assert (quick / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    train(few, tmp_path / "other", *QUICK, "training.seed=1")
    assert (quick / WEIGHTS).read_bytes() != (tmp_path / "other" / WEIGHTS).read_bytes()


def test_the_card_tells_what_it_was_trained_on(few: Moving, quick: Path) -> None:
    from egorag.train.card import file_hash

    card, _ = read(quick, "probe")
    on = card.trained_on
    assert on["labels"] == file_hash(few.labels)
    assert on["features"]["kind"] == "moments" and on["features"]["encoder"] == "looks"
    assert sorted(on["features"]["sha256"]) == [f"video{i:04}" for i in range(8)]
    videos = on["videos"]
    assert not set(videos["train"]) & set(videos["held_out"])
    assert on["clips"] == {part: 6 * len(of) for part, of in videos.items()}
    assert card.spaces == {"features": SPACE}
    assert card.settings["seed"] == 0 and card.settings["epochs"] == 2
    assert {"torch", "transformers", "egorag"} <= set(card.versions)
    assert list(card.model["shape"]["labels"]["label"]) == sorted(WAYS)


def test_an_opened_probe_says_what_the_trained_one_said(few: Moving, quick: Path) -> None:
    probe, again = Probe.open(quick), Probe.open(quick)
    with IndexFolder.open(few.index) as folder:
        spans = [Span(i * CLIP, (i + 1) * CLIP) for i in range(6)]
        told = probe.actions(folder, "video0000", spans, top=4)
        assert told == again.actions(folder, "video0000", spans, top=4)
        assert probe.actions(folder, "nowhere", spans) == [[]] * 6
        late = Span(60_000_000, 61_000_000)
        assert probe.actions(folder, "video0000", [late]) == [[]]
    for span, texts in zip(spans, told, strict=True):
        assert {t.text for t in texts} == set(WAYS)
        assert {t.span for t in texts} == {span} and {t.track for t in texts} == {"action"}
        assert sum(t.confidence or 0 for t in texts) == pytest.approx(1, abs=1e-3)


def test_an_index_tells_what_a_probe_says_of_its_scenes(few: Moving, quick: Path) -> None:
    with egorag.open(few.index) as index:
        (video, *_) = index.videos()
        scenes = index.scenes(video.id, "scene")
        told = index.actions(quick, video.id, top=2)
        assert [len(texts) for texts in told] == [2] * len(scenes) and scenes
        assert {t.text for texts in told for t in texts} <= set(WAYS)
        with pytest.raises(ConfigError, match="no trained probe lies in"):
            index.actions(quick / "none", video.id)


def test_a_trained_probe_judges_what_is_predicted(quick: Path) -> None:
    probe = Probe.open(quick)
    tokens = np.random.default_rng(0).normal(size=(4, 2, 2, 36)).astype(np.float32)
    given = probe.ahead()
    assert given.space == SPACE and given.kind == "moments"
    assert given.classify(tokens).keys() == set(WAYS)
    on = {**probe.trained.trained_on, "features": {"encoder": "x", "kind": "tokens"}}
    assert probe.card is not None
    with pytest.raises(SpaceError, match="trained on token maps"):
        replace(probe, card=replace(probe.card, trained_on=on)).ahead()
    with pytest.raises(EgoragError, match="never trained"):
        replace(probe, card=None).ahead()


# -- what it refuses --


def test_a_probe_that_was_never_trained_does_not_classify() -> None:
    shape = Shape(36, 36, 1, {"label": ("a", "b")}, True)
    fresh = Probe(shape, build(shape))
    with pytest.raises(EgoragError, match="never trained"):
        fresh.classify(np.zeros((3, 36), np.float32), SPACE, "moments")
    with pytest.raises(EgoragError, match="never trained"):
        fresh.actions(None, "v", [])  # type: ignore[arg-type]


def test_vectors_of_another_space_or_kind_are_refused(quick: Path) -> None:
    probe = Probe.open(quick)
    vectors = np.ones((3, 36), np.float32)
    with pytest.raises(SpaceError, match=r"tests/thumbnails@1.*tests/thumbnails@2"):
        probe.classify(vectors, replace(SPACE, revision="2"), "moments")
    with pytest.raises(SpaceError, match=r"trained on moments.*given its vectors"):
        probe.classify(vectors, SPACE, "vectors")
    with pytest.raises(ValueError, match=r"\[n, 36\]"):
        probe.classify(np.ones((3, 35), np.float32), SPACE, "moments")
    with pytest.raises(EgoragError, match="not finite"):
        probe.classify(vectors * np.nan, SPACE, "moments")


def test_weights_of_another_probe_or_missing_ones_are_refused(quick: Path, tmp_path: Path) -> None:
    """Rewritten with a hash that fits: the layers are still counted, none stays random."""
    card, tensors = read(quick, "probe")
    del tensors["classifiers.label.bias"]
    write(tmp_path / "less", card, tensors)
    with pytest.raises(StoreError, match=r"classifiers\.label\.bias"):
        Probe.open(tmp_path / "less")
    (tmp_path / "bytes").mkdir()
    (tmp_path / "bytes" / CARD).write_bytes((quick / CARD).read_bytes())
    (tmp_path / "bytes" / WEIGHTS).write_bytes(b"\0" + (quick / WEIGHTS).read_bytes()[1:])
    with pytest.raises(StoreError, match="not what its card"):
        Probe.open(tmp_path / "bytes")
    told = json.loads((quick / CARD).read_text())
    told["model"]["shape"]["labels"] = {}
    write_raw = tmp_path / "shape"
    write_raw.mkdir()
    (write_raw / CARD).write_text(json.dumps(told))
    (write_raw / WEIGHTS).write_bytes((quick / WEIGHTS).read_bytes())
    with pytest.raises(StoreError, match=r"card .* is damaged"):
        Probe.open(write_raw)
    with pytest.raises(ConfigError, match="no trained probe lies in"):
        Probe.open(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["encoder=lokks"], "did you mean 'looks'"),
        (["task=labels"], "did you mean 'label'"),
        (["training.epoch=3"], "did you mean 'epochs'"),
        (["training.epochs=0"], "epochs must be 1 or more, got 0"),
        (["training.epochs=many"], "epochs must be a whole number"),
        (["training.epochs=2.5"], "epochs must be a whole number, got 2.5"),
        (["training.rate=1e30"], "lower training.rate"),
        (["tokens=maybe"], "tokens must be true or false, got 'maybe'"),
        (["tokens=true"], "looks has kept no token maps"),
        (["held_out=1.5"], "held_out must be a share"),
        (["validation=few"], "validation must be a share .* got 'few'"),
        (["anticipation=-1"], "anticipation must be seconds"),
        (["anticipation=60"], "none of its 48 rows has a feature"),
        (["observed=0", "anticipation=1"], "observed must be seconds"),
        (["labels=nowhere.csv"], "cannot read the table"),
        (["index=nowhere"], "does not exist"),
        (["device=gpu"], "device 'gpu'"),
    ],
)
def test_what_cannot_be_trained_is_refused_by_name(
    few: Moving, tmp_path: Path, more: list[str], said: str
) -> None:
    with pytest.raises(EgoragError, match=said) as refused:
        train(few, tmp_path / "probe", *QUICK, *more)
    assert not (tmp_path / "probe").exists()
    assert "\n" not in str(refused.value)


def test_a_folder_of_something_else_is_refused_before_the_work(few: Moving, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(ConfigError, match="holds 'notes'"):
        train(few, tmp_path, *QUICK)


def test_one_label_alone_is_refused(few: Moving, tmp_path: Path) -> None:
    rows = [(f"v{i:02}", 0, 1, "left") for i in range(6)]
    labels = table(tmp_path / "one.csv", rows)
    with pytest.raises(ConfigError, match="one label"):
        train(few, tmp_path / "probe", *QUICK, f"labels={labels}")


# -- tables --


def test_videos_of_another_table_are_what_it_is_measured_on(few: Moving, tmp_path: Path) -> None:
    """A label that was never learned is a miss, a video that is not indexed is counted."""
    seen = table(
        tmp_path / "seen.csv",
        [(f"v{i:02}", s * 1.5, s * 1.5 + 1.5, ("left", "right")[s % 2]) for i in range(5)
         for s in range(6)] + [("elsewhere", 0, 1, "up"), ("v00", 500, 501, "up")],
    )  # fmt: skip
    tests = table(tmp_path / "tests.csv", [("v06", 0, 1.5, "left"), ("v07", 0, 1.5, "jump")])
    told = train(few, tmp_path / "p", *QUICK, f"labels={seen}", f"test_labels={tests}")
    on = told["trained_on"]
    assert on["videos"]["held_out"] == ["video0006", "video0007"]
    assert on["clips"]["held_out"] == 2
    assert (on["absent_videos"], on["left_out"]) == (1, 1)
    score = told["scores"]["label"]
    assert score["labels"] == 2 and score["never_learned"] == 1
    assert score["class_mean_recall@1"]["value"] <= 0.5
    with pytest.raises(ConfigError, match="is in two parts"):
        train(few, tmp_path / "q", *QUICK, f"labels={seen}", f"test_labels={seen}")


def test_anticipation_reads_nothing_after_the_actions_start(
    few: Moving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The moments of each clip, by their numbers: the last ends one second before the start, and
    how long the action takes changes nothing."""
    head = "video_id,start_timestamp,stop_timestamp,verb_class,noun_class"
    rows = [
        (f"v{i:02}", f"00:00:0{3 + s}.00", f"00:00:0{4 + s}.50", (i + s) % 3, s % 2)
        for i in range(8)
        for s in range(4)
    ]
    labels = table(tmp_path / "ek.csv", rows, head)
    longer = table(
        tmp_path / "longer.csv", [(*r[:2], f"00:00:{20 + i:02}.00", *r[3:]) for i, r in
                                  enumerate(rows)], head,
    )  # fmt: skip
    taken: dict[str, list[Clip]] = {}

    def spy(name: str) -> None:
        from egorag.train import learning

        real = learning.learn

        def learn(train: Any, validation: Any, *rest: Any, **more: Any) -> Any:
            taken[name] = [e.clip for e in [*train, *validation]]
            return real(train, validation, *rest, **more)

        with monkeypatch.context() as patch:
            patch.setattr(learning, "learn", learn)
            source = labels if name == "short" else longer
            told = train(
                few, tmp_path / name, *QUICK, "task=ek100", "anticipation=1", "observed=2",
                f"labels={source}",
            )  # fmt: skip
            assert set(told["scores"]) == {"validation", "verb", "noun", "action"}

    spy("short")
    spy("longer")
    assert len(taken["short"]) == len(taken["longer"])
    for a, b in zip(taken["short"], taken["longer"], strict=True):
        assert np.array_equal(a.vectors, b.vectors) and np.array_equal(a.places, b.places)
    with IndexFolder.open(few.index) as folder:
        from egorag.train.features import encoder_row, features_of

        row = encoder_row(folder, "looks")
        every = {
            vector.tobytes(): number
            for video in range(8)
            for number, vector in enumerate(
                features_of(folder, row, f"video{video:04}")[1].vectors  # type: ignore[index]
            )
        }
    for clip in taken["short"]:
        numbers = [every[vector.tobytes()] for vector in clip.vectors]
        end = (numbers[-1] + 1) * STEP
        assert end in {2_000_000, 3_000_000, 4_000_000, 5_000_000}  # one second before a start
        assert len(numbers) == min(2_000_000, end) // STEP


# -- the command --


def test_the_command_trains_tells_and_refuses(few: Moving, tmp_path: Path, command: Any) -> None:
    given = [f"index={few.index}", "encoder=looks", f"labels={few.labels}", "device=cpu", *QUICK]
    done = command("train", "probe", *given, f"to={tmp_path / 'a'}", "output=json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["to"] == str(tmp_path / "a") and told["kind"] == "probe"
    assert "round 2" in done.stderr
    Probe.open(tmp_path / "a")
    wrong = command("train", "prob", *given)
    assert wrong.returncode == 2 and "did you mean 'probe'" in wrong.stderr
    wrong = command("train", "probe", "lables=x")
    assert wrong.returncode == 2 and "did you mean 'labels'" in wrong.stderr
    asked = command("train", "probe", "--help")
    assert asked.returncode == 0 and "training.epochs=50" in asked.stdout
    asked = command("train", "--help")
    assert asked.returncode == 0 and "projection" in asked.stdout
