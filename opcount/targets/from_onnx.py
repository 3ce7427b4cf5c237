"""``model.onnx``: an ONNX model, of which the graph is read and weights are not needed."""

from __future__ import annotations

from opcount.targets.graph_inputs import natural
from opcount.targets.source import Request, Source, Target


def load(request: Request) -> Target:
    """The model in a file.

    Raises:
        MissingExtraError: the onnx package is not installed.
        TargetError: the file cannot be read, or is no ONNX model.
        InputError: an open dimension has no size.
    """
    from opcount.graphs.onnx.reading import read, signature

    model = read(request.name)
    return Target(request.word, model, natural(signature(model), request), built=False)


SOURCE = Source("model.onnx", load, knobs=frozenset({"batch", "seq", "resolution"}), takes_arguments=False)
