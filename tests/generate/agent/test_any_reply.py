"""Whatever a model replies: an answer, messages that can be sent, and a trace that replays."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from egorag.chat.base import Completion
from egorag.fuse.rrf import ReciprocalRank
from egorag.generate.agent.answerer import Agent, investigate
from egorag.generate.agent.budget import Budget
from egorag.generate.agent.replay import replay
from egorag.generate.agent.task import start, task_of
from egorag.generate.agent.trace import Trace
from egorag.generate.agent.watched import Watched
from egorag.retrieve.retriever import Retriever
from egorag.types import Query

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
TOOLS = ["orient", "search", "scenes", "read_transcript", "look", "zoom", "answer", "shell"]
LIKELY = st.sampled_from(["v1", "v2", "keys", "0:10", "event", 1, 2, 16.5, "2026-05-01T09:00Z"])
NAMES = ["query", "video", "after", "before", "level", "track", "scene", "first", "sentences"]
CALL = st.fixed_dictionaries(
    {
        "tool": st.sampled_from(TOOLS) | ANYTHING,
        "arguments": st.dictionaries(st.sampled_from(NAMES), LIKELY | ANYTHING) | ANYTHING,
    }
)
STEP = st.fixed_dictionaries({"thought": ANYTHING, "calls": st.lists(CALL, max_size=5) | ANYTHING})
REPLIES = st.lists((STEP | CALL | ANYTHING).map(json.dumps) | st.text(), min_size=1, max_size=4)


@dataclass
class Scripted:
    """Says its replies in turn, the last one ever after."""

    replies: list[str]
    notes: list[str] = field(default_factory=list)
    heard: int = 0

    def complete(self, messages, shape):
        json.dumps(messages, ensure_ascii=False, allow_nan=False).encode()
        self.heard += 1
        return Completion(self.replies[min(self.heard, len(self.replies)) - 1])


@given(replies=REPLIES, choices=st.none() | st.just(["a bowl", "a hook"]))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_reply_makes_an_answer_and_a_trace_that_replays(world, told, replies, choices):
    toy = world()
    search = Retriever(toy.folder, toy.encoders, ReciprocalRank()).search
    query = Query(told.QUESTION, until=20.0)
    task = task_of(query, search(query, 2), toy.folder, search, choices)
    agent = Agent(base_url="http://127.0.0.1:1/v1", model="m", rounds=4, orders=2)
    trace = Trace()
    trace.add("start", **start(task, asdict(agent), "1"))
    budget = Budget(agent.tokens, agent.seconds, lambda: 0.0)
    chat = Watched(Scripted(replies), budget, trace, agent.max_tokens, lambda _: None)
    answer = investigate(task, agent, chat, budget, trace)
    assert answer.abstained or all(citation.verified for citation in answer.citations)
    assert chat.chat.heard <= 4 + 2
    json.dumps(answer.to_json(), allow_nan=False).encode()
    assert "move the car keys" not in json.dumps(trace.lines)
    lines = [json.loads(json.dumps(line)) for line in trace.lines]
    done = replay(lines, toy.folder, lambda _: search)
    assert done.same, done.differences
