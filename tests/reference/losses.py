"""Losses: the documented formula of every element or row, then the reduction.

`reduction` is 'none', 'sum' or 'mean'; a mean is the sum and one division.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.reference.activation import elementwise, sigmoid
from tests.reference.distance import cosine_row, distance_row
from tests.reference.geometry import cells
from tests.reference.machine import Array, exp, log, maximum, minimum, objects, total
from tests.reference.softmax import log_softmax


def reduced(values: Array, reduction: str) -> Any:
    """All elements as they are, summed, or averaged."""
    if reduction == "none":
        return values
    summed = total(values.reshape(-1))
    if reduction == "batchmean":
        return summed / values.shape[0]
    return summed / values.size if reduction == "mean" else summed


def l1_loss(x: Array, y: Array, *, reduction: str = "mean") -> Any:
    """|x - y|"""
    return reduced(elementwise(lambda a, b: abs(a - b))(x, y), reduction)


def mse_loss(x: Array, y: Array, *, reduction: str = "mean") -> Any:
    """(x - y)²"""

    def one(a: Any, b: Any) -> Any:
        difference = a - b
        return difference * difference

    return reduced(elementwise(one)(x, y), reduction)


def smooth_l1_loss(x: Array, y: Array, *, beta: float = 1.0, reduction: str = "mean") -> Any:
    """0.5 · (x - y)² / beta where |x - y| < beta, else |x - y| - 0.5 · beta"""

    def one(a: Any, b: Any) -> Any:
        difference = a - b
        inner = 0.5 * (difference * difference) / beta
        outer = abs(difference) - 0.5 * beta
        return inner if abs(difference) < beta else outer

    return reduced(elementwise(one)(x, y), reduction)


def huber_loss(x: Array, y: Array, *, delta: float = 1.0, reduction: str = "mean") -> Any:
    """0.5 · (x - y)² where |x - y| < delta, else delta · (|x - y| - 0.5 · delta)"""

    def one(a: Any, b: Any) -> Any:
        difference = a - b
        inner = 0.5 * (difference * difference)
        outer = delta * (abs(difference) - 0.5 * delta)
        return inner if abs(difference) < delta else outer

    return reduced(elementwise(one)(x, y), reduction)


def binary_cross_entropy(x: Array, y: Array, weight: Array | None = None, *, reduction: str = "mean") -> Any:
    """-(y · log x + (1 - y) · log(1 - x)), times the element's weight if there is one"""
    return _binary(x, y, weight, None, reduction)


def binary_cross_entropy_with_logits(
    x: Array, y: Array, weight: Array | None = None, pos_weight: Array | None = None, *, reduction: str = "mean"
) -> Any:
    """The same of sigmoid(x); `pos_weight` multiplies y · log x."""
    return _binary(sigmoid(x), y, weight, pos_weight, reduction)


def _binary(x: Array, y: Array, weight: Array | None, pos_weight: Array | None, reduction: str) -> Any:
    output = objects(x.shape)
    weights = None if weight is None else np.broadcast_to(weight, x.shape)
    positive = None if pos_weight is None else np.broadcast_to(pos_weight, x.shape)
    for place in cells(x.shape):
        yes = y[place] * log(x[place])
        if positive is not None:
            yes = positive[place] * yes
        value = -(yes + (1.0 - y[place]) * log(1.0 - x[place]))
        output[place] = value if weights is None else weights[place] * value
    return reduced(output, reduction)


def kl_div(x: Array, y: Array, *, log_target: bool = False, reduction: str = "mean") -> Any:
    """y · (log y - x) for log-probabilities x; exp(y) · (y - x) where y is one too. Also reduction='batchmean'."""

    def one(a: Any, b: Any) -> Any:
        return exp(b) * (b - a) if log_target else b * (log(b) - a)

    return reduced(elementwise(one)(x, y), reduction)


