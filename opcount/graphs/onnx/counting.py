"""An ONNX model counted: node by node into the same ledger as every other model."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from opcount.errors import InputError, described
from opcount.graphs.onnx.naming import Owner, owner_of
from opcount.graphs.onnx.node import Node
from opcount.graphs.onnx.reading import held_tensors, library, signature, what_is_wrong, with_functions_inlined
from opcount.graphs.onnx.rules import terms
from opcount.graphs.onnx.shaping import Scope
from opcount.graphs.ordering import in_order
from opcount.graphs.signature import bind
from opcount.inputs import Input
from opcount.ledger import Ledger, ModuleFacts
from opcount.ops import Call, Convention, Event, Execution, TensorSpec
from opcount.result import Profile
from opcount.trace.following import bases_of

_MOST_TURNS = 100_000
_WITH_WEIGHTS = frozenset(
    {"Conv", "ConvTranspose", "Gemm", "PRelu", "BatchNormalization", "InstanceNormalization", "GroupNormalization",
     "LayerNormalization"}
)  # fmt: skip
"""Whose further inputs are parameters, a single number too, which elsewhere is a constant."""


def count_onnx(model: Any, inputs: Any, kwargs: Mapping[str, Any] | None, convention: Convention) -> Profile:
    """The profile of an ONNX model.

    Args:
        model: an ``onnx.ModelProto``, which stays as it is.
        inputs, kwargs, convention: as for :func:`opcount.profile`.

    Raises:
        MissingExtraError: the onnx package is not installed.
        InputError: the inputs are not the model's, an open dimension has no size, or the model is no valid one.
    """
    try:
        return _counted(model, inputs, kwargs, convention)
    except _DAMAGED as error:
        raise InputError(f"the ONNX model is no valid one: {what_is_wrong(model, described(error))}") from error


_DAMAGED = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, StopIteration, RecursionError)
"""What comes of an attribute that lacks, is of another kind, or says what no operator can be told."""


def _counted(model: Any, inputs: Any, kwargs: Mapping[str, Any] | None, convention: Convention) -> Profile:
    begin = time.perf_counter()
    model = with_functions_inlined(model)
    takes = signature(model)
    bound = bind(takes, inputs, kwargs)
    opsets = {each.domain if each.domain != "ai.onnx" else "": each.version for each in model.opset_import}
    scope = Scope(opsets or {"": 1}, model.ir_version)
    scope.hold(model.graph)
    shapes = [tuple(each.size if isinstance(each, Input) else each.shape) for each in bound]
    element_types = {each.name: each.type.tensor_type.elem_type for each in model.graph.input}
    for each, shape in zip(takes, shapes):
        scope.give(each.name, TensorSpec(shape, each.dtype), element_types[each.name])
    ledger = Ledger(convention)
    walk = _Walk(ledger, scope)
    walk.through(model.graph)
    facts = walk.leave(dict(held_tensors(model.graph)), {each.name for each in model.graph.output})
    name = next((fact.type for fact in facts if not fact.path), "") or model.graph.name
    records = ledger.records(facts)
    return Profile(name, tuple(shapes), records, convention, Execution("shapes", seconds=time.perf_counter() - begin))


class _Walk:
    """One way through a graph, telling a ledger what each node costs."""

    def __init__(self, ledger: Ledger, scope: Scope) -> None:
        self.ledger, self.scope = ledger, scope
        self.places: list[tuple[str, list[str], list[str]]] = []  # of each node: its module, what goes in and comes out
        self.kinds: dict[str, str] = {}
        self.operators: dict[str, dict[str, None]] = {}
        self.is_nested = ""
        self.weights: set[str] = set()

    def through(self, graph: Any, times: int = 1) -> None:
        """Go through the nodes of a graph in their order."""
        for place, node in enumerate(graph.node):
            self._node(node, place, times)

    def _node(self, node: Any, place: int, times: int) -> None:
        owner = owner_of(node)
        if owner is None:
            label = node.name or f"{node.op_type}_{place}"
            owner = Owner(self.is_nested or label.replace(".", "_").strip("/"))
        for path, kind in owner.kinds:
            self.kinds.setdefault(path, kind)
        if _is_control(node):
            self.places.append((owner.path, list(node.input), list(node.output)))
            self._control(node, owner.path, times)
            return
        if self.scope.pass_through(node):
            return
        self.places.append((owner.path, list(node.input), list(node.output)))
        self.operators.setdefault(owner.path, {})[node.op_type] = None
        if node.op_type in _WITH_WEIGHTS:
            self.weights.update(node.input[1:])
        described = self._described(node)
        self._tell(f"onnx.{described.operator}", owner.path, described, terms(described), times)

    def _described(self, node: Any) -> Node:
        scope = self.scope
        own = node.domain in ("", "ai.onnx")
        return Node(
            operator=node.op_type if own else f"{node.domain}.{node.op_type}",
            version=scope.opsets.get("" if own else node.domain, 1),
            attributes={each.name: _attribute(each) for each in node.attribute},
            inputs=tuple(scope.spec(name) for name in node.input),
            outputs=tuple(scope.spec(name) for name in node.output),
            given=tuple(bool(name) for name in node.input),
            constants={
                place: scope.values[name].tolist() for place, name in enumerate(node.input) if name in scope.values
            },
        )

    def _tell(self, name: str, path: str, node: Node, found: Any, times: int) -> None:
        self.ledger.on_event(Event("operator", name, path, node.call, found), times)

    def _control(self, node: Any, path: str, times: int) -> None:
        """A branch that is known to be taken, a loop whose turns are known; else uncounted, by its name."""
        graphs = {each.name: each.g for each in node.attribute if each.HasField("g")}
        known = [self.scope.values.get(name) for name in node.input]
        turns, body = 0, None
        if node.op_type == "If" and known[0] is not None:
            turns, body = 1, graphs["then_branch" if bool(known[0].ravel()[0]) else "else_branch"]
        elif node.op_type == "Loop" and known[0] is not None and (not node.input[1] or known[1] is not None):
            goes_on = known[1] is None or bool(known[1].ravel()[0])
            body = graphs["body"] if self._always_goes_on(graphs["body"]) else None
            turns = int(known[0].ravel()[0]) if goes_on else 0
        elif node.op_type == "Scan":
            turns, body = self._scan(node, graphs["body"])
        if body is None or not 0 <= turns <= _MOST_TURNS:
            self.scope.types.update(self._either(node, graphs))
            self._tell(f"onnx.{node.op_type}", path, self._described(node), None, times)
            return
        self._inside(node, body, path, times * turns)

    def _always_goes_on(self, body: Any) -> bool:
        """Whether nothing but the number of turns ends a loop: its condition is a constant, or handed on."""
        condition, given = body.output[0].name, body.input[1].name
        made = {name: node for node in body.node for name in node.output}
        while condition in made and made[condition].op_type == "Identity":
            condition = made[condition].input[0]
        if condition == given:
            return True
        constant = made.get(condition)
        if constant is None or constant.op_type != "Constant":
            value = self.scope.values.get(condition)
            return value is not None and bool(value.ravel()[0])
        return bool(library().numpy_helper.to_array(constant.attribute[0].t).ravel()[0])

    def _scan(self, node: Any, body: Any) -> tuple[int, Any]:
        count = next(each.i for each in node.attribute if each.name == "num_scan_inputs")
        axes = next((list(each.ints) for each in node.attribute if each.name == "scan_input_axes"), [0] * count)
        spec = self.scope.spec(node.input[-count])
        return (spec.shape[axes[0]], body) if spec is not None and spec.shape else (0, None)

    def _inside(self, node: Any, body: Any, path: str, times: int) -> None:
        """The nodes of a body, in the name of what runs it, and what the whole returns."""
        outer, nested = self.scope, self.is_nested
        self.scope, self.is_nested = Scope(outer.opsets, outer.ir_version, outer), path or node.op_type
        self.scope.hold(body)
        self._enter(node, body)
        places = len(self.places)
        self.through(body, times)
        del self.places[places:]
        inner, self.scope, self.is_nested = self.scope, outer, nested
        outer.types.update(_returned(node, body, inner) or outer._inferred(node))

    def _enter(self, node: Any, body: Any) -> None:
        """Tell the body what goes in: of a loop the turn, the condition and the state; of a scan a slice of each."""
        onnx, scope = library(), self.scope
        names = list(node.input)
        if node.op_type == "Loop":
            names = ["", "", *names[2:]]
        sliced = next((each.i for each in node.attribute if each.name == "num_scan_inputs"), 0)
        for place, (inner, name) in enumerate(zip(body.input, names)):
            spec = scope.spec(name)
            if name and spec is not None:
                shape = spec.shape[1:] if sliced and place >= len(names) - sliced else spec.shape
                kind = scope.types[name].tensor_type.elem_type
                scope.types[inner.name] = onnx.helper.make_tensor_type_proto(kind, list(shape))
            else:
                scope.types[inner.name] = inner.type

    def _either(self, node: Any, graphs: Mapping[str, Any]) -> dict[str, Any]:
        """What a node returns whichever way it goes, where onnx can tell from its bodies."""
        found = self.scope._inferred(node)
        if node.op_type == "If" and not found:
            inner = Scope(self.scope.opsets, self.scope.ir_version, self.scope)
            for each in graphs["then_branch"].node:
                inner.pass_through(each)
            return _returned(node, graphs["then_branch"], inner)
        return found

    def leave(self, held: Mapping[str, TensorSpec], returned: set[str]) -> list[ModuleFacts]:
        """Tell the ledger of the modules' calls, and return what there is to say of each."""
        paths: dict[str, None] = {"": None}
        for path, _, _ in self.places:
            parts = path.split(".") if path else []
            paths.update(dict.fromkeys(".".join(parts[:end]) for end in range(1, len(parts) + 1)))
        paths.update(dict.fromkeys(self.kinds))
        params = dict.fromkeys(paths, 0)
        pending = {name: spec.elements for name, spec in held.items() if name in self.scope.held | self.weights}
        for path, inputs, _ in self.places:
            params[path] += sum(pending.pop(self.scope.origin.get(name, name), 0) for name in inputs)
        for path, call in self._calls(list(paths), returned):
            self.ledger.leave(path, call)
        return [self._facts(path, params[path]) for path in in_order(paths, paths)]

    def _facts(self, path: str, params: int) -> ModuleFacts:
        kind = self.kinds.get(path)
        if kind is not None:
            return ModuleFacts(path, kind.rpartition(".")[2], bases_of(kind), params=params)
        own = list(self.operators.get(path, ()))
        shown = " ".join(own[:2]) if own and path and not self._is_above(path) else "Module" if path else "Graph"
        return ModuleFacts(path, shown, tuple(f"onnx.{name}" for name in own[:2]), params=params)

    def _is_above(self, path: str) -> bool:
        return any(other.startswith(f"{path}.") for other in self.operators)

    def _calls(self, paths: Sequence[str], returned: set[str]) -> Iterator[tuple[str, Call]]:
        """For each module the tensors that come in from outside and those that are used outside."""
        users: dict[str, set[int]] = {}
        for place, (_, inputs, _) in enumerate(self.places):
            for name in inputs:
                users.setdefault(name, set()).add(place)
        inside: dict[str, list[int]] = {path: [] for path in paths}
        for place, (path, _, _) in enumerate(self.places):
            inside[""].append(place)
            parts = path.split(".") if path else []
            for end in range(1, len(parts) + 1):
                inside[".".join(parts[:end])].append(place)
        for path, places in inside.items():
            own = set(places)
            made = dict.fromkeys(name for place in places for name in self.places[place][2])
            came = dict.fromkeys(name for place in places for name in self.places[place][1] if self._flows(name, made))
            left = [name for name in made if users.get(name, set()) - own or name in returned]
            if places:
                yield path, Call(self._specs(came), {}, self._specs(left))

    def _flows(self, name: str, made: Mapping[str, Any]) -> bool:
        return bool(name) and name not in made and name not in self.scope.held and name not in self.scope.values

    def _specs(self, names: Any) -> tuple[TensorSpec, ...]:
        return tuple(spec for name in names if (spec := self.scope.spec(name)) is not None)


