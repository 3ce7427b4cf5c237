"""What forward does with its layers: sharing, loops, recursion, branches, and calls that no hook sees."""

from __future__ import annotations

import warnings
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from benchmarks.gauntlet.case import Built, Family, module, weight

family = Family("flow")


def square(width: int) -> nn.Linear:
    """A linear layer that keeps the width, without a bias."""
    return nn.Linear(width, width, bias=False)


@family.case("forward called directly: hooks do not fire", macs=10 * 10, additions=10 * (10 - 1))
def child_forward() -> Built:
    def forward(self: Any, x: Tensor) -> Tensor:
        result: Tensor = self.layer.forward(x)
        return result

    return Built(module(forward, layer=square(10)), (torch.randn(1, 10),))


class Parent(nn.Module):
    """Holds a layer that other parents hold too."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Call the layer once."""
        result: Tensor = self.layer(x)
        return result


@family.case(
    "one layer under three parents, each calling it once",
    macs=3 * 100 * 100,
    additions=3 * 100 * (100 - 1),
)
def shared_by_three_parents() -> Built:
    layer = square(100)
    return Built(nn.Sequential(Parent(layer), Parent(layer), Parent(layer)), (torch.randn(1, 100),))


@family.case("one layer twice in a Sequential", macs=2 * 10 * 10, additions=2 * 10 * (10 - 1))
def shared_in_sequence() -> Built:
    layer = square(10)
    return Built(nn.Sequential(layer, layer), (torch.randn(1, 10),))


@family.case(
    "two layers in a plain Python list, unknown to the model, and a registered one",
    macs=3 * 10 * 10,
    additions=3 * 10 * (10 - 1),
)
def layers_in_python_list() -> Built:
    def forward(self: Any, x: Tensor) -> Tensor:
        for layer in self.hidden:
            x = layer(x)
        result: Tensor = self.out(x)
        return result

    return Built(module(forward, hidden=[square(10), square(10)], out=square(10)), (torch.randn(1, 10),))


@family.case("a result that nobody uses was computed all the same", macs=2 * 10 * 10, additions=2 * 10 * (10 - 1))
def dead_code() -> Built:
    def forward(self: Any, x: Tensor) -> Tensor:
        self.unused(x)
        result: Tensor = self.layer(x)
        return result

    return Built(module(forward, unused=square(10), layer=square(10)), (torch.randn(1, 10),))


@family.case(
    "a loop over the batch of which only the last result is returned",
    macs=3 * 10 * 10,
    additions=3 * 10 * (10 - 1),
)
def loop_last_result() -> Built:
    def forward(self: Any, x: Tensor) -> Tensor:
        for row in x.chunk(3):
            result: Tensor = self.layer(row)
        return result

    return Built(module(forward, layer=square(10)), (torch.randn(3, 10),))


@family.case("a model that calls itself", macs=3 * 2 * 6 * 6, additions=3 * 2 * 6 * (6 - 1))
def recursion() -> Built:
    def forward(self: Any, x: Tensor, depth: int = 3) -> Tensor:
        if depth == 0:
            return x
        result: Tensor = self(self.layer(x), depth - 1)
        return result

    return Built(module(forward, layer=square(6)), (torch.randn(2, 6),))


# The sum of 2·6 ones is 11 additions and its test one comparison; the branch taken is the wider one.
@family.case(
    "a branch that only the values decide",
    macs=2 * 8 * 6,
    additions=2 * 8 * (6 - 1) + (2 * 6 - 1),
    comparisons=1,
)
def data_dependent_branch() -> Built:
    def forward(self: Any, x: Tensor) -> Tensor:
        layer = self.positive if x.sum() > 0 else self.negative
        result: Tensor = layer(x)
        return result

    model = module(forward, positive=nn.Linear(6, 8, bias=False), negative=nn.Linear(6, 4, bias=False))
    return Built(model, (torch.ones(2, 6),))


@family.case(
    "a forward put on the instance: the layer's type says nothing about it",
    macs=2 * 10 * 10,
    additions=2 * 10 * (10 - 1) + 10,
)
def instance_forward() -> Built:
    def forward(self: Any, x: Tensor) -> Tensor:
        return F.linear(x, self.weight) + F.linear(x, self.weight.T)

    layer = square(10)
    layer.forward = MethodType(forward, layer)  # type: ignore[method-assign]
    return Built(nn.Sequential(layer), (torch.randn(1, 10),))


