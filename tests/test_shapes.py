"""By shapes alone: the same answer as by running, and nothing computed."""

from __future__ import annotations

import copy
import threading
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.gauntlet.case import Case
from benchmarks.gauntlet.cases import CASES
from lenet.models import Depthwise
from opcount import OpCountError, Profile, audit, profile
from opcount.answers import layer_answer
from opcount.errors import ForwardError
from opcount.ops import Call
from opcount.trace.describe import describe
from opcount.trace.memory import MEMORY, Memory, Remembered
from tests.layers import EXAMPLES

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")


def rows(counted: Profile) -> list[Any]:
    """Everything a profile says of its modules; terms in whatever order they came."""
    return [
        (
            *(record.path, record.type, record.aliases, record.params, record.ops, record.subtree),
            *(sorted(record.sites), sorted(map(str, record.uncounted)), sorted(map(str, record.entries))),
        )
        for record in counted
    ]


def without_grad(spec: Any) -> Any:
    """Descriptions of tensors, but for whether they need a gradient."""
    if isinstance(spec, tuple):
        return tuple(map(without_grad, spec))
    return (spec.shape, spec.dtype) if hasattr(spec, "shape") else spec


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_gauntlet_both_ways(case: Case) -> None:
    built = case.build()
    with case.context():
        real = profile(built.model, built.args, kwargs=built.kwargs, execution="real")
        first = profile(built.model, built.args, kwargs=built.kwargs)
        again = profile(built.model, built.args, kwargs=built.kwargs)
    assert rows(first) == rows(real)
    assert rows(again) == rows(real)  # from what was remembered
    assert first.execution == "shapes" or first.execution_reason


def test_nearly_all_of_the_gauntlet_needs_no_run() -> None:
    """What does need one asks for values, or is compiled to run by itself."""
    ran = []
    for case in CASES:
        built = case.build()
        with case.context():
            if profile(built.model, built.args, kwargs=built.kwargs).execution == "real":
                ran.append(case.name)
    assert len(ran) <= 8, ran


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_answers_are_what_the_layer_returns(name: str, training: bool) -> None:
    """Where a layer answers, with the shapes and types that come out when it runs."""
    layer, args = EXAMPLES[name]()
    answer = layer_answer(type(layer))
    if answer is None:
        return
    layer.train(training)
    layer(*args)  # a lazy one takes its shape
    answered = answer(layer, Call(describe(args), {}, None, training))
    if answered is not None:
        with torch.no_grad():
            assert without_grad(answered) == without_grad(describe(layer(*args)))


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_layer_both_ways(name: str, training: bool) -> None:
    layer, args = EXAMPLES[name]()
    layer.train(training)
    assert rows(profile(layer, args)) == rows(profile(layer, args, execution="real"))


def test_the_audit_both_ways() -> None:
    found = audit(Depthwise())
    assert found.agrees
    assert found.by_layers.execution == found.by_operators.execution == "shapes"


