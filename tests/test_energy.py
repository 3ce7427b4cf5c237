"""Energy by hand, from the figures that were published for 45 nm."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lenet.models import Depthwise, Regular
from opcount import Convention, EnergyTable, energy, profile
from opcount.errors import InputError

PUBLISHED = {  # picojoules of an addition and of a multiplication
    "int8": ("0.03", "0.2"),
    "int32": ("0.1", "3.1"),
    "float16": ("0.4", "1.1"),
    "float32": ("0.9", "3.7"),
}


def test_the_table_is_the_published_one() -> None:
    table = EnergyTable.named("horowitz-2014")
    assert "45 nm" in table.technology
    assert "ISSCC 2014" in table.source
    assert table.prices == {
        dtype: {"additions": Fraction(add), "multiplications": Fraction(multiply)}
        for dtype, (add, multiply) in PUBLISHED.items()
    }


def test_the_study_in_energy() -> None:
    """405,600 and 51,224 multiplications of 3.7 pJ, 399,176 and 43,400 additions of 0.9 pJ."""
    studied = Convention(bias=False)
    regular, depthwise = (energy(profile(m, convention=studied).only("conv")) for m in (Regular(), Depthwise()))
    assert regular.exact_picojoules == Fraction("1500720") + Fraction("359258.4")
    assert depthwise.exact_picojoules == Fraction("189528.8") + Fraction("39060")
    assert regular.joules == pytest.approx(1.8599784e-6, rel=1e-12)
    assert regular.complete
    assert regular.of("conv1") == pytest.approx((117_600 * 3.7 + 112_896 * 0.9) * 1e-12, rel=1e-12)


def test_each_width_has_its_price() -> None:
    def cost(dtype: torch.dtype) -> Fraction:
        model = nn.Linear(10, 4, bias=False).to(dtype)
        return energy(profile(model, torch.zeros(1, 10, dtype=dtype))).exact_picojoules

    assert cost(torch.float32) == 40 * Fraction("3.7") + 36 * Fraction("0.9")
    assert cost(torch.float16) == 40 * Fraction("1.1") + 36 * Fraction("0.4")

    class Whole(nn.Module):
        def forward(self, a: torch.Tensor) -> torch.Tensor:
            return a @ a.T

    for dtype, name in ((torch.int8, "int8"), (torch.int32, "int32")):
        found = energy(profile(Whole(), torch.zeros(2, 5, dtype=dtype)))
        add, multiply = map(Fraction, PUBLISHED[name])
        assert found.exact_picojoules == 20 * multiply + 16 * add


def test_what_has_no_price_is_listed_and_not_zero() -> None:
    found = energy(profile(nn.Sequential(nn.Linear(10, 4), nn.Sigmoid(), nn.ReLU()), (1, 10)))
    assert [(line.kind, line.dtype, line.count) for line in found.unpriced] == [
        ("divisions", "float32", 4), ("comparisons", "float32", 4), ("transcendentals", "float32", 4),
    ]  # fmt: skip
    assert not found.complete
    assert "not priced: 4 divisions of float32" in str(found)
    for dtype in (torch.bfloat16, torch.float64, torch.complex64):
        none = energy(profile(nn.Linear(10, 4, bias=False).to(dtype), torch.zeros(1, 10, dtype=dtype)))
        assert none.exact_picojoules == 0
        assert {line.kind for line in none.unpriced} == {"multiplications", "additions"}


def test_what_is_uncounted_has_no_energy_and_says_so() -> None:
    class Inverse(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.linalg.inv(x)

    found = energy(profile(Inverse(), (3, 3)))
    assert found.uncounted
    assert not found.complete
    assert "not counted, so not priced" in str(found)


def test_rows_sum_to_the_whole() -> None:
    found = energy(profile(Depthwise()))
    assert sum(found.of(path) for path in found.layers) == pytest.approx(found.joules, rel=1e-12)
    assert found.exact_picojoules == 62_144 * Fraction("3.7") + 66_872 * Fraction("0.9")


def test_tables_of_ones_own(tmp_path: Path) -> None:
    linear = profile(nn.Sequential(nn.Linear(10, 4), nn.Sigmoid()), (1, 10))
    prices = {"float32": {"multiplications": 2, "additions": 0.5, "divisions": 1, "transcendentals": 0}}
    found = energy(linear, prices)
    assert (found.picojoules, found.complete) == (40 * 2 + 44 * 0.5 + 4, True)
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"schema": "opcount-energy-table/1", "name": "mine", "picojoules": prices}))
    assert energy(linear, str(file)).picojoules == found.picojoules
    assert energy(linear, EnergyTable.read(prices)).picojoules == found.picojoules


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("horowitz", "did you mean horowitz-2014"),
        ("missing.json", "cannot read"),
        (3, "a name, a file or a mapping"),
        ({}, "holds no prices"),
        ({"float32": {"additions": -0.1}}, "additions of float32 is -0.1: it has to be 0 or more"),
        ({"float32": {"additions": "cheap"}}, "'cheap', which is no number"),
        ({"float32": {"additions": float("nan")}}, "write a number"),
        ({"float32": {"additions": True}}, "no number"),
        ({"float32": {"macs": 1}}, "a price for 'macs'; the kinds are"),
        ({"float32": 3}, "not a mapping from kinds"),
        ({"schema": "opcount-energy-table/9", "picojoules": {}}, "this release reads opcount-energy-table/1"),
        ({"schema": "opcount-energy-table/1"}, "holds no prices"),
        ({"schema": "opcount-energy-table/1", "name": 3, "picojoules": {"a": {}}}, "are texts"),
    ],
)
def test_a_wrong_table_is_told(table: Any, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        energy(profile(nn.Linear(10, 4), (1, 10)), table)


@pytest.mark.parametrize(
    "text", ["", "[1]", "{", '{"a": 1, "a": 2}', '{"float32": {"additions": NaN}}', "\0", '{"float32": 1e999999}']
)
def test_a_damaged_file_is_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "table.json"
    file.write_text(text)
    with pytest.raises(InputError):
        EnergyTable.named(str(file))


def test_no_layer_of_that_name() -> None:
    with pytest.raises(InputError, match="near it: conv"):
        energy(profile(Regular())).of("conv9")
