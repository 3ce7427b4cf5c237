"""Which rule speaks for which layer, function or operator.

A rule is a short generator ``(subject, call) -> terms``: it reads a layer (or a function's or operator's arguments)
into the numbers of formulas. It is tied to what it speaks for by :func:`rule`; :func:`free` ties the rule that there
is nothing to count. What is tied to nothing is uncounted, and reported as such.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from torch import nn
from torch._library.custom_ops import CustomOpDef
from torch._ops import OpOverload, OpOverloadPacket

from opcount.errors import RuleError
from opcount.ops import Call, Phase, Term

Count: TypeAlias = Callable[[Any, Call], "Iterable[Term] | None"]


@dataclass(frozen=True, slots=True)
class Rule:
    """How to read one call into terms.

    Attributes:
        count: ``(subject, call) -> terms``. The subject is the layer, function or operator that was called.
        helpers: methods that PyTorch's own forward of the layer leans on. Overridden, the rule no longer holds.
        free: the rule that nothing is counted.
    """

    count: Count
    helpers: tuple[str, ...] = ()
    free: bool = False

    def terms(self, subject: Any, call: Call) -> tuple[Term, ...] | None:
        """The terms of one call, each with its element type; None if this very call is beyond the rule."""
        yielded = self.count(subject, call)
        if yielded is None:
            return None
        dtype = call.dtype
        return tuple(term.with_dtype(dtype) for term in yielded)


LAYERS: dict[type[nn.Module], Rule] = {}
FUNCTIONS: dict[Callable[..., Any], Rule] = {}
OPERATORS: dict[str, Rule] = {}
GRADIENTS: dict[Any, Rule] = {}
"""What the gradient of a layer, function or operator costs, in closed form; without, it is the operators it runs."""

_FORWARDS: dict[type[nn.Module], Any] = {}  # the forward that a layer's rule was written for

_NOTHING: tuple[Term, ...] = ()


def rule(*subjects: Any, helpers: tuple[str, ...] = (), phase: Phase = "forward") -> Callable[[Count], Count]:
    """Tie a counting function to layer classes, torch functions or operators.

    Args:
        subjects: ``nn.Module`` classes; functions such as ``torch.nn.functional.linear``; operators, as objects
            (``torch.ops.mylib.op``) or by name (``"aten.add"``, which stands for all overloads and ``add_``).
        helpers: names of methods of the layer that must not be overridden either for the rule to hold.
        phase: ``"backward"`` for what the gradient costs. It holds where the rule of the forward does; ``needs_grad``
            of the call's tensors and ``requires_grad`` of the layer's parameters say which gradients are asked for. A
            layer or function without one costs what its backward runs, operator by operator.

    The function takes ``(layer, call)`` and yields terms; ``call.input``, ``call.output`` and ``call.args``
    describe the actual tensors. It speaks for subclasses too, as long as they run the same forward.

    >>> import opcount
    >>> class Scale(nn.Module):
    ...     def forward(self, x):
    ...         return 3 * x
    >>> @opcount.rule(Scale)
    ... def scale(layer, call):
    ...     yield opcount.Term("each", count=call.output.elements, multiplications=1)
    >>> opcount.profile(Scale(), (2, 5)).multiplications
    10

    Raises:
        RuleError: a subject has a rule already, or cannot have one.
    """
    if not subjects:
        raise RuleError("rule() needs what the rule is for: @rule(MyLayer)")

    def tie(count: Count) -> Count:
        made = Rule(count, helpers)
        for subject in subjects:
            _register(subject, made, phase)
        return count

    return tie


def free(*subjects: Any, phase: Phase = "forward") -> None:
    """Say that layers, functions or operators cost nothing: they move, select or relabel, but compute no value.

    Raises:
        RuleError: a subject has a rule already.
    """
    nothing = Rule(_no_terms, free=True)
    for subject in subjects:
        _register(subject, nothing, phase)


def layer_rule(layer: nn.Module) -> Rule | None:
    """The rule that speaks for this very layer, if the layer runs the forward the rule was written for.

    The classes are searched in method resolution order. A subclass, parametrization or instance that replaces
    ``forward`` (or a helper method of it) is not what the rule describes: it is what it calls.
    """
    kind: Any = type(layer)
    found = class_rule(kind, kind.forward, len(LAYERS))
    if found is None:
        return None
    own = layer.__dict__
    if "forward" in own and not getattr(own["forward"], "stands_for_own_forward", False):
        return None
    for name in found.helpers:
        if name in own:
            return None
    return found


@lru_cache(maxsize=4096)
def class_rule(kind: Any, forward: Any, registered: int) -> Rule | None:
    """The rule for a class, if its forward is the one that the rule was written for; anew when rules were added."""
    for base in kind.__mro__:
        found = LAYERS.get(base)
        if found is not None:
            same = all(getattr(kind, name) is getattr(base, name) for name in found.helpers)
            return found if same and forward is _FORWARDS[base] else None
    return None


def gradient_rule(subject: Any) -> Rule | None:
    """The closed form of a gradient, of a layer, function or operator that its forward's rule speaks for.

    Of a layer it is that of the class whose rule holds: what a rule of its own describes may have another gradient.
    """
    if isinstance(subject, nn.Module):
        for base in type(subject).__mro__:
            if base in GRADIENTS or base in LAYERS:
                return GRADIENTS.get(base)
        return None
    if isinstance(subject, OpOverload):
        return GRADIENTS.get(operator_name(subject))
    try:
        return GRADIENTS.get(subject)
    except TypeError:  # not hashable
        return None


def function_rule(function: Callable[..., Any]) -> Rule | None:
    """The rule for a torch function, if it has one of its own."""
    try:
        return FUNCTIONS.get(function)
    except TypeError:  # not hashable
        return None


def operator_rule(operator: OpOverload) -> Rule | None:
    """The rule for an operator: in-place and out= variants share that of the plain one."""
    return OPERATORS.get(operator_name(operator))


def operator_name(operator: OpOverload | OpOverloadPacket) -> str:
    """``aten.add`` for ``aten::add.Tensor``, ``aten::add_.Tensor`` and ``aten::add.out`` alike."""
    qualified = operator._schema.name if isinstance(operator, OpOverload) else operator._qualified_op_name
    return _plain_name(qualified.replace("::", "."))


def _plain_name(name: str) -> str:
    return name[:-1] if name.endswith("_") and not name.endswith("__") else name


def _register(subject: Any, made: Rule, phase: Phase) -> None:
    table, key = _place(subject)
    if phase == "backward":
        table = GRADIENTS
    elif phase != "forward":
        raise RuleError(f"a rule is for the phase 'forward' or 'backward', not {phase!r}")
    if key in table:
        raise RuleError(
            f"{_label(subject)} already has a rule, {_origin(table[key])}; "
            "derive a class of your own from it, or change that rule"
        )
    table[key] = made
    if table is LAYERS:
        _FORWARDS[key] = key.forward


def _place(subject: Any) -> tuple[dict[Any, Rule], Any]:
    if isinstance(subject, type) and issubclass(subject, nn.Module):
        return LAYERS, subject
    if isinstance(subject, CustomOpDef):  # it is called through the operator that it defines
        subject = subject._opoverload
    if isinstance(subject, (OpOverload, OpOverloadPacket)):
        return OPERATORS, operator_name(subject)
    if isinstance(subject, str):
        if "." not in subject:
            raise RuleError(f"an operator is named with its namespace, as in 'aten.add', not {subject!r}")
        return OPERATORS, _plain_name(subject)
    if callable(subject) and not isinstance(subject, type):
        return FUNCTIONS, subject
    raise RuleError(f"a rule is for an nn.Module class, a function or an operator, not for {subject!r}")


def _label(subject: Any) -> str:
    return subject if isinstance(subject, str) else getattr(subject, "__qualname__", str(subject))


def _origin(made: Rule) -> str:
    if made.free:
        return "which says that it is free"
    code = inspect.unwrap(made.count).__code__
    return f"{made.count.__name__} ({code.co_filename}:{code.co_firstlineno})"


def _no_terms(subject: Any, call: Call) -> Iterable[Term]:
    return _NOTHING
