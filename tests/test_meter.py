"""The meter: its totals against counts of every call, and the training beside it as if it were not there."""

from __future__ import annotations

import copy
import io
import random
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

import opcount
from opcount import Input, OpCount, meter, profile
from opcount.errors import InputError
from opcount.metering import Meter

Sizes = Iterable[tuple[int, int]]


class Text(nn.Module):
    """An embedding, an attention, a feed forward, a dropout and a head: costs are quadratic in the length."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.qkv, self.out = nn.Embedding(20, 8), nn.Linear(8, 24), nn.Linear(8, 20)
        self.drop = nn.Dropout(0.2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.words(tokens)
        q, k, v = (part.unflatten(-1, (2, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        x = x + F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(-2)
        return self.out(self.drop(F.gelu(x)))


def made(kind: Callable[[], nn.Module] = Text) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = kind()
    return model, torch.optim.AdamW(model.parameters())


def train(
    model: nn.Module, optimizer: torch.optim.Optimizer, sizes: Sizes, counting: Meter | None, *, observe: bool = False
) -> list[float]:
    """The losses of a training; with a meter, that counts along."""
    losses = []
    generator = torch.Generator().manual_seed(1)
    for batch, length in sizes:
        tokens = torch.randint(20, (batch, length), generator=generator)
        if counting is not None and observe:
            counting.observe(tokens)
        loss = F.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if counting is not None:
            counting.step()
        losses.append(loss.item())
    return losses


def one(size: tuple[int, int], kind: Callable[[], nn.Module] = Text) -> OpCount:
    return profile(kind(), Input(size, "int64"), backward=True, optimizer="adamw").ops


@pytest.mark.parametrize("hook", [True, False])
def test_losses_are_the_same_and_totals_those_of_every_step(hook: bool) -> None:
    sizes = [(2, 5), (3, 5), (2, 5), (2, 5), (3, 5)]
    alone = train(*made(), sizes, None)
    model, optimizer = made()
    with meter(model, optimizer=optimizer, hook=hook) as m:
        assert sum(len(each._forward_pre_hooks) for each in model.modules()) == hook
        assert train(model, optimizer, sizes, m, observe=not hook) == alone
    assert not any(each._forward_pre_hooks or each._forward_hooks for each in model.modules())
    assert m.ops == 3 * one((2, 5)) + 2 * one((3, 5))
    assert m.ops == m.forward + m.backward + m.optimizer
    assert m.last == one((3, 5))
    assert (m.steps, m.calls, m.counted, m.complete) == (5, 5, 2, True)
    assert m.flops == 2 * m.macs
    assert (m.multiplications, m.total) == (m.ops.multiplications, m.ops.total)


def test_the_profile_is_that_of_what_was_counted_last() -> None:
    model, optimizer = made()
    m = meter(model, optimizer=optimizer)
    assert m.profile is None
    train(model, optimizer, [(2, 5), (3, 5), (2, 5)], m)
    assert m.profile is not None
    assert m.profile.ops == one((3, 5))
    assert m.profile["qkv"].phase("backward").macs == 2 * m.profile["qkv"].phase("forward").macs
    m.forget()
    assert m.profile is None


def test_many_lengths_and_batches_are_by_a_closed_form() -> None:
    random.seed(0)
    sizes = [(random.randint(1, 6), random.randint(2, 40)) for _ in range(50)]
    model, optimizer = made()
    m = meter(model, optimizer=optimizer)
    train(model, optimizer, sizes, m)
    assert m.ops == sum(map(one, sizes), OpCount())
    assert m.counted < 15 < len(set(sizes))


class Padded(Text):
    """It pads to multiples of eight, so that no polynomial holds."""

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        length = tokens.shape[1]
        return super().forward(F.pad(tokens, (0, -length % 8)))[:, :length]


class Branching(Text):
    """Beyond a length it does something more."""

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = super().forward(tokens)
        return x + self.out(self.words(tokens)) if tokens.shape[1] > 100 else x


@pytest.mark.parametrize(("kind", "lengths"), [(Padded, range(3, 20)), (Branching, [*range(3, 14), 110, 120, 12])])
def test_where_no_law_holds_every_size_is_counted(kind: Callable[[], nn.Module], lengths: Iterable[int]) -> None:
    sizes = [(2, length) for length in lengths]
    model, optimizer = made(kind)
    m = meter(model, optimizer=optimizer)
    train(model, optimizer, sizes, m)
    assert m.ops == sum((one(size, kind) for size in sizes), OpCount())


def test_without_sympy_every_size_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Any:
        raise opcount.errors.MissingExtraError("no sympy")

    monkeypatch.setattr("opcount.scaling_laws.fitting.sympy", missing)
    model, optimizer = made()
    m = meter(model, optimizer=optimizer)
    train(model, optimizer, [(1, length) for length in range(2, 14)], m)
    assert m.counted == 12


def test_evaluation_is_a_forward_alone() -> None:
    """What a call is, is told by the mode of the model and of the gradients, or by who observes."""
    layer = nn.Linear(4, 3)
    m = meter(layer)
    x = torch.ones(5, 4)
    with torch.no_grad():
        layer(x)
    layer.eval()
    layer(x)
    layer.train()
    assert (m.evaluation.macs, m.forward.macs, m.backward.macs) == (120, 0, 0)
    layer(x)
    assert m.step().macs == 120
    assert (m.evaluation.macs, m.forward.macs, m.backward.macs) == (120, 60, 60)
    frozen = meter(nn.Linear(4, 3).requires_grad_(False), hook=False)
    frozen.observe(x)
    assert (frozen.forward.macs, frozen.backward.macs) == (60, 0)


def test_accumulated_gradients_are_one_step() -> None:
    model, optimizer = made()
    m = meter(model, optimizer=optimizer)
    for _ in range(2):
        for _ in range(3):
            model(torch.zeros(2, 5, dtype=torch.long)).sum().backward()
        optimizer.step()
        m.step()
    single = profile(Text(), Input((2, 5), "int64"), backward=True, optimizer="adamw")
    assert m.last == 3 * (single.forward + single.backward) + single.optimizer
    assert m.ops == 2 * m.last
    assert m.optimizer == 2 * single.optimizer


@pytest.mark.parametrize("reentrant", [False, True])
def test_a_model_that_is_checkpointed_as_a_whole(reentrant: bool) -> None:
    layer = nn.Linear(4, 4)
    m = meter(layer)
    checkpoint(layer, torch.ones(3, 4, requires_grad=True), use_reentrant=reentrant).sum().backward()
    assert m.macs == 4 * 48  # forward twice, and both gradients
    assert m.step().macs == (3 if reentrant else 4) * 48  # the reentrant kind runs the model without gradients first
    assert m.calls == 2


def test_checkpointing_within_a_model() -> None:
    class Within(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.b(checkpoint(self.a, x, use_reentrant=False))

    model = Within()
    m = meter(model)
    model(torch.ones(3, 4)).sum().backward()
    assert m.calls == 1
    assert m.ops == profile(Within(), (3, 4), backward=True).ops
    assert m.backward.macs == 48 * (5 + 1)


SLOW_WAYS = [pytest.param(way, marks=pytest.mark.slow) for way in ("after", "in place, before", "whole graph")]


@pytest.mark.parametrize("way", ["before", "in place, after", *SLOW_WAYS])
def test_compiled_models(way: str) -> None:
    sizes = [(2, 5), (2, 5), (3, 6)]
    alone = train(*made(), sizes, None)
    torch._dynamo.reset()
    model, optimizer = made()
    called = model
    if way == "in place, before":
        model.compile(backend="eager")
    if way == "before":
        called = torch.compile(model, backend="eager")  # type: ignore[assignment]
    m = meter(called, optimizer=optimizer)
    if way in ("in place, after", "whole graph"):
        model.compile(backend="eager", fullgraph=way == "whole graph")
    if way == "after":
        called = torch.compile(model, backend="eager")  # type: ignore[assignment]
    assert train(called, optimizer, sizes, m) == alone
    assert m.ops == 2 * one((2, 5)) + one((3, 6))
    torch._dynamo.reset()


def test_under_autocast() -> None:
    model, optimizer = made()
    with meter(model, optimizer=optimizer) as m, torch.autocast("cpu", torch.bfloat16):
        train(model, optimizer, [(2, 5)], m)
    assert m.ops == one((2, 5))
    assert m.complete


def test_under_hooks_on_saved_tensors() -> None:
    model, optimizer = made()
    with meter(model, optimizer=optimizer) as m, torch.autograd.graph.save_on_cpu():
        train(model, optimizer, [(2, 5)], m)
    assert m.ops == one((2, 5))


def test_under_other_modes_and_in_a_count() -> None:
    model, optimizer = made()
    m = meter(model, optimizer=optimizer)
    with opcount.tally() as t:
        train(model, optimizer, [(2, 5)], m)
    assert m.ops == one((2, 5))
    assert t.profile.forward.macs == m.forward.macs
    assert profile(model, Input((2, 5), "int64")).macs == m.forward.macs  # a metered model is counted like any other
    assert m.calls == 1


def test_copies_and_what_is_saved_are_not_metered() -> None:
    layer = nn.Linear(4, 3)
    m = meter(layer)
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    for other in (copy.deepcopy(layer), torch.load(file, weights_only=False)):
        other(torch.ones(5, 4))
    assert m.calls == 0
    assert list(layer.state_dict()) == ["weight", "bias"]


def test_keywords_dicts_and_objects() -> None:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x: Any, *, more: Any = None, scale: float = 1.0) -> torch.Tensor:
            return self.fc(x["a"]) + (0 if more is None else self.fc(more[0]))

    model = Pair()
    m = meter(model)
    for scale in (0.1, 0.2):
        model({"a": torch.ones(3, 4)}, scale=scale)
    model({"a": torch.ones(3, 4)}, more=[torch.ones(1, 4)])
    assert m.counted == 2
    assert m.forward.macs == 2 * 48 + 48 + 16


def test_numbers_alone_or_nothing_at_all() -> None:
    class Made(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, rows: int = 2) -> torch.Tensor:
            return self.fc(torch.ones(rows, 4))

    model = Made()
    m = meter(model)
    for arguments in ((3,), (), (3,)):
        model(*arguments)
    assert (m.forward.macs, m.counted) == (8 * 16, 2)


def test_lazy_layers() -> None:
    model = nn.Sequential(nn.LazyLinear(4), nn.Linear(4, 2))
    m = meter(model)
    for _ in range(2):
        model(torch.ones(3, 5))
        assert m.step().macs == 2 * 60 + 3 * 24


def test_a_changed_model_is_counted_anew_when_told() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    m = meter(model, optimizer=optimizer)
    model(torch.ones(3, 4))
    assert m.step().macs == 48 * 5
    model[0].requires_grad_(False)
    m.forget()
    model(torch.ones(3, 4))
    assert m.step() == OpCount(48 * 3 + 20, m.last.additions, macs=48 * 3)
    assert m.macs == 48 * 8
    assert m.counted == 2


def test_what_shapes_cannot_tell_is_said_once_and_training_goes_on() -> None:
    class Asks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(x) if x.sum().item() > 0 else self.fc(-x)

    model = Asks()
    m = meter(model)
    with pytest.warns(UserWarning, match="could not count a call"):
        model(torch.ones(3, 4)).sum().backward()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model(torch.ones(3, 4)).sum().backward()
        model(torch.ones(5, 4)).sum().backward()
    assert not m.complete
    assert "item" in m.uncounted[0]
    assert (m.macs, m.calls) == (0, 3)


def test_bad_input() -> None:
    layer = nn.Linear(4, 4)
    with pytest.raises(InputError, match=r"takes an nn\.Module"):
        meter("model")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="steps no parameter"):
        meter(layer, optimizer=torch.optim.SGD(nn.Linear(4, 4).parameters()))
    with pytest.raises(InputError, match="there is no optimizer 'lion'"):
        meter(layer, optimizer="lion")
    with pytest.raises(InputError, match="a function"):
        meter(layer, loss=3)  # type: ignore[arg-type]
    assert not layer._forward_pre_hooks
    m = meter(layer)
    with pytest.raises(InputError, match="hook=False"):
        m.observe(torch.ones(3, 4))
    with pytest.raises(InputError, match="no step has ended"):
        m.mfu(1.0, 1e12)
    m.step()
    with pytest.raises(InputError, match="seconds and a peak"):
        m.mfu(0.0, 1e12)
    with pytest.raises(InputError, match="takes what the model is called with"):
        meter(layer, hook=False).observe()

    class Chooses(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x).argmax(-1)

    with pytest.raises(InputError, match="give loss="):
        meter(Chooses(4, 4), hook=False).observe(torch.ones(3, 4))


def test_a_loss_of_ones_own() -> None:
    m = meter(nn.Linear(4, 4), hook=False, loss=lambda output: output.square().mean())
    m.observe((3, 4))
    assert m.ops == profile(nn.Linear(4, 4), (3, 4), backward=True, loss=lambda o: o.square().mean()).ops
