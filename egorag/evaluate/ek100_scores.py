"""Files of class scores for EPIC-KITCHENS-100's clips.

A file of predictions is one of

- FILE.json, the official submission: {"results": {narration_id: {"verb": {"0": score, ...},
  "noun": {...}, "action": {"verb,noun": score, ...}}}}; "action" may be left out of all;
- FILE.npz with ``verb_output`` [clips, 97], ``noun_output`` [clips, 300] and ``narration_id``
  [clips] (the owners' evaluation takes the same as a pickle, which is refused here);
- FILE.safetensors with the two arrays, in the order of the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from egorag.errors import ConfigError
from egorag.evaluate.ek100 import refuse_pickle
from egorag.evaluate.files import parse

Floats = npt.NDArray[np.float64]
Actions = tuple[dict[tuple[int, int], float], ...]


@dataclass(frozen=True, eq=False)
class ClassScores:
    """Of each clip, in the order of the table.

    Attributes:
        verb, noun: float [clips, classes].
        action: scores by (verb, noun) of those listed; None where the file has none.
    """

    verb: Floats
    noun: Floats
    action: Actions | None = None


def read_scores(path: str | Path, ids: Sequence[str], verbs: int, nouns: int) -> ClassScores:
    """The scores of the clips ``ids``, see the module.

    Raises:
        ConfigError: a pickle, a damaged file, other clips or classes than expected, a score that
            is no number.
    """
    path = Path(path)
    refuse_pickle(path)
    as_json = path.suffix == ".json"
    scores = _submission(path, ids, verbs, nouns) if as_json else _arrays(path, ids)
    for name, array, width in (("verb", scores.verb, verbs), ("noun", scores.noun, nouns)):
        if array.shape != (len(ids), width):
            raise ConfigError(
                f"{path}: expected {name} scores [{len(ids)}, {width}], got {list(array.shape)}"
            )
        if not np.isfinite(array).all():
            raise ConfigError(f"{path}: {name} scores hold NaN or infinity")
    return scores


def _arrays(path: Path, ids: Sequence[str]) -> ClassScores:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        if path.suffix == ".safetensors":
            held: Mapping[str, Any] = load_file(path)
        else:
            with np.load(path, allow_pickle=False) as file:
                held = dict(file)
    except (OSError, ValueError, EOFError, BadZipFile, SafetensorError) as error:
        raise ConfigError(f"cannot read the scores {str(path)!r}: {error}") from None
    lacking = [name for name in ("verb_output", "noun_output") if name not in held]
    if lacking:
        raise ConfigError(f"{path} has no {lacking[0]}; it holds {', '.join(held) or 'nothing'}")
    order: Any = slice(None)
    if "narration_id" in held:
        place = {str(id): at for at, id in enumerate(held["narration_id"].ravel())}
        _check_ids(path, place, ids)
        order = np.array([place[id] for id in ids])
    try:
        verb, noun = (np.asarray(held[f"{n}_output"], np.float64)[order] for n in ("verb", "noun"))
    except (ValueError, IndexError) as error:
        raise ConfigError(f"{path}: {error}") from None
    return ClassScores(verb, noun)


def _submission(path: Path, ids: Sequence[str], verbs: int, nouns: int) -> ClassScores:
    try:
        told = parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read the scores {str(path)!r}: {error}") from None
    results = told.get("results") if isinstance(told, dict) else None
    if not isinstance(results, dict):
        raise ConfigError(f"{path}: expected the official submission, an object with results")
    _check_ids(path, results, ids)
    verb = np.array([_row(path, id, results[id], "verb", verbs) for id in ids])
    noun = np.array([_row(path, id, results[id], "noun", nouns) for id in ids])
    with_action = [id for id in ids if "action" in results[id]]
    if not with_action:
        return ClassScores(verb, noun)
    if len(with_action) < len(ids):
        raise ConfigError(f"{path}: {len(with_action)} of {len(ids)} clips have actions; give all")
    return ClassScores(verb, noun, tuple(_pairs(path, id, results[id]["action"]) for id in ids))


def _row(path: Path, id: str, result: Any, task: str, width: int) -> list[float]:
    """Scores in the order of the classes, which are 0 to ``width`` - 1."""
    scores = result.get(task) if isinstance(result, dict) else None
    try:
        if not isinstance(scores, dict) or len(scores) != width:
            raise ValueError(f"not {width} classes")
        return [float(scores[str(number)]) for number in range(width)]
    except (TypeError, KeyError, ValueError):
        raise ConfigError(
            f'{path}, {id}: {task} must score the classes "0" to "{width - 1}" by numbers'
        ) from None


def _pairs(path: Path, id: str, told: Any) -> dict[tuple[int, int], float]:
    try:
        pairs = {tuple(map(int, key.split(","))): float(score) for key, score in told.items()}
    except (AttributeError, TypeError, ValueError):
        pairs = {(): 0.0}
    if any(len(pair) != 2 or not np.isfinite(score) for pair, score in pairs.items()):
        raise ConfigError(f'{path}, {id}: action must be scores by "verb,noun"')
    return {(pair[0], pair[1]): score for pair, score in pairs.items()}


def _check_ids(path: Path, told: Mapping[str, Any], ids: Sequence[str]) -> None:
    known = set(ids)
    lacking, odd = [id for id in ids if id not in told], [id for id in told if id not in known]
    if lacking or odd:
        what = f"{len(lacking)} clips lack scores, as {lacking[0]!r}" if lacking else ""
        more = f"{len(odd)} ids are of no clip, as {odd[0]!r}" if odd else ""
        raise ConfigError(f"{path}: {'; '.join(filter(None, (what, more)))}")