def _is_control(node: Any) -> bool:
    return node.domain in ("", "ai.onnx") and node.op_type in ("If", "Loop", "Scan")


def _returned(node: Any, body: Any, inner: Scope) -> dict[str, Any]:
    """The types of what a branch returns; a loop also stacks, which is left to onnx."""
    if node.op_type != "If":
        return {}
    pairs = zip(node.output, body.output)
    return {outer: inner.types[each.name] for outer, each in pairs if each.name in inner.types}


def _attribute(attribute: Any) -> Any:
    found = library().helper.get_attribute_value(attribute)
    if isinstance(found, bytes):
        return found.decode(errors="replace")
    if isinstance(found, list):
        return [item.decode(errors="replace") if isinstance(item, bytes) else item for item in found]
    return found


def is_onnx(model: object) -> bool:
    """Whether something is an ONNX model, or PyTorch's own wrapper of one."""
    kind = type(model)
    return kind.__name__ in ("ModelProto", "ONNXProgram") and kind.__module__.partition(".")[0] in ("onnx", "torch")


def proto_of(model: Any) -> Any:
    """The ``onnx.ModelProto`` of an ONNX model.

    Raises:
        InputError: it cannot be had.
    """
    if type(model).__name__ == "ModelProto":
        return model
    try:
        return model.model_proto
    except Exception as error:
        raise InputError(f"the ONNX program cannot be turned into a model: {error}") from error
