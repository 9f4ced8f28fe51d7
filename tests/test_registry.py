"""Plugins: loaded when asked for, refused by name."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from egorag import registry
from egorag.errors import ConfigError


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    points: list[EntryPoint] = []
    monkeypatch.setattr(
        registry, "entry_points", lambda group: [p for p in points if p.group == group]
    )
    registry.plugins.cache_clear()
    yield points  # type: ignore[misc]
    registry.plugins.cache_clear()


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, "egorag.encoders")


def test_a_broken_plugin_fails_only_when_asked_for(installed: list[EntryPoint]) -> None:
    installed += [point("bad", "no_such_module:Thing"), point("good", "fractions:Fraction")]
    assert (
        registry.build("encoders", "good", {"_target_": "fractions.Fraction", "numerator": 3}) == 3
    )
    with pytest.raises(ConfigError, match=r"'bad'.*no_such_module"):
        registry.build("encoders", "bad", {"_target_": "no_such_module.Thing"})


def test_two_plugins_of_one_name_are_refused(installed: list[EntryPoint]) -> None:
    installed += [point("same", "fractions:Fraction"), point("same", "decimal:Decimal")]
    with pytest.raises(ConfigError, match="two plugins are called 'same'"):
        registry.plugins("encoders")


def test_the_same_plugin_seen_twice_is_one(installed: list[EntryPoint]) -> None:
    installed += [point("same", "fractions:Fraction"), point("same", "fractions:Fraction")]
    assert list(registry.plugins("encoders")) == ["same"]


def test_unknown_group() -> None:
    with pytest.raises(ConfigError, match="did you mean 'encoders'"):
        registry.plugins("encoder")


def test_what_holds_something_is_closed_whatever_happens() -> None:
    class Holds:
        closed = 0

        def close(self) -> None:
            self.closed += 1

    holds = Holds()
    with pytest.raises(ZeroDivisionError), registry.closing(holds) as given:
        assert given is holds and not holds.closed
        raise ZeroDivisionError
    assert holds.closed == 1
    with registry.closing("holds nothing") as text:
        assert text == "holds nothing"
