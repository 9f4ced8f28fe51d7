"""The settings and identity all pretrained encoders have, on one without a model."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from safetensors.numpy import save_file

from egorag.encode.base import Available, Encoder, FrameClip, Medium, Vectors
from egorag.encode.pretrained.base import Pretrained, Published, by_name, unit
from egorag.encode.pretrained.placement import Placement
from egorag.errors import EgoragError, MissingPackageError
from egorag.media.sampling import FrameSampling
from egorag.spaces import EmbeddingSpace


@dataclass(frozen=True, kw_only=True)
class Toy(Pretrained):
    """Mean colour, times a weight."""

    medium: ClassVar[Medium] = Medium.FRAMES
    family: ClassVar[str] = "toy"
    packages: ClassVar[dict[str, str]] = {"numpy": "numpy"}
    published: ClassVar[dict[str, Published]] = {"owner/toy": Published(1e6, 3, "mit")}

    checkpoint: str = by_name("owner/toy")
    rate: float = 1.0

    @property
    def sampling(self) -> FrameSampling:
        return FrameSampling(self.rate, size=(8, 8))

    @property
    def space(self) -> EmbeddingSpace:
        return self.space_of(3, "image")

    def describe(self) -> str:
        return "the mean colour of a scene's first frame"

    def _load(self, placement: Placement) -> Any:
        return placement

    def encode(self, data: Sequence[FrameClip]) -> Vectors:
        assert self.loaded.device == "cpu"
        return unit([clip.frames[0].image.mean((0, 1)) + 1 for clip in data])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "toy"
    made.mkdir()
    save_file({"w": np.ones(3, np.float32)}, made / "model.safetensors")
    return made


def test_it_is_an_encoder(folder: Path) -> None:
    assert isinstance(Toy(checkpoint=str(folder)), Encoder)


def test_the_same_weights_elsewhere_are_the_same_encoder(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    here, there = Toy(checkpoint=str(folder)), Toy(checkpoint=str(tmp_path / "copy"))
    assert here.fingerprint() == there.fingerprint()
    assert here.space == there.space


def test_other_weights_are_another_encoder_and_another_space(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    save_file({"w": np.zeros(3, np.float32)}, other / "model.safetensors")
    first, second = Toy(checkpoint=str(folder)), Toy(checkpoint=str(other))
    assert first.fingerprint() != second.fingerprint()
    with pytest.raises(EgoragError, match="cannot be compared"):
        first.space.check_same(second.space)


def test_what_changes_the_output_changes_the_fingerprint(folder: Path) -> None:
    toy = Toy(checkpoint=str(folder))
    same = dataclasses.replace(toy, batch=7, revision="abc")
    assert same.fingerprint() == toy.fingerprint()
    for change in ({"rate": 2.0}, {"dtype": "bfloat16"}, {"attention": "eager"}):
        assert dataclasses.replace(toy, **change).fingerprint() != toy.fingerprint(), change
    assert dataclasses.replace(toy, dtype="float32").fingerprint() == toy.fingerprint()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"dtype": "float8"}, "unknown dtype 'float8'"),
        ({"attention": "spda"}, "did you mean 'sdpa'"),
        ({"batch": 0}, "batch must be 1 or more"),
        ({"checkpoint": ""}, "must name a model"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Toy(**wrong)


def test_it_is_loaded_once_and_must_be(folder: Path) -> None:
    toy = Toy(checkpoint=str(folder))
    with pytest.raises(EgoragError, match="call setup"):
        toy.encode([])
    pytest.importorskip("torch")
    toy.setup("cpu")
    held = toy.loaded
    toy.setup("cpu")
    assert toy.loaded is held
    toy.close()
    with pytest.raises(EgoragError, match="call setup"):
        _ = toy.loaded


def test_missing_packages_are_named_with_the_command() -> None:
    class Lacking(Toy):
        packages: ClassVar[dict[str, str]] = {"no_such_module_x": "no-such-package"}

    with pytest.raises(
        MissingPackageError, match=r"no-such-package: .*pip install 'egorag\[vision"
    ):
        Lacking().fetch()


def test_what_a_video_lacks_skips_it() -> None:
    nothing = Available(frames=False, sound=False, subtitles=False, text=False)
    everything = Available(frames=True, sound=True, subtitles=True, text=True)
    assert Toy().skip_reason(nothing) == "no picture"
    assert Toy().skip_reason(everything) is None


def test_memory_is_of_the_parameters_in_their_format() -> None:
    full, half = Toy(dtype="float32"), Toy(dtype="bfloat16")
    assert full.weights_memory() == 4e6 and half.weights_memory() == 2e6
    assert full.memory() == 4e6 + Toy.working_bytes


def test_vectors_without_direction_are_refused() -> None:
    assert np.allclose(np.linalg.norm(unit([[3.0, 4.0]]), axis=1), 1)
    for bad in ([[0.0, 0.0]], [[np.nan, 1.0]], [[np.inf, 1.0]]):
        with pytest.raises(EgoragError, match="zero or not finite"):
            unit(bad)
    assert unit(np.empty((0, 4))).shape == (0, 4)


def test_importing_it_imports_no_torch() -> None:
    code = (
        "import sys, egorag.encode.pretrained.base, egorag.encode.pretrained.loading,"
        " egorag.encode.pretrained.batches; assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_only_families_that_share_a_model_count_it_once(folder: Path) -> None:
    class Shared(Toy):
        shares: ClassVar[bool] = True

    one, other = Toy(checkpoint=str(folder)), Toy(checkpoint=str(folder), rate=2.0)
    assert one.share_key() != other.share_key() and one.share_key() == one.share_key()
    same = [Shared(checkpoint=str(folder), rate=rate).share_key() for rate in (1.0, 2.0)]
    assert same[0] == same[1]


def test_a_family_that_lacks_a_part_cannot_be_built() -> None:
    class Mute(Toy):
        describe = Pretrained.describe

    with pytest.raises(TypeError, match="abstract method"):
        Mute()
