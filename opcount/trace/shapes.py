"""Running a clone by shapes alone: layers, functions and operators answer with what they would return.

The clone's tensors are stand-ins on the meta device. Known layers answer instead of running, and so do operators, from
their answers or from what was remembered of the same signature. Views are taken for real (on meta that costs next to
nothing); what nobody answers for runs on meta once. A tensor that the forward makes from Python numbers keeps its
values. Where a forward needs values that are not there, PyTorch raises, and the model has to be run.
"""

from __future__ import annotations

import time
from typing import Any

import torch

from opcount.ops import Execution
from opcount.trace.answering import OperatorAnswerer
from opcount.trace.guard import nothing_compiled, process_state_kept
from opcount.trace.recalling import FunctionAnswerer
from opcount.trace.run import call
from opcount.trace.skeleton import Skeleton
from opcount.trace.stubs import AnswerCollector, ShapesObserver, refuse_autocast, stand


def run_shapes(
    skeleton: Skeleton,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    collector: AnswerCollector,
    *,
    layer_rules: bool = True,
    constants: bool = False,
    undecided: bool = False,
) -> Execution:
    """Call the clone once on shapes and tell the collector what would have happened.

    Args:
        layer_rules: whether layers are counted by their own rules; without, by what they call.
        constants: whether tensors that the forward makes of known numbers (positions, masks of ones) keep their values.
        undecided: whether what a value would decide is uncounted, because there will be none.

    Raises:
        ForwardError: the forward raised, on shapes that do not fit as well as on values that are not there.
        NeedsValues: a tensor has no stand-in, or autocast is on.
    """
    observer = ShapesObserver(collector, layer_rules=layer_rules, undecided=undecided)
    vacant = skeleton.copier.vacant
    standing = stand(skeleton, observer, watched=vacant is not None)
    begin = time.perf_counter()
    with (
        process_state_kept(lambda: observer.drew),
        nothing_compiled(),
        torch.inference_mode(False),
        torch.no_grad(),
        FunctionAnswerer(observer, observer.blanks),
        OperatorAnswerer(observer, constants=constants),
    ):
        refuse_autocast()
        call(skeleton.model, args, kwargs, observer)
    for each in standing:
        if each.module.__dict__.pop("forward", None) is not each and vacant is not None:
            vacant.occupied = True  # by a forward of the model's own choosing, whose calls nobody has seen
    return Execution("shapes", seconds=time.perf_counter() - begin)