# The first call mixes the 6x5 table with a 5x4 matrix; every call multiplies 2 rows of 6 by the result.
@family.case(
    "forward computes a table once and keeps it: a warm-up run would hide it",
    macs=6 * 4 * 5 + 2 * 4 * 6,
    additions=6 * 4 * (5 - 1) + 2 * 4 * (6 - 1),
)
def cached_in_forward() -> Built:
    def forward(self: Any, x: Tensor) -> Tensor:
        if self.cache is None:
            self.cache = self.table @ self.mix
        result: Tensor = x @ self.cache
        return result

    return Built(module(forward, cache=None, table=weight(6, 5), mix=weight(5, 4)), (torch.randn(2, 6),))


@family.case(
    "a model without parameters or layers, of two inputs",
    macs=2 * 5 * 12,
    additions=2 * 5 * (12 - 1),
    bare=True,
)
def no_parameters() -> Built:
    def forward(_: Any, x: Tensor, y: Tensor) -> Tensor:
        return x.flatten(1) @ y.flatten(1).T

    return Built(module(forward), (torch.randn(2, 3, 4), torch.randn(5, 3, 4)))


# The checkpointed block is two layers with a ReLU between them.
@family.case(
    "activation checkpointing runs the block once in forward",
    macs=2 * 8 * 6 + 2 * 6 * 8,
    additions=2 * 8 * (6 - 1) + 2 * 6 * (8 - 1),
    comparisons=2 * 8,
)
def checkpointed() -> Built:
    def forward(self: Any, x: Tensor) -> Tensor:
        result: Tensor = checkpoint(self.block, x, use_reentrant=False)
        return result

    block = nn.Sequential(nn.Linear(6, 8, bias=False), nn.ReLU(), nn.Linear(8, 6, bias=False))
    return Built(module(forward, block=block), (torch.randn(2, 6),))


@family.case(
    "an ensemble through functional_call: one layer, other weights",
    macs=2 * 3 * 10 * 10,
    additions=2 * 3 * 10 * (10 - 1),
)
def functional_call() -> Built:
    def forward(self: Any, x: Tensor) -> list[Tensor]:
        return [torch.func.functional_call(self.layer, {"weight": w}, (x,)) for w in self.ensemble]

    return Built(module(forward, layer=square(10), ensemble=weight(2, 10, 10)), (torch.randn(3, 10),))


@family.case("a vector function mapped over the batch by vmap", macs=5 * 3 * 4, additions=5 * 3 * (4 - 1))
def vmapped() -> Built:
    def forward(self: Any, x: Tensor) -> Tensor:
        result: Tensor = torch.vmap(torch.mv, in_dims=(None, 0))(self.w, x)
        return result

    return Built(module(forward, w=weight(3, 4)), (torch.randn(5, 4),))


class Project(torch.autograd.Function):
    """A matrix product as an autograd function of the user's own."""

    @staticmethod
    def forward(_ctx: Any, x: Tensor, w: Tensor) -> Tensor:
        """Multiply."""
        return x @ w

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Never called here."""
        raise NotImplementedError


@family.case("an autograd.Function of the user's own", macs=3 * 5 * 4, additions=3 * 5 * (4 - 1))
def custom_autograd_function() -> Built:
    def forward(self: Any, x: Tensor) -> Any:
        return Project.apply(x, self.w)

    return Built(module(forward, w=weight(4, 5)), (torch.randn(3, 4),))


# The layer has 2·8 outputs; the hook multiplies them by an 8x5 matrix.
@family.case(
    "a forward hook of the user's that computes",
    macs=2 * 8 * 6 + 2 * 5 * 8,
    additions=2 * 8 * (6 - 1) + 2 * 5 * (8 - 1),
)
def computing_hook() -> Built:
    layer = nn.Linear(6, 8, bias=False)
    adapter = weight(8, 5)
    layer.register_forward_hook(lambda _module, _args, output: output @ adapter)
    return Built(nn.Sequential(layer), (torch.randn(2, 6),))


@family.case("a layer compiled to TorchScript takes no hooks", macs=2 * 8 * 6, additions=2 * 8 * (6 - 1))
def scripted_child() -> Built:
    with warnings.catch_warnings():  # TorchScript is deprecated, and still out there
        warnings.simplefilter("ignore")
        layer = torch.jit.script(nn.Linear(6, 8, bias=False))
    return Built(nn.Sequential(layer), (torch.randn(2, 6),))
