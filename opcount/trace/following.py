"""Following a graph: its nodes run one by one, each in the name of the module that it was traced in.

A graph that was captured from a model is flat. What it keeps of the model is a stack of modules for each node
(``nn_module_stack``): their paths and classes. From those come the same rows as of the model itself.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
from torch import fx
from torch._ops import OpOverload

from opcount.ops import Call, Tree, tensors
from opcount.rules import Rule, function_rule, operator_name, operator_rule
from opcount.trace.describe import describe
from opcount.trace.observer import Observer
from opcount.trace.standins import made

STACK = "nn_module_stack"
"""Where a node keeps the modules that it was traced in."""


@dataclass(frozen=True, slots=True)
class Place:
    """A call of a module that nodes of a graph were traced in.

    Attributes:
        key: tells one call of the module from another.
        path: where the module is.
        kind: the qualified name of its class.
    """

    key: str
    path: str
    kind: str


def stack_of(node: fx.Node) -> tuple[Place, ...]:
    """The calls of modules that a node was traced in, the outermost first; without the module that it calls itself."""
    stack = tuple(_places(node.meta.get(STACK) or {}))
    return stack[:-1] if node.op == "call_module" and stack and stack[-1].path == node.target else stack


def _places(stack: Mapping[str, Any]) -> Iterator[Place]:
    for key, (path, kind) in stack.items():
        if str(key).startswith("_empty_nn_module_stack"):  # what PyTorch made up for nodes of its own
            continue
        name = f"{kind.__module__}.{kind.__qualname__}" if isinstance(kind, type) else str(kind)
        yield Place(str(key), plain_path(str(path)), name)


def plain_path(path: str) -> str:
    """A module's path as ``named_modules`` has it.

    >>> plain_path("L['self'].layers[0].fc"), plain_path("getattr(L['self'].layer1, '0')"), plain_path("layer1.0")
    ('layers.0.fc', 'layer1.0', 'layer1.0')
    """
    path = re.sub(r"^((?:getattr\()*)L\['[^']*'\]", r"\1", path)
    while "getattr(" in path:
        path, replaced = re.subn(r"getattr\(([^()]*), '([^']*)'\)", r"\1.\2", path)
        if not replaced:
            break
    return re.sub(r"\[['\"]?([^]'\"]*)['\"]?\]", r".\1", path).strip(".")


def keeps_stacks(module: fx.GraphModule) -> bool:
    """Whether a module is a graph that knows the modules of the model it was captured from."""
    return any(node.meta.get(STACK) for node in module.graph.nodes)


def traced_places(module: fx.GraphModule, prefix: str = "") -> dict[str, str]:
    """The paths of the modules that a graph's nodes were traced in, with their classes, outer ones first."""
    found: dict[str, str] = {}
    for node in module.graph.nodes:
        for place in _places(node.meta.get(STACK) or {}):
            found.setdefault(_joined(prefix, place.path), place.kind)
    return found


