"""Exactly how much arithmetic a PyTorch model costs: multiplications apart from additions, layer by layer.

>>> import opcount, torch
>>> opcount.profile(torch.nn.Conv2d(1, 6, 5, padding=2), (1, 1, 28, 28)).multiplications
117600
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
_HOMES = dict(ops="Convention OpCount Term", errors="OpCountError", result="LayerRecord Profile", inputs="Input",
              profiler="profile", comparison="Comparison compare", auditing="Audit audit", explaining="Explanation",
              formulas="formula", rules="rule", scaling_laws="Scaling scaling", measuring="memory peak_activations",
              occupancy="Memory", pricing="Energy EnergyTable energy", intensity="Roofline roofline",
              reconciling="Reconciliation reconcile", tallying="Tally tallied tally", utilization="mfu",
              runs="WholeRun whole_run", metering="Meter meter", zeros="Sparsity sparsity",
              sweeping="sweep")  # fmt: skip
__all__ = sorted(["separable", *" ".join(_HOMES.values()).split()])


def __getattr__(name: str) -> Any:
    """The public names, each imported when it is first asked for: ``opcount --help`` need not wait for torch."""
    for room, names in _HOMES.items():
        if name in names.split():
            return globals().setdefault(name, getattr(home := import_module(f"opcount.{room}"), name, home))
    raise AttributeError(f"module 'opcount' has no attribute {name!r}")
