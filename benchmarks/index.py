"""Speed of the whole default index against real time, and against what one would do without us.

    python benchmarks/index.py [--minutes 10] [--repeats 1]

The rival, in the same run: PySceneDetect's command line, then one script that embeds each of its
scenes (middle frame read with OpenCV, subtitle text through the same MiniLM).
Target: 10 times real time or faster on 2 cores.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
from pathlib import Path

from measure import CACHE, measure, report, sample

RIVAL = """
import csv, sys
import av, cv2
from egorag.encode.minilm import MiniLM
from egorag.encode.picture import Picture
from egorag.encode.base import FrameClip
from egorag.media.sampling import Frame
from egorag.spans import Span

video, table = sys.argv[1:]
rows = list(csv.DictReader(line for line in open(table) if not line.startswith("Timecode")))
scenes = [(float(r["Start Time (seconds)"]), float(r["End Time (seconds)"])) for r in rows]
cues = []
with av.open(video) as file:
    for packet in file.demux(file.streams.subtitles[0]):
        for subtitle in packet.decode():
            cues.append((float(packet.pts * packet.time_base), subtitle.dialogue.decode()))
text, picture = MiniLM(), Picture()
text.setup(); picture.setup()
film = cv2.VideoCapture(video)
clips, words = [], []
for start, end in scenes:
    film.set(cv2.CAP_PROP_POS_MSEC, (start + end) * 500)
    ok, image = film.read()
    if not ok:
        continue
    small = cv2.cvtColor(cv2.resize(image, (224, 126)), cv2.COLOR_BGR2RGB)
    span = Span.seconds(start, end)
    clips.append(FrameClip(span, (Frame(span.start, span.start, 0, small),)))
    words.append(" ".join(t for at, t in cues if start <= at < end) or "nothing")
print(len(scenes), "scenes", text.embed_texts(words).shape, picture.encode(clips).shape)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--repeats", type=int, default=1)
    given = parser.parse_args()

    video = sample(given.minutes)
    index = CACHE / "index"
    scripted = CACHE / "rival.py"
    scripted.write_text(RIVAL)
    seconds = given.minutes * 60
    ours, theirs = [], []
    for _ in range(given.repeats):
        shutil.rmtree(index, ignore_errors=True)
        ours.append(
            measure([sys.executable, "-m", "egorag.index", f"input={video}", f"index={index}"])
        )
        detect = [sys.executable, "-m", "scenedetect", "-q", "-i", str(video), "-o", str(CACHE)]
        found = measure([*detect, "detect-adaptive", "list-scenes", "-q", "-s"])
        table = CACHE / f"{video.stem}-Scenes.csv"
        embed = measure([sys.executable, str(scripted), str(video), str(table)])
        theirs.append((found, embed))
    again = measure([sys.executable, "-m", "egorag.index", f"input={video}", f"index={index}"])
    wall = statistics.median(m.wall for m in ours)
    rival = statistics.median(a.wall + b.wall for a, b in theirs)
    report(
        video=Path(video).name,
        indexed_times_real_time=round(seconds / wall, 2),
        rival_times_real_time=round(seconds / rival, 2),
        wall_ours_over_rival=round(wall / rival, 3),
        ours=ours[-1],
        rival_scenedetect=theirs[-1][0],
        rival_embedding=theirs[-1][1],
        run_again_unchanged=again,
    )


if __name__ == "__main__":
    main()
