"""EPIC-KITCHENS-100 multi-instance retrieval: sentences find clips, clips find sentences.

Damen et al., "Rescaling Egocentric Vision" (IJCV 2022), section 4.4. ``EPIC_100_validation.csv``
(the same bytes as ``EPIC_100_retrieval_test.csv``) holds the 9,668 clips,
``EPIC_100_retrieval_test_sentence.csv`` the 3,842 sentences, each of which is the narration of a
clip of the same narration_id.

The official numbers need the similarity of every clip with every sentence: ``similarity=FILE``.
Without it the scenes of an index stand for clips: a scene is right where it shares over half of
the shorter of the two with a clip whose verb and nouns are the sentence's.
"""

from __future__ import annotations

import zipfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from egorag.errors import ConfigError
from egorag.evaluate.annotated import Annotated
from egorag.evaluate.base import Dataset, Item, Media, Relevant, Scores
from egorag.evaluate.ek100 import TABLE, Clips, files_of, read_clips, refuse_pickle
from egorag.evaluate.files import Files
from egorag.metrics.intervals import Interval, clustered_mean
from egorag.metrics.multi_instance import relevancy, score
from egorag.spans import Span
from egorag.types import TimedText

SENTENCES = "EPIC_100_retrieval_test_sentence.csv"
CLIPS = ("EPIC_100_retrieval_test.csv", TABLE)
TEXT_ONLY = (
    "Clips are their narrations here, as text, laid end to end where they overlap: a bound on what "
    "words alone can find, not a score for video."
)

Matrix = npt.NDArray[np.floating]


@dataclass(frozen=True)
class EK100Retrieval(Annotated):
    """See the module.

    Attributes:
        similarity: clips by sentences; an .npy file in the order of the tables, or an .npz with the
            names of the official submission (``sim_mat``, ``vis_ids``, ``txt_ids``).
        text_only: search the clips' narrations as text instead of videos.
    """

    similarity: str | None = None
    text_only: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.similarity is not None and self.limit is not None:
            raise ValueError("limit draws queries of a run; a file of similarities is scored whole")
        if self.similarity is not None and self.text_only:
            raise ValueError("give similarity, which is scored, or text_only, which is searched")

    def read(self) -> Dataset:
        """One query a sentence; right are the clips of its verb and nouns."""
        files = files_of(self.folder)
        clips, said = _read(files)
        spans = _laid_out(clips) if self.text_only else clips.spans
        same: dict[Any, list[Relevant]] = defaultdict(list)
        for at, (video, span) in enumerate(zip(clips.videos, spans, strict=True)):
            same[clips.verbs[at], clips.all_nouns[at]].append(Relevant(video, span, 1.0))
        items = [
            Item(
                clips.ids[at],
                clips.texts[at],
                relevant=tuple(same[clips.verbs[at], clips.all_nouns[at]]),
            )
            for at in said
        ]
        names = dict.fromkeys(clips.videos)
        if self.text_only:
            media = _narrations(clips, spans)
        elif self.similarity is None:
            media = self.find(names)
        else:
            media = tuple(map(Media, names))
        return Dataset(
            "ek100_mir",
            "retrieval",
            self.draw(items),
            media,
            files.sources,
            (TEXT_ONLY,) if self.text_only else (),
        )

    def from_file(self, dataset: Dataset) -> Scores | None:
        """mAP and nDCG in percent, from clip to sentence (v2t), back (t2v), and their mean."""
        if self.similarity is None:
            return None
        clips, said = _read(files_of(self.folder))
        nouns = [clips.all_nouns[at] for at in said]
        right = relevancy(clips.verbs, clips.all_nouns, clips.verbs[said], nouns)
        found = _matrix(Path(self.similarity), clips, said)
        overall: dict[str, Interval | float] = {}
        videos = {"v2t": clips.videos, "t2v": [clips.videos[at] for at in said]}
        try:
            ways = {"v2t": score(found, right), "t2v": score(found.T, right.T)}
        except ValueError as error:
            raise ConfigError(f"{self.similarity}: {error}") from None
        for name, key in (("nDCG", "ndcg"), ("mAP", "average_precision")):
            values = {way: 100 * getattr(scored, key) for way, scored in ways.items()}
            overall[name] = float(np.mean([each.mean() for each in values.values()]))
            for way, each in values.items():
                overall[f"{name} {way}"] = _interval(each, videos[way], self.seed)
        return Scores("nDCG", overall, percent=True)


