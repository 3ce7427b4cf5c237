"""A mixture of experts: which of its parameters work on a token, and which wait.

What is counted is what a token goes through: each of its chosen experts once. So the routing decides which experts
work, but not how much is computed: the tokens of all experts together are tokens times experts chosen.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from opcount.result import LayerRecord, Profile


@dataclass(frozen=True)
class Experts:
    """The parameters of a model with experts.

    Attributes:
        total: all of its parameters.
        active: those that one token meets: all but those of the experts that are not chosen for it.
        chosen: for each kind of layer of experts, how many of how many a token goes to.

    >>> str(Experts(total=46_702_792_704, active=12_879_925_248, chosen=((2, 8),)))
    '12,879,925,248 of 46,702,792,704 parameters active for a token (2 of 8 experts)'
    """

    total: int
    active: int
    chosen: tuple[tuple[int, int], ...]

    def __str__(self) -> str:
        kinds = ", ".join(f"{some} of {many}" for some, many in self.chosen)
        return f"{self.active:,} of {self.total:,} parameters active for a token ({kinds} experts)"


def experts(model: nn.Module, profile: Profile) -> Experts | None:
    """Active and total parameters of a model whose experts' weights are stacked, as transformers has them.

    Args:
        model: what was counted.
        profile: its profile, which tells how many experts each token was sent to.

    Returns:
        None where the model has no such experts.
    """
    waiting, chosen = 0, []
    for record in profile.layers:
        module = model.get_submodule(record.path) if record.type.endswith("Experts") else None
        stacked = [weight for weight in module.parameters(recurse=False) if weight.dim() >= 2] if module else []
        some, many = _sent_to(record), stacked[0].shape[0] if stacked else 0
        if not stacked or not 0 < some < many or any(weight.shape[0] != many for weight in stacked):
            continue
        waiting += sum(weight.numel() // many * (many - some) for weight in stacked)
        chosen.append((some, many))
    if not chosen:
        return None
    return Experts(profile.params, profile.params - waiting, tuple(dict.fromkeys(chosen)))


def _sent_to(record: LayerRecord) -> int:
    """How many experts a token was sent to: the width of the indices that came beside the tokens."""
    shapes = record.input_shapes
    return shapes[1][-1] if len(shapes) >= 3 and len(shapes[1]) == 2 and shapes[1] == shapes[2] else 0
