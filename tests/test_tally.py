"""Counting code as it runs: by module, by optimizer, by line; on live models, and leaving nothing behind."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules import module as module_calls
from torch.optim import optimizer as optimizers
from torch.utils.checkpoint import checkpoint

import opcount
from opcount import OpCount, mfu, profile, tallied, tally, whole_run
from opcount.errors import InputError


def small() -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))


def loss_of(logits: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(logits, torch.zeros(5, dtype=torch.long))


def test_a_training_loop_is_as_many_profiles_of_a_step() -> None:
    model = small()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with tally() as t:
        for _ in range(3):
            loss_of(model(torch.randn(5, 8))).backward()
            optimizer.step()
            optimizer.zero_grad()
    step = profile(model, (5, 8), backward=True, loss=loss_of)
    assert t.profile.forward == 3 * step.forward
    assert t.profile.backward == 3 * step.backward
    params = 8 * 16 + 16 + 16 * 4 + 4
    assert t.profile["SGD"].phase("optimizer") == t.profile.optimizer == OpCount(3 * params, 3 * params)
    for path in ("0", "1", "2"):
        record = t.profile[f"Sequential.{path}"]
        assert record.phase("forward") == 3 * step[path].phase("forward")
        assert record.phase("backward") == 3 * step[path].phase("backward")
        assert record.calls == 3
        assert record.params == step[path].params
    assert t.profile.complete
    assert "SGD" in str(t.profile)


def test_what_no_module_does_belongs_to_its_line() -> None:
    with tally() as t:
        x = torch.randn(4, 4)
        y = x @ x
        z = y + 1
    assert z.shape == (4, 4)
    lines = [record for record in t.profile.layers if record.type == "line" and record.ops]
    assert [record.ops for record in lines] == [OpCount(64, 48, macs=64), OpCount(additions=16)]
    first, second = (int(record.path.rpartition(":")[2]) for record in lines)
    assert (lines[0].path.partition(":")[0], second - first) == ("test_tally", 1)


def test_nested_and_paused() -> None:
    x = torch.ones(3)
    with tally() as outer:
        _ = x * 2
        with tally() as inner:
            _ = x * 2
        with outer.pause():
            _ = x * 2
            with tally() as hidden:
                _ = x * 2
    assert (outer.profile.multiplications, inner.profile.multiplications, hidden.profile.multiplications) == (6, 3, 3)
    with outer:
        _ = x * 2
    assert outer.profile.multiplications == 9


def test_several_models_of_a_class() -> None:
    first, second = nn.Linear(2, 2), nn.Linear(3, 3)
    with tally() as t:
        first(torch.ones(1, 2))
        second(torch.ones(1, 3))
        first(torch.ones(1, 2))
    assert (t.profile["Linear"].ops.macs, t.profile["Linear#2"].ops.macs) == (8, 9)


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointing_is_part_of_the_backward(reentrant: bool) -> None:
    layers = small()
    x = torch.randn(5, 8, requires_grad=True)
    with tally() as t:
        checkpoint(layers, x, use_reentrant=reentrant).sum().backward()
    plain = profile(layers, x, backward=True)
    assert t.profile.forward.macs == plain.forward.macs
    assert t.profile.backward.macs - plain.backward.macs == 5 * 8 * 16 + (5 * 16 * 4 if reentrant else 0)
    assert t.profile["Sequential.0"].phase("backward").macs == 5 * 8 * 16 * 3


def test_what_is_not_known_is_named() -> None:
    with tally() as t:
        torch.linalg.inv(torch.eye(3))
    assert not t.profile.complete
    assert t.profile.uncounted[0].name == "aten.linalg_inv_ex"


def test_inference_mode_hands_over_whole_operators() -> None:
    with tally() as t, torch.inference_mode():
        F.linear(torch.ones(2, 3), torch.ones(4, 3))
    assert t.profile.macs == 24


def test_other_threads_are_not_seen_and_do_not_disturb() -> None:
    layer = nn.Linear(2, 2)
    with tally() as t:
        thread = threading.Thread(target=layer, args=(torch.ones(1, 2),))
        thread.start()
        thread.join()
        layer(torch.ones(1, 2))
    assert (t.profile.macs, t.profile["Linear"].calls) == (4, 1)


def hooks() -> list[Any]:
    tables = (module_calls._global_forward_pre_hooks, module_calls._global_forward_hooks)
    steps = (optimizers._global_optimizer_pre_hooks, optimizers._global_optimizer_post_hooks)
    return [dict(table) for table in (*tables, module_calls._global_forward_hooks_always_called, *steps)]


def test_nothing_is_left_behind_even_by_an_error() -> None:
    before = hooks()

    class Fails(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ torch.ones(7, 7)

    model = Fails()
    with pytest.raises(RuntimeError), tally() as t:
        model(torch.ones(2, 2))
    assert hooks() == before
    assert not model._forward_hooks
    assert t.profile.macs == 0
    with tally() as t:
        with pytest.raises(RuntimeError):
            model(torch.ones(2, 2))
        _ = torch.ones(3) * 2
    assert [record.type for record in t.profile.layers if record.ops] == ["line"]
    assert torch.utils._python_dispatch._get_current_dispatch_mode_stack() == []


def test_losses_are_the_same_with_and_without() -> None:
    def losses(counting: bool) -> list[float]:
        torch.manual_seed(0)
        model = nn.Sequential(small(), nn.Dropout(0.5)).train()
        optimizer = torch.optim.AdamW(model.parameters())
        found = []
        with tally() if counting else torch.enable_grad():
            for _ in range(3):
                loss = loss_of(model(torch.randn(5, 8)))
                loss.backward()
                optimizer.step()
                found.append(loss.item())
        return found

    assert losses(True) == losses(False)


def test_functions_that_count_themselves() -> None:
    @tallied
    def double(x: torch.Tensor) -> torch.Tensor:
        """Twice."""
        return x * 2

    assert double.last_profile is None
    assert double(torch.ones(4)).tolist() == [2, 2, 2, 2]
    assert double.last_profile.multiplications == 4
    double(torch.ones(2))
    assert double.last_profile.multiplications == 2
    assert double.__doc__ == "Twice."


def test_model_flops_utilization() -> None:
    step = profile(nn.Linear(10, 10), (4, 10), backward=True)
    assert mfu(step, 2.0, 800.0) == 2 * (400 + 400) / 2.0 / 800.0
    for seconds, peak in ((0, 1), (1, 0), (-1, 1), (float("nan"), 1)):
        with pytest.raises(InputError, match="above 0"):
            mfu(step, seconds, peak)
    with pytest.raises(InputError, match="above 0, not '1' and 2"):
        mfu(step, "1", 2)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="a profile or its figures, not int"):
        mfu(3, 1, 2)  # type: ignore[arg-type]


def test_a_whole_run() -> None:
    step = profile(nn.Embedding(9, 3), opcount.Input((4, 5), "int64"), backward=True, optimizer="sgd")
    assert whole_run(step, samples=9, epochs=2).ops == 6 * step.ops
    assert whole_run(step, tokens=41).ops == 3 * step.ops
    for wrong in ({}, {"samples": 3}, {"tokens": 3, "epochs": 1}, {"tokens": -1}, {"samples": 1.5, "epochs": 1}):
        with pytest.raises(InputError):
            whole_run(step, **wrong)