def _interval(values: npt.NDArray[np.float64], videos: Any, seed: int) -> Interval:
    return clustered_mean(values, videos, seed=seed)


def _read(files: Files) -> tuple[Clips, list[int]]:
    """The clips, and for each sentence the clip whose narration it is.

    Six of the published sentences stand beside another narration_id than in the table of clips;
    the id counts, as in the official code.
    """
    clips = read_clips(files, *CLIPS)
    place = {id: at for at, id in enumerate(clips.ids)}
    said: dict[int, None] = {}
    for row in files.table(("narration_id", "narration"), SENTENCES):
        id = row.text("narration_id")
        if id not in place:
            raise row.fail(f"the narration_id {id!r} is no clip's")
        if place[id] in said:
            raise row.fail(f"the narration_id {id!r} is there twice")
        said[place[id]] = None
    return clips, list(said)


def _laid_out(clips: Clips) -> tuple[Span, ...]:
    """The clips of each video end to end: they overlap, but what is searched is one clip each."""
    reached: dict[str, int] = defaultdict(int)
    found = []
    for video, span in zip(clips.videos, clips.spans, strict=True):
        found.append(Span(reached[video], reached[video] + span.duration))
        reached[video] += span.duration
    return tuple(found)


def _narrations(clips: Clips, spans: Sequence[Span]) -> tuple[Media, ...]:
    """Each video as the narrations of its clips."""
    said: dict[str, list[TimedText]] = defaultdict(list)
    for video, span, text in zip(clips.videos, spans, clips.texts, strict=True):
        said[video].append(TimedText(span, text, "caption", "narration"))
    return tuple(Media(video, texts=tuple(texts)) for video, texts in said.items())


def _matrix(path: Path, clips: Clips, said: list[int]) -> Matrix:
    """Similarities [clips, sentences] in the order of the tables."""
    refuse_pickle(path)
    try:
        loaded = np.load(path, allow_pickle=False)
        held = dict(loaded) if isinstance(loaded, np.lib.npyio.NpzFile) else {"sim_mat": loaded}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ConfigError(f"cannot read the similarities {str(path)!r}: {error}") from None
    if "sim_mat" not in held:
        raise ConfigError(f"{path} holds {', '.join(held) or 'nothing'}; it needs sim_mat")
    matrix = np.asarray(held["sim_mat"])
    shape = (len(clips.ids), len(said))
    if matrix.shape != shape or not np.issubdtype(matrix.dtype, np.number):
        raise ConfigError(
            f"{path}: expected numbers, {shape[0]} clips by {shape[1]} sentences, got "
            f"{matrix.dtype} {matrix.shape}"
        )
    sentences = tuple(clips.ids[at] for at in said)
    rows = _places(path, held.get("vis_ids"), clips.ids, "vis_ids")
    columns = _places(path, held.get("txt_ids"), sentences, "txt_ids")
    return np.asarray(matrix[rows][:, columns], np.float64)


def _places(path: Path, told: Any, expected: tuple[str, ...], key: str) -> Any:
    """Where each expected id stands in the ids of a file; all in order where it has none."""
    if told is None:
        return slice(None)
    place = {str(id): at for at, id in enumerate(np.asarray(told).ravel())}
    lacking = [id for id in expected if id not in place]
    if lacking or len(place) != len(expected):
        raise ConfigError(
            f"{path}: {key} must be the {len(expected)} narration_ids of the tables, each once; "
            f"{len(lacking)} lack{f', as {lacking[0]!r}' if lacking else ''}"
        )
    return np.array([place[id] for id in expected])
