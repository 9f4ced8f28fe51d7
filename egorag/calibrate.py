"""python -m egorag.calibrate: how sure an answerer may be, from questions with known answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egorag.cli import Result, main
from egorag.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from egorag.train.questions import Question
    from egorag.types import Answer

    Asked = Sequence[tuple[Question, Answer]]

ABOUT = """Ask questions with known answers, and learn what an answerer's confidence is worth.

  python -m egorag.calibrate index=runs/all questions=questions.jsonl to=runs/all/calibration
  python -m egorag.ask index=runs/all question="..." calibration=runs/all/calibration \\
      target_risk=0.1

One JSON object a line: {"question": "Which mug?", "choices": ["red", "blue"], "answer": 1,
"video": "a.mp4"}; without choices, "relevant": [{"video", "start", "end"}] says where the answer
lies; "answer": null is a question that nothing answers. Numbers after calibration are of questions
that it was not fitted on (folds dealt by video)."""

LEAST = 20
"""Answers to fit on, at least."""
COVERAGES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def run(settings: dict[str, Any]) -> Result:
    """Calibrate on ``settings["questions"]``; write ``settings["to"]`` where given."""
    import numpy as np

    from egorag import registry
    from egorag.config import parse_list
    from egorag.metrics.calibrators import FITS
    from egorag.train import card
    from egorag.train.calibration import CONFIDENCE, KIND, RIGHT, always_answering, setup_of

    kind, to = settings["calibrator"], settings["to"] and Path(settings["to"])
    if kind not in FITS:
        raise ConfigError(f"no calibrator {kind!r}{did_you_mean(str(kind), FITS)}")
    _check(settings)
    if to:
        card.check_target(to)
    methods = registry.methods(settings)
    built = registry.build("answerers", "answerer", settings["answerer"])
    with registry.closing(always_answering(built)) as answerer:
        asked = _ask(settings, answerer, methods)
    given = [(question, answer) for question, answer in asked if not answer.abstained]
    # As the folder keeps them, so that ask draws the same line.
    sure = np.array([answer.confidence for _, answer in given], np.float32).astype(np.float64)
    right = np.array([question.right(answer) for question, answer in given], bool)
    groups = [question.group for question, _ in given]
    if len(given) < LEAST or len(set(groups)) < 2:
        raise ConfigError(
            f"{len(given)} of {len(asked)} questions were answered, in {len(set(groups))} groups "
            f"(videos, or questions asked of all); at least {LEAST} answers in two groups are "
            "needed, better hundreds"
        )
    data = {**_counts(asked), **_measured(sure, right, groups, len(asked), settings)}
    if to:
        without = parse_list("without", settings["without"])
        setup = setup_of(answerer, methods, settings["k"], without)
        fitted = FITS[kind](sure, right)
        written = card.Card(
            kind=KIND,
            spaces={},
            trained_on={"questions": card.file_hash(Path(settings["questions"])), **_counts(asked)},
            settings={"setup": setup, "calibrator": kind, **_chosen(settings)},
            model={"calibrator": fitted.to_json()},
            scores=data,
        )
        card.write(
            to, written, {CONFIDENCE: sure.astype(np.float32), RIGHT: right.astype(np.float32)}
        )
        data = {"to": str(to), **data}
    return Result(data, _told(data, kind, to))


def _check(settings: dict[str, Any]) -> None:
    for name, least in (("folds", 2), ("seed", 0), ("k", 1)):
        value = settings[name]
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ConfigError(f"{name} must be a whole number from {least} up, got {value!r}")
    target = settings["target_risk"]
    if not isinstance(target, (int, float)) or not 0 < target < 1:
        raise ConfigError(f"target_risk must be a share between 0 and 1, got {target!r}")


def _chosen(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: settings[name] for name in ("target_risk", "folds", "seed")}


def _ask(settings: dict[str, Any], answerer: Any, methods: dict[str, Any]) -> Asked:
    from egorag.api import open_index
    from egorag.config import parse_list
    from egorag.train.questions import read_questions

    with open_index(
        settings["index"],
        device=settings["device"],
        encoders=settings["encoders"],
        projections=parse_list("projections", settings["projections"]),
    ) as index:
        questions = read_questions(Path(settings["questions"]), index.videos())
        without = parse_list("without", settings["without"])
        return [
            (
                question,
                index.ask(
                    question.text,
                    choices=question.choices,
                    k=settings["k"],
                    until=question.until,
                    videos=[question.video] if question.video else [],
                    without=without,
                    answerer=answerer,
                    **methods,
                ),
            )
            for question in questions
        ]


def _counts(asked: Asked) -> dict[str, int]:
    return {
        "questions": len(asked),
        "answered": sum(not answer.abstained for _, answer in asked),
        "unanswerable": sum(not question.answerable for question, _ in asked),
        "unanswerable_abstained": sum(
            not question.answerable and answer.abstained for question, answer in asked
        ),
        "groups": len({question.group for question, _ in asked}),
    }


def _measured(
    sure: npt.NDArray[np.float64],
    right: npt.NDArray[np.bool_],
    groups: Sequence[str],
    questions: int,
    settings: dict[str, Any],
) -> dict[str, Any]:
    from egorag.metrics import calibration, selective
    from egorag.metrics.calibrators import cross_fitted
    from egorag.metrics.intervals import Rows, clustered

    seed = settings["seed"]
    after = cross_fitted(settings["calibrator"], sure, right, groups, settings["folds"], seed)

    def interval(measure: Callable[[Rows], float], of: Sequence[str]) -> dict[str, Any]:
        return clustered(measure, of, seed=seed).to_json()

    def both(measure: Callable[..., float]) -> dict[str, Any]:
        def of_one(held: npt.NDArray[np.float64]) -> dict[str, Any]:
            return interval(lambda rows: measure(held[rows], right[rows]), groups)

        return {"before": of_one(sure), "after": of_one(after)}

    def at(confidence: float) -> dict[str, Any]:
        inside = sure >= confidence
        of = [group for group, kept in zip(groups, inside, strict=True) if kept]
        wrong = ~right[inside]
        return {
            "coverage": float(inside.sum()) / questions,
            "confidence": confidence,
            **interval(lambda rows: float(wrong[rows].mean()), of),
        }

    curve = selective.risk_coverage(sure, right)
    places = [int((curve.coverage >= share - 1e-9).argmax()) for share in COVERAGES]
    rows = [at(float(curve.threshold[place])) for place in dict.fromkeys(places)]
    found = selective.threshold_for(sure, right, settings["target_risk"])
    return {
        "accuracy": interval(lambda drawn: float(right[drawn].mean()), groups),
        "ece": both(calibration.calibration_error),
        "brier": both(calibration.brier),
        "auroc": calibration.auroc(sure, right),
        "aurc": selective.area_under_risk_coverage(sure, right),
        "reliability": [bin.to_json() for bin in calibration.reliability(after, right)],
        "risk_coverage": rows,
        "threshold": found and found.to_json(),
        "target_risk": settings["target_risk"],
    }


def _told(data: dict[str, Any], kind: str, to: Path | None) -> str:
    def shown(one: dict[str, Any]) -> str:
        return f"{one['value']:.3f} [{one['low']:.3f}, {one['high']:.3f}]"

    auroc = "all right or all wrong" if data["auroc"] is None else f"{data['auroc']:.3f}"
    lines = [
        f"{data['questions']} questions in {data['groups']} groups (videos, or questions asked of "
        f"all), {data['answered']} answered; "
        f"{data['unanswerable']} have no answer, abstained on {data['unanswerable_abstained']}",
        f"right, of those answered   {shown(data['accuracy'])}",
        f"                            before                    after ({kind}, cross-fitted)",
        *(
            f"{name}  {shown(data[key]['before']):24}  {shown(data[key]['after'])}"
            for key, name in (
                ("ece", "expected calibration error"),
                ("brier", "Brier score               "),
            )
        ),
        f"AUROC {auroc}; area under risk and coverage {data['aurc']:.3f}",
        "",
        "answered  confidence  wrong, of these",
    ]
    for row in data["risk_coverage"]:
        between = "" if row["low"] is None else f" [{row['low']:.3f}, {row['high']:.3f}]"
        lines.append(
            f"{row['coverage']:8.0%}  {row['confidence']:10.3f}  {row['value']:.3f}{between}"
        )
    found, target = data["threshold"], data["target_risk"]
    if found is None:
        lines.append(f"\nno threshold can promise a risk of {target:g} on so few or such answers")
    else:
        lines.append(
            f"\nfrom a confidence of {found['value']:g} on at most {target:g} are wrong, with "
            f"probability {1 - found['delta']:g}, if questions come independently: "
            f"{found['given']} of {data['questions']} are answered, {found['wrong']} wrong"
        )
    if to:
        lines.append(f"python -m egorag.ask ... calibration={to} target_risk={target:g}")
    return "\n".join(lines)


if __name__ == "__main__":
    main("calibrate", ABOUT, run)
