"""Which encoders of an index text reaches by a projection, and over which text encoder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from egorag.encode.projection import Projection
from egorag.errors import ConfigError, SpaceError
from egorag.spaces import EmbeddingSpace
from egorag.store.records import EncoderRow

REMEDY = "a projection trained with python -m egorag.train projection lets text in"


@dataclass(frozen=True)
class Bridge:
    """Text enters by the encoder called ``text`` and goes on through ``projection``."""

    text: str
    projection: Projection


def bridges(projections: Iterable[Projection], rows: Mapping[str, EncoderRow]) -> dict[str, Bridge]:
    """What each projection opens, by the encoder that it leads to.

    Args:
        rows: the index's encoders by name.

    Raises:
        SpaceError: a projection's space is of no encoder of the index.
        ConfigError: one leads where text enters by itself, or two lead to one encoder.
    """
    spaces = {name: row.space for name, row in rows.items() if row.space is not None}
    found: dict[str, Bridge] = {}
    for projection in projections:
        texts = [n for n, s in spaces.items() if s == projection.source and "text" in s.queries]
        if not texts:
            raise _stranger(projection, "from", projection.source, spaces)
        targets = [n for n, s in spaces.items() if s == projection.target]
        if not targets:
            raise _stranger(projection, "to", projection.target, spaces)
        for name in targets:
            if "text" in spaces[name].queries:
                raise ConfigError(
                    f"projection {projection.name!r} leads to {name}, which takes text by itself; "
                    "leave it out of projections"
                )
            if name in found:
                raise ConfigError(
                    f"projections {found[name].projection.name!r} and {projection.name!r} both "
                    f"lead to {name}; give one of them"
                )
            found[name] = Bridge(texts[0], projection)
    return found


def _stranger(
    projection: Projection, way: str, space: EmbeddingSpace, spaces: Mapping[str, EmbeddingSpace]
) -> SpaceError:
    held = "; ".join(f"{name}: {of}" for name, of in spaces.items()) or "none"
    return SpaceError(
        f"projection {projection.name!r} leads {way} {space}, a space of no encoder of this index "
        f"(it has {held}). Train one on this index: python -m egorag.train projection, or leave "
        "it out of projections"
    )
