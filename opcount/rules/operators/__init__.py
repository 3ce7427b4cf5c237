"""What PyTorch's operators mean that no layer's family speaks for, and the list of those that are free."""

from opcount.rules.operators import (
    backward,
    contraction,
    elementwise,
    free,
    lists,
    placement,
    quantization,
    reduction,
    vision,
)

__all__ = [
    "backward",
    "contraction",
    "elementwise",
    "free",
    "lists",
    "placement",
    "quantization",
    "reduction",
    "vision",
]
