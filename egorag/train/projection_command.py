"""python -m egorag.train projection: let text find scenes of an encoder that has read none."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egorag.cli import Result
from egorag.errors import ConfigError, MissingPackageError, did_you_mean

if TYPE_CHECKING:
    from egorag.encode.base import QueryEncoder
    from egorag.store.folder import IndexFolder
    from egorag.store.records import EncoderRow
    from egorag.train.pairs import Pairs
    from egorag.train.projection import Examples

ABOUT = """Learn to find scenes of a video model by text, from scenes that have texts.

  python -m egorag.train projection index=runs/all encoder=vjepa2_fast pairs=track:caption \\
      to=runs/all/projections/captions
  python -m egorag.train projection index=runs/all encoder=vjepa2_fast pairs=told.csv to=told

A line of text goes with the scene it lies in, and with those that lie in it. Recall is measured
on videos that the training never sees, and told beside chance.
Then search with projections=[FOLDER]."""

LEAST_PAIRS = 50
LEAST_VIDEOS = 3


def run(settings: dict[str, Any]) -> Result:
    """Train on ``settings["index"]`` and write the folder ``settings["to"]``."""
    from egorag.metrics.recall import report
    from egorag.store.folder import IndexFolder
    from egorag.train import card
    from egorag.train.pairs import read_pairs
    from egorag.train.projection import KIND, Contrastive, learn, scores, tensors
    from egorag.train.settings import training_of

    if find_spec("torch") is None:
        raise MissingPackageError("training needs torch; install it: pip install 'egorag[torch]'")
    to = Path(settings["to"])
    card.check_target(to)
    training = training_of(Contrastive, settings["training"])
    with IndexFolder.open(Path(settings["index"])) as folder:
        text, target = _rows(folder, settings["text"], settings["encoder"])
        assert text.space is not None and target.space is not None
        pairs = read_pairs(folder, target, settings["pairs"])
        parts = _parts(pairs, settings, training.seed)
        encoder = _encoder(text, settings)
    try:
        examples = {name: _examples(part, encoder) for name, part in parts.items()}
    finally:
        encoder.close()
    learned = learn(examples["train"], examples["validation"], training)
    held_out, tested = examples["held_out"], parts["held_out"]
    videos = [tested.videos[clip] for clip in held_out.pairs[:, 1]]
    found = report(scores(learned.layers, held_out), held_out.pairs, videos, training.seed)
    written = card.write(
        to,
        card.Card(
            kind=KIND,
            spaces={"from": text.space, "to": target.space},
            trained_on={
                "pairs": pairs.sha256(),
                "from": {"name": text.name, "fingerprint": text.fingerprint},
                "to": {"name": target.name, "fingerprint": target.fingerprint},
                "videos": {name: sorted(set(part.videos)) for name, part in parts.items()},
                "counts": {name: _counts(part) for name, part in parts.items()},
                "unmatched": pairs.unmatched,
            },
            settings={
                **vars(training),
                "validation": settings["validation"],
                "held_out": settings["held_out"],
            },
            model={
                "widths": [text.space.dim, *(len(bias) for _, bias in learned.layers)],
                "temperature": learned.temperature,
                "epochs": learned.epochs,
            },
            scores={"validation": learned.validation, **found},
        ),
        tensors(learned.layers),
    )
    return Result({"to": str(to), **written.to_json()}, _told(to, written.to_json()))


def _rows(folder: IndexFolder, text: str, encoder: str) -> tuple[EncoderRow, EncoderRow]:
    """The two encoders of the index.

    Raises:
        ConfigError: there is none of that name, or a projection between them makes no sense.
    """
    from egorag.train.features import encoder_row

    rows = encoder_row(folder, text), encoder_row(folder, encoder)
    source, target = rows[0].space, rows[1].space
    assert source is not None and target is not None
    if "text" not in source.queries:
        every = folder.catalog.encoders()
        able = [n for n, row in every.items() if row.space and "text" in row.space.queries]
        raise ConfigError(f"text={text} takes no text{did_you_mean(text, able)}")
    if "text" in target.queries:
        raise ConfigError(f"encoder={encoder} takes text by itself; it needs no projection")
    made = (folder.catalog.encodings(v.id).get(encoder) for v in folder.catalog.videos())
    if any(each is not None and each.kind == "moments" for each in made):
        raise ConfigError(
            f"encoder={encoder} makes moments, which no query searches; a projection leads to the "
            "vectors of scenes: give an encoder that makes those, such as vjepa2_fast"
        )
    if not target.normalised:
        raise ConfigError(
            f"encoder={encoder}: its vectors are not of unit length and rank by distance; a "
            "projection is trained for cosines"
        )
    return rows


def _parts(pairs: Pairs, settings: Mapping[str, Any], seed: int) -> dict[str, Pairs]:
    """The pairs of each part of the split.

    Raises:
        ConfigError: too few pairs or videos, or a part in which every pair tells the same.
    """
    from egorag.train.splits import PARTS, split_videos

    videos = set(pairs.videos)
    if len(pairs.texts) < LEAST_PAIRS or len(videos) < LEAST_VIDEOS:
        raise ConfigError(
            f"{len(pairs.texts)} pairs of {len(videos)} videos are too few for a projection: it "
            f"needs at least {LEAST_PAIRS} pairs of {LEAST_VIDEOS} videos (to learn from, to stop "
            f"by and to test on), better thousands; {pairs.unmatched} lines of "
            f"{settings['pairs']} belong to no scene that {settings['encoder']} has read"
        )
    try:
        split = split_videos(videos, seed, settings["validation"], settings["held_out"])
    except (TypeError, ValueError) as error:
        raise ConfigError(f"validation and held_out: {error}") from error
    parts = {name: pairs.of(getattr(split, name)) for name in PARTS}
    for name, part in parts.items():
        if len(set(part.texts)) < 2 or len(part.spans) < 2:
            raise ConfigError(
                f"the {name} videos have {len(part.spans)} clips with {len(set(part.texts))} "
                "different texts; at least two of both are needed to tell them apart. Give pairs "
                "of more videos, or another training.seed"
            )
    return parts


def _encoder(row: EncoderRow, settings: Mapping[str, Any]) -> Any:
    """The index's text encoder, loaded.

    Raises:
        ConfigError: it cannot be, or settings of another encoder are given.
        SpaceError: its weights are not those the index was made with.
    """
    from egorag import registry

    for name in settings["encoders"]:
        if name != row.name:
            raise ConfigError(f"encoders.{name}: only text={row.name} is loaded for the training")
    changes = settings["encoders"].get(row.name, {})
    encoder = registry.build("encoders", row.name, {**row.settings, **changes})
    if hasattr(encoder, "fetch"):
        encoder.fetch()
    encoder.setup(settings["device"])
    assert row.space is not None
    row.space.check_same(encoder.space)
    return encoder


def _examples(pairs: Pairs, encoder: QueryEncoder) -> Examples:
    """Texts embedded as queries will be."""
    import numpy as np

    from egorag.encode.projection import embed_queries
    from egorag.train.projection import Examples

    texts = {text: i for i, text in enumerate(dict.fromkeys(pairs.texts))}
    vectors = embed_queries(encoder, list(texts))
    rows = [(texts[text], clip) for text, clip in zip(pairs.texts, pairs.clips, strict=True)]
    return Examples(vectors, pairs.vectors, np.array(rows, np.intp))


def _counts(part: Pairs) -> dict[str, int]:
    return {
        "pairs": len(part.texts),
        "texts": len(set(part.texts)),
        "clips": len(part.spans),
        "videos": len(set(part.videos)),
    }


def _told(to: Path, card: Mapping[str, Any]) -> str:
    """What was learned, and how well it finds what it has not seen."""
    counts, scores = card["trained_on"]["counts"], card["scores"]
    told = ", ".join(f"{part} {c['pairs']} ({c['videos']} videos)" for part, c in counts.items())
    lines = [
        f"{card['spaces']['from']['model']} -> {card['spaces']['to']['model']}: {to}",
        f"pairs: {told}; {card['trained_on']['unmatched']} lines belong to no scene",
        f"best round {card['model']['epochs']}, temperature {card['model']['temperature']:.3f}",
        "on the held-out videos, 95 % intervals over videos:",
    ]
    for way in ("text_to_clip", "clip_to_text"):
        for name, score in scores[way].items():
            between = "no interval: one video"
            if score["low"] is not None:
                between = f"{score['low']:.3f} to {score['high']:.3f}"
            lines.append(
                f"  {way.replace('_', ' ')} {name}: {score['value']:.3f} ({between}), "
                f"chance {score['chance']:.3f}"
            )
    lines.append(
        f'Search with it: python -m egorag.search index=... query="..." projections=[{to}]'
    )
    return "\n".join(lines)
