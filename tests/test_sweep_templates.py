"""Layers copied from templates are what PyTorch would have built, and nobody else's."""

from __future__ import annotations

import gc
import re
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import nn
from torch.nn.modules import module as registering

from opcount import Convention
from opcount.sweeping.builder import Builder
from opcount.sweeping.templates import LARGEST, layers_from_templates, stock_layers, templates_used
from opcount.sweeping.unfilled import weights_unfilled
from opcount.sweeping.work import Task, count_point, count_quickly
from tests import layers

pytestmark = pytest.mark.filterwarnings("ignore")

TENSORS = ("_parameters", "_buffers")


@pytest.fixture(scope="module", autouse=True)
def templates() -> Iterator[None]:
    """PyTorch's classes are put back."""
    before = {kind: vars(kind).get("__init__") for kind in stock_layers()}
    layers_from_templates()
    yield
    for kind, init in before.items():
        if init is None:
            del kind.__init__
        else:
            kind.__init__ = init


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[type]:
    """The classes of the layers that PyTorch itself builds, in order."""
    seen: list[type] = []
    plain: Any = nn.Module.__init__

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        seen.append(type(self))
        plain(self, *args, **kwargs)

    monkeypatch.setattr(nn.Module, "__init__", init)
    return seen


def quickly(make: Callable[[], Any]) -> Any:
    with weights_unfilled(), templates_used():
        return make()


def described(layer: nn.Module, *, values: bool) -> dict[str, Any]:
    """All that there is to a layer, with the values of its tensors or without."""
    found: dict[str, Any] = {}
    for name, value in vars(layer).items():
        if name in TENSORS:
            value = {
                each: tensor if tensor is None else (*looks(tensor), tensor.tolist() if values else None)
                for each, tensor in value.items()
            }
        elif isinstance(value, nn.Module) or name == "_modules":
            continue
        elif name == "_flat_weights":
            value = [looks(item) for item in value]
        elif "_hooks" in name:
            value = list(value.values())  # their numbers go up
        found[name] = (type(value), re.sub(" at 0x[0-9a-f]+", "", repr(value)))
    return found


def looks(tensor: Any) -> Any:
    if isinstance(tensor, nn.parameter.UninitializedTensorMixin):
        return (type(tensor),)
    return type(tensor), tensor.shape, tensor.stride(), tensor.dtype, tensor.device, tensor.requires_grad


@pytest.mark.parametrize("name", sorted(layers.EXAMPLES))
def test_every_layer_of_pytorch_is_as_pytorch_builds_it(name: str) -> None:
    make = lambda: layers.EXAMPLES[name]()[0]  # noqa: E731
    plain = make()
    for _ in range(3):
        quick = quickly(make)
        assert list(vars(quick)) == list(vars(plain))
        for one, other in zip(plain.modules(), quick.modules(), strict=True):
            assert type(one) is type(other)
            assert described(one, values=False) == described(other, values=False)


@pytest.mark.parametrize(
    ("make", "constant"),
    [
        (lambda: nn.BatchNorm2d(8), ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]),
        (lambda: nn.BatchNorm1d(8, affine=False), ["running_mean", "running_var", "num_batches_tracked"]),
        (lambda: nn.LayerNorm((4, 2)), ["weight", "bias"]),
        (lambda: nn.GroupNorm(2, 8), ["weight", "bias"]),
        (lambda: nn.PReLU(4, 0.125), ["weight"]),
        (lambda: nn.InstanceNorm2d(3, affine=True), ["weight", "bias"]),
    ],
)
def test_values_that_are_not_drawn_are_there(make: Callable[[], nn.Module], constant: list[str]) -> None:
    plain = make().state_dict()
    assert list(plain) == constant
    for _ in range(3):
        quick = quickly(make).state_dict()
        assert all(torch.equal(plain[name], quick[name]) for name in constant)


def test_a_layer_is_built_once_for_the_same_arguments(built: list[type]) -> None:
    make = lambda: [nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(inplace=True)]  # noqa: E731
    first = quickly(make)
    assert built == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
    second = quickly(make)
    assert len(built) == 3
    third = make()  # and outside as ever, with weights
    assert len(built) == 6
    assert third[0].weight.std() > 0
    for one, other in zip(first, second):
        assert one is not other
        assert all(a is not b for a, b in zip(one.parameters(), other.parameters()))


def test_copies_share_nothing_that_can_change() -> None:
    make = lambda: nn.BatchNorm2d(4)  # noqa: E731
    first, second, third = (quickly(make) for _ in range(3))
    with torch.no_grad():
        second.weight.fill_(7)
        second.running_mean.fill_(7)
    second.register_forward_hook(lambda *args: None)
    second.register_buffer("more", torch.ones(1), persistent=False)
    second.add_module("child", nn.Identity())
    second.bias = None
    for layer in (first, third, quickly(make)):
        assert described(layer, values=True) == described(nn.BatchNorm2d(4), values=True)
    convolutions = [quickly(lambda: nn.Conv2d(2, 2, 3, padding="same")) for _ in range(2)]
    convolutions[0]._reversed_padding_repeated_twice.append(1)
    assert convolutions[1]._reversed_padding_repeated_twice == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda: nn.Dropout(0.0), lambda: nn.Dropout(-0.0)),
        (lambda: nn.Dropout(1), lambda: nn.Dropout(1.0)),
        (lambda: nn.Linear(2, 3, bias=1), lambda: nn.Linear(2, 3, bias=True)),
        (lambda: nn.Conv2d(2, 2, (3, 3)), lambda: nn.Conv2d(2, 2, 3)),
        (lambda: nn.Conv1d(2, 2, 3), lambda: nn.Conv1d(2, 2, 3, 1)),
        (lambda: nn.Linear(2, 3), lambda: nn.Linear(2, 3, dtype=torch.float64)),
        (lambda: nn.Linear(2, 3), lambda: nn.Linear(2, 3, device="meta")),
        (lambda: nn.BatchNorm2d(3), lambda: nn.SyncBatchNorm(3)),
        (lambda: nn.Hardtanh(0, 6), lambda: nn.ReLU6()),
    ],
)
def test_arguments_that_are_equal_but_not_the_same_are_told_apart(
    one: Callable[[], nn.Module], other: Callable[[], nn.Module]
) -> None:
    for make in (one, other, one, other):
        plain, quick = make(), quickly(make)
        assert type(plain) is type(quick)
        assert described(plain, values=False) == described(quick, values=False)


