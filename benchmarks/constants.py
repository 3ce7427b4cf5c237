"""The part of a graph that depends on no input, counted by itself: what an exporter may work out beforehand.

An exporter that folds constants takes such work away, and nothing else. So a graph's count is split in two by following
its inputs through its edges: what they reach, and what is made of parameters and numbers alone. The graph is cut there
and the second part is counted like any other graph, once in the exported program and once in what became of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from torch import fx
from torch._ops import OpOverload

from opcount import OpCount, Profile, profile
from opcount.graphs.onnx.reading import held_tensors, library, with_functions_inlined
from opcount.graphs.onnx.shaping import Scope
from opcount.graphs.program import module_of

_BY_SHAPE = frozenset(
    f"aten.{name}.default"
    for name in ("new_zeros", "new_ones", "new_full", "new_empty", "zeros_like", "ones_like", "full_like", "empty_like")
)
"""What looks at the shape of a tensor alone: an input that goes no further is none that anything depends on."""


def of_program(program: Any) -> Profile | None:
    """What an exported program works out of its parameters alone; None if that is nothing."""
    module, _ = module_of(program)
    fixed = _fixed(module.graph)
    graph, copied, inputs = fx.Graph(), {}, []
    for node in module.graph.nodes:
        if node not in fixed:
            continue
        for given in node.all_input_nodes:
            if given not in copied:  # a tensor that is asked for its shape
                copied[given] = graph.placeholder(given.name)
                inputs.append(tuple(given.meta["val"].shape))
        copied[node] = graph.node_copy(node, copied.__getitem__)
    if not any(node.op == "call_function" for node in graph.nodes):
        return None
    graph.output(tuple(copied[node] for node in fixed if any(user not in fixed for user in node.users)))
    return profile(fx.GraphModule(module, graph), tuple(inputs))


def _fixed(graph: fx.Graph) -> dict[fx.Node, None]:
    """The nodes that no input reaches, in order. What is written into reaches whatever shares its memory."""
    reached: set[fx.Node] = {node for node in graph.nodes if node.op == "placeholder"}
    before = -1
    while len(reached) != before:
        before = len(reached)
        for node in graph.nodes:
            given = () if str(node.target) in _BY_SHAPE else node.all_input_nodes
            if any(_memory(each) in reached for each in given):
                reached |= {node, _memory(node)}
                reached |= {_memory(each) for each in _written(node)}
    return {node: None for node in graph.nodes if node.op != "output" and _memory(node) not in reached}


def _written(node: fx.Node) -> list[fx.Node]:
    """The arguments that an operator changes."""
    if not isinstance(node.target, OpOverload):
        return []
    pairs = zip(node.target._schema.arguments, node.args)
    return [
        given
        for argument, given in pairs
        if argument.alias_info is not None and argument.alias_info.is_write and isinstance(given, fx.Node)
    ]


def _memory(node: fx.Node) -> fx.Node:
    """The node that made the memory which a node's tensor lies in."""
    while isinstance(node.target, OpOverload):
        returned = node.target._schema.returns
        views = returned and returned[0].alias_info is not None and isinstance(node.args[0], fx.Node)
        if not views:
            break
        node = node.args[0]  # type: ignore[assignment]
    return node


def of_onnx(model: Any) -> Profile | None:
    """What an ONNX model works out of its parameters alone; None if that is nothing."""
    model = with_functions_inlined(model)
    scope = shapes_in(model)
    return part_of(model, scope, fixed_in(model, scope))


def fixed_in(model: Any, scope: Scope) -> list[Any]:
    """The nodes of an ONNX model that no input reaches, in order."""
    reached = {each.name for each in model.graph.input} - {name for name, _ in held_tensors(model.graph)}
    fixed = []
    for node in model.graph.node:
        measured = node.op_type in ("Shape", "Size") and scope.spec(node.input[0]) is not None
        if _reached(node, reached) and not measured:
            reached.update(node.output)
        else:
            fixed.append(node)
    return fixed


def part_of(model: Any, scope: Scope, nodes: Sequence[Any]) -> Profile | None:
    """Some nodes of an ONNX model counted by themselves, what goes in being given; None if there are none."""
    if not nodes:
        return None
    made = {name for node in nodes for name in node.output}
    held = {name for name, _ in held_tensors(model.graph)}
    asked = {name for node in nodes for name in node.input if name and name not in made and name not in held}
    cut = type(model)()
    cut.CopyFrom(model)
    for field in ("node", "input", "output"):
        cut.graph.ClearField(field)
    cut.graph.node.extend(nodes)
    make = library().helper.make_value_info
    cut.graph.input.extend(make(name, scope.types[name]) for name in sorted(asked))
    return profile(cut)


def shapes_in(model: Any) -> Scope:
    """The shapes in a model whose inputs are of fixed sizes."""
    scope = Scope({each.domain: each.version for each in model.opset_import}, model.ir_version)
    scope.hold(model.graph)
    scope.types.update({each.name: each.type for each in model.graph.input})
    for node in model.graph.node:
        scope.pass_through(node)
    return scope


def _reached(node: Any, reached: set[str]) -> bool:
    """Whether a node depends on an input; one with a graph of its own may look at anything."""
    return any(name in reached for name in node.input) or any(each.HasField("g") for each in node.attribute)


def total(counted: Profile | None) -> OpCount:
    """All operations, none where nothing was counted."""
    return OpCount() if counted is None else counted.ops


__all__: Iterable[str] = ("fixed_in", "of_onnx", "of_program", "part_of", "shapes_in", "total")
