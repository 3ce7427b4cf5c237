"""torchinfo: for each leaf of the tree of layers its parameters, times its output's positions if it is called Conv.

A layer counts by the name of its class, its parameters by theirs; layers that have layers inside count nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torch.nn.parameter import is_lazy

from opcount.formulas import evaluate
from opcount.formulas.arithmetic import product
from opcount.ops import TensorSpec
from opcount.reconciling.tools import Charge

if TYPE_CHECKING:
    from opcount.reconciling.witness import Seen

BIAS = "bias, its parameters as if they were weights"


def charges(seen: Seen) -> Iterator[Charge]:
    """What it adds for one call of a leaf."""
    if seen.level != "layer" or not seen.places or any(seen.subject.children()):
        return
    kind, output = type(seen.subject).__name__, _size(seen)
    contracts = any(_contracts(each) for each in seen.walk())
    for name, parameter in seen.subject.named_parameters():
        if not ("weight" in name or "bias" in name) or is_lazy(parameter):
            continue
        positions = _positions(kind, name, output)
        amount = product((parameter.numel(), *positions))
        if "bias" in name and contracts:
            yield Charge(amount, BIAS)
        else:
            yield Charge(amount, "" if contracts else f"{kind}: its parameters once a sample")


def why(seen: Seen, charged: int) -> str | None:
    """What its way makes of contractions that it sees."""
    if seen.level == "layer" and charged:
        name = type(seen.subject).__name__
        if "ConvTranspose" in name:
            return "transposed convolutions: their weight for each position of the output, not of the input"
        if "Linear" in name:
            return "linear layers once a sample, not once for each position"
        return f"{name}: its parameters times the first two sizes of its output"
    if seen.level == "layer" and any(seen.subject.children()):
        return f"{type(seen.subject).__name__}: not seen, only leaves of the tree of layers count"
    return None


def _positions(kind: str, name: str, output: tuple[int, ...]) -> tuple[int, ...]:
    if name not in ("weight", "bias"):
        return output[:2]
    return (*output[:1], *output[2:]) if "Conv" in kind else output[:1]


def _size(seen: Seen) -> tuple[int, ...]:
    """The size that it takes a layer's output for: the first tensor, of a mapping the last."""
    answer: Any = seen.call.output if seen.call else None
    while isinstance(answer, (tuple, dict)) and answer:
        answer = answer[0] if isinstance(answer, tuple) else list(answer.values())[-1]
    return answer.shape if isinstance(answer, TensorSpec) else ()


def _contracts(seen: Seen) -> bool:
    return any(evaluate(term).macs for term in seen.terms or ())
