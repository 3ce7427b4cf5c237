"""What autograd's nodes run that has no family of its own: gradients of losses, of padding, of resampling, of views."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opcount.formulas.arithmetic import product
from opcount.ops import Call, Term
from opcount.rules.linear import linear_gradient_terms
from opcount.rules.reading import Given, given
from opcount.rules.registry import free, rule

_MEAN = 1
_TAPS = {"linear1d": 2, "bilinear2d": 4, "trilinear3d": 8, "bicubic2d": 16}

free("aten.slice_backward", "aten.select_backward", "aten.diagonal_backward", "aten.masked_scatter_backward")


@rule(*(f"aten.{kind}_pad{axes}d_backward" for kind in ("reflection", "replication") for axes in (1, 2, 3)))
def padding_backward(operator: Any, call: Call) -> Iterator[Term]:
    """The gradient of each copy added to that of what was copied."""
    yield Term("gathered", values=given(operator, call).grad_output.elements, positions=call.out.elements)


@rule(*(f"aten.upsample_{kind}{axes}d_backward" for kind in ("nearest",) for axes in (1, 2, 3)))
@rule(*(f"aten._upsample_nearest_exact{axes}d_backward" for axes in (1, 2, 3)))
def nearest_backward(operator: Any, call: Call) -> Iterator[Term]:
    """The gradients of all copies of a value added up."""
    yield Term("gathered", values=given(operator, call).grad_output.elements, positions=call.out.elements)


@rule(*(f"aten.upsample_{kind}_backward" for kind in _TAPS))
def interpolation_backward(operator: Any, call: Call) -> Iterator[Term]:
    """Each output's gradient times the weights of its neighbours, added up at those; each is taken to receive one."""
    taps = _TAPS[operator._schema.name.removeprefix("aten::upsample_").removesuffix("_backward")]
    products = given(operator, call).grad_output.elements * taps
    yield Term("multiplication", count=products)
    yield Term("gathered", values=products, positions=call.out.elements)


@rule("aten.unfold_backward")
def unfold_backward(operator: Any, call: Call) -> Iterator[Term]:
    """The windows' gradients added up where they overlap."""
    yield Term("gathered", values=given(operator, call).grad_in.elements, positions=call.out.elements)


@rule("aten.linear_backward", "aten.mkldnn_linear_backward")
def linear_backward(operator: Any, call: Call) -> Iterator[Term]:
    """The gradients that its mask asks for."""
    asked = given(operator, call)
    width, features = asked.weight.shape
    gradient = asked.grad_output
    rows = gradient.elements // width if width else 0
    yield from linear_gradient_terms(rows, features, width, tuple(asked.output_mask))


@rule("aten.logit_backward")
def logit_backward(operator: Any, call: Call) -> Iterator[Term]:
    """dy / (x * (1 - x))."""
    yield Term("each", count=call.out.elements, multiplications=1, additions=1, divisions=1)


@rule("aten.nll_loss_backward", "aten.nll_loss2d_backward")
def negative_log_likelihood_backward(operator: Any, call: Call) -> Iterator[Term]:
    """The gradient of each target's entry: for a mean divided once, times its class's weight."""
    asked = given(operator, call)
    if asked.reduction == _MEAN:
        yield Term("division", role="mean", count=1)
    if asked.weight is not None:
        yield Term("multiplication", role="class weight", count=asked.target.elements)


@rule("aten.mse_loss_backward")
def squared_error_backward(operator: Any, call: Call) -> Iterator[Term]:
    """2 * dy * (x - y), where 2 * dy is one number if the loss is."""
    yield from _pairs(given(operator, call), call, double=True, additions=1, multiplications=1)


@rule("aten.smooth_l1_loss_backward")
def smooth_absolute_error_backward(operator: Any, call: Call) -> Iterator[Term]:
    """dy * d / beta near, dy * sign(d) far, d = x - y."""
    yield from _pairs(given(operator, call), call, additions=1, multiplications=1, divisions=1, comparisons=1)


@rule("aten.huber_loss_backward")
def huber_error_backward(operator: Any, call: Call) -> Iterator[Term]:
    """dy * d near, dy * delta * sign(d) far."""
    yield from _pairs(given(operator, call), call, additions=1, multiplications=2, comparisons=1)


@rule("aten.binary_cross_entropy_backward")
def binary_cross_entropy_backward(operator: Any, call: Call) -> Iterator[Term]:
    """dy * (x - y) / (x * (1 - x)), with a product for a weight."""
    asked = given(operator, call)
    yield from _pairs(asked, call, additions=2, multiplications=2, divisions=1)
    if asked.weight is not None:
        yield Term("multiplication", role="weight", count=call.out.elements)


@rule("aten.soft_margin_loss_backward")
def soft_margin_backward(operator: Any, call: Call) -> Iterator[Term]:
    """-dy * y * e / (1 + e), e = exp(-y * x)."""
    yield from _pairs(given(operator, call), call, additions=1, multiplications=3, divisions=1, transcendentals=1)


def _pairs(asked: Given, call: Call, *, double: bool = False, **operations: Any) -> Iterator[Term]:
    """So much for each pair of elements; what is the same for all of them is worked out once."""
    count, alone = call.out.elements, asked.grad_output.elements
    yield Term("each", count=count, **operations)
    if double:
        yield Term("multiplication", role="factor", count=alone)
    if asked.reduction == _MEAN:
        yield Term("division", role="mean", count=1)


@rule("aten.grid_sampler_2d_backward", "aten.grid_sampler_3d_backward")
def grid_sample_backward(operator: Any, call: Call) -> Iterator[Term] | None:
    """Bilinear samples with zeros outside: into the input each corner's product, into the grid each axis's sum."""
    asked = given(operator, call)
    if asked.interpolation_mode != 0 or asked.padding_mode != 0:
        return None
    return _grid(asked)


def _grid(asked: Given) -> Iterator[Term]:
    grid = asked.grid.shape
    locations, axes, values = product(grid[:-1]), grid[-1], asked.grad_output.elements
    corners = 2**axes
    yield Term("each", role="locations", count=locations * axes, multiplications=1, additions=3)
    yield Term("each", role="corner weights", count=locations, multiplications=corners * (axes - 1))
    if asked.output_mask[0]:  # where samples land only values decide: each corner is an addition
        yield Term("each", role="input", count=values * corners, multiplications=1, additions=1)
    # For each axis the differences of corners, weighted by the other axes, times the gradient, over all channels.
    pairs = corners // 2
    slopes = values * axes
    yield Term("each", role="slopes", count=slopes, multiplications=pairs * (axes - 1) + 1, additions=2 * pairs - 1)
    yield Term("sums", role="channels", rows=locations * axes, length=values // locations if locations else 0)
    yield Term("multiplication", role="scale", count=locations * axes)
