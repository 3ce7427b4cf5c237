"""The peak of what is known without running it, against PyTorch's live tensors; and what it keeps its hands off."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import nn
from torch.nn import functional as F

from opcount import memory, peak_activations
from opcount.inputs import call_arguments
from opcount.trace.liveness import Unsure, run_known
from opcount.trace.skeleton import clone
from opcount.trace.storages import Storages
from tests.reference.liveness import high_water
from tests.test_memory import CASES, Calls


def known(model: nn.Module, *args: Any) -> int:
    """The peak by the short way alone."""
    given, keywords = call_arguments(model, args, None, shapes_only=True)
    storages = Storages(values=False)
    storages.know(given)
    run_known(clone(model, shapes_only=True), given, keywords, storages)
    return storages.peak


def test_by_hand() -> None:
    """Convolution 2·4·8·8 numbers, norm as many; with 4 bytes each. In place nothing is added."""
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten()).eval()
    assert known(model, (2, 3, 8, 8)) == 2 * 4 * (2 * 4 * 8 * 8)
    kept = Calls(lambda self, x: (x, self.one(x), self.one(x), self.one(x)), one=nn.Linear(10, 7))
    assert known(kept, (5, 10)) == 3 * 4 * 35


STEPS: dict[str, Any] = {
    "convolution": lambda c, d: nn.Conv2d(c, d, 3, padding=1),
    "depthwise": lambda c, _: nn.Conv2d(c, c, 3, padding=1, groups=c, bias=False),
    "same": lambda c, d: nn.Conv2d(c, d, 4, padding="same"),
    "channels last": lambda c, d: nn.Conv2d(c, d, 3, padding=1).to(memory_format=torch.channels_last),
    "norm": lambda c, _: nn.BatchNorm2d(c).eval(),
    "norm, training": lambda c, _: nn.BatchNorm2d(c).train(),
    "relu": lambda *_: nn.ReLU(),
    "in place": lambda *_: nn.Hardswish(inplace=True),
    "gelu": lambda *_: nn.GELU(),
    "sigmoid": lambda *_: nn.Sigmoid(),
    "pool": lambda *_: nn.MaxPool2d(3, 1, 1),
    "average": lambda *_: nn.AvgPool2d(3, 1, 1),
    "adaptive": lambda *_: nn.AdaptiveAvgPool2d((4, 6)),
    "residual": lambda c, _: Calls(lambda self, x: x + self.inner(x), inner=nn.Conv2d(c, c, 1)),
    "gate": lambda c, _: Calls(lambda self, x: x * self.inner(F.adaptive_avg_pool2d(x, 1)), inner=nn.Conv2d(c, c, 1)),
    "halves": lambda *_: Calls(lambda _, x: torch.cat(x.chunk(2, 2), 2)),
    "turned": lambda *_: Calls(lambda _, x: x.transpose(2, 3)),
    "linear": lambda *_: Calls(lambda self, x: self.linear(x), linear=nn.Linear(6, 6)),
    "linear, turned": lambda *_: Calls(lambda self, x: self.linear(x.transpose(2, 3)), linear=nn.Linear(6, 6, False)),
    "layer norm": lambda *_: nn.LayerNorm(6),
    "dropout": lambda *_: nn.Dropout().eval(),
}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(1, 5)), min_size=1, max_size=7))
def test_any_network_is_what_is_alive(steps: list[tuple[str, int]]) -> None:
    layers, channels = [], 3
    for name, width in steps:
        layers.append(STEPS[name](channels, width))
        channels = width if name in ("convolution", "same", "channels last") else channels
    model = nn.Sequential(*layers)
    assert known(model, (2, 3, 6, 6)) == high_water(model, torch.randn(2, 3, 6, 6))[0]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", CASES)
def test_it_is_right_or_unsure(name: str) -> None:
    model, args = CASES[name]
    expected = memory(model, args, execution="real").peak_activations
    try:
        assert known(model, *args) == expected
    except Unsure:
        assert peak_activations(model, args) == expected


def swallowing(self: Any, x: torch.Tensor) -> torch.Tensor:
    """A forward that goes another way where something fails, as it would not for real."""
    try:
        return x + (x.sum() > 0).item()
    except Exception:
        return torch.cat([x] * 9)


@pytest.mark.parametrize(
    "model",
    [
        Calls(lambda _, x: torch.cat([x, x]) if x.device.type == "cpu" else x),
        Calls(lambda _, x: torch.cat([x, x]) if x.is_cpu else x),
        Calls(swallowing),
        Calls(lambda _, x: x * torch.rand(8)),
        Calls(lambda _, x: F.softmax(x, -1)),
        Calls(lambda self, x: torch.vmap(self.layer)(x), layer=nn.Linear(8, 4)),
        nn.Dropout().train(),
        nn.Sequential(nn.LSTM(8, 8)),
    ],
    ids=["device", "is_cpu", "swallowing", "random", "softmax", "vmap", "dropout", "lstm"],
)
def test_what_it_cannot_know_is_left_to_a_whole_run(model: nn.Module, request: pytest.FixtureRequest) -> None:
    with pytest.raises(Unsure):
        known(model, (5, 8))
    if request.node.callspec.id not in ("swallowing", "vmap"):  # which a whole run without values cannot tell either
        assert peak_activations(model, (5, 8)) == memory(model, (5, 8), execution="real").peak_activations


def test_the_model_is_as_it_was() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())
    before = dict(model[0].__dict__), torch.get_rng_state()
    peak_activations(model, (1, 3, 8, 8))
    assert model[0].__dict__ == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])
