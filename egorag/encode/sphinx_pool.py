"""Keeps PocketSphinx processes busy and gives their answers back in order."""

from __future__ import annotations

import json
import os
import queue
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from egorag.encode.sphinx_worker import Words
from egorag.errors import EgoragError

Tag = TypeVar("Tag")
_PROGRAM = Path(__file__).with_name("sphinx_worker.py")


class Worker:
    """One process. It starts with its first utterance and ends with ``close`` or its parent.

    Not ``multiprocessing``: its spawned children import the user's main module again, and what
    goes back and forth here is bytes and JSON lines, so plain pipes do, without pickle.
    """

    def __init__(self, settings: Mapping[str, float | int | bool]) -> None:
        self._settings = dict(settings)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id, None while it is not running."""
        return self._process.pid if self._process else None

    def recognise(self, samples: bytes) -> Words:
        """int16 mono samples at 16 kHz -> words. Raises EgoragError when the process fails."""
        if self._process is None:
            self._process = self._start()
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(struct.pack("<I", len(samples)) + samples)
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = b""
        if not line.endswith(b"\n"):
            self.close()
            raise EgoragError(
                f"a PocketSphinx process ended with code {process.returncode} while it was "
                "decoding; index the video again, or with ~encoders.transcript to go without"
            )
        answer = json.loads(line)
        if isinstance(answer, dict):
            raise EgoragError(f"PocketSphinx refused an utterance: {answer['error']}")
        words: Words = [tuple(word) for word in answer]
        return words

    def close(self) -> None:
        """End the process, whatever it is doing."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()  # reaps it and closes the pipes
            self._process = None

    def _start(self) -> subprocess.Popen[bytes]:
        # -P: the folder of this file must not shadow modules of the standard library.
        return subprocess.Popen(
            [sys.executable, "-P", str(_PROGRAM), json.dumps(self._settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )


class Pool:
    """A few workers, used for one video after another."""

    def __init__(self, workers: int, settings: Mapping[str, float | int | bool]) -> None:
        self.workers = [Worker(settings) for _ in range(workers)]

    def recognise(self, utterances: Iterable[tuple[Tag, bytes]]) -> Iterator[tuple[Tag, Words]]:
        """Yield each utterance's tag and words, in order; at most two a worker are held."""
        idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        for worker in self.workers:
            idle.put(worker)

        def one(samples: bytes) -> Words:
            worker = idle.get()
            try:
                return worker.recognise(samples)
            finally:
                idle.put(worker)

        threads = ThreadPoolExecutor(len(self.workers), thread_name_prefix="pocketsphinx")
        pending: deque[tuple[Tag, Future[Words]]] = deque()
        try:
            for tag, samples in utterances:
                pending.append((tag, threads.submit(one, samples)))
                while pending and (pending[0][1].done() or len(pending) >= 2 * len(self.workers)):
                    first, future = pending.popleft()
                    yield first, future.result()
            while pending:
                first, future = pending.popleft()
                yield first, future.result()
        finally:
            threads.shutdown(cancel_futures=True)

    def close(self) -> None:
        """End all processes."""
        for worker in self.workers:
            worker.close()
