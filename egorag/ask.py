"""python -m egorag.ask: answer a question from an index, with checked citations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egorag.cli import Result, main
from egorag.errors import ConfigError

if TYPE_CHECKING:
    from egorag.train.calibration import Calibration

ABOUT = """Answer a question from an index. Every quote is checked against it before it is shown.

  python -m egorag.ask index=runs/kitchen question="Where did I leave the knife?"
  python -m egorag.ask index=runs/kitchen question="Which mug?" choices='["red", "blue"]'

The default answerer uses no language model: it composes the answer from the best evidence and
abstains when that is weak."""


def run(settings: dict[str, Any]) -> Result:
    """Ask ``settings["index"]``."""
    from egorag import registry
    from egorag.api import open_index
    from egorag.config import parse_choices, parse_list
    from egorag.plan.base import told
    from egorag.render import answer_text, left_out_text

    without = parse_list("without", settings["without"])
    videos = parse_list("videos", settings["videos"])
    methods = registry.methods(settings)
    built = registry.build("answerers", "answerer", settings["answerer"])
    calibration = None
    if settings["calibration"] is not None:
        calibration, built = _calibrated(settings, built, methods, without)
    elif settings["target_risk"] is not None:
        raise ConfigError("target_risk needs calibration=FOLDER of python -m egorag.calibrate")
    with (
        registry.closing(built) as answerer,
        open_index(
            settings["index"],
            device=settings["device"],
            encoders=settings["encoders"],
            projections=parse_list("projections", settings["projections"]),
        ) as index,
    ):
        answer = index.ask(
            settings["question"],
            choices=parse_choices(settings["choices"]),
            k=settings["k"],
            after=settings["after"],
            before=settings["before"],
            until=settings["until"],
            videos=videos,
            without=without,
            **methods,
            answerer=answerer,
        )
        if calibration is not None:
            answer = calibration.applied(answer, settings["target_risk"])
        left_out = index.left_out(settings["question"], without=without)
    plan = told(answer.plan) if answer.plan else []
    text = "\n".join([*plan, answer_text(answer), *left_out_text(left_out), *answer.notes])
    return Result({**answer.to_json(), "left_out": left_out}, text)


def _calibrated(
    settings: dict[str, Any], answerer: Any, methods: dict[str, Any], without: Sequence[str]
) -> tuple[Calibration, Any]:
    """The calibration that fits these settings, and the answerer without its own threshold."""
    from egorag.train.calibration import Calibration, always_answering, setup_of

    calibration = Calibration.open(Path(settings["calibration"]))
    calibration.check(setup_of(answerer, methods, settings["k"], without))
    if settings["target_risk"] is not None:
        calibration.threshold(settings["target_risk"])
    return calibration, always_answering(answerer)


if __name__ == "__main__":
    main("ask", ABOUT, run)
