"""One small example of every public layer of ``torch.nn``: how to make it, and arguments that it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Example = Callable[[], tuple[nn.Module, tuple[Any, ...]]]

EXAMPLES: dict[str, Example] = {}


def floats(*shape: int) -> Tensor:
    """Values between 0 and 1, which every layer takes: probabilities, rates and variances too."""
    return torch.rand(*shape) * 0.98 + 0.01


def indices(*shape: int, below: int = 3) -> Tensor:
    """Class or row numbers."""
    return torch.randint(0, below, shape)


def signs(*shape: int) -> Tensor:
    """Labels of 1 and -1."""
    return torch.where(torch.rand(*shape) < 0.5, -1.0, 1.0)


def example(kind: str, *options: Any, inputs: Callable[[], Any], **keywords: Any) -> None:
    """Remember an example of the class of that name, if this PyTorch has it."""
    if not hasattr(nn, kind):
        return

    def make() -> tuple[nn.Module, tuple[Any, ...]]:
        given = inputs()
        return getattr(nn, kind)(*options, **keywords), given if isinstance(given, tuple) else (given,)

    EXAMPLES[kind] = make


def _by_axes() -> None:
    images = {1: (2, 4, 8), 2: (2, 4, 8, 6), 3: (2, 4, 6, 8, 6)}
    for axes, shape in images.items():

        def image(shape: tuple[int, ...] = shape) -> Tensor:
            return floats(*shape)

        for kind in ("Conv", "ConvTranspose"):
            example(f"{kind}{axes}d", 4, 6, 3, inputs=image)
            example(f"Lazy{kind}{axes}d", 6, 3, inputs=image)
        for kind in ("BatchNorm", "InstanceNorm"):
            example(f"{kind}{axes}d", 4, inputs=image)
            example(f"Lazy{kind}{axes}d", inputs=image)
        for kind in ("AvgPool", "MaxPool", "AdaptiveAvgPool", "AdaptiveMaxPool"):
            example(f"{kind}{axes}d", 3, inputs=image)
        for kind in ("ZeroPad", "ReflectionPad", "ReplicationPad", "CircularPad"):
            example(f"{kind}{axes}d", 2, inputs=image)
        example(f"ConstantPad{axes}d", 2, 1.0, inputs=image)
        example(f"LPPool{axes}d", 2, 3, inputs=image)
        example(f"Dropout{axes}d", inputs=image)
        if axes > 1:
            example(f"FractionalMaxPool{axes}d", 2, 3, inputs=image)
    for axes in images:

        def pooled(axes: int = axes) -> tuple[Tensor, Tensor]:
            signal = floats(1, 2, *(4,) * axes)
            found: tuple[Tensor, Tensor] = getattr(nn, f"MaxPool{axes}d")(2, return_indices=True)(signal)
            return found

        example(f"MaxUnpool{axes}d", 2, inputs=pooled)


def _elementwise() -> None:
    plain = (
        "ReLU ReLU6 Hardtanh LeakyReLU PReLU RReLU Hardshrink Softshrink Sigmoid Tanh SiLU GLU Hardsigmoid Hardswish"
    )
    more = "ELU SELU CELU GELU Softplus Mish LogSigmoid Softsign Tanhshrink"
    free = "Identity Flatten Dropout AlphaDropout FeatureAlphaDropout"
    for kind in f"{plain} {more} {free}".split():
        example(kind, inputs=lambda: floats(2, 4, 6))
    example("Threshold", 0.5, 0.0, inputs=lambda: floats(2, 6))
    example("Unflatten", 1, (2, 3), inputs=lambda: floats(2, 6))
    for kind in ("Softmax", "Softmin", "LogSoftmax"):
        example(kind, dim=1, inputs=lambda: floats(2, 6))
    example("Softmax2d", inputs=lambda: floats(2, 3, 4, 5))


def _others() -> None:
    example("LayerNorm", 6, inputs=lambda: floats(2, 4, 6))
    example("RMSNorm", 6, inputs=lambda: floats(2, 4, 6))
    example("GroupNorm", 2, 4, inputs=lambda: floats(2, 4, 6))
    example("LocalResponseNorm", 3, inputs=lambda: floats(2, 6, 4))
    example("CrossMapLRN2d", 3, inputs=lambda: floats(2, 6, 4, 4))
    example("SyncBatchNorm", 4, inputs=lambda: floats(2, 4, 6))
    example("Linear", 6, 3, inputs=lambda: floats(2, 6))
    example("LazyLinear", 3, inputs=lambda: floats(2, 6))
    example("Bilinear", 3, 4, 5, inputs=lambda: (floats(2, 3), floats(2, 4)))
    for kind in ("RNN", "LSTM", "GRU"):
        example(kind, 3, 4, num_layers=2, dropout=0.5, inputs=lambda: floats(5, 2, 3))
        example(f"{kind}Cell", 3, 4, inputs=lambda: floats(2, 3))
    example("Embedding", 5, 4, inputs=lambda: indices(2, 7))
    example("EmbeddingBag", 5, 4, inputs=lambda: indices(2, 7))
    example("MultiheadAttention", 8, 2, inputs=lambda: (floats(5, 2, 8), floats(6, 2, 8), floats(6, 2, 8)))
    example("Fold", (5, 6), 2, inputs=lambda: floats(2, 12, 20))
    example("Unfold", 2, inputs=lambda: floats(2, 3, 5, 6))
    example("PixelShuffle", 2, inputs=lambda: floats(2, 8, 3, 3))
    example("PixelUnshuffle", 2, inputs=lambda: floats(2, 2, 6, 6))
    example("ChannelShuffle", 2, inputs=lambda: floats(2, 4, 3, 3))
    example("Upsample", scale_factor=2, mode="bicubic", inputs=lambda: floats(2, 3, 4, 5))
    example("UpsamplingNearest2d", scale_factor=2, inputs=lambda: floats(2, 3, 4, 5))
    example("UpsamplingBilinear2d", scale_factor=2, inputs=lambda: floats(2, 3, 4, 5))
    example("CosineSimilarity", inputs=lambda: (floats(2, 6), floats(2, 6)))
    example("PairwiseDistance", inputs=lambda: (floats(2, 6), floats(2, 6)))


def _losses() -> None:
    for kind in (
        "L1",
        "MSE",
        "SmoothL1",
        "Huber",
        "BCE",
        "BCEWithLogits",
        "KLDiv",
        "PoissonNLL",
        "MultiLabelSoftMargin",
    ):
        example(f"{kind}Loss", inputs=lambda: (floats(3, 4), floats(3, 4)))
    for kind in ("SoftMargin", "HingeEmbedding"):
        example(f"{kind}Loss", inputs=lambda: (floats(3, 4), signs(3, 4)))
    for kind in ("CrossEntropyLoss", "NLLLoss", "MultiMarginLoss"):
        example(kind, inputs=lambda: (floats(3, 4), indices(3)))
    example("NLLLoss2d", inputs=lambda: (floats(3, 4, 2, 2), indices(3, 2, 2)))
    example("LinearCrossEntropyLoss", 6, 4, inputs=lambda: (floats(3, 6), indices(3)))
    example("GaussianNLLLoss", inputs=lambda: (floats(3, 4), floats(3, 4), floats(3, 4)))
    example("MarginRankingLoss", inputs=lambda: (floats(3), floats(3), signs(3)))
    example("CosineEmbeddingLoss", inputs=lambda: (floats(3, 4), floats(3, 4), signs(3)))
    for kind in ("TripletMarginLoss", "TripletMarginWithDistanceLoss"):
        example(kind, inputs=lambda: (floats(3, 4), floats(3, 4), floats(3, 4)))
    example("MultiLabelMarginLoss", inputs=lambda: (floats(3, 4), torch.tensor([[1, 0, -1, 2]] * 3)))
    example("AdaptiveLogSoftmaxWithLoss", 6, 8, [3], inputs=lambda: (floats(4, 6), indices(4, below=8)))
    lengths = torch.tensor([5, 5]), torch.tensor([2, 2])
    example("CTCLoss", inputs=lambda: (floats(5, 2, 4).log_softmax(-1), indices(2, 2) + 1, *lengths))


def _transformers() -> None:
    sequences = {"Transformer": 2, "TransformerDecoderLayer": 2, "TransformerEncoderLayer": 1}
    for kind, count in sequences.items():
        stacks = {"num_encoder_layers": 1, "num_decoder_layers": 1} if kind == "Transformer" else {}
        example(
            kind,
            8,
            2,
            dim_feedforward=12,
            **stacks,
            inputs=lambda count=count: tuple(floats(5, 2, 8) for _ in range(count)),
        )
    encoder, decoder = EXAMPLES["TransformerEncoderLayer"], EXAMPLES["TransformerDecoderLayer"]
    EXAMPLES["TransformerEncoder"] = lambda: (
        nn.TransformerEncoder(encoder()[0], 2, enable_nested_tensor=False),
        (floats(5, 2, 8),),
    )
    EXAMPLES["TransformerDecoder"] = lambda: (
        nn.TransformerDecoder(decoder()[0], 2),
        (floats(5, 2, 8), floats(4, 2, 8)),
    )


def _containers() -> None:
    EXAMPLES["Sequential"] = lambda: (nn.Sequential(nn.Linear(6, 3), nn.ReLU()), (floats(2, 6),))
    EXAMPLES["DataParallel"] = lambda: (nn.DataParallel(nn.Linear(6, 3)), (floats(2, 6),))


for _make in (_by_axes, _elementwise, _others, _losses, _transformers, _containers):
    _make()
