"""Layers in a row, which are not copied until somebody looks at one: whoever does must find what there would be."""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from hypothesis import given, strategies as st
from torch import Tensor, nn

from opcount import profile, rule
from opcount.ops import Term
from opcount.rules.registry import LAYERS
from opcount.trace.skeleton import Skeleton, clone
from opcount.trace.stubs import chain_finder
from opcount.trace.vacancy import Vacant


def block(channels: int = 3) -> nn.Sequential:
    """A convolution, what normalizes it, and what follows."""
    return nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU(), nn.Dropout())


def cloned(model: nn.Module) -> Skeleton:
    """A clone of shapes, with its chains not copied."""
    return clone(model, shapes_only=True, vacant=Vacant(), chained=chain_finder())


def copied(model: nn.Module) -> list[str]:
    """The paths of what is copied at once."""
    return [path for path, _ in cloned(model).modules]


def both_ways(model: nn.Module, *sizes: int) -> None:
    """By shapes as by running, in every row."""
    model = model.eval()
    before = {path: dict(module.__dict__) for path, module in model.named_modules()}
    by_shapes, real = (profile(model, sizes or (2, 3, 8, 8), execution=how) for how in ("shapes", "real"))
    assert by_shapes.layers == real.layers
    for path, module in model.named_modules():
        assert module.__dict__ == before[path]


def test_what_is_in_a_row_is_copied_by_no_one() -> None:
    model = nn.Sequential(block(), nn.Sequential(block(), nn.ReLU()))
    assert copied(model) == ["", "0", "1", "1.0", "1.1"]
    both_ways(model)


class Acting(nn.Module):
    """Two chains, with something done between two calls of both."""

    def __init__(self, act: Callable[[Any], object]) -> None:
        super().__init__()
        self.act = act
        self.one, self.two = block(), block()

    def forward(self, x: Tensor) -> Tensor:
        x = self.two(self.one(x))
        self.act(self)
        return self.two(self.one(x))  # type: ignore[no-any-return]


def doubled(module: nn.Module, args: Any, output: Tensor) -> Tensor:
    return output * 2


def read_a_weight(model: Any) -> None:
    assert model.one[0].weight.shape == (3, 3, 3, 3)
    assert model.one[0].stride == (1, 1)
    assert type(model.one[0].weight) is nn.Parameter


def look_at_all(model: Any) -> None:
    assert [name for name, _ in model.one.named_modules()] == ["", "0", "1", "2", "3"]
    assert [type(each) for each in model.one.children()] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Dropout]
    assert len(model.one) == 4
    assert "2" in model.one._modules
    assert sorted(model.one.state_dict()) == sorted(dict(model.two.state_dict()))
    assert list(model.one) == list(model.one._modules.values())
    assert model.one[2] is model.one[2] is list(model.one)[2]


def call_one(model: Any) -> None:
    model.one[2](torch.zeros(1, 3, 4, 4))


def call_part(model: Any) -> None:
    model.one[:2](torch.zeros(1, 3, 4, 4))


def hook_one(model: Any) -> None:
    model.one[1].register_forward_hook(doubled)


def hook_the_chain(model: Any) -> None:
    model.one.register_forward_hook(doubled)


def replace_one(model: Any) -> None:
    model.one[2] = nn.Sigmoid()


def replace_by_name(model: Any) -> None:
    model.one._modules["0"] = nn.Conv2d(3, 3, 1)


def put_in(model: Any) -> None:
    model.one._modules.update({"2": nn.Tanh()})


def take_away(model: Any) -> None:
    del model.one[2]


def take_the_last(model: Any) -> None:
    model.one.pop(-1)
    model.one._modules.popitem()


def clear(model: Any) -> None:
    model.one._modules.clear()


def append(model: Any) -> None:
    model.one.append(nn.Tanh())


def insert(model: Any) -> None:
    model.one.insert(1, nn.Tanh())


def train(model: Any) -> None:
    model.one.train()


def change_one(model: Any) -> None:
    model.one[0].padding = (2, 2)


def widen(model: Any) -> None:
    model.one[0].weight = nn.Parameter(torch.zeros(3, 3, 1, 1))


