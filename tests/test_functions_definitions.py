"""A function costs what the layer costs that calls it: the function's own arguments say the same as the layer's."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from opcount import OpCount, profile
from tests.calling import cost
from tests.layers import floats, indices, signs

pytestmark = [
    pytest.mark.filterwarnings("ignore:reduction. 'mean' divides"),
    pytest.mark.filterwarnings("ignore:size_average and reduce args"),
    pytest.mark.filterwarnings("ignore:LSTM with projections"),
]

PAIR = (3, 4), (3, 4)
IMAGE = (2, 4, 8, 8)

SAME = {
    "instance_norm": (nn.InstanceNorm2d(4), F.instance_norm, (IMAGE,)),
    "local_response_norm": (nn.LocalResponseNorm(3), lambda x: F.local_response_norm(x, 3), (IMAGE,)),
    "rms_norm": (nn.RMSNorm((8, 8)), lambda x: F.rms_norm(x, (8, 8), torch.ones(8, 8)), (IMAGE,)),
    "lp_pool1d": (nn.LPPool1d(2, 3, 2), lambda x: F.lp_pool1d(x, 2, 3, 2), ((2, 4, 8),)),
    "lp_pool2d": (nn.LPPool2d(3, (2, 3)), lambda x: F.lp_pool2d(x, 3, (2, 3)), (IMAGE,)),
    "lp_pool3d": (nn.LPPool3d(1, 2), lambda x: F.lp_pool3d(x, 1, 2), ((2, 4, 4, 4, 4),)),
    "cosine_similarity": (nn.CosineSimilarity(0), lambda a, b: F.cosine_similarity(a, b, dim=0), PAIR),
    "pairwise_distance": (nn.PairwiseDistance(3), lambda a, b: F.pairwise_distance(a, b, 3), PAIR),
    "selu": (nn.SELU(), torch.selu, ((3, 4),)),
    "celu": (nn.CELU(), F.celu, ((3, 4),)),
    "relu6": (nn.ReLU6(), F.relu6, ((3, 4),)),
    "dropout": (nn.Dropout(), F.dropout, ((3, 4),)),
    "torch.dropout": (nn.Dropout(), lambda x: torch.dropout(x, 0.5, train=True), ((3, 4),)),
    "dropout1d": (nn.Dropout1d(), F.dropout1d, ((3, 4),)),
    "dropout3d": (nn.Dropout3d(), F.dropout3d, ((2, 3, 4, 4, 4),)),
    "alpha_dropout": (nn.AlphaDropout(), lambda x: F.alpha_dropout(x, training=True), ((3, 4),)),
    "feature_alpha_dropout": (
        nn.FeatureAlphaDropout(),
        lambda x: torch.feature_alpha_dropout(x, 0.5, True),
        (IMAGE,),
    ),
    "kl_div": (nn.KLDivLoss(reduction="batchmean"), lambda x, y: F.kl_div(x, y, reduction="batchmean"), PAIR),
    "kl_div of logarithms": (nn.KLDivLoss(log_target=True), lambda x, y: F.kl_div(x, y, log_target=True), PAIR),
    "mse_loss": (nn.MSELoss(reduction="none"), lambda x, y: F.mse_loss(x, y, reduce=False), PAIR),
    "huber_loss": (nn.HuberLoss(), lambda x, y: F.huber_loss(x, y, delta=2.0), PAIR),
    "smooth_l1_loss": (nn.SmoothL1Loss(beta=0), lambda x, y: F.smooth_l1_loss(x, y, beta=0), PAIR),
    "soft_margin_loss": (nn.SoftMarginLoss(reduction="sum"), lambda x, y: F.soft_margin_loss(x, y, False), PAIR),
    "binary_cross_entropy": (nn.BCELoss(), F.binary_cross_entropy, PAIR),
    "with_logits": (
        nn.BCEWithLogitsLoss(torch.ones(4), pos_weight=torch.ones(4)),
        lambda x, y: F.binary_cross_entropy_with_logits(x, y, torch.ones(4), pos_weight=torch.ones(4)),
        PAIR,
    ),
    "gaussian_nll_loss": (
        nn.GaussianNLLLoss(full=True),
        lambda x, y, v: F.gaussian_nll_loss(x, y, v, True),
        [(3, 4)] * 3,
    ),
    "poisson_nll_loss": (nn.PoissonNLLLoss(log_input=False), lambda x, y: F.poisson_nll_loss(x, y, False), PAIR),
    "margin_ranking_loss": (nn.MarginRankingLoss(), F.margin_ranking_loss, [(3,)] * 3),
    "triplet_margin_loss": (
        nn.TripletMarginLoss(p=3.0, swap=True),
        lambda a, b, c: F.triplet_margin_loss(a, b, c, p=3.0, swap=True),
        [(3, 4)] * 3,
    ),
    "multilabel_soft_margin_loss": (nn.MultiLabelSoftMarginLoss(), F.multilabel_soft_margin_loss, PAIR),
    "fold": (nn.Fold((5, 6), 2, dilation=2), lambda x: F.fold(x, (5, 6), 2, 2), ((2, 12, 12),)),
}


@pytest.mark.parametrize("name", SAME)
def test_of_tensors(name):
    layer, function, shapes = SAME[name]
    inputs = tuple(floats(*shape) for shape in shapes)
    assert cost(function, *inputs) == profile(layer, inputs).ops != OpCount()


def test_of_labels():
    x, classes, labels = floats(3, 4), indices(3), signs(3, 4)
    weight = torch.ones(4)
    assert cost(F.cross_entropy, x, classes) == profile(nn.CrossEntropyLoss(), (x, classes)).ops
    smoothed = nn.CrossEntropyLoss(weight, label_smoothing=0.1)
    assert cost(lambda x, y: F.cross_entropy(x, y, weight, label_smoothing=0.1), x, classes) == (
        profile(smoothed, (x, classes)).ops
    )
    assert cost(lambda x, y: F.nll_loss(x, y, weight), x, classes) == profile(nn.NLLLoss(weight), (x, classes)).ops
    assert cost(lambda x, y: F.multi_margin_loss(x, y, 2, weight=weight), x, classes) == (
        profile(nn.MultiMarginLoss(2, weight=weight), (x, classes)).ops
    )
    assert cost(F.hinge_embedding_loss, x, labels) == profile(nn.HingeEmbeddingLoss(), (x, labels)).ops
    one = signs(3)
    assert cost(F.cosine_embedding_loss, x, x, one) == profile(nn.CosineEmbeddingLoss(), (x, x, one)).ops


@pytest.mark.skipif(not hasattr(nn, "LinearCrossEntropyLoss"), reason="this PyTorch has no LinearCrossEntropyLoss")
def test_linear_cross_entropy():
    loss, x, classes = nn.LinearCrossEntropyLoss(6, 4), floats(3, 6), indices(3)
    weight, bias = loss.linear.weight, loss.linear.bias
    assert cost(lambda x, y: F.linear_cross_entropy(x, weight, y, linear_bias=bias), x, classes) == (
        profile(loss, (x, classes)).ops
    )


def test_a_weighted_mean_of_squares_divides_by_the_weights():
    x, y, weight = floats(3, 4), floats(3, 4), floats(3, 4)
    plain = cost(F.mse_loss, x, y)
    if "weight" in F.mse_loss.__code__.co_varnames:
        assert cost(lambda x, y, w: F.mse_loss(x, y, weight=w), x, y, weight) == plain + OpCount(12, 11)


def test_instance_norm_with_statistics():
    layer, x = nn.InstanceNorm2d(4, track_running_stats=True), floats(*IMAGE)
    mean, var = torch.zeros(4), torch.ones(4)
    assert cost(lambda x: F.instance_norm(x, mean, var), x) == profile(layer, (x,)).ops
    fixed = cost(lambda x: F.instance_norm(x, mean, var, use_input_stats=False), x)
    assert fixed == profile(layer.eval(), (x,)).ops == OpCount(x.numel(), x.numel())


STACKS = {
    "lstm": (nn.LSTM, torch.lstm, 2),
    "gru": (nn.GRU, torch.gru, 1),
    "rnn_tanh": (nn.RNN, torch.rnn_tanh, 1),
    "rnn_relu": (lambda *sizes, **options: nn.RNN(*sizes, nonlinearity="relu", **options), torch.rnn_relu, 1),
}


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "dropout": 0.5}, {"bidirectional": True, "bias": False}])
@pytest.mark.parametrize("name", STACKS)
def test_recurrent_functions(name, options):
    kind, function, states = STACKS[name]
    layer = kind(3, 4, **options)
    directions = 2 if layer.bidirectional else 1
    state = floats(layer.num_layers * directions, 2, 4)
    states = (state,) * states if states > 1 else state
    flags = (layer.bias, layer.num_layers, layer.dropout, True, layer.bidirectional)
    x = floats(5, 2, 3)
    assert cost(lambda x: function(x, states, layer._flat_weights, *flags, False), x) == profile(layer, (x,)).ops
    packed = nn.utils.rnn.pack_sequence([floats(4, 3), floats(2, 3)])
    called = cost(lambda data: function(data, packed.batch_sizes, states, layer._flat_weights, *flags), packed.data)
    assert called == profile(layer, (packed,)).ops


def test_an_lstm_that_projects():
    layer, x = nn.LSTM(3, 4, 2, proj_size=2), floats(5, 2, 3)
    states = floats(2, 2, 2), floats(2, 2, 4)
    called = cost(lambda x: torch.lstm(x, states, layer._flat_weights, True, 2, 0.0, False, False, False), x)
    assert called == profile(layer, (x,)).ops


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", ["lstm", "gru", "rnn_tanh"])
def test_cell_functions(name, bias):
    kind = {"lstm": nn.LSTMCell, "gru": nn.GRUCell, "rnn_tanh": nn.RNNCell}[name]
    layer, x, state = kind(3, 4, bias=bias), floats(2, 3), floats(2, 4)
    states = (state, state) if name == "lstm" else state
    weights = layer.weight_ih, layer.weight_hh, layer.bias_ih, layer.bias_hh
    called = cost(lambda x: getattr(torch, f"{name}_cell")(x, states, *weights), x)
    assert called == profile(layer, (x,)).ops


def attend(layer, query, key, value, **options):
    """The function that the layer calls, on the layer's weights."""
    return F.multi_head_attention_forward(
        query,
        key,
        value,
        layer.embed_dim,
        layer.num_heads,
        layer.in_proj_weight,
        layer.in_proj_bias,
        layer.bias_k,
        layer.bias_v,
        layer.add_zero_attn,
        layer.dropout,
        layer.out_proj.weight,
        layer.out_proj.bias,
        **options,
    )


