"""Token maps in a run: which are missing, how much room they take, where they go.

They are artifacts beside the vectors of the same encoder, under a key of the same parts. Turned
on later, the file is decoded for the maps alone and the vectors stay as they are.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from egorag.encode.base import Encoder, TokenEncoder
from egorag.errors import StoreError
from egorag.pipeline.planner import gigabytes
from egorag.spans import Span
from egorag.store.token_maps import TokenWriter
from egorag.store.tokens import tokens_key

if TYPE_CHECKING:
    from egorag.pipeline.work import Work
    from egorag.pipeline.workers import Worker


def keeps_tokens(encoder: Encoder) -> TypeGuard[TokenEncoder]:
    """Whether its token maps are asked for."""
    return isinstance(encoder, TokenEncoder) and encoder.keep_tokens


def lacks_tokens(work: Work, name: str) -> bool:
    """Whether an encoder's token maps are asked for and not on disk, whole; scenes are known."""
    if not keeps_tokens(work.recipe.encoders[name]):
        return False
    artifacts, key = work.folder.artifacts, _key(work, name)
    if not artifacts.has(key):
        return True
    try:
        artifacts.read_tokens(key).close()
    except StoreError:  # damaged: made anew
        artifacts.discard(key)
        return True
    return False


@contextlib.contextmanager
def token_writers(work: Work, encoders: Mapping[str, Encoder]) -> Iterator[dict[str, TokenWriter]]:
    """By encoder, where the maps of this video go while it is decoded; what is not kept when the
    block ends leaves nothing behind."""
    writers: dict[str, TokenWriter] = {}
    try:
        for name, encoder in encoders.items():
            if keeps_tokens(encoder) and (not work.scenes or lacks_tokens(work, name)):
                meta = {"encoder": work.recipe.fingerprints[name], "video": work.id}
                writers[name] = work.folder.artifacts.token_writer(meta)
        yield writers
    finally:
        for writer in writers.values():
            writer.discard()


def keep_tokens(work: Work, name: str, worker: Worker) -> None:
    """What an encoder wrote has its place, now that it is whole and the scenes are known.

    Raises:
        StoreError: the disk is full or cannot be written: no other video could do better.
    """
    if isinstance(worker.error, StoreError):
        raise worker.error
    if worker.error is None and worker.maps is not None:
        work.folder.artifacts.keep_tokens(_key(work, name), worker.maps)
    elif name in work.encodings:  # its vectors are there, and stay
        reason = f"{type(worker.error).__name__}: {worker.error}"
        work.problems.append(f"{name} failed, its token maps are not kept: {reason}")


def room_for(works: Iterable[Work]) -> str | None:
    """What the maps still to be made of these videos take, for the user; None if there are none.

    Reckoned from lengths: those in the files' headers where a video was not indexed before. Packing
    makes it less, many scenes shorter than a clip of the model make it more.

    Raises:
        StoreError: the disk has not that much room.
    """
    needs: dict[str, list[int]] = {}
    unknown, longest, root = 0, (0, ""), Path()
    for work in works:
        root = work.folder.artifacts.root
        spans = work.scenes or _whole(work)
        for name, encoder in work.recipe.encoders.items():
            if encoder.skip_reason(work.available) is not None or not keeps_tokens(encoder):
                continue
            if work.scenes and not lacks_tokens(work, name):
                continue
            unknown += not spans
            needs.setdefault(name, []).append(encoder.token_bytes(spans))
            if spans:
                longest = max(longest, (spans[-1].end, str(work.item.path)))
    if not needs:
        return None
    free = _free(root)
    total = sum(map(sum, needs.values()))
    each = ", ".join(
        f"{name} {gigabytes(sum(sizes))} for {len(sizes)} video{'s' * (len(sizes) != 1)}"
        for name, sizes in needs.items()
    )
    beyond = f"; {unknown} of unknown length not counted" if unknown else ""
    told = f"token maps before packing, about: {each}{beyond}; free: {gigabytes(free)}"
    if total > free:
        hours, path = longest[0] / 3.6e9, longest[1]
        raise StoreError(
            f"no room for {told} in {str(root)!r}. Nothing was indexed. Free some space, index "
            "fewer videos at once, or leave keep_tokens off (the longest video, by its header: "
            f"{path!r}, {hours:.1f} hours)"
        )
    return told


def _whole(work: Work) -> tuple[Span, ...]:
    """The whole video as one scene, as far as its length is known."""
    claimed = work.facts.claimed if work.facts is not None else None
    length = work.duration or claimed
    return (Span(0, length),) if length else ()


def _key(work: Work, name: str) -> str:
    return tokens_key(work.id, work.recipe.fingerprints[name], work.segmentation)


def _free(folder: Path) -> int:
    """Bytes free on the disk that ``folder`` is, or will be, on."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free
