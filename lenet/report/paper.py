"""The report as a whole: what it is called, what it says first, what it warns of, and its sections."""

from __future__ import annotations

from collections.abc import Iterator

from lenet.models import KINDS
from lenet.report import published
from lenet.report.convergence import convergence
from lenet.report.document import Card, Paper
from lenet.report.experiment import experiment, reproduce
from lenet.report.facts import EVEN, ORIGINS, Facts, progress
from lenet.report.frontier import Frontier, section
from lenet.report.phrases import change, count, less, percent, points, signed
from lenet.report.published import STUDY
from lenet.report.questions import questions
from lenet.report.relation import relation
from lenet.report.results import results
from lenet.report.training_cost import training_cost

SPELLED = {"regular": "regular", "depthwise": "depthwise separable"}


def paper(facts: Facts, found: Frontier | None) -> Paper:
    """The report of a run."""
    sections = [
        questions(facts),
        experiment(facts),
        results(facts),
        relation(facts),
        training_cost(facts),
        convergence(facts),
        *([] if found is None else [section(facts, found)]),
        reproduce(facts),
    ]
    return Paper(
        title=f"LeNet-5{facts.wide} with regular and depthwise separable convolutions on {facts.data}",
        lead=lead(facts),
        cards=tuple(_cards(facts)),
        warnings=tuple(_warnings(facts)),
        sections=sections,
    )


def lead(facts: Facts) -> str:
    """The whole report in two sentences."""
    before, after = (facts.costs.of(kind).convolutions.total for kind in KINDS)
    how = f"Means of {count(facts.seeds, 'seed')}." if facts.seeds > 1 else "A single seed."
    lost = facts.lost
    if lost is None:
        (only,) = facts.pair.courses
        saving = f"do {less(before, after)} operations"
        beside = f"{saving} when made depthwise separable" if only.kind == "regular" else f"{saving} than regular ones"
        return (
            f"After {facts.epochs} on {facts.data}, LeNet-5{facts.wide} with {SPELLED[only.kind]} convolutions "
            f"classifies {percent(facts.accuracy(only.kind))} of the test images correctly. Its convolutions {beside}. "
            f"{how}"
        )
    regular, depthwise = (percent(facts.accuracy(kind)) for kind in KINDS)
    if abs(lost) < EVEN:
        beside = f"as many as the regular one ({regular})"
    else:
        beside = f"{points(lost)} {'fewer' if lost > 0 else 'more'} than the regular one ({regular})"
    return (
        f"After {facts.epochs} on {facts.data}, LeNet-5{facts.wide} with depthwise separable convolutions classifies "
        f"{depthwise} of the test images correctly, {beside}, with {less(before, after)} operations in its "
        f"convolutions. {how}"
    )


def _cards(facts: Facts) -> Iterator[Card]:
    before, after = (facts.costs.of(kind).convolutions.total for kind in KINDS)
    yield Card("operations, depthwise against regular", change(before, after), f"{before:,} → {after:,}")
    for each in facts.pair.courses:
        beside = f"study, MNIST: {percent(STUDY[each.kind].accuracy)}"
        yield Card(f"{facts.data} test accuracy, {each.kind}", percent(facts.accuracy(each.kind)), beside, each.kind)
    if facts.lost is not None:
        study = 100 * (STUDY["depthwise"].accuracy - STUDY["regular"].accuracy)
        value = signed(f"{-100 * facts.lost:+.2f}")
        yield Card("difference in percentage points", value, f"study, MNIST: {signed(f'{study:+.2f}')}")


def _warnings(facts: Facts) -> Iterator[str]:
    run = facts.run
    if facts.data_set != published.DATASET:
        origin = f" ({ORIGINS[facts.data_set]})" if facts.data_set in ORIGINS else ""
        yield (
            f"**Trained on {facts.data_set}{origin}, not on MNIST.** The study's accuracies, losses and times are of "
            "MNIST: they stand beside this run's for orientation and can be neither reached nor missed on other data."
        )
    if facts.held_out:
        yield f"**Not tested on the test set:** {facts.held_out}. What is called test here are those images."
    if not run.finished:
        yield (
            f"**This run is not finished:** {progress(run)}. Figures are as of epoch {facts.pair.epoch}. Resume the "
            "training, and this report is written anew."
        )
