"""The notebooks run from scratch, and what they show is so; what is stored of them is fit to be."""

from __future__ import annotations

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("matplotlib")

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
LARGEST = 400_000  # bytes of a stored notebook
LONGEST = 16  # lines of a cell

CHECKS = {
    "quickstart": """
from egorag.spans import to_us

assert [(s.span.start, s.span.end) for s in scenes][0][0] == 0
assert scenes[-1].span.end == video.duration
assert spans[0].start <= 33_000_000 < spans[0].end  # the picture's own scene is its best hit
assert not answer.abstained and cited.verified and "purple mug" in cited.quote
(said,) = [t for t in index.texts(video.id, "subtitle") if "purple mug" in t.text]
assert said.span == cited.span and cited.quote in said.text
assert unknown.abstained and not unknown.citations
for time, given, kind in zip(times, answers, kinds, strict=True):
    assert all(hit.scene.known_at <= to_us(time) for hit in given.evidence)
    assert all(one.verified and one.span.end <= to_us(time) for one in given.citations)
    (home,) = [s for s in scenes if said.span.start in s.span]
    assert (kind == "right") == (home.known_at <= to_us(time))
""",
    "your_own_encoder": """
import json

vectors = [scene["colour_words"] for scene in index.embeddings(index.videos()[0].id).scenes]
assert all(abs(np.linalg.norm(vector) - 1) < 1e-5 for vector in vectors)
truth = json.loads(Path("silent.truth.json").read_text())
best = found[0].scene.span.middle / 1e6
(seen,) = [one for one in truth["scenes"] if one["span"][0] <= best < one["span"][1]]
assert any("blue" in thing["name"] for thing in seen["things"])
shown, without = (runs[n].result["categories"]["kind"] for n in ("with colour_words", "as shipped"))
assert shown["motion"]["ndcg@10"]["value"] > without["motion"]["ndcg@10"]["value"] + 0.1
for kind in ("written", "audible", "order"):  # names no colour: next to nothing changes
    assert abs(shown[kind]["ndcg@10"]["value"] - without[kind]["ndcg@10"]["value"]) < 0.05
assert gain["survives"] and gain["low"] > 0
""",
    "comparing_encoders": """
assert {one["against"] for one in tested} == {*rows} - {"rrf"}
assert all(shown[name]["low"] <= shown[name]["value"] <= shown[name]["high"] for name in shown)
assert shown["random"]["high"] < shown["rrf"]["low"]
assert all(one["p_corrected"] >= one["p"] for one in tested)
(read,) = [one for one in tested if one["against"] == "rrf with ocr"]
assert not read["survives"] and read["high"] < 0  # ocr is better
assert told.startswith("equal to the last digit")
""",
    "inside_vjepa2": """
assert len(spans) == len(vectors) and 0 <= video.duration - spans[-1].end < 250_000
assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-5
assert len(index.scenes(level="scene")) == 7 and len(tree.spans) == len(spans)
assert len(curve) == (45 * 4 - 16) // 2 and np.isfinite(curve.energy).all()
assert (curve.energy > curve.static).all()  # random weights cannot beat the static copy
""",
}


@pytest.mark.parametrize("name", CHECKS)
def test_it_runs_and_what_it_shows_is_so(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "inside_vjepa2":
        for package in ("torch", "torchvision", "transformers"):
            pytest.importorskip(package)
    monkeypatch.delenv("EGORAG_VJEPA2", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for variable in ("TMPDIR", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(variable, str(tmp_path))
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(CHECKS[name]))
    before = sorted(path.name for path in NOTEBOOKS.iterdir())
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": NOTEBOOKS}}
    )
    client.execute()  # fails on the first cell that does
    assert sorted(path.name for path in NOTEBOOKS.iterdir()) == before


def test_every_notebook_is_checked() -> None:
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == set(CHECKS)


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_what_is_stored_can_be_read_anywhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.encode()) <= LARGEST
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        assert len(cell.source.splitlines()) <= LONGEST, cell.source
        assert cell.execution_count is None
        for output in cell.outputs:
            assert output.get("name") != "stderr" and output.output_type != "error"
            told = str(output.get("text", "")) + str(
                {kind: data for kind, data in output.get("data", {}).items() if "image" not in kind}
            )
            assert not any(part in told for part in ("/tmp", "/home", "/work", "/Users", " at 0x"))
    assert any(
        "image/png" in output.get("data", {})
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    )
