"""A training step: by closed forms, by the operators of a real backward pass, and by figures worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

import opcount
from opcount import Convention, OpCount, Profile, profile
from opcount.errors import BackwardError, ForwardError, InputError
from opcount.ops import FIGURES
from opcount.stepping import count_step


class Calls(nn.Module):
    """A model that is a function of its layers and inputs."""

    def __init__(self, function: Any, **layers: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.function(self, *inputs)


def needing(*size: int) -> torch.Tensor:
    return torch.randn(*size, requires_grad=True)


def four_ways(model: nn.Module, inputs: Any, **options: Any) -> list[Profile]:
    """By shapes and for real, by closed forms and by the operators that the backward pass runs."""
    return [
        count_step(model, inputs, None, Convention(), execution=execution, closed_forms=closed_forms, **options)
        for execution in ("shapes", "real")
        for closed_forms in (True, False)
    ]


def unrolled(model: Any, inputs: torch.Tensor) -> torch.Tensor:
    state = None
    for step in inputs:
        state = model.cell(step, state)
    return state[0] if isinstance(state, tuple) else state


AGREE: dict[str, tuple[nn.Module, Any]] = {
    "linear": (nn.Linear(4, 3), (5, 4)),
    "linear of one row": (nn.Linear(4, 3), needing(4)),
    "bilinear": (nn.Bilinear(4, 3, 5), (needing(2, 4), needing(2, 3))),
    "strided, dilated, grouped": (nn.Conv2d(4, 6, 3, 2, 1, 2, groups=2), needing(2, 4, 9, 9)),
    "depthwise": (nn.Conv2d(4, 8, 3, padding=1, groups=4), needing(2, 4, 6, 6)),
    "same padding": (nn.Conv1d(4, 6, 3, padding="same"), needing(2, 4, 9)),
    "reflected padding": (nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"), needing(2, 4, 9, 9)),
    "first convolution": (nn.Conv3d(1, 2, 3), (1, 1, 4, 4, 4)),
    "transposed": (nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=2), needing(2, 4, 5, 5)),
    "layer norm": (nn.LayerNorm(6), needing(3, 5, 6)),
    "first layer norm": (nn.LayerNorm(6), (3, 5, 6)),
    "group norm": (nn.GroupNorm(2, 4), needing(3, 4, 5, 5)),
    "batch norm": (nn.BatchNorm2d(4).train(), needing(2, 4, 5, 5)),
    "batch norm without weights": (nn.BatchNorm2d(4, affine=False).train(), needing(2, 4, 5, 5)),
    "batch norm, evaluated": (nn.BatchNorm2d(4).eval(), needing(2, 4, 5, 5)),
    "instance norm": (nn.InstanceNorm2d(4, affine=True), needing(3, 4, 5, 5)),
    "overlapping maxima": (nn.MaxPool2d(3, 2, 1), needing(2, 4, 7, 7)),
    "adaptive averages": (nn.AdaptiveAvgPool2d((3, 2)), needing(2, 4, 7, 7)),
    "adaptive maxima": (nn.AdaptiveMaxPool2d(3), needing(2, 4, 7, 7)),
    "learned slopes": (nn.PReLU(6), needing(2, 6, 3, 3)),
    "dropout": (nn.Dropout(0.3), needing(4, 4)),
    "sparse embedding": (nn.Embedding(10, 4, sparse=True), torch.zeros(2, 3, dtype=torch.long)),
    "log-softmax": (nn.LogSoftmax(1), needing(2, 6, 4)),
    "lstm": (nn.LSTM(3, 4, num_layers=2, bidirectional=True, dropout=0.1), needing(5, 2, 3)),
    "lstm, projected": (nn.LSTM(3, 6, proj_size=4), needing(5, 2, 3)),
    "lstm from a state": (nn.LSTM(3, 4), (needing(5, 2, 3), (needing(1, 2, 4), needing(1, 2, 4)))),
    "rnn without biases": (nn.RNN(3, 4, bias=False), needing(5, 2, 3)),
    "lstm cell, unrolled": (Calls(unrolled, cell=nn.LSTMCell(3, 4)), needing(4, 2, 3)),
    "rnn cell, unrolled": (Calls(unrolled, cell=nn.RNNCell(3, 4)), needing(4, 2, 3)),
    "shared weights": (Calls(lambda m, x: m.fc(torch.tanh(m.fc(x))), fc=nn.Linear(4, 4)), torch.randn(3, 4)),
    "a value used twice": (
        Calls(lambda m, x: m.b(m.a(x)) + m.a(x), a=nn.Linear(4, 4), b=nn.Linear(4, 4)),
        needing(3, 4),
    ),
    "checkpointed": (
        Calls(
            lambda m, x: m.b(checkpoint(m.a, x, use_reentrant=False)),
            a=nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)),
            b=nn.Linear(4, 4),
        ),
        needing(3, 4),
    ),
}


@pytest.mark.parametrize("name", AGREE)
def test_four_ways_agree(name: str) -> None:
    model, inputs = AGREE[name]
    first, *others = four_ways(model, inputs)
    assert first.complete
    for other in others:
        assert other.complete
        assert other.forward == first.forward
        assert other.backward == first.backward


def test_attention_agrees_with_the_kernel() -> None:
    """The flash kernel's operator; taken apart, PyTorch scales queries and keys instead of scores."""
    model = Calls(lambda m, x: F.scaled_dot_product_attention(x, x, x, is_causal=True))
    shapes, _, real, kernel = four_ways(model, (needing(2, 3, 5, 8),))
    assert shapes.backward == real.backward == kernel.backward
    assert shapes.backward.macs == 2 * shapes.forward.macs


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointing_runs_the_forward_again(reentrant: bool) -> None:
    layers = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    plain = profile(layers, needing(3, 4), backward=True)
    again = profile(
        Calls(lambda m, x: checkpoint(m.a, x, use_reentrant=reentrant), a=layers), needing(3, 4), backward=True
    )
    assert again.forward == plain.forward
    repeated = OpCount(48, 48, comparisons=12, macs=48)  # up to the last layer, whose input is all that is missing
    if reentrant:
        repeated += OpCount(48, 48, macs=48)
    assert again.backward == plain.backward + repeated
    assert [record.calls for record in again.layers] == [1] * 5


