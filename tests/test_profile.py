"""What goes into ``profile`` and what comes out of it."""

from __future__ import annotations

import copy
import json
import pickle
import sys
import threading
from collections import OrderedDict
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, strategies as st
from torch import Tensor, nn

from lenet.models import Depthwise, Regular
from opcount import Convention, Input, LayerRecord, OpCount, OpCountError, Profile, profile
from opcount.errors import ForwardError, InputError, SchemaError, UnknownLayerError
from opcount.ops import FIGURES


class Adds(nn.Module):
    """Takes several arguments in any form."""

    def forward(self, a: Tensor, b: Tensor | None = None, *, c: dict[str, list[Tensor]] | None = None) -> Tensor:
        a = a if b is None else a + b
        return a if c is None else a * c["x"][0]


@pytest.mark.parametrize(
    ("inputs", "kwargs", "expected"),
    [
        ((2, 3), None, OpCount()),
        (torch.ones(2, 3), None, OpCount()),
        (Input((2, 3)), None, OpCount()),
        (((2, 3), (2, 3)), None, OpCount(additions=6)),
        ((torch.ones(2, 3), Input((2, 3), "float64")), None, OpCount(additions=6)),
        ({"a": (2, 3), "b": (2, 3)}, None, OpCount(additions=6)),
        ((2, 3), {"b": (2, 3)}, OpCount(additions=6)),
        (((2, 3),), {"c": {"x": [(2, 3)]}}, OpCount(multiplications=6)),
        (None, {"a": (2, 3), "b": torch.ones(3)}, OpCount(additions=6)),
    ],
)
def test_inputs_of_every_form(inputs: Any, kwargs: Any, expected: OpCount) -> None:
    assert profile(Adds(), inputs, kwargs=kwargs).ops == expected


def test_the_models_own_example_input() -> None:
    assert profile(Regular()).inputs == ((1, 1, 28, 28),)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.complex64])
def test_a_size_takes_the_models_own_type(dtype: torch.dtype) -> None:
    model = nn.Linear(4, 5, dtype=dtype)
    assert list(profile(model, (2, 4)).by_dtype) == [str(dtype).removeprefix("torch.")]


def test_models_on_the_meta_device() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()).eval()
        inside = profile(model, (1, 3, 8, 8))
    assert profile(model, (1, 3, 8, 8)).macs == inside.macs == 8 * 36 * 27


def test_within_a_device_context() -> None:
    model = nn.ReLU()
    with torch.device("meta"):
        assert profile(model, (2, 3)).comparisons == 6


