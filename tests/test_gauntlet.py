"""The models on which counters go wrong: all six figures of each, by hand."""

from __future__ import annotations

import pytest

from benchmarks.gauntlet.case import Case
from benchmarks.gauntlet.cases import CASES
from opcount import profile


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.family}-{case.name}")
def test_the_truth(case: Case) -> None:
    built = case.build()
    with case.context():
        counted = profile(built.model, built.args, kwargs=built.kwargs)
    assert counted.ops.to_dict() == {figure: case.truth[figure] for figure in counted.ops.to_dict()}
    assert counted.complete


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)
