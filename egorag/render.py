"""Results as a person reads them, and the JSON of ``scenes``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from egorag.spans import clock, to_seconds, to_us
from egorag.types import LEVELS, Answer, Hit, TimedText

if TYPE_CHECKING:
    from egorag.api import Index


def hits_text(hits: Sequence[Hit]) -> str:
    """One block a hit: place, score and its parts, matching text."""
    if not hits:
        return "nothing found"
    lines: list[str] = []
    for number, hit in enumerate(hits, 1):
        span = hit.scene.span
        lines.append(
            f"{number:2}. {hit.path}  {clock(span.start)} - {clock(span.end)}"
            f"  [{LEVELS[hit.scene.level]}]"
        )
        parts = ", ".join(f"{n} #{p.rank} ({p.score:.3f})" for n, p in hit.parts.items())
        as_form = f", as {hit.form}" if hit.form else ""
        focus = hit.focus
        best = f", best at {clock(focus.start)} - {clock(focus.end)}" if focus else ""
        lines.append(f"    score {hit.score:.4f}: {parts}{as_form}{best}")
        if hit.text:
            lines.append(f"    {' '.join(hit.text.split())}")
        if hit.similar:
            lines.append(f"    +{hit.similar} nearly the same")
    return "\n".join(lines)


def left_out_text(left_out: Mapping[str, str]) -> list[str]:
    """One line that names the rankings a query did not use; none where it used all."""
    if not left_out:
        return []
    return [f"not searched: {'; '.join(f'{n} ({why})' for n, why in sorted(left_out.items()))}"]


def answer_text(answer: Answer) -> str:
    """The answer, how sure it is, and each citation with its place."""
    lines = [answer.text, "", f"confidence {answer.confidence:.2f}"]
    if answer.abstained:
        lines[-1] += " (abstained)"
    if answer.verified is not None:
        lines[-1] += f", {answer.verified:.0%} of the citations given verified"
    if answer.probabilities is not None:
        lines.append("choices " + ", ".join(f"{share:.2f}" for share in answer.probabilities))
    for number, citation in enumerate(answer.citations, 1):
        mark = "verified" if citation.verified else "NOT VERIFIED"
        if citation.quote:
            said_by = f"{citation.track} from {citation.source}"
        else:  # of a picture, only that it is there and was shown
            said_by, mark = citation.track, "shown to the model" if citation.verified else mark
        lines.append(
            f"  [{number}] {citation.path}  {clock(citation.span.start)} - "
            f"{clock(citation.span.end)}  {said_by}, {mark}"
        )
        if citation.quote:
            lines.append(f'      "{" ".join(citation.quote.split())}"')
    return "\n".join(lines)


def scenes_json(index: Index, level: str | None, videos: Sequence[str]) -> dict[str, Any]:
    """The contract of ``scenes``: videos, their scenes, the text of each track in each scene."""
    listed = []
    for video in index.videos():
        if videos and not {video.id, video.path} & set(videos):
            continue
        texts = index.texts(video.id)
        scenes = []
        for scene in index.scenes(video.id, level):
            tracks: dict[str, list[str]] = {}
            for text in texts:
                if text.span.overlap(scene.span) or text.span.start in scene.span:
                    tracks.setdefault(text.track, []).append(text.told)
            scenes.append(
                {
                    "start": to_seconds(scene.span.start),
                    "end": to_seconds(scene.span.end),
                    "level": LEVELS[scene.level],
                    "text": {track: "\n".join(said) for track, said in tracks.items()},
                }
            )
        listed.append(
            {
                "id": video.id,
                "path": video.path,
                "duration": to_seconds(video.duration),
                "recorded_at": video.recorded_at.isoformat() if video.recorded_at else None,
                "sources": _sources(texts),
                "scenes": scenes,
            }
        )
    return {"videos": listed}


def _sources(texts: Sequence[TimedText]) -> dict[str, list[str]]:
    """Who each track comes from."""
    by_track: dict[str, set[str]] = {}
    for text in texts:
        by_track.setdefault(text.track, set()).add(text.source)
    return {track: sorted(sources) for track, sources in sorted(by_track.items())}


def scenes_text(data: Mapping[str, Any]) -> str:
    """The same for a person."""
    lines: list[str] = []
    for video in data["videos"]:
        lines.append(f"{video['path']}  {clock(to_us(video['duration']))}  {video['id'][:12]}")
        for track, sources in video["sources"].items():
            lines.append(f"  {track} from {', '.join(sources)}")
        for scene in video["scenes"]:
            place = f"{clock(to_us(scene['start']))} - {clock(to_us(scene['end']))}"
            lines.append(f"  {place}  [{scene['level']}]")
            for track, text in scene["text"].items():
                short = " ".join(text.split())
                lines.append(f"    {track}: {short[:160]}{'...' if len(short) > 160 else ''}")
    return "\n".join(lines) or "no videos in this index"
