"""The token maps of an index: every patch token of every scene, where ``keep_tokens`` kept them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Self

from egorag.errors import ConfigError, StoreError, did_you_mean
from egorag.store.artifacts import Artifacts
from egorag.store.folder import IndexFolder
from egorag.store.token_maps import TokenMap, TokenMaps


class SceneTokens(Mapping[int, TokenMap]):
    """The maps of one video by number of scene, as in ``embeddings(...).scenes``: float16 [steps,
    rows, columns, dim], each read from disk when it is asked for.

    A step is two frames. Scenes without a picture have none. Close it, or use ``with``.

    Attributes:
        shapes: by number of scene, known without reading.
    """

    def __init__(self, maps: TokenMaps, places: Mapping[int, int]) -> None:
        self._maps = maps
        self._places = dict(places)
        self.shapes = {number: maps.shapes[place] for number, place in places.items()}

    def __getitem__(self, scene: int) -> TokenMap:
        tokens: TokenMap = self._maps[self._places[scene]]
        return tokens

    def __iter__(self) -> Iterator[int]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def close(self) -> None:
        """Let go of the file."""
        self._maps.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"SceneTokens({len(self)} scenes)"


def tokens_key(video: str, fingerprint: str, segmentation: str) -> str:
    """The key of the maps that an encoder made of the scenes of a video."""
    return Artifacts.key(video=video, encoder=fingerprint, scenes=segmentation, tokens=1)


def scene_tokens(folder: IndexFolder, video: str, encoder: str) -> SceneTokens:
    """The maps of all scenes of the video with this id.

    Raises:
        ConfigError: the encoder has kept none of this video; says how to.
        StoreError: no such video, or the file is damaged.
    """
    with folder.catalog.snapshot():
        record = folder.catalog.record(video)
    if record is None:
        raise StoreError(f"no video {video!r} in index {str(folder.path)!r}")
    made = {e.encoder: e for e in record.encodings}
    if encoder not in made:
        raise ConfigError(f"no encoder {encoder!r} read this video{did_you_mean(encoder, made)}")
    key = tokens_key(video, made[encoder].fingerprint, record.segmentation)
    if not folder.artifacts.has(key):
        raise ConfigError(
            f"encoder {encoder} has kept no token maps of {record.video.path!r}; index it again "
            f"with encoders.{encoder}.keep_tokens=true, if it is one of V-JEPA 2 over scenes"
        )
    maps = folder.artifacts.read_tokens(key)
    numbers = {s.span: i for i, s in enumerate(s for s in record.scenes if s.level == 0)}
    return SceneTokens(maps, {numbers[span]: place for place, span in enumerate(maps.spans)})


def tokens(folder: IndexFolder, video: str, encoder: str, scene: int) -> TokenMap:
    """The map of one scene, by its number: float16 [steps, rows, columns, dim].

    Raises:
        ConfigError, StoreError: as ``scene_tokens``; and ConfigError if it has no map.
    """
    with scene_tokens(folder, video, encoder) as maps:
        if scene not in maps:
            raise ConfigError(
                f"scene {scene} has no token map; those with one: {_ranges(list(maps))}"
            )
        return maps[scene]


def _ranges(numbers: list[int]) -> str:
    """
    >>> _ranges([0, 1, 2, 5]), _ranges([])
    ('0-2, 5', 'none')
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ", ".join("-".join(map(str, run)) for run in runs) or "none"
