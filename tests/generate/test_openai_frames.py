"""answerer=openai with pictures and streamed: what is sent, cited, shown."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

pytest.importorskip("openai")

from filmed import filmed, second
from openai_server import openai_server, piece, refuses, says, streams

import egorag
from egorag.errors import ConfigError, ServerError
from egorag.generate.live import HEAD
from egorag.generate.openai_answerer import OpenAI
from egorag.registry import build
from egorag.types import Hit, Query


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return filmed(tmp_path_factory.mktemp("filmed"))


@pytest.fixture
def ask(made):
    def one(server, choices=None, question="Where are the keys?", **settings):
        chosen = {k: settings.pop(k) for k in ("after", "before", "until") if k in settings}
        by = OpenAI(base_url=server.url, model="m", **{"timeout": 5.0, "retries": 0, **settings})
        with egorag.open(made) as index:
            answer = index.ask(question, choices=choices, answerer=by, **chosen)
        json.dumps(answer.to_json(), allow_nan=False)
        return answer

    return one


def parts(body):
    return body["messages"][1]["content"]


def clock_of(body, number=0):
    """The time by which the model was told the picture of that number."""
    told = [p["text"] for p in parts(body) if p["type"] == "text"]
    return told[number].strip().rpartition(" at ")[2].rstrip(":")


def sees(scene, time, **more):
    cited = [{"scene": scene, "quote": "", "time": time}]
    sentence = {"text": "The bowl is grey.", "citations": cited}
    return {"answerable": True, "sentences": [sentence], "confidence": 0.5, **more}


def citing(asked):
    """A model that cites the first picture it was shown, and says A."""
    return says(sees(1, clock_of(asked), choice="A"))


def test_pictures_are_sent_as_jpeg_between_the_texts(ask):
    import cv2

    with openai_server(citing) as server:
        ask(server, frames=3)
    (body,) = server.bodies
    sent = [p["image_url"]["url"] for p in parts(body) if p["type"] == "image_url"]
    assert [p["type"] for p in parts(body)] == ["text", "image_url"] * 3 + ["text"]
    times = []
    for url in sent:
        head, _, packed = url.partition(",")
        assert head == "data:image/jpeg;base64"
        data = np.frombuffer(base64.b64decode(packed), np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert image.shape == (36, 64, 3)
        times.append(second(image))
    assert times == sorted(times)
    cited = body["response_format"]["json_schema"]["schema"]["properties"]["sentences"]
    assert "time" in cited["items"]["properties"]["citations"]["items"]["required"]


def test_none_is_sent_unasked(ask):
    with openai_server(says(sees(1, "0:01"))) as server:
        answer = ask(server)
    assert "image_url" not in json.dumps(server.bodies)
    assert isinstance(parts(server.bodies[0]), str)
    assert "time" not in json.dumps(server.bodies[0]["response_format"])
    # So a picture that was never shown cannot be cited either.
    assert answer.text == "No answer: no quote could be verified."
    assert answer.verified == 0.0


def test_what_is_seen_is_cited_by_its_place_without_a_quote(ask):
    with openai_server(citing) as server:
        answer = ask(server, frames=2)
    assert answer.text == "The bowl is grey. [1]"
    (citation,) = answer.citations
    assert (citation.track, citation.quote, citation.verified) == ("frames", "", True)
    assert citation.span.start < citation.span.end
    assert (answer.verified, answer.confidence) == (1.0, 0.5)


def test_a_choice_may_rest_on_what_is_seen(ask):
    with openai_server(citing) as server:
        answer = ask(server, ["a bowl", "a bowl "], frames=2, orders=1)
    assert answer.choice == 0
    assert answer.citations[0].track == "frames"


@pytest.mark.parametrize("time", ["0:99.000", "", "now", "0:00", "-1", "9" * 5000])
def test_a_picture_that_was_not_shown_cannot_be_cited(ask, time):
    for scene in (1, 7, -1, 10**30):
        with openai_server(says(sees(scene, time))) as server:
            answer = ask(server, frames=2)
        assert answer.abstained
        assert "no quote or picture could be verified" in answer.text
        assert answer.verified == 0.0


def test_frames_alone_answer_where_there_is_no_text(made):
    query = Query("Is the bowl grey?", after=15.0)
    with openai_server(citing) as server, egorag.open(made) as index:
        (video,) = index.videos()
        hits = [Hit(index.scenes(level="scene")[3], video.path, 1.0, {}, "")]
        asked = {n: OpenAI(base_url=server.url, model="m", frames=n) for n in (0, 2)}
        said = {n: by.answer(query, hits, index.folder).text for n, by in asked.items()}
    assert said == {0: "No answer: the evidence holds no text.", 2: "The bowl is grey. [1]"}
    assert len(server.bodies) == 1


def test_nothing_after_the_cut_off_is_shown(ask):
    with openai_server(citing) as server:
        ask(server, frames=8, until=7.0)
    times = [clock_of(server.bodies[0], n) for n in range(len(parts(server.bodies[0])) // 2)]
    assert times
    assert all(time < "0:07.000" for time in times)
    assert "tea" not in json.dumps(server.bodies[0]["messages"])


def test_a_model_that_takes_no_pictures_is_told(ask):
    blind = refuses(400, "this model has no image input")
    with openai_server(blind) as server, pytest.raises(ServerError, match=r"answerer\.frames=0"):
        ask(server, frames=1)
    with openai_server(blind) as server, pytest.raises(ServerError) as told:
        ask(server)
    assert "frames" not in str(told.value)


def good():
    text = json.dumps(
        {
            "answerable": True,
            "sentences": [
                {"text": "In the \x1b[31mbowl.", "citations": [{"scene": 1, "quote": "blue bowl"}]},
                {"text": "Or in Paris.", "citations": [{"scene": 1, "quote": "in Paris"}]},
            ],
            "confidence": 0.5,
        }
    )  # fmt: skip
    return [text[i : i + 7] for i in range(0, len(text), 7)]


def test_a_streamed_answer_is_shown_as_it_comes_and_checked_at_its_end(ask, capsys):
    with openai_server(streams(*good(), piece(None, "stop"))) as server:
        answer = ask(server, stream=True)
    assert answer.text == "In the [31mbowl. [1] Or in Paris. [unverified]"
    assert capsys.readouterr().err == f"{HEAD}In the [31mbowl. Or in Paris.\n"
    with openai_server(says("".join(good()))) as server:
        assert ask(server, stream=False) == answer


def test_a_stream_that_ends_early_ends_its_line(ask, capsys):
    with openai_server(streams(*good()[:12], done=False)) as server:
        with pytest.raises(ServerError, match="ended its stream"):
            ask(server, stream=True)
        assert capsys.readouterr().err.count("\n") == 1


def test_a_stream_cut_by_the_limit_is_no_answer(ask):
    with openai_server(streams(*good()[:12], piece(None, "length"))) as server:
        assert "raise answerer.max_tokens" in ask(server, stream=True).text


def test_nothing_is_streamed_unless_to_a_terminal_or_asked_for(ask, monkeypatch):
    with openai_server(says("".join(good()))) as server:
        ask(server)
        monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
        ask(server)
        ask(server, stream=False)
        ask(server, ["a", "b"], orders=1)
    assert ["stream" in body for body in server.bodies] == [False, True, False, False]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frames": -1}, "frames must be"),
        ({"frames": 1.5}, "frames must be"),
        ({"size": 8}, "size must be"),
        ({"stream": "yes"}, "stream must be"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    target = {"_target_": "egorag.generate.openai_answerer.OpenAI"}
    with pytest.raises(ConfigError, match=message):
        build(
            "answerers",
            "answerer",
            target | {"base_url": "http://127.0.0.1:1/v1", "model": "m", **settings},
        )
