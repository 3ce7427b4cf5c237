"""Losses: the documented formula of each element, then the reduction.

Where a label of 1 or -1 picks the branch, both are worked out, and a label that is a number takes one comparison;
an integer one is an index.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from opcount.formulas.arithmetic import one_less, product
from opcount.ops import Call, TensorSpec, Term, tensors
from opcount.rules.distance import distance
from opcount.rules.registry import rule
from opcount.rules.shapes import broadcast, entry_of, rows_along

_FORMULAS: dict[type[nn.Module], str] = {
    nn.MSELoss: "squared_error",
    nn.SmoothL1Loss: "smooth_absolute_error",
    nn.HuberLoss: "huber_error",
    nn.KLDivLoss: "relative_entropy",
    nn.SoftMarginLoss: "soft_margin",
}


@rule(nn.L1Loss)
def absolute_error(layer: Any, call: Call) -> Iterator[Term]:
    """|x - y|: of reals the difference, of complex numbers its two squares, their sum and a root beside."""
    count = broadcast(*_shapes(call, "input", "target")).elements
    kinds = [tensor.dtype for tensor in tensors((call.args, call.kwargs)) if tensor.dtype.startswith("complex")]
    yield Term("absolute_error", count=count, dtype=kinds[0] if kinds else "")
    if kinds:
        yield Term("each", role="modulus", count=count, multiplications=2, additions=1, transcendentals=1)
    yield from _reduced(layer, count)


@rule(*_FORMULAS)
def pointwise_loss(layer: Any, call: Call) -> Iterator[Term]:
    """The loss's formula for each pair of elements; smooth L1 with beta = 0 is documented to be L1."""
    count = broadcast(*_shapes(call, "input", "target")).elements
    hard = isinstance(layer, nn.SmoothL1Loss) and layer.beta == 0
    yield Term("absolute_error" if hard else entry_of(layer, _FORMULAS), count=count)
    yield from _reduced(layer, count)


@rule(nn.HingeEmbeddingLoss)
def hinge_embedding(layer: Any, call: Call) -> Iterator[Term]:
    """x, or max(0, margin - x), as the label says."""
    count = broadcast(*_shapes(call, "input", "target")).elements
    yield Term("hinge_embedding", count=count)
    yield from _label(call.argument(1, "target"), count)
    yield from _reduced(layer, count)


@rule(nn.BCELoss, nn.BCEWithLogitsLoss)
def binary_cross_entropy(layer: Any, call: Call) -> Iterator[Term]:
    """y*log(p) + (1-y)*log(1-p), with p a sigmoid for logits; one product each for a weight and a positive weight."""
    count = call.input.elements
    with_logits = isinstance(layer, nn.BCEWithLogitsLoss)
    yield Term("binary_cross_entropy_with_logits" if with_logits else "binary_cross_entropy", count=count)
    if with_logits and layer.pos_weight is not None:
        yield Term("multiplication", role="positive weight", count=count)
    if layer.weight is not None:
        yield Term("multiplication", role="weight", count=count)
    yield from _reduced(layer, count)


@rule(nn.PoissonNLLLoss)
def poisson_nll(layer: Any, call: Call) -> Iterator[Term]:
    """exp(x) - y*x, or x - y*log(x + eps); in full with Stirling's approximation of log(y!), worked out for every y."""
    count = broadcast(*_shapes(call, "log_input", "target")).elements
    yield Term("poisson_nll" if layer.log_input else "poisson_nll_of_rate", count=count)
    if layer.full:
        yield Term("stirling", role="Stirling", count=count)
        yield Term("addition", role="Stirling", count=count)
    yield from _reduced(layer, count)


@rule(nn.GaussianNLLLoss)
def gaussian_nll(layer: Any, call: Call) -> Iterator[Term]:
    """0.5*(log(var) + (x-y)^2 / var) with var clamped to eps; in full with the constant added."""
    count = broadcast(*_shapes(call, "input", "target")).elements
    yield Term("gaussian_nll", count=count)
    if layer.full:
        yield Term("addition", role="constant", count=count)
    yield from _reduced(layer, count)


@rule(nn.NLLLoss)
def negative_log_likelihood(layer: Any, call: Call) -> Iterator[Term]:
    """Looking the target's entry up is free; a weight is one product, and the mean is divided by the weights' sum."""
    yield from _picked(layer, call.argument(1, "target").elements)


@rule(nn.CrossEntropyLoss)
def cross_entropy(layer: Any, call: Call) -> Iterator[Term]:
    """Log-softmax over the classes, then the target's entry or the sum over the target's probabilities."""
    logits = call.argument(0, "input")
    classes = rows_along(logits, 0 if len(logits.shape) == 1 else 1)
    yield from _cross_entropy(layer, classes["rows"], classes["length"], call.argument(1, "target"))


def linear_cross_entropy(layer: Any, call: Call) -> Iterator[Term]:
    """A linear layer to the logits, then their cross entropy."""
    features, target = call.argument(0, "input"), call.argument(1, "target")
    classes = layer.num_classes
    rows = target.elements // classes if target.floating else target.elements
    logits = product((rows, classes))
    yield Term("dots", role="logits", count=logits, length=features.shape[-1])
    if layer.linear.bias is not None:
        yield Term("bias", role="bias", count=logits)
    yield from _cross_entropy(layer, rows, classes, target)


