"""The rest of an encoder, and what is registered without a package, from class to query."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import egorag
from egorag import config, registry
from egorag.encode.base import Available, Encoder, FrameClip, Medium, Over, Vectors
from egorag.encode.weightless import Weightless
from egorag.errors import ConfigError, SpaceError
from egorag.media.sampling import FrameSampling
from egorag.spaces import EmbeddingSpace
from egorag.types import Query


@dataclass(frozen=True)
class Lightness(Weightless):
    """How light the first frame of a scene is, as a direction."""

    medium, over = Medium.FRAMES, Over.SCENES
    sampling = FrameSampling(1.0, longest=64)
    space = EmbeddingSpace("test/lightness", "1", 2, True, frozenset({"text"}))

    turn: float = 1.0

    def encode(self, clips: Sequence[FrameClip]) -> Vectors:
        angles = [clip.frames[0].image.mean() / 255 * np.pi / 2 * self.turn for clip in clips]
        return np.array([(np.cos(a), np.sin(a)) for a in angles], np.float32)

    def embed_query(self, query: Query, medium: str) -> Vectors:
        return np.array([0, 1] if query.text == "light" else [1, 0], np.float32)


class Heavier(Lightness):
    version = 2


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_registered", {})
    yield


def test_it_is_an_encoder_whose_fingerprint_follows_version_and_settings() -> None:
    assert isinstance(Lightness(), Encoder)
    prints = {Lightness().fingerprint(), Lightness(turn=2).fingerprint(), Heavier().fingerprint()}
    assert len(prints) == 3 and Lightness().fingerprint() in prints


@pytest.mark.parametrize("medium", Medium)
def test_a_video_without_its_medium_is_skipped(medium: Medium) -> None:
    class Reads(Lightness):
        pass

    Reads.medium = medium
    every = {"frames": True, "sound": True, "subtitles": True, "text": True}
    own = "subtitles" if medium is Medium.CUES else medium.value
    assert Reads().skip_reason(Available(**every)) is None
    reason = Reads().skip_reason(Available(**{**every, own: False}))
    assert reason is not None and reason.startswith("no ")


def test_registered_it_indexes_and_is_searched_like_any_other(sample: Path, tmp_path: Path) -> None:
    overrides = ["encoder=[lightness]", "encoders.lightness.turn=0.5"]
    with pytest.raises(ConfigError, match="no encoder 'lightness'"):
        egorag.build(sample, tmp_path / "i", overrides)
    egorag.register("lightness", Lightness)
    assert "lightness" in config.options()["encoder"]
    with egorag.build(sample, tmp_path / "i", overrides) as index:
        rows = [scene["lightness"] for scene in index.embeddings(index.videos()[0].id).scenes]
        found = index.search("light", k=len(rows), without=["bm25"])
        starts = [hit.scene.span.start for hit in found]
    order = sorted(range(len(rows)), key=lambda i: -rows[i][1])
    with egorag.open(tmp_path / "i") as index:
        scenes = index.scenes(level="scene")
        assert starts == [scenes[i].span.start for i in order]
    registry._registered.clear()
    with (
        egorag.open(tmp_path / "i") as index,
        pytest.raises(ConfigError, match=r"Lightness' is not a registered .*egorag\.register"),
    ):
        index.search("light")


class Raises(Lightness):
    def encode(self, clips: Sequence[FrameClip]) -> Vectors:
        raise ZeroDivisionError("halved by nothing")


class Wide(Lightness):
    def encode(self, clips: Sequence[FrameClip]) -> Vectors:
        return np.ones((len(clips), 3), np.float32)


@pytest.mark.parametrize(("cls", "told"), [(Raises, "halved by nothing"), (Wide, "3")])
def test_an_encoder_that_fails_is_told_and_the_rest_is_kept(
    cls: type[Lightness], told: str, sample: Path, tmp_path: Path
) -> None:
    egorag.register("own", cls)
    with (
        pytest.warns(UserWarning, match=rf"day\.mp4: .*own.*{told}"),
        egorag.build(sample, tmp_path / "i", ["encoder=[subtitles,own]"]) as index,
    ):
        assert index.texts(index.videos()[0].id, "subtitle")


@pytest.mark.parametrize("vector", [[0, 1], np.array([0.0, 1.0])])
def test_a_query_in_numbers_of_another_kind_is_taken(
    vector: Any, sample: Path, tmp_path: Path
) -> None:
    @dataclass(frozen=True)
    class Query64(Lightness):
        def embed_query(self, query: Query, medium: str) -> Vectors:
            return vector

    egorag.register("own", Query64)
    with egorag.build(sample, tmp_path / "i", ["encoder=[subtitles,own]"]) as index:
        assert "own" in index.search("light", k=1)[0].parts


@pytest.mark.parametrize("vector", [None, [0, 1, 0], [float("nan"), 0]])
def test_a_query_vector_that_is_none_is_refused(vector: Any, sample: Path, tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Lost(Lightness):
        def embed_query(self, query: Query, medium: str) -> Vectors:
            return vector

    egorag.register("own", Lost)
    with (
        egorag.build(sample, tmp_path / "i", ["encoder=[own]"]) as index,
        pytest.raises(SpaceError, match=r"Lost\.embed_query gave .* test/lightness is 2 finite"),
    ):
        index.search("light")


def test_other_plugins_are_registered_by_their_group() -> None:
    from egorag.fuse.rrf import ReciprocalRank

    class Mine(ReciprocalRank):
        pass

    egorag.register("mine", Mine, "fusers")
    settings = config.compose("bench", ["fuser=mine", "fuser.k=7"])
    fuser = registry.build("fusers", "fuser", settings["fuser"])
    assert type(fuser) is Mine and fuser.k == 7


def test_the_same_class_again_takes_its_own_place_and_another_none() -> None:
    egorag.register("lightness", Lightness)
    again = type(Lightness.__name__, (Lightness,), {"__qualname__": Lightness.__qualname__})
    again.__module__ = Lightness.__module__
    egorag.register("lightness", again)
    assert registry.registered("encoders") == {"lightness": again}
    with pytest.raises(ConfigError, match=r"'lightness' is .*Lightness already"):
        egorag.register("lightness", Heavier)
    with pytest.raises(ConfigError, match=r"'minilm' is egorag\.encode\.minilm\.MiniLM already"):
        egorag.register("minilm", Heavier)
    for name in ("", "Two words", "a.b", "../x"):
        with pytest.raises(ConfigError, match="small letters"):
            egorag.register(name, Heavier)
    with pytest.raises(ConfigError, match="did you mean 'encoders'"):
        egorag.register("heavier", Heavier, "encoder")
