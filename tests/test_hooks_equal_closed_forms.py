"""The proof: what forward hooks count is what the closed forms say is what running the definitions takes.

Each test draws random layers and inputs. For each, three figures are obtained in three ways and must be equal in all
six fields: ``profile``, whose hooks read the actual tensors; the closed form, fed with numbers worked out here from
the layer's documentation; and textbook loops over numbers that count their own arithmetic.
"""

from __future__ import annotations

import pytest
from hypothesis import given

from opcount import Convention, profile
from tests import cases
from tests.cases import Case
from tests.reference import convolution as convolution_loops, count


def assert_proven(case: Case) -> None:
    counted = profile(case.layer, (case.input,))
    assert counted.ops == case.closed_form == case.by_running()
    assert counted.complete


@given(cases.convolutions(axes=(2,)))
def test_conv2d_plain_and_grouped(case: Case) -> None:
    assert_proven(case)


@given(cases.convolutions(axes=(2,), depthwise=True))
def test_conv2d_depthwise(case: Case) -> None:
    assert case.layer.groups == case.layer.in_channels
    assert_proven(case)


@given(cases.convolutions(axes=(1, 3)))
def test_conv1d_and_conv3d(case: Case) -> None:
    assert_proven(case)


@given(cases.linears())
def test_linear(case: Case) -> None:
    assert_proven(case)


@given(cases.average_pools())
def test_average_pooling(case: Case) -> None:
    assert_proven(case)


@given(cases.max_pools())
def test_max_pooling(case: Case) -> None:
    assert_proven(case)


@given(cases.adaptive_pools())
def test_adaptive_pooling(case: Case) -> None:
    assert_proven(case)


@given(cases.transposed_convolutions())
def test_transposed_convolutions(case: Case) -> None:
    assert_proven(case)


@given(cases.batch_norms())
def test_batch_norm(case: Case) -> None:
    assert_proven(case)


@given(cases.activations())
def test_activations(case: Case) -> None:
    assert_proven(case)


@given(cases.convolutions())
def test_convolutions_without_padding_taps(case: Case) -> None:
    """The other convention: only taps on real input, which the loops find by looking at every tap."""
    layer = case.layer
    counted = profile(layer, (case.input,), convention=Convention(zero_padding=False))
    _, tally = count(
        convolution_loops.convolution,
        *(case.input, layer.weight, layer.bias),
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        groups=layer.groups,
        padding_mode=layer.padding_mode,
        skip_padding=True,
    )
    assert (counted.multiplications, counted.additions, counted.macs) == (
        tally.multiplications,
        tally.additions,
        tally.macs,
    )


@given(cases.convolutions())
def test_without_bias_exactly_the_bias_is_missing(case: Case) -> None:
    with_bias = profile(case.layer, (case.input,))
    without = profile(case.layer, (case.input,), convention=Convention(bias=False))
    outputs = 1
    for size in with_bias.layers[0].output_shapes[0]:
        outputs *= size
    assert with_bias.additions - without.additions == (0 if case.layer.bias is None else outputs)
    assert with_bias.multiplications == without.multiplications


@pytest.mark.parametrize("size", [10**6, 10**9])
def test_cost_of_a_formula_does_not_grow_with_the_size(size: int) -> None:
    """A loop over outputs would not come back."""
    from opcount.formulas.contraction import convolution
    from opcount.formulas.pooling import adaptive_average_pool, average_pool

    ops = convolution(1, 1, 1, 1, (3,), (size,), (size,), (1,), (1,), (1,), zero_padding=False)
    assert ops.macs == 3 * size - 2
    assert average_pool(1, (size,), (size,), (1,), (size,), (0,)).additions == size - 1
    assert adaptive_average_pool(1, (size,), (size - 1,)).additions == size - 1
