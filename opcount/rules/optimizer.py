"""Optimizers: which formula a parameter's step is, as far as the optimizer's documentation has an algorithm for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import optim

from opcount.errors import InputError
from opcount.ops import Term

NAMES: dict[str, tuple[type[optim.Optimizer], dict[str, Any]]] = {
    "sgd": (optim.SGD, {}),
    "momentum": (optim.SGD, {"momentum": 0.9}),
    "adam": (optim.Adam, {}),
    "adamw": (optim.AdamW, {"weight_decay": 1e-2}),
}
"""Optimizers that go by a name, with PyTorch's own hyperparameters; momentum is SGD's, of 0.9."""


def by_name(name: str) -> tuple[type[optim.Optimizer], dict[str, Any]]:
    """The class and hyperparameters of an optimizer.

    Raises:
        InputError: there is none of that name.
    """
    try:
        return NAMES[name.casefold()]
    except KeyError:
        raise InputError(
            f"there is no optimizer {name!r}; there are {', '.join(NAMES)}, and any torch.optim.Optimizer of this model"
        ) from None


def step_term(kind: type[optim.Optimizer], given: Mapping[str, Any], elements: int, dtype: str) -> Term | None:
    """One step of a parameter of so many elements; None for an optimizer whose algorithm is not known.

    Args:
        given: hyperparameters, those left out being 0.

    >>> str(step_term(optim.SGD, {"momentum": 0.9}, 10, "float32"))
    'stochastic_gradient_descent(count=10, momentum=True, dampening=False, nesterov=False, weight_decay=False)'
    """
    options: dict[str, Any] = {"dtype": dtype, "role": "step", "count": elements}
    decays = bool(given.get("weight_decay"))
    if kind is optim.SGD:
        flags: dict[str, Any] = {name: bool(given.get(name)) for name in ("momentum", "dampening", "nesterov")}
        return Term("stochastic_gradient_descent", **options, **flags, weight_decay=decays)
    if kind in (optim.Adam, optim.AdamW):
        return Term("adam", **options, weight_decay=decays, amsgrad=bool(given.get("amsgrad")))
    return None
