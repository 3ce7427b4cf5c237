"""``model.pt2``: an exported program, of which the graph in its archive is read and nothing is run."""

from __future__ import annotations

from typing import Any

from opcount.errors import TargetError, described
from opcount.targets.graph_inputs import natural
from opcount.targets.source import Request, Source, Target


def load(request: Request) -> Target:
    """The program in a file; one whose graph cannot be read is loaded by PyTorch where the user trusts the file.

    Raises:
        TargetError: the file cannot be read, or is of a version that is not known and not trusted.
        InputError: an open dimension has no size.
    """
    from opcount.graphs.subject import Program, read_program

    try:
        program = read_program(request.name)
    except TargetError as error:
        if not request.trust:
            raise
        module, inputs = _loaded(request.name, error)
        program = Program(module, inputs, has_values=True)
    return Target(request.word, program, natural(program.inputs, request), built=False)


def _loaded(path: str, before: TargetError) -> Any:
    import torch

    from opcount.graphs.program import module_of

    try:
        return module_of(torch.export.load(path))
    except Exception as error:  # PyTorch unpickles parts of it, which may raise anything
        raise TargetError(f"{before}; PyTorch cannot load it either: {described(error)}") from error


SOURCE = Source("model.pt2", load, knobs=frozenset({"batch", "seq", "resolution"}), takes_arguments=False)
