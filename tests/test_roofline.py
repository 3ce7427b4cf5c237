"""Arithmetic intensity and the roofline by hand, and the three sections as a user asks for them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lenet.models import Depthwise
from opcount import Profile, profile, roofline
from opcount.cli import main
from opcount.errors import InputError, MissingExtraError
from opcount.intensity import Device, devices
from opcount.report.roofplot import text_plot

MINE = {"bandwidth": 1000, "peak": {"float32": 4000}}  # the ridge is at 4 operations a byte


def test_intensity_is_operations_over_bytes() -> None:
    """conv1.depthwise: 19,600 + 19,600 operations; 784 read and written and 26 weights, of 4 bytes each."""
    found = roofline(profile(Depthwise(), memory=True), "t4")
    point = next(point for point in found.points if point.path == "conv1.depthwise")
    assert (point.operations, point.bytes) == (39_200, 4 * (784 + 784 + 26))
    assert point.intensity == 39_200 / 6_376
    assert (point.bound, point.dtype) == ("memory", "float32")
    assert point.seconds == pytest.approx(6_376 / 320e9, rel=1e-12)
    assert found.whole.operations == 62_144 + 66_872
    assert found.whole.bytes == sum(point.bytes for point in found.points)


def test_both_sides_of_the_ridge() -> None:
    """50x10 @ 10x100: 95,000 operations, 26,000 bytes. 200x200 @ 200x200: 15,960,000 operations, 480,000 bytes."""
    low = roofline(profile(nn.Linear(10, 100, bias=False), (50, 10), memory=True), MINE)
    high = roofline(profile(nn.Linear(200, 200, bias=False), (200, 200), memory=True), MINE)
    assert [(r.whole.bound, r.seconds) for r in (low, high)] == [("memory", 26.0), ("compute", 3990.0)]
    assert low.whole.attainable == pytest.approx(95_000 / 26)
    assert high.whole.attainable == 4000
    assert low.device.ridge("float32") == 4


def test_a_layer_without_multiplications_or_additions_is_bound_by_memory() -> None:
    (point,) = roofline(profile(nn.ReLU(), (5, 10), memory=True), MINE).points
    assert (point.operations, point.intensity, point.bound, point.seconds) == (0, 0.0, "memory", 0.4)


def test_a_type_without_a_peak_is_told() -> None:
    found = roofline(profile(nn.Linear(10, 10).double(), torch.zeros(5, 10).double(), memory=True), MINE)
    assert found.peak_missing == ("float64",)
    assert (found.whole.bound, found.whole.seconds) == ("unknown", None)
    assert "no peak is stated for float64" in str(found)
    assert "nothing to plot" in text_plot(found)


def test_what_pytorch_runs_as_one_operator_is_one_point() -> None:
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True).eval()
    counted = profile(layer, (2, 5, 16), memory=True)
    found = roofline(counted, MINE)
    assert [point.path for point in found.points] == [""]
    assert found.points[0].operations == counted.total


def test_the_devices_have_sources_and_what_a_roofline_needs() -> None:
    assert {"a100-80gb", "h100-sxm", "t4"} <= set(devices())
    for name in devices():
        device = Device.named(name.upper())
        assert device.source
        assert device.bandwidth > 10**11
        assert device.peak["float32"] > 10**12


def test_devices_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "boards.json"
    file.write_text(json.dumps({"schema": "opcount-devices/1", "devices": {"one": MINE}}))
    assert Device.named(str(file)).ridge("float32") == 4
    file.write_text(json.dumps({"schema": "opcount-devices/1", "devices": {"one": MINE, "two": MINE}}))
    assert Device.named(f"{file}:two").name == "two"
    with pytest.raises(InputError, match="2 devices: name one"):
        Device.named(str(file))
    with pytest.raises(InputError, match="no device 'three'"):
        Device.named(f"{file}:three")


@pytest.mark.parametrize(
    ("device", "problem"),
    [
        ("t44", "did you mean t4"),
        ("missing.json", "cannot read"),
        ({}, "needs a bandwidth"),
        ({"bandwidth": 0, "peak": {"float32": 1}}, "bandwidth is 0: it has to be more than 0"),
        ({"bandwidth": 1, "peak": {"float32": -1}}, "peak of float32 is -1"),
        ({"bandwidth": 1, "peak": {}}, "needs a bandwidth"),
        ({"bandwidth": 1, "peak": {"float32": 1}, "title": 3}, "are texts"),
        (3, "a name, a file or a mapping"),
    ],
)
def test_a_wrong_device_is_told(device: Any, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        roofline(profile(nn.ReLU(), (5, 10), memory=True), device)


def test_a_profile_without_memory_is_told() -> None:
    with pytest.raises(InputError, match="memory=True"):
        roofline(profile(nn.ReLU(), (5, 10)), MINE)


def test_drawings(tmp_path: Path) -> None:
    found = roofline(profile(Depthwise(), memory=True), "a100-80gb")
    drawn = text_plot(found)
    assert "1 conv1.depthwise" in drawn
    assert max(map(len, drawn.splitlines())) <= 100
    for suffix, begin in (("svg", b"<?xml"), ("png", b"\x89PNG")):
        found.plot(tmp_path / f"roof.{suffix}")
        assert (tmp_path / f"roof.{suffix}").read_bytes().startswith(begin)
    with pytest.raises(InputError, match=r"\.svg, \.png or \.pdf"):
        found.plot(tmp_path / "roof.txt")


def test_without_matplotlib_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = roofline(profile(nn.Linear(10, 10), (5, 10), memory=True), MINE)
    for module in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"opcount\[study\]"):
        found.plot(tmp_path / "roof.svg")
    assert not list(tmp_path.iterdir())


# The command:

TARGET = "lenet.models:Depthwise"
ALL = [TARGET, "--energy", "--memory", "--roofline", "t4"]


def test_sections_stand_below_the_report_and_never_in_the_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([TARGET]) == 0
    alone = capsys.readouterr().out.splitlines()[2:]
    assert main(ALL) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2 : len(alone) + 2] == alone
    assert [line.strip().split(" ·")[0] for line in lines if line.startswith("  ") and " · lenet" in line] == [
        "energy of arithmetic", "memory of one call", "roofline",
    ]  # fmt: skip
    text = "\n".join(lines)
    for figure in ("290.1 nJ", "36.75 KiB", "181.9 KiB", "not priced: 1,576 divisions of float32"):
        assert figure in text


@pytest.mark.parametrize("form", ["plain", "markdown", "github", "latex", "html"])
def test_every_table_has_them(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ALL, "--top", "2", "--format", form]) == 0
    text = capsys.readouterr().out
    assert "energy of arithmetic" in text
    assert "12 more rows" in text
    assert "181.9 KiB" in text


def test_json_has_them_beside_the_counts(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main([*ALL, "--format", "json"]) == 0
    text = capsys.readouterr().out
    data = json.loads(text)
    assert data["energy"]["picojoules"] == 290117.6
    assert data["memory"]["peak_activations"] == 37_632
    assert data["roofline"]["operations"] == data["total"] == 129_016
    saved = tmp_path / "saved.json"
    saved.write_text(text, encoding="utf-8")
    assert Profile.from_json(text).memory is not None
    assert main([str(saved), "--memory", "--roofline", "h100-sxm"]) == 0
    assert "36.75 KiB" in capsys.readouterr().out


def test_csv_has_columns_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ALL, "--format", "csv"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    names = header.split(",")
    row = dict(zip(names, next(row for row in rows if row.startswith("conv1.depthwise,")).split(","), strict=True))
    assert row["energy_picojoules"] == "90160.0"
    assert (row["weights_bytes"], row["moved_bytes"], row["bound"]) == ("104", "6376", "memory")


def test_models_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["lenet.models:Regular", *ALL, "--no-bias", "--only", "conv"]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "1.860 µJ" in text
    assert "228.6 nJ  -87.71 %" in text
    assert main([*words, "--format", "csv"]) == 2


def test_a_page_has_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    assert main([*ALL, "--html", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert all(f'id="{key}"' in text for key in ("energy", "memory", "roofline"))
    assert "<svg" in text
    assert text.count("<script") == 3


def test_a_figure_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "roof.svg"
    assert main([TARGET, "--roofline", "t4", "-o", str(path)]) == 0
    assert path.read_text(encoding="utf-8").startswith("<?xml")
    assert main([TARGET, TARGET, "--roofline", "t4", "-o", str(path)]) == 2
    assert main([TARGET, "--roofline", "t4", "-o", str(path), "--format", "csv"]) == 2
    assert main([TARGET, "--energy", "-o", str(path)]) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([TARGET, "--roofline", "abacus"], "a100-40gb, a100-80gb, h100-sxm, t4 and v100-sxm2"),
        ([TARGET, "--energy", "gold"], "tables: horowitz-2014"),
        (["--energy", TARGET, "--format", "speedscope"], "no place in speedscope"),
        ([TARGET, "--memory", "--why", "conv1"], "leave one out"),
    ],
)
def test_wrong_words_are_told(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert said in capsys.readouterr().err


def test_a_saved_profile_without_memory_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = tmp_path / "saved.json"
    saved.write_text(profile(nn.ReLU(), (5, 10)).to_json(), encoding="utf-8")
    for option in (["--memory"], ["--roofline", "t4"]):
        assert main([str(saved), *option]) == 2
        assert "--memory" in capsys.readouterr().err