def copy_it(model: Any) -> None:
    model.one = copy.deepcopy(model.one)
    model.one[0].padding = (0, 0)


def share(model: Any) -> None:
    model.two = model.one


def share_a_layer(model: Any) -> None:
    model.two[0] = model.one[0]


def run_its_forward(model: Any) -> None:
    model.one.forward(torch.zeros(1, 3, 4, 4))


def given_another_forward(model: Any) -> None:
    model.one.forward = lambda x: model.one[0](x) + 1


def made_another_class(model: Any) -> None:
    model.one.__class__ = Adding


def call_all_of(table: dict[str, nn.Module]) -> None:
    assert [type(layer) for layer in table.values()] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Dropout]
    for layer in table.values():
        layer(torch.zeros(1, 3, 4, 4))


def make_a_dictionary(model: Any) -> None:
    call_all_of(dict(model.one._modules))


def unpack_into_a_dictionary(model: Any) -> None:
    call_all_of({**model.one._modules})


def update_a_dictionary(model: Any) -> None:
    table: dict[str, nn.Module] = {}
    table.update(model.one._modules)
    call_all_of(table)


def join_dictionaries(model: Any) -> None:
    call_all_of(model.one._modules | {})
    call_all_of({} | model.one._modules)


def copy_its_table(model: Any) -> None:
    call_all_of(copy.copy(model.one._modules))
    assert copy.copy(model.one[0]._parameters)["weight"].shape == (3, 3, 3, 3)


def read_its_tensors_at_once(model: Any) -> None:
    assert [tensor.dim() for tensor in dict(model.one[0]._parameters).values()] == [4, 1]


def join_into(model: Any) -> None:
    model.one._modules |= {"4": nn.Tanh()}


def take_the_table_of_another(model: Any) -> None:
    model.one.__dict__["_modules"] = dict(model.two._modules)


ACTS = (
    *(read_a_weight, look_at_all, call_one, call_part, hook_one, hook_the_chain, replace_one, replace_by_name, put_in),
    *(take_away, take_the_last, clear, append, insert, train, change_one, widen, copy_it, share, share_a_layer),
    *(run_its_forward, given_another_forward, made_another_class, make_a_dictionary, unpack_into_a_dictionary),
    *(update_a_dictionary, join_dictionaries, copy_its_table, read_its_tensors_at_once, join_into),
    take_the_table_of_another,
)


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
def test_whatever_a_forward_does_to_a_chain_counts_as_it_runs(act: Callable[[Any], object]) -> None:
    both_ways(Acting(act))


@contextmanager
def hooked(see: Callable[..., object]) -> Iterator[None]:
    handle = nn.modules.module.register_module_forward_hook(see)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def called_by(see: Callable[..., object]) -> Iterator[None]:
    before: Any = nn.Module.__call__

    def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        see(module)
        return before(module, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.Module, "__call__", call)
        yield


@pytest.mark.parametrize("looked_on", [hooked, called_by])
def test_a_forward_may_look_on_at_all_calls(looked_on: Callable[..., Any]) -> None:
    seen: list[str] = []

    def look_on(model: Any) -> None:
        seen.clear()
        with looked_on(lambda module, *_: seen.append(type(module).__name__)):
            model.one(torch.zeros(1, 3, 4, 4))
        assert sorted(seen) == ["BatchNorm2d", "Conv2d", "Dropout", "ReLU", "Sequential"]

    both_ways(Acting(look_on))


def test_a_forward_may_change_what_all_layers_of_a_class_do() -> None:
    def act(model: Any) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(nn.ReLU, "forward", lambda layer, x: x * 2)
            model.one(torch.zeros(1, 3, 4, 4))

    both_ways(Acting(act))


class Sharing(nn.Module):
    """Chains that have a layer in common with each other, with the model, or with a list that nobody sees."""

    def __init__(self) -> None:
        super().__init__()
        self.act, norm, hidden = nn.ReLU(), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1)
        self.one = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), norm, self.act)
        self.two = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), norm)
        self.three = nn.Sequential(hidden, nn.Tanh())
        self.four = nn.Sequential(nn.Sigmoid(), nn.Hardswish())
        self.kept = [hidden]
        self.two[0].weight = self.one[0].weight

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.four(self.three(self.two(self.one(x))))) + self.kept[0](x)  # type: ignore[no-any-return]


