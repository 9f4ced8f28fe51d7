"""python -m egorag.demo: the whole way once, from a video to an answer that was checked.

Without a video it renders the sample clip. ``EGORAG_VIDEO`` and ``EGORAG_QUESTION`` name the
user's own (``make demo VIDEO=... QUESTION=...`` sets them).
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from egorag.cli import Result, main
from egorag.terminal import tell

ABOUT = """Show the whole way once: a video, its index, an answer with checked timestamps.

  python -m egorag.demo
  python -m egorag.demo input=kitchen.mp4 question="Where did I leave the knife?\""""

FOLDER = Path("demo")


def run(settings: dict[str, Any]) -> Result:
    """Index one video (or the sample) and ask it."""
    from egorag import config
    from egorag.api import open_index
    from egorag.media.inputs import discover
    from egorag.pipeline.build import build_from
    from egorag.pipeline.progress import Bars
    from egorag.render import answer_text, scenes_json, scenes_text

    given = settings["input"] or os.environ.get("EGORAG_VIDEO")
    question = settings["question"] or os.environ.get("EGORAG_QUESTION")
    video = Path(given) if given else _sample()
    questions = [question] if question else _questions(video)

    index_at = FOLDER / f"{video.stem}.index"
    tell(f"Indexing {video} into {index_at}")
    composed = config.compose("index", [f"input={video}", f"index={index_at}"])
    inputs = discover(video)
    with Bars(len(inputs)) as bars:
        summary = build_from(composed, inputs, bars)
    if summary.failed and not any(o.record for o in summary.outcomes):
        failed = summary.failed[0]
        return Result(summary.to_json(), f"could not index {failed.path}: {failed.reason}", 1)

    began = time.perf_counter()
    with open_index(index_at) as index:
        data = scenes_json(index, "scene", [])
        answers = [(asked, index.ask(asked)) for asked in questions]
    taken = time.perf_counter() - began
    length = sum(v["duration"] for v in data["videos"])
    lines = [scenes_text(data), ""]
    lines.append(f"indexed {length:.0f} s of video in {summary.seconds:.1f} s, ")
    lines[-1] += f"answered {len(answers)} question(s) in {taken:.1f} s"
    for asked, answer in answers:
        lines += ["", f"Q: {asked}", f"A: {answer_text(answer)}"]
    lines += ["", f'Go on: python -m egorag.ask index={index_at} question="..."']
    found = {
        "index": str(index_at),
        "scenes": data,
        "answers": [{"question": q, **a.to_json()} for q, a in answers],
    }
    return Result(found, "\n".join(lines))


def _sample() -> Path:
    from egorag.sample import make

    path = FOLDER / "sample.mp4"
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        tell(f"Rendering a sample clip: {path}")
        make(path, seconds=60, seed=0)
    return path


def _questions(video: Path) -> list[str]:
    """What the sample's ground truth asks; two answerable questions and one not."""
    import json

    truth = video.with_suffix(".truth.json")
    if not truth.exists():
        return ["What is this video about?"]
    asked = json.loads(truth.read_text(encoding="utf-8"))["questions"]
    first = {
        kind: [q["text"] for q in asked if q["kind"] == kind] for kind in ("speech", "nowhere")
    }
    other = [text for text in first["speech"] if not text.startswith("Where did I put")]
    return [*first["speech"][:1], *other[:1], *first["nowhere"][:1]]


if __name__ == "__main__":
    main("demo", ABOUT, run)
