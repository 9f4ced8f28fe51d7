"""The predictor against a plain call of the model's own, and against the future itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from predict.conftest import FRAMES, POSITIONS, RATE, blocks, write

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from checkpoints import vjepa2 as tiny

import egorag.predict
from egorag.encode.base import FrameClip
from egorag.encode.vjepa2 import VJEPA2
from egorag.errors import ConfigError, MediaError
from egorag.media.reader import frames
from egorag.predict import Footage, Predictor, normalised
from egorag.predict import clips as clips_module
from egorag.spans import Span

SIDE = tiny.CROP // tiny.PATCH
HORIZON = POSITIONS - FRAMES // 2
Twins = Callable[[int], tuple[Path, Path]]


def plain(folder: Path, shown: npt.NDArray[np.uint8], steps: int) -> Any:
    """By hand: processor, encoder, and the predictor at the positions after all tokens."""
    processor = transformers.AutoVideoProcessor.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        tokens = model.encoder(
            processor(shown, return_tensors="pt")["pixel_values_videos"]
        ).last_hidden_state
        n = tokens.shape[1]
        return model.predictor(
            encoder_hidden_states=tokens,
            context_mask=[torch.arange(n).unsqueeze(0)],
            target_mask=[torch.arange(n, n + steps * SIDE * SIDE).unsqueeze(0)],
        ).last_hidden_state[0]


def encoded(folder: Path, shown: npt.NDArray[np.uint8]) -> Any:
    """By hand: the encoder's tokens after a layer norm without weights."""
    processor = transformers.AutoVideoProcessor.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        pixels = processor(shown, return_tensors="pt")["pixel_values_videos"]
        tokens = model(pixels, skip_predictor=True).last_hidden_state[0]
    return torch.nn.functional.layer_norm(tokens, tokens.shape[-1:])


# -- what it computes --


@pytest.mark.parametrize("steps", [1, 3, HORIZON])
def test_the_future_is_the_plain_call_of_the_models_predictor(
    predictor: Predictor, folder: Path, steps: int
) -> None:
    shown = blocks(FRAMES)
    future = predictor.predict_future(shown, steps * 2 / RATE)
    assert future.shape == (steps, SIDE, SIDE, tiny.WIDTH)
    assert future.dtype == np.float32
    expected = plain(folder, shown, steps).numpy()
    np.testing.assert_allclose(future.reshape(-1, tiny.WIDTH), expected, atol=1e-5)


def test_the_models_own_forward_cannot_go_there(folder: Path) -> None:
    """Why the predictor is called by itself. If this works one day, the call can be simpler."""
    model = transformers.AutoModel.from_pretrained(folder).eval()
    pixels = torch.zeros(1, FRAMES, 3, tiny.CROP, tiny.CROP)
    n = FRAMES // 2 * SIDE * SIDE
    masks = {"context_mask": [torch.arange(n)[None]], "target_mask": [torch.arange(n, n + 4)[None]]}
    with pytest.raises((RuntimeError, IndexError)):
        model(pixels, **masks)


def test_it_is_not_a_static_copy_and_places_and_steps_differ(predictor: Predictor) -> None:
    context = list(blocks(FRAMES))
    future, last = predictor.ahead(context, 3)
    assert last.shape == (1, SIDE, SIDE, tiny.WIDTH)
    assert np.abs(future - last).mean() > 0.1
    flat = future.reshape(-1, tiny.WIDTH)
    apart = np.abs(flat[:, None] - flat[None]).max(-1)
    assert (apart[~np.eye(len(flat), dtype=bool)] > 1e-4).all()


def test_all_of_the_context_counts_and_only_its_last_frames_are_used(predictor: Predictor) -> None:
    shown = blocks(FRAMES)
    future = predictor.predict_future(shown, 1)
    for k in range(FRAMES):
        changed = shown.copy()
        changed[k] = 255 - changed[k]
        assert np.abs(predictor.predict_future(changed, 1) - future).max() > 1e-5, k
    longer = np.concatenate([blocks(5, seed=9), shown])
    assert np.array_equal(predictor.predict_future(longer, 1), future)


