"""Profiles side by side: parts matched by name, rows that add up, changes in percent of the first."""

from __future__ import annotations

import json
from collections import OrderedDict

import pytest
from torch import nn

from lenet.models import Depthwise, Regular
from opcount.comparison import Comparison, Row, compare
from opcount.errors import InputError, UnknownLayerError
from opcount.ops import FIGURES, Convention, OpCount
from opcount.profiler import profile
from opcount.result import LayerRecord, Profile, Uncounted


@pytest.fixture(scope="module")
def study() -> Comparison:
    return compare(
        *(profile(model(), convention=Convention(bias=False)).only("conv") for model in (Regular, Depthwise))
    )


def by_hand(*paths: str, model: str = "Net") -> Profile:
    """A profile in which every path costs one addition and holds one parameter."""
    return Profile(model, (), tuple(LayerRecord(path, "T", ops=OpCount(additions=1), params=1) for path in paths))


def test_the_study(study: Comparison) -> None:
    assert [(row.path, *row.values("multiplications")) for row in study.rows] == [
        ("conv1", 117_600, 24_304),
        ("conv2", 240_000, 24_600),
        ("conv3", 48_000, 2_320),
    ]
    assert [round(*row.change("multiplications"), 2) for row in study.rows] == [-79.33, -89.75, -95.17]
    total = study.total
    assert total.values("multiplications") == (405_600, 51_224)
    assert total.values("additions") == (399_176, 43_400)
    assert total.values() == (804_776, 94_624)
    assert round(*total.change(), 2) == -88.24


@pytest.mark.parametrize("figure", [*FIGURES, "total", "params"])
def test_rows_add_up(figure: str) -> None:
    comparison = compare(profile(Regular()), profile(Depthwise()))
    sums = tuple(sum(row.values(figure)[index] or 0 for row in comparison.rows) for index in range(2))
    assert sums == comparison.total.values(figure)


def test_parts_only_one_has_stand_where_they_are_in_it() -> None:
    comparison = compare(by_hand("a", "c"), by_hand("a", "b", "c", "d"), by_hand("z", "c"))
    assert [row.path for row in comparison.rows] == ["a", "b", "z", "c", "d"]
    assert comparison["b"].values() == (None, 1, None)
    assert comparison["b"].change() == (None, 0.0)
    assert comparison["a"].change() == (0.0, -100.0)


def test_models_that_are_all_wrapped_are_compared_inside() -> None:
    comparison = compare(by_hand("", "module", "module.a", "module.b.c"), by_hand("", "net", "net.a", "net.d"))
    assert [row.path for row in comparison.rows] == ["", "a", "b", "d"]
    assert comparison[""].values() == (2, 2)  # of the model and of its wrapper


def test_one_wrapped_model_is_compared_as_it_is() -> None:
    comparison = compare(by_hand("a", "b"), by_hand("module.a", "module.b"))
    assert [row.path for row in comparison.rows] == ["a", "b", "module"]


def test_a_single_layer_is_no_wrapper() -> None:
    assert [row.path for row in compare(by_hand("a"), by_hand("a.b", "a.c")).rows] == ["a"]
    assert [row.path for row in compare(by_hand("a"), by_hand("a")).rows] == ["a"]


def test_the_model_itself_has_a_row_only_where_it_costs_something() -> None:
    quiet = Profile("Net", (), (LayerRecord("", "Net"), LayerRecord("a", "T", ops=OpCount(additions=1))))
    assert [row.path for row in compare(quiet, quiet).rows] == ["a"]
    assert [row.path for row in compare(quiet, by_hand("", "a")).rows] == ["", "a"]


def test_change_from_nothing_has_no_percentage() -> None:
    row = Row("a", (OpCount(), OpCount(additions=1), OpCount()), (0, 1, 0))
    assert row.change() == (None, 0.0)
    assert row.change("params") == (None, 0.0)


def test_wrong_figure_and_wrong_path(study: Comparison) -> None:
    with pytest.raises(InputError, match="'flops'; there are multiplications"):
        study.total.change("flops")
    with pytest.raises(UnknownLayerError, match="the rows are conv1, conv2, conv3"):
        study["conv4"]


def test_it_takes_two_profiles() -> None:
    with pytest.raises(InputError, match="two profiles or more"):
        compare(by_hand("a"))
    with pytest.raises(InputError, match="takes profiles, not Linear"):
        compare(by_hand("a"), nn.Linear(1, 1))


def test_as_data(study: Comparison) -> None:
    data = json.loads(study.to_json())
    assert data["schema"] == "opcount-comparison/1"
    assert data["total"]["ops"][1]["additions"] == 43_400
    assert data["rows"][0]["change"]["macs"] == pytest.approx([-79.3333], abs=1e-4)
    assert [Profile.from_json(json.dumps(each)) for each in data["profiles"]] == list(study.profiles)
    missing = compare(by_hand("a"), by_hand("b")).to_dict()["rows"][0]
    assert missing["ops"][0] is None or missing["ops"][1] is None


def test_counts_beyond_a_double_stay_exact_in_json() -> None:
    big = Profile("Net", (), (LayerRecord("a", "T", ops=OpCount(multiplications=2**53 + 1)),))
    assert compare(big, big).to_dict()["total"]["ops"][0]["multiplications"] == str(2**53 + 1)


def test_named_children() -> None:
    model = nn.Sequential(OrderedDict(a=nn.Linear(3, 4), b=nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))))
    comparison = compare(profile(model, (1, 3)), profile(model, (2, 3)))
    assert [(row.path, row.values("macs")) for row in comparison.rows] == [("a", (12, 24)), ("b", (24, 48))]
    assert repr(comparison) == "<Comparison of Sequential and Sequential: 2 rows>"


def test_complete_where_all_are() -> None:
    item = Uncounted("aten.fft", "operator", "a", 1)
    part = Profile("Net", (), (LayerRecord("a", "T", uncounted=(item,)),))
    assert compare(by_hand("a"), by_hand("b")).complete
    assert not compare(by_hand("a"), part).complete
