"""``answerer=agent``: the model is given tools over the index and looks for the evidence itself.

Reason and act in turns (Yao et al. 2023, "ReAct", arXiv 2210.03629), here over the levels of a
video index as in VideoAgent (Wang et al. 2024, arXiv 2403.10517), with three things made sure:
the tools cannot reach beyond the query's filters whatever the model calls them with, nothing it
writes is executed, and what it cites is verified as with every other answerer.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from egorag.chat.counted import Counted
from egorag.generate.agent.budget import Budget
from egorag.generate.agent.loop import Investigation
from egorag.generate.agent.settings import AgentSettings
from egorag.generate.agent.task import Task, start, task_of
from egorag.generate.agent.trace import Trace, traced
from egorag.generate.agent.watched import Watched
from egorag.generate.base import Answerer, Searcher, TextEncoder
from egorag.generate.blind import guess
from egorag.generate.model_answerer import LONGEST
from egorag.generate.question import asked
from egorag.store.folder import IndexFolder
from egorag.types import Answer, Hit, Query


@dataclass(frozen=True)
class Agent(AgentSettings):
    """Asks a language model in rounds, in which it calls tools over the index.

    Without ``searching`` it has every tool but ``search``.
    """

    def answer(
        self,
        query: Query,
        hits: Sequence[Hit],
        folder: IndexFolder,
        encoder: TextEncoder | None = None,
        choices: Sequence[str] | None = None,
    ) -> Answer:
        """See ``Answerer``.

        Raises:
            ConfigError: an empty question, choices that cannot be asked for, no key, a trace that
                is there already.
            MissingPackageError: the package openai is not installed.
            ServerError: the first request failed; what fails later makes for a poorer answer.
            StoreError: the trace cannot be written.
        """
        return self._run(task_of(query, hits, folder, None, choices))

    def guess(
        self,
        query: Query,
        encoder: TextEncoder | None = None,
        choices: Sequence[str] | None = None,
    ) -> Answer:
        """See ``Guessing``: one request, for choices one for each order, without any tool.

        Raises:
            ConfigError, MissingPackageError, ServerError: as ``answer``.
        """
        question, options = asked(query, choices, LONGEST)
        with self.connect("answerer", **self._likeliest(options)) as chat:
            asking = Counted(chat)
            answer = guess(asking, question, options, self.orders, self.seed)
            return replace(answer, tokens=asking.used)

    def _likeliest(self, options: Sequence[str]) -> dict[str, Any]:
        return {"logprobs": True, "top_logprobs": 20} if options else {}

    def searching(self, search: Searcher) -> Answerer:
        """The same with the tool ``search``."""
        return _WithSearch(self, search)

    def _run(self, task: Task) -> Answer:
        from egorag import __version__

        key = os.environ.get(self.api_key_env, "") if self.api_key_env else ""
        with (
            self.connect("answerer", **self._likeliest(task.options)) as chat,
            traced(self.trace, key) as trace,
        ):
            trace.add("start", **start(task, asdict(replace(self, trace=None)), __version__))
            server = chat.server

            def limit(seconds: float) -> None:
                chat.server = replace(server, timeout=min(server.timeout, seconds))

            budget = Budget(self.tokens, self.seconds, time.monotonic)
            asking = Counted(chat)
            watched = Watched(asking, budget, trace, self.max_tokens, limit)
            answer = investigate(task, self, watched, budget, trace)
            return replace(answer, tokens=asking.used)


@dataclass(frozen=True)
class _WithSearch:
    agent: Agent
    search: Searcher

    def answer(
        self,
        query: Query,
        hits: Sequence[Hit],
        folder: IndexFolder,
        encoder: TextEncoder | None = None,
        choices: Sequence[str] | None = None,
    ) -> Answer:
        """See ``Agent.answer``."""
        return self.agent._run(task_of(query, hits, folder, self.search, choices))


def investigate(
    task: Task, settings: AgentSettings, watched: Watched, budget: Budget, trace: Trace
) -> Answer:
    """Run the agent; the answer is the trace's last line."""
    answer = Investigation(task, settings, watched, budget, trace).answer()
    trace.add("answer", answer=answer.to_json(), spent=budget.spent)
    return answer
