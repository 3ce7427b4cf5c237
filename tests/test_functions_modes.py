"""A call costs the same with gradients, without, and in inference mode, where composite operators come whole."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.calling import profiled
from tests.layers import floats, indices, signs

pytestmark = [
    pytest.mark.filterwarnings("ignore:Default grid_sample"),
    pytest.mark.filterwarnings("ignore:reduction. 'mean' divides"),
    pytest.mark.filterwarnings("ignore:dropout2d. Received"),
    pytest.mark.filterwarnings("ignore:The operator .aten"),
]

V, X = (4, 6), (2, 4, 8, 8)

CALLS = {
    # contractions
    "linear": lambda: F.linear(floats(2, 3, 6), floats(5, 6), floats(5)),
    "bilinear": lambda: F.bilinear(floats(2, 3), floats(2, 4), floats(5, 3, 4), floats(5)),
    "conv1d": lambda: F.conv1d(floats(2, 4, 8), floats(6, 2, 3), floats(6), padding="same", groups=2),
    "conv2d": lambda: F.conv2d(floats(*X), floats(6, 4, 3, 3), stride=2, padding=1),
    "conv3d unbatched": lambda: F.conv3d(floats(2, 5, 5, 5), floats(3, 2, 2, 2, 2), padding="valid"),
    "conv_transpose2d": lambda: F.conv_transpose2d(floats(*X), floats(4, 3, 3, 3), floats(6), 2, groups=2),
    "conv_tbc": lambda: torch.conv_tbc(floats(5, 2, 3), floats(3, 3, 4), floats(4), 1),
    "matmul": lambda: floats(2, 3, 4, 5) @ floats(5, 6),
    "matmul of vectors": lambda: floats(6) @ floats(6),
    "inner": lambda: torch.inner(floats(2, 6), floats(3, 6)),
    "outer": lambda: torch.outer(floats(3), floats(4)),
    "kron": lambda: torch.kron(floats(2, 2), floats(3, 3)),
    "tensordot": lambda: torch.tensordot(floats(2, 3, 4), floats(3, 4, 5)),
    "chain_matmul": lambda: torch.linalg.multi_dot([floats(2, 3), floats(3, 4), floats(4, 5)]),
    "vecdot": lambda: torch.linalg.vecdot(floats(3, 4), floats(3, 4)),
    "einsum": lambda: torch.einsum("abi,bij->aj", floats(2, 3, 4), floats(3, 4, 5)),
    "addmm": lambda: torch.addmm(floats(5), floats(2, 3), floats(3, 5), alpha=2, beta=3),
    "baddbmm": lambda: torch.baddbmm(floats(2, 3, 5), floats(2, 3, 4), floats(2, 4, 5), beta=0),
    "attention": lambda: F.scaled_dot_product_attention(floats(2, 2, 5, 4), floats(2, 2, 6, 4), floats(2, 2, 6, 4)),
    # normalization
    "batch_norm": lambda: F.batch_norm(floats(*X), floats(4), floats(4), floats(4), floats(4)),
    "batch_norm training": lambda: F.batch_norm(floats(*X), floats(4), floats(4), training=True),
    "instance_norm": lambda: F.instance_norm(floats(*X), weight=floats(4), bias=floats(4)),
    "torch.instance_norm": lambda: torch.instance_norm(
        floats(*X), None, None, floats(4), floats(4), False, 0.1, 1e-5, False
    ),
    "layer_norm": lambda: F.layer_norm(floats(*X), (8, 8), floats(8, 8)),
    "group_norm": lambda: F.group_norm(floats(*X), 2, floats(4), floats(4)),
    "rms_norm": lambda: F.rms_norm(floats(*X), (8,), floats(8)),
    "local_response_norm": lambda: F.local_response_norm(floats(*X), 3),
    "normalize": lambda: F.normalize(floats(*V)),
    "renorm": lambda: torch.renorm(floats(*V), 2, 0, 1.0),
    # pooling
    "avg_pool1d": lambda: F.avg_pool1d(floats(2, 4, 8), 3, 2, 1),
    "max_pool1d": lambda: F.max_pool1d(floats(2, 4, 8), 3, 2, 1),
    "max_pool2d": lambda: F.max_pool2d(floats(*X), 3, 2, 1),
    "max_pool3d": lambda: F.max_pool3d(floats(2, 4, 4, 4, 4), 2),
    "lp_pool1d": lambda: F.lp_pool1d(floats(2, 4, 8), 2, 3),
    "lp_pool2d": lambda: F.lp_pool2d(floats(*X), 3.0, (2, 3), stride=2),
    "adaptive_avg_pool1d": lambda: F.adaptive_avg_pool1d(floats(2, 4, 8), 3),
    "adaptive_avg_pool2d": lambda: F.adaptive_avg_pool2d(floats(*X), 1),
    "adaptive_avg_pool3d": lambda: F.adaptive_avg_pool3d(floats(2, 4, 4, 4, 4), 3),
    "adaptive_max_pool1d": lambda: F.adaptive_max_pool1d(floats(2, 4, 8), 3),
    # activations
    "relu6": lambda: F.relu6(floats(*V)),
    "selu": lambda: F.selu(floats(*V)),
    "torch.celu": lambda: torch.celu(floats(*V)),
    "logsigmoid": lambda: F.logsigmoid(floats(*V)),
    "prelu": lambda: F.prelu(floats(*V), floats(6)),
    "rrelu": lambda: F.rrelu(floats(*V), training=True),
    "softmin": lambda: F.softmin(floats(*V), -1),
    "softmax": lambda: torch.softmax(floats(*V), -1),
    "log_softmax": lambda: torch.log_softmax(floats(*V), -1),
    "gumbel_softmax": lambda: F.gumbel_softmax(floats(*V), hard=True),
    "tanhshrink": lambda: F.tanhshrink(floats(*V)),
    "softsign": lambda: F.softsign(floats(*V)),
    # dropout
    "dropout": lambda: F.dropout(floats(*V)),
    "torch.dropout": lambda: torch.dropout(floats(*V), 0.5, True),
    "alpha_dropout": lambda: F.alpha_dropout(floats(*V), training=True),
    "feature_alpha_dropout": lambda: F.feature_alpha_dropout(floats(*X), training=True),
    "dropout2d": lambda: F.dropout2d(floats(*X)),
    # distances and losses
    "cosine_similarity": lambda: F.cosine_similarity(floats(*V), floats(*V)),
    "pairwise_distance": lambda: F.pairwise_distance(floats(*V), floats(*V)),
    "cdist": lambda: torch.cdist(floats(30, 3), floats(30, 3)),
    "cdist p": lambda: torch.cdist(floats(2, 5, 3), floats(2, 4, 3), p=1.0),
    "pdist": lambda: F.pdist(floats(*V)),
    "kl_div": lambda: F.kl_div(floats(*V), floats(*V)),
    "torch.kl_div": lambda: torch.kl_div(floats(*V), floats(*V), 1),
    "cross_entropy": lambda: F.cross_entropy(floats(*V), indices(4), label_smoothing=0.1),
    "nll_loss": lambda: F.nll_loss(floats(*V), indices(4), floats(6)),
    "nll_loss of images": lambda: F.nll_loss(floats(2, 4, 3, 3), indices(2, 3, 3)),
    "l1_loss": lambda: F.l1_loss(floats(*V), floats(*V), reduction="sum"),
    "cosine_embedding_loss": lambda: torch.cosine_embedding_loss(floats(*V), floats(*V), signs(4)),
    "hinge_embedding_loss": lambda: torch.hinge_embedding_loss(floats(*V), signs(*V)),
    "triplet_margin_loss": lambda: torch.triplet_margin_loss(floats(*V), floats(*V), floats(*V)),
    "with_distance": lambda: F.triplet_margin_with_distance_loss(floats(*V), floats(*V), floats(*V)),
    "multi_margin_loss": lambda: F.multi_margin_loss(floats(*V), indices(4)),
    "poisson_nll_loss": lambda: torch.poisson_nll_loss(floats(*V), floats(*V), True, True, 1e-8, 1),
    # embedding, resampling, folding
    "embedding_bag": lambda: F.embedding_bag(indices(3, 4), floats(5, 6), mode="max"),
    "embedding max_norm": lambda: F.embedding(indices(3, 4), floats(5, 6), max_norm=1.0),
    "interpolate nearest": lambda: F.interpolate(floats(*X), scale_factor=1.5),
    "interpolate bicubic": lambda: F.interpolate(floats(*X), size=(5, 3), mode="bicubic"),
    "interpolate area": lambda: F.interpolate(floats(*X), size=(5, 3), mode="area"),
    "grid_sample": lambda: F.grid_sample(floats(*X), floats(2, 3, 3, 2)),
    "affine_grid": lambda: F.affine_grid(floats(2, 2, 3), [2, 3, 4, 4]),
    "fold": lambda: F.fold(floats(2, 12, 20), (5, 6), 2),
    "unfold": lambda: F.unfold(floats(*X), 3),
    "pad": lambda: F.pad(floats(*X), (1, 1, 2, 2), mode="circular"),
    "isfinite": lambda: floats(*V).isfinite(),
    "pixel_shuffle": lambda: F.pixel_shuffle(floats(*X), 2),
    # reductions and arithmetic
    "maximum of two by max": lambda: torch.max(floats(*V), floats(*V)),
    "minimum of two by min": lambda: torch.min(floats(*V), floats(*V)),
    "max over a dimension": lambda: floats(*V).max(1),
    "std": lambda: floats(*V).std(),
    "var of two dimensions": lambda: torch.var(floats(*X), (2, 3)),
    "nanmean": lambda: torch.nanmean(floats(*V)),
    "quantile": lambda: torch.quantile(floats(*V), 0.5, dim=0),
    "norm": lambda: torch.norm(floats(*V), dim=1),
    "matrix norm": lambda: torch.linalg.norm(floats(*V)),
    "float_power": lambda: torch.float_power(floats(*V), 2),
    "square": lambda: torch.square(floats(*V)),
    "clip": lambda: torch.clip(floats(*V), 0.2, 0.8),
    "true_divide": lambda: torch.true_divide(floats(*V), 3),
    "absolute": lambda: torch.absolute(floats(*V)),
    "diff": lambda: torch.diff(floats(*V)),
    "cov": lambda: torch.cov(floats(*V)),
    "isclose": lambda: torch.isclose(floats(*V), floats(*V)),
    "argsort": lambda: torch.argsort(floats(*V)),
    "fft": lambda: torch.fft.fft2(floats(*V)),
    "stft": lambda: torch.stft(floats(64), 16, window=torch.hann_window(16), return_complex=True),
    "where": lambda: torch.where(floats(*V) > 0.5, floats(*V), 0.0),
    "masked": lambda: floats(*V)[floats(*V) > 0.5],
    "softplus": lambda: F.softplus(floats(*V)),
    "logsumexp": lambda: torch.logsumexp(floats(*V), (0, 1)),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_costs_the_same_in_every_mode(name):
    def counted(mode):
        torch.manual_seed(0)
        with mode:
            return profiled(lambda _: CALLS[name](), floats(1))

    with_gradients = counted(torch.enable_grad())
    assert with_gradients.complete, with_gradients.uncounted
    assert counted(torch.no_grad()).ops == with_gradients.ops
    inference = counted(torch.inference_mode())
    assert inference.complete, inference.uncounted
    assert inference.ops == with_gradients.ops
