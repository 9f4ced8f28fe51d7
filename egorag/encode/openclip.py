"""CLIP in all forms that the open_clip library has (https://github.com/mlfoundations/open_clip).

A checkpoint is named in one of three ways, as open_clip does:

- ``checkpoint``: a hub name or folder with an ``open_clip_config.json``, which says everything;
- ``model`` and ``pretrained``: an architecture and a tag of open_clip's list
  (``open_clip.list_pretrained()``), whose weights lie in the repository the list names;
- ``model`` and ``checkpoint``: an architecture, with weights of your own training.

Two things differ from ``open_clip.create_model``: a tag trained with QuickGELU gets it, also where
the architecture of that name has none (open_clip warns and computes something else), and a
position embedding of another size is refused, not resized.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from egorag.encode.openclip_model import (
    Layout,
    build,
    harmless,
    layout_of,
    load_weights,
    tag,
    tokenizer_of,
)
from egorag.encode.pretrained import checkpoint as checkpoints
from egorag.encode.pretrained.base import Published, by_name
from egorag.encode.pretrained.batches import Batches
from egorag.encode.pretrained.frame_encoder import FrameMean, Image
from egorag.encode.pretrained.loading import place
from egorag.encode.pretrained.placement import Placement
from egorag.errors import ConfigError
from egorag.media.sampling import FrameSampling
from egorag.spaces import EmbeddingSpace

DEFAULT = "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K"


@dataclass(frozen=True, eq=False)
class _Loaded:
    model: Any  # open_clip.CLIP, CustomTextCLIP or CoCa
    transform: Any  # picture to tensor [3, H, W]
    tokenizer: Any  # open_clip's SimpleTokenizer or HFTokenizer
    placement: Placement
    batches: Batches


@dataclass(frozen=True, kw_only=True)
class OpenCLIP(FrameMean):
    """Frames at a rate through any CLIP of open_clip, prepared as its config says, and their mean.

    Attributes:
        checkpoint: hub name (``hf-hub:`` before it is allowed) or folder (``local-dir:`` too).
        model: architecture of open_clip's list, such as ``ViT-B-32``; None reads it from the
            checkpoint's ``open_clip_config.json``.
        pretrained: tag of ``model``, such as ``laion2b_s34b_b79k``. It says how pictures are
            prepared and, unless ``checkpoint`` is given too, where the weights lie.
    """

    family: ClassVar[str] = "open_clip"
    packages: ClassVar[Mapping[str, str]] = {"torch": "torch", "open_clip": "open-clip-torch"}
    extra: ClassVar[str] = "openclip"
    published: ClassVar[Mapping[str, Published]] = {
        DEFAULT: Published(427_616_513, 768, "MIT", download=1.71e9),
    }

    checkpoint: str = by_name(DEFAULT)
    model: str | None = None
    pretrained: str | None = None

    def __post_init__(self) -> None:
        for prefix in ("hf-hub:", "local-dir:"):
            object.__setattr__(self, "checkpoint", self.checkpoint.removeprefix(prefix))
        super().__post_init__()
        if self.pretrained is not None and self.model is None:
            raise ValueError(f"pretrained={self.pretrained!r} is a tag of a model; give model too")
        if self.model is not None and self.pretrained is None and self.checkpoint == DEFAULT:
            raise ValueError(
                f"model={self.model!r} needs weights: give pretrained (a tag of open_clip) or "
                "checkpoint (a hub name or folder)"
            )
        if self.attention not in ("auto", "sdpa"):
            raise ValueError(f"open_clip has no attention but SDPA, got {self.attention!r}")

    # -- names --

    def location(self) -> str:
        if self.model is None or self.pretrained is None or self.checkpoint != DEFAULT:
            return self.checkpoint
        owner, name, *_ = self._tag(self.model, self.pretrained)["hf_hub"].split("/")
        return f"{owner}/{name}"

    def weight_files(self) -> Sequence[str]:
        first: tuple[str, ...] = ()
        if self.model is not None and self.pretrained is not None:
            named = self._tag(self.model, self.pretrained)["hf_hub"].split("/")[2]
            first = (named,) if named else ()
        own = ("open_clip_model*.safetensors", "open_clip_pytorch_model*")
        return (*first, *own, *checkpoints.WEIGHTS)

    def _tag(self, model: str, pretrained: str) -> dict[str, Any]:
        self.check_packages()
        return tag(model, pretrained)

    def share_key(self) -> Hashable:
        return (super().share_key(), self.model, self.pretrained)

    # -- what it is --

    def _layout(self) -> Layout:
        if self.model is not None:
            self.check_packages()
        return layout_of(self.source(), self.model, self.pretrained)

    @property
    def sampling(self) -> FrameSampling:
        layout = self._layout()
        if layout.resize == "squash":
            return FrameSampling(self.rate, size=layout.size)
        if layout.resize == "longest":
            return FrameSampling(self.rate, longest=max(layout.size))
        return FrameSampling(self.rate, shortest=max(layout.size))

    @property
    def space(self) -> EmbeddingSpace:
        """Unit length; text, pictures and video clips enter it. The same weights in another
        architecture (``ViT-B-32`` and ``ViT-B-32-quickgelu``) are another space."""
        if self.model is None:
            return super().space
        named = "/".join(filter(None, (self.family, self.model, self.pretrained)))
        return replace(super().space, model=named)

    def _dim(self) -> int:
        return self._layout().dim

    def describe(self) -> str:
        layout = self._layout()
        width, height = layout.size
        how = {
            "squash": f"squeezed to {width} x {height}",
            "longest": f"fitted into {width} x {height} with bars",
            "shortest": f"scaled and cut from the middle to {width} x {height}",
        }[layout.resize]
        return (
            f"open_clip ({self.location()}): {self.rate:g} frames a second, each {how}; the mean "
            f"of the frames' unit embeddings, {layout.dim}-d, over every frame of a long scene "
            "and the one of a short scene"
        )

    # -- running --

    def _load(self, placement: Placement) -> _Loaded:
        from open_clip.transform import PreprocessCfg, image_transform_v2

        source, layout = self.source(), self._layout()
        try:
            model = build(layout)
        except (OSError, TypeError, AssertionError, RuntimeError, KeyError) as error:
            raise ConfigError(
                f"{source} names an architecture that open_clip cannot build here: {error}"
            ) from error
        load_weights(model, source)
        return _Loaded(
            place(model, placement).to(placement.torch_dtype),
            image_transform_v2(PreprocessCfg(**layout.preprocess), is_train=False),
            tokenizer_of(layout, source),
            placement,
            Batches(placement.device, self.batch, most=128),
        )

    def _embed_images(self, images: Sequence[Image]) -> Any:
        import torch
        from PIL import Image as Pillow

        loaded = self.loaded
        pixels = torch.stack([loaded.transform(Pillow.fromarray(image)) for image in images])
        return loaded.model.encode_image(
            pixels.to(loaded.placement.device, loaded.placement.torch_dtype)
        )

    def _embed_text(self, text: str) -> Any:
        loaded = self.loaded
        tokens = loaded.tokenizer([harmless(text, loaded.tokenizer)])
        return loaded.model.encode_text(tokens.to(loaded.placement.device))
