"""Runs of the same items side by side: scores, controls, differences and what they show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from egorag.evaluate.compare import MOST, pairwise
from egorag.evaluate.report.names import names, settings_of
from egorag.evaluate.report.runs import Finished
from egorag.metrics.intervals import Interval
from egorag.terminal import plain

FEW = 20
"""Videos below which a bootstrap over them makes intervals too narrow (Cameron, Gelbach and
Miller, "Bootstrap-based improvements for inference with clustered errors", 2008)."""

ABOVE = frozenset({"oracle"})
"""Controls that are given the evidence: what could be reached, not what must be beaten."""


@dataclass(frozen=True)
class Line:
    """A row of the leaderboard.

    Attributes:
        number: of the run, best first; None for a control.
        score: by the section's metric; None where the answers are not public.
        scores: every metric.
        references: the controls' values, to be drawn beside the run.
    """

    name: str
    number: int | None
    score: Interval | None
    scores: Mapping[str, Interval]
    references: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Section:
    """Runs that may be compared, the best first."""

    runs: Sequence[Finished]

    @property
    def first(self) -> Finished:
        """The best one, by the metric."""
        return self.runs[0]

    @property
    def metric(self) -> str:
        """The score that heads the leaderboard."""
        return self.first.metric

    @property
    def seed(self) -> int:
        """Of the bootstrap."""
        return int(self.first.record["config"]["seed"])

    @property
    def title(self) -> str:
        """The benchmark and the score."""
        return plain(f"{self.first.result['benchmark']}: {self.metric}")

    @property
    def asked(self) -> str:
        """The settings of the benchmark that are not its own defaults."""
        return plain(settings_of(self.first.record["config"].get("benchmark", {})))

    @cached_property
    def names(self) -> list[str]:
        """What the runs are called: by what differs between them."""
        configs = [run.record["config"] for run in self.runs]
        keys = [str(run.record["key"]) for run in self.runs]
        return names(configs, keys)

    @property
    def videos(self) -> int:
        """How many the items are of."""
        return len({row.item.cluster for row in self.first.main})

    @cached_property
    def lines(self) -> list[Line]:
        """Runs, then controls: each once where all runs have the same."""
        found = []
        for number, (name, run) in enumerate(zip(self.names, self.runs, strict=True)):
            scores = _intervals(run.result["scores"])
            controls = {c: _intervals(of) for c, of in run.result["controls"].items()}
            beside = {c: of[self.metric].value for c, of in controls.items() if self.metric in of}
            found.append(Line(name, number, scores.get(self.metric), scores, beside))
        return [*found, *self._controls()]

    def _controls(self) -> Iterator[Line]:
        told = dict.fromkeys(name for run in self.runs for name in run.result["controls"])
        for control in told:
            having = [
                (name, _intervals(run.result["controls"][control]))
                for name, run in zip(self.names, self.runs, strict=True)
                if control in run.result["controls"]
            ]
            same = all(scores == having[0][1] for _, scores in having)
            for name, scores in having[:1] if same else having:
                called = control if same else f"{control} of {name}"
                yield Line(called, None, scores.get(self.metric), scores, {})

    @property
    def metrics(self) -> list[str]:
        """All metrics of the runs, the section's first."""
        every = dict.fromkeys(m for run in self.runs for m in run.result["scores"])
        return sorted(every, key=lambda name: name != self.metric)

    @cached_property
    def pairs(self) -> list[dict[str, Any]]:
        """Each run against each below it, corrected for all of them; see ``compare.pairwise``."""
        rows = dict(zip(self.names, (run.main for run in self.runs), strict=True))
        return pairwise(rows, self.metric, self.seed)

    @property
    def findings(self) -> list[str]:
        """What may be said of the best run, and what may not."""
        name = self.names[0]
        found: list[str] = []
        if self.lines[0].score is None:
            return ["The answers to these items are not public: there is no score to compare."]
        found += self._against_runs(name) if len(self.runs) > 1 else []
        found += self._against_controls(name)
        if self.videos == 1:
            found.append("One video only: nothing can be said of others, no interval, no p value.")
        elif self.videos < FEW:
            found.append(
                f"Only {self.videos} videos: intervals and p values from fewer than {FEW} tend to "
                "promise too much."
            )
        return found

    def _against_runs(self, name: str) -> Iterator[str]:
        count, tests = len(self.runs), len(self.pairs)
        corrected = "one comparison" if tests == 1 else f"{tests} comparisons"
        gains = [pair for pair in self.pairs if pair["run"] == name]
        level = [pair["against"] for pair in gains if pair["value"] == 0]
        survive = [pair["against"] for pair in gains if pair["survives"]]
        fails = [pair["against"] for pair in gains if pair["value"] and not pair["survives"]]
        if level:
            yield f"{', '.join([name, *level])} score the same, the highest of {count} runs."
        else:
            yield f"{name} scores highest of {count} runs."
        if tests > MOST:
            yield f"No gain can survive {tests} comparisons: report at most 32 runs together."
        if survive:
            yield f"Its gain survives the correction for {corrected} over: {', '.join(survive)}."
        if fails:
            yield (
                f"Its gain does not survive the correction for {corrected} over: "
                f"{', '.join(fails)}."
            )

    def _against_controls(self, name: str) -> Iterator[str]:
        told = {one["against"]: one for one in self.first.result["comparisons"]}
        below = {control: one for control, one in told.items() if control not in ABOVE}
        beaten = [control for control, one in below.items() if one["survives"]]
        equal = [control for control, one in below.items() if not one["survives"]]
        if beaten:
            yield f"{name} is surely better than its controls: {', '.join(beaten)}."
        if equal:
            yield (
                f"{name} is not surely better than: {', '.join(equal)}. Until it is, a gain over "
                "other runs proves little."
            )
        if not told and self.first.result["kind"] != "boundaries":
            yield "It ran without controls: what chance or a blind model would score is unknown."
        for control, one in told.items():
            if control in ABOVE:
                yield (
                    f"Given the right scenes ({control}) it scores {-one['value']:+.3f} on "
                    f"{one['rows']} items: what finding all the evidence would add."
                )

    def categories(self, most: int) -> dict[str, dict[str, list[Line]]]:
        """The metric by category and label, a line for each of the best ``most`` runs."""
        found: dict[str, dict[str, list[Line]]] = {}
        best = list(zip(self.names, self.runs, strict=True))[:most]
        for number, (name, run) in enumerate(best):
            for category, labels in run.result["categories"].items():
                for label, told in labels.items():
                    scores = _intervals(told)
                    line = Line(name, number, scores.get(self.metric), scores, {})
                    found.setdefault(plain(category), {}).setdefault(plain(label), []).append(line)
        return found


def score_text(score: Interval | None) -> str:
    """A score as it reads in every table; a dash where there is none."""
    return "–" if score is None else str(score)


def _intervals(told: Mapping[str, Any]) -> dict[str, Interval]:
    return {name: Interval(**of) for name, of in told.items()}
