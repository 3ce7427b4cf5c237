"""Which function answers for which layer, function or operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from torch import nn

from opcount.errors import RuleError
from opcount.ops import Call, Tree
from opcount.rules.registry import LAYERS

Answer: TypeAlias = Callable[[Any, Call], Tree]
"""``(subject, call) -> specs``: what a call returns, from what it is given; None where it had better run."""

ANSWERS: dict[Any, Answer] = {}


def answer(*subjects: Any) -> Callable[[Answer], Answer]:
    """Tie an answering function to layer classes, functions, or operators by name (``"aten.add"``).

    Raises:
        RuleError: a subject has an answer already.
    """

    def tie(function: Answer) -> Answer:
        for subject in subjects:
            if subject in ANSWERS:
                raise RuleError(f"{subject} already has an answer, {ANSWERS[subject].__name__}")
            ANSWERS[subject] = function
        return function

    return tie


def layer_answer(kind: type[nn.Module]) -> Answer | None:
    """What answers for layers of a class that runs the forward of the class its rule was written for."""
    for base in kind.__mro__:
        if base in LAYERS:
            return ANSWERS.get(base)
    return None
