"""Log-mel statistics: like sounds are near, whatever their loudness; any samples are safe."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from egorag.encode.base import Available, Encoder, QueryEncoder, SoundClip
from egorag.encode.logmel import DIM, RATE, LogMel
from egorag.errors import MediaError, SpaceError
from egorag.spans import Span
from egorag.types import Query

Sound = npt.NDArray[np.float32]
Maker = Callable[[np.random.Generator, npt.NDArray[np.float64]], npt.NDArray[np.float64]]


def tone(hertz: float) -> Maker:
    return lambda dice, t: np.sin(2 * np.pi * hertz * dice.uniform(0.97, 1.03) * t)


def saw(hertz: float) -> Maker:
    return lambda dice, t: (t * hertz * dice.uniform(0.97, 1.03)) % 1 - 0.5


def coloured(slope: float) -> Maker:
    def noise(dice: np.random.Generator, t: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        spectrum = np.fft.rfft(dice.standard_normal(len(t)))
        return np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 20) ** slope, len(t))

    return noise


def clicks(per_second: float) -> Maker:
    def ticking(dice: np.random.Generator, t: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        period = round(RATE / per_second)
        train = np.zeros(len(t))
        train[dice.integers(period) :: period] = 1
        burst = np.exp(-np.arange(200) / 30) * dice.standard_normal(200)
        return np.convolve(train, burst)[: len(t)]

    return ticking


def swelling(hertz: float, carrier: Maker) -> Maker:
    return lambda dice, t: (
        carrier(dice, t) * (0.5 + 0.5 * np.sin(2 * np.pi * hertz * t + dice.uniform(0, 6)))
    )


def sweep(low: float, high: float, per_second: float) -> Maker:
    def chirps(dice: np.random.Generator, t: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        phase = (t * per_second + dice.uniform()) % 1
        return np.sin(2 * np.pi * np.cumsum(low + (high - low) * phase) / RATE)

    return chirps


KINDS = {
    "tone 440": tone(440),
    "tone 1000": tone(1000),
    "tone 3000": tone(3000),
    "saw 120": saw(120),
    "saw 300": saw(300),
    "white noise": coloured(0),
    "pink noise": coloured(0.5),
    "brown noise": coloured(1),
    "clicks 3": clicks(3),
    "clicks 12": clicks(12),
    "swelling noise": swelling(3, coloured(0)),
    "pulsing tone": swelling(4, tone(1000)),
    "siren": sweep(500, 1500, 0.5),
    "chirps": sweep(200, 4000, 2),
}


def make(kind: str, seed: int) -> Sound:
    """2 to 14 s of a kind of sound at -30 to 0 dB, in noise 30 dB below it."""
    dice = np.random.default_rng([seed, list(KINDS).index(kind)])
    t = np.arange(round(RATE * dice.uniform(2, 14))) / RATE
    sound = KINDS[kind](dice, t)
    noisy = sound / sound.std() + dice.standard_normal(len(t)) * 10 ** (-30 / 20)
    gain = 10 ** (-dice.uniform(0, 30) / 20)
    return (gain * noisy / np.abs(noisy).max()).astype(np.float32)


def embed(*sounds: npt.ArrayLike, window: float = 10.0) -> Sound:
    clips = [SoundClip(Span(0, 1), np.asarray(sound, np.float32), RATE) for sound in sounds]
    return LogMel(window).encode(clips)


def write_wav(path: Path, sound: Sound) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", "NONE"))
        file.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())


def test_the_nearest_sound_is_of_the_same_kind() -> None:
    kinds = [kind for kind in KINDS for _ in range(3)]
    vectors = embed(*(make(kind, seed) for seed, kind in enumerate(kinds)))
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -1)
    assert [kinds[i] for i in similarity.argmax(axis=1)] == kinds


def test_loudness_is_divided_out() -> None:
    for kind in KINDS:
        sound = make(kind, 0)
        loud, quiet = embed(sound, sound * 0.1)
        assert loud @ quiet > 0.9999, kind


def test_where_a_cut_falls_matters_little() -> None:
    for kind in KINDS:
        sound = np.tile(make(kind, 0), 7)[: 14 * RATE]
        first, later = embed(sound[: 10 * RATE], sound[3 * RATE + 77 : 13 * RATE])
        assert first @ later > 0.98, kind


def test_pieces_of_real_speech_are_nearest_to_each_other(shared_data: Path) -> None:
    from egorag.media import sound

    chunks = sound(shared_data / "media" / "jfk.flac", LogMel.sampling)
    speech = np.concatenate([chunk.samples for chunk in chunks])
    pieces = [speech[i * 2 * RATE : (i + 1) * 2 * RATE] * 10 ** (-i / 5) for i in range(5)]
    vectors = embed(*pieces, *(make(kind, 1) for kind in KINDS))
    similarity = vectors[:5] @ vectors.T
    np.fill_diagonal(similarity, -1)
    assert (similarity.argmax(axis=1) < 5).all()


def test_a_long_scene_is_the_weighted_mean_of_its_windows() -> None:
    sound = np.concatenate([make("tone 440", 1), make("pink noise", 2)])[: 5 * RATE]
    parts = embed(sound[: 2 * RATE], sound[2 * RATE : 4 * RATE], sound[4 * RATE :])
    expected = np.array([2, 2, 1]) @ parts
    whole = embed(sound, window=2.0)[0]
    np.testing.assert_allclose(whole, expected / np.linalg.norm(expected), atol=1e-6)


def test_silence_is_one_direction_that_no_sound_shares() -> None:
    hiss = np.random.default_rng(0).standard_normal(RATE) * 1e-5
    silent, dc, noise_floor, one, music = embed(
        np.zeros(RATE), np.full(RATE, 0.5), hiss, [0.3], make("saw 120", 0)
    )
    for row in (dc, noise_floor, one):
        np.testing.assert_array_equal(row, silent)
    assert silent @ music == 0


@given(
    st_numpy.arrays(
        np.float32,
        st.integers(1, 1000),
        elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
        fill=st.sampled_from([0.0, 0.5, float("nan"), float("inf")]),
    )
)
@settings(max_examples=60, deadline=None)
def test_any_samples_give_a_finite_unit_row(samples: Sound) -> None:
    np.testing.assert_allclose(np.linalg.norm(embed(samples), axis=1), 1, atol=1e-6)


def test_results_do_not_vary() -> None:
    sound = make("clicks 3", 0)
    np.testing.assert_array_equal(embed(sound), embed(sound))
    np.testing.assert_array_equal(embed(sound, make("siren", 0))[:1], embed(sound))


def test_a_query_file_is_embedded_as_its_scene_would_be(tmp_path: Path) -> None:
    sound = np.tile(make("chirps", 3), 14)[: 23 * RATE]  # several windows
    write_wav(tmp_path / "chirps.wav", sound)
    query = LogMel().embed_query(Query(sound=tmp_path / "chirps.wav"), "sound")
    np.testing.assert_allclose(np.linalg.norm(query), 1, atol=1e-6)
    assert query @ embed(sound)[0] > 0.999


def test_a_query_file_without_sound_is_refused(tmp_path: Path) -> None:
    write_wav(tmp_path / "empty.wav", np.empty(0, np.float32))
    (tmp_path / "text.wav").write_text("not a sound")
    for name in ("empty.wav", "text.wav", "absent.wav"):
        with pytest.raises(MediaError, match=name):
            LogMel().embed_query(Query(sound=tmp_path / name), "sound")


def test_is_an_encoder_with_a_queryable_space() -> None:
    encoder = LogMel()
    encoder.setup()
    encoder.close()
    assert isinstance(encoder, Encoder)
    assert isinstance(encoder, QueryEncoder)
    assert encoder.encode([]).shape == (0, DIM)
    assert encoder.space.dim == DIM
    assert encoder.fingerprint() != LogMel(window=5).fingerprint()
    mute = Available(frames=True, sound=False, subtitles=True, text=True)
    assert encoder.skip_reason(mute) == "no sound"


def test_wrong_use_is_refused() -> None:
    with pytest.raises(SpaceError, match="text"):
        LogMel().embed_query(Query(text="a bell"), "text")
    with pytest.raises(ValueError, match="48000"):
        LogMel().encode([SoundClip(Span(0, 1), np.zeros(9, np.float32), 48_000)])
    with pytest.raises(ValueError, match="window"):
        LogMel(window=0)
