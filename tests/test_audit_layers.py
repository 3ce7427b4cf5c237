"""Every layer of ``torch.nn`` counted twice: by its rule, and by the functions and operators that it calls."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from opcount import Audit, audit
from tests.layers import EXAMPLES, floats

pytestmark = [
    pytest.mark.filterwarnings("ignore:.NLLLoss2d. has been deprecated"),
    pytest.mark.filterwarnings("ignore:enable_nested_tensor is True"),
    pytest.mark.filterwarnings("ignore:reduction. 'mean' divides"),
    pytest.mark.filterwarnings("ignore:LSTM with projections"),
]

# A legacy function of PyTorch's, written in Python, does the work in an order of its own: running sums over the
# channels in place of a sum for each window, and alpha, 1 / size and the power's result multiplied in one by one.
DISAGREE = {"CrossMapLRN2d": {"multiplications": 576 - 672, "additions": 512 - 480}}


def differences(result: Audit) -> dict[str, int]:
    """How many operations more the layers' rules count, figure by figure."""
    found: dict[str, int] = {}
    for item in result.disagreements:
        found[item.figure] = found.get(item.figure, 0) + item.difference
    return found


@pytest.mark.parametrize("grad", [True, False], ids=["grad", "no_grad"])
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_a_layer_is_what_it_calls(name, training, grad):
    torch.manual_seed(0)
    layer, inputs = EXAMPLES[name]()
    layer.train(training)
    with torch.set_grad_enabled(grad):
        result = audit(layer, inputs)
    assert differences(result) == DISAGREE.get(name, {})
    assert result.by_layers.macs == result.by_operators.macs


LAYERS = {
    "an LSTM of every option": (lambda: nn.LSTM(3, 4, 2, proj_size=2, bidirectional=True, dropout=0.5), (5, 2, 3)),
    "a GRU without bias": (lambda: nn.GRU(3, 4, bias=False, batch_first=True), (2, 5, 3)),
    "a plain network with relu": (lambda: nn.RNN(3, 4, nonlinearity="relu", bidirectional=True), (5, 2, 3)),
    "a cell without bias": (lambda: nn.LSTMCell(3, 4, bias=False), (2, 3)),
    "an instance norm with statistics": (
        lambda: nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
        (2, 4, 5, 6),
    ),
    "a batch norm without statistics": (
        lambda: nn.BatchNorm2d(4, affine=False, track_running_stats=False),
        (2, 4, 5, 6),
    ),
    "a layer norm without bias": (lambda: nn.LayerNorm((4, 6), bias=False), (2, 4, 6)),
    "an LP pool of p = 1": (lambda: nn.LPPool2d(1, (2, 3), stride=2), (2, 3, 7, 7)),
    "an average pool with padding": (
        lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
        (2, 3, 8, 8),
    ),
    "a dilated max pool": (lambda: nn.MaxPool2d(3, 2, 1, dilation=2), (2, 3, 9, 9)),
    "a grouped convolution padded by reflection": (
        lambda: nn.Conv2d(4, 6, 3, padding=1, groups=2, padding_mode="reflect"),
        (2, 4, 6, 6),
    ),
    "a transposed convolution": (lambda: nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=2, dilation=2), (2, 4, 6, 6)),
    "area interpolation": (lambda: nn.Upsample((3, 5), mode="area"), (2, 3, 7, 7)),
    "linear interpolation": (lambda: nn.Upsample(7, mode="linear"), (2, 3, 5)),
}


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("name", LAYERS)
def test_options_too(name, training):
    make, shape = LAYERS[name]
    assert audit(make().train(training), floats(*shape)).agrees


@pytest.mark.parametrize(
    "options", [{}, {"kdim": 6, "vdim": 4}, {"bias": False}, {"add_bias_kv": True, "add_zero_attn": True}]
)
@pytest.mark.parametrize("weights", [False, True])
def test_attention_is_what_it_calls(options, weights):
    layer = nn.MultiheadAttention(8, 2, dropout=0.25, **options)
    inputs = floats(5, 2, 8), floats(6, 2, layer.kdim), floats(6, 2, layer.vdim)
    mask = floats(5, 6)
    assert audit(layer, inputs, kwargs={"attn_mask": mask, "need_weights": weights}).agrees
    assert audit(layer.eval(), inputs, kwargs={"need_weights": weights, "average_attn_weights": False}).agrees


def test_a_bool_mask_reaches_the_function_as_a_float_one():
    """The layer turns it into minus infinities, which the function can only take for a mask that is added."""
    layer, x = nn.MultiheadAttention(8, 2), floats(5, 2, 8)
    result = audit(layer, (x, x, x), kwargs={"attn_mask": torch.zeros(5, 5, dtype=torch.bool)})
    assert differences(result) == {"additions": -2 * 2 * 5 * 5}


def test_packed_sequences():
    packed = nn.utils.rnn.pack_sequence([floats(4, 3), floats(2, 3)])
    for kind in (nn.LSTM, nn.GRU, nn.RNN):
        assert audit(kind(3, 4, 2), (packed,)).agrees