def test_context_and_future_stay_within_the_positions_the_model_was_trained_for(
    folder: Path,
) -> None:
    """A context as long as all positions gives way to the future, from its beginning."""
    encoder = VJEPA2(checkpoint=str(folder), frames=2 * POSITIONS)
    with Predictor(encoder, device="cpu") as whole:
        assert (whole.least, whole.horizon) == (16, POSITIONS - 8)
        shown = blocks(2 * POSITIONS)
        future = whole.predict_future(shown, 2)
        expected = plain(folder, shown[8:], 4).numpy()
        np.testing.assert_allclose(future.reshape(-1, tiny.WIDTH), expected, atol=1e-5)


def test_both_masks_are_made_inside(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    """All tokens are context, targets follow on them; nobody can give one mask without the
    other."""
    model = predictor.encoder.loaded.held.model
    called: list[dict[str, Any]] = []
    forward = model.predictor.forward
    monkeypatch.setattr(
        model.predictor, "forward", lambda **given: (called.append(given), forward(**given))[1]
    )
    predictor.predict_future(blocks(FRAMES), 1)
    predictor.coherence(blocks(FRAMES), blocks(4))
    n = FRAMES // 2 * SIDE * SIDE
    for given in called:
        (context,), (target,) = given["context_mask"], given["target_mask"]
        assert context.tolist() == [list(range(n))]
        assert target.tolist() == [list(range(n, n + 2 * SIDE * SIDE))]
        assert given["encoder_hidden_states"].shape == (1, n, tiny.WIDTH)
    assert len(called) == 2
    for name, method in inspect.getmembers(Predictor, inspect.isfunction):
        assert not any("mask" in p for p in inspect.signature(method).parameters), name


# -- the future cannot be seen --


def test_noise_after_the_cut_off_changes_not_a_bit(predictor: Predictor, twins: Twins) -> None:
    cut = 17
    real, noise = twins(cut)
    span = Span.seconds(0, cut / RATE)
    for seconds in (0.5, 2, HORIZON * 2 / RATE):
        futures = [predictor.predict_future(Footage(path, span), seconds) for path in (real, noise)]
        assert np.array_equal(*futures)
    candidates = [blocks(8, seed=s) for s in range(3)]
    scores = [
        [each.score for each in predictor.anticipate(Footage(path, span), 1, candidates)]
        for path in (real, noise)
    ]
    assert scores[0] == scores[1]


def test_the_test_before_would_see_a_peek(
    predictor: Predictor, twins: Twins, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that goes one frame too far is found out."""
    cut = 17
    real, noise = twins(cut)
    honest = clips_module.stretch

    def peeking(path: Path, span: Span, sampling: Any) -> Sequence[Any]:
        return honest(path, Span(span.start, span.end + 1_000_000 // RATE), sampling)

    monkeypatch.setattr(clips_module, "stretch", peeking)
    span = Span.seconds(0, cut / RATE)
    futures = [predictor.predict_future(Footage(path, span), 1) for path in (real, noise)]
    assert not np.array_equal(*futures)


def test_no_frame_after_the_cut_off_reaches_the_model(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where nothing would come of it: the pixels given to the model are those of the
    frames before the cut-off."""
    path = write(tmp_path / "a.mkv", blocks(40))
    expected = [f.image for f in frames(path, predictor.encoder.sampling)][12 - FRAMES : 12]
    shown: list[Any] = []
    patch_tokens = VJEPA2.patch_tokens
    monkeypatch.setattr(
        VJEPA2,
        "patch_tokens",
        lambda self, images: (shown.extend(images), patch_tokens(self, images))[1],
    )
    predictor.predict_future(Footage(path, Span.seconds(0.5, 12 / RATE)), 1)
    assert np.array_equal(np.stack(shown), np.stack(expected))


def test_a_coherence_judges_the_prediction_from_a_alone(predictor: Predictor) -> None:
    """Whatever b is, the prediction it is judged by is the same."""
    a = list(blocks(FRAMES))
    judged = [predictor.judge(a, list(blocks(4, seed=s))) for s in (1, 2)]
    assert np.array_equal(judged[0].predicted, judged[1].predicted)
    assert np.array_equal(judged[0].last, judged[1].last)
    assert not np.array_equal(judged[0].real, judged[1].real)


# -- coherence --


def test_coherence_is_the_training_loss_with_its_baselines(
    predictor: Predictor, folder: Path
) -> None:
    a, b = blocks(FRAMES), blocks(6, seed=1)
    others = [blocks(6, seed=s) for s in (2, 3)]
    found = predictor.coherence(a, b, seconds=1, others=others)
    loss = torch.nn.functional.l1_loss
    place = SIDE * SIDE
    predicted = plain(folder, a, 2)
    came = encoded(folder, np.concatenate([a, b[:4]]))[-2 * place :]
    last = encoded(folder, a)[-place:].repeat(2, 1)
    pairs = [encoded(folder, np.concatenate([a, o[:4]]))[-2 * place :] for o in others]
    assert found.energy == pytest.approx(float(loss(predicted, came)), abs=1e-5)
    assert found.static == pytest.approx(float(loss(last, came)), abs=1e-5)
    expected = np.mean([float(loss(predicted, pair)) for pair in pairs])
    assert found.shuffled == pytest.approx(expected, abs=1e-5)
    assert (found.pairs, found.steps) == (2, 2)
    assert found.ratio == found.energy / found.static
    assert found.against_shuffled == found.energy / found.shuffled
    told = str(found)
    for number in (found.energy, found.static, found.shuffled, found.ratio):
        assert f"{number:.4f}" in told or f"ratio {number:.2f}" in told


def test_shuffled_places_are_seeded(predictor: Predictor) -> None:
    a, b = blocks(FRAMES), blocks(4, seed=1)
    first = predictor.coherence(a, b)
    assert first == predictor.coherence(a, b)
    assert first.pairs == 0
    assert first.shuffled not in (first.energy, predictor.coherence(a, b, seed=1).shuffled)
    assert "other places" in str(first)


def test_what_never_changes_is_a_perfect_static_copy_of_nothing_else(
    predictor: Predictor,
) -> None:
    still = blocks(1).repeat(FRAMES + 4, 0)
    moving = blocks(FRAMES + 4)
    kept = predictor.coherence(still[:FRAMES], still[FRAMES:])
    lost = predictor.coherence(moving[:FRAMES], moving[FRAMES:])
    assert kept.static < lost.static


def test_a_short_b_is_judged_as_far_as_it_goes(predictor: Predictor) -> None:
    assert predictor.coherence(blocks(FRAMES), blocks(3), seconds=5).steps == 2
    assert predictor.coherence(blocks(FRAMES), blocks(1), seconds=5).steps == 1


def test_normalised_is_torchs_layer_norm() -> None:
    tokens = np.random.default_rng(0).normal(3, 5, (2, 2, 2, 48)).astype(np.float32)
    tokens[0, 0, 0] = 4.0  # no variance
    expected = torch.nn.functional.layer_norm(torch.from_numpy(tokens), (48,)).numpy()
    np.testing.assert_allclose(normalised(tokens), expected, atol=1e-5)


# -- what it is shown --


def test_every_way_to_give_a_clip_is_the_same_clip(
    predictor: Predictor, folder: Path, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.mkv", blocks(40))
    sampling = predictor.encoder.sampling
    taken = [f for f in frames(path, sampling) if 3_000_000 <= f.time < 6_000_000]
    span = Span.seconds(3, 6)
    with egorag.predict.open(folder, video=path, device="cpu", frames=FRAMES) as other:
        expected = other.predict_future(span, 1)
    for clip in (
        Footage(path, span),
        FrameClip(span, tuple(taken)),
        np.stack([f.image for f in taken]),
    ):
        assert np.array_equal(predictor.predict_future(clip, 1), expected)
    whole = predictor.predict_future(path, 1)
    assert np.array_equal(whole, predictor.predict_future(Footage(path, Span.seconds(0, 10)), 1))


def test_a_model_that_an_encoder_has_loaded_is_shared(predictor: Predictor, folder: Path) -> None:
    encoder = VJEPA2(checkpoint=str(folder), frames=4)
    encoder.setup()
    assert encoder.loaded.held.model is predictor.encoder.loaded.held.model
    with egorag.predict.open(folder, device="cpu", frames=4) as other:
        assert other.encoder.loaded.held.model is encoder.loaded.held.model
    assert encoder.encode([FrameClip(Span(0, 1), ())][:0]).shape == (0, tiny.WIDTH)
    encoder.close()
    assert predictor.predict_future(blocks(FRAMES), 1).shape[0] == 2


def test_bfloat16_is_near_float32(predictor: Predictor, folder: Path) -> None:
    with egorag.predict.open(folder, device="cpu", frames=FRAMES, dtype="bfloat16") as half:
        rough, exact = (p.predict_future(blocks(FRAMES), 1) for p in (half, predictor))
    assert rough.dtype == np.float32
    assert np.abs(rough - exact).mean() < 0.1 * np.abs(exact).mean()


# -- what it refuses --


def test_beyond_the_horizon_is_refused_with_the_farthest_there_is(predictor: Predictor) -> None:
    most = HORIZON * 2 / RATE
    predictor.predict_future(blocks(FRAMES), most)
    with pytest.raises(ConfigError, match=rf"{POSITIONS} steps.*at most {most:g} s"):
        predictor.predict_future(blocks(FRAMES), most + 0.1)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_seconds_that_are_none_are_refused(predictor: Predictor, seconds: float) -> None:
    with pytest.raises(ConfigError, match="positive"):
        predictor.predict_future(blocks(FRAMES), seconds)


def test_a_context_that_is_too_short_is_refused(predictor: Predictor) -> None:
    with pytest.raises(ConfigError, match=r"7 frames.*at least 8, 2 s at 4 a second"):
        predictor.predict_future(blocks(FRAMES - 1), 1)


def test_a_checkpoint_without_room_for_a_future_is_refused(tmp_path: Path) -> None:
    folder = tiny.write(tmp_path, frames_per_clip=8)
    with pytest.raises(ConfigError, match="no room for a future"):
        egorag.predict.open(folder, device="cpu", frames=8)


def test_what_is_no_clip_is_refused(predictor: Predictor, tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", blocks(12))
    for clip, error, said in [
        (Span.seconds(0, 2), ConfigError, "video=PATH"),
        (Footage(path, Span.seconds(90, 95)), MediaError, "no frame"),
        (tmp_path / "none.mp4", MediaError, "no such file"),
        (
            write(tmp_path / "long.mkv", blocks(61 * RATE)),
            ConfigError,
            r"longer than 60 s.*Footage",
        ),
        (blocks(8).astype(np.float32), ConfigError, "float32"),
        (blocks(8)[..., 0], ConfigError, r"\[8, 36, 64\]"),
        (blocks(8)[..., :2], ConfigError, r"\[8, 36, 64, 2\]"),
        (blocks(1)[:0], ConfigError, r"\[0, 36, 64, 3\]"),
        ("a.mp4", ConfigError, "a.mp4"),
    ]:
        with pytest.raises(error, match=said):
            predictor.predict_future(clip, 1)  # type: ignore[arg-type]