def test_layers_that_are_in_other_places_too_are_one() -> None:
    model = Sharing()
    assert copied(model).count("two.1") == 1
    assert "four.0" not in copied(model)
    both_ways(model)
    counted = profile(model.eval(), (2, 3, 8, 8))
    assert counted["one.1"].aliases == ("two.1",)
    assert (counted["one.1"].calls, counted["act"].calls) == (2, 2)


class Holding(nn.Module):
    """Something with a chain in it."""

    def __init__(self, chain: nn.Sequential) -> None:
        super().__init__()
        self.chain = chain

    def forward(self, x: Tensor) -> Tensor:
        return self.chain(x)  # type: ignore[no-any-return]


def test_a_chain_in_several_places_is_counted_under_the_first() -> None:
    chain = block()
    model = nn.Sequential(Holding(chain), Holding(chain))
    both_ways(model)
    counted = profile(model, (2, 3, 8, 8))
    assert counted["0.chain"].aliases == ("1.chain",)
    assert counted["0.chain.0"].calls == 2
    assert counted.macs == counted["0.chain.0"].ops.macs > 0


class Keeping(nn.Module):
    """Holds a chain in a list that nobody sees, before what it is a child of."""

    def __init__(self) -> None:
        super().__init__()
        self.held = Holding(block())
        self.kept = [self.held.chain]

    def forward(self, x: Tensor) -> Tensor:
        self.kept[0][0](x)
        return self.held(self.kept[0](x))  # type: ignore[no-any-return]


def test_a_chain_that_is_hidden_too_is_counted_as_the_child_that_it_is() -> None:
    both_ways(Keeping())


class Hollow(nn.ReLU):
    """A layer that is false."""

    def __len__(self) -> int:
        return 0


def test_a_layer_that_is_false_is_copied_all_the_same() -> None:
    shared = Hollow()
    both_ways(nn.Sequential(nn.Sequential(nn.Conv2d(3, 3, 1), shared), shared))


class Backwards(nn.Sequential):
    """Goes through its layers the other way."""

    def __iter__(self) -> Any:
        return reversed(list(self._modules.values()))


