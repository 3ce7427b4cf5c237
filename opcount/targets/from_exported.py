"""``model.pt2``: an exported program, of which the graph in its archive is read and nothing is run."""

from __future__ import annotations

import logging
from typing import Any

from opcount.errors import TargetError, described
from opcount.targets.graph_inputs import natural
from opcount.targets.source import Request, Source, Target


def load(request: Request) -> Target:
    """The program in a file; one whose graph cannot be read is loaded by PyTorch where the user trusts the file.

    Raises:
        TargetError: the file cannot be read, or its graph is not one that can be and the file is not trusted.
        InputError: an open dimension has no size.
    """
    from opcount.graphs.archive import UnknownGraph
    from opcount.graphs.subject import Program, read_program

    try:
        program = read_program(request.name)
    except UnknownGraph as error:
        if not request.trust:
            raise TargetError(f"{error}; --trust has PyTorch load it, which unpickles parts of it") from error
        program = Program(*_loaded(request.name, error), has_values=True)
    return Target(request.word, program, natural(program.inputs, request), built=False)


def _loaded(path: str, before: TargetError) -> tuple[Any, Any]:
    import torch

    from opcount.graphs.program import module_of

    with _Log("torch.export") as log:
        try:
            return module_of(torch.export.load(path))
        except Exception as error:  # PyTorch unpickles parts of it, which may raise anything
            reason = described(log.error or error)
            raise TargetError(f"{before}; PyTorch cannot load it either: {reason}") from error


class _Log(logging.Handler):
    """Keeps what went wrong, which PyTorch logs with its traceback before it says to look there."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.logger = logging.getLogger(name)
        self.error: BaseException | None = None
        self.before = self.logger.propagate, self.logger.handlers

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the first error."""
        self.error = self.error or (record.exc_info or (None, None))[1]

    def __enter__(self) -> _Log:
        self.logger.propagate, self.logger.handlers = False, [self]
        return self

    def __exit__(self, *exc: object) -> None:
        self.logger.propagate, self.logger.handlers = self.before


SOURCE = Source("model.pt2", load, knobs=frozenset({"batch", "seq", "resolution"}), takes_arguments=False)
