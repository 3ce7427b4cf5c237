"""Models that no one should write: each ends in the right answer or in a documented error."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import opcount
from opcount import OpCountError, Profile, profile
from opcount.errors import ForwardError, InputError, RuleError
from opcount.report import render
from opcount.separable import separate

EXECUTIONS = ["auto", "real"]


def nested(depth: int) -> nn.Module:
    model: nn.Module = nn.Linear(4, 4)
    for _ in range(depth):
        model = nn.Sequential(model)
    return model


class CallsItself(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return self(x)


class ComesBack(nn.Module):
    """Calls itself a few times, then its layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4, bias=False)

    def forward(self, x: Tensor, times: int = 3) -> Tensor:
        return self.layer(x) if times == 0 else self(x, times - 1)


class Exits(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        sys.exit(3)


class ChangesItsChildren(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        self.first, before = nn.Linear(4, 8, bias=False), self.first
        self.added = nn.Linear(8, 2, bias=False)
        return self.added(self.first(before(x)))


class DeletesItself(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        layer = self.layer
        del self.layer
        return layer(x)


class LosesItsMind(nn.Module):
    """Leaves nothing of itself, not even the tables PyTorch's own call of a hooked module looks into."""

    def forward(self, x: Tensor) -> Tensor:
        self.__dict__.clear()
        return x


class ReturnsItself(nn.Module):
    def forward(self, x: Tensor) -> Any:
        return self


class ReturnsAnything(nn.Module):
    def forward(self, x: Tensor) -> Any:
        return {"text": "no tensor", "nothing": None, "several": [x * 2, {1, 2}], "type": type(self)}


class ReprRaises(nn.Linear):
    def __repr__(self) -> str:
        raise ValueError("no picture of me")


class PropertyRaises(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4, bias=False)

    @property
    def weight(self) -> Tensor:
        raise RuntimeError("do not look")

    @property
    def example_input_size(self) -> tuple[int, ...]:
        raise RuntimeError("do not look here either")

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


class Raises(nn.Module):
    def __init__(self, error: type[BaseException]) -> None:
        super().__init__()
        self.error = error

    def forward(self, x: Tensor) -> Tensor:
        raise self.error


class ErrorWithoutText(Exception):
    def __str__(self) -> str:
        raise ValueError("an error that cannot be told")


class Forks(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        return x * 2


class StartsThreads(nn.Module):
    """Works in a thread of its own, where no mode of ours is."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        made: list[Tensor] = []
        thread = threading.Thread(target=lambda: made.append(self.layer(x)))
        thread.start()
        thread.join()
        return made[0]


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("depth", [200, 240, 300])
def test_a_model_nested_as_deep_as_pytorch_can_is_counted(depth: int, execution: str) -> None:
    assert profile(nested(depth), (1, 4), execution=execution).macs == 16


class Holds(nn.Module):
    """One module in another, without the chain that a Sequential is."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


def deepest(wrap: Callable[[nn.Module], nn.Module]) -> nn.Module:
    """As many modules in one another as PyTorch just manages, called from a little further down the stack."""
    model: nn.Module = nn.Linear(4, 4)
    x = torch.zeros(1, 4)
    while True:
        deeper = wrap(model)
        try:
            deeper(x)
        except RecursionError:
            return model
        model = deeper


COUNTS: dict[str, Callable[[nn.Module], int]] = {
    "auto": lambda model: profile(model, (1, 4)).macs,
    "shapes": lambda model: profile(model, (1, 4), execution="shapes").macs,
    "real": lambda model: profile(model, (1, 4), execution="real").macs,
    "backward": lambda model: profile(model, (1, 4), backward=True).forward.macs,
    "memory": lambda model: profile(model, (1, 4), memory=True).macs,
    "audit": lambda model: 16 * opcount.audit(model, (1, 4)).agrees,
}


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("wrap", [nn.Sequential, Holds])
def test_a_model_that_pytorch_just_manages_is_counted(wrap: Any, count: str) -> None:
    assert COUNTS[count](deepest(wrap)) == 16


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_modules_of_one_path_are_refused(execution: str) -> None:
    """PyTorch refuses dots in names; written into its table all the same, each would be told of as both."""
    model = nn.Sequential()
    model.add_module("a", nn.Sequential())
    model.a.add_module("b", nn.Linear(4, 4, bias=False))
    model._modules["a.b"] = nn.Linear(4, 8, bias=False)
    with pytest.raises(InputError, match=r"2 modules are both 'a\.b'"):
        profile(model, (1, 4), execution=execution)
    del model.a.b
    assert profile(model, (1, 4), execution=execution).macs == 32


def test_a_model_too_deep_to_be_copied_is_told_how_deep() -> None:
    with pytest.raises(ForwardError, match="nested 1,000 deep"):
        separate(nested(1_000))


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_a_model_nested_too_deep_for_its_own_forward_is_told_how_deep(execution: str) -> None:
    limit = sys.getrecursionlimit()
    with pytest.raises(ForwardError, match="nested 5,000 deep"):
        profile(nested(5_000), (1, 4), execution=execution)
    assert sys.getrecursionlimit() == limit


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_a_forward_that_never_ends_is_a_clear_error(execution: str) -> None:
    with pytest.raises(ForwardError, match="CallsItself calls deeper than Python's recursion limit"):
        profile(CallsItself(), (1, 4), execution=execution)


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize(
    ("model", "macs"),
    [
        (ComesBack, 16),
        (ChangesItsChildren, 16 + 32 + 16),
        (DeletesItself, 16),
        (ReprRaises, 16),
        (PropertyRaises, 16),
    ],
)
def test_what_it_costs_is_right(model: Any, macs: int, execution: str) -> None:
    made = model(4, 4) if model is ReprRaises else model()
    counted = profile(made, (1, 4), execution=execution)
    assert counted.macs == macs
    assert counted.complete
    assert profile(made, (1, 4), execution=execution).macs == macs  # and it is what it was


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_outputs_of_any_kind(execution: str) -> None:
    assert profile(ReturnsItself(), (1, 4), execution=execution).total == 0
    assert profile(ReturnsAnything(), (1, 4), execution=execution).multiplications == 4


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("error", [SystemExit, StopIteration, MemoryError, AssertionError, ErrorWithoutText])
def test_whatever_a_forward_raises_is_told_of(error: type[BaseException], execution: str) -> None:
    with pytest.raises(ForwardError, match=error.__name__):
        profile(Raises(error), (1, 4), execution=execution)


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_a_module_that_wipes_itself_is_an_error_and_stays_whole(execution: str) -> None:
    model = LosesItsMind()
    with pytest.raises(ForwardError, match="LosesItsMind"):
        profile(model, (1, 4), execution=execution)
    assert model(torch.zeros(0)).numel() == 0


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_ctrl_c_goes_through(execution: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        profile(Raises(KeyboardInterrupt), (1, 4), execution=execution)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("execution", EXECUTIONS)
def test_a_forward_that_forks(execution: str) -> None:
    assert profile(Forks(), (1, 4), execution=execution).multiplications == 4


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_a_forward_that_works_in_a_thread(execution: str) -> None:
    """Hooks see its layers there as well."""
    assert profile(StartsThreads(), (1, 4), execution=execution).macs == 16


@pytest.mark.parametrize("modules", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_very_many_modules(modules: int) -> None:
    model = nn.Sequential(*(nn.ReLU() for _ in range(modules)))
    counted = profile(model, (1, 2))
    assert len(counted.layers) == modules + 1
    assert counted.comparisons == 2 * modules


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("size", [(0, 4), (3, 0, 4)])
def test_no_elements_cost_nothing(size: tuple[int, ...], execution: str) -> None:
    counted = profile(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Softmax(-1)), size, execution=execution)
    assert counted.total == 0
    assert counted.complete


def test_counts_beyond_64_bits_are_exact() -> None:
    batch, width = 2**40, 2**16
    with torch.device("meta"):
        model = nn.Sequential(*(nn.Linear(width, width, bias=False) for _ in range(3)))
    counted = profile(model, (batch, width))
    assert counted.macs == 3 * batch * width * width == 3 * 2**72
    assert Profile.from_json(counted.to_json()).macs == counted.macs


def test_names_of_every_kind_survive_the_way_to_json_and_back() -> None:
    names = ["ünï", "\x1b[31mred", "<script>alert(1)</script>", '=cmd|"/c calc"', "a b", "\u202egnp", "'; --", "%s{}"]
    model = nn.Sequential()
    for name in names:
        model.add_module(name, nn.Linear(4, 4, bias=False))
    counted = profile(model, (1, 4))
    assert [layer.path for layer in counted.layers[1:]] == names
    assert Profile.from_json(counted.to_json()) == counted
    for form in ("plain", "rich", "markdown", "github", "csv", "latex"):
        assert not re.search("[\x1b\u202e]", render(counted, form))
    if find_spec("mpld3") is not None:
        assert "<script>alert" not in counted.to_page()
    assert not any(line.startswith(("=", '"=')) for line in render(counted, "csv").splitlines())


def test_a_rule_that_counts_parts_or_less_than_nothing_is_refused() -> None:
    class Halves(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x

    @opcount.rule(Halves)
    def halves(layer: Any, call: Any) -> Any:
        yield opcount.Term("each", count=-1.5, multiplications=1)

    with pytest.raises(RuleError, match=r"Halves.*-1\.5 multiplications"):
        profile(Halves(), (1, 4))


@pytest.mark.parametrize("convention", [None, False, {"bias": False}])
def test_a_convention_of_the_wrong_kind_is_refused(convention: Any) -> None:
    with pytest.raises(InputError, match=r"Convention\(bias=False\)"):
        profile(nn.ReLU(), (1, 4), convention=convention)


def test_a_rule_for_a_custom_operator() -> None:
    @torch.library.custom_op("opcount_torture::triple", mutates_args=())
    def triple(x: Tensor) -> Tensor:
        return x * 3

    @triple.register_fake
    def _(x: Tensor) -> Tensor:
        return torch.empty_like(x)

    @opcount.rule(triple)
    def tripled(operator: Any, call: Any) -> Any:
        yield opcount.Term("each", count=call.output.elements, multiplications=1)

    class Triples(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return triple(x)

    for execution in EXECUTIONS:
        assert profile(Triples(), (2, 3), execution=execution).ops == opcount.OpCount(multiplications=6)


@pytest.mark.parametrize("model", [None, 3, "resnet50", nn.Linear, lambda x: x, object()])
def test_what_is_no_model_is_refused(model: Any) -> None:
    with pytest.raises(OpCountError, match=r"nn\.Module"):
        profile(model, (1, 4))
