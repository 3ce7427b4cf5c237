"""Losses: the loops' values are PyTorch's, their counts the pointwise formula and then the reduction."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from tests.reference import losses
from tests.reference.checking import counted
from tests.reference.machine import Tally


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def plus(*tallies: Tally) -> Tally:
    return Tally(**{name: sum(getattr(tally, name) for tally in tallies) for name in Tally().figures()})


def times(number: int, one: Tally) -> Tally:
    return Tally(**{name: number * value for name, value in one.figures().items()})


REDUCED = {"none": lambda _: Tally(), "sum": lambda n: Tally(0, n - 1), "mean": lambda n: Tally(0, n - 1, 1)}

X, Y = normal(3, 4) * 2, normal(3, 4) * 2
RATES, SHARES = torch.rand(3, 4, dtype=torch.float64) + 0.1, torch.rand(3, 4, dtype=torch.float64) * 0.9 + 0.05
SIGNS = torch.where(normal(3, 4) > 0, 1.0, -1.0).double()
BCE = Tally(2, 3, transcendentals=2)
SIGMOID = Tally(0, 1, 1, transcendentals=1)

POINTWISE = [
    (losses.l1_loss, F.l1_loss, (X, Y), {}, Tally(0, 1)),
    (losses.mse_loss, F.mse_loss, (X, Y), {}, Tally(1, 1)),
    (losses.smooth_l1_loss, F.smooth_l1_loss, (X, Y), {"beta": 0.7}, Tally(2, 2, 1, 1)),
    (losses.huber_loss, F.huber_loss, (X, Y), {"delta": 0.7}, Tally(3, 2, comparisons=1)),
    (losses.binary_cross_entropy, F.binary_cross_entropy, (SHARES, RATES.clamp(max=1)), {}, BCE),
    (losses.binary_cross_entropy, F.binary_cross_entropy, (SHARES, SHARES, RATES), {}, plus(BCE, Tally(1))),
    (
        losses.binary_cross_entropy_with_logits,
        F.binary_cross_entropy_with_logits,
        (X, SHARES),
        {},
        plus(BCE, SIGMOID),
    ),
    (
        losses.binary_cross_entropy_with_logits,
        F.binary_cross_entropy_with_logits,
        (X, SHARES, RATES),
        {"pos_weight": RATES[0]},
        plus(BCE, SIGMOID, Tally(2)),
    ),
    (losses.kl_div, F.kl_div, (X, SHARES), {}, Tally(1, 1, transcendentals=1)),
    (losses.kl_div, F.kl_div, (X, Y), {"log_target": True}, Tally(1, 1, transcendentals=1)),
    (losses.poisson_nll_loss, F.poisson_nll_loss, (X, RATES), {}, Tally(1, 1, transcendentals=1)),
    (losses.poisson_nll_loss, F.poisson_nll_loss, (RATES, Y), {"log_input": False}, Tally(1, 2, transcendentals=1)),
    (losses.gaussian_nll_loss, F.gaussian_nll_loss, (X, Y, RATES), {}, Tally(2, 2, 1, 1, 1)),
    (losses.hinge_embedding_loss, F.hinge_embedding_loss, (X, SIGNS), {"margin": 0.8}, Tally(0, 1, comparisons=2)),
    (losses.margin_ranking_loss, F.margin_ranking_loss, (X, Y, SIGNS), {"margin": 0.3}, Tally(1, 2, comparisons=1)),
    (losses.soft_margin_loss, F.soft_margin_loss, (X, SIGNS), {}, Tally(1, 1, transcendentals=2)),
]


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("reduction", REDUCED)
@pytest.mark.parametrize(("loop", "function", "operands", "options", "one"), POINTWISE)
def test_pointwise_losses(loop, function, operands, options, one, reduction):
    expected = function(*operands, reduction=reduction, **options)
    spent = counted(expected, loop, *operands, reduction=reduction, **options)
    assert spent == plus(times(12, one), REDUCED[reduction](12))


def test_the_mean_over_the_batch():
    expected = F.kl_div(X, SHARES, reduction="batchmean")
    spent = counted(expected, losses.kl_div, X, SHARES, reduction="batchmean")
    assert spent == plus(times(12, Tally(1, 1, transcendentals=1)), Tally(0, 11, 1))


@pytest.mark.parametrize("reduction", REDUCED)
@pytest.mark.parametrize("shape", [(3, 5), (2, 4, 3), (2, 3, 2, 2)])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_with_classes(shape, weighted, reduction):
    logits, classes = normal(*shape), shape[1]
    target = torch.randint(classes, (shape[0], *shape[2:]))
    weight = torch.rand(classes, dtype=torch.float64) + 0.1 if weighted else None
    rows = target.numel()
    expected = F.cross_entropy(logits, target, weight, reduction=reduction)
    spent = counted(expected, losses.cross_entropy, logits, target, weight, reduction=reduction)
    soft = times(rows, Tally(0, 3 * classes - 1, 0, classes - 1, classes + 1))
    weights = Tally(rows, rows - 1 if reduction == "mean" else 0) if weighted else Tally()
    assert spent == plus(soft, weights, REDUCED[reduction](rows))
    probabilities = logits.log_softmax(1)
    expected = F.nll_loss(probabilities, target, weight, reduction=reduction)
    spent = counted(expected, losses.nll_loss, probabilities, target, weight, reduction=reduction)
    assert spent == plus(weights, REDUCED[reduction](rows))


def test_cross_entropy_by_hand():
    logits, target = normal(2, 3), torch.tensor([2, 0])
    # two rows of 3: 2 comparisons, 3 shifts, 3 exp, 2 sums, 1 log, 3 differences each; then one sum and one division
    assert counted(F.cross_entropy(logits, target), losses.cross_entropy, logits, target) == Tally(0, 17, 1, 4, 8)


@pytest.mark.parametrize("reduction", REDUCED)
def test_ignored_targets_are_in_no_sum(reduction):
    logits, target = normal(4, 3), torch.tensor([0, -100, 2, 1])
    expected = F.cross_entropy(logits, target, reduction=reduction)
    spent = counted(expected, losses.cross_entropy, logits, target, reduction=reduction)
    assert spent == plus(times(4, Tally(0, 8, 0, 2, 4)), REDUCED[reduction](3))


@pytest.mark.parametrize("reduction", REDUCED)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("by_class", [False, True])
def test_cross_entropy_with_probabilities(by_class, smoothing, weighted, reduction):
    logits = normal(2, 3, 2)
    target = torch.randint(3, (2, 2)) if by_class else normal(2, 3, 2).softmax(1)
    weight = torch.rand(3, dtype=torch.float64) + 0.1 if weighted else None
    options = {"label_smoothing": smoothing, "reduction": reduction}
    expected = F.cross_entropy(logits, target, weight, **options)
    spent = counted(expected, losses.cross_entropy, logits, target, weight, **options)
    soft = times(4, Tally(0, 8, 0, 2, 4))
    if by_class and not smoothing:
        named = Tally(4 if weighted else 0, 3 if weighted and reduction == "mean" else 0)
        assert spent == plus(soft, named, REDUCED[reduction](4))
        return
    shares = times(12, Tally(1, 1)) if smoothing and not by_class else Tally()
    products = times(4, Tally(6 if weighted else 3, 2))
    total_weight = Tally(0, 3 if weighted and by_class and reduction == "mean" else 0)
    assert spent == plus(soft, shares, products, total_weight, REDUCED[reduction](4))


@pytest.mark.parametrize("reduction", REDUCED)
def test_losses_of_rows(reduction):
    signs, third = SIGNS[:, 0], normal(3, 4)
    expected = F.cosine_embedding_loss(X, Y, signs, 0.2, reduction=reduction)
    spent = counted(expected, losses.cosine_embedding_loss, X, Y, signs, margin=0.2, reduction=reduction)
    cosine = Tally(13, 9, 1, 2, 2)
    assert spent == plus(times(3, plus(cosine, Tally(0, 2, comparisons=2))), REDUCED[reduction](3))
    distance = Tally(4, 11, transcendentals=1)
    for swap, more in [(False, Tally()), (True, plus(distance, Tally(comparisons=1)))]:
        options = {"margin": 0.5, "swap": swap, "reduction": reduction}
        expected = F.triplet_margin_loss(X, Y, third, **options)
        one = plus(times(2, distance), more, Tally(0, 2, comparisons=1))
        assert counted(expected, losses.triplet_margin_loss, X, Y, third, **options) == plus(
            times(3, one), REDUCED[reduction](3)
        )
