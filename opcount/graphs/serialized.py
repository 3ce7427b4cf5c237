"""The graph of an exported program's archive as a module that can be counted: shapes and operators, no values.

Operators are looked up by name among those that PyTorch has registered, and called on shapes only where a rule, or the
list of what is free, knows them. Any other is uncounted, and stands for what the archive says that it returned.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import fx, nn
from torch._ops import HigherOrderOperator, OpOverload

from opcount.errors import TargetError
from opcount.graphs.archive import UnknownGraph
from opcount.graphs.program import Holder
from opcount.graphs.signature import Axis, GraphInput
from opcount.ops import TensorSpec, Tree
from opcount.rules import operator_rule
from opcount.trace.following import STACK, Interpreted, Unknown

_DTYPES = {
    1: "uint8",
    2: "int8",
    3: "int16",
    4: "int32",
    5: "int64",
    6: "float16",
    7: "float32",
    8: "float64",
    9: "complex32",
    10: "complex64",
    11: "complex128",
    12: "bool",
    13: "bfloat16",
    28: "uint16",
    29: "float8_e4m3fn",
    30: "float8_e5m2",
    31: "float8_e4m3fnuz",
    32: "float8_e5m2fnuz",
    33: "float8_e8m0fnu",
    34: "uint32",
    35: "uint64",
}
_MEMORY_FORMATS = {1: "contiguous_format", 2: "channels_last", 3: "channels_last_3d", 4: "preserve_format"}
_OF_NUMBERS = frozenset(
    {"add", "sub", "mul", "floordiv", "truediv", "mod", "pow", "neg", "eq", "ne", "lt", "le", "gt", "ge", "and_", "or_"}
)
_PLAIN = ("as_int", "as_ints", "as_float", "as_floats", "as_bool", "as_bools", "as_string", "as_strings")
_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd


def module_of(path: str, data: Mapping[str, Any]) -> tuple[fx.GraphModule, tuple[GraphInput, ...]]:
    """The graph as a module on the meta device, and the inputs that it takes.

    Args:
        path: the file, for errors.
        data: what :func:`opcount.graphs.archive.read_graph` read.

    Raises:
        UnknownGraph: the graph is damaged, or has something in it that is not known.
        TargetError: it takes something that is no tensor.
    """
    try:
        written = data["graph_module"]
        return _Reader(written["graph"], written["signature"]).read()
    except TargetError:
        raise
    except Exception as error:  # whatever PyTorch makes of what it was never meant to be given
        writer = data.get("torch_version", "an unknown PyTorch")
        raise UnknownGraph(
            f"the graph in {path!r}, written by {writer}, cannot be read: {type(error).__name__}: {error}"
        ) from error


class _Reader:
    """One graph on its way from JSON to nodes."""

    def __init__(self, written: Mapping[str, Any], signature: Mapping[str, Any] | None = None) -> None:
        self.written, self.signature = written, signature or {}
        self.graph, self.root = fx.Graph(), Holder()
        self.values: dict[str, Any] = {}
        self.specs: Mapping[str, Any] = written["tensor_values"]

    def read(self) -> tuple[fx.GraphModule, tuple[GraphInput, ...]]:
        """The whole graph."""
        held = dict(self._held())
        inputs: list[GraphInput] = []
        for argument in self.written["inputs"]:
            kind, value = _union(argument)
            if kind not in ("as_tensor", "as_custom_obj"):
                if kind == "as_sym_int" and "as_name" in value:
                    raise TargetError(f"the program takes a number, {value['as_name']}: export it with that fixed")
                self.graph.placeholder(f"constant_{len(self.values)}", default_value=None)
                continue
            name = value["name"]
            if name in held:
                self._hold(name, *held[name])
            else:
                self.values[name] = self.graph.placeholder(name)
                if kind == "as_tensor":
                    inputs.append(GraphInput(name, tuple(map(_axis, self.specs[name]["sizes"])), self._dtype(name)))
        for node in self.written["nodes"]:
            self._node(node)
        outputs = [self._argument(argument) for argument in self.written["outputs"]]
        single = self.written.get("is_single_tensor_return") and len(outputs) == 1
        self.graph.output(outputs[0] if single else tuple(outputs))
        return Interpreted(self.root, self.graph), tuple(inputs)

    def _held(self) -> Iterator[tuple[str, tuple[str, bool]]]:
        """The graph's names of parameters, buffers and constants, with their paths and whether they are parameters."""
        for spec in self.signature.get("input_specs", ()):
            kind, value = _union(spec)
            path = value.get("parameter_name") or value.get("buffer_name") or value.get("tensor_constant_name")
            if path is not None:
                yield value["arg"]["name"], (str(path), kind == "parameter")
            elif kind == "custom_obj":
                yield value["arg"]["name"], (str(value["custom_obj_name"]), False)

    def _hold(self, name: str, path: str, parameter: bool) -> None:
        if name in self.specs:
            spec = self._spec(name)
            data = torch.empty(spec.shape, dtype=getattr(torch, spec.dtype), device="meta")
            self.root.hold(path, nn.Parameter(data, requires_grad=False) if parameter else data)
        else:
            self.root.hold(path, None)  # an object that is not opened
        self.values[name] = self.graph.get_attr(path)

    def _node(self, written: Mapping[str, Any]) -> None:
        outputs = written["outputs"]
        target = _target(written["target"])
        named = [(each["name"], self._argument(each["arg"])) for each in written["inputs"]]
        args, kwargs = _placed(target, named)
        if target is None:
            target = Unknown(_shown(written["target"]), tuple(self._output(each) for each in outputs))
        node = self.graph.call_function(target, tuple(args), kwargs)
        stack = dict(_stack(written.get("metadata", {}).get("nn_module_stack", "")))
        if stack:
            node.meta[STACK] = stack
        self._name(node, outputs, written)

    def _name(self, node: fx.Node, outputs: Sequence[Any], written: Mapping[str, Any]) -> None:
        """Give what a node returns the names that later nodes know it by."""
        several = isinstance(node.target, OpOverload) and len(node.target._schema.returns) > 1
        several |= isinstance(node.target, HigherOrderOperator) and not written.get("is_hop_single_tensor_return")
        several |= isinstance(node.target, Unknown) and len(outputs) > 1
        if len(outputs) == 1 and not several:
            kind, value = _union(outputs[0])
            if kind == "as_tensors":
                self._items(node, [{"as_tensor": each} for each in value])
            elif isinstance(value, Mapping):
                self.values[_name_of(value)] = node
        else:
            self._items(node, outputs)

    def _items(self, node: fx.Node, outputs: Sequence[Any]) -> None:
        for place, output in enumerate(outputs):
            kind, value = _union(output)
            item = self.graph.call_function(operator.getitem, (node, place))
            item.meta[STACK] = node.meta.get(STACK, {})
            if kind == "as_tensors":
                self._items(item, [{"as_tensor": each} for each in value])
            elif isinstance(value, Mapping) and kind != "as_none":
                self.values[_name_of(value)] = item

    def _argument(self, argument: Mapping[str, Any]) -> Any:
        kind, value = _union(argument)
        if kind in _PLAIN:
            return value
        if kind == "as_none":
            return None
        if kind in ("as_tensor", "as_custom_obj", "as_token"):
            return self.values[value["name"]]
        if kind in ("as_tensors", "as_optional_tensors", "as_sym_ints", "as_sym_bools", "as_sym_floats"):
            return [self._item(each) for each in value]
        if kind in ("as_sym_int", "as_sym_bool", "as_sym_float", "as_optional_tensor"):
            return self._item(value)
        if kind == "as_nested_tensors":
            return [[self._item(each) for each in group] for group in value]
        if kind == "as_scalar_type":
            return getattr(torch, _DTYPES[value])
        if kind == "as_memory_format":
            return getattr(torch, _MEMORY_FORMATS[value])
        if kind == "as_device":
            return torch.device("meta")
        if kind == "as_layout":
            return torch.strided
        if kind == "as_complex":
            return complex(value["real"], value["imag"])
        if kind == "as_graph":
            return self._subgraph(value)
        raise UnknownGraph(f"the graph has an argument of a kind that is not known, {kind!r}")

    def _item(self, value: Mapping[str, Any]) -> Any:
        if "name" in value:
            return self.values[value["name"]]
        kind, inner = _union(value)
        if kind == "as_name":
            return self.values[inner]
        if kind == "as_tensor":
            return self.values[inner["name"]]
        return None if kind == "as_none" else inner

    def _subgraph(self, value: Mapping[str, Any]) -> fx.Node:
        module, _ = _Reader(value["graph"]).read()
        self.root.hold(value["name"], module)
        return self.graph.get_attr(value["name"])

    def _output(self, output: Mapping[str, Any]) -> Tree:
        kind, value = _union(output)
        if kind == "as_tensor":
            return self._spec(value["name"])
        if kind == "as_tensors":
            return tuple(self._spec(each["name"]) for each in value)
        return None

    def _spec(self, name: str) -> TensorSpec:
        return TensorSpec(tuple(axis.size or 0 for axis in map(_axis, self.specs[name]["sizes"])), self._dtype(name))

    def _dtype(self, name: str) -> str:
        return _DTYPES[self.specs[name]["dtype"]]


