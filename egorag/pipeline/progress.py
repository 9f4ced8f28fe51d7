"""What a run tells while it goes on: stage, rate and time left, on stderr."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Protocol, Self

from egorag.terminal import printable


class Observer(Protocol):
    """Told what happens; never asked anything."""

    def note(self, text: str) -> None:
        """A line about the whole run."""

    def turn(self, number: int, of: int) -> None:
        """Pass ``number`` of the run begins, the first is 1; each goes over all videos."""

    def begin(self, name: str, duration: int | None) -> None:
        """A video begins; its claimed length in microseconds, if it claims any."""

    def stage(self, name: str) -> None:
        """What is being done to it."""

    def reached(self, time_us: int) -> None:
        """The decoder has come to this time."""

    def end(self, name: str, outcome: str | None) -> None:
        """The video is done: indexed, unchanged, or the reason it failed; None: in this pass,
        and there is nothing to tell."""


class Silent:
    """Tells nobody."""

    def note(self, text: str) -> None: ...
    def turn(self, number: int, of: int) -> None: ...
    def begin(self, name: str, duration: int | None) -> None: ...
    def stage(self, name: str) -> None: ...
    def reached(self, time_us: int) -> None: ...
    def end(self, name: str, outcome: str | None) -> None: ...


class Bars:
    """A rich progress bar a run: files done, and the present file's stage and rate."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[rate]}", markup=False),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._total = total
        self._all = self._bars.add_task("files", total=total, rate="")
        self._one = self._bars.add_task("", total=None, rate="", visible=False)
        self._name = ""
        self._began = 0.0
        self._told = 0.0

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def note(self, text: str) -> None:
        self._tell(text)

    def turn(self, number: int, of: int) -> None:
        told = f"files, pass {number} of {of}" if of > 1 else "files"
        self._bars.update(self._all, description=told, total=self._total * of)

    def begin(self, name: str, duration: int | None) -> None:
        self._name = printable(name.rsplit("/", 1)[-1]).encode("utf-8", "replace").decode()[:40]
        self._bars.reset(self._one, total=duration, description=self._name, visible=True, rate="")
        self._began = time.monotonic()

    def stage(self, name: str) -> None:
        self._bars.update(self._one, description=f"{self._name}: {name}")

    def reached(self, time_us: int) -> None:
        now = time.monotonic()
        if now - self._told < 0.2:
            return
        self._told = now
        speed = time_us / 1e6 / max(now - self._began, 1e-3)
        self._bars.update(self._one, completed=time_us, rate=f"{speed:.1f} x real time")

    def end(self, name: str, outcome: str | None) -> None:
        self._bars.update(self._one, visible=False)
        self._bars.advance(self._all)
        if outcome is not None:
            self._tell(f"{name}: {outcome}")

    def _tell(self, text: str) -> None:
        line = printable(text).encode("utf-8", "replace").decode()
        self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)
