"""What of the things that are given to ``profile`` is a graph."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from torch import fx

from opcount.graphs.signature import GraphInput


@dataclass(frozen=True, slots=True)
class Program:
    """An exported program, wherever it was read from.

    Attributes:
        module: its graph, as a module that holds its parameters.
        inputs: what it takes.
        has_values: whether the parameters have values, so that it can also be run for real.
    """

    module: fx.GraphModule
    inputs: tuple[GraphInput, ...]
    has_values: bool


def program_of(model: object) -> Program | None:
    """An exported program, as a model that can be counted; None if it is something else.

    Raises:
        InputError: the program takes something that is no tensor.
    """
    if isinstance(model, Program):
        return model
    exporting: Any = sys.modules.get("torch.export.exported_program")
    if exporting is None or not isinstance(model, exporting.ExportedProgram):
        return None
    from opcount.graphs.program import module_of

    return Program(*module_of(model), has_values=True)


def read_program(path: str) -> Program:
    """The exported program in a file that ``torch.export.save`` wrote. Nothing but its graph is read.

    Raises:
        TargetError: it cannot be read, is damaged, or is of a version that is not known.
    """
    from opcount.graphs.archive import read_graph
    from opcount.graphs.serialized import module_of

    return Program(*module_of(path, read_graph(path)), has_values=False)
