"""python -m egorag.train probe: learn to name what happens, from an index's stored features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egorag.cli import Result
from egorag.errors import ConfigError
from egorag.terminal import tell

if TYPE_CHECKING:
    from egorag.store.folder import IndexFolder
    from egorag.store.records import EncoderRow
    from egorag.train.labels import Labelled
    from egorag.train.learning import Example, Learned

ABOUT = """Learn to name what happens from stored features, and a table of what happens when.

  python -m egorag.train probe index=runs/all encoder=vjepa2_frames_fast labels=seen.csv to=probe
  python -m egorag.train probe index=runs/epic encoder=vjepa2_fast task=ek100 anticipation=1 \\
      labels=EPIC_100_train.csv test_labels=EPIC_100_validation.csv to=anticipates

V-JEPA 2's attentive probe. What it is tested on are videos that the training never sees; each
score is told with its interval over those videos, beside chance."""


KEPT = ("task", "tokens", "validation", "held_out", "anticipation", "observed")
"""Settings that the card keeps, beside those of the training."""


@dataclass(frozen=True, eq=False)
class Gathered:
    """Examples of a table, with what they were made of.

    Attributes:
        kind: of the features.
        features: SHA-256 by video.
        absent: videos of the table that the index does not hold, or has no features of.
        left_out: rows with no feature in their time.
    """

    examples: list[Example]
    kind: str
    features: dict[str, str]
    absent: int
    left_out: int


def run(settings: dict[str, Any]) -> Result:
    """Train on ``settings["index"]`` and write the folder ``settings["to"]``."""
    from egorag.encode.pretrained.placement import device_of
    from egorag.store.folder import IndexFolder
    from egorag.train import card
    from egorag.train.features import encoder_row
    from egorag.train.learning import Training, learn
    from egorag.train.probe import KIND, check_packages
    from egorag.train.settings import training_of

    check_packages()
    if not isinstance(settings["tokens"], bool):
        raise ConfigError(f"tokens must be true or false, got {settings['tokens']!r}")
    to = Path(settings["to"])
    card.check_target(to)
    training = training_of(Training, settings["training"])
    device = device_of(settings["device"])
    with IndexFolder.open(Path(settings["index"])) as folder, folder.catalog.snapshot():
        row = encoder_row(folder, settings["encoder"])
        tables = {key: _table(folder, row, settings, key) for key in ("labels", "test_labels")}
    parts = _parts(tables, settings, training.seed)
    try:
        learned = learn(
            parts["train"],
            parts["validation"],
            settings["task"],
            training,
            device,
            _watch,
            timed=not settings["tokens"],
        )
    except ValueError as error:
        raise ConfigError(f"the probe could not be trained: {error}") from error
    main = tables["labels"]
    assert row.space is not None and main is not None
    written = card.write(
        to,
        card.Card(
            kind=KIND,
            spaces={"features": row.space},
            trained_on={
                "labels": card.file_hash(Path(settings["labels"])),
                "test_labels": settings["test_labels"]
                and card.file_hash(Path(settings["test_labels"])),
                "features": {
                    "encoder": row.name,
                    "fingerprint": row.fingerprint,
                    "kind": main.kind,
                    "sha256": {k: v for t in tables.values() if t for k, v in t.features.items()},
                },
                "videos": {part: sorted({e.video for e in of}) for part, of in parts.items()},
                "clips": {part: len(of) for part, of in parts.items()},
                "absent_videos": sum(t.absent for t in tables.values() if t),
                "left_out": sum(t.left_out for t in tables.values() if t),
            },
            settings={
                **vars(training),
                **{key: settings[key] for key in KEPT},
            },
            model={"shape": vars(learned.shape), "epochs": learned.epochs},
            scores={
                "validation": learned.validation,
                **_scores(learned, parts, training.seed, device),
            },
        ),
        {name: tensor.cpu().numpy() for name, tensor in learned.model.state_dict().items()},
    )
    data = {"to": str(to), **written.to_json()}
    return Result(data, _told(data))


def _table(
    folder: IndexFolder, row: EncoderRow, settings: Mapping[str, Any], key: str
) -> Gathered | None:
    """The examples of one table; None where it is not given."""
    from egorag.train.labels import find_videos, read_labels

    if settings[key] is None:
        return None
    rows = read_labels(Path(settings[key]), settings["task"])
    ids = find_videos((row.video for row in rows), folder.catalog.videos())
    found = _gather(folder, row, rows, ids, settings)
    if not found.examples:
        raise ConfigError(
            f"{key}={settings[key]}: none of its {len(rows)} rows has a feature of {row.name} in "
            "its time"
            + (
                ", made from nothing later than its end: windows that reach far ahead know what an "
                "anticipation must not; use shorter ones"
                if settings["anticipation"] is not None
                else ""
            )
        )
    return found


def _gather(
    folder: IndexFolder,
    row: EncoderRow,
    rows: Sequence[Labelled],
    ids: Mapping[str, str],
    settings: Mapping[str, Any],
) -> Gathered:
    from egorag.train.labels import clip_before
    from egorag.train.learning import Example
    from egorag.train.probe import stored

    ahead, observed = _seconds(settings, "anticipation"), _seconds(settings, "observed")
    videos = sorted(set(ids.values()))
    read = {v: stored(folder, row, v, ahead is not None, settings["tokens"]) for v in videos}
    there = {video: found for video, found in read.items() if found is not None}
    examples, left_out, kind = [], 0, ""
    for labelled in rows:
        if ids.get(labelled.video) not in there:
            continue
        video = ids[labelled.video]
        kind, features = there[video]
        span = labelled.span if ahead is None else clip_before(labelled.span, ahead, observed or 0)
        clip = None if span is None else features.clip(span, causal=ahead is not None)
        if clip is None:
            left_out += 1
        else:
            examples.append(Example(video, clip, labelled.labels))
    absent = len({r.video for r in rows if ids.get(r.video) not in there})
    hashes = {video: features.sha256() for video, (_, features) in there.items()}
    return Gathered(examples, kind, hashes, absent, left_out)


def _seconds(settings: Mapping[str, Any], key: str) -> int | None:
    """A setting in seconds as microseconds."""
    from egorag.spans import to_us

    value = settings[key]
    if value is None:
        return None
    least = 0 if key == "anticipation" else 1e-6
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value < 1e6:
        raise ConfigError(f"{key} must be seconds, {'0 or' if not least else ''} more: {value!r}")
    return to_us(value)


def _parts(
    tables: Mapping[str, Gathered | None], settings: Mapping[str, Any], seed: int
) -> dict[str, list[Example]]:
    from egorag.train.splits import PARTS, split_videos

    main, tests = tables["labels"], tables["test_labels"]
    assert main is not None
    try:
        split = split_videos(
            (e.video for e in main.examples),
            seed,
            settings["validation"],
            settings["held_out"],
            None if tests is None else (e.video for e in tests.examples),
        )
    except (TypeError, ValueError) as error:
        raise ConfigError(str(error)) from error
    parts: dict[str, list[Example]] = {part: [] for part in PARTS}
    for example in main.examples:
        parts[split.part(example.video)].append(example)
    if tests is not None:
        parts["held_out"] = tests.examples
    return parts


def _scores(
    learned: Learned, parts: Mapping[str, Sequence[Example]], seed: int, device: str
) -> dict[str, Any]:
    from egorag.train.learning import scored
    from egorag.train.report import report

    tested = parts["held_out"]
    return report(
        scored(learned, tested, device),
        learned.shape.labels,
        {name: [e.labels[name] for e in tested] for name in learned.shape.labels},
        {name: [e.labels[name] for e in parts["train"]] for name in learned.shape.labels},
        [e.video for e in tested],
        seed,
    )


def _watch(epoch: int, recall: float, loss: float) -> None:
    tell(f"round {epoch}: class-mean recall {recall:.3f}, loss {loss:.3f} on validation videos")


def _told(data: Mapping[str, Any]) -> str:
    on, scores = data["trained_on"], data["scores"]
    clips, videos = on["clips"], on["videos"]
    lines = [
        f"trained on {clips['train']} clips of {len(videos['train'])} videos, stopped by "
        f"{clips['validation']} of {len(videos['validation'])}, measured on {clips['held_out']} of "
        f"{len(videos['held_out'])}: {data['to']}"
    ]
    if on["absent_videos"] or on["left_out"]:
        lines.append(
            f"left out: {on['absent_videos']} videos that the index has no features of, "
            f"{on['left_out']} rows with none in their time"
        )
    for query in data["model"]["shape"]["labels"]:
        told = scores[query]
        lines.append(f"{query}: {told['labels']} labels" + _never(told["never_learned"]))
        for name, score in told.items():
            if isinstance(score, Mapping):
                between = (
                    f" [{score['low']:.3f}, {score['high']:.3f}]"
                    if score["low"] is not None
                    else " (one video: no interval)"
                )
                usual = score.get("most_frequent")
                lines.append(
                    f"  {name:<22} {score['value']:.3f}{between}  chance {score['chance']:.3f}"
                    + ("" if usual is None else f", always the most frequent label {usual:.3f}")
                )
    return "\n".join(lines)


def _never(count: int) -> str:
    return f", and {count} clips of others, all counted as missed" if count else ""
