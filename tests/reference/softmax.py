"""Softmax and its relatives along one axis, each with its shift by the row's maximum."""

from __future__ import annotations

from typing import Any

from tests.reference.geometry import by_rows, reduce_rows
from tests.reference.machine import Array, exp, largest, log, total


def softmax_row(row: list[Any]) -> list[Any]:
    """exp(x - max) / Σ exp(x - max)"""
    peak = largest(row)
    raised = [exp(x - peak) for x in row]
    summed = total(raised)
    return [value / summed for value in raised]


def log_softmax_row(row: list[Any]) -> list[Any]:
    """(x - max) - log Σ exp(x - max)"""
    peak = largest(row)
    shifted = [x - peak for x in row]
    scale = log(total(exp(x) for x in shifted))
    return [x - scale for x in shifted]


def softmax(inputs: Array, axis: int = -1) -> Array:
    """torch.nn.Softmax."""
    return by_rows(softmax_row, inputs, axis)


def softmin(inputs: Array, axis: int = -1) -> Array:
    """torch.nn.Softmin: the softmax of -x."""
    return by_rows(lambda row: softmax_row([-x for x in row]), inputs, axis)


def log_softmax(inputs: Array, axis: int = -1) -> Array:
    """torch.nn.LogSoftmax."""
    return by_rows(log_softmax_row, inputs, axis)


def logsumexp(inputs: Array, axis: int | None = -1) -> Array:
    """max + log Σ exp(x - max), as torch.logsumexp."""

    def one(row: list[Any]) -> Any:
        peak = largest(row)
        return log(total(exp(x - peak) for x in row)) + peak

    return reduce_rows(one, inputs, axis)
