"""The program that one PocketSphinx process runs: utterances in, words out.

PocketSphinx keeps Python's global lock while it decodes, so in the indexing process it would
stop the decoding of video for seconds at a time. This file is run by path and imports nothing
of egorag, so that a worker starts fast and stays small.

stdin: for each utterance its number of bytes (uint32, little-endian), then int16 samples, mono,
16 kHz. stdout: one JSON line for each: ``[[word, first frame, last frame, posterior], ...]`` in
10 ms frames, or ``{"error": reason}``. The worker ends when stdin does, so it cannot outlive the
process that feeds it.
"""

from __future__ import annotations

import json
import signal
import struct
import sys
from pathlib import Path
from typing import BinaryIO, TypeAlias

Words: TypeAlias = list[tuple[str, int, int, float]]
_SHORTEST = 2 * 800  # bytes; less than two analysis windows (50 ms) is no utterance


class Recogniser:
    """The bundled US-English model. Each utterance is heard as if it were the first.

    PocketSphinx adapts its estimates of noise and of the cepstral mean from one utterance to the
    next; the result would depend on what was decoded before, and by which worker.
    """

    def __init__(self, settings: dict[str, float | int | bool]) -> None:
        import pocketsphinx

        model = Path(pocketsphinx.__file__).parent / "model" / "en-us"
        self._decoder = pocketsphinx.Decoder(
            hmm=str(model / "en-us"),
            lm=str(model / "en-us.lm.bin"),
            dict=str(model / "cmudict-en-us.dict"),
            loglevel="FATAL",
            **settings,
        )

    def words(self, samples: bytes) -> Words:
        """int16 mono samples at 16 kHz -> every segment of the best path, fillers included."""
        if len(samples) < _SHORTEST:
            return []
        decoder = self._decoder
        decoder.reinit_feat(decoder.config)  # forget the noise and the mean (0.1 ms)
        decoder.start_utt()
        # The whole utterance at once: its own cepstral mean is taken before anything is searched.
        decoder.process_raw(samples, full_utt=True)
        decoder.end_utt()
        path = decoder.seg() or ()
        return [(s.word, s.start_frame, s.end_frame, min(1.0, s.prob)) for s in path]


def serve(recogniser: Recogniser, source: BinaryIO, sink: BinaryIO) -> None:
    """Answer utterances until ``source`` ends."""
    while len(head := source.read(4)) == 4:
        (size,) = struct.unpack("<I", head)
        samples = source.read(size)
        if len(samples) < size:
            return
        try:
            answer: Words | dict[str, str] = recogniser.words(samples)
        except RuntimeError as error:
            answer = {"error": str(error)}
        sink.write(json.dumps(answer).encode() + b"\n")
        sink.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent; it closes stdin
    serve(Recogniser(json.loads(sys.argv[1])), sys.stdin.buffer, sys.stdout.buffer)
