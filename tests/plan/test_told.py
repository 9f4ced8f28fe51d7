"""What commands tell of the plan."""

from __future__ import annotations

import json
from typing import Any

import pytest


@pytest.mark.parametrize("name, text", [("search", "query"), ("ask", "question")])
def test_the_plan_comes_first_where_there_is_one(
    name: str, text: str, sample_index: Any, command: Any
) -> None:
    timed = f"{text}=what is said in the first 10 seconds?"
    told = command(name, f"index={sample_index}", timed, "planner=rules")
    assert told.returncode == 0, told.stderr
    first = told.stdout.splitlines()[0]
    assert first == "plan: searched 'what is said?' (in the first 10 seconds)"
    plan = json.loads(
        command(name, f"index={sample_index}", timed, "planner=rules", "output=json").stdout
    )["plan"]
    assert [step["text"] for step in plan["steps"]] == ["what is said?"]
    literal = command(name, f"index={sample_index}", f"{text}=what is said?", "planner=rules")
    assert not literal.stdout.startswith("plan:")
