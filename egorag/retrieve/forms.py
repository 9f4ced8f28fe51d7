"""In which form a scene is evidence: what is seen of it, or one track of its text."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from egorag.retrieve.retriever import BM25, QueryVectors, Retriever
from egorag.retrieve.snippet import MARKERS
from egorag.retrieve.words import content_words
from egorag.terminal import plain
from egorag.types import Query, TimedText

PERCEIVED = frozenset({"frames", "clip", "sound"})
"""Forms that are no text. A reader of text alone gets all the text there is in their place."""

_OF_TRACK = {"subtitle": "transcript"}


def says(form: str | None, track: str) -> bool:
    """Whether the text of a track belongs to a form.

    >>> says("transcript", "subtitle"), says("caption", "ocr"), says("frames", "ocr")
    (True, False, True)
    """
    return form is None or form in PERCEIVED or _OF_TRACK.get(track, track) == form


def form_of(
    ranking: str,
    query: Query,
    vectors: QueryVectors,
    retriever: Retriever,
    lines: Iterable[TimedText],
) -> str | None:
    """The form in which a ranking has found a scene; None where it has no text.

    An encoder of pictures finds frames, one that takes video clips finds a clip, one of sound
    sound. Of text it is the track nearest to the query: in the encoder's own space, or by the
    share of the query's content words in it for BM25; of equal ones the first by name.

    Args:
        lines: the scene's text that the query may see.
    """
    name, _, _ = ranking.partition(":")
    row = retriever.folder.catalog.encoders().get(name)
    if row is not None and row.medium != "text" and row.space is not None:
        moving = "video" in row.space.queries
        return "sound" if row.medium == "sound" else "clip" if moving else "frames"
    said: dict[str, list[str]] = {}
    for line in lines:
        if line.track not in MARKERS:
            said.setdefault(_OF_TRACK.get(line.track, line.track), []).append(plain(line.text))
    tracks = sorted(said)
    if not tracks or query.text is None:
        return None
    texts = [" ".join(said[track]) for track in tracks]
    embed = getattr(retriever.encoders.get(name), "embed_texts", None)
    if ranking == BM25 or embed is None or (name, "text") not in vectors:
        *words, asked = content_words([*texts, query.text])
        near = [len(asked & of_track) for of_track in words]
    else:
        near = (embed(texts) @ vectors[name, "text"].values).tolist()
    return tracks[int(np.argmax(near))]
