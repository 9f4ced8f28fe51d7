"""Levels above the scenes: events (runs of adjacent scenes) and the whole video."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from egorag.errors import ConfigError
from egorag.spans import Span, to_us
from egorag.types import Scene


def group_events(spans: Sequence[Span], seconds: float) -> list[range]:
    """Group adjacent scenes into events of about ``seconds``, in order.

    An event ends at the scene boundary nearest to ``seconds`` after its start (the earlier of two
    equally near), so it may be shorter or longer but never cuts a scene. A last event under half
    of ``seconds`` joins the one before it. Reading forwards only: events that are over do not
    depend on what comes later, but for that last one.

    Args:
        spans: level-0 scenes, adjacent and in order.

    Returns:
        One range of scene positions an event; together they cover all scenes.

    Raises:
        ConfigError: ``seconds`` is not a positive number.

    >>> group_events([Span.seconds(t, t + 25) for t in (0, 25, 50, 75, 100)], seconds=60)
    [range(0, 2), range(2, 5)]
    """
    if not 0 < seconds < float("inf"):
        raise ConfigError(f"events.seconds must be a positive number of seconds, got {seconds}")
    target = to_us(seconds)
    events: list[range] = []
    first = 0
    while first < len(spans):
        goal = spans[first].start + target
        last = first
        while last + 1 < len(spans) and _closer(spans[last + 1].end, spans[last].end, goal):
            last += 1
        events.append(range(first, last + 1))
        first = last + 1
    if len(events) > 1 and 2 * (spans[-1].end - spans[events[-1].start].start) < target:
        tail = events.pop()
        events[-1] = range(events[-1].start, tail.stop)
    return events


def _closer(later: int, earlier: int, goal: int) -> bool:
    return abs(later - goal) < abs(earlier - goal)


def hierarchy(
    video: str,
    spans: Sequence[Span],
    known_at: Sequence[int],
    seconds: float,
    make_id: Callable[[str, int, Span], int],
    groups: Sequence[range] | None = None,
) -> tuple[Scene, ...]:
    """Scenes of all levels: every scene, then every event, then the video.

    Args:
        video: the video's id.
        spans: level-0 scenes that tile the video; none gives no scenes at any level.
        known_at: microseconds, one for each of ``spans``; a parent's is its children's latest.
        seconds: target length of an event; see ``group_events``.
        make_id: id of a scene from (video, level, span).
        groups: the scenes of each event where something else than ``seconds`` decides.
    """
    if not spans:
        return ()
    whole = Span(spans[0].start, spans[-1].end)
    top = Scene(make_id(video, 2, whole), video, whole, 2, 0, None, max(known_at))
    scenes: list[Scene] = []
    events: list[Scene] = []
    for number, members in enumerate(groups or group_events(spans, seconds)):
        span = Span(spans[members[0]].start, spans[members[-1]].end)
        known = max(known_at[i] for i in members)
        event = Scene(make_id(video, 1, span), video, span, 1, number, top.id, known)
        events.append(event)
        for i in members:
            made = make_id(video, 0, spans[i])
            scenes.append(Scene(made, video, spans[i], 0, i, event.id, known_at[i]))
    return (*scenes, *events, top)