@pytest.mark.parametrize(
    ("model", "inputs", "message"),
    [
        (nn.Linear(4, 4), None, "no input is known for Linear: give a tensor or a size"),
        (nn.Linear(4, 4), [1, 4], r"write \(1, 4\) for \[1, 4\]"),
        (nn.Linear(4, 4), 4, "neither a tensor nor a size"),
        (nn.Linear, (1, 4), r"make one first: Linear\(\.\.\.\)"),
        ("resnet50", (1, 4), "takes an nn.Module"),
        (Adds(), {"a": (1,), "b": (1,)}, "give it once"),
        (nn.Linear(4, 4), (2**62, 4), "cannot make an input of size"),
        (nn.Linear(4, 4), (2**70, 4), "cannot make an input of size"),
        (nn.Linear(4, 4), threading.Lock(), "cannot be copied"),
    ],
)
def test_inputs_that_cannot_be(model: Any, inputs: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        profile(model, inputs, kwargs={"a": (1,)} if isinstance(inputs, dict) else None)


def test_keyword_arguments_that_are_none() -> None:
    with pytest.raises(InputError, match="kwargs is a mapping from names to values, not list"):
        profile(nn.Linear(4, 4), (1, 4), kwargs=[1])  # type: ignore[arg-type]


@pytest.mark.parametrize("execution", ["shapes", "real"])
def test_a_model_too_deep_to_call_is_an_error_of_the_family(execution: str) -> None:
    model: nn.Module = nn.Linear(4, 4)
    for _ in range(2_000):
        model = nn.Sequential(model)
    with pytest.raises(ForwardError, match=r"RecursionError.*nested 2,000 deep"):
        profile(model, (1, 4), execution=execution)


@pytest.mark.parametrize(("size", "dtype"), [((1, -3), "float32"), ((1.5,), "float32"), ((1,), "float33")])
def test_an_input_that_cannot_be(size: Any, dtype: str) -> None:
    with pytest.raises(InputError):
        Input(size, dtype)


def test_unknown_execution() -> None:
    with pytest.raises(InputError, match="'auto', 'shapes' or 'real'"):
        profile(nn.Linear(4, 4), (1, 4), execution="fast")


def test_a_wrong_shape_names_the_layer_and_the_sizes() -> None:
    with pytest.raises(ForwardError, match=r"fc1 \(Linear\) failed on 1x120x\d"):
        profile(
            nn.Sequential(OrderedDict(conv=nn.Conv2d(1, 120, 5), flat=nn.Flatten(2), fc1=nn.Linear(120, 84))),
            (1, 1, 7, 7),
        )


def test_a_missing_argument_is_told() -> None:
    with pytest.raises(ForwardError, match="missing 1 required positional argument: 'a'"):
        profile(Adds(), kwargs={"b": (1,)})


def test_rows_sum_to_the_total() -> None:
    counted = profile(nn.Sequential(Depthwise(), nn.Softmax(-1)), (2, 1, 28, 28))
    assert sum((record.ops for record in counted), OpCount()) == counted.ops
    assert counted[""].subtree == counted.ops
    assert counted["0"].subtree == counted.ops + counted["1"].ops.times(-1)
    for groups in (counted.by_type, counted.by_operator, counted.by_dtype):
        assert sum(groups.values(), OpCount()) == counted.ops


def test_filters() -> None:
    counted = profile(Depthwise())
    convolutions = counted.only(nn.Conv2d)
    assert len(convolutions) == 6
    assert counted.only("conv") == counted.only("CONV2D") == convolutions
    assert counted.only("conv1.*").ops == counted["conv1"].subtree
    assert counted.only(nn.Module) == counted
    assert sum((record.ops for record in convolutions), OpCount()) == convolutions.ops
    with pytest.raises(UnknownLayerError, match=r"its types are .*Conv2d.*Linear"):
        counted.only("cnv")
    for nonsense in (3, None, (nn.Conv2d, nn.Linear)):
        with pytest.raises(UnknownLayerError, match="chosen by a class, a name or a glob"):
            counted.only(nonsense)  # type: ignore[arg-type]


def test_an_unknown_path_names_the_nearest() -> None:
    counted = profile(Depthwise())
    with pytest.raises(UnknownLayerError, match=r"no layer 'conv1\.depthwice'; near it: conv1\.depthwise"):
        counted["conv1.depthwice"]
    with pytest.raises(KeyError):
        counted["nothing like it"]
    assert "conv1" in counted


def test_json_brings_a_profile_back_equal() -> None:
    counted = profile(Depthwise(), convention=Convention(bias=False))
    again = Profile.from_json(counted.to_json())
    assert again == counted
    assert again.only(nn.Conv2d).total == 94_624
    assert again.seconds == counted.seconds


@given(st.integers(2**52, 2**80))
def test_json_keeps_counts_of_any_size(count: int) -> None:
    """Whole numbers that readers of JSON would round are written as strings."""
    record = LayerRecord("", "ReLU")
    big = Profile("m", (), (replace(record, ops=OpCount(comparisons=count), subtree=OpCount(comparisons=count)),))
    text = big.to_json()
    assert Profile.from_json(text) == big
    written = json.loads(text)["ops"]["comparisons"]
    assert isinstance(written, str) == (count > 2**53)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "not an opcount profile"),
        ('{"schema": "other/1"}', "not an opcount profile"),
        ('{"schema": "opcount-profile/99"}', "reads opcount-profile/1"),
        ('{"schema": "opcount-profile/1"}', "damaged"),
    ],
)
def test_json_of_something_else(text: str, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        Profile.from_json(text)


def test_a_count_is_a_value() -> None:
    count = OpCount(multiplications=10**20, additions=1)
    assert count.total == 10**20 + 1
    assert 3 * count == count * 3 == count + count + count == sum([count] * 3)
    assert hash(count) == hash(OpCount(multiplications=10**20, additions=1))
    assert repr(count) == "OpCount(multiplications=100_000_000_000_000_000_000, additions=1)"
    assert list(count.to_dict()) == list(FIGURES)
    assert not OpCount()
    for wrong in (1.5, "2", count):
        with pytest.raises(TypeError):
            count * wrong
    with pytest.raises(TypeError):
        count + 1


def test_errors_are_one_family() -> None:
    for error in (ForwardError, InputError, SchemaError, UnknownLayerError):
        assert issubclass(error, OpCountError)


def test_a_million_by_a_million() -> None:
    """Counts beyond 2**64 are exact."""
    with torch.device("meta"):
        model = nn.Linear(2**20, 2**20, bias=False)
    counted = profile(model, (2**30, 2**20))
    assert counted.macs == 2**70
    assert counted.additions == 2**70 - 2**50


def test_rows_are_put_together_when_they_are_looked_at() -> None:
    def count() -> Profile:
        return profile(Depthwise(), (1, 1, 28, 28))

    counted = count()
    figures = counted.ops, counted.params  # before any row
    assert figures == (sum((row.ops for row in counted.layers), OpCount()), sum(row.params for row in counted.layers))
    assert counted.layers is counted.layers
    rows = counted.layers
    assert [count().layers, replace(count(), model="x").layers, copy.copy(count()).layers] == [rows] * 3
    assert pickle.loads(pickle.dumps(count())).layers == rows
    assert replace(count(), execution_record=counted.execution_record) == counted


def test_rows_may_be_looked_at_by_many_threads_at_once() -> None:
    model = nn.Sequential(*(nn.Linear(4, 4) for _ in range(400)))
    expected = profile(model, (1, 4)).layers
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(5):
            counted = profile(model, (1, 4))
            assert _seen_at_once(counted, 8) == [expected] * 8
    finally:
        sys.setswitchinterval(before)


def _seen_at_once(counted: Profile, times: int) -> list[object]:
    start = threading.Barrier(times)
    seen: list[object] = []

    def look() -> None:
        start.wait()
        seen.append(counted.layers)

    threads = [threading.Thread(target=look) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen
