"""What a run may cost: tokens and seconds. No request is sent that would go beyond."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from egorag.errors import ServerError


class BudgetError(ServerError):
    """A request was not sent because the budget does not allow it."""


@dataclass
class Budget:
    """The budget of one run and what is spent of it.

    Attributes:
        tokens: of all requests and replies together.
        seconds: of the whole run.
        clock: seconds that only go forward.
        kept: tokens kept back for the last request.
        last: whether that one is being made. Before, time for it is kept back, too.
        spent: tokens so far.
        passed: seconds from the start to the latest request or reply.
    """

    tokens: int
    seconds: float
    clock: Callable[[], float]
    kept: int = 0
    last: bool = False
    spent: int = 0
    passed: float = 0.0
    _slowest: float = 0.0
    _started: float = field(init=False)

    def __post_init__(self) -> None:
        self._started = self.clock()

    def allow(self, tokens: int) -> None:
        """A request of ``tokens``, reply included, is about to be sent.

        Raises:
            BudgetError: too few tokens or seconds are left.
        """
        self.passed = self.clock() - self._started
        if self.spent + tokens + (0 if self.last else self.kept) > self.tokens:
            raise BudgetError(
                f"the budget of answerer.tokens={self.tokens} allows no further request"
            )
        ahead = 0.0 if self.last else 2 * self._slowest
        if self.passed + ahead >= self.seconds:
            raise BudgetError(
                f"the budget of answerer.seconds={self.seconds:g} allows no further request"
            )

    def spend(self, tokens: int) -> None:
        """The request just allowed is over and took ``tokens``."""
        self.spent += tokens
        began, self.passed = self.passed, self.clock() - self._started
        self._slowest = max(self._slowest, self.passed - began)
