"""``until``: what lies after the cut-off changes no byte of a result, whatever a config chooses.

Indexes of ``two_futures`` hold the same up to the cut-off and something else after it. Compared
is all that ``search`` and ``ask`` give for ``output=json``, warnings, and what servers are sent.
"""

from __future__ import annotations

import contextlib
import functools
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import two_futures
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from two_futures import CALM, NOON, PARTING, POISON, QUESTIONS

pytest.importorskip("openai")

from openai_server import Asked, Heard, Response, openai_server, says

import egorag
from egorag import ask, config, search
from egorag.config import options
from egorag.sample import make
from egorag.train import card
from egorag.train.scorer import FEATURES
from egorag.types import LEVELS

ELSEWHERE = {
    "reranker": {"qwen3_vl_reranker", "qwen3_vl_reranker_8b"},  # one hit at a time: tests/rerank
    "answerer": {"hf_vlm", "hf_text"},  # given what openai is given: tests/generate/test_local.py
}
"""Options that need weights of gigabytes."""

FUSERS = {
    "rrf": ["", "fuser.fair=false"],
    "weighted": ["", "fuser.normalise=minmax", "fuser.normalise=rank"],
    "learned": ["fuser.card={cards}/fusion"],
    "concatenated": ["", "fuser.missing=mean", "fuser.missing=least_squares"],
    "whitened": ["", "fuser.missing=mean", "fuser.missing=least_squares"],
}
STRATEGIES = {
    "flat": [""],
    "collapsed": ["", "strategy.nested=better", "strategy.nested=both"],
    "top_down": ["", "strategy.videos=1 strategy.events=1", "strategy.above=0.5"],
    "adaptive": ["", "strategy.widest=event", "strategy.normalise=rank strategy.widest=video"],
    "adaptive_learned": ["strategy.card={cards}/evidence"],
}
SELECTORS = {
    "top": ["", "selector.fold=0.8"],
    "mmr": ["", "selector.relevance=0.3 selector.fold=0.9"],
    "clusters": ["", "selector.clusters=2 selector.fold=0.9"],
}
RERANKERS = {
    "none": [""],
    "judge": ["reranker.base_url={url} reranker.model=judge reranker.depth=3"],
    "cross_encoder": ["reranker.checkpoint={cross} reranker.depth=5"],
}
PLANNERS = {
    "none": [""],
    "rules": [""],
    "lm": ["planner.base_url={url} planner.model=planner"],
}
ANSWERERS = {
    "extractive": [""],
    "openai": ["answerer.base_url={url} answerer.model=answerer"],
    "agent": ["answerer.base_url={url} answerer.model=agent answerer.evidence_tokens=900"],
}
CHOICES = {
    "fuser": FUSERS,
    "strategy": STRATEGIES,
    "selector": SELECTORS,
    "reranker": RERANKERS,
    "planner": PLANNERS,
    "answerer": ANSWERERS,
}

OPTIONS = ["in the sink", "in zanzibar"]


@dataclass(repr=False)
class World:
    """Open indexes that hold the same up to the parting.

    Attributes:
        indexes: by name; ``dated`` are those with further videos, the same for a date alone.
        heard: what the server was sent.
        given: what stands for the names in braces.
    """

    indexes: dict[str, egorag.Index]
    dated: dict[str, egorag.Index]
    heard: Heard
    given: dict[str, Any]

    def output(self, index: egorag.Index, case: Case) -> bytes:
        """All that a command gives and sends."""
        done = {"search": search, "ask": ask}[case.command]
        self.heard.bodies.clear()
        settings = case.settings(self.given)
        with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            # Opened once for all examples; the command opens and closes it else.
            patch.setattr(egorag.api, "open_index", lambda *_, **__: contextlib.nullcontext(index))
            data = done.run(settings).data
        said = [str(warning.message) for warning in told]
        return json.dumps([data, said, self.heard.bodies], ensure_ascii=False).encode()


@dataclass(frozen=True)
class Case:
    """A command's settings, but for the index.

    Attributes:
        parts: overrides by config group, the first of which chooses the option.
        plain: other settings by name.
        room: settings of the strategy besides.
    """

    command: str
    plain: Mapping[str, Any]
    parts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    room: Mapping[str, Any] = field(default_factory=dict)

    def settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """As the command is given them; ``given`` is what stands for names in braces."""
        made = json.loads(_composed(self.command))
        for group, chosen in self.parts.items():
            overrides = tuple(one.format_map(given) for one in chosen)
            made[group] = json.loads(_composed(self.command, overrides))[group]
        return {**made, **self.plain, "strategy": {**made["strategy"], **self.room}}


@functools.cache
def _composed(command: str, overrides: tuple[str, ...] = ()) -> str:
    """Each choice is composed once: Hydra takes longer than a search."""
    needed = {"search": [], "ask": ["question=given"]}[command]
    return json.dumps(config.compose(command, ["index=given", *needed, *overrides]))


