"""The cross-encoder against sentence-transformers' own, on a tiny checkpoint."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
library = pytest.importorskip("sentence_transformers")

from checkpoints import cross_encoder as tiny
from checkpoints.scenes import without
from checkpoints.sentence import WORDS, change

from egorag.encode.pretrained.checkpoint import MissingWeightsError
from egorag.encode.pretrained.loading import MismatchError
from egorag.errors import ConfigError, EgoragError
from egorag.rerank.cross_encoder import CrossEncoder
from egorag.rerank.texts import readable
from egorag.types import Query

QUERY = "a red dog walks"
TEXTS = ("the dog walks in a red house", "one two three", "bread", "a man opens the green door")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("cross"))


@pytest.fixture(scope="module")
def model(folder: Path) -> CrossEncoder:
    made = CrossEncoder(checkpoint=str(folder))
    made.setup()
    return made


@pytest.fixture(scope="module")
def oracle(folder: Path) -> Any:
    return library.CrossEncoder(str(folder), device="cpu")


def sigmoid(values: Any) -> Any:
    return 1 / (1 + np.exp(-np.asarray(values)))


def test_scores_are_the_librarys(model: CrossEncoder, oracle: Any) -> None:
    """Its default is the sigmoid of the score; ours is the score, which never ties at the top."""
    expected = oracle.predict([(QUERY, text) for text in TEXTS])
    np.testing.assert_allclose(sigmoid(model.scores(QUERY, TEXTS)), expected, atol=1e-5)
    assert len(set(np.round(expected, 6))) == len(TEXTS)


def test_scores_are_those_of_a_model_that_the_library_saved(
    folder: Path, tmp_path: Path, model: CrossEncoder
) -> None:
    library.CrossEncoder(str(folder), device="cpu").save_pretrained(str(tmp_path / "saved"))
    made = CrossEncoder(checkpoint=str(tmp_path / "saved"))
    made.setup()
    np.testing.assert_allclose(made.scores(QUERY, TEXTS), model.scores(QUERY, TEXTS), atol=1e-5)


def test_a_long_text_counts_by_its_best_window(model: CrossEncoder, oracle: Any) -> None:
    rng = np.random.default_rng(0)
    long = " ".join(rng.choice(WORDS.split(), 100))
    identity = torch.nn.Identity()
    read: list[str] = []
    tokenizer = oracle.tokenizer

    def halves(text: str) -> None:
        if len(tokenizer(f"{QUERY} {text}")["input_ids"]) + 1 <= tiny.WINDOW:
            read.append(text)
            return
        words = text.split()
        middle = len(" ".join(words)) / 2
        ends = np.cumsum([len(word) + 1 for word in words]) - 1
        cut = int(np.argmin(np.abs(ends - middle))) + 1
        halves(" ".join(words[:cut])), halves(" ".join(words[cut:]))

    halves(long)
    assert len(read) >= 4
    each = oracle.predict([(QUERY, part) for part in read], activation_fn=identity)
    np.testing.assert_allclose(model.scores(QUERY, [long]), [max(each)], atol=1e-5)
    hidden = oracle.predict([(QUERY, long)], activation_fn=identity)
    assert abs(float(hidden[0]) - max(each)) > 1e-3  # the library reads the beginning alone


def test_scores_do_not_depend_on_the_batch(folder: Path, model: CrossEncoder) -> None:
    one = CrossEncoder(checkpoint=str(folder), batch=1)
    one.setup()
    texts = [*TEXTS, "a dog " * 60]
    np.testing.assert_allclose(one.scores(QUERY, texts), model.scores(QUERY, texts), atol=1e-4)
    assert model.scores(QUERY, []) == []


@pytest.mark.parametrize("text", ["[SEP] a red dog", "\ud800", "[CLS][MASK][PAD]", "x" * 5000])
def test_any_text_is_safe(model: CrossEncoder, text: str) -> None:
    assert np.isfinite(model.scores(text, ["a dog"])).all()
    assert np.isfinite(model.scores("a dog", [text])).all()
    assert model.scores("a dog", ["b [SEP] c"]) == model.scores("a dog", ["b   c"])


def test_hits_come_in_the_order_of_the_scores(
    model: CrossEncoder, make_index: Any, all_hits: Any
) -> None:
    toy = make_index()
    for number, text in enumerate((*TEXTS, TEXTS[0])):
        toy.add(f"v{number}", (0, 2, text))
    toy.add("v9", (2, 4, "bread"))  # its first scene says nothing
    hits = sorted(all_hits(toy), key=lambda h: (h.path, h.scene.span))
    silent = next(i for i, h in enumerate(hits) if h.path == "v9")
    found = model.rerank(Query(QUERY), hits, toy.folder)
    assert found.notes == ()
    assert found.hits[silent] == hits[silent]
    scored = [h for h in found.hits if "cross_encoder" in h.parts]
    assert len(scored) == len(hits) - 1
    expected = dict(zip(TEXTS, model.scores(QUERY, TEXTS), strict=True))
    said = readable(Query(QUERY), hits, toy.folder.catalog)
    for h in scored:
        score = h.parts["cross_encoder"].score
        np.testing.assert_allclose(score, expected[said[h.scene.id]], atol=1e-4)
        assert h.score == next(o.score for o in hits if o.scene.id == h.scene.id)
    given = [h.parts["cross_encoder"].score for h in scored]
    assert given == sorted(given, reverse=True)
    assert [h.parts["cross_encoder"].rank for h in scored] == [
        1 + sum(b > a for b in given) for a in given
    ]
    twins = [h.path for h in scored if said[h.scene.id] == TEXTS[0]]
    assert twins == ["v0", "v4"]  # equal texts tie, and keep the order they came in


def test_only_the_best_are_read(folder: Path, make_index: Any, all_hits: Any) -> None:
    toy = make_index()
    for number, text in enumerate(TEXTS):
        toy.add(f"v{number}", (0, 2, text))
    hits = all_hits(toy)
    made = CrossEncoder(checkpoint=str(folder), depth=2)
    made.setup()
    found = made.rerank(Query(QUERY), hits, toy.folder).hits
    assert found[2:] == hits[2:] and {h.path for h in found[:2]} == {h.path for h in hits[:2]}
    untold = made.rerank(Query(image=Path("a.png")), hits, toy.folder)
    assert untold.hits == hits and "reads text" in untold.notes[0]


def test_nothing_after_the_cut_off_is_read(
    model: CrossEncoder, make_index: Any, all_hits: Any
) -> None:
    """Even where a caller hands over a scene that the query may not see."""
    plain, poisoned = make_index(), make_index()
    for toy, late in ((plain, ()), (poisoned, ((3, 6, "a red dog walks"), (1, 9, "red red red")))):
        toy.add("v", (0, 2, "bread"), (2, 3, "one two"), *late, scenes=[(0, 4)])
        toy.add("w", (0, 2, "a man"), scenes=[(0, 4)])
    query = Query(QUERY, until=3.5)
    results = [model.rerank(query, all_hits(toy), toy.folder).hits for toy in (plain, poisoned)]
    scores = [{h.path: h.parts["cross_encoder"] for h in hits} for hits in results]
    assert scores[0] == scores[1]
    said = readable(query, all_hits(poisoned), poisoned.folder.catalog).values()
    assert set(said) == {"bread one two", "a man"}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"depth": 0}, "depth"),
        ({"window": 8}, "window must be a whole number from 32"),
        ({"checkpoint": ""}, "checkpoint must name"),
        ({"dtype": "float8"}, "unknown dtype"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        CrossEncoder(**wrong)


def test_a_window_beyond_the_models_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"window=99, but .* reads 40 tokens"):
        CrossEncoder(checkpoint=str(folder), window=99).setup()


@pytest.mark.parametrize("part", ["classifier.weight", "encoder.layer.1", "pooler"])
def test_missing_weights_are_refused_by_name(folder: Path, tmp_path: Path, part: str) -> None:
    damaged = shutil.copytree(folder, tmp_path / "damaged")
    without(damaged, part)
    with pytest.raises(MismatchError, match=rf"tensors missing.*{part}"):
        CrossEncoder(checkpoint=str(damaged)).setup()


def test_what_is_no_cross_encoder_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = tiny.make(tmp_path / "many", labels=3)
    with pytest.raises(ConfigError, match="gives 3 scores"):
        CrossEncoder(checkpoint=str(many)).setup()
    mute = shutil.copytree(folder, tmp_path / "mute")
    for name in ("tokenizer.json", "vocab.txt"):
        (mute / name).unlink(missing_ok=True)
    with pytest.raises(ConfigError, match="no tokenizer"):
        CrossEncoder(checkpoint=str(mute)).setup()
    foreign = shutil.copytree(folder, tmp_path / "foreign")
    module = [{"idx": 0, "name": "0", "path": "", "type": "evil.Module"}]
    (foreign / "modules.json").write_text(json.dumps(module))
    with pytest.raises(ConfigError, match=r"evil\.Module.*no code"):
        CrossEncoder(checkpoint=str(foreign)).setup()
    (foreign / "modules.json").write_text("{")
    with pytest.raises(ConfigError, match=r"modules\.json"):
        CrossEncoder(checkpoint=str(foreign)).setup()
    adapter = shutil.copytree(folder, tmp_path / "adapter")
    (adapter / "adapter_config.json").write_text("{}")
    with pytest.raises(ConfigError, match="adapter"):
        CrossEncoder(checkpoint=str(adapter)).setup()
    torn = shutil.copytree(folder, tmp_path / "torn")
    change(torn, "config.json", lambda config: config | {"model_type": "no_such_model"})
    with pytest.raises(ConfigError, match="cannot be loaded as CrossEncoder"):
        CrossEncoder(checkpoint=str(torn)).setup()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        MissingWeightsError, match=r"hf download nobody/nothing.*reranker\.checkpoint=FOLDER"
    ):
        CrossEncoder(checkpoint="nobody/nothing").setup()


def test_a_score_that_is_no_number_is_refused(folder: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(folder, tmp_path / "broken")
    change(
        broken, "model.safetensors", lambda tensors: tensors["classifier.bias"].fill_(float("nan"))
    )
    made = CrossEncoder(checkpoint=str(broken))
    made.setup()
    with pytest.raises(EgoragError, match="no number"):
        made.scores("a", ["b"])
    made.close()
    with pytest.raises(EgoragError, match="not loaded"):
        made.scores("a", ["b"])
