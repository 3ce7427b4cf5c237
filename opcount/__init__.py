"""Exactly how much arithmetic a PyTorch model costs: multiplications apart from additions, layer by layer.

>>> from torch import nn
>>> from opcount import profile
>>> profile(nn.Conv2d(1, 6, 5, padding=2), (1, 1, 28, 28)).multiplications
117600
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opcount.auditing import Audit as Audit, audit as audit
    from opcount.comparison import Comparison as Comparison, compare as compare
    from opcount.errors import OpCountError as OpCountError
    from opcount.formulas import formula as formula
    from opcount.inputs import Input as Input
    from opcount.ops import Convention as Convention, OpCount as OpCount, Term as Term
    from opcount.profiler import profile as profile
    from opcount.result import LayerRecord as LayerRecord, Profile as Profile
    from opcount.rules import rule as rule

__version__ = "0.1.0"

_ROOMS = ("errors", "ops", "result", "formulas", "rules", "inputs", "profiler", "comparison", "auditing")
__all__ = ["Audit", "Comparison", "Convention", "Input", "LayerRecord", "OpCount", "OpCountError", "Profile", "Term"]
__all__ += ["audit", "compare", "formula", "profile", "rule"]


def __getattr__(name: str) -> Any:
    """The public names, each imported when it is first asked for: ``opcount --help`` need not wait for torch."""
    if name in __all__:
        for room in _ROOMS:
            if name in vars(module := import_module(f"opcount.{room}")):
                return globals().setdefault(name, vars(module)[name])
    raise AttributeError(f"module 'opcount' has no attribute {name!r}")