@dataclass(frozen=True, slots=True)
class Unknown:
    """Stands for an operator that is not called: what is known of it is its name and what it returned."""

    name: str
    outputs: tuple[Tree, ...]

    __name__ = "unknown"  # a graph asks for the names of what it calls

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Tensors like those that it returned."""
        returned = made(self.outputs)
        return returned[0] if len(returned) == 1 else returned


class Interpreted(fx.GraphModule):
    """A graph that is followed node by node and never written as Python: a name in it cannot become code.

    PyTorch's own ``GraphModule`` pastes the names of inputs, of what is held and of keyword arguments into the source
    of a function, which it then runs. Names that come out of a file must not get there.
    """

    def recompile(self) -> Any:
        """Write no code."""
        return None


@dataclass(slots=True)
class _Visit:
    """A call of a module that is going on: what came in from outside, what was made within."""

    place: Place
    inputs: dict[fx.Node, None] = field(default_factory=dict)
    made: list[fx.Node] = field(default_factory=list)


class Follower(fx.Interpreter):
    """Stands for a graph's forward."""

    def __init__(self, module: fx.GraphModule, observer: Observer, prefix: str = "") -> None:
        super().__init__(module, garbage_collect_values=False)
        self.graph_module, self.observer, self.prefix = module, observer, prefix
        self._visits: list[_Visit] = []
        self._specs: dict[fx.Node, Tree] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the graph."""
        self._visits, self._specs = [], {}
        flat = type(self.graph_module.graph._codegen) is not fx.graph.CodeGen
        if kwargs and not flat:
            args, kwargs = self._positional(args, kwargs), {}
        if kwargs:
            args = tuple(self.graph_module.graph._codegen.process_inputs(*args, **kwargs))
        try:
            return self.run(*args, enable_io_processing=not kwargs)
        finally:
            self._close(0)

    def _positional(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """Every argument by its place; those left out have the defaults of their placeholders."""
        names = [node for node in self.graph_module.graph.nodes if node.op == "placeholder"][len(args) :]
        missing = [node.target for node in names if node.target not in kwargs and not node.args]
        if missing:
            raise TypeError(f"missing the required positional argument {missing[0]!r}")
        return (*args, *(kwargs.get(str(node.target), node.args[0] if node.args else None) for node in names))

    def run_node(self, node: fx.Node) -> Any:
        """Run one node in the name of its module."""
        if node.op in ("placeholder", "get_attr", "output"):
            return super().run_node(node)
        stack = stack_of(node)
        self._move(stack)
        path = _joined(self.prefix, stack[-1].path) if stack else self.prefix
        for visit in self._visits:
            visit.made.append(node)
            visit.inputs.update(dict.fromkeys(node.all_input_nodes))
        with self.observer.standing_at(path, self.graph_module):
            result = self._run_operator(node) if node.op == "call_function" else super().run_node(node)
        with torch._C.DisableTorchFunction():
            self._specs[node] = describe(result)
        return result

    def _run_operator(self, node: fx.Node) -> Any:
        """Call an operator; one that PyTorch takes apart before anybody sees it is counted here, if it has a rule."""
        rule, subject = _rule_above(node.target)
        if rule is None and not isinstance(node.target, Unknown):
            return super().run_node(node)
        with torch._C.DisableTorchFunction():
            args, kwargs = map(describe, self.fetch_args_kwargs_from_env(node))
        with self.observer.owning():
            result = super().run_node(node)
        with torch._C.DisableTorchFunction():
            call = Call(args, kwargs, describe(result))
        if not self.observer.owned:
            name = node.target.name if isinstance(node.target, Unknown) else operator_name(node.target)  # type: ignore[arg-type]
            self.observer.observe("operator", name, rule, subject, call)
        return result

    def _move(self, stack: Sequence[Place]) -> None:
        """Leave the calls that a node is no longer part of, and enter those that begin with it."""
        shared = 0
        for visit, place in zip(self._visits, stack):
            if visit.place.key != place.key:
                break
            shared += 1
        self._close(shared)
        for place in stack[shared:]:
            if place.path:  # the model itself has hooks
                self.observer.collector.enter(_joined(self.prefix, place.path))
            self._visits.append(_Visit(place))

    def _close(self, kept: int) -> None:
        while len(self._visits) > kept:
            visit = self._visits.pop()
            if not visit.place.path:
                continue
            inside = set(visit.made)
            inputs = tuple(self._spec(node) for node in visit.inputs if node not in inside and self._flows(node))
            left = (node for node in visit.made if any(user not in inside for user in node.users))
            outputs = tuple(self._specs.get(node) for node in left)
            call = Call(inputs, {}, outputs)
            self.observer.collector.leave(_joined(self.prefix, visit.place.path), call)

    def _spec(self, node: fx.Node) -> Tree:
        if node not in self._specs:
            with torch._C.DisableTorchFunction():
                self._specs[node] = describe(self.env.get(node))
        return self._specs[node]

    def _flows(self, node: fx.Node) -> bool:
        """Whether a value is data rather than a parameter: a tensor that is not held."""
        return node.op != "get_attr" and bool(tensors(self._spec(node)))


@lru_cache(maxsize=4096)
def _rule_above(target: Any) -> tuple[Rule | None, Any]:
    """The rule of an operator that is made of others: its own, or that of the torch function of its name."""
    if not isinstance(target, OpOverload) or not target.has_kernel_for_dispatch_key(_COMPOSITE):
        return None, None
    rule = operator_rule(target)
    if rule is not None:
        return (None if rule.free else rule), target
    function = getattr(torch, target._schema.name.partition("::")[2], None)
    return function_rule(function) if function is not None else None, function


_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd


def _joined(prefix: str, path: str) -> str:
    return f"{prefix}.{path}" if prefix and path else prefix or path


def bases_of(kind: str) -> tuple[str, ...]:
    """The qualified names of a class and of what it derives from, as far as it is loaded: nothing is imported."""
    parts = kind.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        found: Any = sys.modules.get(".".join(parts[:cut]))
        for name in parts[cut:]:
            found = getattr(found, "__dict__", {}).get(name)
        if isinstance(found, type):
            return tuple(f"{base.__module__}.{base.__qualname__}" for base in found.__mro__ if base is not object)
    return (kind,)