@settings(max_examples=60, deadline=None)
@given(
    channels=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    kernel=st.one_of(st.integers(1, 4), st.tuples(st.integers(1, 4), st.integers(1, 4))),
    padding=st.one_of(st.integers(0, 3), st.sampled_from(["valid", "same"])),
    mode=st.sampled_from(["zeros", "circular", "reflect"]),
    bias=st.booleans(),
    groups=st.booleans(),
)
def test_any_convolution(channels: tuple[int, int], kernel: Any, padding: Any, mode: str, bias: bool, groups: bool):
    first, second = channels
    options = {"padding": padding, "padding_mode": mode, "bias": bias, "groups": first if groups else 1}
    make = lambda: nn.Conv2d(first, first * second, kernel, **options)  # noqa: E731
    assert described(make(), values=False) == described(quickly(make), values=False)


def test_what_has_a_say_in_how_layers_are_made_has_it(built: list[type]) -> None:
    make = lambda: nn.Linear(3, 5)  # noqa: E731
    for _ in range(2):
        quickly(make)
    assert len(built) == 1
    with torch.device("meta"):
        assert quickly(make).weight.is_meta
    with torch.inference_mode():
        assert quickly(make).weight.is_inference()
    torch.set_default_dtype(torch.float64)
    try:
        assert quickly(make).weight.dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    named: list[str] = []
    handle = registering.register_module_parameter_registration_hook(lambda module, name, value: named.append(name))
    try:
        quickly(make)
    finally:
        handle.remove()
    assert named == ["weight", "bias"]
    assert not quickly(make).weight.is_meta


def test_patched_registration_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        quickly(lambda: nn.Linear(3, 7))
    plain = nn.Module.register_parameter

    def on_meta(self: Any, name: str, parameter: Any) -> None:
        plain(self, name, None if parameter is None else nn.Parameter(parameter.to("meta")))

    monkeypatch.setattr(nn.Module, "register_parameter", on_meta)
    assert all(quickly(lambda: nn.Linear(3, 7)).weight.is_meta for _ in range(2))


def test_a_patched_class_is_built_by_its_patch(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        quickly(lambda: nn.Linear(3, 9))
    monkeypatch.setattr(nn.Linear, "reset_parameters", lambda self: setattr(self, "mine", True))
    assert all(quickly(lambda: nn.Linear(3, 9)).mine for _ in range(2))
    monkeypatch.undo()
    assert not hasattr(quickly(lambda: nn.Linear(3, 9)), "mine")


class Own(nn.Linear):
    """A layer of a user's, which does more than the one it inherits from."""

    made = 0

    def reset_parameters(self) -> None:
        type(self).made += 1


def test_a_class_of_ones_own_is_built_as_always() -> None:
    for _ in range(3):
        quickly(lambda: Own(2, 2))
    assert Own.made == 3


def test_what_cannot_be_built_is_refused_as_always() -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="divisible"):
            quickly(lambda: nn.Conv2d(3, 4, 1, groups=2))
        with pytest.raises(TypeError):
            quickly(lambda: nn.Conv2d(3))
    layer = quickly(lambda: nn.Linear(2, 2))
    layer.mine = 1
    quickly(lambda: layer.__init__(3, 4))  # type: ignore[misc]
    assert layer.mine == 1
    assert layer.weight.shape == (4, 3)


def test_templates_hold_few_values() -> None:
    """A layer whose values are many is built each time, so that they are not kept."""
    channels = LARGEST // 4 + 1
    first = quickly(lambda: nn.BatchNorm2d(channels))
    held = weakref.ref(first)
    quickly(lambda: nn.Linear(channels, 8))
    del first
    gc.collect()
    assert held() is None
    plain, quick = nn.BatchNorm2d(channels), quickly(lambda: nn.BatchNorm2d(channels))
    assert torch.equal(plain.weight, quick.weight)


def mixed(width: int, way: str) -> nn.Module:
    """Shared and repeated layers, one frozen, one reached by its values."""
    shared = nn.Linear(8, 8)
    norm = nn.LayerNorm(8)
    nn.init.zeros_(norm.weight)
    if way == "frozen":
        norm.requires_grad_(False)
    if way == "reads" and norm.bias.sum() == 0 and nn.LayerNorm(8).weight.sum() == 8:
        width += 1
    if way == "tied":
        other = nn.Linear(8, 8)
        other.weight = shared.weight
        return nn.Sequential(shared, other, norm, nn.Linear(8, width))
    return nn.Sequential(shared, nn.ReLU(), shared, norm, nn.Dropout(0.1), nn.Linear(8, width))


@pytest.mark.parametrize("way", ["plain", "frozen", "reads", "tied"])
def test_rows_are_the_same(way: str) -> None:
    builder = Builder(mixed)
    for width in (3, 4, 3):
        task = Task({"width": width, "way": way}, (2, 8), Convention())
        plain, quick = count_point(mixed, task), count_quickly(builder, task)
        assert plain["error"] is None
        assert {**plain, "seconds": 0} == {**quick, "seconds": 0}
