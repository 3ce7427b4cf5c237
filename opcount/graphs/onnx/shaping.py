"""Shapes through an ONNX graph, by the onnx package's own inference, and the few values that decide shapes.

A value is known where it was written down (a small constant) or follows from shapes. What only such values go into is
worked out by onnx's reference implementation, and counts nothing: it is fixed before the model is run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opcount.graphs.onnx.reading import SMALL, dtype_name, is_small, library
from opcount.ops import TensorSpec

_NEVER_KNOWN = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial", "Dropout"}
)
_REPEATING = frozenset(
    {"ConstantOfShape", "Expand", "Tile", "Range", "EyeLike", "OneHot", "Pad", "Resize", "Upsample", "AffineGrid",
     "HannWindow", "HammingWindow", "BlackmanWindow", "MelWeightMatrix", "DFT", "STFT", "CenterCropPad", "Col2Im"}
)  # fmt: skip
_SPREADING = frozenset({"Conv", "ConvTranspose", "MaxUnpool", "MaxPool", "AveragePool", "LpPool", "ConvInteger"})
"""Whose attributes alone may ask for any amount of memory; nobody applies them to a handful of constants."""
_OF_WEIGHTS = frozenset(
    {"Identity", "Transpose", "Reshape", "Cast", "Squeeze", "Unsqueeze", "DequantizeLinear", "QuantizeLinear"}
)


class Scope:
    """What is known of the values of a graph while its nodes are gone through.

    Attributes:
        types: what each value is, as onnx describes it.
        values: those that are known, as arrays.
        held: the names of parameters, and of what is only another form of them.
        origin: of the latter the parameter.
    """

    def __init__(self, opsets: Mapping[str, int], ir_version: int, outer: Scope | None = None) -> None:
        self.opsets, self.ir_version = dict(opsets), ir_version
        self.types: dict[str, Any] = dict(outer.types) if outer else {}
        self.values: dict[str, Any] = dict(outer.values) if outer else {}
        self.held: set[str] = set(outer.held) if outer else set()
        self.origin: dict[str, str] = dict(outer.origin) if outer else {}

    def hold(self, graph: Any) -> None:
        """Take in what a graph holds: parameters, and small constants with their values."""
        onnx = library()
        for tensor in graph.initializer:
            self.types[tensor.name] = onnx.helper.make_tensor_type_proto(tensor.data_type, list(tensor.dims))
            small = is_small(tensor)
            if small and (len(tensor.dims) == 0 or tuple(tensor.dims) == (1,) or not _floating(tensor.data_type)):
                self.values[tensor.name] = onnx.numpy_helper.to_array(tensor)
            else:
                self.held.add(tensor.name)
        for sparse in graph.sparse_initializer:
            name = sparse.values.name
            self.types[name] = onnx.helper.make_tensor_type_proto(sparse.values.data_type, list(sparse.dims))
            self.held.add(name)

    def give(self, name: str, spec: TensorSpec, element_type: int) -> None:
        """Say what an input is."""
        self.types[name] = library().helper.make_tensor_type_proto(element_type, list(spec.shape))

    def spec(self, name: str) -> TensorSpec | None:
        """What a value is; None where its shape is not known, or where it is no tensor."""
        found = self.types.get(name)
        if found is None or found.WhichOneof("value") != "tensor_type":
            return None
        tensor = found.tensor_type
        if not tensor.HasField("shape") or any(dim.WhichOneof("value") != "dim_value" for dim in tensor.shape.dim):
            return None
        return TensorSpec(tuple(dim.dim_value for dim in tensor.shape.dim), dtype_name(tensor.elem_type))

    def pass_through(self, node: Any) -> bool:
        """Work out what a node returns. Returns whether its outputs are known before the model is run."""
        known = self._evaluated(node)
        if known is not None:
            onnx = library()
            for name, value in zip(node.output, known):
                self.values[name] = value
                kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
                self.types[name] = onnx.helper.make_tensor_type_proto(kind, list(value.shape))
            return True
        self.types.update(self._inferred(node))
        if node.op_type in _OF_WEIGHTS and node.domain in ("", "ai.onnx") and self._is_fixed(node):
            for name in node.output:
                self.held.add(name)
                self.origin[name] = self.origin.get(node.input[0], node.input[0])
            return True
        return False

    def _is_fixed(self, node: Any) -> bool:
        """Whether parameters alone go in: what another layout or another grid makes of them is as fixed as they are."""
        return all(name in self.held or name in self.values for name in node.input if name)

    def _evaluated(self, node: Any) -> list[Any] | None:
        """The values of a node's outputs, if they follow from what is known and are few."""
        onnx = library()
        if node.domain not in ("", "ai.onnx") or node.op_type in _NEVER_KNOWN or _has_graphs(node):
            return None
        if node.op_type in ("Shape", "Size"):
            return self._measured(node)
        if node.op_type == "Constant" and node.attribute[0].name == "value":  # by far the most
            tensor = node.attribute[0].t
            return [onnx.numpy_helper.to_array(tensor)] if is_small(tensor) else None
        names = [name for name in node.input if name]
        if not all(name in self.values for name in names) or not _is_modest(node, self.values):
            return None
        try:
            found = onnx.reference.ReferenceEvaluator(node, opsets=self.opsets).run(
                None, {name: self.values[name] for name in names}
            )
        except Exception:  # whatever the reference implementation does not do; then the shape is all there is
            return None
        fine = all(hasattr(value, "dtype") and value.dtype.kind in "biuf" and value.size <= SMALL for value in found)
        return list(found) if fine else None

    def _measured(self, node: Any) -> list[Any] | None:
        import numpy

        spec = self.spec(node.input[0])
        if spec is None:
            return None
        if node.op_type == "Size":
            return [numpy.array(spec.elements, dtype=numpy.int64)]
        ends = {attribute.name: attribute.i for attribute in node.attribute}
        return [numpy.array(spec.shape[ends.get("start", 0) : ends.get("end")], dtype=numpy.int64)]

    def _inferred(self, node: Any) -> dict[str, Any]:
        """The types of a node's outputs, as far as onnx can tell."""
        onnx = library()
        version = self.opsets.get(node.domain or "", 1)
        try:
            schema = onnx.defs.get_schema(node.op_type, version, node.domain)
            types = {name: self.types[name] for name in node.input if name in self.types}
            data = {
                name: onnx.numpy_helper.from_array(self.values[name], name)
                for name in node.input
                if name in self.values
            }
            return dict(
                onnx.shape_inference.infer_node_outputs(
                    schema, node, types, data, opset_imports=self._imports(), ir_version=self.ir_version
                )
            )
        except Exception:  # an operator that onnx does not know, or shapes that it cannot make out
            return {}

    def _imports(self) -> list[Any]:
        onnx = library()
        return [onnx.helper.make_opsetid(domain, version) for domain, version in self.opsets.items()]


def _floating(element_type: int) -> bool:
    return dtype_name(element_type).startswith(("float", "bfloat", "complex"))


def _has_graphs(node: Any) -> bool:
    return any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute)


def _is_modest(node: Any, values: Mapping[str, Any]) -> bool:
    """Whether what a node would make is small: some make much of little, such as a range or a repetition."""
    if node.op_type in _SPREADING:
        return False
    if node.op_type in _REPEATING:
        numbers = [value for name in node.input if name in values for value in values[name].ravel().tolist()]
        product = 1.0
        for number in numbers:
            product *= max(abs(float(number)), 1.0)
        return product <= SMALL
    return True