def _reply(asked: Asked) -> Response:
    """The same for the same request: a judge, a planner, an answerer that cites, an agent."""
    lines = str(asked["messages"][-1]["content"]).splitlines()
    told = [json.loads(line) for line in lines if line.startswith("{")]
    scenes = [line for line in told if "scene" in line]
    if asked["model"] == "judge":
        grades = [{"scene": s["scene"], "grade": len(s["text"]) % 4} for s in scenes]
        return says({"grades": grades})
    if asked["model"] == "planner":
        plain: dict[str, Any] = {"times": [], "speaker": None, "order": None, "count": False}
        after = {"kind": "after", "text": "the kettle whistles", "order": None}
        first = {"text": "where is the knife?", "relation": None, **plain}
        return says({"queries": [first, {"text": "zanzibar", "relation": after, **plain}]})
    spoken = [(s["scene"], part[1]) for s in scenes for part in s.get("text", [])]
    sentences = [{"text": q, "citations": [{"scene": n, "quote": q}]} for n, q in spoken[:4]]
    claims = {"answerable": True, "sentences": sentences, "confidence": 0.8}
    if asked["model"] == "answerer":
        return says(claims)
    rounds = [
        [("orient", {}), ("search", {"query": "zanzibar knife", "level": "event"})],
        [("scenes", {"video": "v1"}), ("read_transcript", {"video": "v1"})],
        [("scenes", {"video": "v1", "level": "video"}), ("zoom", {"scene": 1})],
        [("search", {"query": "knife", "after": 4, "video": "v1"}), ("look", {"video": "v1"})],
        [("answer", claims)],
    ]
    turn = sum(message["role"] == "assistant" for message in asked["messages"])
    calls = rounds[min(turn, len(rounds) - 1)]
    named = [{"tool": tool, "arguments": arguments} for tool, arguments in calls]
    return says({"thought": "so", "calls": named})