@pytest.mark.parametrize("options", [{}, {"need_weights": False}, {"average_attn_weights": False}])
@pytest.mark.parametrize("made", [{}, {"bias": False}, {"add_bias_kv": True}, {"add_zero_attn": True, "dropout": 0.1}])
def test_multihead_attention(made, options):
    layer = nn.MultiheadAttention(8, 2, **made)
    query, key = floats(5, 2, 8), floats(6, 2, 8)
    mask = floats(5, 6)
    called = cost(lambda q, k: attend(layer, q, k, k, attn_mask=mask, **options), query, key)
    assert called == profile(layer, (query, key, key), kwargs={"attn_mask": mask, **options}).ops


def test_static_keys_are_attended_to_in_place_of_the_projected_ones():
    layer, x = nn.MultiheadAttention(8, 2), floats(5, 2, 8)
    static = floats(4, 7, 4)
    called = cost(lambda x: attend(layer, x, x, x, static_k=static, static_v=static, need_weights=False), x)
    plain = cost(lambda x: attend(layer, x, x, x, need_weights=False), x)
    more = 2 * 2 * 5 * (7 - 5)  # scores
    assert (called.macs - plain.macs, called.transcendentals - plain.transcendentals) == (2 * more * 4, more)


@pytest.mark.parametrize("weights", [False, True])
def test_the_kernel_of_multihead_attention(weights):
    layer, x = nn.MultiheadAttention(8, 2, batch_first=True).eval(), floats(2, 5, 8)
    inner = layer.in_proj_weight, layer.in_proj_bias, layer.out_proj.weight, layer.out_proj.bias

    def kernel(x):
        return torch._native_multi_head_attention(x, x, x, 8, 2, *inner, need_weights=weights)

    with torch.no_grad():
        assert cost(kernel, x) == profile(layer, (x, x, x), kwargs={"need_weights": weights}).ops


