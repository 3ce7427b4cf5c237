"""Wrapped models: compiled, replicated, scripted, traced, pruned and sparse, against figures worked out by hand."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import prune

from opcount import OpCount, profile
from opcount.errors import InputError
from opcount.trace.copying import Copier
from opcount.zeros import sparsity

# Two samples through 8 -> 16 -> 4: 2·16 dots of 8 and 2·4 of 16, a bias an output, a comparison a hidden unit.
SIZE = (2, 8)
FIGURES = OpCount(multiplications=384, additions=32 * 7 + 8 * 15 + 40, comparisons=32, macs=384)


def net() -> nn.Sequential:
    """The model of these figures."""
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)).eval()


def compiled_in_place() -> nn.Module:
    model = net()
    model.compile(backend="eager")
    return model


def compiled_part() -> nn.Module:
    first, *rest = net()
    return nn.Sequential(torch.compile(first, backend="eager"), *rest)


def compiled_method() -> nn.Module:
    class Compiled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = net()

        @torch.compile(backend="eager")
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layers(x)

    return Compiled()


WRAPPED = {
    "plain": net,
    "compiled": lambda: torch.compile(net(), backend="eager"),
    "compiled in place": compiled_in_place,
    "a compiled part": compiled_part,
    "a compiled method": compiled_method,
    "DataParallel": lambda: nn.DataParallel(net()),
    "DataParallel of compiled": lambda: nn.DataParallel(torch.compile(net(), backend="eager")),
    "compiled DataParallel": lambda: torch.compile(nn.DataParallel(net()), backend="eager"),
    "scripted": lambda: torch.jit.script(net()),
    "traced": lambda: torch.jit.trace(net(), torch.zeros(SIZE)),
    "a scripted part": lambda: nn.Sequential(torch.jit.script(net())),
}


@pytest.mark.parametrize("execution", ["shapes", "real"])
@pytest.mark.parametrize("kind", WRAPPED)
def test_a_wrapped_model_counts_as_what_is_inside(kind: str, execution: str) -> None:
    counted = profile(WRAPPED[kind](), SIZE, execution=execution)
    assert counted.ops == FIGURES
    assert counted.complete
    assert counted.params == 8 * 16 + 16 + 16 * 4 + 4


@pytest.mark.parametrize("kind", ["compiled", "compiled in place", "DataParallel", "a compiled part"])
def test_the_rows_are_those_of_the_model_inside(kind: str) -> None:
    assert [record.path for record in profile(WRAPPED[kind](), SIZE)] == ["", "0", "1", "2"]


def test_a_replica_says_that_it_is_one() -> None:
    assert profile(nn.DataParallel(net()), SIZE).remarks == ("DataParallel: what one replica does with these inputs",)
    assert profile(net(), SIZE).remarks == ()
    assert "one replica" in str(profile(nn.DataParallel(net()), SIZE))


def test_a_remark_survives_being_written_down() -> None:
    counted = profile(nn.DataParallel(net()), SIZE)
    assert type(counted).from_json(counted.to_json()).remarks == counted.remarks


@pytest.mark.parametrize("kind", ["scripted", "traced"])
def test_what_a_scripted_model_does_belongs_to_it_as_a_whole(kind: str) -> None:
    (record,) = profile(WRAPPED[kind](), SIZE)
    assert (record.path, record.ops) == ("", FIGURES)


@pytest.mark.parametrize("execution", ["shapes", "real"])
def test_a_compiled_function_runs_as_it_is_written(execution: str) -> None:
    calls = []

    @torch.compile(backend="eager", fullgraph=True)
    def activation(x: torch.Tensor) -> torch.Tensor:
        calls.append(torch.compiler.is_compiling())
        return F.gelu(x) * 2

    class Net(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return activation(x)

    counted = profile(Net(), SIZE, execution=execution)
    # gelu is 3 products, a sum and an erf; twice that is one product more: 16 elements
    assert counted.ops == OpCount(multiplications=64, additions=16, transcendentals=16)
    assert calls == [False]


def test_the_compiler_is_left_as_it_was() -> None:
    profile(WRAPPED["compiled"](), SIZE)
    if hasattr(torch.compiler, "set_stance"):
        assert sys.modules["torch._dynamo.eval_frame"]._stance.stance == "default"


def test_fsdp_of_the_first_kind_is_refused() -> None:
    kind: Any = type("FullyShardedDataParallel", (nn.Module,), {})
    kind.__module__ = "torch.distributed.fsdp.fully_sharded_data_parallel"
    with pytest.raises(InputError, match=r"flat pieces.*before it is wrapped"):
        profile(nn.Sequential(kind()), SIZE)


def test_a_pruned_model_counts_dense_and_says_what_zeros_save() -> None:
    model = net()
    weight = torch.zeros(16, 8)
    weight[0, :3] = weight[1, 0] = 1  # two rows with 3 and 1 entries, fourteen without
    with torch.no_grad():
        model[0].weight.copy_(weight)
    prune.custom_from_mask(model[0], "weight", weight != 0)
    found = sparsity(model, SIZE)
    assert found.dense.ops == FIGURES  # the mask is as fixed as the weight, so it costs nothing
    (layer,) = found.layers
    assert (layer.path, layer.weights, layer.zeros) == ("0", 128, 124)
    # dense: 32 dots of 8. Without zeros each sample has one dot of 3 and one of 1: 4 products, 2 sums
    assert layer.dense == OpCount(multiplications=256, additions=224, macs=256)
    assert layer.kept == OpCount(multiplications=8, additions=4, macs=8)
    assert found.saved == OpCount(multiplications=248, additions=220, macs=248)
    assert found.kept.macs == 384 - 248
    assert "124 of 128 weights zero, 248 of 256 MACs" in str(found)
    prune.remove(model[0], "weight")
    assert sparsity(model, SIZE).saved == found.saved


def test_zeros_of_a_kernel_are_left_out_at_every_position() -> None:
    model = nn.Conv2d(2, 3, 3, bias=False)
    with torch.no_grad():
        model.weight.fill_(1.0)
        model.weight[0] = 0
        model.weight[1, 0] = 0
    found = sparsity(nn.Sequential(model), (1, 2, 5, 5))
    # 9 positions: dots of 18, 9 and none instead of three of 18
    assert found.layers[0].kept == OpCount(multiplications=9 * 27, additions=9 * 25, macs=9 * 27)
    assert found.saved.macs == 9 * 27


@pytest.mark.parametrize("layout", ["to_sparse", "to_sparse_csr"])
def test_sparse_weights_count_dense_and_say_so(layout: str) -> None:
    model = net()
    weight = torch.zeros(16, 8)
    weight[:, 0] = 1
    model[0].weight = nn.Parameter(getattr(weight, layout)(), requires_grad=False)
    counted = profile(model, SIZE)
    assert counted.ops == FIGURES
    assert counted.remarks == ("sparse weights counted dense",)
    assert sparsity(model, SIZE).saved.macs == 2 * 16 * 7


def test_layers_whose_zeros_are_not_worked_out_are_named() -> None:
    model = nn.ConvTranspose1d(2, 2, 3)
    nn.init.zeros_(model.weight)
    (layer,) = sparsity(nn.Sequential(model), (1, 2, 5)).layers
    assert layer.kept is None
    assert "not worked out for this kind of layer" in str(sparsity(nn.Sequential(model), (1, 2, 5)))


def test_weights_without_values_have_no_zeros() -> None:
    with torch.device("meta"):
        model = net()
    with pytest.raises(InputError, match="no values"):
        sparsity(model, SIZE)


def test_hooks_that_move_tensors_between_ranks_stay_behind() -> None:
    def hook(module: nn.Module, args: Any) -> None:
        raise AssertionError("a hook of torch.distributed ran")

    hook.__module__ = "torch.distributed.tensor.parallel.style"
    model = net()
    model[0].register_forward_pre_hook(hook)
    assert profile(model, SIZE).ops == FIGURES
    assert not Copier().run(model)[0]._forward_pre_hooks
    assert model[0]._forward_pre_hooks
