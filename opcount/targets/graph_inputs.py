"""The natural inputs of a graph: what it says of them itself, open dimensions as they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from opcount.targets.source import Knobs, Request

if TYPE_CHECKING:
    from opcount.graphs.signature import Axis, GraphInput


def natural(signature: Sequence[GraphInput], request: Request) -> Any:
    """The inputs that a graph is counted with by itself; None where others are given.

    Args:
        signature: what the graph takes.
        request: how its batch, sequence and resolution are to be.

    Raises:
        InputError: an axis is fixed at another size, or open and of no known size; the message names it.
    """
    from opcount.graphs.signature import bind

    if not request.own_input:
        return None
    asked = [replace(each, axes=_axes(each.axes, request.knobs)) for each in signature]
    return bind(signature, bind(asked, None, None), None)


def _axes(axes: tuple[Axis, ...] | None, knobs: Knobs) -> tuple[Axis, ...] | None:
    """Axes with what is asked for: the first is the batch, of an image the last two, of a sequence the second."""
    if not axes:
        return axes
    sizes: dict[int, int] = {}
    if knobs.batch is not None:
        sizes[0] = knobs.batch
    if knobs.seq is not None and len(axes) in (2, 3):
        sizes[1] = knobs.seq
    if knobs.resolution is not None and len(axes) >= 4:
        sizes |= {len(axes) - 2: knobs.resolution[0], len(axes) - 1: knobs.resolution[1]}
    return tuple(axis._replace(size=sizes.get(place, axis.size)) for place, axis in enumerate(axes))
