"""The probe's network against transformers' own classes."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from egorag.train.attentive import Shape, build, logits, padded, waves
from egorag.train.features import Clip
from egorag.train.learning import loss

LABELS = {"label": ("a", "b", "c")}


def shape(**changes: object) -> Shape:
    given = {"dim": 48, "width": 48, "blocks": 3, "labels": LABELS, "timed": False, **changes}
    return Shape(**given)  # type: ignore[arg-type]


def test_it_is_the_published_pooler_and_classifier() -> None:
    """The same weights in ``VJEPA2ForVideoClassification``'s own head give the same logits."""
    torch.manual_seed(0)
    model = build(shape()).eval()
    config = transformers.VJEPA2Config(
        hidden_size=48, num_attention_heads=16, num_hidden_layers=1, crop_size=32,
        pred_hidden_size=48, pred_num_attention_heads=2, pred_num_hidden_layers=1, num_labels=3,
    )  # fmt: skip
    whole = transformers.VJEPA2ForVideoClassification(config).eval()
    whole.pooler.load_state_dict(model["pooler"].state_dict())
    whole.classifier.load_state_dict(model["classifiers"]["label"].state_dict())
    tokens = torch.randn(2, 7, 48)
    with torch.no_grad():
        expected = whole.classifier(whole.pooler(tokens))
        given = logits(model, tokens)["label"]
    torch.testing.assert_close(given, expected, atol=1e-5, rtol=1e-5)


def test_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    model = build(shape(timed=True)).eval()
    dice = np.random.default_rng(0)
    clips = [
        Clip(dice.normal(size=(n, 48)).astype(np.float32), np.linspace(0, 1, n, dtype=np.float32))
        for n in (1, 9, 4)
    ]
    with torch.no_grad():
        together = logits(model, *padded(clips, "cpu"))["label"]
        for row, clip in zip(together, clips, strict=True):
            alone = logits(model, *padded([clip], "cpu"))["label"][0]
            torch.testing.assert_close(row, alone, atol=1e-5, rtol=1e-5)


def test_time_tells_one_order_from_another() -> None:
    """Attention alone takes the vectors as a bag."""
    torch.manual_seed(0)
    model = build(shape()).eval()
    vectors = torch.randn(1, 5, 48)
    places = torch.linspace(0, 1, 5)[None]
    with torch.no_grad():
        bags = [logits(model, v)["label"] for v in (vectors, vectors.flip(1))]
        timed = [logits(model, v, places)["label"] for v in (vectors, vectors.flip(1))]
    torch.testing.assert_close(*bags, atol=1e-5, rtol=1e-5)
    assert (timed[0] - timed[1]).abs().max() > 1e-4
    assert waves(places, 7).shape == (1, 5, 7)
    assert len({tuple(row) for row in waves(torch.linspace(0, 1, 200), 48).tolist()}) == 200


def test_three_queries_are_three_answers_of_their_own() -> None:
    torch.manual_seed(0)
    labels = {"verb": ("a", "b"), "noun": ("c", "d", "e"), "action": ("a c", "b d")}
    model = build(shape(labels=labels)).eval()
    given = logits(model, torch.randn(4, 5, 48))
    assert {name: tuple(rows.shape) for name, rows in given.items()} == {
        "verb": (4, 2), "noun": (4, 3), "action": (4, 2)
    }  # fmt: skip
    assert model["pooler"].query_tokens.shape == (1, 3, 48)
    assert model["pooler"].query_tokens[0].std(0).min() > 0  # each asks something else


@pytest.mark.parametrize(
    ("width", "heads"), [(1024, 16), (1408, 16), (384, 16), (36, 12), (7, 7), (1, 1), (17, 1)]
)
def test_heads_divide_the_width(width: int, heads: int) -> None:
    assert shape(width=width).heads == heads


def test_a_width_of_its_own_goes_through_a_layer() -> None:
    model = build(shape(width=16))
    assert model["input"].weight.shape == (16, 48)
    assert logits(model, torch.randn(2, 3, 48))["label"].shape == (2, 3)


def test_the_loss_of_actions_is_three_focal_losses_and_of_a_label_cross_entropy() -> None:
    """Written out: Lin et al., equation 5, with alpha 0.25 and gamma 2."""
    torch.manual_seed(0)
    given = {"verb": torch.randn(4, 3), "noun": torch.randn(4, 5), "action": torch.randn(4, 7)}
    wanted = {"verb": [0, 2, 1, 1], "noun": [4, 0, 0, 2], "action": [6, 0, 3, 3]}
    expected = 0.0
    for name, rows in given.items():
        for i, row in enumerate(rows.double().sigmoid().tolist()):
            for j, p in enumerate(row):
                right = j == wanted[name][i]
                seen = p if right else 1 - p
                expected -= (0.25 if right else 0.75) * (1 - seen) ** 2 * np.log(seen) / 4
    told = {name: torch.tensor(numbers) for name, numbers in wanted.items()}
    assert float(loss(given, told, "ek100")) == pytest.approx(expected, rel=1e-5)
    single = torch.nn.functional.cross_entropy(given["verb"], told["verb"])
    assert loss({"label": given["verb"]}, {"label": told["verb"]}, "label") == single
