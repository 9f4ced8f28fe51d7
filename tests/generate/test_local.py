"""answerer=hf_text and hf_vlm on tiny real checkpoints: sound replies, garbage, faults."""

from __future__ import annotations

import gc
import json
import weakref

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from checkpoints.speaking import READS, SEES, make, reply, saying
from filmed import filmed

import egorag
from egorag.errors import ConfigError
from egorag.generate.local_answerer import HFVLM, HFText
from egorag.registry import build

QUOTED = {"scene": 1, "quote": "the keys into the blue bowl"}
MADE_UP = {"scene": 1, "quote": "the keys are in Paris"}
# Told by the middle of the first scene, from its start to its end.
SEEN = {"scene": 1, "quote": "", "time": "0:02.500"}
QUESTION = "Where are the keys?"
BY = {**dict.fromkeys(READS, HFText), **dict.fromkeys(SEES, HFVLM)}


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    with egorag.open(filmed(tmp_path_factory.mktemp("filmed"))) as opened:
        yield opened


@pytest.fixture
def ask(index, tmp_path):
    """``ask(kind, script, choices=None, **settings)``: by a model that says the script."""

    def one(kind, script, choices=None, until=None, **settings):
        folder = make(tmp_path / f"{kind}{len(list(tmp_path.iterdir()))}", kind, script)
        sees = {"frames": 4, "size": 32} if kind in SEES else {}
        given = {"device": "cpu", "max_tokens": 64, **sees, **settings}
        with BY[kind](checkpoint=str(folder), **given) as by:
            answer = index.ask(QUESTION, choices=choices, until=until, answerer=by)
        json.dumps(answer.to_json(), allow_nan=False)
        assert all(c.verified for c in answer.citations)
        return answer

    return one


@pytest.mark.parametrize("kind", [*READS, *SEES])
def test_a_sound_reply_is_an_answer_with_checked_citations(ask, kind):
    said = reply(("In the bowl.", [QUOTED]), ("In Paris.", [MADE_UP]), confidence=0.5)
    answer = ask(kind, saying(said))
    assert answer.text == "In the bowl. [1] In Paris. [unverified]"
    assert [c.quote for c in answer.citations] == ["the keys into the blue bowl"]
    assert (answer.verified, answer.confidence, answer.notes) == (0.5, 0.25, ())


@pytest.mark.parametrize("kind", SEES)
def test_a_model_that_sees_cites_its_frames(ask, kind):
    answer = ask(kind, saying(reply(("It is grey.", [SEEN]), confidence=0.5)), frames=1)
    assert answer.text == "It is grey. [1]"
    (citation,) = answer.citations
    assert (citation.track, citation.quote) == ("frames", "")
    assert (citation.span.start, citation.span.end) == (0, 5_000_000)


@pytest.mark.parametrize("kind", READS)
def test_a_model_that_reads_cannot(ask, kind):
    answer = ask(kind, saying(reply(("It is grey.", [SEEN]), confidence=0.5)))
    assert answer.text == "No answer: no quote could be verified."


@pytest.mark.parametrize("kind", ["qwen3", "qwen3_vl"])
def test_choices_get_the_models_own_probabilities(ask, kind):
    said = reply(("In the bowl.", [QUOTED]), confidence=0.5)
    letters = {"A": 0.6, "B": 0.25, "C": 0.05, "Z": 0.1}
    script = saying(said[:-1] + ', "choice": "', letters, '"}')
    chosen = ["bowl", "cup", "hook"]
    one = ask(kind, script, chosen, orders=1)
    assert sorted(one.probabilities) == pytest.approx([0.05 / 0.9, 0.25 / 0.9, 0.6 / 0.9], 1e-3)
    assert one.probabilities[one.choice] == max(one.probabilities) == one.confidence
    # Its liking for A cancels when each choice stands at each place.
    assert ask(kind, script, chosen, orders=3).probabilities == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize("kind", ["llama", "qwen3_vl"])
def test_garbage_is_no_answer(ask, kind):
    for choices in (None, ["bowl", "cup"]):
        answer = ask(kind, None, choices, max_tokens=12, orders=2)
        assert answer.abstained
        assert answer.choice is None
        assert not answer.citations
        assert "no reply of the model chose" in answer.text or "cut off" in answer.text


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        (['{"answerable": false, "sentences": []}'], "the model finds none"),
        (["Ignore all."], "not of the form"),
        ([], "not of the form"),
        (['{"answerable": true, "sentences": [', "{" * 30], "not of the form"),
    ],
)
def test_no_answer_says_why(ask, pieces, reason):
    assert reason in ask("qwen2", saying(*pieces)).text


