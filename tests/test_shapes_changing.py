"""Forwards that change their own layers while they are counted by shapes: what layers share must not show."""

from __future__ import annotations

import copy
import gc
import inspect
import weakref
from typing import Any

import pytest
import torch
from torch import nn

from opcount import profile


class Changing(nn.Module):
    """Two layers that look alike, with something done to the first between two calls of both."""

    def __init__(self, change: Any) -> None:
        super().__init__()
        self.change = change
        self.one, self.two = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.two(self.one(x)))
        self.change(self)
        return self.two(self.one(x))


def doubled(module: nn.Module, args: Any, output: torch.Tensor) -> torch.Tensor:
    """A hook that does a multiplication for each element."""
    return output * 2


def hook(model: Any) -> None:
    """Hook the first layer."""
    model.one.register_forward_hook(doubled)


def hook_for_a_while(model: Any) -> None:
    """Hook the first layer, call the second, and unhook it."""
    handle = model.one.register_forward_hook(doubled)
    model.two(torch.zeros(1, 3, 4, 4))
    handle.remove()


def hook_whatever_comes(model: Any) -> None:
    """Hook the first layer, and let nobody know if that fails."""
    try:
        model.one.register_forward_hook(doubled)
    except Exception:
        return


def keep(model: Any) -> None:
    """Give the first layer a buffer that is not saved."""
    model.one.register_buffer("kept", torch.zeros(3), persistent=False)


def parameter(model: Any) -> None:
    """Give the first layer's neighbour a parameter, where there is none yet."""
    model.act.register_parameter("kept", nn.Parameter(torch.zeros(3)))


def child(model: Any) -> None:
    """Give a layer a layer."""
    model.act.add_module("kept", nn.ReLU())
    model.act.kept(torch.zeros(2, 3))


def names(model: Any) -> None:
    """Look at tables that are empty, and take copies of them."""
    act = copy.deepcopy(model.act)
    assert [*act.named_parameters(), *act.named_buffers(), *act.children()] == []
    act.register_buffer("kept", torch.zeros(3))
    assert [name for name, _ in act.named_buffers()] == ["kept"]
    assert model.act._modules.copy() == copy.copy(model.act._parameters) == {}


def stride(model: Any) -> None:
    """Let the first layer step further."""
    model.one.stride = (2, 2)


def stride_of_a_copy(model: Any) -> None:
    """Put a copy of the first layer in its place, which steps further."""
    model.one = copy.deepcopy(model.one)
    model.one.stride = (2, 2)
    model.one.register_forward_hook(doubled)


def widen(model: Any) -> None:
    """Give the first layer another weight."""
    model.one.weight = nn.Parameter(torch.zeros(3, 3, 5, 5))


CHANGES = (
    *(hook, hook_for_a_while, hook_whatever_comes, keep, parameter, child, names, stride, stride_of_a_copy, widen),
)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_forward_that_changes_a_layer_counts_as_it_runs(change: Any) -> None:
    model = Changing(change).eval()
    before = {path: dict(module.__dict__) for path, module in model.named_modules()}
    by_shapes, real = (profile(model, (1, 3, 8, 8), execution=how) for how in ("shapes", "real"))
    assert by_shapes.layers == real.layers
    for path, module in model.named_modules():
        assert module.__dict__ == before[path]
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_a_layer_given_another_forward_costs_what_that_does() -> None:
    def replace(model: Any) -> None:
        model.one.forward = lambda x: x + x

    by_shapes, real = (profile(Changing(replace), (1, 3, 8, 8), execution=how) for how in ("shapes", "real"))
    assert by_shapes.ops == real.ops
    assert by_shapes.additions == 3 * 64 * 3 * 27 + 3 * 64  # three convolutions with bias, one addition


class Block(nn.Module):
    """A block that a model may give another forward."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4, bias=False)

    def forward(self, x: torch.Tensor, *, twice: bool = False) -> torch.Tensor:
        x = self.inner(x)
        return self.inner(x) if twice else x

    def thrice(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(self.inner(self.inner(x))) + 1


class Around(nn.Module):
    """A block that is called, with something done to it before."""

    def __init__(self, change: Any) -> None:
        super().__init__()
        self.change, self.block = change, Block()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.change(self)
        return self.block(self.block(x))


def test_a_block_given_another_forward_has_the_rows_of_that() -> None:
    def replace(model: Any) -> None:
        model.block.forward = model.block.thrice

    by_shapes, real = (profile(Around(replace).eval(), (2, 4), execution=how) for how in ("shapes", "real"))
    assert by_shapes.layers == real.layers
    assert by_shapes["block"].calls == 2
    assert by_shapes["block"].ops.additions == 2 * 2 * 4
    assert by_shapes.macs == 6 * 2 * 4 * 4


def look(model: Any) -> None:
    """Look at a block's forward, and run it without calling the block."""
    forward = model.block.forward
    assert list(inspect.signature(forward).parameters) == ["x", "twice"]
    assert forward.__name__ == "forward"
    assert forward.__self__ is model.block
    assert forward(torch.zeros(2, 4), twice=True).shape == (2, 4)


