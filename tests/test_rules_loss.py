"""Losses and distances: by hand, and against loops over random shapes, options and reductions."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, strategies as st
from torch import nn

from opcount import OpCount
from tests.agreement import normal, of, running
from tests.reference import distance, losses

REDUCTIONS = ("none", "sum", "mean")
shapes = st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple)
reductions = st.sampled_from(REDUCTIONS)
norms = st.sampled_from([1.0, 2.0, 3.0, float("inf")])


def shares(*shape):
    """Between 0 and 1: probabilities, variances, rates."""
    return torch.rand(shape, dtype=torch.float64) * 0.98 + 0.01


def signs(*shape):
    return torch.where(normal(*shape) > 0, 1.0, -1.0).double()


POINTWISE = [
    (nn.L1Loss, losses.l1_loss, normal, normal, {}),
    (nn.MSELoss, losses.mse_loss, normal, normal, {}),
    (nn.SmoothL1Loss, losses.smooth_l1_loss, normal, normal, {"beta": 0.7}),
    (nn.HuberLoss, losses.huber_loss, normal, normal, {"delta": 0.7}),
    (nn.BCELoss, losses.binary_cross_entropy, shares, shares, {}),
    (nn.BCEWithLogitsLoss, losses.binary_cross_entropy_with_logits, normal, shares, {}),
    (nn.KLDivLoss, losses.kl_div, normal, shares, {"log_target": False}),
    (nn.KLDivLoss, losses.kl_div, normal, normal, {"log_target": True}),
    (nn.PoissonNLLLoss, losses.poisson_nll_loss, normal, shares, {"log_input": True}),
    (nn.PoissonNLLLoss, losses.poisson_nll_loss, shares, shares, {"log_input": False}),
    (nn.HingeEmbeddingLoss, losses.hinge_embedding_loss, normal, signs, {"margin": 0.8}),
    (nn.SoftMarginLoss, losses.soft_margin_loss, normal, signs, {}),
]


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize(("kind", "loop", "first", "second", "options"), POINTWISE)
@given(shape=shapes, reduction=reductions)
def test_pointwise_losses(kind, loop, first, second, options, shape, reduction):
    values, target = first(*shape), second(*shape)
    expected = running(loop, values, target, reduction=reduction, **options)
    assert of(kind(reduction=reduction, **options), values, target) == expected


@given(shapes, reductions, st.booleans(), st.booleans())
def test_weights_of_binary_cross_entropy(shape, reduction, weighted, positive):
    weight = shares(shape[-1]) if weighted else None
    values, target = shares(*shape), shares(*shape)
    expected = running(losses.binary_cross_entropy, values, target, weight, reduction=reduction)
    assert of(nn.BCELoss(weight, reduction=reduction), values, target) == expected
    yes = shares(*shape) if positive else None
    expected = running(losses.binary_cross_entropy_with_logits, values, target, weight, yes, reduction=reduction)
    assert of(nn.BCEWithLogitsLoss(weight, reduction=reduction, pos_weight=yes), values, target) == expected


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_gaussian_likelihood(reduction):
    values, target, variance = normal(3, 4), normal(3, 4), shares(3, 4)
    expected = running(losses.gaussian_nll_loss, values, target, variance, reduction=reduction)
    assert of(nn.GaussianNLLLoss(reduction=reduction), values, target, variance) == expected
    full = of(nn.GaussianNLLLoss(full=True, reduction=reduction), values, target, variance)
    assert full == expected + OpCount(additions=12)
    for one in (shares(3, 1), shares(3)):
        assert of(nn.GaussianNLLLoss(reduction=reduction), values, target, one) == expected


def test_the_full_poisson_likelihood():
    # y·log(y) - y + 0.5·log(2π·y) worked out for every target, compared with 1, added
    values, target = normal(3, 4), shares(3, 4)
    more = 12 * OpCount(multiplications=3, additions=4, comparisons=1, transcendentals=2)
    assert of(nn.PoissonNLLLoss(full=True), values, target) == of(nn.PoissonNLLLoss(), values, target) + more


@st.composite
def classified(draw):
    """Logits (N, C, ...), classes for them, a weight or none, a reduction."""
    batch, classes, *rest = draw(st.lists(st.integers(1, 3), min_size=2, max_size=4))
    weight = shares(classes) if draw(st.booleans()) else None
    return normal(batch, classes, *rest), torch.randint(0, classes, (batch, *rest)), weight, draw(reductions)


@given(classified())
def test_negative_log_likelihood(case):
    logits, target, weight, reduction = case
    expected = running(losses.nll_loss, logits, target.numpy(), weight, reduction=reduction)
    assert of(nn.NLLLoss(weight, reduction=reduction), logits, target) == expected


@given(classified(), st.booleans(), st.sampled_from([0.0, 0.2]))
def test_cross_entropy(case, probabilities, smoothing):
    logits, target, weight, reduction = case
    wanted = shares(*logits.shape) if probabilities else target
    options = {"label_smoothing": smoothing, "reduction": reduction}
    given_target = wanted if probabilities else target.numpy()
    expected = running(losses.cross_entropy, logits, given_target, weight, **options)
    assert of(nn.CrossEntropyLoss(weight, **options), logits, wanted) == expected


@pytest.mark.parametrize("target", [torch.tensor(2), shares(4)], ids=["class", "probabilities"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_of_one_sample(target, smoothing):
    loss = nn.CrossEntropyLoss(label_smoothing=smoothing)
    batched = of(loss, normal(1, 4), target.unsqueeze(0))
    assert of(loss, normal(4), target) == batched


@pytest.mark.skipif(not hasattr(nn, "LinearCrossEntropyLoss"), reason="this PyTorch has no LinearCrossEntropyLoss")
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("further", [(), (2, 3)])
@pytest.mark.parametrize("probabilities", [False, True])
def test_linear_cross_entropy_is_both(smoothing, bias, further, probabilities):
    options = {"out_features": further, "bias": bias, "label_smoothing": smoothing}
    loss = nn.LinearCrossEntropyLoss(5, 4, **options).double()
    logits = normal(3, 4, *further)
    target = logits.softmax(1) if probabilities else torch.randint(0, 4, (3, *further))
    cross_entropy = of(nn.CrossEntropyLoss(label_smoothing=smoothing), logits, target)
    outputs = logits.numel()
    dots = OpCount(multiplications=5 * outputs, additions=(4 + bias) * outputs, macs=5 * outputs)
    assert of(loss, normal(3, 5), target) == dots + cross_entropy


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_losses_of_pairs(reduction):
    first, second, third, labels = normal(3, 4), normal(3, 4), normal(3, 4), signs(3)
    expected = running(losses.margin_ranking_loss, first[:, 0], second[:, 0], labels, reduction=reduction)
    assert of(nn.MarginRankingLoss(reduction=reduction), first[:, 0], second[:, 0], labels) == expected
    expected = running(losses.cosine_embedding_loss, first, second, labels, reduction=reduction)
    assert of(nn.CosineEmbeddingLoss(reduction=reduction), first, second, labels) == expected
    for swap in (False, True):
        options = {"swap": swap, "p": 3.0, "reduction": reduction}
        expected = running(losses.triplet_margin_loss, first, second, third, **options)
        assert of(nn.TripletMarginLoss(**options), first, second, third) == expected
        free = {"swap": swap, "reduction": reduction, "distance_function": nn.PairwiseDistance(3.0)}
        assert of(nn.TripletMarginWithDistanceLoss(**free), first, second, third) == expected


def test_a_label_that_is_an_index_takes_no_comparison():
    values, labels = normal(3), torch.tensor([1, -1, 1])
    with_numbers = of(nn.HingeEmbeddingLoss(), values, labels.double())
    assert of(nn.HingeEmbeddingLoss(), values, labels) + OpCount(comparisons=3) == with_numbers


@pytest.mark.parametrize("shape", [(3, 5), (5,)])
def test_multi_margin_by_hand(shape):
    samples = 3 if len(shape) == 2 else 1
    values, target = normal(*shape), torch.zeros(shape[:-1], dtype=torch.long)
    mean = OpCount(additions=samples - 1, divisions=1)
    # four classes beside the target: two sums, a maximum; three sums; one quotient
    plain = samples * OpCount(additions=4 * 2 + 3, comparisons=4, divisions=1) + mean
    assert of(nn.MultiMarginLoss(), values, target) == plain
    squared = plain + samples * OpCount(multiplications=4)
    assert of(nn.MultiMarginLoss(p=2), values, target) == squared
    assert of(nn.MultiMarginLoss(p=2, weight=shares(5)), values, target) == squared + samples * OpCount(4)


def test_multi_label_soft_margin_by_hand():
    values, target = normal(3, 4), (normal(3, 4) > 0).double()
    element = OpCount(multiplications=2, additions=3, divisions=2, transcendentals=3)
    plain = 12 * element + 3 * OpCount(additions=3, divisions=1)
    assert of(nn.MultiLabelSoftMarginLoss(reduction="none"), values, target) == plain
    weighted = plain + OpCount(multiplications=12, additions=2, divisions=1)
    assert of(nn.MultiLabelSoftMarginLoss(weight=shares(4)), values, target) == weighted


def test_by_hand():
    values, target = normal(10, 5), normal(10, 5)
    assert of(nn.MSELoss(), values, target) == OpCount(multiplications=50, additions=99, divisions=1)
    assert of(nn.L1Loss(reduction="sum"), values, target) == OpCount(additions=99)
    assert of(nn.SmoothL1Loss(beta=0.0), values, target) == of(nn.L1Loss(), values, target)
    named = of(nn.MSELoss(), input=values, target=target)
    assert named == of(nn.MSELoss(), values, target)


def test_the_absolute_error_of_complex_numbers_is_their_distance():
    values = torch.complex(normal(3), normal(3))
    # two differences; two squares, a sum, a root
    expected = 3 * OpCount(multiplications=2, additions=3, transcendentals=1)
    assert of(nn.L1Loss(reduction="none"), values, values) == expected


@pytest.mark.filterwarnings("ignore:Using a target size")
def test_broadcasting_counts_by_element():
    assert of(nn.MSELoss(reduction="none"), normal(3, 1), normal(4)) == OpCount(12, 12)


@given(shapes, st.data())
def test_cosine_similarity(shape, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    first, second = normal(*shape), normal(*shape)
    assert of(nn.CosineSimilarity(axis), first, second) == running(distance.cosine_similarity, first, second, axis)


@given(shapes, norms, st.booleans())
def test_pairwise_distance(shape, p, kept):
    first, second = normal(*shape), normal(*shape)
    expected = running(distance.pairwise_distance, first, second, p=p)
    assert of(nn.PairwiseDistance(p, keepdim=kept), first, second) == expected


def test_distances_broadcast():
    first, second = normal(3, 1, 4), normal(2, 4)
    assert of(nn.PairwiseDistance(), first, second) == running(distance.pairwise_distance, first, second)
    assert of(nn.CosineSimilarity(-1), first, second) == running(distance.cosine_similarity, first, second, -1)
