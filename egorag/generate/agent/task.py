"""A question with all that belongs to it, and how a trace tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from egorag.errors import ConfigError
from egorag.generate.base import Searcher
from egorag.generate.model_answerer import LONGEST
from egorag.generate.question import asked
from egorag.generate.reply import LETTERS
from egorag.store.catalog import Catalog
from egorag.store.folder import IndexFolder
from egorag.types import Hit, Query


@dataclass(frozen=True)
class Task:
    """A question with what belongs to it.

    Attributes:
        options: the choices; none for an open question.
        hits: what the question itself found.
        search: None where there is none.
    """

    question: str
    options: Sequence[str]
    query: Query
    hits: Sequence[Hit]
    catalog: Catalog
    search: Searcher | None


def task_of(
    query: Query,
    hits: Sequence[Hit],
    folder: IndexFolder,
    search: Searcher | None,
    choices: Sequence[str] | None,
) -> Task:
    """The task of an answerer's arguments.

    Raises:
        ConfigError: an empty question, or choices that cannot be asked for.
    """
    question, options = asked(query, choices, LONGEST)
    if len(set(options)) > len(LETTERS):
        raise ConfigError(f"choices may be {len(LETTERS)} at most, got {len(set(options))}")
    return Task(question, options, query, tuple(hits), folder.catalog, search)


def start(task: Task, settings: dict[str, Any], version: str) -> dict[str, Any]:
    """The first line of a trace: all that a replay needs besides the index.

    Args:
        settings: without the trace's own path.
    """
    query = task.query
    times = {
        name: time if time is None or isinstance(time, (int, float)) else time.isoformat()
        for name, time in (("after", query.after), ("before", query.before), ("until", query.until))
    }
    return {
        "version": version,
        "settings": settings,
        "question": query.text,
        "choices": list(task.options) or None,
        "filters": {**times, "videos": list(query.videos)},
        "generation": task.catalog.generation(),
        "searches": task.search is not None,
        "hits": [{"scene": hit.scene.id, **hit.to_json()} for hit in task.hits],
    }
