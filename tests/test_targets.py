"""Targets: what a word may name, and what is said when it names nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lenet.models import Depthwise, Regular
from opcount.errors import TargetError
from opcount.profiler import profile
from opcount.targets import Target, known_input, load

MODULE = """
from torch import nn

class Net(nn.Linear):
    class Inner(nn.Linear):
        pass
    def __init__(self, width: int, depth=1, *, bias=True):
        super().__init__(width, depth, bias=bias)

class Anything(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.options = options
    def forward(self):
        return self.options

class Two(nn.Module):
    def forward(self, image, mask, scale=1.0):
        return image * mask

class Plain:
    pass

def build(width=3):
    return nn.Linear(width, 1)

def nothing():
    return None

def fails():
    raise ValueError("no\\n  luck")

def leaves():
    raise SystemExit(3)

ready = nn.Linear(2, 2)
number = 3
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with modules in it, which nothing but the loader makes importable."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    for name in [
        name for name in sys.modules if name.split(".")[0] in ("things", "broken", "needy", "leaving", "pack")
    ]:
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "things.py").write_text(MODULE)
    (tmp_path / "broken.py").write_text("1 / 0")
    (tmp_path / "needy.py").write_text("import a_module_nobody_has")
    (tmp_path / "leaving.py").write_text("raise SystemExit(1)")
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("")
    (tmp_path / "pack" / "inner.py").write_text(MODULE)
    return tmp_path


def refused(name: str, arguments: dict[str, Any] | None = None) -> str:
    with pytest.raises(TargetError) as caught:
        load(name, arguments)
    text = str(caught.value)
    assert "\n" not in text
    return text


# What a target may be


def test_a_class() -> None:
    target = load("lenet.models:Depthwise")
    assert isinstance(target.model, Depthwise)
    assert target.name == "lenet.models:Depthwise"
    assert target.inputs is None
    assert known_input(target) is None  # the model has its own
    assert not target.model.training


@pytest.mark.parametrize("name", ["things:build", "things:Net", "pack.inner:Net", "pack:inner.Net"])
def test_functions_and_classes_with_arguments(here: Path, name: str) -> None:
    model = load(name, {"width": 5}).model
    assert isinstance(model, nn.Linear)
    assert model.in_features == 5
    assert not model.training


def test_a_dotted_name(here: Path) -> None:
    assert load("things:Net.Inner", {"in_features": 2, "out_features": 1}).built


def test_a_model_that_exists_is_left_as_it_is(here: Path) -> None:
    target = load("things:ready")
    assert not target.built
    assert target.model.training


def test_any_keyword_where_the_constructor_takes_any(here: Path) -> None:
    assert load("things:Anything", {"a": 1}).model.options == {"a": 1}


# What is said otherwise


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("lenet.model:Regular", "there is no module 'lenet.model'; did you mean lenet.models?"),
        ("lenett.models:Regular", "there is no module 'lenett'; did you mean lenet"),
        ("nosuchthing_at_all:X", "it is looked for in "),
        ("lenet.models.Regular:Regular", "lenet.models is a module: a name in it is written lenet.models:Regular"),
        ("lenet.models.py:Regular", "there is no file 'lenet.models.py'; did you mean the module lenet.models?"),
        ("lenet/model.py:Regular", "there is no file 'lenet/model.py'; did you mean lenet/models.py"),
        ("lenet/models.py", "'lenet/models.py' names a file, not what is in it; did you mean lenet/models.py:Dep"),
        ("lenet/models.py:Regualr", "there is no 'Regualr' in models; did you mean Regular?"),
        ("weights.pt", "'weights.pt' cannot be read: No such file or directory"),
        ("weights.bin", "looks like saved weights, which do not say what is computed with them"),
        ("lenet models:Regular", "write package.module:Name"),
        ("lenet.models:Regualr", "there is no 'Regualr' in lenet.models; did you mean Regular?"),
        ("lenet.models:xyz", "the models in it are DepthwiseSeparable, Regular and Depthwise"),
        ("lenet.models:Regular.frward", "there is no 'frward' in lenet.models:Regular; did you mean forward"),
        ("lenet.models:CLASSES", "lenet.models:CLASSES is an int, not a model"),
        ("lenet:models", "is a Python module, not a model; the models in it are lenet.models:DepthwiseSeparable"),
        ("lenet.models:OrderedDict", "is a class, but not of models"),
        (
            "lenet.models",
            "did you mean lenet.models:DepthwiseSeparable, lenet.models:Regular or lenet.models:Depthwise?",
        ),
        ("lenet.models.Depthwise", "did you mean lenet.models:Depthwise?"),
        ("lenet.models.Depthwis", "did you mean lenet.models:Depthwise or "),
        ("lenet.models:", "did you mean"),
        (":Regular", "write package.module:Name"),
        ("Regular", "write package.module:Name"),
        ("", "write package.module:Name"),
    ],
)
def test_names_that_name_no_model(name: str, said: str) -> None:
    assert said in refused(name)


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("broken:Net", {}, "importing broken failed: ZeroDivisionError"),
        ("leaving:Net", {}, "importing leaving failed: SystemExit: 1"),
        ("needy:Net", {}, "needy was found, but it needs the module 'a_module_nobody_has', which is not installed"),
        ("things:Net", {}, "things:Net needs width: give --arg width=..."),
        ("things:Net", {"widht": 3}, "things:Net takes no argument 'widht'; did you mean width?"),
        ("things:Net", {"width": 3, "zzz": 1}, "takes no argument 'zzz'; it takes width, depth and bias"),
        ("things:nothing", {"a": 1}, "takes no argument 'a'; it takes none"),
        ("things:nothing", {}, "things:nothing returned None, not a model"),
        ("things:Net", {"width": "wide"}, "building things:Net failed: TypeError"),
        ("things:fails", {}, "building things:fails failed: ValueError: no luck"),
        ("things:leaves", {}, "building things:leaves failed: SystemExit: 3"),
        ("things:Plain", {}, "is a class, but not of models"),
        ("things:number", {}, "things:number is an int, not a model"),
        ("things:ready", {"width": 3}, "is a model already, so it takes no --arg width"),
    ],
)
def test_models_that_cannot_be_had(here: Path, name: str, arguments: dict[str, Any], said: str) -> None:
    assert said in refused(name, arguments)


