"""The model and the process are as they were: after a count, and after a fault at every point of one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from opcount import OpCountError, profile
from tests.torture import fingerprint
from tests.torture.faults import fault
from tests.torture.figures import did
from tests.torture.subjects import Subject, drawn, gauntlet, torchvision

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.filterwarnings("ignore")

ERRORS = [RuntimeError, KeyboardInterrupt, MemoryError]
EXECUTIONS = ["auto", "real"]
COUNTS: dict[str, dict[str, Any]] = {
    "auto": {},
    "real": {"execution": "real"},
    "training step": {"backward": True, "optimizer": "adamw"},
    "training step for real": {"backward": True, "optimizer": "adamw", "execution": "real"},
    "memory": {"memory": True},
    "memory for real": {"memory": True, "execution": "real"},
}
"""What is asked for, as :func:`opcount.profile` takes it."""
EVERYDAY = ["resnet18", "mobilenet_v2", "shufflenet_v2_x0_5", "squeezenet1_1"]


def unchanged(subject: Subject, execution: str) -> None:
    """Count a model and find nothing changed."""
    with subject.context():
        model, inputs, kwargs = subject.build()
        before = fingerprint.of_model(model), fingerprint.of_process(), _of_inputs(inputs, kwargs)
        profile(model, inputs, kwargs=kwargs, execution=execution)
        after = fingerprint.of_model(model), fingerprint.of_process(), _of_inputs(inputs, kwargs)
    for then, now in zip(before, after, strict=True):
        assert fingerprint.differences(then, now) == []
    did("models fingerprinted")


def struck(subject: Subject, error: type[BaseException], how: str, most: int = sys.maxsize) -> None:
    """Strike a count at every point in turn; each time it ends well or in an error, and nothing changed.

    Args:
        most: points at which to strike. Of a model with more of them, each kind of error strikes at others.
    """
    with subject.context():
        model, inputs, kwargs = subject.build()
        profile(model, inputs, kwargs=kwargs, **COUNTS[how])  # or what is remembered of it would come too late
        with fault(error, None) as whole:
            right = profile(model, inputs, kwargs=kwargs, **COUNTS[how]).ops
        before = fingerprint.of_model(model), fingerprint.of_process()
        step = -(-whole.points // most)
        for point in range(ERRORS.index(error) * step // len(ERRORS), whole.points, step):
            with fault(error, point) as fell:
                ended = _ended(lambda: profile(model, inputs, kwargs=kwargs, **COUNTS[how]), error)
            assert fell.happened, f"point {point} of {whole.points} was never reached"
            assert ended is None or ended.ops == right
            then, now = before, (fingerprint.of_model(model), fingerprint.of_process())
            changed = [*fingerprint.differences(then[0], now[0]), *fingerprint.differences(then[1], now[1])]
            assert changed == [], f"struck by {error.__name__} at point {point}"
            did("faults injected")
        assert profile(model, inputs, kwargs=kwargs, **COUNTS[how]).ops == right


def _ended(count: Callable[[], Any], error: type[BaseException]) -> Any:
    try:
        return count()
    except (OpCountError, error):
        return None


def _of_inputs(inputs: Any, kwargs: Any) -> fingerprint.Print:
    return {"inputs": fingerprint.of_value(inputs), "kwargs": fingerprint.of_value(kwargs)}


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("subject", gauntlet(), ids=str)
def test_the_gauntlet_leaves_no_trace(subject: Subject, execution: str) -> None:
    unchanged(subject, execution)


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("seed", range(40))
def test_random_networks_leave_no_trace(seed: int, execution: str) -> None:
    unchanged(drawn(seed), execution)


@pytest.mark.parametrize("subject", torchvision(*EVERYDAY), ids=str)
def test_torchvision_leaves_no_trace(subject: Subject) -> None:
    unchanged(subject, "auto")


@pytest.mark.slow
@pytest.mark.parametrize("subject", torchvision(), ids=str)
def test_all_of_torchvision_leaves_no_trace(subject: Subject) -> None:
    unchanged(subject, "auto")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40, 500))
def test_many_random_networks_leave_no_trace(seed: int) -> None:
    for execution in EXECUTIONS:
        unchanged(drawn(seed), execution)


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("seed", range(4))
def test_a_fault_at_every_point(seed: int, execution: str, error: type[BaseException]) -> None:
    struck(drawn(seed), error, execution)


def trainable() -> nn.Sequential:
    """What a training step goes through: with state, with drawn numbers, and with parameters used twice."""
    twice = nn.Linear(4, 4)
    return nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), twice, nn.ReLU(), nn.Dropout(), twice, nn.LayerNorm(4))


TRAINABLE = Subject("trainable", lambda: (trainable(), torch.randn(3, 4), {}))


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("how", [how for how in COUNTS if how not in EXECUTIONS])
def test_a_fault_in_a_training_step_and_in_a_run_for_memory(how: str, error: type[BaseException]) -> None:
    struck(TRAINABLE, error, how, most=8)


@pytest.mark.slow
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("how", [how for how in COUNTS if how not in EXECUTIONS])
def test_a_fault_at_every_point_of_a_training_step_and_of_a_run_for_memory(
    how: str, error: type[BaseException]
) -> None:
    struck(TRAINABLE, error, how)


@pytest.mark.slow
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("how", [how for how in COUNTS if how not in EXECUTIONS])
@pytest.mark.parametrize("subject", torchvision("resnet18", "shufflenet_v2_x0_5"), ids=str)
def test_a_fault_all_over_a_training_step_of_torchvision(
    subject: Subject, how: str, error: type[BaseException]
) -> None:
    struck(subject, error, how, most=12)


@pytest.mark.slow
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("subject", [*gauntlet(), *(drawn(seed) for seed in range(4, 60))], ids=str)
def test_a_fault_at_every_point_of_the_gauntlet(subject: Subject, execution: str, error: type[BaseException]) -> None:
    struck(subject, error, execution)


@pytest.mark.slow
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("subject", torchvision(*EVERYDAY, "vit_b_32", "swin_t", "googlenet"), ids=str)
def test_a_fault_all_over_torchvision(subject: Subject, error: type[BaseException]) -> None:
    struck(subject, error, "auto", most=40)


@pytest.mark.parametrize(
    "shown", ["str(counted)", "render(counted, 'rich')", "print(counted)", "counted._repr_html_()"]
)
def test_the_first_report_draws_no_random_numbers(shown: str) -> None:
    """In a process of its own, for what is imported by the first report is there for all others."""
    program = (
        "import random, torch, opcount\n"
        "from opcount.report import render\n"
        "counted = opcount.profile(torch.nn.Linear(2, 2), (1, 2))\n"
        "before = random.getstate()\n"
        f"{shown}\n"
        "assert random.getstate() == before\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-600:]


def test_the_fingerprint_sees_what_changes() -> None:
    """A check that finds nothing has to be able to find something."""
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    changes: list[Callable[[], object]] = [
        lambda: model[0].weight.data.add_(1e-7),
        lambda: model[1].running_mean.add_(1),
        lambda: model[0].train(False),
        lambda: model.register_forward_hook(lambda *_: None),
        lambda: setattr(model[0], "cache", 1),
        lambda: model[0].weight.requires_grad_(False),
        lambda: setattr(model[0].bias, "grad", torch.ones(2)),
        lambda: model.append(nn.ReLU()),
    ]
    for change in changes:
        before = fingerprint.of_model(model)
        change()
        assert fingerprint.differences(before, fingerprint.of_model(model))
    before = fingerprint.of_process()
    torch.rand(1)
    assert fingerprint.differences(before, fingerprint.of_process()) == ["torch random state"]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are listed in /proc")
def test_the_fingerprint_sees_a_file_left_open(tmp_path: Path) -> None:
    before = fingerprint.of_process()
    with (tmp_path / "left").open("w"):
        during = fingerprint.of_process()
    assert fingerprint.differences(before, during) == [f"open files: {tmp_path / 'left'}"]
    assert fingerprint.differences(during, fingerprint.of_process()) == []  # closed since: nothing is left
