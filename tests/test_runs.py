"""A whole run: steps worked out by hand, and their energy by the prices of the table."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
from torch import nn

from opcount import OpCount, profile, whole_run
from opcount.cli import main
from opcount.errors import InputError


def test_energy_is_that_of_every_step() -> None:
    """One row of 10 through 4: 40 products of 3.7 pJ and 36 sums of 0.9 pJ; 2 epochs of 5 samples are 10 steps."""
    run = whole_run(profile(nn.Linear(10, 4, bias=False), (1, 10)), samples=5, epochs=2)
    assert run.steps == 10
    assert run.ops == OpCount(400, 360, macs=400)
    assert run.energy.exact_picojoules == Fraction("1804")
    assert run.energy.complete
    assert run.energy.of("") == pytest.approx(1804e-12)
    cheap = whole_run(run.step, tokens=25, table={"float32": {"multiplications": 1}})
    assert cheap.steps == 3
    assert (cheap.energy.picojoules, cheap.energy.complete) == (120, False)
    assert [(line.kind, line.count) for line in cheap.energy.unpriced] == [("additions", 108)]


def test_phases_have_their_own() -> None:
    """SGD is a product and a sum for each of 8 parameters."""
    run = whole_run(profile(nn.Linear(3, 2), (2, 3), backward=True, optimizer="sgd"), samples=5, epochs=1)
    assert run.steps == 3
    ops, energy = run.phase("optimizer")
    assert ops == OpCount(24, 24)
    assert energy.exact_picojoules == 24 * Fraction("4.6")
    phases = [run.phase(phase) for phase in ("forward", "backward", "optimizer")]  # type: ignore[arg-type]
    assert sum((ops for ops, _ in phases), OpCount()) == run.ops
    assert sum(energy.exact_picojoules for _, energy in phases) == run.energy.exact_picojoules
    assert "optimizer" in str(run)


def test_no_run() -> None:
    step = profile(nn.Linear(3, 2), (2, 3))
    for wrong in ({}, {"samples": 3}, {"samples": 3, "epochs": 1, "tokens": 3}):
        with pytest.raises(InputError, match="both, or of tokens"):
            whole_run(step, **wrong)
    with pytest.raises(InputError, match="whole number"):
        whole_run(step, tokens=-1)
    image = profile(nn.Conv2d(1, 1, 1), (1, 1, 28, 28))
    with pytest.raises(InputError, match=r"how many tokens a step has: \(1, 1, 28, 28\)"):
        whole_run(image, tokens=4)
    with pytest.raises(InputError, match="there is no energy table"):
        whole_run(step, tokens=4, table="horowitz-2041")


STEP = [
    "torch.nn:Linear",
    "--arg",
    "in_features=10",
    "--arg",
    "out_features=4",
    "--arg",
    "bias=False",
    "--input",
    "1,10",
]


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*STEP, "--epochs", "2", "--samples", "5", "--format", "plain"]) == 0
    out = capsys.readouterr().out
    assert "whole run" in out
    assert "1.804 nJ" in out
    assert main([*STEP, "--backward", "--tokens", "3k", "--format", "json"]) == 0
    run = json.loads(capsys.readouterr().out)["whole_run"]
    assert (run["steps"], run["phases"]["backward"]["macs"]) == (300, 300 * 40)
    for wrong, said in (
        (["--epochs", "2"], "--samples and --epochs, both"),
        (["--tokens", "2", "--epochs", "2"], "--samples and --epochs, both"),
        (["--tokens", "2", "--format", "speedscope"], "no place"),
        (["--tokens", "2", "--audit"], "leave one out"),
        (["--tokens", "two"], "as a count"),
        ([STEP[0], "--tokens", "2"], "one model's"),
    ):
        assert main([*STEP, *wrong]) == 2
        assert said in capsys.readouterr().err


def test_questions_about_a_training_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*STEP, "--backward", "--vary", "N=0", "--format", "plain"]) == 0
    out = capsys.readouterr().out
    assert "a training step" in out
    assert "80·N" in out  # 40 products forward, and 40 for the gradient of the weight
    for question in (["--audit"], ["--separate"], ["--versus", "fvcore"]):
        assert main([*STEP, "--backward", *question]) == 2
        assert "leave --backward out" in capsys.readouterr().err
