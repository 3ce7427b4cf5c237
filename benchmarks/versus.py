"""What other counters say of torchvision's models, measured: the figures that ``--versus`` has to meet.

    python -m benchmarks.versus [--tool thop] [--models 'resnet*'] [--write]

Each installed tool is asked through its documented interface, at the input the model's weights were made for, with real
tensors on the CPU; every question is put in a process of its own, because some tools leave functions of PyTorch
replaced. With ``--write`` the exact figures are kept in ``benchmarks/results``, beside those of tools that are not
installed here.
"""

from __future__ import annotations

import argparse
import fnmatch
import importlib
import json
import platform
import sys
from collections.abc import Callable
from functools import partial
from importlib import metadata
from typing import Any

from benchmarks.apart import apart
from benchmarks.environment import RESULTS, write
from benchmarks.gauntlet import tools
from benchmarks.gauntlet.case import Built

FILE = "versus.json"

MODELS = (
    "lenet.models:Regular",
    "lenet.models:Depthwise",
    *(
        f"torchvision.models:{name}"
        for name in (
            "alexnet",
            "convnext_tiny",
            "densenet121",
            "efficientnet_b0",
            "efficientnet_v2_s",
            "googlenet",
            "inception_v3",
            "maxvit_t",
            "mnasnet1_0",
            "mobilenet_v2",
            "mobilenet_v3_large",
            "mobilenet_v3_small",
            "regnet_x_400mf",
            "regnet_y_400mf",
            "resnet18",
            "resnet50",
            "resnext50_32x4d",
            "shufflenet_v2_x1_0",
            "squeezenet1_0",
            "swin_t",
            "swin_v2_t",
            "vgg11",
            "vgg16",
            "vgg16_bn",
            "vit_b_16",
            "vit_b_32",
            "wide_resnet50_2",
        )
    ),
    "torchvision.models.segmentation:deeplabv3_mobilenet_v3_large",
    "torchvision.models.segmentation:fcn_resnet50",
    "torchvision.models.segmentation:lraspp_mobilenet_v3_large",
    "torchvision.models.video:r3d_18",
    "torchvision.models.video:swin3d_t",
)
"""The models asked about, as targets of the command."""


def _macs(ask: Callable[[Built], tools.Reading]) -> Callable[[Built], float]:
    return lambda built: ask(built).macs


def _flopcounter(built: Built) -> float:
    return 2 * tools.ask_torch(built).macs


def _deepspeed(built: Built) -> float:
    """Its MACs, the second of its three numbers."""
    get_model_profile = tools.tool("deepspeed.profiling.flops_profiler", "get_model_profile")
    _, macs, _ = get_model_profile(built.model, args=list(built.args), print_profile=False, as_string=False)
    return float(macs)


ASKS: dict[str, tuple[str, Callable[[Built], float]]] = {
    "fvcore": ("fvcore", _macs(tools.ask_fvcore)),
    "thop": ("ultralytics-thop", _macs(tools.ask_thop)),
    "ptflops": ("ptflops", _macs(tools.ask_ptflops("pytorch"))),
    "ptflops-aten": ("ptflops", _macs(tools.ask_ptflops("aten"))),
    "torchinfo": ("torchinfo", _macs(tools.ask_torchinfo)),
    "flopcounter": ("torch", _flopcounter),
    "calflops": ("calflops", _macs(tools.ask_calflops)),
    "deepspeed": ("deepspeed", _deepspeed),
}
"""For each tool its distribution, and how it is asked for the figure it reports."""


def build(target: str) -> Built:
    """The model of a target, in evaluation mode, and random tensors of its own input size."""
    import torch

    from opcount.targets import known_input, load

    found = load(target)
    inputs = known_input(found)
    sizes = inputs if inputs is not None else (found.model.example_input_size,)
    return Built(found.model, tuple(torch.rand(size) for size in sizes))


def measure(tool: str, target: str) -> float:
    """What a tool reports of a model."""
    import torch

    torch.set_num_threads(1)
    return float(ASKS[tool][1](build(target)))


def table(kept: dict[str, Any]) -> str:
    """The figures as a page: a row for each model, a column for each tool, and what each was measured with."""
    tools = {name: known for name, known in kept.items() if known["figures"]}
    lines = ["# What other counters say", "", "| model |" + "".join(f" {name} |" for name in tools)]
    lines.append("|---|" + "---:|" * len(tools))
    for target in MODELS:
        cells = (known["figures"].get(target) for known in tools.values())
        lines.append(f"| {target} |" + "".join(f" {'–' if cell is None else f'{cell:,}'} |" for cell in cells))
    lines += ["", "Measured on the CPU, batch 1, with:", ""]
    lines += [
        f"- {name}: {ASKS[name][0]} {known['version']}, torch {known['torch']}, torchvision {known['torchvision']}, "
        f"Python {known['python']}"
        for name, known in tools.items()
    ]
    return "\n".join([*lines, ""])


def version(tool: str) -> str | None:
    """The installed version of a tool."""
    try:
        return metadata.version(ASKS[tool][0]).partition("+")[0]
    except metadata.PackageNotFoundError:
        return None


def main() -> int:
    """Measure, and print as it goes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tool", action="append", choices=ASKS, help="default: all that are installed")
    parser.add_argument("--models", default="*", help="a pattern of targets")
    parser.add_argument("--write", action="store_true", help="keep the results in benchmarks/results")
    options = parser.parse_args()
    kept: dict[str, Any] = json.loads((RESULTS / FILE).read_text()) if (RESULTS / FILE).exists() else {"tools": {}}
    for name in ("torch", "torchvision"):
        importlib.import_module(name)
    for tool in options.tool or ASKS:
        installed = version(tool)
        if installed is None:
            print(f"{tool} is not installed")
            continue
        targets = fnmatch.filter(MODELS, options.models)
        if not targets:
            continue
        known = kept["tools"].setdefault(tool, {"figures": {}})
        known.update(
            version=installed,
            torch=metadata.version("torch").partition("+")[0],
            torchvision=metadata.version("torchvision").partition("+")[0],
            python=platform.python_version(),
        )
        for target in targets:
            figure = apart(partial(measure, tool, target))
            known["figures"][target] = int(figure) if figure is not None and figure.is_integer() else figure
            print(tool, target, known["figures"][target], flush=True)
        known["figures"] = dict(sorted(known["figures"].items()))
    if options.write:
        write(FILE, json.dumps(kept, indent=1, sort_keys=True) + "\n")
        write("versus.md", table(kept["tools"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
