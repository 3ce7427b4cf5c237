"""An ONNX file or model on its way to nodes: what is needed of it, in order, without its weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opcount.errors import InputError, MissingExtraError, TargetError
from opcount.graphs.signature import Axis, GraphInput
from opcount.ops import TensorSpec

SMALL = 1024
"""Tensors of so many elements may decide shapes, and their values are looked at; larger ones are weights."""


def library() -> Any:
    """The onnx package.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import onnx
        import onnx.checker
        import onnx.inliner
        import onnx.reference
        import onnx.shape_inference
    except ImportError as error:
        raise MissingExtraError("counting an ONNX model needs onnx: pip install 'opcount[onnx]'") from error
    return onnx


def read(path: str) -> Any:
    """The model in a file, without the weights that lie in other files.

    Raises:
        MissingExtraError: the onnx package is not installed.
        TargetError: the file cannot be read, or is no ONNX model.
    """
    onnx = library()
    try:
        model = onnx.load(path, load_external_data=False)
    except OSError as error:
        raise TargetError(f"{path!r} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # protobuf has several of its own, by version
        raise TargetError(f"{path!r} is no ONNX model, or is damaged: {type(error).__name__}: {error}") from error
    if not model.HasField("graph") or (not model.graph.node and not model.graph.output):
        raise TargetError(f"{path!r} is no ONNX model, or is damaged: there is no graph in it")
    return model


def what_is_wrong(model: Any, reason: str) -> str:
    """What onnx's own checker says of a model, in one line; the reason given where that finds nothing."""
    try:
        library().checker.check_model(_without_weights(model))
    except Exception as error:  # ValidationError, or protobuf's
        return next(iter(str(error).splitlines()), reason)
    return reason


def with_functions_inlined(model: Any) -> Any:
    """The model with the operators that it defines itself taken apart.

    Raises:
        InputError: they cannot be.
    """
    if not model.functions:
        return model
    try:
        return library().inliner.inline_local_functions(_without_weights(model))
    except Exception as error:
        raise InputError(f"the functions of the ONNX model cannot be put in place: {error}") from error


def _without_weights(model: Any) -> Any:
    """A copy whose large tensors have a shape and no contents."""
    light = library().ModelProto()
    light.CopyFrom(model)
    for tensor in light.graph.initializer:
        if _elements(tensor.dims) > SMALL:
            for name in ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data"):
                tensor.ClearField(name)
    return light


def signature(model: Any) -> tuple[GraphInput, ...]:
    """What the model is called with.

    Raises:
        InputError: an input is no tensor, or a name in it is no text.
    """
    held = {tensor.name for tensor in model.graph.initializer}
    held |= {tensor.values.name for tensor in model.graph.sparse_initializer}
    return tuple(_input(each) for each in model.graph.input if each.name not in held)


def _input(value: Any) -> GraphInput:
    if value.type.WhichOneof("value") != "tensor_type":
        raise InputError(f"the input {value.name!r} of the ONNX model is no tensor, which cannot be counted with")
    tensor = value.type.tensor_type
    names = (value.name, *(dim.dim_param for dim in tensor.shape.dim))
    if any(not isinstance(name, str) for name in names):  # protobuf leaves as bytes what is not in UTF-8
        raise InputError(f"the input {value.name!r} of the ONNX model, or an axis of it, has a name that is no text")
    if not tensor.HasField("shape"):
        return GraphInput(value.name, None, dtype_name(tensor.elem_type))
    axes = (_axis(dim, f"{value.name}.{place}") for place, dim in enumerate(tensor.shape.dim))
    return GraphInput(value.name, tuple(axes), dtype_name(tensor.elem_type))


def _axis(dim: Any, nameless: str) -> Axis:
    if dim.WhichOneof("value") == "dim_value" and dim.dim_value >= 0:
        return Axis(dim.dim_value)
    return Axis(None, dim.dim_param or nameless)


def held_tensors(graph: Any) -> Iterator[tuple[str, TensorSpec]]:
    """The names and shapes of what a graph holds, whether or not their values are there."""
    for tensor in graph.initializer:
        yield tensor.name, TensorSpec(tuple(tensor.dims), dtype_name(tensor.data_type))
    for sparse in graph.sparse_initializer:
        yield sparse.values.name, TensorSpec(tuple(sparse.dims), dtype_name(sparse.values.data_type))


def is_small(tensor: Any) -> bool:
    """Whether a tensor's values are here and may decide shapes."""
    return _elements(tensor.dims) <= SMALL and tensor.data_location != library().TensorProto.EXTERNAL


def _elements(dims: Any) -> int:
    count = 1
    for size in dims:
        count *= size
    return count


def dtype_name(number: int) -> str:
    """An element type as PyTorch calls it.

    Raises:
        InputError: the model has a number for it that this version of onnx does not know.
    """
    try:
        name: str = library().TensorProto.DataType.Name(number).lower()
    except ValueError as error:
        raise InputError(f"the ONNX model has an element type {number}, which this release of onnx lacks") from error
    return {"float": "float32", "double": "float64"}.get(name, name)
