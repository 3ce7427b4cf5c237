"""Exactly how much arithmetic a PyTorch model costs: multiplications apart from additions, layer by layer.

>>> from torch import nn
>>> from opcount import profile
>>> profile(nn.Conv2d(1, 6, 5, padding=2), (1, 1, 28, 28)).multiplications
117600
"""

from opcount.audit import Audit, audit
from opcount.errors import OpCountError
from opcount.formulas import formula
from opcount.inputs import Input
from opcount.ops import Convention, OpCount, Term
from opcount.profiler import profile
from opcount.result import LayerRecord, Profile
from opcount.rules import rule

__version__ = "0.1.0"

__all__ = [
    "Audit",
    "Convention",
    "Input",
    "LayerRecord",
    "OpCount",
    "OpCountError",
    "Profile",
    "Term",
    "audit",
    "formula",
    "profile",
    "rule",
]