@pytest.mark.parametrize("options", [{}, {"norm_first": True}, {"activation": "gelu"}])
def test_the_kernel_of_an_encoder_layer(options):
    layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, **options).eval()
    x, attention = floats(2, 5, 8), layer.self_attn

    def kernel(x):
        return torch._transformer_encoder_layer_fwd(
            x,
            8,
            2,
            attention.in_proj_weight,
            attention.in_proj_bias,
            attention.out_proj.weight,
            attention.out_proj.bias,
            layer.activation_relu_or_gelu == 2,
            layer.norm_first,
            layer.norm1.eps,
            *(layer.norm1.weight, layer.norm1.bias, layer.norm2.weight, layer.norm2.bias),
            *(layer.linear1.weight, layer.linear1.bias, layer.linear2.weight, layer.linear2.bias),
        )

    with torch.no_grad():
        assert cost(kernel, x) == profile(layer, (x,)).ops


class Recurrent(nn.Module):
    """TorchScript calls an LSTM only from within another module."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.lstm(x)[0]


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.filterwarnings("ignore:.torch.jit.script")
def test_scripted_layers_are_seen_by_their_operators_alone(training, grad):
    lstm = Recurrent().train(training), floats(5, 2, 3)
    encoder = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True).train(training), floats(2, 5, 8)
    for layer, x in (lstm, encoder):
        scripted = torch.jit.script(layer)
        with torch.set_grad_enabled(grad):
            counted = profile(scripted, (x,), execution="real")  # PyTorch has its kernels on real devices only
            assert counted.complete, counted.uncounted
            assert counted.macs == profile(layer, (x,)).macs
            if not (grad or training):  # no kernel is taken apart
                assert counted.ops == profile(layer, (x,)).ops
