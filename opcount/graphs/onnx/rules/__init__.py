"""What ONNX's operators mean: each read into the numbers of the formulas that PyTorch's layers are counted by."""

from opcount.graphs.onnx.rules import contraction, elementwise, free, normalization, pooling, quantization, reduction
from opcount.graphs.onnx.rules.registry import RULES, terms

__all__ = [
    "RULES",
    "contraction",
    "elementwise",
    "free",
    "normalization",
    "pooling",
    "quantization",
    "reduction",
    "terms",
]
