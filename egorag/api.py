"""The Python API: ``egorag.build`` makes an index, ``egorag.open`` reads one."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from egorag import config
from egorag.asked import When, check_k, find_video, given, make_query
from egorag.errors import ConfigError, EgoragError, did_you_mean
from egorag.types import LEVELS, Answer, Query, Scene, TimedText, Video

if TYPE_CHECKING:
    from egorag.encode.projection import Projected
    from egorag.fuse.base import Fuser
    from egorag.generate.agent.replay import Replayed
    from egorag.generate.base import Answerer
    from egorag.plan.search import Found, How, Search
    from egorag.predict import Predictor
    from egorag.retrieve.retriever import Retriever
    from egorag.segment.by_tree import SceneTree
    from egorag.store.embeddings import Embeddings
    from egorag.store.folder import IndexFolder
    from egorag.store.tokens import SceneTokens


def build(
    input: str | Path | Sequence[str | Path],
    index: str | Path,
    overrides: Sequence[str] = (),
) -> Index:
    """Index media and open the result.

    Args:
        input: as ``python -m egorag.index`` takes it: a path, folder, glob, manifest, timed text,
            or a list of those.
        index: the index folder; made if missing.
        overrides: Hydra overrides, e.g. ``["+encoder=clap", "segmenter=fixed"]``.

    Raises:
        ConfigError: wrong overrides, or inputs that do not exist.
        MediaError: not one of the inputs could be indexed. If some could not, or an encoder failed
            on one, that is a warning.
    """
    from egorag.errors import MediaError
    from egorag.media.inputs import discover
    from egorag.pipeline.build import build_from
    from egorag.pipeline.progress import Silent

    settings = config.compose("index", [*overrides, f"index={index}", "input=given-below"])
    listed = [input] if isinstance(input, (str, Path)) else list(input)
    inputs = [item for spec in listed for item in discover(spec)]
    summary = build_from({**settings, "input": [str(i.path) for i in inputs]}, inputs, Silent())
    if not any(outcome.record for outcome in summary.outcomes):
        reasons = "; ".join(f"{o.path}: {o.reason}" for o in summary.outcomes[:5])
        raise MediaError(f"none of {len(inputs)} inputs could be indexed: {reasons}")
    for outcome in summary.outcomes:
        if outcome.failed:
            lost = outcome.record.problems if outcome.record else [outcome.reason]
            warnings.warn(f"{outcome.path}: {'; '.join(map(str, lost))}", stacklevel=2)
    return open_index(index)


def open_index(
    index: str | Path,
    *,
    device: str = "auto",
    encoders: Mapping[str, Mapping[str, Any]] | None = None,
    projections: Sequence[str | Path] = (),
) -> Index:
    """Open an index folder for reading.

    Args:
        device: where pretrained encoders embed queries.
        encoders: settings by encoder that differ from those it was indexed with, such as
            ``{"xclip": {"checkpoint": "models/xclip"}}`` on another machine. Weights that are not
            the same are refused.
        projections: folders that ``python -m egorag.train projection`` wrote, or names of those in
            the index's own ``projections/``. Text then enters the spaces they lead to, too.

    Raises:
        StoreError: not an index, or made by a newer egorag; a damaged projection.
        ConfigError: no such encoder or projection.
        SpaceError: a projection between spaces that are not this index's.
    """
    from egorag.store.folder import IndexFolder

    folder = IndexFolder.open(Path(index), read_only=True)
    try:
        return Index(folder, device=device, encoders=encoders, projections=projections)
    except EgoragError:
        folder.close()
        raise


class Index:
    """An open index: search it, ask it, take its vectors out. Close it, or use ``with``."""

    def __init__(
        self,
        folder: IndexFolder,
        *,
        device: str = "auto",
        encoders: Mapping[str, Mapping[str, Any]] | None = None,
        projections: Sequence[str | Path] = (),
    ) -> None:
        from egorag.retrieve.bridges import bridges
        from egorag.retrieve.loaded import LoadedEncoders
        from egorag.train.projection import load_projection

        self.folder = folder
        self._device = device
        self._models: list[Any] = []  # rerankers that hold weights
        self._encoders = LoadedEncoders(folder, device, encoders or {})
        own = folder.path / "projections"
        found = [own / given if (own / given).is_dir() else Path(given) for given in projections]
        self._bridges = bridges(
            [load_projection(path) for path in found], folder.catalog.encoders()
        )

    def search(
        self,
        query: str | None = None,
        *,
        k: int = 10,
        image: str | Path | None = None,
        sound: str | Path | None = None,
        video: str | Path | None = None,
        like: Scene | str | None = None,
        level: str = "scene",
        after: When = None,
        before: When = None,
        until: When = None,
        videos: Sequence[str] = (),
        without: Sequence[str] = (),
        **how: Unpack[How],
    ) -> Found:
        """The best ``k`` scenes for a text, picture, sound, video clip or scene (or several).

        Each is searched in exactly the spaces that can take it; ``left_out`` tells the others.

        Args:
            like: more like this scene: one of ``scenes()``, or ``"kitchen.mp4@1:05"`` for that at
                1:05. Searched in each space with a vector of it; no encoder is loaded for it.
            level: one of ``LEVELS``, or ``"all"``.
            after, before: keep what starts at or after / ends at or before; seconds, ``"10:00"``
                or ISO 8601 with a time zone.
            until: causal cut-off: nothing known later is read, ranked or counted.
            videos: ids, id prefixes or paths to restrict to.
            without: rankings to leave out, by encoder or ``bm25``.
            how: fuser, strategy, reranker, selector, planner; see ``configs/search.yaml``.

        Returns:
            a sequence of hits, best first, with the plan that was made of the query.

        Raises:
            SpaceError: no encoder of this index takes such a query.
        """
        check_k(k)
        media = given(query, image, sound, video, like)
        query_ = make_query(self.folder.catalog, media, after, before, until, videos, level)
        return self._searching(query_, how, without).find(query_, k)

    def left_out(
        self,
        query: str | None = None,
        *,
        image: str | Path | None = None,
        sound: str | Path | None = None,
        video: str | Path | None = None,
        like: Scene | str | None = None,
        without: Sequence[str] = (),
    ) -> dict[str, str]:
        """Rankings of this index that ``search`` with these arguments does not use, and why."""
        asked = make_query(self.folder.catalog, given(query, image, sound, video, like))
        return self._retriever({}, without).left_out(asked)

    def ask(
        self,
        question: str,
        *,
        choices: Sequence[str] | None = None,
        k: int = 10,
        after: When = None,
        before: When = None,
        until: When = None,
        videos: Sequence[str] = (),
        without: Sequence[str] = (),
        answerer: Answerer | None = None,
        **how: Unpack[How],
    ) -> Answer:
        """Answer from the index, with citations checked; abstains on weak evidence."""
        from egorag.generate.base import Searching
        from egorag.generate.extractive import Extractive
        from egorag.generate.numbered import cost

        check_k(k)
        asked = make_query(self.folder.catalog, given(question), after, before, until, videos)
        search = self._searching(asked, how, without)
        found = search.find(asked, k)
        evidence = search.evidence(found, cost)
        by: Answerer = answerer if answerer is not None else Extractive()
        encoder = self.text_encoder(by)
        if isinstance(by, Searching):
            by = by.searching(search.hits)
        answer = by.answer(found.plan.query, evidence, self.folder, encoder, choices)
        return replace(answer, plan=found.plan.to_json(), notes=(*answer.notes, *evidence.notes))

    def replay(
        self,
        trace: str | Path,
        *,
        without: Sequence[str] = (),
        **how: Unpack[How],
    ) -> Replayed:
        """Carry out an agent's tool calls again, with its recorded replies, and compare.

        Args:
            trace: a file that ``answerer.trace`` named.
            without, how: as in that call of ``ask``.

        Raises:
            ConfigError, StoreError: no such trace, or a damaged one.
        """
        from egorag.generate.agent.replay import replay
        from egorag.generate.agent.trace import read_trace

        lines, _ = read_trace(Path(trace))
        return replay(lines, self.folder, lambda query: self._searching(query, how, without).hits)

    def text_encoder(self, answerer: Answerer) -> Any | None:
        """The text encoder that ``answerer`` is given: of its model, else the index's first."""
        return self._encoders.of_text(getattr(answerer, "model", None))

    def projected(self, encoder: str) -> Projected:
        """Texts as vectors in the space of ``encoder``, by a projection this index was opened with.

        Raises:
            ConfigError: it was opened with none that leads there.
        """
        from egorag.encode.projection import Projected

        if encoder not in self._bridges:
            raise ConfigError(
                f"no projection leads to {encoder!r}{did_you_mean(encoder, self._bridges)}; give "
                "it when opening the index: projections=[FOLDER]"
            )
        bridge = self._bridges[encoder]
        return Projected(bridge.projection, self._encoders.get(bridge.text))

    def predictor(self, encoder: str, video: str | None = None) -> Predictor:
        """What happens next, by a V-JEPA 2 encoder of this index; close it, or use ``with``.

        Args:
            video: whose spans are meant where a span alone is given.
        """
        from egorag.encode.vjepa2 import VJEPA2
        from egorag.predict import Predictor

        built = self._encoders.built(encoder)
        if not isinstance(built, VJEPA2):
            raise ConfigError(f"{encoder!r} is no V-JEPA 2 over scenes, as +encoder=vjepa2_fast is")
        path = None if video is None else self.folder.catalog.video(self._video(video)).path
        return Predictor(built, path, self._device)

    def videos(self) -> list[Video]:
        """Every video of the index."""
        return list(self.folder.catalog.videos())

    def scenes(self, video: str | None = None, level: str | None = None) -> list[Scene]:
        """Scenes in order, of one video or all, of one level or all."""
        number = None if level is None else LEVELS.index(level)
        return list(self.folder.catalog.scenes(video and self._video(video), number))

    def children(self, scene: Scene) -> list[Scene]:
        """The scenes one level down that make it up, in order; its parent is ``scene.parent``."""
        return list(self.folder.catalog.children(scene.id))

    def texts(self, video: str, track: str | None = None) -> list[TimedText]:
        """Timed text of one video in order."""
        return list(self.folder.catalog.texts(self._video(video), track))

    def tree(self, video: str, encoder: str | None = None) -> SceneTree:
        """The Ward tree over the moments of a video: every way ``segmenter=ward`` can cut it.

        Args:
            encoder: whose moments; may be left out where one encoder alone has any.

        Raises:
            ConfigError: no such moments; names those there are.
        """
        from egorag.store.moments import scene_tree

        return scene_tree(self.folder, self._video(video), encoder)

    def actions(self, probe: str | Path, video: str, top: int = 3) -> list[list[TimedText]]:
        """What a probe of ``python -m egorag.train probe`` says of each scene of a video: its
        ``top`` best labels by query, none where nothing is stored.

        Raises:
            ConfigError, SpaceError, StoreError: no trained probe, or one of other features.
        """
        from egorag.train.probe import Probe

        spans = [scene.span for scene in self.scenes(video, "scene")]
        return Probe.open(probe, self._device).actions(self.folder, self._video(video), spans, top)

    def embeddings(self, video: str) -> Embeddings:
        """The embedding dict of every scene, and the video's global embeddings."""
        from egorag.store.embeddings import embeddings

        return embeddings(self.folder, self._video(video))

    def tokens(self, video: str, encoder: str) -> SceneTokens:
        """Every patch token of a video's scenes, by number of scene: float16 [steps, rows,
        columns, dim], read when asked for. Close it, or use ``with``.

        Raises:
            ConfigError: the encoder kept none; index again with its ``keep_tokens=true``.
        """
        from egorag.store.tokens import scene_tokens

        return scene_tokens(self.folder, self._video(video), encoder)

    def export(self, to: str | Path) -> Path:
        """Write all embedding dicts as safetensors with JSON beside; ``load_embeddings`` reads."""
        from egorag.store.embeddings import export

        return Path(export(self.folder, Path(to)))

    def close(self) -> None:
        """Give memory back."""
        self._encoders.close()
        while self._models:
            self._models.pop().close()
        self.folder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def _video(self, name: str) -> str:
        return find_video(self.folder.catalog, name)

    def _searching(self, query: Query, how: How, without: Sequence[str]) -> Search:
        """A search with the encoders loaded that ``query`` needs."""
        from egorag.plan.search import Methods, Search

        methods = Methods(**how)
        texts = {bridge.text for n, bridge in self._bridges.items() if n not in without}
        able = self._encoders.taking(query, without, texts)
        retriever = self._retriever(able, without, methods.fuser)
        for part in (methods.reranker, methods.selector):
            if hasattr(part, "setup"):
                part.setup(self._device)
                self._models.append(part)
        if untimed := retriever.untimed(query):
            warnings.warn(
                f"videos left out because their recording time is unknown: {untimed}; a manifest "
                "can state recorded_at",
                stacklevel=3,
            )
        return Search(retriever, methods)

    def _retriever(
        self, encoders: Mapping[str, Any], without: Sequence[str], fuser: Fuser | None = None
    ) -> Retriever:
        from egorag.fuse.weighted import WeightedScores
        from egorag.retrieve.retriever import Retriever

        by = fuser if fuser is not None else WeightedScores()
        return Retriever(self.folder, encoders, by, without=without, bridges=self._bridges)
