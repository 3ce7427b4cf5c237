"""Exactly how much arithmetic a PyTorch model costs: multiplications apart from additions, layer by layer.

>>> import opcount, torch
>>> opcount.profile(torch.nn.Conv2d(1, 6, 5, padding=2), (1, 1, 28, 28)).multiplications
117600
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opcount.auditing import Audit as Audit, audit as audit
    from opcount.comparison import Comparison as Comparison, compare as compare
    from opcount.errors import OpCountError as OpCountError
    from opcount.explaining import Explanation as Explanation
    from opcount.formulas import formula as formula
    from opcount.inputs import Input as Input
    from opcount.intensity import Roofline as Roofline, roofline as roofline
    from opcount.measuring import memory as memory, peak_activations as peak_activations
    from opcount.occupancy import Memory as Memory
    from opcount.ops import Convention as Convention, OpCount as OpCount, Term as Term
    from opcount.pricing import Energy as Energy, EnergyTable as EnergyTable, energy as energy
    from opcount.profiler import profile as profile
    from opcount.result import LayerRecord as LayerRecord, Profile as Profile
    from opcount.rules import rule as rule
    from opcount.scaling_laws import Scaling as Scaling, scaling as scaling

__version__ = "0.1.0"
_HOMES = dict(ops="Convention OpCount Term", errors="OpCountError", result="LayerRecord Profile", inputs="Input",
              profiler="profile", comparison="Comparison compare", auditing="Audit audit", explaining="Explanation",
              formulas="formula", rules="rule", scaling_laws="Scaling scaling", measuring="memory peak_activations",
              occupancy="Memory", pricing="Energy EnergyTable energy", intensity="Roofline roofline")  # fmt: skip
__all__ = ["Audit", "Comparison", "Convention", "Explanation", "Input", "LayerRecord", "OpCount", "OpCountError"]
__all__ += ["Energy", "EnergyTable", "Memory", "Roofline", "energy", "memory", "peak_activations", "roofline"]
__all__ += ["Profile", "Scaling", "Term", "audit", "compare", "formula", "profile", "rule", "scaling", "separable"]


def __getattr__(name: str) -> Any:
    """The public names, each imported when it is first asked for: ``opcount --help`` need not wait for torch."""
    for room, names in _HOMES.items():
        if name in names.split():
            return globals().setdefault(name, getattr(import_module(f"opcount.{room}"), name))
    if name == "separable":
        return import_module("opcount.separable")
    raise AttributeError(f"module 'opcount' has no attribute {name!r}")