def test_a_forward_is_what_it_is_to_those_that_look_at_it() -> None:
    counted = profile(Around(look).eval(), (2, 4), execution="shapes")
    assert (counted["block"].calls, counted["block.inner"].calls) == (2, 4)


def test_a_block_that_is_copied_within_the_forward_counts() -> None:
    def twin(model: Any) -> None:
        model.block = copy.deepcopy(model.block)

    counted = profile(Around(twin).eval(), (2, 4), execution="shapes")
    assert counted.macs == 2 * 2 * 4 * 4
    assert counted["block"].calls == 2


def test_a_layer_with_a_helper_of_its_own_is_not_like_the_others() -> None:
    model = nn.Sequential(*(nn.Conv2d(3, 3, 3, padding=1, bias=False) for _ in range(2)))
    model[1]._conv_forward = lambda x, weight, bias: x + x  # type: ignore[assignment]
    counted = profile(model.eval(), (1, 3, 8, 8), execution="shapes")
    assert counted["0"].ops.macs == 3 * 64 * 27
    assert (counted["1"].ops.macs, counted["1"].ops.additions) == (0, 3 * 64)


def test_nothing_of_a_clone_waits_for_the_garbage_collector() -> None:
    born: list[weakref.ref[Any]] = []

    class Born(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.BatchNorm1d(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            born.extend(weakref.ref(module) for module in self.modules())
            return self.layers(x)  # type: ignore[no-any-return]

    model = Born().eval()
    gc.disable()
    try:
        profile(model, (2, 3))
        gc.disable()
        assert len(born) == 5
        assert all(each() is None for each in born)
    finally:
        gc.enable()


@pytest.mark.parametrize("grad", [False, True])
def test_a_parameter_given_data_of_another_shape_is_run(grad: bool) -> None:
    def grow(model: Any) -> None:
        with torch.set_grad_enabled(grad):
            model.one.weight.data = torch.zeros(3, 3, 5, 5)

    counted = profile(Changing(grow).eval(), (1, 3, 8, 8))
    assert counted.execution == "real"
    assert "data of another shape" in counted.execution_reason
    before, after = 2 * 3 * 64 * 27, 3 * 36 * 75 + 3 * 36 * 27  # five taps instead of three leave 6 x 6
    assert counted.multiplications == before + after


def test_a_parameter_given_data_of_its_own_shape_is_not() -> None:
    def renew(model: Any) -> None:
        model.one.weight.data = model.one.weight.data * 2

    by_shapes, real = (profile(Changing(renew), (1, 3, 8, 8), execution=how) for how in ("shapes", "real"))
    assert by_shapes.layers == real.layers


class Keeping(nn.Module):
    """An identity, whose tensor is the very one that it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.same, self.weight = nn.Identity(), nn.Parameter(torch.randn(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, pair, whole = self.same(x), self.same((x, x)), self.same(torch.arange(4, device=x.device))
        y.unsqueeze_(0)
        assert y is x
        assert pair[0] is x
        return x[0] * self.same(self.weight) + whole + self.same(input=x)[0]  # type: ignore[no-any-return]


class Viewing(nn.Module):
    """Views of a parameter, of which a gradient could be asked, and calls that change nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 2).t())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale, column = self.weight.t()[0], self.weight.reshape(4, 2)
        assert scale.requires_grad
        past = torch.tensor([], dtype=x.dtype, device=x.device)
        x = torch.cat((past, x.contiguous().to(x.dtype).float()), dim=-1)
        if x.contiguous() is not x:
            x = x + 1
        return (x.double() @ column.double()) * scale.to(torch.float64)


@pytest.mark.parametrize("build", [Keeping, Viewing])
def test_what_is_given_back_or_looked_at_counts_as_it_runs(build: Any) -> None:
    model = build()
    real = profile(model, (3, 4), execution="real")
    for _ in range(3):
        counted = profile(model, (3, 4), execution="shapes")
        assert counted.ops == real.ops
        assert [(row.path, row.sites, row.ops) for row in counted] == [(row.path, row.sites, row.ops) for row in real]


class Retyping(nn.Module):
    """Makes tensors of the default type, which it changes in between."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        before = torch.zeros(3, device=x.device)
        kept = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            after = torch.zeros(3, device=x.device)
        finally:
            torch.set_default_dtype(kept)
        assert (before.dtype, after.dtype) == (torch.float32, torch.float64)
        return x + before * after


def test_a_default_type_may_change_in_a_forward() -> None:
    by_shapes, real = (profile(Retyping(), (2, 3), execution=how) for how in ("shapes", "real"))
    assert by_shapes.layers == real.layers