def _union(value: Mapping[str, Any]) -> tuple[str, Any]:
    """The one kind that a value of several possible kinds is of."""
    ((kind, inner),) = value.items()
    return kind, inner


def _name_of(value: Mapping[str, Any]) -> str:
    return str(value["name"] if "name" in value else value.get("as_name", ""))


def _axis(size: Mapping[str, Any]) -> Axis:
    kind, value = _union(size)
    if kind == "as_int":
        return Axis(int(value))
    hint = (value.get("hint") or {}).get("as_int")
    text = str(value["expr_str"])
    symbol = text.partition("'")[2].partition("'")[0] if text.startswith("Symbol('") else text
    return Axis(None if hint is None else int(hint), symbol)


def _stack(text: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """A node's modules as the archive writes them: ``key,path,class;...``"""
    for part in filter(None, text.split(";")):
        key, _, rest = part.partition(",")
        path, _, kind = rest.rpartition(",")
        yield key, (path, kind)


def _target(name: str) -> Any:
    """What a name stands for among PyTorch's operators and Python's arithmetic; None if it is not for us to call."""
    space, _, rest = name.removeprefix("torch.").partition(".")
    if name.startswith(("_operator.", "operator.")):
        return getattr(operator, rest) if rest in _OF_NUMBERS or rest == "getitem" else None
    if name.startswith("math."):
        return getattr(math, rest) if rest in ("ceil", "floor", "trunc") else None
    if space in ("sym_int", "sym_float", "sym_max", "sym_min", "sym_not", "sym_ite", "sym_sqrt"):
        return getattr(torch, space)
    if space != "ops":
        return None
    namespace, *parts = rest.split(".")
    found = getattr(torch.ops, namespace, None)
    for part in parts:
        found = getattr(found, part, None)
    if isinstance(found, HigherOrderOperator):
        return found
    if not isinstance(found, OpOverload):
        return None
    made_of_others = found.has_kernel_for_dispatch_key(_COMPOSITE) and namespace in ("aten", "prims")
    return found if operator_rule(found) is not None or made_of_others else None


def _placed(target: Any, named: Sequence[tuple[str, Any]]) -> tuple[list[Any], dict[str, Any]]:
    """Arguments by position as far as the operator takes them so, the others by name."""
    if not isinstance(target, OpOverload):
        return [value for _, value in named], {}
    given, args = dict(named), []
    for argument in target._schema.arguments:
        if argument.kwarg_only or argument.name not in given:
            break
        args.append(given.pop(argument.name))
    return args, given


def _shown(name: str) -> str:
    """An operator's name as reports have it: ``mylib.op`` for ``torch.ops.mylib.op.default``."""
    parts = name.removeprefix("torch.ops.").split(".")
    return ".".join(parts[:2]) if len(parts) > 2 else ".".join(parts)