class Adding(nn.Sequential):
    """Does more than its layers."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + x


class Named(nn.Sequential):
    """A chain under another name."""


@pytest.mark.parametrize("kind", [Backwards, Adding, Named])
def test_what_derives_from_a_chain_is_one_if_it_runs_like_one(kind: type[nn.Sequential]) -> None:
    model = nn.Sequential(kind(*block()))
    assert ("0.0" in copied(model)) == (kind is not Named)
    both_ways(model)


@pytest.mark.parametrize(
    "odd",
    [
        nn.Sequential(nn.Conv2d(3, 3, 1), nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 3, 1))),
        nn.Sequential(nn.LazyConv2d(3, 1), nn.ReLU()),
        nn.Sequential(nn.ReLU(), nn.Sequential()),
        nn.Sequential(nn.ReLU(), nn.Sequential(nn.ReLU())),
        nn.Sequential(nn.MultiheadAttention(4, 2)),
    ],
    ids=["parametrized", "lazy", "empty", "nested", "with a layer in it"],
)
def test_what_is_not_plain_is_copied(odd: nn.Sequential) -> None:
    assert any(path.startswith("0") for path in copied(odd))


def test_hooked_layers_are_copied_with_their_hooks() -> None:
    model = nn.Sequential(block(), block())
    model[0][2].register_forward_hook(doubled)
    model[1].register_forward_pre_hook(lambda module, args: (args[0] * 2,))
    assert copied(model) == [path for path, _ in model.named_modules()]
    by_shapes, real = (profile(model.eval(), (2, 3, 8, 8), execution=how) for how in ("shapes", "real"))
    assert by_shapes.layers == real.layers


def test_global_hooks_see_every_layer() -> None:
    seen = []
    handle = nn.modules.module.register_module_forward_hook(lambda module, args, output: seen.append(type(module)))
    try:
        profile(nn.Sequential(block()).eval(), (2, 3, 8, 8), execution="shapes")
    finally:
        handle.remove()
    assert [kind.__name__ for kind in seen] == ["Conv2d", "BatchNorm2d", "ReLU", "Dropout", "Sequential", "Sequential"]


def test_a_rule_for_chains_is_asked() -> None:
    class Fused(nn.Sequential):
        pass

    @rule(Fused)
    def fused(layer: Any, call: Any) -> Any:
        yield Term("each", count=call.output.elements, multiplications=1)

    try:
        counted = profile(nn.Sequential(Fused(nn.Tanh(), nn.ReLU())), (2, 3))
        assert (counted.multiplications, counted.ops.transcendentals) == (6, 0)
        assert counted["0.0"].calls == 1
    finally:
        del LAYERS[Fused]


def test_a_chain_of_nothing_gives_back_the_very_tensor() -> None:
    class Keeping(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.nothing, self.some = (
                nn.Sequential(nn.Identity(), nn.Identity()),
                nn.Sequential(nn.Identity(), nn.ReLU()),
            )

        def forward(self, x: Tensor) -> Tensor:
            assert self.nothing(x) is x
            assert self.some(x) is not x
            return x

    both_ways(Keeping(), 2, 3)


def test_what_does_not_fit_is_told_of_the_layer() -> None:
    model = nn.Sequential(nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(6, 2)))
    with pytest.raises(Exception, match=r"0\.2 \(Linear\) failed on 2x5"):
        profile(model, (2, 4))


BORN: list[weakref.ref[Any]] = []


def remember(model: Any) -> None:
    """Keep an eye on the clone."""
    BORN.extend(weakref.ref(module) for module in (model, model.one, *model.one))


def test_nothing_of_a_chain_waits_for_the_garbage_collector() -> None:
    model = Acting(remember).eval()
    profile(model, (2, 3, 8, 8))
    BORN.clear()
    gc.disable()
    try:
        profile(model, (2, 3, 8, 8))
        gc.disable()
        assert len(BORN) == 6
        assert all(each() is None for each in BORN)
    finally:
        gc.enable()


def test_weights_are_not_held_by_what_was_counted() -> None:
    model: Any = nn.Sequential(block()).eval()
    weight = weakref.ref(model[0][0].weight)
    counted = profile(model, (2, 3, 8, 8))
    del model
    gc.collect()
    assert weight() is None
    assert counted["0.0"].params == 84


LAYERS_OF_FOUR: list[Callable[[], nn.Module]] = [
    *(lambda: nn.Conv2d(4, 4, 3, padding=1), lambda: nn.Conv2d(4, 4, 1, bias=False), lambda: nn.Conv2d(4, 4, 2)),
    *(lambda: nn.BatchNorm2d(4), lambda: nn.GroupNorm(2, 4), nn.ReLU, nn.Sigmoid, nn.Identity, nn.Dropout, nn.GELU),
    *(lambda: nn.MaxPool2d(2), lambda: nn.AvgPool2d(2, ceil_mode=True), lambda: nn.AdaptiveAvgPool2d(3)),
    *(lambda: nn.Softmax2d(), lambda: nn.PReLU(4), lambda: nn.Upsample(5), lambda: nn.ZeroPad2d(1)),
    lambda: nn.Sequential(nn.ReLU(), nn.Conv2d(4, 4, 1)),
]


@given(st.lists(st.sampled_from(LAYERS_OF_FOUR), min_size=1, max_size=7), st.integers(6, 9), st.booleans())
def test_any_chain_counts_as_it_runs(kinds: list[Callable[[], nn.Module]], size: int, training: bool) -> None:
    model = nn.Sequential(nn.Sequential(*(kind() for kind in kinds))).train(training)
    try:
        real = profile(model, (2, 4, size, size), execution="real")
    except Exception as error:
        with pytest.raises(type(error)):
            profile(model, (2, 4, size, size), execution="shapes")
        return
    assert profile(model, (2, 4, size, size), execution="shapes").layers == real.layers
