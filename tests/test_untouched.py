"""The model is never touched: nothing of it, and nothing of the process, is other than before."""

from __future__ import annotations

import random
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from opcount import profile
from opcount.errors import ForwardError


def fingerprint(model: nn.Module) -> list[Any]:
    """Everything a forward or a counter could change: values, identities, versions, hooks, modes, attributes."""
    seen: list[Any] = []
    for name, module in model.named_modules(remove_duplicate=False):
        seen.append((name, id(module), type(module), module.training, sorted(module.__dict__)))
        for table, entries in module.__dict__.items():
            if table.endswith("_hooks") or table in ("_modules", "_parameters", "_buffers"):
                seen.append((table, [(key, id(value)) for key, value in entries.items()]))
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        lazy = isinstance(tensor, nn.parameter.UninitializedTensorMixin)
        values = None if lazy else (tensor.data_ptr(), tensor._version, tensor.tolist())
        seen.append((name, id(tensor), tensor.requires_grad, tensor.grad, values))
    return seen


def process() -> list[Any]:
    return [
        torch.get_rng_state().tolist(),
        random.getstate(),
        np.random.get_state()[1].tolist(),
        torch.is_grad_enabled(),
        torch.get_default_dtype(),
    ]


class Noisy(nn.Module):
    """Draws from every random state, and leaves grad mode and default dtype changed."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        random.random()
        np.random.random()
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        return x + torch.rand_like(x)


class Caching(nn.Module):
    """Keeps what it computed, changes its own weights, buffers, mode and children."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.register_buffer("seen", torch.zeros(()))
        self.cache: dict[str, Any] = {"last": None}
        self.history: list[Any] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            self.linear.weight.clamp_(-0.1, 0.1)
            self.linear.weight.data.mul_(2)
        self.seen += 1
        self.cache["last"] = x
        self.history.append(x)
        self.extra = nn.Linear(4, 4)
        self.eval()
        return self.linear(x)


class Raising(nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        super().forward(x)
        raise ValueError("half-way")


class Rebinding(nn.Module):
    """Reaches itself through a lambda, a bound method, a partial and a closure's default."""

    def __init__(self) -> None:
        super().__init__()
        import functools

        self.norm = nn.BatchNorm1d(4)
        self.by_lambda = lambda x: self.norm(x)
        self.by_method = self.norm.forward
        self.by_partial = functools.partial(Rebinding.apply_to, self.norm)
        self.hidden = [nn.BatchNorm1d(4).eval()]

    @staticmethod
    def apply_to(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return layer(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.hidden[0](self.by_partial(self.by_method(self.by_lambda(x))))


def hooked() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    calls: list[int] = []
    model[0].register_forward_hook(lambda module, args, output: calls.append(1))
    model.register_forward_pre_hook(lambda module, args: None)
    model[0].weight.register_hook(lambda gradient: gradient)
    return model


def per_module_modes() -> nn.Module:
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(), nn.BatchNorm1d(4)).train()
    model[2].eval()
    return model


def with_gradients() -> nn.Module:
    model = nn.Linear(4, 4)
    model(torch.ones(1, 4)).sum().backward()
    return model


MODELS = {
    "noisy": Noisy,
    "caching": Caching,
    "raising": lambda: Raising(nn.BatchNorm1d(4), nn.Dropout()),
    "rebinding": Rebinding,
    "hooked": hooked,
    "per-module modes": per_module_modes,
    "with gradients": with_gradients,
    "lazy": lambda: nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d(), nn.ReLU()),
    "spectral norm": lambda: parametrizations.spectral_norm(nn.Linear(4, 4)),
    "weight norm": lambda: parametrizations.weight_norm(nn.Linear(4, 4)),
    "old weight norm": lambda: torch.nn.utils.weight_norm(nn.Linear(4, 4)),
    "old spectral norm": lambda: torch.nn.utils.spectral_norm(nn.Linear(4, 4)),
    "recurrent": lambda: nn.GRU(4, 4),
    "encoder": lambda: nn.TransformerEncoderLayer(4, 2, 8, batch_first=True),
}


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("execution", ["auto", "real"])
@pytest.mark.parametrize("name", MODELS)
def test_nothing_changes(name: str, execution: str) -> None:
    torch.manual_seed(1)
    model = MODELS[name]()
    size = (2, 3, 4) if name in ("recurrent", "encoder") else (5, 4)
    inputs = torch.randn(size)
    before = fingerprint(model), process(), inputs.tolist(), inputs._version
    with pytest.raises(ForwardError, match="half-way") if name == "raising" else nullcontext():
        profile(model, inputs, execution=execution)
    assert (fingerprint(model), process(), inputs.tolist(), inputs._version) == before


def test_an_input_changed_in_place_stays() -> None:
    inputs = torch.randn(3, 4)
    kept = inputs.clone()
    profile(nn.ReLU(inplace=True), inputs)
    assert torch.equal(inputs, kept)


def test_rebound_references_are_counted_on_the_clone() -> None:
    model = Rebinding().eval()
    counted = profile(model, (5, 4))
    assert counted["norm"].calls == 2  # the bare forward that was kept calls no hook, but its operator is seen
    assert counted["hidden.0"].calls == 1
    assert counted.multiplications == 4 * 5 * 4
    assert counted.complete


def test_lazy_layers_are_counted_after_they_took_shape() -> None:
    model = nn.Sequential(nn.LazyConv2d(6, 5, padding=2), nn.LazyLinear(3))
    counted = profile(model, (1, 1, 28, 28))
    assert counted["0"].type == "Conv2d"
    assert counted["0"].ops.macs == 117_600
    assert counted.params == 6 * 25 + 6 + 28 * 3 + 3
    assert type(model[0]).__name__ == "LazyConv2d"


def test_deep_models_need_no_recursion() -> None:
    """A chain of 3,000 containers: cloning and walking it may not recurse."""
    from opcount.trace.skeleton import clone

    model: nn.Module = nn.Linear(2, 2)
    for _ in range(3_000):
        model = nn.Sequential(model)
    paths = [path for path, _ in clone(model).modules]
    assert len(paths) == 3_001
    assert paths[-1].count(".") == 2_999


def test_shared_tensors_stay_shared_in_the_clone() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    assert profile(model, (1, 4)).params == 16 + 4 + 4
