"""Losses: the documented formula of each element, then the reduction; as layers, functions and operators.

Where a label of 1 or -1 picks the branch, both are worked out, and a label that is a number takes one comparison;
an integer one is an index.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from opcount.formulas.arithmetic import one_less, product
from opcount.ops import Call, TensorSpec, Term, tensors
from opcount.rules.distance import distance
from opcount.rules.linear import bias_terms
from opcount.rules.reading import Given, given
from opcount.rules.registry import rule
from opcount.rules.shapes import broadcast, rows_along

_POINTWISE: dict[str, tuple[Any, ...]] = {
    "squared_error": (nn.MSELoss, F.mse_loss, "aten.mse_loss"),
    "huber_error": (nn.HuberLoss, F.huber_loss, "aten.huber_loss"),
    "relative_entropy": (nn.KLDivLoss, F.kl_div, torch.kl_div),
    "soft_margin": (nn.SoftMarginLoss, F.soft_margin_loss, "aten.soft_margin_loss"),
    "binary_cross_entropy": (nn.BCELoss, F.binary_cross_entropy, "aten.binary_cross_entropy"),
}


def _tie(formula: str, subjects: tuple[Any, ...]) -> None:
    @rule(*subjects)
    def pointwise_loss(subject: Any, call: Call) -> Iterator[Term]:
        """The loss's formula for each pair of elements, a weight, the reduction."""
        asked = given(subject, call)
        yield from _elementwise(asked, formula, _pairs(asked, "input", "target"), by_weights=formula == "squared_error")


for _formula, _subjects in _POINTWISE.items():
    _tie(_formula, _subjects)


@rule(nn.SmoothL1Loss, F.smooth_l1_loss, "aten.smooth_l1_loss")
def smooth_absolute_error(subject: Any, call: Call) -> Iterator[Term]:
    """Squares near, absolute values far; with beta = 0 it is documented to be L1."""
    asked = given(subject, call)
    formula = "absolute_error" if asked.beta == 0 else "smooth_absolute_error"
    yield from _elementwise(asked, formula, _pairs(asked, "input", "target"))


@rule(nn.L1Loss, F.l1_loss)
def absolute_error(subject: Any, call: Call) -> Iterator[Term]:
    """|x - y|: of reals the difference, of complex numbers its two squares, their sum and a root beside."""
    asked = given(subject, call)
    count = _pairs(asked, "input", "target")
    kinds = [tensor.dtype for tensor in tensors((call.args, call.kwargs)) if tensor.dtype.startswith("complex")]
    yield Term("absolute_error", count=count, dtype=kinds[0] if kinds else "")
    if kinds:
        yield Term("each", role="modulus", count=count, multiplications=2, additions=1, transcendentals=1)
    yield from _weighted(asked, count)
    yield from _reduced(asked, count, by_weights=True)


@rule(nn.BCEWithLogitsLoss, F.binary_cross_entropy_with_logits, torch.binary_cross_entropy_with_logits)
@rule("aten.binary_cross_entropy_with_logits")
def binary_cross_entropy_with_logits(subject: Any, call: Call) -> Iterator[Term]:
    """Binary cross entropy of a sigmoid, with a product each for a weight and a positive weight."""
    asked = given(subject, call)
    count = _pairs(asked, "input", "target")
    if asked.pos_weight is not None:
        yield Term("multiplication", role="positive weight", count=count)
    yield from _elementwise(asked, "binary_cross_entropy_with_logits", count)


@rule(nn.HingeEmbeddingLoss, F.hinge_embedding_loss, torch.hinge_embedding_loss)
def hinge_embedding(subject: Any, call: Call) -> Iterator[Term]:
    """x, or max(0, margin - x), as the label says."""
    asked = given(subject, call)
    count = _pairs(asked, "input", "target")
    yield Term("hinge_embedding", count=count)
    yield from _label(asked.target, count)
    yield from _reduced(asked, count)


@rule(nn.PoissonNLLLoss)
def poisson_nll(layer: Any, call: Call) -> Iterator[Term]:
    """exp(x) - y*x, or x - y*log(x + eps); in full with Stirling's approximation of log(y!), worked out for every y."""
    asked = given(layer, call)
    yield from _poisson_nll(asked, _pairs(asked, "log_input", "target"), layer.log_input)


@rule(F.poisson_nll_loss, torch.poisson_nll_loss)
def functional_poisson_nll(function: Any, call: Call) -> Iterator[Term]:
    """The same, where ``log_input`` is an option and not the input's name."""
    asked = given(function, call)
    yield from _poisson_nll(asked, _pairs(asked, "input", "target"), asked.log_input)


def _poisson_nll(asked: Given, count: int, of_logarithm: bool) -> Iterator[Term]:
    yield Term("poisson_nll" if of_logarithm else "poisson_nll_of_rate", count=count)
    if asked.full:
        yield Term("stirling", role="Stirling", count=count)
        yield Term("addition", role="Stirling", count=count)
    yield from _reduced(asked, count)


@rule(nn.GaussianNLLLoss, F.gaussian_nll_loss)
def gaussian_nll(subject: Any, call: Call) -> Iterator[Term]:
    """0.5*(log(var) + (x-y)^2 / var) with var clamped to eps; in full with the constant added."""
    asked = given(subject, call)
    count = _pairs(asked, "input", "target")
    yield Term("gaussian_nll", count=count)
    if asked.full:
        yield Term("addition", role="constant", count=count)
    yield from _reduced(asked, count)


@rule(nn.NLLLoss, "aten.nll_loss_forward", "aten.nll_loss2d_forward", "aten.nll_loss", "aten.nll_loss2d")
def negative_log_likelihood(subject: Any, call: Call) -> Iterator[Term]:
    """Looking the target's entry up is free; a weight is one product, and the mean is divided by the weights' sum."""
    asked = given(subject, call)
    yield from _picked(asked, asked.target.elements)


@rule(nn.CrossEntropyLoss, F.cross_entropy)
def cross_entropy(subject: Any, call: Call) -> Iterator[Term]:
    """Log-softmax over the classes, then the target's entry or the sum over the target's probabilities."""
    asked = given(subject, call)
    classes = rows_along(asked.input, 0 if len(asked.input.shape) == 1 else 1)
    yield from _cross_entropy(asked, classes["rows"], classes["length"])


def linear_cross_entropy(subject: Any, call: Call) -> Iterator[Term]:
    """A linear layer to the logits, then their cross entropy."""
    asked = given(subject, call)
    if isinstance(subject, nn.Module):
        classes, bias = asked.num_classes, asked.linear.bias
    else:
        classes, bias = asked.linear_weight.shape[0], asked.linear_bias
    rows = asked.target.elements // classes if asked.target.floating else asked.target.elements
    logits = product((rows, classes))
    yield Term("dots", role="logits", count=logits, length=asked.input.shape[-1])
    yield from bias_terms(bias, logits)
    yield from _cross_entropy(asked, rows, classes)


if hasattr(nn, "LinearCrossEntropyLoss"):  # younger than the oldest PyTorch that opcount runs with
    rule(nn.LinearCrossEntropyLoss, F.linear_cross_entropy)(linear_cross_entropy)


@rule(nn.MarginRankingLoss, F.margin_ranking_loss, torch.margin_ranking_loss)
def margin_ranking(subject: Any, call: Call) -> Iterator[Term]:
    """max(0, -y*(x1 - x2) + margin)."""
    asked = given(subject, call)
    count = _pairs(asked, "input1", "input2", "target")
    yield Term("margin_ranking", count=count)
    yield from _reduced(asked, count)


@rule(nn.CosineEmbeddingLoss, F.cosine_embedding_loss, torch.cosine_embedding_loss)
def cosine_embedding(subject: Any, call: Call) -> Iterator[Term]:
    """The cosine similarity of each pair, then both of the label's branches."""
    asked = given(subject, call)
    pairs = rows_along(broadcast(asked.input1.shape, asked.input2.shape), -1)
    yield Term("cosine_similarity", **pairs)
    yield Term("cosine_embedding", count=pairs["rows"])
    yield from _label(asked.target, pairs["rows"])
    yield from _reduced(asked, pairs["rows"])


@rule(nn.TripletMarginLoss, F.triplet_margin_loss, torch.triplet_margin_loss)
def triplet_margin(subject: Any, call: Call) -> Iterator[Term]:
    """Two distances, three and a comparison with the swap, and the larger of their difference with the margin and 0."""
    asked = given(subject, call)
    anchor, positive, negative = (getattr(asked, name).shape for name in ("anchor", "positive", "negative"))
    yield from distance(broadcast(anchor, positive), asked.p, role="positive")
    yield from distance(broadcast(anchor, negative), asked.p, role="negative")
    count = rows_along(broadcast(anchor, positive, negative), -1)["rows"]
    if asked.swap:
        yield from distance(broadcast(positive, negative), asked.p, role="swapped")
        yield Term("comparison", role="swap", count=count)
    yield Term("triplet_margin", count=count)
    yield from _reduced(asked, count)


@rule(nn.MultiMarginLoss, F.multi_margin_loss, "aten.multi_margin_loss")
def multi_margin(subject: Any, call: Call) -> Iterator[Term]:
    """max(0, margin - x[y] + x[i])^p of each class but the target, their sum over the number of classes."""
    asked = given(subject, call)
    sample = rows_along(asked.input, -1)
    others = one_less(sample["length"])
    count = product((sample["rows"], others))
    yield Term("multi_margin", count=count)
    yield Term("power", count=count, exponent=asked.p)
    yield from _weighted(asked, count, "class weight")
    yield Term("means", role="classes", rows=sample["rows"], length=others)
    yield from _reduced(asked, sample["rows"])


@rule(nn.MultiLabelSoftMarginLoss, F.multilabel_soft_margin_loss)
def multilabel_soft_margin(subject: Any, call: Call) -> Iterator[Term]:
    """The two-class log likelihood of each class, their mean, then the reduction over samples."""
    asked = given(subject, call)
    yield Term("multilabel_soft_margin", count=asked.input.elements)
    yield from _weighted(asked, asked.input.elements, "class weight")
    sample = rows_along(asked.input, -1)
    yield Term("means", role="classes", **sample)
    yield from _reduced(asked, sample["rows"])


def _pairs(asked: Given, *names: str) -> int:
    """How many elements the tensors of these names broadcast to."""
    return broadcast(*(getattr(asked, name).shape for name in names)).elements


def _elementwise(asked: Given, formula: str, count: int, by_weights: bool = False) -> Iterator[Term]:
    """A formula for each element, a product for a weight, and the reduction."""
    yield Term(formula, count=count)
    yield from _weighted(asked, count)
    yield from _reduced(asked, count, by_weights)


def _weighted(asked: Given, count: int, role: str = "weight") -> Iterator[Term]:
    if asked.get("weight") is not None:
        yield Term("multiplication", role=role, count=count)


def _label(target: TensorSpec, count: int) -> Iterator[Term]:
    if target.floating:
        yield Term("comparison", role="label", count=count)


def _cross_entropy(asked: Given, rows: int, classes: int) -> Iterator[Term]:
    """Target probabilities, and class indices smoothed into them, meet every class; plain indices pick one."""
    yield Term("log_softmax", rows=rows, length=classes)
    probabilities = asked.target.floating
    if not probabilities and not asked.label_smoothing:
        yield from _picked(asked, rows)
        return
    entries = product((rows, classes))
    if probabilities and asked.label_smoothing:  # what an index is smoothed to, hyperparameters fix
        yield Term("each", role="label smoothing", count=entries, multiplications=1, additions=1)
    yield from _weighted(asked, entries, "class weight")
    yield Term("multiplication", role="target", count=entries)
    yield Term("sums", role="classes", rows=rows, length=classes)
    yield from _reduced(asked, rows, by_weights=not probabilities)


def _picked(asked: Given, count: int) -> Iterator[Term]:
    yield from _weighted(asked, count, "class weight")
    yield from _reduced(asked, count, by_weights=True)


def _reduced(asked: Given, count: int, by_weights: bool = False) -> Iterator[Term]:
    """The reduction; some weighted means divide by the sum of the weights."""
    reduction = _reduction(asked)
    if reduction == "none":
        return
    yield Term("sums" if reduction == "sum" else "means", role="reduction", rows=1, length=count)
    if by_weights and reduction == "mean" and asked.get("weight") is not None:
        yield Term("sums", role="weights", rows=1, length=count)


def _reduction(asked: Given) -> str:
    """Its name: operators number the reductions, and functions still take the two flags that came before the name."""
    average, reduce = asked.get("size_average"), asked.get("reduce")
    if average is not None or reduce is not None:
        return "none" if reduce is False else "sum" if average is False else "mean"
    reduction = asked.reduction
    return ("none", "mean", "sum")[reduction] if isinstance(reduction, int) else str(reduction)
