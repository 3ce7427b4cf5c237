"""ONNX operators that compute no value: they move, select, fill, cast or relabel. What is not here is not free."""

from __future__ import annotations

from collections.abc import Iterable

from opcount.graphs.onnx.node import Node
from opcount.graphs.onnx.rules.registry import rule
from opcount.ops import Term

_FREE = """
    Identity Constant ConstantOfShape Shape Size Reshape Flatten Squeeze Unsqueeze Transpose Expand Cast CastLike
    Concat Split Slice Gather GatherElements GatherND Tile Pad DepthToSpace SpaceToDepth ReverseSequence EyeLike
    OneHot Range Where Compress Trilu CenterCropPad Col2ImIndices MaxUnpool Scatter
    Neg Sign Abs Ceil Floor Round IsInf IsNaN And Or Not Xor BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor
    RandomNormal RandomNormalLike RandomUniform RandomUniformLike Bernoulli Multinomial
    SequenceConstruct SequenceEmpty SequenceAt SequenceInsert SequenceErase SequenceLength SplitToSequence
    ConcatFromSequence Optional OptionalGetElement OptionalHasElement StringNormalizer BitCast TensorScatter
    HannWindow HammingWindow BlackmanWindow
"""


@rule(*(name for name in _FREE.split()))
def free(node: Node) -> Iterable[Term]:
    """Nothing."""
    return ()
