"""Run the notebooks and store what they show.

    python docs/run_notebooks.py [NAME ...]

Outputs hold no times, no paths and no counters, so that running again changes a file only where
what it shows has changed; pictures have at most 256 colours, so that files stay small.
"""

from __future__ import annotations

import base64
import io
import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def run(path: Path) -> None:
    """Execute the notebook at ``path`` in a fresh kernel and write it back."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, kernel_name="python3", record_timing=False).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = [plain(output) for output in cell.outputs]
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    nbformat.write(notebook, path)


def plain(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """An output without its counter; a picture or table without its description in words."""
    if "execution_count" in output:
        output.execution_count = None
    data = output.get("data", {})
    if "image/png" in data:
        data["image/png"] = small(data["image/png"])
    if len(data) > 1:
        data.pop("text/plain", None)
    return output


def small(png: str) -> str:
    """A PNG in base64 with at most 256 colours."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    kept = io.BytesIO()
    few = picture.quantize(256, kmeans=3, dither=Image.Dither.NONE)  # kmeans keeps rare colours
    few.save(kept, "png", optimize=True)
    return base64.b64encode(kept.getvalue()).decode()


if __name__ == "__main__":
    os.environ["PYTHONWARNINGS"] = "ignore:IProgress"  # tqdm's, where ipywidgets is missing
    for chosen in sorted(NOTEBOOKS.glob("*.ipynb")):
        if not sys.argv[1:] or chosen.stem in sys.argv[1:]:
            run(chosen)