def test_a_reply_without_an_end_is_cut(ask):
    answer = ask("llama", {"\n": {'{"sentences"': 1.0}, '{"sentences"': {'{"sentences"': 1.0}})
    assert "cut off before its end; raise answerer.max_tokens" in answer.text


def test_nothing_after_the_cut_off_is_cited(ask):
    tea = {"scene": 2, "quote": "a cup of green tea"}
    script = saying(reply(("Tea.", [tea, {"scene": 3, "quote": "green tea"}]), confidence=1.0))
    assert ask("qwen3_vl", script, until=10.0, frames=1).abstained


def test_the_evidence_is_counted_by_the_models_own_tokenizer(ask):
    # A byte is a token here: a third of the usual guess fits.
    said = saying(reply(("In the bowl.", [QUOTED]), confidence=0.5))
    assert not ask("qwen3", said, evidence_tokens=400).abstained
    short = ask("qwen3", said, evidence_tokens=120)
    assert short.text == "No answer: no text fits into answerer.evidence_tokens=120."


def test_the_model_is_loaded_once_and_given_back(index, tmp_path, monkeypatch):
    import egorag.chat.local as local

    loads = []
    load = local.load_text
    monkeypatch.setattr(local, "load_text", lambda *args: loads.append(load(*args)) or loads[-1])
    folder = make(tmp_path / "model", "qwen3", saying("nothing"))
    by = HFText(checkpoint=str(folder), device="cpu", max_tokens=8)
    for _ in range(2):
        assert index.ask(QUESTION, answerer=by).abstained
    assert len(loads) == 1
    gone = weakref.ref(loads.pop().model)
    by.close()
    by.close()
    gc.collect()
    assert gone() is None
    assert index.ask(QUESTION, answerer=by).abstained
    assert len(loads) == 1
    by.close()


def test_without_a_file_the_text_is_left(tmp_path):
    said = saying(reply(("In the bowl.", [QUOTED]), confidence=0.5))
    model = make(tmp_path / "model", "qwen3_vl", said)
    built = filmed(tmp_path)
    (tmp_path / "day.mp4").unlink()
    with egorag.open(built) as index, HFVLM(checkpoint=str(model), device="cpu") as by:
        answer = index.ask(QUESTION, answerer=by)
    assert answer.text == "In the bowl. [1]"
    assert "its text alone was used" in answer.notes[0]


@pytest.mark.parametrize("name", ["HFText", "HFVLM"])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"checkpoint": ""}, "checkpoint must name"),
        ({"dtype": "float8"}, "unknown dtype"),
        ({"attention": "flash"}, "unknown attention 'flash'"),
        ({"max_tokens": 0}, "max_tokens must be"),
        ({"temperature": -1}, "temperature must be"),
        ({"temperature": float("nan")}, "temperature must be"),
        ({"seed": 1.5}, "seed must be"),
        ({"evidence_tokens": 0}, "evidence_tokens must be"),
        ({"orders": 0}, "orders must be"),
        ({"abstain_below": 2}, "abstain_below must"),
        ({"frames": 0}, "frames"),
        ({"size": "big"}, "size"),
        ({"chekpoint": "x"}, "no setting 'chekpoint'; did you mean 'checkpoint'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(name, settings, message):
    target = {"_target_": f"egorag.generate.local_answerer.{name}"}
    with pytest.raises(ConfigError, match=message):
        build("answerers", "answerer", target | settings)


def test_through_the_command(index, tmp_path, command):
    said = reply(("In the bowl.", [SEEN]), ("Surely.", [QUOTED]), confidence=0.5)
    folder = make(tmp_path / "model", "qwen2_vl", saying(said))
    given = [f"index={index.folder.path}", f"question={QUESTION}", "answerer=hf_vlm"]
    by = [f"answerer.checkpoint={folder}", "answerer.frames=1", "answerer.device=cpu"]
    done = command("ask", *given, *by)
    assert done.returncode == 0, done.stderr
    assert "In the bowl. [1] Surely. [2]" in done.stdout
    assert "frames, shown to the model" in done.stdout
    assert done.stderr == ""
