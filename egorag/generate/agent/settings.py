"""Settings of the agent."""

from __future__ import annotations

import math
from dataclasses import dataclass

from egorag.chat.settings import ServerSettings, check_whole


@dataclass(frozen=True)
class AgentSettings(ServerSettings):
    """A server, the budget of one question, and what the tools give.

    Attributes:
        rounds: of tool calls. After the last, or when a budget ends, one request asks for the
            answer from what was found (with choices, one for each order).
        tokens: of all requests and replies of a question, by the server's count where it gives
            one, else by a rather high guess of three bytes a token.
        seconds: for a question. The time limit of a request is cut to what is left of them; each
            of its ``retries`` has that limit anew.
        k: scenes a search gives.
        evidence_tokens: what one tool's result, and the evidence of the last request, may take.
        frames: pictures of one look, for models that take them; 0 gives text alone.
        size: pixels of a picture's longer side.
        orders: in how many orders choices are shown, each a request.
        abstain_below: the confidence below which no answer is given; 0 always answers.
        trace: a file for the trace of a question, which must not be there yet, or a folder (given
            with ``/`` where it is new) in which each question gets a file.
    """

    rounds: int = 8
    tokens: int = 200_000
    seconds: float = 300.0
    k: int = 8
    evidence_tokens: int = 4000
    frames: int = 0
    size: int = 512
    orders: int = 4
    abstain_below: float = 0.0
    trace: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(self, rounds=1, tokens=1, k=1, evidence_tokens=1, frames=0, size=16, orders=1)
        if not 0 < self.seconds < math.inf:
            raise ValueError(f"seconds must be a positive number, got {self.seconds}")
        if not 0 <= self.abstain_below <= 1:
            raise ValueError(f"abstain_below must lie in 0..1, got {self.abstain_below}")
        if self.trace is not None and (not isinstance(self.trace, str) or not self.trace):
            raise ValueError(f"trace must be a path or null, got {self.trace!r}")
