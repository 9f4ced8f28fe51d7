"""V-JEPA 2's predictor, run at positions that lie in the future.

Assran et al., "V-JEPA 2: Self-Supervised Video Models Enable Understanding, Prediction and
Planning" (2025, arXiv:2506.09985). Only frames before the cut-off (the
end of the span) are read, encoded and given to the predictor; the places after them hold mask
tokens. What is predicted are features, not pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from egorag.encode.pretrained.placement import device_of
from egorag.encode.vjepa2 import SHORTEST, TUBELET, VJEPA2, clip_frames
from egorag.errors import ConfigError
from egorag.predict.anticipation import Anticipated, TextProjection, TokenProbe, scorer
from egorag.predict.clips import Clip, Picture, pictures, steps_in
from egorag.predict.energy import Coherence, Judged, Tokens, energy, normalised


class Predictor:
    """A V-JEPA 2 checkpoint that tells how a clip goes on. Close it, or use ``with``.

    The model is the one an encoder of the same checkpoint has loaded, if there is one.

    Args:
        encoder: its settings: checkpoint, rate, most frames of context, number format.
        video: the file that bare spans are of.
        device: where it runs; ``auto`` takes a GPU where there is one.

    Raises:
        ConfigError: packages or weights are missing, or the checkpoint's positions leave no room
            for a future.
    """

    def __init__(
        self, encoder: VJEPA2, video: str | Path | None = None, device: str = "auto"
    ) -> None:
        # One clip at a time: a result must not depend on what else was in its batch.
        self.encoder = replace(encoder, batch=1)
        self.video = None if video is None else Path(video)
        self.encoder.fetch()
        config = self.encoder.source().read_json()
        self._side = int(config["crop_size"]) // int(config["patch_size"])
        self._positions = int(config["frames_per_clip"]) // TUBELET
        if self.horizon < 1:
            raise ConfigError(
                f"{self.encoder.source()} has positions for {self._positions} steps of {TUBELET} "
                f"frames, and the context takes at least {self.least // TUBELET}: no room for a "
                "future; take a checkpoint for longer clips, or fewer frames"
            )
        self.encoder.setup(device_of(device))

    # -- limits --

    @property
    def least(self) -> int:
        """Frames a context needs: the model was trained on no shorter clip."""
        return min(SHORTEST, self.encoder.frames)

    @property
    def horizon(self) -> int:
        """Steps it can look ahead: the positions it was trained for, less the least context."""
        return self._positions - self.least // TUBELET

    @property
    def step_seconds(self) -> float:
        """How long a step is."""
        return TUBELET / self.encoder.rate

    def steps(self, seconds: float) -> int:
        """Steps that cover so many seconds.

        Raises:
            ConfigError: not positive, or beyond the horizon.
        """
        wanted = steps_in(seconds, self.encoder.rate, TUBELET)
        if wanted > self.horizon:
            raise ConfigError(
                f"{seconds:g} s ahead are {wanted} steps, but the position encoding was trained "
                f"for {self._positions} steps of which the context takes at least "
                f"{self.least // TUBELET}: ask for at most {self.horizon * self.step_seconds:g} s"
            )
        return wanted

    def context_frames(self, steps: int) -> int:
        """Most frames of context when ``steps`` are predicted."""
        return min(self.encoder.frames, (self._positions - steps) * TUBELET)

    # -- what comes --

    def predict_future(self, clip: Clip, seconds: float) -> Tokens:
        """The predicted tokens of the ``seconds`` after the clip.

        The context is the clip's last frames, as many as ``frames`` says and as leave room for
        the future among the positions the model was trained for (an odd one too many is left out
        at the beginning). Nothing after the clip is read.

        Returns:
            float32 [steps, side, side, dim] in the space of normalised tokens (see
            ``egorag.predict.energy``); step i covers the seconds from i to i + 1 times
            ``step_seconds`` after the cut-off.

        Raises:
            ConfigError: a clip of too few frames, or seconds beyond the horizon.
            MediaError: the clip cannot be read.
        """
        steps = self.steps(seconds)
        return self.ahead(self.context(self.pictures(clip), steps), steps)[0]

    def coherence(
        self,
        a: Clip,
        b: Clip,
        seconds: float = 1.0,
        others: Sequence[Clip] = (),
        seed: int = 0,
    ) -> Coherence:
        """How well the predicted continuation of ``a`` fits the beginning of ``b``.

        Args:
            seconds: how much of b is judged, at most; a b of one frame is shown twice.
            others: clips that do not follow a, for shuffled pairs.
            seed: of the shuffled places where no others are given.

        Raises:
            ConfigError: see ``predict_future``.
            MediaError: a clip cannot be read.
        """
        steps = self.steps(seconds)
        before, after = self.pictures(a), _even(self.pictures(b))
        steps = min(steps, len(after) // TUBELET)
        context = self.context(before, steps)
        judged = self.judge(context, after[: steps * TUBELET])
        if others:
            pairs = [
                energy(
                    judged.predicted,
                    self.came(context, _filled(self.pictures(other), steps * TUBELET)),
                )
                for other in others
            ]
            shuffled = float(np.mean(pairs))
        else:
            flat = judged.real.reshape(-1, judged.real.shape[-1])
            mixed = np.random.default_rng(seed).permutation(flat).reshape(judged.real.shape)
            shuffled = energy(judged.predicted, mixed)
        return Coherence(judged.energy, judged.static, shuffled, len(others), steps)

    def anticipate(
        self,
        clip: Clip,
        seconds: float,
        candidates: Sequence[Clip | str],
        *,
        projection: TextProjection | None = None,
        probe: TokenProbe | None = None,
    ) -> list[Anticipated]:
        """Candidates by how like they are what is predicted for the ``seconds`` after the clip.

        Example clips are compared by the mean of their normalised tokens (see
        ``egorag.predict.energy``), texts through a projection into V-JEPA 2's space, labels
        through a probe over the predicted tokens. Projections and probes are trained on encoded
        tokens; predicted ones are like those, but not of them. Unproven on general video:
        published anticipation (EPIC-KITCHENS-100) trains its probe on both kinds together.

        Args:
            candidates: all clips (a file as ``Path``), or all texts or labels (``str``).
            projection: for texts; ``egorag.encode.projection.Projected`` is one.
            probe: for labels; ``Probe.ahead()`` of a trained one.

        Returns:
            All candidates, the likeliest first.

        Raises:
            ConfigError: no candidates; clips and texts mixed; texts with neither projection nor
                probe, or with both; a label the probe does not know; see also ``predict_future``.
            SpaceError: the projection leads into another space.
            MediaError: a clip cannot be read.
        """
        steps = self.steps(seconds)
        score = scorer(candidates, self.clip_mean, self.encoder.space, projection, probe)
        future, last = self.ahead(self.context(self.pictures(clip), steps), steps)
        ranked = map(Anticipated, candidates, score(future), score(last))
        return sorted(ranked, key=lambda found: -found.score)

    # -- the steps of it --

    def pictures(self, clip: Clip) -> Sequence[Picture]:
        """The clip's frames; see ``egorag.predict.clips``."""
        return pictures(clip, self.encoder.sampling, self.video)

    def context(self, frames: Sequence[Picture], steps: int) -> Sequence[Picture]:
        """The last of ``frames`` that are shown to the model when ``steps`` are predicted.

        Raises:
            ConfigError: fewer than ``least``.
        """
        if len(frames) < self.least:
            raise ConfigError(
                f"a context of {len(frames)} frames is too short: give at least {self.least}, "
                f"{self.least / self.encoder.rate:g} s at {self.encoder.rate:g} a second"
            )
        count = min(len(frames), self.context_frames(steps)) // TUBELET * TUBELET
        return frames[len(frames) - count :]

    def ahead(self, context: Sequence[Picture], steps: int) -> tuple[Tokens, Tokens]:
        """What is predicted for ``steps`` after a context, [steps, side, side, dim], and the
        context's own last step, normalised, [1, side, side, dim]."""
        with self.encoder.loaded.held.lock:
            tokens = self.encoder.patch_tokens(context)
            predicted = self._predicted(tokens, steps)
        return self._array(predicted), normalised(self._array(tokens[-(self._side**2) :]))

    def came(self, context: Sequence[Picture], future: Sequence[Picture]) -> Tokens:
        """What ``future`` really was: its normalised tokens, encoded together with the context as
        in training, [steps, side, side, dim]."""
        count = len(future) // TUBELET * self._side**2
        tokens = self.encoder.patch_tokens([*context, *future])
        return normalised(self._array(tokens[-count:]))

    def judge(self, context: Sequence[Picture], future: Sequence[Picture]) -> Judged:
        """The prediction from ``context`` alone beside what came."""
        predicted, last = self.ahead(context, len(future) // TUBELET)
        return Judged(predicted, self.came(context, future), last)

    def clip_mean(self, clip: Clip) -> npt.NDArray[np.float32]:
        """float32 [dim]: the mean of a clip's normalised tokens, read as the encoder reads a
        scene (a long one in several clips, a short one repeated)."""
        frames = self.pictures(clip)
        clips = clip_frames(len(frames), self.encoder.frames)
        means = [
            normalised(self._array(self.encoder.patch_tokens([frames[i] for i in chosen]))).mean(
                (0, 1, 2), dtype=np.float64
            )
            for chosen in clips
        ]
        return np.average(means, axis=0, weights=[len(c) for c in clips]).astype(np.float32)

    def _predicted(self, tokens: Any, steps: int) -> Any:
        """[steps * side^2, dim] at the positions after all of ``tokens`` [n, dim].

        The model's own ``forward`` cannot go there: it would look the targets up among what was
        encoded. All of the context is visible, and both masks are made here and nowhere else.
        """
        import torch

        count = len(tokens)
        places = torch.arange(count + steps * self._side**2, device=tokens.device)[None]
        with torch.inference_mode():
            return self.encoder.loaded.held.model.predictor(
                encoder_hidden_states=tokens[None],
                context_mask=[places[:, :count]],
                target_mask=[places[:, count:]],
            ).last_hidden_state[0]

    def _array(self, tokens: Any) -> Tokens:
        """float32 [steps, side, side, dim] here, from [steps * side^2, dim] there."""
        grid = tokens.float().cpu().numpy()
        shaped: Tokens = grid.reshape(-1, self._side, self._side, grid.shape[-1])
        return shaped

    # -- giving back --

    def close(self) -> None:
        """Give memory back, unless an encoder still uses the model."""
        self.encoder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _even(frames: Sequence[Picture]) -> Sequence[Picture]:
    """With an odd last frame shown twice, as the encoder does."""
    return [*frames, frames[-1]] if len(frames) % TUBELET else frames


def _filled(frames: Sequence[Picture], count: int) -> Sequence[Picture]:
    """The first ``count`` frames; a shorter clip's last one goes on."""
    return [*frames[:count], *[frames[-1]] * max(0, count - len(frames))]
