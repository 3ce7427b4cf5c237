"""What PyTorch's operators mean: the rules for what no layer and no function owns, and the list of what is free."""

from opcount.rules.operators import (
    attention,
    contraction,
    elementwise,
    embedding,
    free,
    loss,
    neural,
    reduction,
    resampling,
    vision,
)

__all__ = [
    "attention",
    "contraction",
    "elementwise",
    "embedding",
    "free",
    "loss",
    "neural",
    "reduction",
    "resampling",
    "vision",
]
