"""The rounds: a model calls tools until it answers, finds nothing new, or a budget ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from egorag.chat.base import Completion
from egorag.errors import ServerError
from egorag.generate.agent import prompt
from egorag.generate.agent.budget import Budget, BudgetError
from egorag.generate.agent.gathered import Gathered
from egorag.generate.agent.settings import AgentSettings
from egorag.generate.agent.step import CALLS, Step, read_step, step_schema, too_many
from egorag.generate.agent.task import Task
from egorag.generate.agent.tools import Desk, Result
from egorag.generate.agent.trace import Trace, digest
from egorag.generate.agent.view import View
from egorag.generate.agent.watched import PICTURE, Watched, guess
from egorag.generate.case import Case
from egorag.generate.numbered import NumberedScene
from egorag.generate.prompt import messages
from egorag.generate.reply import LETTERS, Reply, schema
from egorag.types import Answer, Hit

STALE = 2
"""Rounds in a row without anything new after which the model is asked for its answer."""
UNVERIFIED = (
    "None of what the answer cites could be verified: a quote must stand word for word in the "
    "scene it names. Look again, answer with other quotes, or set answerable to false."
)


class Investigation:
    """One run of the agent."""

    def __init__(
        self, task: Task, settings: AgentSettings, chat: Watched, budget: Budget, trace: Trace
    ) -> None:
        self._task, self._settings, self._chat = task, settings, chat
        self._budget, self._trace = budget, trace
        self._view = View.of(task.query, task.catalog)
        self._gathered = Gathered()
        self._desk = Desk(
            self._view,
            self._gathered,
            task.search,
            settings.k,
            settings.evidence_tokens,
            settings.frames,
            settings.size,
        )
        self._hits: dict[int, Hit] = {hit.scene.id: hit for hit in task.hits}
        self._texts: set[str] = set()
        self._round = 0
        self._failed = False

    def answer(self) -> Answer:
        """The answer, or an abstention that says why.

        Raises:
            ServerError: the very first request failed.
        """
        if not self._view.videos:
            return self._none("nothing in the index lies within the filters")
        shown = dict(zip(LETTERS, self._options(), strict=False))
        bare = messages(self._task.question, [], schema(tuple(shown)), shown or None)
        self._budget.kept = (
            sum(guess(message["content"]) for message in bare)
            + self._settings.evidence_tokens
            + self._settings.frames * PICTURE
            + self._settings.max_tokens
        )
        try:
            done = self._rounds()
        except BudgetError as error:
            done = str(error)
        if isinstance(done, Answer):
            return done
        reply, reason = (done, "") if isinstance(done, Reply) else (None, done)
        return self._last(reply, reason)

    def _rounds(self) -> Answer | Reply | str:
        """An answer; a reply that is enough for the choice to be asked for; or why it ended."""
        tools = self._desk.tools()
        shape = step_schema(tools, bool(self._settings.frames))
        sees, names = bool(self._settings.frames), self._view.names
        first = self._desk.first(self._task.hits)
        self._trace.add("evidence", result=first.text(names))
        self._texts.add(first.text(names))
        said = [
            prompt.system(tools, shape, sees, bool(self._task.options)),
            prompt.question(
                self._task.question, self._options(), first, names, self._settings.rounds
            ),
        ]
        stale, warned = 0, False
        for number in range(1, self._settings.rounds + 1):
            self._round = number
            try:
                got = self._chat.complete(said, shape)
            except BudgetError:
                raise
            except ServerError as error:
                if number == 1:
                    raise
                self._failed = True
                return f"the server failed in round {number}: {error}"
            step, notice = read_step(got.text), ""
            found: list[tuple[str, Result]] = []
            if step.answer is not None:
                if self._task.options:
                    return step.answer
                answer = self._case(self._gathered.scenes).judge(step.answer)
                if answer.citations or not step.answer.answerable or warned:
                    return answer
                warned, notice = True, UNVERIFIED
            elif step.error:
                notice = _unread(step, got)
            else:
                found = self._call(step)
                notice = too_many(step.calls)
            stale = 0 if self._new(found) else stale + 1
            if stale == STALE:
                return f"{STALE} rounds in a row brought nothing new"
            left = self._settings.rounds - number
            said.append({"role": "assistant", "content": step.said})
            said.append(prompt.results(found, names, left, notice=notice))
        return f"the budget of answerer.rounds={self._settings.rounds} is used up"

    def _call(self, step: Step) -> list[tuple[str, Result]]:
        found: list[tuple[str, Result]] = []
        for call in step.calls[:CALLS]:
            result = self._desk.call(call.tool, call.arguments, self._round)
            for hit in result.hits:
                self._hits.setdefault(hit.scene.id, hit)
            notes = self._chat.notes
            notes += [note for note in result.notes if note not in notes]
            text = result.text(self._view.names)
            self._trace.add(
                "call",
                round=self._round,
                thought=step.thought,
                tool=call.tool,
                arguments=call.arguments,
                result=text,
                digest=digest([text, [p.image for s in result.scenes for p in s.pictures]]),
                pictures=sum(len(scene.pictures) for scene in result.scenes),
                tokens=guess(text),
            )
            found.append((call.tool, result))
        return found

    def _new(self, found: Sequence[tuple[str, Result]]) -> bool:
        """Whether a result tells what none has told before."""
        texts = {result.text(self._view.names) for _, result in found if not result.failed}
        fresh = texts - self._texts
        self._texts |= texts
        return bool(fresh)

    def _last(self, reply: Reply | None, reason: str) -> Answer:
        """The answer from what was found, asked for once more and by itself.

        Args:
            reply: the answer after which a choice is asked for.
            reason: why the rounds ended without one.
        """
        self._budget.last = True
        claims = reply.claims if reply else ()
        cited = [n for claim in claims for n, _ in (*claim.citations, *claim.seen)]
        # It may have failed because it takes no pictures.
        seen = 0 if self._failed else self._settings.frames
        scenes = self._gathered.best(cited, self._settings.evidence_tokens, seen)
        if not scenes:
            return self._none(reason or "no evidence was found")
        case = self._case(scenes)
        try:
            if self._task.options:
                settings = self._settings
                answer = case.choose(self._task.options, settings.orders, settings.seed)
            else:
                answer = case.tell()
        except ServerError as error:
            told = str(error) if isinstance(error, BudgetError) else f"then the server: {error}"
            return self._none("; ".join(dict.fromkeys(filter(None, [reason, told]))))
        if reason:
            rounds = f"{self._round} round{'s' * (self._round != 1)}"
            note = f"answered from what {rounds} found, since {reason}"
            answer = replace(answer, notes=(*answer.notes, note))
        return answer

    def _case(self, scenes: Sequence[NumberedScene]) -> Case:
        task = self._task
        return Case(
            task.question,
            task.query,
            tuple(self._hits.values()),
            task.catalog,
            scenes,
            self._chat,
            self._settings.abstain_below,
        )

    def _none(self, reason: str) -> Answer:
        found = tuple(self._hits.values())
        return Answer(f"No answer: {reason}.", True, 0.0, (), found, notes=tuple(self._chat.notes))

    def _options(self) -> list[str]:
        """The choices in an order that does not depend on how they were given."""
        return sorted(set(self._task.options))


def _unread(step: Step, got: Completion) -> str:
    if got.refusal:
        return "You refused. If nothing answers the question, call answer with answerable false."
    if got.cut:
        return "The reply was cut off before its end: be shorter."
    return f"The reply could not be read: {step.error}."
