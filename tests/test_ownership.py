"""Who owns an operation: rules hold for PyTorch's own forward, the outermost wins, nothing is silently zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

import opcount
from opcount import OpCount, Term, profile
from opcount.errors import RuleError

CONV = OpCount(multiplications=13_824, additions=13_824, macs=13_824)  # Conv2d(3, 8, 3, padding=1) on 8x8, with bias


class Sub(nn.Conv2d):
    """Overrides nothing."""


class Standardised(nn.Conv2d):
    """Weight standardisation: the forward is its own, the convolution is a call."""

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean()
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)


class Helped(nn.Conv2d):
    """Overrides the method that the forward leans on."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return super()._conv_forward(input, weight, bias) * 2


class Doubled(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * 2


def test_a_subclass_counts_as_its_base() -> None:
    assert profile(Sub(3, 8, 3, padding=1), (1, 3, 8, 8)).ops == CONV


def test_an_overridden_forward_is_what_it_calls() -> None:
    counted = profile(Standardised(3, 8, 3, padding=1), (1, 3, 8, 8))
    weights = 8 * 3 * 9
    assert counted.ops == CONV + OpCount(additions=weights - 1 + weights, divisions=1)
    assert {entry.source for entry in counted[""].entries} == {"function", "operator"}


def test_an_overridden_helper_is_what_it_calls() -> None:
    counted = profile(Helped(3, 8, 3, padding=1), (1, 3, 8, 8))
    assert counted.ops == CONV + OpCount(multiplications=8 * 64)


def test_super_forward_is_counted_once() -> None:
    assert profile(Doubled(4, 5), (2, 4)).ops == OpCount(50, 40, macs=40)


def test_an_instance_forward_is_what_it_calls() -> None:
    layer = nn.Linear(4, 5)
    layer.forward = lambda x: x * 3  # type: ignore[method-assign]
    assert profile(layer, (2, 4)).ops == OpCount(multiplications=8)


@pytest.mark.parametrize(
    "layer",
    [
        parametrizations.weight_norm(nn.Linear(4, 5)),
        parametrizations.orthogonal(nn.Linear(4, 5), orthogonal_map="cayley"),
        parametrizations.spectral_norm(nn.Linear(4, 5)),
    ],
)
def test_parametrized_weights_are_free_to_work_out(layer: nn.Module) -> None:
    counted = profile(layer, (2, 4))
    assert counted.ops == OpCount(40, 40, macs=40)
    assert counted.complete


def test_a_parametrization_outside_a_rule_is_free_too() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(5, 4))

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.weight.T

    class Squared(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * x

    layer = Own()
    parametrize.register_parametrization(layer, "weight", Squared())
    assert profile(layer, (2, 4)).ops == OpCount(40, 30, macs=40)


def test_child_forward_called_directly() -> None:
    class Direct(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.child = nn.Linear(4, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.child.forward(x)

    counted = profile(Direct(), (2, 4))
    assert counted[""].ops == OpCount(40, 40, macs=40)
    assert counted["child"].calls == 0


def test_a_shared_module_is_one_record_counted_once_a_call() -> None:
    shared = nn.Linear(4, 4)
    model = nn.ModuleDict({"a": nn.Sequential(shared), "b": nn.Sequential(shared, shared)})
    model.forward = lambda x: model["b"](model["a"](x))  # type: ignore[method-assign]
    counted = profile(model, (1, 4))
    assert counted["a.0"].calls == 3
    assert counted["a.0"].aliases == ("b.0", "b.1")
    assert counted["b.1"] is counted["a.0"]
    assert counted.macs == 3 * 16
    assert counted.params == 20
    assert len([record for record in counted if record.type == "Linear"]) == 1


def test_calls_under_different_shapes_are_different_sites() -> None:
    class Pyramid(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Conv2d(1, 1, 1)

        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            return self.head(x), self.head(x[..., ::2, ::2]), self.head(x)

    record = profile(Pyramid(), (1, 1, 4, 4))["head"]
    assert [(site.output_shapes, site.calls) for site in record.sites] == [
        (((1, 1, 4, 4),), 2),
        (((1, 1, 2, 2),), 1),
    ]
    assert record.calls == 3
    assert record.ops.macs == 16 + 16 + 4


def test_dead_code_and_loops_are_what_was_executed() -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.dead = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            self.dead(x)
            for _ in range(int(x.shape[0])):
                x = self.used(x)
            return x

    counted = profile(Loop(), (3, 4))
    assert counted["dead"].ops.macs == 3 * 16
    assert counted["used"].ops.macs == 3 * 3 * 16


def test_an_operator_without_a_rule_is_named() -> None:
    class Eigen(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.linalg.eigvalsh(x)

    counted = profile(nn.Sequential(Eigen()), (3, 3))
    assert not counted.complete
    assert [(item.name, item.kind, item.path, item.calls) for item in counted.uncounted] == [
        ("aten._linalg_eigh", "operator", "0", 1)
    ]


def test_an_exception_caught_inside_leaves_the_stack_right() -> None:
    class Fails(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("not here")

    class Tries(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fails, self.works = nn.Sequential(Fails()), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            try:
                x = self.fails(x)
            except RuntimeError:
                x = self.works(x) + 1
            return x

    counted = profile(Tries(), (1, 4))
    assert counted["works"].ops.macs == 16
    assert counted[""].ops == OpCount(additions=4)
    assert counted["fails.0"].calls == 1


def test_a_layer_that_raised_half_way_is_not_silently_zero() -> None:
    class Tries(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(5, 4)

        def forward(self, x: Tensor) -> Tensor:
            try:
                return self.linear(x)
            except RuntimeError:
                return x

    counted = profile(Tries(), (1, 4))
    assert [(item.name, item.kind) for item in counted.uncounted] == [("Linear", "layer")]


@dataclass
class Pair:
    first: Tensor
    second: Tensor | None


@pytest.mark.parametrize("wrap", [lambda x: (x, None), lambda x: {"y": [x]}, lambda x: Pair(x, None)])
def test_outputs_of_any_form(wrap: Any) -> None:
    class Wrapping(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return wrap(x + 1)

    assert profile(Wrapping(), (2, 3))[""].output_shapes == ((2, 3),)


def test_a_layer_of_ones_own_in_five_lines() -> None:
    class Mine(nn.Module):
        taps = 7

        def forward(self, x: Tensor) -> Tensor:
            return x.fft() if False else x

    @opcount.rule(Mine)
    def mine(layer: Mine, call: Any) -> Any:
        yield Term("dots", count=call.output.elements, length=layer.taps)

    assert profile(Mine(), (2, 3)).macs == 42

    with pytest.raises(RuleError, match=r"Mine already has a rule, mine \(.*test_ownership"):
        opcount.rule(Mine)(mine)


def test_what_a_rule_of_ones_own_owns_is_not_counted_again() -> None:
    class Outer(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * 2

    @opcount.rule(Outer)
    def outer(layer: Outer, call: Any) -> Any:
        yield Term("each", count=1, additions=5)

    counted = profile(nn.Sequential(Outer(nn.Linear(4, 4)), nn.Linear(4, 4)), (1, 4))
    assert counted["0"].ops == OpCount(additions=5)
    assert counted["0.0"].ops == OpCount()
    assert counted["0.0"].calls == 1
    assert counted["1"].ops.macs == 16


def test_a_rule_that_fails_names_itself_the_layer_and_the_sizes() -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x

    @opcount.rule(Odd)
    def odd(layer: Odd, call: Any) -> Any:
        yield Term("dots", count=layer.missing, length=1)

    with pytest.raises(RuleError, match=r"the rule odd for Odd at 0 failed on 2x3: AttributeError"):
        profile(nn.Sequential(Odd()), (2, 3))


@pytest.mark.parametrize("subject", [int, 3, "add"])
def test_a_rule_for_nonsense_is_refused(subject: Any) -> None:
    with pytest.raises(RuleError):
        opcount.rule(subject)(lambda layer, call: None)


def test_a_rule_for_nothing_is_refused() -> None:
    with pytest.raises(RuleError, match="needs what the rule is for"):
        opcount.rule()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize(
    "wrap",
    [
        torch.jit.script,
        lambda model: torch.jit.trace(model, torch.rand(1, 3, 8, 8)),
        lambda model: torch.jit.freeze(torch.jit.script(model)),
        torch.compile,
        nn.DataParallel,
        torch.fx.symbolic_trace,
        lambda model: nn.Sequential(torch.jit.script(model)),
        lambda model: nn.Sequential(torch.compile(model)),
    ],
    ids=["scripted", "traced", "frozen", "compiled", "data parallel", "fx", "scripted child", "compiled child"],
)
def test_wrapped_models_count_as_what_they_wrap(wrap: Any, mode: Any) -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 4)).eval()
    expected = profile(model, (1, 3, 8, 8))
    with mode():
        counted = profile(wrap(model), (1, 3, 8, 8))
    assert counted.ops == expected.ops
    assert counted.complete


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("reparametrize", [torch.nn.utils.weight_norm, torch.nn.utils.spectral_norm])
def test_hooks_that_recompute_a_weight_are_free(reparametrize: Any) -> None:
    counted = profile(nn.Sequential(reparametrize(nn.Linear(4, 5))), (2, 4))
    assert counted.ops == OpCount(40, 40, macs=40)
    assert counted.complete


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
def test_nested_tensors_count_their_real_rows(layout: torch.layout) -> None:
    nested = torch.nested.nested_tensor([torch.rand(2, 4), torch.rand(3, 4)], layout=layout)
    counted = profile(nn.Sequential(nn.Linear(4, 6), nn.ReLU()), nested)
    assert counted.ops == OpCount(5 * 24, 5 * 24, comparisons=30, macs=5 * 24)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors", "ignore:.*prototype")
def test_attention_over_nested_tensors_counts_each_samples_own_scores() -> None:
    """In the strided layout: over jagged tensors PyTorch's own attention asks for a GPU."""

    class Attention(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            heads = x.view(2, -1, 2, 4).transpose(1, 2).contiguous()
            return F.scaled_dot_product_attention(heads, heads, heads)

    nested = torch.nested.nested_tensor([torch.rand(2, 8), torch.rand(3, 8)])
    with torch.no_grad():
        counted = profile(Attention(), nested)
    scores = 2 * (2 * 2 + 3 * 3)  # heads, and each sample with itself
    assert counted.macs == 2 * scores * 4
    assert counted.multiplications == 2 * scores * 4 + scores
    assert counted.divisions == scores


class Force(nn.Module):
    """The gradient of an energy, taken within forward: half of the energy goes through a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    @torch.enable_grad()
    def forward(self, x: torch.Tensor) -> Any:
        x = x.detach().requires_grad_()
        energy = self.linear(x).sum() + (x * x).sum()
        return torch.autograd.grad(energy, x)


@pytest.mark.parametrize("execution", ["shapes", "real"])
def test_a_gradient_taken_within_forward_goes_through_layers(execution: str) -> None:
    """Forward 24 MACs, 24 additions, 8 products, sums 5+7+1; backward 24 MACs, 16 additions, 16 products, 8+8 sums."""
    counted = profile(Force(), (2, 4), execution=execution)
    assert (counted.macs, counted.multiplications, counted.additions) == (48, 72, 69)


class Mapped(nn.Module):
    """A layer and a function mapped over the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.func.vmap(lambda row: torch.tanh(self.linear(row)))(x)


@pytest.mark.parametrize("execution", ["shapes", "real"])
def test_what_is_mapped_counts_for_every_sample(execution: str) -> None:
    """5 samples of 12 MACs and 3 tanh; neither what was remembered before nor what is after is mixed up with it."""
    single = nn.Sequential(nn.Linear(4, 3), nn.Tanh())
    assert profile(single, (4,), execution=execution).macs == 12
    counted = profile(Mapped(), (5, 4), execution=execution)
    assert (counted.macs, counted.additions, counted.transcendentals) == (60, 60, 15)
    assert profile(single, (4,), execution=execution).macs == 12


def test_a_module_with_slots() -> None:
    class Slotted(nn.Module):
        __slots__ = ("times",)

        def __init__(self) -> None:
            super().__init__()
            self.times = 3

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.times

    assert profile(Slotted(), (2, 4)).multiplications == 8


@pytest.mark.filterwarnings("ignore:Sparse CSR")
@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr])
def test_products_of_sparse_matrices_are_named_not_counted_as_dense(layout: torch.layout) -> None:
    class Mixing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.eye(4).to_sparse(layout=layout) @ x

    counted = profile(Mixing(), (4, 3), execution="real")
    assert counted.multiplications == 0
    assert not counted.complete


def test_a_number_over_a_tensor_is_one_division() -> None:
    class Inverse(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 1.0 / x

    assert profile(Inverse(), (2, 3)).ops == OpCount(divisions=6)
    assert profile(Inverse(), (2, 3), execution="real").ops == OpCount(divisions=6)