@pytest.fixture(scope="module")
def given_names(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Cards as trainings write them, pictures to ask with, a server."""
    folder = tmp_path_factory.mktemp("given")
    fused = np.array([0.7, 1.0], np.float32)
    names = [f"{level}/{ranking}" for level in LEVELS for ranking in ("bm25", "minilm")]
    odds = np.random.default_rng(0).normal(size=(6, len(FEATURES) + 1)).astype(np.float32)
    for kind, model, weights in (
        ("fusion", {"names": ["bm25", "minilm"], "normalise": "z"}, fused),
        ("evidence", {"names": names}, odds),
    ):
        card.write(folder / kind, card.Card(kind, {}, {}, {}, model, {}), {"weights": weights})
    pictures = [two_futures.picture(folder / f"{i}.png", i) for i in range(2)]
    with openai_server(_reply) as heard:
        yield {"cards": folder, "pictures": pictures, "url": heard.url, "heard": heard}


def _world(given: dict[str, Any], same: dict[str, Path], dated: dict[str, Path]) -> Iterator[World]:
    with contextlib.ExitStack() as stack:
        opened = [
            {n: stack.enter_context(egorag.open(path, device="cpu")) for n, path in paths.items()}
            for paths in (same, dated)
        ]
        yield World(opened[0], opened[1], given["heard"], given)


@pytest.fixture(scope="module")
def written(
    given_names: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """Three videos that go on differently, and in one index further ones."""
    folder = tmp_path_factory.mktemp("written")
    calm = two_futures.written(folder / "calm", CALM, more=False)
    poison = two_futures.written(folder / "poison", POISON, more=False)
    more = two_futures.written(folder / "more", POISON, more=True)
    yield from _world(given_names, {"calm": calm, "poison": poison}, {"more": more})


@pytest.fixture(scope="module")
def built(given_names: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """What ``egorag.build`` made of text, pictures and sound: see ``two_futures.built``."""
    paths = two_futures.built(tmp_path_factory.mktemp("built"), make)
    alone = {"alone": paths.pop("alone")}
    yield from _world(given_names, alone, paths)


def _of(group: str, *names: str) -> st.SearchStrategy[list[str]]:
    listed = CHOICES[group].items()
    return st.sampled_from(
        [
            [f"{group}={name}", *more.split()]
            for name, several in listed
            for more in several
            if not names or name in names
        ]
    )


@st.composite
def cases(draw: Any) -> Case:
    """Anything that a config can choose and goes together."""
    parts = {group: draw(_of(group)) for group in ("strategy", "fuser", "selector", "planner")}
    parts["reranker"] = draw(_of("reranker", "none", "judge"))
    fitted = {"fuser=learned", "strategy=adaptive_learned"} & {one[0] for one in parts.values()}
    if fitted and parts["fuser"][0] in ("fuser=concatenated", "fuser=whitened"):
        parts["fuser"] = ["fuser=weighted"]  # what is fitted knows no joint ranking
    question = draw(st.sampled_from(QUESTIONS))
    plain = {"k": draw(st.sampled_from([1, 3, 10]))}
    if draw(st.booleans()):
        parts["answerer"] = draw(_of("answerer"))
        plain |= {"question": question, "choices": draw(st.sampled_from([None, OPTIONS]))}
        room = {
            "neighbours": draw(st.integers(0, 2)),
            "tokens": draw(st.sampled_from([None, 60, 400])),
            "seconds": draw(st.sampled_from([None, 7.5])),
        }
        return Case("ask", plain, parts, room)
    media: dict[str, Any] = {"query": question}
    if not fitted:
        media = draw(st.sampled_from([media, {"image": 0}, {**media, "image": 1}]))
    plain |= {**media, "level": draw(st.sampled_from([*LEVELS, "all"]))}
    plain |= draw(st.sampled_from([{}, {"after": 3}, {"before": 15}]))
    return Case("search", plain, parts)


def check(world: World, case: Case, seconds: float, dated: bool) -> None:
    """Every index of ``world`` gives the same with ``until``."""
    indexes = {**world.indexes, **(world.dated if dated else {})}
    until = (NOON + timedelta(seconds=seconds)).isoformat() if dated else seconds
    plain = {**case.plain, "until": until}
    if "image" in plain:
        plain["image"] = str(world.given["pictures"][plain["image"]])
    asked = replace(case, plain=plain)
    outputs = {name: world.output(index, asked) for name, index in indexes.items()}
    first = next(iter(outputs.values()))
    assert len(outputs) > 1
    for name, output in outputs.items():
        assert output == first, f"{name} gives something else"


CUTS = st.sampled_from([0.0, 1.0, 8.0, 15.0, 16.0, 17.9, 20.0])
assert PARTING == 20
LOOSE: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "derandomize": True,  # a run that anyone repeats tries the same
}


def test_every_choice_of_a_config_is_tried() -> None:
    """One that is added to a config group has to be added here."""
    for group, tried in CHOICES.items():
        assert {*tried, *ELSEWHERE.get(group, ())} == {*options()[group]}, group


@settings(max_examples=24, **LOOSE)
@given(case=cases(), seconds=CUTS, dated=st.booleans())
def test_what_comes_later_changes_no_byte(
    written: World, case: Case, seconds: float, dated: bool
) -> None:
    check(written, case, seconds, dated)


@settings(max_examples=12, **LOOSE)
@given(case=cases(), seconds=CUTS)
def test_nor_does_what_is_indexed_later(built: World, case: Case, seconds: float) -> None:
    check(built, case, seconds, dated=True)


@pytest.mark.slow
@settings(max_examples=1000, **{**LOOSE, "derandomize": False})
@given(case=cases(), seconds=CUTS, dated=st.booleans())
def test_many_of_what_comes_later(
    written: World, built: World, case: Case, seconds: float, dated: bool
) -> None:
    check(written, case, seconds, dated)
    check(built, case, seconds, dated=True)


@pytest.mark.parametrize("question", QUESTIONS)
def test_without_a_cut_off_each_of_them_would_change_it(written: World, question: str) -> None:
    """Else nothing above could fail."""
    parts = {"planner": ["planner=none"]}  # a plan may narrow a question to what came before
    for command, key in (("search", "query"), ("ask", "question")):
        case = Case(command, {key: question}, parts)
        outputs = [written.output(index, case) for index in written.indexes.values()]
        assert outputs[0] != outputs[1]


@pytest.mark.slow
def test_a_reranker_with_weights_sees_nothing_later(written: World, tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    from checkpoints import cross_encoder

    written.given["cross"] = cross_encoder.make(tmp_path / "cross")
    chosen = ["reranker=cross_encoder", *RERANKERS["cross_encoder"][0].split()]
    case = Case("search", {"query": "where is the red knife?"}, {"reranker": chosen})
    check(written, case, 20.0, dated=True)


@pytest.mark.slow
def test_nor_where_codes_propose_candidates(
    given_names: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above a size the best are proposed by codes, which were learned from all rows: under
    ``until`` they may not be."""
    from egorag.store import codes

    proposed = []
    real = codes.candidates

    def counted(*arguments: Any) -> Any:
        proposed.append(arguments)
        return real(*arguments)

    calm = two_futures.written(tmp_path / "calm", CALM, more=False, filler=1100)
    poison = two_futures.written(tmp_path / "poison", POISON, more=False, filler=1100)
    monkeypatch.setattr(codes, "candidates", counted)
    for world in _world(given_names, {"calm": calm, "poison": poison}, {}):
        for question in QUESTIONS:
            for level in ("scene", "all"):
                check(world, Case("search", {"query": question, "level": level}), 20.0, False)
        assert not proposed
        world.output(world.indexes["calm"], Case("search", {"query": "knife", "level": "all"}))
        assert proposed
