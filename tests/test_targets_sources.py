"""Sources of targets: which a word belongs to, what it may be asked, and what is said where that is not possible."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lenet.models import Regular
from opcount import profile
from opcount.cli import main
from opcount.errors import InputError, MissingExtraError, OpCountError, TargetError
from opcount.targets import Knobs, Target, counted, known_input, listing, load, registry
from opcount.targets.building import build_weightless
from opcount.targets.resizing import resized
from opcount.targets.source import Request


def refused(word: str, arguments: dict[str, Any] | None = None, **more: Any) -> str:
    with pytest.raises(OpCountError) as caught:
        load(word, arguments, **more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Which source


@pytest.mark.parametrize(
    ("word", "form"),
    [
        ("lenet.models:Regular", "package.module:Name"),
        ("timm.models:resnet50", "package.module:Name"),
        ("lenet/models.py:Regular", "path/to/file.py:Name"),
        (r"C:\models\net.PY:Net", "path/to/file.py:Name"),
        ("timm:resnet50", "timm:NAME"),
        ("torchvision:resnet50", "torchvision:NAME"),
        ("transformers:path/config.json", "transformers:NAME"),
        ("saved.JSON", "profile.json"),
        ("Regular", "package.module:Name"),
    ],
)
def test_a_word_belongs_to_a_source(word: str, form: str) -> None:
    assert registry.source_of(word)[0].form == form


@pytest.mark.parametrize("word", ["w.pt", "w.pth", "dir/pytorch_model.bin", "last.ckpt", "m.safetensors"])
def test_weights_are_refused_unopened(word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "load", lambda *a, **k: pytest.fail("it was opened"))
    target = tmp_path / word
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(b"weights")
    assert "which do not say what is computed with them, and is not unpickled" in refused(str(target))


HUB = """
from torch import nn
from opcount.targets import Source, Target

def load(request):
    width = int(request.name)
    return Target(request.word, nn.Linear(width, 2), ((request.knobs.batch or 1, width),))

SOURCE = Source("hub:NAME", load, knobs=frozenset({"batch"}), names=lambda: ["5", "6"])
FILES = Source("file.hub", lambda request: Target(request.name, nn.Linear(1, 1), ((1, 1),)))
"""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed package with sources of its own, some of them broken."""
    (tmp_path / "a_hub_of_models.py").write_text(HUB)
    about = tmp_path / "a_hub_of_models-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: a_hub_of_models\nVersion: 1.0\n")
    entries = dict(hub="SOURCE", timm="SOURCE", other="HUB", broken="no_such_thing", **{".hub": "FILES"})
    lines = [f"{name} = a_hub_of_models:{place}" for name, place in entries.items()]
    (about / "entry_points.txt").write_text("\n".join(["[opcount.targets]", *lines]))
    monkeypatch.syspath_prepend(str(tmp_path))
    registry._others.cache_clear()
    yield
    registry._others.cache_clear()
    sys.modules.pop("a_hub_of_models", None)


def test_another_packages_sources(hub: None) -> None:
    assert counted(load("hub:5", knobs=Knobs(batch=3))).macs == 3 * 5 * 2
    assert counted(load("some/model.hub")).macs == 1
    assert listing("hub") == "hub:5\nhub:6"
    assert registry.source_of("timm:x")[0].form == "timm:NAME"  # our own names stay ours
    assert "hub:5 takes no --seq; hub:NAME takes --batch" in refused("hub:5", knobs=Knobs(seq=3))
    assert "the source 'broken' (a_hub_of_models:no_such_thing) cannot be had: AttributeError" in refused("broken:x")
    assert "the source 'other' (a_hub_of_models:HUB) cannot be had" in refused("other:x")


# Knobs and files