class Branching(nn.Module):
    """Asks for a value, and does more where it is positive."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.linear(x)
        return self.linear(x) if x.sum().item() ** 2 >= 0 else x


def test_a_forward_that_needs_values_is_run_and_the_result_says_why() -> None:
    counted = profile(Branching(), (1, 4))
    assert counted.execution == "real"
    assert "item" in counted.execution_reason
    assert counted["linear"].calls == 2
    with pytest.raises(ForwardError, match="shapes alone are not enough"):
        profile(Branching(), (1, 4), execution="shapes")


def test_shapes_that_do_not_fit_are_told_as_pytorch_tells_them() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(120, 84))
    with pytest.raises(ForwardError, match=r"1 \(Linear\) failed on 1x100: RuntimeError: mat1 and mat2 shapes"):
        profile(model, (1, 100))


class Functional(nn.Module):
    """Factories, constants, in-place arithmetic, views, masks and a cast inside the forward."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 4))
        self.scale = torch.tensor(2.0)
        self.register_buffer("table", torch.randn(3, 4), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        steps = torch.tensor([2, 1])
        for _ in range(int(steps[0]) + steps.tolist()[1]):
            x = x + torch.zeros(4, device=x.device) * self.scale
        mask = torch.ones(x.shape[0], x.shape[0]).tril() == 0
        scores = (x @ x.T).masked_fill(mask, float("-inf")).softmax(-1)
        x = (scores @ x).to(torch.float64).to(x.dtype)
        x += self.table[torch.arange(x.shape[0]) % 3]
        x = x.unsqueeze(0)
        x.squeeze_(0)
        return F.linear(F.pad(x, (1, 1))[:, 1:-1], self.weight)


def test_functional_code_both_ways() -> None:
    model = Functional()
    counted = profile(model, (5, 4))
    assert counted.execution == "shapes"
    assert rows(counted) == rows(profile(model, (5, 4), execution="real"))


class Strided(nn.Module):
    """Views of views, in place too, and what depends on their strides."""

    def forward(self, x: Tensor) -> Tensor:
        y = x.transpose(1, 2)
        z = y.reshape(y.shape[0], -1) + y.contiguous().view(y.shape[0], -1)
        y.transpose_(0, 1)
        y.mul_(2)[0] = 1
        shared = torch.empty(0, device=x.device)
        shared.data = x
        if y.is_contiguous():
            z = z * 2
        first, second = z.chunk(2, dim=1)
        return torch.einsum("ij,kj->ik", first, second) + shared.sum() + y.permute(1, 2, 0).flatten(1).sum()


@pytest.mark.parametrize("size", [(1, 4, 6), (2, 1, 6), (3, 4, 2)])
def test_what_functions_repeat_is_what_they_did(size: tuple[int, ...]) -> None:
    model = Strided()
    real = profile(model, size, execution="real")
    for _ in range(3):
        counted = profile(model, size)
        assert counted.execution == "shapes"
        assert rows(counted) == rows(real)


def test_a_call_of_forward_is_no_call_of_the_layer() -> None:
    class Direct(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(self.linear.forward(x))

    model = Direct()
    for _ in range(2):
        counted = profile(model, (1, 4))
        assert counted.execution == "shapes"
        assert counted["linear"].calls == 1
        assert rows(counted) == rows(profile(model, (1, 4), execution="real"))


def test_copies_that_a_forward_makes_of_its_layers_are_counted_alike() -> None:
    class Copying(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = nn.Sequential(nn.Linear(4, 4), nn.ReLU())

        def forward(self, x: Tensor) -> Tensor:
            return copy.deepcopy(self.block)(x)

    assert rows(profile(Copying(), (1, 4))) == rows(profile(Copying(), (1, 4), execution="real"))


def test_a_model_that_would_not_fit_in_memory() -> None:
    with torch.device("meta"):
        model = nn.Sequential(*(nn.Linear(2**20, 2**20, bias=False) for _ in range(4)))
    assert profile(model, (2**20, 2**20)).macs == 4 * 2**60


def test_autocast_is_run_for_its_types() -> None:
    model = nn.Linear(4, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        counted = profile(model, (1, 4))
    assert counted.execution == "real"
    assert counted.macs == 16
    assert list(counted.by_dtype) == ["bfloat16"]


def test_remembered_rules_do_not_outlive_new_ones() -> None:
    """What was uncounted when it was remembered is counted once it has a rule."""
    import opcount
    from opcount.rules import OPERATORS

    class Airy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.special.hermite_polynomial_h(x, x)

    name = "aten.special_hermite_polynomial_h"
    assert not profile(Airy(), (2, 3)).complete
    opcount.rule(name)(lambda operator, call: [opcount.Term("transcendental", count=call.out.elements)])
    try:
        assert profile(Airy(), (2, 3)).transcendentals == 6
    finally:
        del OPERATORS[name]


def test_the_memory_is_bounded() -> None:
    memory = Memory(limit=3)
    nothing = Remembered(None, Call((), {}, None), (), True)
    for signature in range(10):
        memory.put(signature, nothing)
    assert len(memory) == 3
    assert memory.get(9) is nothing
    assert memory.get(0) is None
    memory.clear()
    assert len(memory) == 0


def test_two_threads_at_once() -> None:
    expected = profile(Depthwise()).ops
    found: list[Any] = []

    def count() -> None:
        MEMORY.clear()
        found.extend(profile(Depthwise()).ops for _ in range(5))

    threads = [threading.Thread(target=count) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 10


def test_errors_are_ours() -> None:
    class Raises(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise ValueError("no")

    with pytest.raises(OpCountError, match="ValueError: no"):
        profile(Raises(), (1,))


@pytest.mark.parametrize(
    ("mode", "axes"),
    [
        *(("linear", 1), ("bilinear", 2), ("bicubic", 2), ("trilinear", 3)),
        *((mode, axes) for mode in ("nearest", "nearest-exact") for axes in (1, 2, 3)),
    ],
)
@pytest.mark.parametrize("asked", [{"size": 5}, {"scale_factor": 1.5}], ids=["by size", "by factor"])
def test_resampling_both_ways(mode: str, axes: int, asked: dict[str, Any]) -> None:
    class Resampling(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.interpolate(x, mode=mode, **asked) * 2

    sizes = (2, 3, 7, 4, 6)[: 2 + axes]
    MEMORY.clear()
    by_shapes, real = (profile(Resampling(), sizes, execution=how) for how in ("shapes", "real"))
    assert rows(by_shapes) == rows(real)
    assert by_shapes[""].output_shapes == real[""].output_shapes == (F.interpolate(torch.zeros(sizes), **asked).shape,)
