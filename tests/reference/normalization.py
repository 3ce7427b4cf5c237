"""Normalizations: (x - mean) / sqrt(variance + eps), scaled and shifted, over what each layer takes together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tests.reference.geometry import cells
from tests.reference.machine import Array, objects, plain, power, rsqrt, total


def standardize(row: Sequence[Any], eps: float) -> tuple[list[Any], Any, Any]:
    """A row brought to mean 0 and variance 1; and its mean and the sum of its squared deviations."""
    if not row:
        return [], math.nan, math.nan
    mean = total(row) / len(row)
    centred = [x - mean for x in row]
    squares = total(x * x for x in centred)
    scale = rsqrt(squares / len(row) + eps)
    return [x * scale for x in centred], mean, squares


def _affine(value: Any, weight: Any, bias: Any) -> Any:
    """Weight and bias, each only if the layer has it."""
    if weight is not None:
        value = value * weight
    return value if bias is None else value + bias


def _at(parameter: Array | None, place: Any) -> Any:
    return None if parameter is None else parameter[place]


def layer_norm(
    inputs: Array, dims: int, weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5
) -> Array:
    """torch.nn.LayerNorm: every row (the last `dims` axes) standardized, then scaled and shifted per element."""
    lead = inputs.ndim - dims
    output = objects(inputs.shape)
    for place in cells(inputs.shape[:lead]):
        inner = list(cells(inputs.shape[lead:]))
        values, _, _ = standardize([inputs[(*place, *where)] for where in inner], eps)
        for where, value in zip(inner, values, strict=True):
            output[(*place, *where)] = _affine(value, _at(weight, where), _at(bias, where))
    return output


def rms_norm(inputs: Array, dims: int, weight: Array | None = None, eps: float = 2.0**-52) -> Array:
    """torch.nn.RMSNorm: x / sqrt(mean of x² + eps), times the weight, over the last `dims` axes."""
    lead = inputs.ndim - dims
    output = objects(inputs.shape)
    for place in cells(inputs.shape[:lead]):
        inner = list(cells(inputs.shape[lead:]))
        row = [inputs[(*place, *where)] for where in inner]
        scale = rsqrt(total(x * x for x in row) / len(row) + eps)
        for where, x in zip(inner, row, strict=True):
            output[(*place, *where)] = _affine(x * scale, _at(weight, where), None)
    return output


def group_norm(
    inputs: Array, groups: int, weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5
) -> Array:
    """torch.nn.GroupNorm: every sample's channels in groups, each standardized; scale and shift per channel."""
    width = inputs.shape[1] // groups
    output = objects(inputs.shape)
    for n in range(inputs.shape[0]):
        for group in range(groups):
            inner = [(group * width + c, *rest) for c, *rest in cells((width, *inputs.shape[2:]))]
            values, _, _ = standardize([inputs[(n, *where)] for where in inner], eps)
            for where, value in zip(inner, values, strict=True):
                output[(n, *where)] = _affine(value, _at(weight, where[0]), _at(bias, where[0]))
    return output


def _running(old: Any, new: Any, momentum: float) -> Any:
    """(1 - momentum) · running + momentum · observed."""
    return old * (1 - momentum) + new * momentum


def batch_norm(
    inputs: Array,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Array, Array | None, Array | None]:
    """torch.nn.BatchNorm on (N, C, ...): the output and the running statistics as they are afterwards.

    With running statistics and not training, scale and shift per channel are fixed by parameters and so are free to
    work out: one product and one sum per element. Otherwise every channel is standardized over the batch, and
    running statistics, if there are any, move towards the batch's mean and unbiased variance.
    """
    if not training and running_mean is not None and running_var is not None:
        return _folded(inputs, running_mean, running_var, weight, bias, eps), running_mean, running_var
    output = objects(inputs.shape)
    means = None if running_mean is None else running_mean.copy()
    variances = None if running_var is None else running_var.copy()
    for c in range(inputs.shape[1]):
        inner = [(n, c, *rest) for n, *rest in cells((inputs.shape[0], *inputs.shape[2:]))]
        values, mean, squares = standardize([inputs[where] for where in inner], eps)
        for where, value in zip(inner, values, strict=True):
            output[where] = _affine(value, _at(weight, c), _at(bias, c))
        if means is not None and variances is not None:
            means[c] = _running(means[c], mean, momentum)
            variances[c] = _running(variances[c], squares / (len(inner) - 1), momentum)
    return output, means, variances


def _folded(inputs: Array, mean: Array, var: Array, weight: Array | None, bias: Array | None, eps: float) -> Array:
    """scale · x + shift, both known before the input is."""
    output = objects(inputs.shape)
    for place in cells(inputs.shape):
        c = place[1]
        scale = (1.0 if weight is None else plain(weight[c])) / math.sqrt(plain(var[c]) + eps)
        shift = (0.0 if bias is None else plain(bias[c])) - plain(mean[c]) * scale
        output[place] = inputs[place] * scale + shift
    return output


def instance_norm(
    inputs: Array,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    training: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Array, Array | None, Array | None]:
    """torch.nn.InstanceNorm on (N, C, ...): the output and the running statistics as they are afterwards.

    With running statistics and not training it does what a batch norm does there. Otherwise every channel of every
    sample is standardized by itself, and running statistics, if there are any, move towards the mean over the samples
    of their means and of their unbiased variances.
    """
    if not training and running_mean is not None and running_var is not None:
        return _folded(inputs, running_mean, running_var, weight, bias, eps), running_mean, running_var
    output = objects(inputs.shape)
    means = None if running_mean is None else running_mean.copy()
    variances = None if running_var is None else running_var.copy()
    for c in range(inputs.shape[1]):
        observed = []
        for n in range(inputs.shape[0]):
            inner = [(n, c, *rest) for rest in cells(inputs.shape[2:])]
            values, mean, squares = standardize([inputs[where] for where in inner], eps)
            observed.append((mean, squares))
            for where, value in zip(inner, values, strict=True):
                output[where] = _affine(value, _at(weight, c), _at(bias, c))
        if means is not None and variances is not None:
            free = len(observed) * (len(inner) - 1)
            means[c] = _running(means[c], total(mean for mean, _ in observed) / len(observed), momentum)
            variances[c] = _running(variances[c], total(squares for _, squares in observed) / free, momentum)
    return output, means, variances


def local_response_norm(inputs: Array, size: int, *, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Array:
    """torch.nn.LocalResponseNorm: a · (k + alpha/n Σ a²)^(-beta), summed over those of n neighbours that exist."""
    channels = inputs.shape[1]
    squared = objects(inputs.shape)
    for place in cells(inputs.shape):
        squared[place] = inputs[place] * inputs[place]
    output = objects(inputs.shape)
    for n, c, *rest in cells(inputs.shape):
        near = range(max(0, c - size // 2), min(channels, c + (size - 1) // 2 + 1))
        summed = total(squared[(n, other, *rest)] for other in near)
        output[(n, c, *rest)] = inputs[(n, c, *rest)] * power(summed * (alpha / size) + k, -beta)
    return output