def nll_loss(
    log_probabilities: Array,
    target: Array,
    weight: Array | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Any:
    """-w[y] · log p[y] on (N, C, ...) with classes (N, ...); the mean is weighted: divided by the sum of the w[y].

    Ignored targets read 0 and are in neither sum.
    """
    rows = np.moveaxis(log_probabilities, 1, -1)
    output = objects(target.shape)
    output.fill(0.0)
    kept, weights = [], []
    for place in cells(target.shape):
        label = int(target[place])
        if label == ignore_index:
            continue
        value = -rows[(*place, label)]
        if weight is not None:
            value = value * weight[label]
            weights.append(weight[label])
        output[place] = value
        kept.append(value)
    if reduction == "none":
        return output
    summed = total(kept)
    if reduction == "sum":
        return summed
    return summed / (len(kept) if weight is None else total(weights))


def cross_entropy(
    logits: Array,
    target: Array,
    weight: Array | None = None,
    *,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Any:
    """torch.nn.CrossEntropyLoss on logits (N, C, ...), with classes (N, ...) or probabilities (N, C, ...) as target.

    The log-softmax; then of classes the one that is named, of probabilities the sum of w · y · log p over classes.
    Label smoothing makes probabilities of either: (1 - e) · y + e / C.
    """
    log_probabilities = log_softmax(logits, 1)
    by_class = target.dtype != object
    if by_class and not label_smoothing:
        return nll_loss(log_probabilities, target, weight, ignore_index=ignore_index, reduction=reduction)
    rows, classes = np.moveaxis(log_probabilities, 1, -1), logits.shape[1]
    wanted = target if by_class else np.moveaxis(target, 1, -1)
    output, weights = objects(rows.shape[:-1]), []
    for place in cells(output.shape):
        share = _shares(wanted[place], classes, label_smoothing)
        terms = [y * x for y, x in zip(share, rows[place], strict=True)]
        if weight is not None:
            terms = [term * weight[c] for c, term in enumerate(terms)]
            weights.append(weight[int(wanted[place])] if by_class else None)
        output[place] = -total(terms)
    if reduction == "mean" and by_class and weight is not None:
        return reduced(output, "sum") / total(weights)
    if reduction == "mean":
        return reduced(output, "sum") / output.size
    return reduced(output, reduction)


def _shares(wanted: Any, classes: int, smoothing: float) -> list[Any]:
    """The probabilities to reach; for a class they are constants."""
    if not isinstance(wanted, np.ndarray):
        return [(1 - smoothing) * (c == int(wanted)) + smoothing / classes for c in range(classes)]
    if not smoothing:
        return list(wanted)
    return [y * (1 - smoothing) + smoothing / classes for y in wanted]


def poisson_nll_loss(x: Array, y: Array, *, log_input: bool = True, eps: float = 1e-8, reduction: str = "mean") -> Any:
    """exp(x) - y · x, or x - y · log(x + eps) where x is the rate itself"""

    def one(a: Any, b: Any) -> Any:
        return exp(a) - b * a if log_input else a - b * log(a + eps)

    return reduced(elementwise(one)(x, y), reduction)


def gaussian_nll_loss(x: Array, y: Array, var: Array, *, eps: float = 1e-6, reduction: str = "mean") -> Any:
    """½ · (log max(var, eps) + (x - y)² / max(var, eps))"""

    def one(a: Any, b: Any, v: Any) -> Any:
        spread, difference = maximum(v, eps), a - b
        return 0.5 * (log(spread) + difference * difference / spread)

    return reduced(elementwise(one)(x, y, var), reduction)


def hinge_embedding_loss(x: Array, y: Array, *, margin: float = 1.0, reduction: str = "mean") -> Any:
    """x where y is 1, max(0, margin - x) where it is -1"""

    def one(a: Any, b: Any) -> Any:
        apart = maximum(margin - a, 0.0)
        return a if b > 0.0 else apart

    return reduced(elementwise(one)(x, y), reduction)


def margin_ranking_loss(first: Array, second: Array, y: Array, *, margin: float = 0.0, reduction: str = "mean") -> Any:
    """max(0, -y · (x₁ - x₂) + margin)"""
    return reduced(elementwise(lambda a, b, c: maximum(-c * (a - b) + margin, 0.0))(first, second, y), reduction)


def soft_margin_loss(x: Array, y: Array, *, reduction: str = "mean") -> Any:
    """log(1 + exp(-y · x))"""
    return reduced(elementwise(lambda a, b: log(1.0 + exp(-b * a)))(x, y), reduction)


def cosine_embedding_loss(
    first: Array, second: Array, y: Array, *, margin: float = 0.0, reduction: str = "mean"
) -> Any:
    """1 - cos where y is 1, max(0, cos - margin) where it is -1, row by row"""
    output = objects(first.shape[:-1])
    for place in cells(output.shape):
        similarity = cosine_row(list(first[place]), list(second[place]), 1e-8)
        alike, apart = 1.0 - similarity, maximum(similarity - margin, 0.0)
        output[place] = alike if y[place] > 0.0 else apart
    return reduced(output, reduction)


def triplet_margin_loss(
    anchor: Array,
    positive: Array,
    negative: Array,
    *,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Any:
    """max(d(a, p) - d(a, n) + margin, 0), row by row; `swap` takes the smaller of d(a, n) and d(p, n)"""
    output = objects(anchor.shape[:-1])
    for place in cells(output.shape):
        a, b, c = list(anchor[place]), list(positive[place]), list(negative[place])
        near, far = distance_row(a, b, p, eps), distance_row(a, c, p, eps)
        if swap:
            far = minimum(far, distance_row(b, c, p, eps))
        output[place] = maximum(near - far + margin, 0.0)
    return reduced(output, reduction)
