"""Every public layer of ``torch.nn`` has a rule, or a reason why it needs none, and is counted completely."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from opcount import profile
from opcount.rules import layer_rule
from tests.layers import EXAMPLES

pytestmark = [
    pytest.mark.filterwarnings("ignore:.NLLLoss2d. has been deprecated"),
    pytest.mark.filterwarnings("ignore:enable_nested_tensor is True"),
    pytest.mark.filterwarnings("ignore:reduction. 'mean' divides"),
]

EVERY = sorted(name for name, kind in vars(nn).items() if isinstance(kind, type) and issubclass(kind, nn.Module))

NOT_CALLED = {
    "Module": "the base of all",
    "Container": "an old name of Module",
    "ModuleDict": "holds layers, has no forward",
    "ModuleList": "holds layers, has no forward",
    "ParameterDict": "holds parameters, has no forward",
    "ParameterList": "holds parameters, has no forward",
    "RNNBase": "the base of RNN, LSTM and GRU",
    "RNNCellBase": "the base of their cells",
}
WHAT_IT_CALLS = {
    "Sequential": "its children are counted",
    "DataParallel": "the layer it holds is counted",
    "Transformer": "its children are counted",
    "TransformerDecoder": "its children are counted",
    "TransformerDecoderLayer": "its children are counted, and the sums around them",
    "TransformerEncoder": "its children are counted",
    "TransformerEncoderLayer": "its children are counted, and the sums around them",
    "AdaptiveLogSoftmaxWithLoss": "which clusters are asked depends on the targets' values: what was executed counts",
    "TripletMarginWithDistanceLoss": "the distance may be any function: what it calls is counted",
}
UNCOUNTED = {
    "CTCLoss": "its documentation states no formula",
    "MultiLabelMarginLoss": "how many classes are compared only the targets' values decide",
}


@pytest.mark.parametrize("name", [name for name in EVERY if name not in NOT_CALLED])
def test_every_layer_has_a_rule_or_a_reason(name):
    layer, _ = EXAMPLES[name]()
    assert type(layer) is getattr(nn, name)
    assert (layer_rule(layer) is None) == (name in WHAT_IT_CALLS or name in UNCOUNTED)


def test_the_lists_name_layers_that_there_are_and_each_once():
    listed = [*NOT_CALLED, *WHAT_IT_CALLS, *UNCOUNTED]
    assert len(set(listed)) == len(listed)
    assert set(listed) <= set(EVERY)
    assert set(EXAMPLES) == set(EVERY) - set(NOT_CALLED)


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_every_layer_is_counted_completely(name, training):
    torch.manual_seed(0)
    layer, inputs = EXAMPLES[name]()
    layer.train(training)
    counted = profile(layer, inputs)
    assert counted.complete == (name not in UNCOUNTED), counted.uncounted
    with torch.no_grad():
        assert profile(layer, inputs).ops == counted.ops
