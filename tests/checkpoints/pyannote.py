"""A small diarization pipeline laid out like community-1: real architectures, random weights."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

CONFIG = """\
dependencies:
  pyannote.audio: 4.0.0
pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    clustering: VBxClustering
    segmentation: $model/segmentation
    segmentation_batch_size: 32
    embedding: $model/embedding
    embedding_batch_size: 32
    embedding_exclude_overlap: true
    plda: $model/plda
params:
  clustering:
    threshold: 0.6
    Fa: 0.07
    Fb: 0.8
  segmentation:
    min_duration_off: 0.0
"""


def make(folder: Path, *, seed: int = 0) -> Path:
    """A narrow PyanNet of 10 s windows and three speakers, a WeSpeaker ResNet34 (which has one
    size, 26 MB), and a PLDA, as pyannote saves them."""
    os.environ["PYANNOTE_METRICS_ENABLED"] = "false"
    import numpy as np
    import torch
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from pyannote.audio.models.embedding import WeSpeakerResNet34
    from pyannote.audio.models.segmentation import PyanNet

    torch.manual_seed(seed)
    segmentation = PyanNet(
        lstm={"hidden_size": 8, "num_layers": 1}, linear={"hidden_size": 8, "num_layers": 1}
    )
    segmentation.specifications = Specifications(
        problem=Problem.MONO_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=10.0,
        classes=["speaker#1", "speaker#2", "speaker#3"],
        powerset_max_classes=2,
        permutation_invariant=True,
    )
    segmentation.setup()
    # Who is heard follows the sound, not the bias.
    segmentation.classifier.weight.data *= 60
    segmentation.classifier.bias.data.zero_()
    embedding = WeSpeakerResNet34()
    embedding.specifications = Specifications(
        problem=Problem.REPRESENTATION, resolution=Resolution.CHUNK, duration=5.0
    )
    for name, model in (("segmentation", segmentation), ("embedding", embedding)):
        (folder / name).mkdir(parents=True)
        torch.save(saved(model), folder / name / "pytorch_model.bin")
    dice = np.random.default_rng(seed)
    (folder / "plda").mkdir()
    np.savez(
        folder / "plda" / "xvec_transform.npz",
        mean1=np.zeros(256),
        mean2=np.zeros(128),
        lda=dice.standard_normal((256, 128)) / 16,
    )
    np.savez(
        folder / "plda" / "plda.npz",
        mu=np.zeros(128),
        tr=np.eye(128),
        psi=np.linspace(2.0, 0.1, 128),
    )
    (folder / "config.yaml").write_text(CONFIG)
    return folder


def saved(model: Any) -> dict[str, Any]:
    """What Lightning writes of a model of pyannote's."""
    checkpoint = {
        "state_dict": model.state_dict(),
        "hyper_parameters": dict(model.hparams),
        "pytorch-lightning_version": "2.5.0",
    }
    model.on_save_checkpoint(checkpoint)
    return checkpoint


def _pyannote(folder: Path) -> list[str]:
    return [f"encoders.pyannote.checkpoint={make(folder / 'pipeline')}"]


PRESETS: dict[str, Callable[[Path], list[str]]] = {"pyannote": _pyannote}
