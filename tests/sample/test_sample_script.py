"""The script and its questions, before anything is rendered."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from egorag.sample import voice
from egorag.sample.places import ABSENT, COLOURS, NOUNS, PLACES
from egorag.sample.truth import Truth
from egorag.sample.world import script
from egorag.spans import check_tiling, hull, to_us


@st.composite
def scripts(draw: st.DrawFn) -> Truth:
    seconds = draw(st.floats(1, 120))
    return script(
        seconds,
        draw(st.integers(1, max(1, int(seconds)))),
        draw(st.integers(0, 2**32)),
        (draw(st.integers(32, 400)) * 2, draw(st.integers(32, 400)) * 2),
        draw(st.sampled_from([Fraction(30), Fraction(25), Fraction(30000, 1001), Fraction(1)])),
        "stream",
    )


@settings(max_examples=25, deadline=None)
@given(scripts())
def test_scenes_tile_and_hold_what_happens_in_them(truth: Truth) -> None:
    spans = [scene.span for scene in truth.scenes]
    check_tiling(spans, hull(spans))
    assert spans[0].start == 0
    assert spans[-1].end == to_us(truth.frames / truth.rate)
    for scene in truth.scenes:
        assert scene.span.start == to_us(scene.first_frame / truth.rate)
        assert scene.span.end == to_us(scene.end_frame / truth.rate)
        inside = [sentence.span for sentence in scene.narration]
        inside += [thing.moved for thing in scene.things if thing.moved]
        inside += [part.span for part in (scene.board, scene.noise) if part]
        for span in inside:
            assert scene.span.start <= span.start < span.end <= scene.span.end
    for before, after in pairwise(truth.scenes):
        assert before.place != after.place


@settings(max_examples=25, deadline=None)
@given(scripts())
def test_sentences_never_overlap_and_are_whole_milliseconds(truth: Truth) -> None:
    said = truth.narration
    for sentence in said:
        assert sentence.span.start % 1000 == sentence.span.end % 1000 == 0
        assert sentence.span.duration == to_us(voice.duration(sentence.text))
    for before, after in pairwise(said):
        assert after.span.start >= before.span.end + to_us(0.5)


@settings(max_examples=25, deadline=None)
@given(scripts())
def test_things_stay_where_they_were_put(truth: Truth) -> None:
    where: dict[str, str] = {}
    for scene in truth.scenes:
        for thing in scene.things:
            assert where.get(thing.name, thing.at) == thing.at
            where[thing.name] = thing.to
            assert (thing.moved is None) == (thing.at == thing.to)
            for _, x, y in thing.path:
                assert 0.03 < x < 0.97, "out of the picture"
                assert 0.03 < y < 0.97, "out of the picture"


@settings(max_examples=25, deadline=None)
@given(scripts())
def test_answers_follow_from_the_script(truth: Truth) -> None:
    said = {sentence.span: sentence.text for sentence in truth.narration}
    for question in truth.questions:
        if question.kind == "nowhere":
            assert question.answer is None
            assert question.span is None
            continue
        assert question.answer is not None
        assert question.span is not None
        if question.kind == "speech":
            assert question.answer in said[question.span]
        if question.kind == "screen":
            boards = [s.board for s in truth.scenes if s.board]
            assert [b.span for b in boards if b.text == question.answer].count(question.span) == 1
        if question.choices:
            assert question.correct is not None
            assert question.choices[question.correct] == question.answer
            assert len(set(question.choices)) == len(question.choices) == 4
    asked = [question.text for question in truth.questions]
    assert len(set(asked)) == len(asked)


def test_a_minute_has_every_kind_of_question_and_comes_home() -> None:
    truth = script(60, 8, 0, (640, 360), Fraction(30), "stream")
    assert {q.kind for q in truth.questions} == {"speech", "screen", "sound", "order", "nowhere"}
    assert truth.scenes[0].place == truth.scenes[-1].place == "kitchen"
    assert len({scene.place for scene in truth.scenes}) == 7


def test_boards_are_never_read_aloud_and_absent_questions_stay_absent() -> None:
    words = {place.board for place in PLACES.values()}
    deeds = " ".join(deed.sentence for place in PLACES.values() for deed in place.deeds)
    phrases = " ".join(spot.phrase for place in PLACES.values() for spot in place.spots)
    spoken = f"{deeds} {phrases} {' '.join(PLACES)} {' '.join(NOUNS)} {' '.join(COLOURS)}".lower()
    assert not {word.lower() for word in words} & set(spoken.replace(".", "").split())
    for question, missing in zip(
        ABSENT, ["bicycle", "doctor", "train", "piano", "football"], strict=True
    ):
        assert missing in question
        assert missing not in spoken


def test_same_seed_same_truth_and_another_seed_another() -> None:
    def day(seed: int) -> str:
        truth = script(60, 8, seed, (640, 360), Fraction(30), "stream")
        return json.dumps(truth.to_json())

    assert day(0) == day(0)
    assert day(0) != day(1)


def test_truth_as_json_is_in_seconds() -> None:
    truth = script(12, 2, 4, (640, 360), Fraction(30), "none")
    told = json.loads(json.dumps(truth.to_json()))
    assert told["seconds"] == 12.0
    assert told["frames"] == 360
    assert told["rate"] == "30"
    assert told["cuts"] == [{"frame": c.frame, "seconds": c.seconds} for c in truth.cuts]
    assert told["scenes"][1]["span"][0] == truth.cuts[0].seconds
    assert told["scenes"][1]["span"][1] == 12.0


def test_the_voice_lasts_as_long_as_it_says() -> None:
    text = "I put 3 red mugs, quickly, on the top shelf."
    sound = voice.speak(text, 16_000, np.random.default_rng(0))
    assert len(sound) == round(voice.duration(text) * 16_000)
    assert 0.4 < float(np.abs(sound).max()) <= 0.5 + 1e-6
    assert voice.duration("") == 0
    assert len(voice.speak("", 16_000, np.random.default_rng(0))) == 0
