"""torchvision's own operators, by name: torchvision need not be installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opcount.ops import Call, Term
from opcount.rules.reading import named
from opcount.rules.registry import rule


@rule("torchvision.nms")
def non_maximum_suppression(operator: Any, call: Call) -> Iterator[Term]:
    """Boxes sorted by score, their areas, and the overlap of every pair, as if nothing were suppressed early.

    An area is 2 differences and a product. An overlap is 4 selections, 2 differences, 2 selections at 0, a product, the
    union's sum and difference, a quotient, and the comparison with the threshold.
    """
    boxes = call.input.shape[0]
    yield Term("sorting", role="scores", rows=1, length=boxes)
    yield Term("each", role="areas", count=boxes, multiplications=1, additions=2)
    yield Term(
        "each",
        role="overlaps",
        count=boxes * (boxes - 1) // 2,
        multiplications=1,
        additions=4,
        divisions=1,
        comparisons=7,
    )


@rule("torchvision.roi_align")
def region_align(operator: Any, call: Call) -> Iterator[Term] | None:
    """Bilinear samples in each bin, and their mean; how many is known only when sampling_ratio says so."""
    ratio = named(operator, call)["sampling_ratio"]
    return _samples(call, ratio) if ratio > 0 else None


def _samples(call: Call, ratio: int) -> Iterator[Term]:
    regions, _, height, width = call.out.shape
    taps = ratio * ratio
    bins = regions * height * width
    yield Term("each", role="regions", count=regions, multiplications=4, additions=4, divisions=2)
    yield Term("each", role="sample positions", count=bins * taps, multiplications=6, additions=10)
    yield Term("each", role="samples", count=call.out.elements * taps, multiplications=4, additions=3)
    yield Term("means", role="bins", rows=call.out.elements, length=taps)


@rule("torchvision.deform_conv2d")
def deformable_convolution(operator: Any, call: Call) -> Iterator[Term]:
    """A bilinear sample for every tap of every position, a mask's product, and the convolution's dots and bias."""
    arguments = named(operator, call)
    weight, groups = arguments["weight"].shape, arguments["groups"]
    batch, _, height, width = call.out.shape
    in_channels, taps = arguments["input"].shape[1], weight[2] * weight[3]
    positions = batch * height * width * taps
    offsets = positions * arguments["n_offset_grps" if "n_offset_grps" in arguments else "offset_groups"]
    yield Term("each", role="sample positions", count=offsets, multiplications=4, additions=6)
    yield Term("each", role="samples", count=positions * in_channels, multiplications=4, additions=3)
    if arguments.get("use_mask", True):
        yield Term("multiplication", role="mask", count=positions * in_channels)
    yield Term("dots", count=call.out.elements, length=in_channels // groups * taps)
    if arguments["bias"] is not None:
        yield Term("bias", role="bias", count=call.out.elements)
