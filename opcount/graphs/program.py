"""An exported program as a module that can be counted like any other: its parameters held, its inputs asked for."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx, nn

from opcount.errors import InputError
from opcount.graphs.signature import Axis, GraphInput
from opcount.trace.describe import dtype_name

_HELD = ("PARAMETER", "BUFFER", "CONSTANT_TENSOR", "CUSTOM_OBJ")


def module_of(program: Any) -> tuple[fx.GraphModule, tuple[GraphInput, ...]]:
    """The graph of an ``ExportedProgram`` as a module that holds its parameters, and the inputs that it takes.

    Raises:
        InputError: it takes something that is no tensor.
    """
    held = {spec.arg.name: spec.target for spec in program.graph_signature.input_specs if spec.kind.name in _HELD}
    root = Holder()
    values = {**program.constants, **program.state_dict}
    graph, inputs = fx.Graph(), []
    copied: dict[fx.Node, Any] = {}
    for node in program.graph.nodes:
        if node.op == "placeholder" and node.name in held:
            path = str(held[node.name])
            root.hold(path, values[path])
            copied[node] = graph.get_attr(path)
        elif node.op == "placeholder":
            copied[node] = graph.node_copy(node)
            inputs.append(_input_of(node))
        else:
            if node.op == "get_attr":
                root.hold(str(node.target), getattr(program.graph_module, str(node.target)))
            copied[node] = graph.node_copy(node, lambda each: copied[each])
    return fx.GraphModule(root, graph), tuple(each for each in inputs if each is not None)


def _input_of(node: fx.Node) -> GraphInput | None:
    value = node.meta.get("val")
    if isinstance(value, torch.Tensor):
        return GraphInput(node.name, tuple(map(_axis, value.shape)), dtype_name(value.dtype))
    if isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool)):
        raise InputError(f"the exported program takes a number, {node.name}: export it with that number fixed")
    return None


def _axis(size: Any) -> Axis:
    if isinstance(size, int):
        return Axis(size)
    hint = size.node.hint
    return Axis(None if hint is None else int(hint), str(size))


class Holder(nn.Module):
    """Parameters, buffers and whatever else a graph holds, by dotted paths."""

    def hold(self, path: str, value: Any) -> None:
        """Put a value at a path; modules between are made as they are needed."""
        module: nn.Module = self
        *parents, name = path.split(".")
        for parent in parents:
            if parent not in module._modules:
                module.add_module(parent, nn.Module())
            module = module._modules[parent]  # type: ignore[assignment]
        if isinstance(value, nn.Parameter):
            module.register_parameter(name, value)
        elif isinstance(value, torch.Tensor):
            module.register_buffer(name, value)
        else:
            setattr(module, name, value)
