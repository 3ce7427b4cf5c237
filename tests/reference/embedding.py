"""Embeddings: rows read from a table, and bags of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.reference.geometry import cells
from tests.reference.machine import Array, largest, objects, total


def embedding(indices: Array, weight: Array) -> Array:
    """torch.nn.Embedding: reading, nothing else."""
    output = objects((*indices.shape, weight.shape[1]))
    for place in cells(indices.shape):
        output[place] = weight[indices[place]]
    return output


def embedding_bag(
    indices: Array,
    weight: Array,
    offsets: Sequence[int] | None = None,
    *,
    mode: str = "mean",
    per_sample_weights: Array | None = None,
    padding_idx: int | None = None,
) -> Array:
    """torch.nn.EmbeddingBag: the sum, mean or maximum of each bag's rows; with weights, each row times its own first.

    Bags are the rows of `indices` (B, n), or stretches of a flat one that begin at `offsets`. Entries equal to
    `padding_idx` are not in the bag; an empty bag reads 0.
    """
    if offsets is None:
        starts: list[int] = [bag * indices.shape[1] for bag in range(indices.shape[0])]
    else:
        starts = [int(offset) for offset in offsets]
    flat = [int(index) for index in indices.reshape(-1)]
    scales = None if per_sample_weights is None else list(per_sample_weights.reshape(-1))
    output = objects((len(starts), weight.shape[1]))
    for bag, (start, end) in enumerate(zip(starts, [*starts[1:], len(flat)], strict=True)):
        entries = [place for place in range(start, end) if flat[place] != padding_idx]
        for column in range(weight.shape[1]):
            values: list[Any] = [weight[flat[place], column] for place in entries]
            if scales is not None:
                values = [value * scales[place] for value, place in zip(values, entries, strict=True)]
            if not values:
                output[bag, column] = 0.0
            elif mode == "max":
                output[bag, column] = largest(values)
            else:
                summed = total(values)
                output[bag, column] = summed / len(values) if mode == "mean" else summed
    return output