if hasattr(nn, "LinearCrossEntropyLoss"):  # younger than the oldest PyTorch that opcount runs with
    rule(nn.LinearCrossEntropyLoss)(linear_cross_entropy)


@rule(nn.MarginRankingLoss)
def margin_ranking(layer: Any, call: Call) -> Iterator[Term]:
    """max(0, -y*(x1 - x2) + margin)."""
    count = broadcast(*_shapes(call, "input1", "input2", "target")).elements
    yield Term("margin_ranking", count=count)
    yield from _reduced(layer, count)


@rule(nn.CosineEmbeddingLoss)
def cosine_embedding(layer: Any, call: Call) -> Iterator[Term]:
    """The cosine similarity of each pair, then both of the label's branches."""
    pairs = rows_along(broadcast(*_shapes(call, "input1", "input2")), -1)
    yield Term("cosine_similarity", **pairs)
    yield Term("cosine_embedding", count=pairs["rows"])
    yield from _label(call.argument(2, "target"), pairs["rows"])
    yield from _reduced(layer, pairs["rows"])


@rule(nn.TripletMarginLoss)
def triplet_margin(layer: Any, call: Call) -> Iterator[Term]:
    """Two distances, three and a comparison with the swap, and the larger of their difference with the margin and 0."""
    anchor, positive, negative = _shapes(call, "anchor", "positive", "negative")
    yield from distance(broadcast(anchor, positive), layer.p, role="positive")
    yield from distance(broadcast(anchor, negative), layer.p, role="negative")
    count = rows_along(broadcast(anchor, positive, negative), -1)["rows"]
    if layer.swap:
        yield from distance(broadcast(positive, negative), layer.p, role="swapped")
        yield Term("comparison", role="swap", count=count)
    yield Term("triplet_margin", count=count)
    yield from _reduced(layer, count)


@rule(nn.MultiMarginLoss)
def multi_margin(layer: Any, call: Call) -> Iterator[Term]:
    """max(0, margin - x[y] + x[i])^p of each class but the target, their sum over the number of classes."""
    sample = rows_along(call.argument(0, "input"), -1)
    others = one_less(sample["length"])
    count = product((sample["rows"], others))
    yield Term("multi_margin", count=count)
    yield Term("power", count=count, exponent=layer.p)
    if layer.weight is not None:
        yield Term("multiplication", role="class weight", count=count)
    yield Term("means", role="classes", rows=sample["rows"], length=others)
    yield from _reduced(layer, sample["rows"])


@rule(nn.MultiLabelSoftMarginLoss)
def multilabel_soft_margin(layer: Any, call: Call) -> Iterator[Term]:
    """The two-class log likelihood of each class, their mean, then the reduction over samples."""
    logits = call.argument(0, "input")
    yield Term("multilabel_soft_margin", count=logits.elements)
    if layer.weight is not None:
        yield Term("multiplication", role="class weight", count=logits.elements)
    sample = rows_along(logits, -1)
    yield Term("means", role="classes", **sample)
    yield from _reduced(layer, sample["rows"])


def _label(target: TensorSpec, count: int) -> Iterator[Term]:
    if target.floating:
        yield Term("comparison", role="label", count=count)


def _cross_entropy(layer: Any, rows: int, classes: int, target: TensorSpec) -> Iterator[Term]:
    """Target probabilities, and class indices smoothed into them, meet every class; plain indices pick one."""
    yield Term("log_softmax", rows=rows, length=classes)
    if not target.floating and not layer.label_smoothing:
        yield from _picked(layer, rows)
        return
    entries = product((rows, classes))
    if target.floating and layer.label_smoothing:  # what an index is smoothed to, hyperparameters fix
        yield Term("each", role="label smoothing", count=entries, multiplications=1, additions=1)
    if layer.weight is not None:
        yield Term("multiplication", role="class weight", count=entries)
    yield Term("multiplication", role="target", count=entries)
    yield Term("sums", role="classes", rows=rows, length=classes)
    yield from _reduced(layer, rows, weighted=not target.floating)


def _picked(layer: Any, count: int) -> Iterator[Term]:
    if layer.weight is not None:
        yield Term("multiplication", role="class weight", count=count)
    yield from _reduced(layer, count, weighted=True)


def _reduced(layer: Any, count: int, weighted: bool = False) -> Iterator[Term]:
    """The layer's reduction; a mean that is weighted by class divides by the sum of the targets' weights."""
    if layer.reduction == "none":
        return
    yield Term("sums" if layer.reduction == "sum" else "means", role="reduction", rows=1, length=count)
    if weighted and layer.reduction == "mean" and layer.weight is not None:
        yield Term("sums", role="weights", rows=1, length=count)


def _shapes(call: Call, *names: str) -> list[tuple[int, ...]]:
    """The shapes of the first arguments, which carry these names."""
    return [call.argument(place, name).shape for place, name in enumerate(names)]
