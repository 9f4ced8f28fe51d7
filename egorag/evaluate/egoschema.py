"""EgoSchema: five-way questions over three-minute clips of Ego4D.

Mangalam et al., "EgoSchema: A Diagnostic Benchmark for Very Long-form Video Language
Understanding" (NeurIPS 2023). ``questions.json`` is a list of {"q_uid", "question", "option 0" ..
"option 4"}, ``subset_answers.json`` an object {q_uid: 0..4} of the 500 answers that are public;
the videos are ``Q_UID.mp4``. Both files: https://github.com/egoschema/EgoSchema.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from egorag.errors import ConfigError, did_you_mean
from egorag.evaluate.annotated import Annotated, used
from egorag.evaluate.base import Dataset, Item, Scores
from egorag.evaluate.files import Entry, Files
from egorag.evaluate.predictions import read_choices, score_choices

PUBLISHED = (
    "EgoSchema's owners publish questions.json and subset_answers.json at "
    "https://github.com/egoschema/EgoSchema; put both into benchmark.folder, and the videos "
    "(Q_UID.mp4) there too or into benchmark.media"
)
OPTIONS = 5
SPLITS = ("subset", "full")


@dataclass(frozen=True)
class EgoSchema(Annotated):
    """See the module.

    Attributes:
        split: ``subset``, the 500 questions whose answers are public; ``full``, all 5,031: the
            others are run, not scored.
        predictions: a JSON object {q_uid: 0..4}, the form that the owners' server takes.
    """

    split: str = "subset"
    predictions: str | None = None

    def read(self) -> Dataset:
        """The questions of the split."""
        if self.split not in SPLITS:
            raise ConfigError(f"no split {self.split!r}{did_you_mean(self.split, SPLITS)}")
        files = Files(Path(self.folder), PUBLISHED)
        questions: dict[str, Entry] = {}
        for entry in files.listed("questions.json"):
            if questions.setdefault(entry.text("q_uid"), entry) is not entry:
                raise entry.fail(f"the q_uid {entry.text('q_uid')!r} is there twice")
        answers = _answers(files, questions)
        items = [
            _item(uid, entry, answers.get(uid))
            for uid, entry in questions.items()
            if self.split == "full" or uid in answers
        ]
        chosen = self.draw(items)
        return used(Dataset("egoschema", "choice", chosen, self.find(questions), files.sources))

    def from_file(self, dataset: Dataset) -> Scores | None:
        """Accuracy on the public answers."""
        if self.predictions is None:
            return None
        return score_choices(dataset, read_choices(Path(self.predictions), dataset), self.seed)


def _answers(files: Files, questions: Mapping[str, Entry]) -> dict[str, int]:
    told = files.json("subset_answers.json")
    where = str(files.path("subset_answers.json"))
    if not isinstance(told, dict) or not told:
        raise ConfigError(f"{where}: expected an object of answers by q_uid")
    for uid in told:
        if uid not in questions:
            raise ConfigError(f"{where}: the q_uid {uid!r} is none of questions.json")
    entry = Entry(told, where)
    return {uid: entry.whole(uid, OPTIONS) for uid in told}


def _item(uid: str, entry: Entry, answer: int | None) -> Item:
    choices = tuple(entry.text(f"option {number}") for number in range(OPTIONS))
    public = answer is not None
    return Item(uid, entry.text("question"), (uid,), choices, answer, public)
