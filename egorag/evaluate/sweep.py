"""The jobs of a sweep side by side: the first against each other one, corrected together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from egorag.evaluate.base import Dataset
from egorag.evaluate.compare import SURE, comparisons
from egorag.evaluate.controls import MAIN
from egorag.evaluate.measure import Measurement
from egorag.metrics.intervals import Interval
from egorag.terminal import plain


@dataclass(frozen=True)
class Done:
    """A job of a sweep: what tells it from the others, what it ran, what it came to."""

    name: str
    dataset: Dataset
    measurement: Measurement

    @property
    def of(self) -> tuple[Any, ...]:
        """Jobs that are equal in it may be compared."""
        result = self.measurement.result
        return self.dataset.name, result["main"], tuple(sorted(self.dataset.sources.items()))


def varied(jobs: Sequence[Sequence[str]]) -> list[str]:
    """The overrides of each job that not all have.

    >>> varied([["k=3", "fuser=rrf"], ["k=3", "fuser=weighted"]])
    ['fuser=rrf', 'fuser=weighted']
    """
    shared = set.intersection(*map(set, jobs))
    names = [" ".join(one for one in job if one not in shared) for job in jobs]
    return [name or f"job {number}" for number, name in enumerate(names)]


def table(jobs: Sequence[Done]) -> str:
    """One line a job, under what it was run on: its main score with the interval, and how it
    differs from the first there: paired bootstrap, p values by Holm's method for all of them."""
    groups: dict[tuple[Any, ...], list[Done]] = {}
    for job in jobs:
        groups.setdefault(job.of, []).append(job)
    return "\n\n".join("\n".join(_lines(group)) for group in groups.values())


def _lines(jobs: Sequence[Done]) -> list[str]:
    main = jobs[0].measurement.result["main"]
    rows = {job.name: job.measurement.rows[MAIN] for job in jobs}
    against = {one["against"]: one for one in comparisons(rows, main)}
    names = {job.name: plain(job.name) for job in jobs}
    scores = {job.name: _score(job.measurement.result["scores"].get(main)) for job in jobs}
    wide, long = (max(map(len, told.values())) for told in (names, scores))
    head = f"{main} of {jobs[0].dataset.name}, jobs against {names[jobs[0].name]}"
    lines = [
        f"  {names[job.name]:{wide}}  {scores[job.name]:{long}}  {_against(against.get(job.name))}"
        for job in jobs
    ]
    return [head, *(line.rstrip() for line in lines)]


def _score(value: Any) -> str:
    return "not scored" if value is None else str(Interval(**value))


def _against(one: Mapping[str, Any] | None) -> str:
    if one is None:
        return ""
    better = -one["value"] + 0.0
    sure = one["p_corrected"] < SURE
    said = ("surely better" if better > 0 else "surely worse") if sure else "NOT surely different"
    return f"{better:+.3f}, p = {one['p_corrected']:.3g}: {said}"
