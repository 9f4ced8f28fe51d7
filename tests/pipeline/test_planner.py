"""The pass planner: the stated rule, and what must hold for any encoders and budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egorag.encode.base import Medium
from egorag.errors import ConfigError
from egorag.pipeline.planner import memory_of, plan_passes


@dataclass
class Needs:
    """As much of an encoder as the planner asks."""

    weights: int = 0
    working: int = 0
    key: object = None
    medium: Medium = Medium.FRAMES

    def memory(self) -> int:
        return self.weights + self.working

    def weights_memory(self) -> float:
        return self.weights

    def share_key(self) -> object:
        return self.key if self.key is not None else id(self)


class Plain:
    """An encoder that says nothing of memory."""

    def __init__(self, medium: Medium = Medium.SOUND) -> None:
        self.medium = medium


TEXT, CUES = Medium.TEXT, Medium.CUES


def planned(budget: int, **encoders: Any) -> list[str]:
    plan = plan_passes(encoders, budget, "cpu")
    return [" ".join(group.encoders) for group in plan.groups]


def test_without_need_there_is_one_pass_and_no_budget() -> None:
    plan = plan_passes({"b": Plain(), "a": Plain(TEXT)}, None, "cpu")  # type: ignore[dict-item]
    assert [g.encoders for g in plan.groups] == [("b", "a")]
    assert plan.budget is None
    assert len(plan_passes({}, None, "cpu").groups) == 1


def test_what_fits_together_runs_together() -> None:
    assert planned(10, a=Needs(4), b=Plain(), c=Needs(6), t=Plain(TEXT)) == ["a b c t"]


def test_first_fit_decreasing_and_ties_in_the_configs_order() -> None:
    assert planned(10, a=Needs(3), b=Needs(7), c=Needs(5), d=Needs(5)) == ["a b", "c d"]
    assert planned(10, d=Needs(6), c=Needs(6), b=Needs(6)) == ["d", "c", "b"]


def test_what_needs_nothing_reads_in_the_first_pass_and_text_in_the_last() -> None:
    got = planned(10, cheap=Plain(), a=Needs(6), b=Needs(8), t=Plain(TEXT), s=Plain(CUES))
    assert got == ["cheap b s", "a t"]


def test_weights_that_two_use_count_once_and_stay_together() -> None:
    assert planned(10, a=Needs(8, 1, "m"), b=Needs(8, 1, "m")) == ["a b"]
    # Alone, b would fit beside c.
    assert planned(10, a=Needs(5, 1, "m"), c=Needs(4), b=Needs(5, 1, "m")) == ["a b", "c"]


def test_a_bundle_larger_than_the_budget_is_split() -> None:
    assert planned(10, a=Needs(6, 3, "m"), b=Needs(6, 3, "m")) == ["a", "b"]


def test_text_runs_after_the_rest_and_joins_the_last_pass_while_there_is_room() -> None:
    assert planned(10, t=Needs(4, medium=TEXT), a=Needs(6)) == ["t a"]
    assert planned(10, t=Needs(9, medium=TEXT), a=Needs(6)) == ["a", "t"]
    assert planned(10, t=Needs(9, medium=TEXT), s=Needs(1, medium=TEXT), a=Needs(9)) == [
        "s a",
        "t",
    ]


def test_a_model_that_text_shares_is_read_last() -> None:
    shared = {"a": Needs(6, 1, "m"), "t": Needs(6, 1, "m", TEXT)}
    assert planned(10, **shared, b=Needs(5)) == ["b", "a t"]
    two = {"b": Needs(6, 1, "n"), "u": Needs(6, 1, "n", TEXT)}
    assert planned(10, **shared, **two) == ["a", "b u", "t"], "only one pass can be the last"


def test_readers_of_subtitles_come_first() -> None:
    assert planned(10, a=Needs(9), s=Needs(8, medium=CUES)) == ["s", "a"]


def test_one_larger_than_the_budget_runs_alone_and_is_told() -> None:
    plan = plan_passes(
        {"big": Needs(12 * 10**9), "small": Needs(10**9)},  # type: ignore[dict-item]
        8 * 10**9,
        "cpu",
    )
    assert [g.encoders for g in plan.groups] == [("big",), ("small",)]
    (warning,) = plan.warnings
    assert "big" in warning
    assert "12.0 GB" in warning
    assert "8.0 GB" in warning
    assert str(plan) == "2 passes within 8.0 GB: 1. big (12.0 GB); 2. small (1.0 GB)"
    # Beside what needs nothing it is as good as alone.
    assert planned(5, plain=Plain(), big=Needs(9, medium=TEXT)) == ["plain big"]


def test_auto_takes_most_of_what_is_free() -> None:
    from egorag.encode.pretrained.placement import free_memory

    plan = plan_passes({"a": Needs(1)}, None, "cpu")  # type: ignore[dict-item]
    assert plan.budget is not None
    assert 0.5 * free_memory("cpu") < plan.budget < free_memory("cpu")


@pytest.mark.parametrize("value", [0, -1, "8 apples", "", "GB", True, float("nan"), [8], "-3GB"])
def test_a_wrong_budget_is_named(value: object) -> None:
    with pytest.raises(ConfigError, match="memory must be auto"):
        memory_of(value)


needs = st.builds(
    Needs,
    weights=st.integers(0, 12),
    working=st.integers(0, 3),
    key=st.sampled_from([None, None, "m", "n"]),
    medium=st.sampled_from(list(Medium)),
)


@given(st.lists(needs, max_size=8), st.integers(1, 12))
def test_whatever_the_encoders(listed: list[Needs], budget: int) -> None:
    encoders: dict[str, Any] = {f"e{i}": need for i, need in enumerate(listed)}
    plan = plan_passes(encoders, budget, "cpu")
    assert plan == plan_passes(encoders, budget, "cpu")
    groups = [list(group.encoders) for group in plan.groups]
    assert sorted(n for group in groups for n in group) == sorted(encoders), "each exactly once"

    last_media = max(
        (i for i, g in enumerate(groups) for n in g if encoders[n].medium is not TEXT), default=0
    )
    for number, group in enumerate(groups):
        weights: dict[object, int] = {}
        for need in (encoders[n] for n in group):
            weights[need.share_key()] = max(weights.get(need.share_key(), 0), need.weights)
        cost = sum(weights.values()) + sum(encoders[n].working for n in group)
        assert cost == plan.groups[number].bytes or not plan.budget
        heavy = [n for n in group if encoders[n].memory()]
        assert cost <= budget or len(heavy) == 1, "within the budget, or alone"
        for name in group:
            assert encoders[name].medium is not TEXT or number >= last_media
    assert len(groups) <= max(1, sum(need.memory() > 0 for need in listed))
