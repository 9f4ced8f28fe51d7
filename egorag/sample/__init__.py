"""A made-up day in first person, rendered as a real media file with its ground truth.

Every demo, notebook and test that needs a video makes one here, so the project ships none::

    from egorag.sample import make
    truth = make("day.mp4", seconds=60, seed=0)

The picture is drawn (places, named coloured objects that a hand moves, boards with text), the
sound is synthesised (a noise per place and a formant voice that reads the narration), the
narration is a subtitle track. Equal arguments give equal files.
"""

from egorag.sample.remux import repeat
from egorag.sample.truth import Truth
from egorag.sample.write import make

__all__ = ["Truth", "make", "repeat"]
