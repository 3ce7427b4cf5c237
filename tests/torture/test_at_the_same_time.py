"""Counting while something else goes on: other threads, other modes, a training loop, a user's own hooks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from opcount import OpCount, profile
from opcount.errors import ForwardError
from opcount.trace.guard import nothing_compiled
from tests.torture import fingerprint

EXECUTIONS = ["auto", "real"]
pytestmark = pytest.mark.filterwarnings("ignore")


def network(width: int = 8) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, 2 * width), nn.BatchNorm1d(2 * width), nn.ReLU(), nn.Dropout(), nn.Linear(2 * width, width)
    )


def in_threads(*works: Callable[[], Any], times: int = 20) -> list[list[Any]]:
    """What each work returns each time, all of them at once; what one raises is raised here."""
    results: list[list[Any]] = [[] for _ in works]
    errors: list[BaseException] = []
    together = threading.Barrier(len(works))

    def run(work: Callable[[], Any], into: list[Any]) -> None:
        try:
            together.wait()
            into.extend(work() for _ in range(times))
        except BaseException as error:  # told of in the thread that asked
            errors.append(error)

    threads = [threading.Thread(target=run, args=pair) for pair in zip(works, results, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_two_threads_two_models(execution: str) -> None:
    small, large = network(4), network(16)
    alone = [profile(model, (3, width), execution=execution).ops for model, width in ((small, 4), (large, 16))]
    before = fingerprint.of_process()
    first, second = in_threads(
        lambda: profile(small, (3, 4), execution=execution).ops,
        lambda: profile(large, (3, 16), execution=execution).ops,
    )
    assert set(first) == {alone[0]}
    assert set(second) == {alone[1]}
    assert fingerprint.differences(before, fingerprint.of_process()) == []


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_two_threads_one_model(execution: str) -> None:
    model = network()
    alone = profile(model, (3, 8), execution=execution).ops
    before = fingerprint.of_model(model), fingerprint.of_process()
    counted = in_threads(*[lambda: profile(model, (3, 8), execution=execution).ops] * 2)
    assert {ops for part in counted for ops in part} == {alone}
    assert fingerprint.differences(before[0], fingerprint.of_model(model)) == []
    assert fingerprint.differences(before[1], fingerprint.of_process()) == []


@pytest.mark.skipif(not hasattr(torch.compiler, "set_stance"), reason="before PyTorch 2.6 the compiler has no stance")
def test_the_compiler_is_given_back_by_counts_that_overlap() -> None:
    """The second begins before the first ends and ends after it: each alone would put back what the other had set."""
    import_module("torch._dynamo")
    assert fingerprint.of_process()["compiler"] == "default"
    first, second = nothing_compiled(), nothing_compiled()
    first.__enter__()
    second.__enter__()
    assert fingerprint.of_process()["compiler"] == "force_eager"
    first.__exit__(None, None, None)
    assert fingerprint.of_process()["compiler"] == "force_eager"
    second.__exit__(None, None, None)
    assert fingerprint.of_process()["compiler"] == "default"


def trained(steps: int, between: Callable[[nn.Module], None]) -> tuple[list[float], list[Tensor]]:
    """The losses of a short training, and the weights it ends with."""
    torch.manual_seed(3)
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(steps):
        batch = torch.randn(16, 8)
        with torch.autocast("cpu", torch.bfloat16):
            loss = (model(batch) - batch).square().mean()
        between(model)
        optimizer.zero_grad()
        loss.backward()
        between(model)
        optimizer.step()
        losses.append(loss.item())
    return losses, [parameter.detach().clone() for parameter in model.parameters()]


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_a_training_loop_is_not_disturbed(execution: str) -> None:
    """Counted twice in every step, between forward and backward too: the same losses and weights to the last bit."""
    plain = trained(5, lambda model: None)
    counted = trained(5, lambda model: (profile(model, (4, 8), execution=execution), None)[1])
    assert counted[0] == plain[0]
    assert all(map(torch.equal, counted[1], plain[1]))


def test_a_model_that_another_thread_trains_is_not_disturbed() -> None:
    """The losses are those of an undisturbed training, and every count is right."""
    plain, _ = trained(30, lambda model: None)
    ready, done = threading.Event(), threading.Event()
    shared: list[nn.Module] = []
    counted: list[OpCount] = []

    def count() -> None:
        ready.wait()
        while not done.is_set():
            counted.append(profile(shared[0], (4, 8)).ops)

    def share(model: nn.Module) -> None:
        if not shared:
            shared.append(model)
            ready.set()
        while len(counted) < 3 and thread.is_alive():
            thread.join(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    losses, _ = trained(30, share)
    done.set()
    thread.join()
    assert losses == plain
    assert set(counted) == {profile(network().train(), (4, 8)).ops}


class Doubling(TorchDispatchMode):
    """Another dispatch mode, which looks on."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen += 1
        return func(*args, **(kwargs or {}))