def test_knobs_change_a_known_input(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text("from torch import nn\nclass Net(nn.Conv2d):\n    example_input_size = (1, 3, 8, 8)\n")
    arguments = {"in_channels": 3, "out_channels": 2, "kernel_size": 1}
    target = load(f"{file}:Net", arguments, knobs=Knobs(batch=4, resolution=(5, 6)))
    assert target.inputs == (4, 3, 5, 6)
    assert counted(target).macs == 4 * 5 * 6 * 2 * 3
    assert "takes no --seq" in refused(f"{file}:Net", arguments, knobs=Knobs(seq=2))
    said = refused(f"{file}:Net", arguments, knobs=Knobs(batch=2), own_input=False)
    assert "--input gives another: leave one out" in said


def test_knobs_that_have_nothing_to_change() -> None:
    assert "no input is known for torch.nn:Linear" in refused(
        "torch.nn:Linear", {"in_features": 2, "out_features": 1}, knobs=Knobs(batch=2)
    )
    flat = Target("x", Regular(), ((1, 4),))
    with pytest.raises(TargetError, match="which has no resolution"):
        resized(flat, Request("x", "x", knobs=Knobs(resolution=(2, 2))))


def test_a_file_with_a_name_in_it_runs(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("WIDTH = 7\n")
    file = tmp_path / "model.py"
    file.write_text("from torch import nn\nfrom beside import WIDTH\nready = nn.Linear(WIDTH, 1)\n1 if True else 0\n")
    path, before = sys.path[:], sys.modules.get("model")
    assert load(f"{file}:ready").model.in_features == 7
    assert sys.path == path
    assert sys.modules.get("model") is not before
    assert "did you mean ready?" in refused(f"{file}:redy")
    assert f"did you mean {file}:ready?" in refused(str(file))
    file.write_text("1 / 0")
    assert "failed: ZeroDivisionError" in refused(f"{file}:ready")


def test_a_saved_profile_stands_for_itself(tmp_path: Path) -> None:
    saved = tmp_path / "saved.json"
    found = profile(Regular())
    saved.write_text(found.to_json())
    target = load(str(saved))
    assert counted(target) == found
    assert target.remarks == (f"read from {saved}",)
    assert "takes no --arg a" in refused(str(saved), {"a": 1})
    assert "takes no --batch" in refused(str(saved), knobs=Knobs(batch=1))


def test_the_command_answers_of_a_saved_profile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = tmp_path / "saved.json"
    saved.write_text(profile(Regular()).to_json())
    assert main([str(saved), "--why", "conv1"]) == 0
    assert "117,600" in capsys.readouterr().out
    assert main([str(saved), "--audit"]) == 2
    assert "which holds no model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("package", "extra", "word"), [("timm", "timm", "timm:x"), ("transformers", "transformers", "transformers:x")]
)
def test_a_missing_package_names_its_extra(
    package: str, extra: str, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    if package == "transformers":
        monkeypatch.setitem(sys.modules, "huggingface_hub", None)
        monkeypatch.setitem(sys.modules, "huggingface_hub.constants", None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'opcount\[{extra}\]'"):
        load(word)


def test_listing() -> None:
    pytest.importorskip("torchvision", reason="its names are listed")
    assert listing("torchvision:resnet1*").splitlines() == [f"torchvision:resnet{n}" for n in (101, 152, 18)]
    with pytest.raises(TargetError, match=r"no names of 'torchvison' to list; did you mean torchvision\?"):
        listing("torchvison")
    with pytest.raises(TargetError, match="no name of torchvision fits 'resnet1'; did you mean resnet1"):
        listing("torchvision:resnet1")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--list", "timm", "lenet.models:Regular"], "--list shows names and counts nothing"),
        (["lenet.models:Regular", "--batch", "0"], "'0' is no whole number of 1 or more"),
        (["lenet.models:Regular", "--resolution", "3x4x5"], "cannot read the resolution '3x4x5'"),
        (["lenet.models:Regular", "--generate", "3"], "--generate is for a model of transformers"),
    ],
)
def test_options_that_cannot_be(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert said in capsys.readouterr().err


# Building without weights


def test_building_without_memory() -> None:
    assert next(build_weightless(lambda: nn.Linear(10**5, 10**6)).parameters()).is_meta


def test_a_constructor_that_reads_values_keeps_them() -> None:
    class Reading(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rates = [rate.item() for rate in torch.linspace(0, 1, 3)]
            self.weight = nn.Parameter(torch.ones(3))

    model = build_weightless(Reading)
    assert model.rates == [0, 0.5, 1]
    assert model.weight.is_meta
    assert nn.Module.register_parameter.__module__ == "torch.nn.modules.module"


def test_a_forward_that_asks_for_values_gets_a_model_with_some() -> None:
    class Asking(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) if self.weight.sum().item() > -1e9 else x

    target = Target("asking", build_weightless(lambda: Asking(3, 2)), ((1, 3),), real=lambda: Asking(3, 2))
    found = counted(target)
    assert (found.macs, found.execution, found.model) == (6, "real", "asking")


def test_a_forward_that_asks_for_too_many_values_is_refused() -> None:
    class Asking(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) if self.weight.sum().item() > 0 else x

    built = build_weightless(lambda: Asking(10**5, 10**5))
    target = Target("asking", built, ((1, 10**5),), real=lambda: pytest.fail("it was built"))
    with pytest.raises(TargetError, match=r"its 37\.3 GiB of weights are too many to run it"):
        counted(target)


# timm


def test_timm() -> None:
    pytest.importorskip("timm", reason="its models are built")
    target = load("timm:test_vit", knobs=Knobs(batch=2))
    assert known_input(target) == ((2, 3, 160, 160),)
    assert not target.model.training
    other = load("timm:test_vit", knobs=Knobs(resolution=(96, 64)))
    assert other.model.patch_embed.grid_size == (6, 4)
    assert counted(other).complete
    assert counted(load("timm:test_resnet", {"in_chans": 1}))["conv1.0"].input_shapes == ((1, 1, 160, 160),)
    assert "timm has no model 'resnet5O'; did you mean resnet50" in refused("timm:resnet5O")
    assert "opcount --list timm shows all" in refused("timm:resnet5O")
    assert "leave pretrained out" in refused("timm:test_vit", {"pretrained": True})
    assert "failed: TypeError" in refused("timm:test_vit", {"no_such_argument": 1})


@pytest.mark.parametrize("name", ["test_vit", "test_resnet", "test_efficientnet", "test_convnext", "test_mambaout"])
def test_timm_agrees_with_the_flop_counter(name: str) -> None:
    pytest.importorskip("timm", reason="its models are built")
    from benchmarks.model_zoo import count

    entry = count(name, "", f"timm:{name}")
    assert entry.agrees is True
    assert entry.uncounted == ()


def test_a_benchmark_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("timm", reason="its benchmark is run")
    from benchmarks import model_zoo
    from benchmarks.model_zoo import Entry, Growing

    monkeypatch.setattr(model_zoo, "RESULTS", tmp_path)
    jobs = [(name, lambda name=name: Entry(name, "x", figures={"macs": 1, "additions": 2}, peer=1)) for name in "abc"]
    assert [entry.name for entry in Growing("r.jsonl").grow(jobs[:2])] == ["a", "b"]
    text = (tmp_path / "r.jsonl").read_text()
    (tmp_path / "r.jsonl").write_text(text[:-20])  # as a crash would leave it
    assert [entry.name for entry in Growing("r.jsonl").grow(jobs)] == ["b", "c"]
    assert list(Growing("r.jsonl").read()) == ["a", "b", "c"]


def test_inputs_are_checked_before_anything_is_built() -> None:
    with pytest.raises(InputError):
        load("/no/such/file.json")


@pytest.mark.slow
def test_timm_family_by_family() -> None:
    pytest.importorskip("timm", reason="its models are built")
    from benchmarks.model_zoo import count
    from benchmarks.timm_zoo import chosen

    entries = [count(name, family, f"timm:{name}") for name, family in chosen(1, "*")]
    assert len(entries) > 80
    assert [entry.name for entry in entries if not entry.agrees] == []
    uncounted = {name for entry in entries for name in entry.uncounted}  # NaFlex resamples its positions smoothly
    assert uncounted == {"aten._upsample_bicubic2d_aa"}
