"""How the networks are trained: the study's own way as far as it can be known, and what the literature adds to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from lenet.errors import StudyError


@dataclass(frozen=True)
class Recipe:
    """Everything about training but the data, the seeds and how long.

    Attributes:
        activation, pooling, batch_norm: what :func:`lenet.models.build` takes.
        optimizer: ``adam`` (decoupled weight decay) or ``sgd`` (Nesterov momentum 0.9).
        lr: the learning rate, the highest one if there is a schedule.
        schedule: ``constant`` or ``one-cycle``, stepped every batch.
        weight_decay: on the weights of convolutions and linear layers, not on biases and norms.
        augmentation: ``none`` or ``affine``: small rotations, scalings and shifts.
        label_smoothing: the share of the target spread over all classes.
        distillation: the weight of the regular network's answers in the depthwise one's loss; 0 for none.
        temperature: what both networks' logits are divided by for it.
        epochs, batch_size: unless the user says otherwise.
    """

    name: str
    activation: str
    pooling: str
    batch_norm: bool
    optimizer: str
    lr: float
    schedule: str = "constant"
    weight_decay: float = 0.0
    augmentation: str = "none"
    label_smoothing: float = 0.0
    distillation: float = 0.0
    temperature: float = 1.0
    epochs: int = 15
    batch_size: int = 64

    def architecture(self) -> dict[str, str | bool]:
        """The keyword arguments :func:`lenet.models.build` takes."""
        return {"activation": self.activation, "pooling": self.pooling, "batch_norm": self.batch_norm}


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("original", activation="tanh", pooling="average", batch_norm=False, optimizer="adam", lr=0.001),
        Recipe(
            "modern",
            activation="silu",
            pooling="average",
            batch_norm=True,
            optimizer="adam",
            lr=0.01,
            schedule="one-cycle",
            augmentation="affine",
            distillation=0.5,
            temperature=4.0,
            epochs=20,
            batch_size=128,
        ),
    )
}
"""``original`` is LeNet-5's own layers, trained by a reconstruction: the study names no optimizer and no rate."""


def recipe_of(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        StudyError: there is none.

    >>> recipe_of("original").activation
    'tanh'
    """
    if name not in RECIPES:
        raise StudyError(f"there is no recipe {name!r}; there are {', '.join(RECIPES)}")
    return RECIPES[name]


def optimizer_of(
    name: str, model: nn.Module, lr: float, weight_decay: float = 0.0, fused: bool = False
) -> torch.optim.Optimizer:
    """The optimizer of that name for a model's parameters.

    Args:
        name: as in :class:`Recipe`.
        model: whose parameters; weights alone decay, not biases and norms.
        lr, weight_decay: as in :class:`Recipe`.
        fused: one kernel for all parameters, where the device has it.

    Raises:
        StudyError: there is no such optimizer.

    >>> optimizer_of("sgd", nn.Linear(2, 1), lr=0.1).defaults["nesterov"]
    True
    """
    groups: list[dict[str, Any]] = [{"params": list(model.parameters()), "weight_decay": 0.0}]
    if weight_decay:
        weights = [parameter for parameter in model.parameters() if parameter.dim() > 1]
        groups[0]["params"] = [parameter for parameter in model.parameters() if parameter.dim() <= 1]
        groups.append({"params": weights, "weight_decay": weight_decay})
    if name == "adam":
        return torch.optim.AdamW(groups, lr=lr, fused=fused)
    if name == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=0.9, nesterov=True, fused=fused)
    raise StudyError(f"there is no optimizer {name!r}; there are adam, sgd")