# Inputs


def test_no_input_known(here: Path) -> None:
    with pytest.raises(TargetError, match=r"no input is known for things:build: give its size.*--input 1,3,224,224$"):
        known_input(load("things:build"))
    with pytest.raises(TargetError, match="one for each of image and mask"):
        known_input(load("things:Two"))


def test_a_forward_without_arguments_needs_no_input(here: Path) -> None:
    assert known_input(load("things:Anything")) == ()


def test_an_own_example_input() -> None:
    assert known_input(Target("x", Regular())) is None


# torchvision


vision = pytest.importorskip("torchvision", reason="torchvision is only needed for its own models").models

INPUTS = {
    "torchvision.models:squeezenet1_1": ((1, 3, 224, 224),),
    "torchvision.models:inception_v3": ((1, 3, 299, 299),),
    "torchvision.models:efficientnet_v2_s": ((1, 3, 384, 384),),
    "torchvision.models:vit_h_14": ((1, 3, 518, 518),),
    "torchvision.models.quantization:resnet18": ((1, 3, 224, 224),),
    "torchvision.models.segmentation:fcn_resnet50": ((1, 3, 520, 520),),
    "torchvision.models.detection:fasterrcnn_mobilenet_v3_large_320_fpn": ([(3, 320, 320)],),
    "torchvision.models.detection:ssd300_vgg16": ([(3, 300, 300)],),
    "torchvision.models.video:r3d_18": ((1, 3, 16, 112, 112),),
    "torchvision.models.video:mvit_v2_s": ((1, 3, 16, 224, 224),),
    "torchvision.models.optical_flow:raft_small": ((1, 3, 520, 960), (1, 3, 520, 960)),
}


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.filterwarnings("error")
def test_torchvision_knows_its_inputs_and_fetches_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("weights were asked for")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    with torch.device("meta"):
        target = load(name)
    assert target.inputs == INPUTS[name]
    assert not target.model.training


def test_a_transformer_keeps_its_own_size_when_the_input_is_given() -> None:
    with torch.device("meta"):
        assert load("torchvision.models:vit_h_14", own_input=False).model.image_size == 224
        assert load("torchvision.models:vit_b_16", {"image_size": 384}).inputs == ((1, 3, 384, 384),)


def test_torchvision_names() -> None:
    assert "did you mean resnet50" in refused("torchvision.models:resnet5")
    assert "did you mean torchvision.models:resnet50?" in refused("resnet50")
    assert "needs" in refused("torchvision.models:ResNet")


def test_a_torchvision_model_runs_at_its_own_size() -> None:
    target = load("torchvision.models:squeezenet1_1", {"num_classes": 10})
    assert profile(target.model, known_input(target))["classifier"].output_shapes == ((1, 10, 1, 1),)
