"""python -m egorag.replay: read an agent's trace, and carry it out again on an index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from egorag.cli import Result, main

ABOUT = """Show the steps of answerer=agent from its trace. With an index, carry every tool call out
again, with the recorded replies in place of the server, and say what differs (exit code 1).

  python -m egorag.replay trace=runs/traces/one.jsonl
  python -m egorag.replay trace=runs/traces/one.jsonl index=runs/kitchen

Search settings that were given to python -m egorag.ask must be given here, too."""


def run(settings: dict[str, Any]) -> Result:
    """Replay ``settings["trace"]``."""
    from egorag import registry
    from egorag.api import open_index
    from egorag.config import parse_list
    from egorag.generate.agent.told import steps
    from egorag.generate.agent.trace import read_trace

    lines, cut = read_trace(Path(settings["trace"]))
    data: dict[str, Any] = {
        "steps": lines,
        "cut": cut,
        "same": None,
        "differences": [],
        "notes": [],
    }
    if cut:
        data["notes"].append("the last line of the trace is cut off and was left out")
    text = [steps(lines)]
    if settings["index"] is not None:
        with open_index(
            settings["index"],
            device=settings["device"],
            encoders=settings["encoders"],
            projections=parse_list("projections", settings["projections"]),
        ) as index:
            done = index.replay(
                settings["trace"],
                without=parse_list("without", settings["without"]),
                **registry.methods(settings),
            )
        data["same"] = done.same
        data["differences"] = [difference.to_json() for difference in done.differences]
        data["notes"] += done.notes
        text += ["", *map(str, done.differences)]
        text.append("every result and the answer are the same" if done.same else "not the same")
    return Result(data, "\n".join([*text, *data["notes"]]), 1 if data["same"] is False else 0)


if __name__ == "__main__":
    main("replay", ABOUT, run)
