"""Memory by hand: what lives when, what is moved, what is outside. Elements are float32, 4 bytes, unless said."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import nn
from torch.nn import functional as F

from opcount import Profile, memory, peak_activations, profile
from opcount.errors import ForwardError, InputError, SchemaError, UnknownLayerError
from tests.reference.liveness import high_water


class Calls(nn.Module):
    """A forward given as a function."""

    def __init__(self, function: Callable[..., Any], **modules: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, *args: Any) -> Any:
        return self.function(self, *args)


def bytes_of(function: Callable[..., Any], *sizes: Any, **modules: nn.Module) -> tuple[int, int]:
    """The high-water mark and all bytes ever allocated, the same by shapes and for real."""
    model = Calls(function, **modules)
    found, real = (memory(model, sizes, execution=mode) for mode in ("shapes", "real"))
    assert replace(found, execution=real.execution) == real
    return found.peak_activations, sum(found.activations.values())


X = (5, 10)  # 200 bytes


def test_a_chain_holds_two_neighbours() -> None:
    """Only what a layer reads and what it writes is alive: 5x10 -> 5x20 -> 5x20 -> 5x5."""
    chain = nn.Sequential(nn.Linear(10, 20), nn.Tanh(), nn.Linear(20, 5))
    found = memory(chain, X)
    assert [layer.allocated for layer in found.layers] == [0, 400, 400, 100]
    assert [layer.live for layer in found.layers] == [800, 400, 800, 500]
    assert (found.peak_activations, found.peak_path) == (800, "1")
    assert [(each.path, each.shape, each.bytes) for each in found.held] == [("0", (5, 20), 400), ("1", (5, 20), 400)]
    weights = 4 * (10 * 20 + 20 + 20 * 5 + 5)
    assert (found.weights, found.inputs, found.peak) == ({"float32": weights}, 200, weights + 200 + 800)


def test_views_are_not_counted_twice() -> None:
    def views(_: Any, x: torch.Tensor) -> Any:
        y = x + 1
        return y.T, y.view(10, 5), y[1:], y.chunk(2, dim=1), y.unsqueeze(0).expand(7, 5, 10), y.detach()

    assert bytes_of(views, X) == (200, 200)
    assert memory(nn.Flatten(), X).moved == 0


def test_what_works_in_place_allocates_nothing() -> None:
    assert bytes_of(lambda _, x: (x + 1).relu_().mul_(2).add_(x), X) == (200, 200)
    assert memory(nn.Sequential(nn.Linear(10, 10), nn.ReLU(inplace=True)), X).peak_activations == 200
    assert bytes_of(lambda _, x: torch.add(x, 1, out=torch.empty_like(x)), X) == (200, 200)


def test_what_the_forward_still_holds_lives() -> None:
    def residual(self: Any, x: torch.Tensor) -> torch.Tensor:
        return x.add(1).tanh().add(x.mul(2))  # x + 1, then its tanh; then the product beside the tanh, and the sum

    assert bytes_of(residual, X) == (600, 800)

    def listed(_: Any, x: torch.Tensor) -> list[torch.Tensor]:
        return [x + step for step in range(4)]

    assert bytes_of(listed, X) == (800, 800)

    def overwritten(_: Any, x: torch.Tensor) -> torch.Tensor:
        for step in range(4):
            x = x + step
        return x

    assert bytes_of(overwritten, X) == (400, 800)

    def deleted(_: Any, x: torch.Tensor) -> torch.Tensor:
        y = x + 1
        z = y + 1
        del y
        return z + 1  # beside z alone

    assert bytes_of(deleted, X) == (400, 600)


def test_an_attribute_or_a_closure_keeps_a_tensor() -> None:
    def cached(self: Any, x: torch.Tensor) -> torch.Tensor:
        self.cache = [x + 1]
        return (x + 2) + 3

    model = Calls(cached)
    assert memory(model, (X,)).peak_activations == 600
    assert not hasattr(model, "cache")  # the model is not touched

    def closed(_: Any, x: torch.Tensor) -> torch.Tensor:
        y = x + 1
        later = lambda: y  # noqa: E731
        return (x + 2) + later().sum()

    assert bytes_of(closed, X) == (200 + 200 + 4 + 200, 604)


def test_a_cycle_waits_for_the_garbage_collector_which_is_paused() -> None:
    def cycle(_: Any, x: torch.Tensor) -> torch.Tensor:
        for _step in range(3):
            loop: list[Any] = [x + 1]
            loop.append(loop)
        return x + 2

    assert bytes_of(cycle, X) == (800, 800)


def test_weights_and_buffers_by_element_type() -> None:
    model = nn.Sequential(nn.Linear(10, 10).half(), nn.BatchNorm1d(10)).eval()
    found = memory(Calls(lambda self, x: self.norm(x), norm=model[1], other=model[0]), X)
    assert found.weights == {"float32": 80, "float16": 220}
    assert found.buffers == {"float32": 80, "int64": 8}
    assert found["norm"].weights == 168


def test_what_is_shared_is_counted_once() -> None:
    tied = nn.Sequential(nn.Linear(10, 10, bias=False), nn.Linear(10, 10, bias=False))
    tied[1].weight = tied[0].weight
    assert memory(tied, X).weights == {"float32": 400}
    assert [layer.weights for layer in memory(tied, X).layers] == [0, 400, 0]
    same_storage = nn.Sequential(nn.Linear(10, 10, bias=False), nn.Linear(10, 10, bias=False))
    same_storage[1].weight.data = same_storage[0].weight.data
    assert memory(same_storage, X).weights == {"float32": 400}
    flat = torch.randn(200)
    halves = nn.Sequential(nn.Linear(10, 10, bias=False), nn.Linear(10, 10, bias=False))
    halves[0].weight.data, halves[1].weight.data = flat[:100].view(10, 10), flat[100:].view(10, 10)
    assert memory(halves, X).weights == {"float32": 800}
    expanded = nn.Linear(10, 10, bias=False)
    expanded.weight = nn.Parameter(torch.randn(10, 1).expand(10, 10))
    assert memory(expanded, X).weights == {"float32": 40}


def test_inputs_count_their_memory_once() -> None:
    x = torch.randn(1, 10).expand(100, 10)
    assert memory(nn.Tanh(), x).inputs == 40
    y = torch.randn(5, 10)
    assert memory(Calls(lambda _, a, b: a + b), (y, y)).inputs == 200


# Bytes moved: (activations read, weights read, written) of one module.


def moved(model: nn.Module, *inputs: Any, path: str = "") -> tuple[int, int, int]:
    found = [memory(model, inputs, execution=mode)[path] for mode in ("shapes", "real")]
    assert found[0] == found[1]
    return found[0].reads, found[0].weight_reads, found[0].writes


def test_a_layer_reads_inputs_and_weights_and_writes_outputs() -> None:
    assert moved(nn.Linear(10, 20), X) == (200, 4 * 220, 400)
    assert moved(nn.Conv2d(3, 8, 3), (2, 3, 8, 8)) == (4 * 2 * 3 * 64, 4 * (8 * 27 + 8), 4 * 2 * 8 * 36)
    assert moved(nn.BatchNorm1d(10).eval(), X) == (200, 4 * 40, 200)  # no counter of batches
    assert moved(nn.ReLU(inplace=True), X) == (200, 0, 200)
    assert moved(nn.MaxPool2d(2), (1, 1, 4, 4)) == (64, 0, 16)  # not the places of the maxima
    assert moved(nn.LSTMCell(10, 10), X) == (200, 4 * 880, 400)


@pytest.mark.parametrize("layer", [nn.Identity(), nn.Dropout().eval(), nn.Flatten(0), nn.Unflatten(1, (2, 5))])
def test_what_passes_its_input_on_moves_nothing(layer: nn.Module) -> None:
    assert moved(layer, X) == (0, 0, 0)


def test_an_embedding_reads_the_rows_it_picks() -> None:
    indices = torch.zeros(3, dtype=torch.int64)
    assert moved(nn.Embedding(1000, 8), indices) == (24, 96, 96)
    assert moved(nn.Embedding(2, 8), indices) == (24, 64, 96)  # no more than there are
    table = Calls(lambda self, i: self.table.weight[i], table=nn.Embedding(1000, 8))
    assert moved(table, indices) == (24, 96, 96)


def test_an_operator_reads_what_it_is_given() -> None:
    assert moved(Calls(lambda _, x, y: x + y), X, (10,)) == (240, 0, 200)
    assert moved(Calls(lambda _, x: x * x), X) == (200, 0, 200)
    assert moved(Calls(lambda _, x: torch.cat([x, x + 1])), X) == (200 + 400, 0, 200 + 400)
    assert moved(Calls(lambda _, x: x.T.contiguous()), X) == (200, 0, 200)
    assert moved(Calls(lambda _, x, y: x.expand(50, 10) + y), (1, 10), (50, 10)) == (40 + 2000, 0, 2000)
    assert moved(Calls(lambda _, x: torch.empty_like(x).copy_(x)), X) == (200, 0, 200)
    assert moved(Calls(lambda _, x: (x + 1).add_(x)), X) == (200 + 400, 0, 400)
    assert moved(Calls(lambda _, x: torch.add(x, x, out=torch.empty_like(x))), X) == (200, 0, 200)


def test_attention_is_one_kernel_and_so_is_a_fused_encoder_layer() -> None:
    attention = nn.MultiheadAttention(16, 4, batch_first=True).eval()
    x = torch.randn(2, 5, 16)
    assert moved(Calls(lambda self, x: self.a(x, x, x, need_weights=False), a=attention), x, path="a") == (
        640, 4 * (48 * 16 + 48 + 16 * 16 + 16), 640,
    )  # fmt: skip
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True).eval()
    weights = sum(parameter.nbytes for parameter in layer.parameters())
    assert moved(layer, x) == (640, weights, 640)


def test_bytes_of_rows_sum() -> None:
    found = memory(nn.Sequential(nn.Linear(10, 20), nn.Tanh(), nn.Linear(20, 5)), X)
    assert found.moved == sum((200, 880, 400, 400, 400, 400, 420, 100))
    assert sum(layer.allocated for layer in found.layers) == sum(found.activations.values())


# Against live tensors, where PyTorch takes paths of its own:


CASES: dict[str, tuple[nn.Module, tuple[Any, ...]]] = {
    "lstm": (nn.LSTM(8, 16, 2, bidirectional=True, proj_size=4), (torch.randn(5, 3, 8),)),
    "gru": (nn.GRU(8, 16), (torch.randn(5, 3, 8),)),
    "attention, fast path": (nn.MultiheadAttention(16, 4, batch_first=True).eval(), (torch.randn(2, 5, 16),) * 3),
    "attention, training": (nn.MultiheadAttention(16, 4), (torch.randn(2, 5, 16),) * 3),
    "encoder, fast path": (nn.TransformerEncoderLayer(16, 4, 32, batch_first=True).eval(), (torch.randn(2, 5, 16),)),
    "encoder, training": (nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), (torch.randn(2, 5, 16),)),
    "transformer": (nn.Transformer(16, 4, 1, 1, 32).eval(), (torch.randn(5, 2, 16), torch.randn(4, 2, 16))),
    "attention": (Calls(lambda _, q: F.scaled_dot_product_attention(q, q, q)), (torch.randn(2, 4, 5, 8),)),
    "norm, training": (nn.BatchNorm2d(4), (torch.randn(2, 4, 5, 5),)),
    "bags": (nn.EmbeddingBag(100, 8), (torch.randint(0, 100, (2, 3)),)),
    "einsum": (Calls(lambda _, a: torch.einsum("bij,bkj->bik", a, a)), (torch.randn(2, 3, 4),)),
    "fft": (Calls(lambda _, a: torch.fft.rfft2(a).abs()), (torch.randn(2, 8, 8),)),
    "numbers": (Calls(lambda _, a: a * torch.tensor([1.0, 2.0])), (torch.randn(3, 2),)),
    "asks": (Calls(lambda _, a: (a > 0).nonzero()), (torch.randn(4, 8),)),
    "resized": (Calls(lambda _, a: torch.empty(0).resize_(10, 10)), (torch.randn(4, 8),)),
    "inference mode": (Calls(lambda _, a: torch.inference_mode()(torch.cov)(a)), (torch.randn(4, 8),)),
    "autocast": (
        Calls(lambda self, a: torch.autocast("cpu", torch.bfloat16)(self.linear)(a), linear=nn.Linear(8, 8)),
        (torch.randn(4, 8),),
    ),
    "normed weight": (nn.utils.parametrizations.weight_norm(nn.Linear(8, 9)), (torch.randn(4, 8),)),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", CASES)
def test_equal_to_live_tensors(name: str) -> None:
    model, args = CASES[name]
    found, real = memory(model, args), memory(model, args, execution="real")
    assert replace(found, execution=real.execution) == real
    if name != "inference mode":  # which hands composite operators to the reference in one piece
        assert high_water(model, *args) == (found.peak_activations, sum(found.activations.values()))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.sampled_from(["plain", "in place", "kept", "view"])), min_size=1))
def test_any_chain_is_what_is_alive(steps: list[tuple[int, str]]) -> None:
    """Linear layers of drawn widths, some of whose outputs are worked on in place, kept in a list, or viewed."""
    widths = [4, *(width for width, _ in steps)]
    layers = {f"l{i}": nn.Linear(*pair) for i, pair in enumerate(pairwise(widths))}

    def run(self: Any, x: torch.Tensor) -> torch.Tensor:
        kept = []
        for index, (_, how) in enumerate(steps):
            x = getattr(self, f"l{index}")(x)
            x = x.relu_() if how == "in place" else x.T.T if how == "view" else x
            if how == "kept":
                kept.append(x)
        return x

    model = Calls(run, **layers)
    assert peak_activations(model, ((3, 4),)) == high_water(model, torch.randn(3, 4))[0]


# Wrong and odd input:


def test_the_number_alone_is_the_same() -> None:
    chain = nn.Sequential(nn.Linear(10, 20), nn.Tanh(), nn.Linear(20, 5))
    assert peak_activations(chain, X) == memory(chain, X).peak_activations == 800


def test_gradients_change_nothing() -> None:
    chain = nn.Sequential(nn.Linear(10, 20), nn.Tanh(), nn.Linear(20, 5))
    with torch.enable_grad():
        assert memory(chain, torch.randn(5, 10, requires_grad=True)).peak_activations == 800


def test_a_lazy_layer_and_a_sparse_tensor_run_for_real() -> None:
    found = memory(nn.LazyLinear(20), X)
    assert (found.execution.mode, found.weights, found.activations) == ("real", {"float32": 880}, {"float32": 400})
    sparse = memory(Calls(lambda _, x: torch.sparse.mm(x.to_sparse(), x.T)), torch.eye(4))
    assert sparse.execution.mode == "real"
    assert "sparse" in sparse.execution.reason


def test_errors_say_what_is_wrong() -> None:
    with pytest.raises(InputError, match="not of type"):
        memory(nn.Linear, X)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="'auto', 'shapes' or 'real'"):
        memory(nn.Linear(10, 5), X, execution="quick")
    with pytest.raises(ForwardError, match="Linear"):
        memory(nn.Linear(11, 5), X)
    with pytest.raises(ForwardError, match="execution='real' runs the model"):
        memory(Calls(lambda _, x: x.nonzero()), X, execution="shapes")
    with pytest.raises(InputError, match="no input is known"):
        memory(nn.Linear(10, 5))
    with pytest.raises(UnknownLayerError, match="near it: 0"):
        memory(nn.Sequential(nn.Tanh()), X)["00"]


def test_a_profile_keeps_its_memory_in_json() -> None:
    counted = profile(nn.Sequential(nn.Linear(10, 20), nn.Tanh()), X, memory=True)
    assert counted.memory is not None
    assert Profile.from_json(counted.to_json()) == counted
    plain = profile(nn.Linear(10, 20), X)
    assert plain.memory is None
    assert "memory" not in plain.to_dict()
    data = json.loads(counted.to_json())
    for damage in ({"peak_activations": -1}, {"inputs": 1.5}, {"layers": [{}]}, {"held": 3}):
        with pytest.raises(SchemaError, match="damaged"):
            Profile.from_json(json.dumps(data | {"memory": data["memory"] | damage}))


def test_large_numbers_stay_exact() -> None:
    counted = profile(nn.Identity(), X, memory=True)
    assert counted.memory is not None
    huge = replace(counted, memory=replace(counted.memory, inputs=2**60 + 1))
    assert Profile.from_json(huge.to_json()) == huge