class Looking(TorchFunctionMode):
    """Another function mode, which looks on."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


AROUND: dict[str, Callable[[], list[Any]]] = {
    "inference mode": lambda: [torch.inference_mode()],
    "no grad": lambda: [torch.no_grad()],
    "a dispatch mode": lambda: [Doubling()],
    "a function mode": lambda: [Looking()],
    "PyTorch's own counter": lambda: [FlopCounterMode(display=False)],
    "autocast": lambda: [torch.autocast("cpu", torch.bfloat16)],
    "anomaly detection": lambda: [torch.autograd.set_detect_anomaly(True)],
    "a default device": lambda: [torch.device("meta")],
    "deterministic algorithms": lambda: [torch.random.fork_rng(devices=[])],
    "all of it": lambda: [torch.inference_mode(), Doubling(), Looking(), torch.autocast("cpu", torch.bfloat16)],
}


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("name", AROUND)
def test_within_something_else(name: str, execution: str) -> None:
    model = network()
    alone = profile(model, (3, 8), execution=execution).ops
    with ExitStack() as around:
        for context in AROUND[name]():
            around.enter_context(context)
        before = fingerprint.of_model(model), fingerprint.of_process()
        assert profile(model, (3, 8), execution="auto" if name == "a default device" else execution).ops == alone
        assert fingerprint.differences(before[0], fingerprint.of_model(model)) == []
        assert fingerprint.differences(before[1], fingerprint.of_process()) == []


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_counting_within_a_count(execution: str) -> None:
    """A forward that profiles: the outer count has what the outer forward does, the inner one its own."""

    class Asks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 8, bias=False)
            self.inner = network()
            self.answers: list[int] = []

        def forward(self, x: Tensor) -> Tensor:
            self.answers.append(profile(self.inner, (3, 8), execution=execution).macs)
            assert self.answers[-1] == 3 * 2 * 8 * 16
            return self.layer(x)

    model = Asks()
    counted = profile(model, (5, 8), execution=execution)
    assert counted["layer"].ops.macs == 5 * 64
    assert counted.macs == 5 * 64
    assert model.answers == []


def raising(module: nn.Module, args: Any, output: Any = None) -> None:
    raise LookupError("a hook's own trouble")


HOOKS: dict[str, Callable[[nn.Module], Any]] = {
    "before": lambda model: model[0].register_forward_pre_hook(lambda module, args: raising(module, args)),
    "after": lambda model: model[0].register_forward_hook(raising),
    "always": lambda model: model[0].register_forward_hook(raising, always_call=True),
    "on the root": lambda model: model.register_forward_hook(raising),
}


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("where", HOOKS)
def test_hooks_that_raise(where: str, execution: str) -> None:
    model = network()
    HOOKS[where](model)
    before = fingerprint.of_model(model), fingerprint.of_process()
    with pytest.raises(ForwardError, match="a hook's own trouble"):
        profile(model, (3, 8), execution=execution)
    assert fingerprint.differences(before[0], fingerprint.of_model(model)) == []
    assert fingerprint.differences(before[1], fingerprint.of_process()) == []


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_hooks_that_replace_outputs(execution: str) -> None:
    """What comes after works on what the hook made; what the hook computes belongs to the layer's caller."""
    model = nn.Sequential(nn.Linear(4, 8, bias=False), nn.Linear(4, 2, bias=False))
    model[0].register_forward_hook(lambda module, args, output: output[:, :4] * 3)
    counted = profile(model, (5, 4), execution=execution)
    assert counted.macs == 5 * (4 * 8 + 4 * 2)
    assert counted.multiplications == 5 * (4 * 8 + 4 * 2) + 5 * 4


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_hooks_on_all_modules_at_once(execution: str) -> None:
    """What they compute belongs to whoever called the layer: a rule owns the layer's own forward and no more."""
    model = nn.Sequential(nn.Linear(4, 8, bias=False))
    handles = [
        register_module_forward_pre_hook(lambda module, args: (args[0] * 2,)),
        register_module_forward_hook(lambda module, args, output: output * 3),
    ]
    try:
        counted = profile(model, (5, 4), execution=execution)
    finally:
        for handle in handles:
            handle.remove()
    assert counted["0"].ops.multiplications == 5 * 4 * 8
    assert counted.multiplications == 5 * 4 * 8 + 2 * 5 * 4 + 5 * 8 + 5 * 8
    assert counted.macs == 5 * 4 * 8


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_hooks_that_remove_themselves(execution: str) -> None:
    model = network()
    handle: list[Any] = []

    def once(module: nn.Module, args: Any, output: Tensor) -> None:
        handle[0].remove()

    handle.append(model[0].register_forward_hook(once))
    right = profile(network(), (3, 8), execution=execution).ops
    assert profile(model, (3, 8), execution=execution).ops == right
    assert model(torch.randn(3, 8)).shape == (3, 8)
