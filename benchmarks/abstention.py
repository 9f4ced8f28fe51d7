"""How well the extractive answerer tells what it can answer from what it cannot.

    python benchmarks/abstention.py [--data ../shared/data] [--misses]

Six corpora: a NASA film's own subtitles, one EPIC-KITCHENS-100 video's narration, QVHighlights
captions (read from --data), and three that ``abstention.json`` holds. Each is indexed and asked as
a user would. Of the questions, some are answered in the corpus (in other words), some are about
something absent ("absent"), some about something near that is not answered either ("near").

The weights and the threshold were chosen on ``seen``, so its figures flatter. ``fresh`` was written
after they were fixed and never used to choose anything.

Also multiple choice: against chance and against choosing without evidence, and the share of
questions abstained from when they are put to a corpus that has nothing to do with them.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measure import report

import egorag
from egorag.encode.minilm import MiniLM
from egorag.generate.extractive import Extractive

EK100_VIDEO = "P01_11"
QVH_ROWS = 150
HERE = Path(__file__).parent
THRESHOLD = Extractive().abstain_below


@dataclass(frozen=True)
class Asked:
    """One question put to one corpus; ``kind`` is empty where it is answered there."""

    corpus: str
    question: str
    kind: str
    confidence: float
    right: bool


@dataclass(frozen=True)
class Chosen:
    """One multiple-choice question; ``abstained_elsewhere``: put to corpora it is foreign to."""

    corpus: str
    right: bool
    blind_right: bool
    abstained: bool
    abstained_elsewhere: list[bool]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    parser.add_argument("--misses", action="store_true", help="list the wrong decisions")
    given = parser.parse_args()
    given_set = json.loads((HERE / "abstention.json").read_text())
    with tempfile.TemporaryDirectory() as folder:
        indexes = _indexes(given_set["corpora"], given.data, Path(folder))
        asked = _ask(indexes, given_set["questions"])
        choices = _choose(indexes, given_set["choices"])
        for index in indexes.values():
            index.close()
    fresh = set(given_set["fresh"])
    misses = [a for a in asked if (a.confidence >= THRESHOLD) != (a.kind == "")]
    report(
        seen=_figures([a for a in asked if a.corpus not in fresh])
        | {"choices": _shares([c for c in choices if c.corpus not in fresh])},
        fresh=_figures([a for a in asked if a.corpus in fresh])
        | {"choices": _shares([c for c in choices if c.corpus in fresh])},
        **({"misses": [vars(a) for a in misses]} if given.misses else {}),
    )


def _indexes(given: dict[str, dict], data: Path, folder: Path) -> dict[str, egorag.Index]:
    """One index a corpus."""
    lines = {
        name: [
            {"start": i * c["seconds"], "end": (i + 1) * c["seconds"], "text": text}
            | {"track": c["track"]}
            for i, text in enumerate(c["lines"])
        ]
        for name, c in given.items()
    }
    with (data / "ek100" / "EPIC_100_validation.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if r["video_id"] == EK100_VIDEO]
    lines["ek100"] = [
        {"start": _seconds(r["start_timestamp"]), "end": _seconds(r["stop_timestamp"])}
        | {"text": r["narration"]}
        for r in rows
    ]
    captions = (data / "qvhighlights" / "highlight_val_release.jsonl").read_text().splitlines()
    lines["qvh"] = [
        {"start": 5 * i, "end": 5 * i + 5, "text": json.loads(row)["query"]}
        for i, row in enumerate(captions[:QVH_ROWS])
    ]
    made = {}
    for name, said in lines.items():
        path = folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps({"video": name, **line}) + "\n" for line in said))
        made[name] = egorag.build(path, folder / name, ["encoder=minilm"])
    film = data / "media" / "nasa_13013.mp4"
    made["nasa"] = egorag.build(film, folder / "nasa", ["encoder=[minilm,subtitles]"])
    return made


def _seconds(clock: str) -> float:
    hours, minutes, seconds = clock.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _ask(indexes: dict[str, egorag.Index], questions: list[list]) -> list[Asked]:
    always = Extractive(abstain_below=0)
    asked = []
    for corpus, question, expected, kind in questions:
        answer = indexes[corpus].ask(question, answerer=always)
        right = expected is not None and any(expected in c.quote for c in answer.citations)
        asked.append(Asked(corpus, question, kind, answer.confidence, right))
    return asked


def _choose(indexes: dict[str, egorag.Index], given: list[list]) -> list[Chosen]:
    encoder = MiniLM()
    encoder.setup()
    found = []
    for corpus, question, choices, expected in given:
        forced = indexes[corpus].ask(question, choices=choices, answerer=Extractive(0))
        freely = indexes[corpus].ask(question, choices=choices)
        rows = encoder.embed_texts([question, *choices])
        blind = int((rows[1:] @ rows[0]).argmax())
        elsewhere = [
            indexes[other].ask(question, choices=choices).abstained
            for other in ("nasa", "bees")
            if other != corpus
        ]
        right = forced.choice == expected
        found.append(Chosen(corpus, right, blind == expected, freely.abstained, elsewhere))
    return found


def _shares(chosen: list[Chosen]) -> dict[str, float]:
    return {
        "questions": len(chosen),
        "accuracy": _share([c.right for c in chosen]),
        "accuracy_without_evidence": _share([c.blind_right for c in chosen]),
        "answered": _share([not c.abstained for c in chosen]),
        "abstained_elsewhere": _share([a for c in chosen for a in c.abstained_elsewhere]),
    }


def _figures(asked: list[Asked]) -> dict[str, object]:
    shown = [a for a in asked if not a.kind and a.confidence >= THRESHOLD]
    kinds = {"answerable": "", "absent": "absent", "near": "near"}
    return {
        "questions": {name: sum(a.kind == kind for a in asked) for name, kind in kinds.items()},
        "auroc_absent": _auroc(asked, "absent"),
        "auroc_near": _auroc(asked, "near"),
        "auroc_both": _auroc(asked, "absent", "near"),
        "answered": {
            name: _share([a.confidence >= THRESHOLD for a in asked if a.kind == kind])
            for name, kind in kinds.items()
        },
        "quote_right_when_answered": _share([a.right for a in shown]),
    }


def _auroc(asked: list[Asked], *kinds: str) -> float:
    """Chance that an answerable question gets more confidence than one of ``kinds``."""
    yes = np.array([a.confidence for a in asked if not a.kind])[:, None]
    no = np.array([a.confidence for a in asked if a.kind in kinds])
    return round(float((yes > no).mean() + (yes == no).mean() / 2), 3)


def _share(flags: list[bool]) -> float:
    return round(float(np.mean(flags)), 3)


if __name__ == "__main__":
    main()