@pytest.mark.parametrize(("groups", "macs"), [(1, 110_592), (4, 27_648), (8, 13_824)])
def test_grouped_convolution(groups: int, macs: int) -> None:
    """8 to 8 channels, 3x3 on 8x8, forward and backward: 3·64·8·(8/g)·9 products. PyTorch's counter is wrong here."""
    layer = nn.Conv2d(8, 8, 3, padding=1, groups=groups)
    step = profile(layer, needing(1, 8, 8, 8), backward=True)
    assert step.macs == macs == 3 * 64 * 8 * (8 // groups) * 9
    with FlopCounterMode(display=False) as theirs:
        layer(needing(1, 8, 8, 8)).sum().backward()
    if groups > 1:
        assert theirs.get_total_flops() > 2 * step.macs


def test_frozen_layers_and_the_first_layers_input() -> None:
    """Of three equal layers the first needs no gradient of its input; a frozen one passes on, and keeps nothing."""
    layers = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4))
    assert profile(layers, (2, 4), backward=True).backward.macs == 32 * 5
    layers[1].requires_grad_(False)
    assert profile(layers, (2, 4), backward=True).backward.macs == 32 * 4
    layers[0].requires_grad_(False)
    step = profile(layers, (2, 4), backward=True, optimizer="sgd")
    assert step.backward.macs == 32
    assert step.optimizer == OpCount(20, 20)  # of the last layer alone
    assert step["0"].phase("optimizer") == OpCount()


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (part.unflatten(-1, (4, -1)).transpose(1, 2) for part in self.qkv(self.norms[0](x)).chunk(3, -1))
        x = x + self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(-2))
        return x + self.down(F.gelu(self.up(self.norms[1](x))))


class Gpt(nn.Module):
    def __init__(self, width: int, depth: int, words: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.blocks = nn.Sequential(*(Block(width) for _ in range(depth)))
        self.head = nn.Linear(width, words, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(self.words(tokens)))


def test_six_flops_a_parameter_and_token() -> None:
    """6·N·tokens FLOPs, N the weights that tokens are multiplied with; attention adds 12·depth·width·length a token.

    The published rule: 2 FLOPs a weight forward, 4 backward (Kaplan et al. 2020), and with attention's two products as
    PaLM's appendix B has them.
    """
    width, depth, words, batch, length = 32, 2, 50, 2, 16
    tokens = batch * length
    model = Gpt(width, depth, words)
    step = profile(model, opcount.Input((batch, length), "int64"), backward=True)
    weights = depth * 12 * width**2 + width * words
    assert 2 * step.macs == tokens * (6 * weights + 12 * depth * width * length)
    assert step.backward.macs == 2 * step.forward.macs
    frozen = profile(model.requires_grad_(False), opcount.Input((batch, length), "int64"))
    assert frozen.macs * 3 == step.macs


def test_the_seed_costs_nothing_and_a_loss_what_it_is() -> None:
    layer, target = nn.Linear(4, 4), torch.zeros(3, dtype=torch.long)
    plain = profile(layer, (3, 4), backward=True)
    step = profile(layer, (3, 4), backward=True, loss=lambda output: F.cross_entropy(output, target))
    # log-softmax of 3 rows of 4 and the mean of 3; back: one quotient, exp, 12 products, 3 sums of 4 and 12 differences
    assert step.backward == plain.backward + OpCount(12, 21, 1, 0, 12)
    assert step[""].phase("forward").transcendentals == 15
    assert step.execution == "shapes"


def test_models_that_return_their_loss() -> None:
    class Output(dict):
        loss: torch.Tensor

    def forward(model: Any, x: torch.Tensor) -> Output:
        output = Output(logits=model.fc(x))
        output.loss = output["logits"].square().mean()
        return output

    step = profile(Calls(forward, fc=nn.Linear(4, 4)), (3, 4), backward=True)
    assert step.backward.divisions == 1  # the mean's: the logits themselves are given no gradient


@pytest.mark.parametrize(
    ("name", "multiplications", "additions", "divisions", "roots"),
    [("sgd", 1, 1, 0, 0), ("momentum", 2, 2, 0, 0), ("adam", 6, 4, 3, 1), ("adamw", 7, 5, 3, 1)],
)
def test_optimizers_by_name(name: str, multiplications: int, additions: int, divisions: int, roots: int) -> None:
    step = profile(nn.Linear(3, 2), (1, 3), backward=True, optimizer=name)
    per = OpCount(multiplications, additions, divisions, transcendentals=roots)
    assert step.optimizer == 8 * per
    assert step.ops == step.forward + step.backward + step.optimizer


def test_an_optimizer_with_groups() -> None:
    layers = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    groups = [{"params": [layers[0].weight], "weight_decay": 0.1}, {"params": layers[1].parameters()}]
    step = profile(
        layers, (1, 3), backward=True, optimizer=torch.optim.SGD(groups, lr=0.1, nesterov=True, momentum=0.9)
    )
    assert step.optimizer == OpCount(6 * 4 + 6 * 3, 6 * 4 + 6 * 3)
    with pytest.raises(InputError, match="steps no parameter"):
        profile(nn.Linear(3, 2), (1, 3), backward=True, optimizer=torch.optim.SGD(layers.parameters()))


def test_what_is_not_known_is_named() -> None:
    layer = nn.Linear(3, 2)
    step = profile(layer, (1, 3), backward=True, optimizer=torch.optim.Adagrad(layer.parameters()))
    assert {(item.name, item.phase) for item in step.uncounted} == {("Adagrad", "optimizer")}
    embedding = nn.Embedding(5, 3, sparse=True)
    step = profile(embedding, torch.zeros(2, dtype=torch.long), backward=True, optimizer="sgd")
    assert [item.name for item in step.uncounted] == ["SGD of a sparse gradient"]
    unknown = profile(Calls(lambda m, x: torch.linalg.inv(m.fc(x)), fc=nn.Linear(3, 3)), (3, 3), backward=True)
    assert not unknown.complete


def test_a_profile_of_a_step_is_kept_as_json() -> None:
    step = profile(nn.Linear(3, 2), (1, 3), backward=True, optimizer="adamw")
    again = Profile.from_json(step.to_json())
    assert again == step
    assert again.phases == ("forward", "backward", "optimizer")
    assert (again.forward, again.backward, again.optimizer) == (step.forward, step.backward, step.optimizer)
    assert step.to_dict()["phases"]["backward"]["macs"] == 6
    assert profile(nn.Linear(3, 2), (1, 3)).phases == ("forward",)


def test_a_gradient_rule_of_ones_own() -> None:
    class Scale(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 3 * x

    @opcount.rule(Scale)
    def scale(layer: Any, call: Any) -> Any:
        yield opcount.Term("each", count=call.output.elements, multiplications=1)

    by_operators = profile(Scale(), needing(2, 5), backward=True)
    assert by_operators.backward == OpCount(10)

    @opcount.rule(Scale, phase="backward")
    def scale_gradient(layer: Any, call: Any) -> Any:
        yield opcount.Term("each", count=call.input.elements, multiplications=1, additions=7)

    assert profile(Scale(), needing(2, 5), backward=True).backward == OpCount(10, 70)


class Numpy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(x.detach().numpy() * 2)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient * 2


def test_a_function_that_shapes_cannot_follow_is_run() -> None:
    step = profile(Calls(lambda m, x: Numpy.apply(m.fc(x)), fc=nn.Linear(4, 4)), (3, 4), backward=True)
    assert step.execution == "real"
    assert "numpy" in step.execution_reason
    assert step[""].phase("backward") == OpCount(12)


def test_an_operator_without_a_fake_is_run() -> None:
    """A custom operator that nobody told what shapes it makes; its gradient is arithmetic like any other."""

    @torch.library.custom_op("opcount_tests::doubled", mutates_args=())
    def doubled(x: torch.Tensor) -> torch.Tensor:
        return 2 * x

    doubled.register_autograd(lambda ctx, gradient: gradient * 2)
    model = Calls(lambda m, x: doubled(m.fc(x)), fc=nn.Linear(4, 4))
    model.fc.weight.grad = torch.ones(4, 4)
    step = profile(model, (3, 4), backward=True)
    assert step.execution == "real"
    assert {item.name for item in step.uncounted} == {"opcount_tests.doubled"}
    assert torch.equal(model.fc.weight.grad, torch.ones(4, 4))
    with pytest.raises(ForwardError, match="shapes alone are not enough"):
        profile(model, (3, 4), backward=True, execution="shapes")


def test_a_failed_count_leaves_gradients_as_they_are() -> None:
    fc = nn.Linear(4, 4)
    fc.weight.grad, version = torch.ones(4, 4), fc.weight._version
    in_place = Calls(lambda m, x: (y := m.fc(x).sigmoid()) * y.add_(1), fc=fc)
    with pytest.raises(BackwardError):
        profile(in_place, (3, 4), backward=True)
    with pytest.raises(InputError):
        profile(Calls(lambda m, x: m.fc(x).argmax(-1), fc=fc), (3, 4), backward=True)
    assert torch.equal(fc.weight.grad, torch.ones(4, 4))
    assert fc.bias.grad is None
    assert fc.weight._version == version


def masked(model: Any, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """It asks whether anything is masked, and where its own positions begin."""
    y = model.fc(x)
    positions = torch.arange(x.shape[0])
    if (positions == 0).nonzero().numel() != 1:
        raise AssertionError("positions begin once")
    return y if mask.all() else y * mask[:, None]


@pytest.mark.parametrize(("kept", "products"), [(True, 0), (False, 2 * 12)])
def test_a_forward_that_looks_at_its_mask_is_counted_by_shapes(kept: bool, products: int) -> None:
    mask = torch.tensor([True, True, kept])
    model = Calls(masked, fc=nn.Linear(4, 4))
    by_shapes, real = (profile(model, (torch.ones(3, 4), mask), backward=True, execution=each) for each in SHAPES_REAL)
    assert by_shapes.ops == real.ops
    assert by_shapes.multiplications == 48 + 48 + products  # the mask is given its weight forward and back


SHAPES_REAL = ("shapes", "real")


def test_compiled_functions_are_held_back() -> None:
    compiled = torch.compile(lambda y: torch.sin(y) * 2, backend="eager")
    model = Calls(lambda m, x: compiled(m.fc(x)), fc=nn.Linear(4, 4))
    model(torch.ones(3, 4))
    plain = Calls(lambda m, x: torch.sin(m.fc(x)) * 2, fc=nn.Linear(4, 4))
    for execution in SHAPES_REAL:
        step = profile(model, (3, 4), backward=True, execution=execution)
        assert step.ops == profile(plain, (3, 4), backward=True).ops
        assert step.complete
    assert profile(model, (3, 4), memory=True).memory is not None
    found, expected = (opcount.reconcile(each, (3, 4), "flopcounter") for each in (model, plain))
    assert (found.macs, found.reported) == (expected.macs, expected.reported)


def test_laws_of_a_step() -> None:
    law = opcount.scaling(Gpt(32, 2, 50), opcount.Input((2, 16), "int64"), vary={"B": 0, "S": 1}, backward=True)
    step = profile(Gpt(32, 2, 50), opcount.Input((3, 29), "int64"), backward=True)
    assert law.at(B=3, S=29) == step.ops
    assert law.at(B=3, S=29).macs == 3 * profile(Gpt(32, 2, 50), opcount.Input((3, 29), "int64")).macs


def test_bad_input_says_what_to_do() -> None:
    fc = nn.Linear(4, 4)
    with pytest.raises(InputError, match="give loss="):
        profile(Calls(lambda m, x: m.fc(x).argmax(-1), fc=fc), (3, 4), backward=True)
    with pytest.raises(InputError, match="unfreeze some"):
        profile(nn.Linear(4, 4).requires_grad_(False), (3, 4), backward=True)
    with pytest.raises(InputError, match="has to return a tensor"):
        profile(fc, (3, 4), backward=True, loss=lambda output: output.detach())
    with pytest.raises(InputError, match="give backward=True"):
        profile(fc, (3, 4), optimizer="sgd")
    with pytest.raises(InputError, match="there is no optimizer 'lion'"):
        profile(fc, (3, 4), backward=True, optimizer="lion")
    with pytest.raises(BackwardError, match="modified by an inplace operation"):
        profile(Calls(lambda m, x: (y := m.fc(x).sigmoid()) * y.add_(1), fc=fc), (3, 4), backward=True)


def test_the_model_is_untouched() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)).train()
    model(torch.randn(3, 4)).sum().backward()
    before = {name: (p.clone(), p.grad.clone(), p._version) for name, p in model.named_parameters()}
    buffers = {name: b.clone() for name, b in model.named_buffers()}
    state = torch.get_rng_state()
    for execution in ("shapes", "real"):
        with torch.no_grad():
            profile(model, (3, 4), backward=True, optimizer="adamw", execution=execution)
            assert not torch.is_grad_enabled()
        with pytest.raises(BackwardError):
            profile(
                Calls(lambda m, x: (y := m.net(x).sigmoid()) * y.add_(1), net=model),
                (3, 4),
                backward=True,
                execution=execution,
            )
    assert torch.equal(state, torch.get_rng_state())
    for name, p in model.named_parameters():
        value, gradient, version = before[name]
        assert torch.equal(p, value)
        assert torch.equal(p.grad, gradient)
        assert p._version == version
        assert not p._backward_hooks
    assert all(torch.equal(buffers[name], b) for name, b in model.named_buffers())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_figures_are_whole_numbers_of_each_phase() -> None:
    step = profile(nn.Linear(3, 2), (1, 3), backward=True)
    assert all(isinstance(getattr(step.backward, figure), int) for figure in FIGURES)
