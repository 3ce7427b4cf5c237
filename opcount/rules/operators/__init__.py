"""What PyTorch's operators mean that no layer's family speaks for, and the list of those that are free."""

from opcount.rules.operators import contraction, elementwise, free, placement, quantization, reduction, vision

__all__ = ["contraction", "elementwise", "free", "placement", "quantization", "reduction", "vision"]
