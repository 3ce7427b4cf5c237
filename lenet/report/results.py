"""The study's table of results, with the figures of this run beside the published ones."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from statistics import fmean

from lenet.models import KINDS
from lenet.report.document import Block, Figure, Paragraph, Section, Table
from lenet.report.facts import EVEN, Facts
from lenet.report.phrases import change, count, duration, listed, percent, points, signed
from lenet.report.published import EPOCHS, LEAST_TEST_LOSS, STUDY
from lenet.report.series import Spread

NONE = "–"
HEAD = ("regular", "depthwise", "difference")
OPERATIONS = (
    ("total operations", "total"),
    ("MACs", "macs"),
    ("multiplications", "multiplications"),
    ("additions", "additions"),
)


def results(facts: Facts) -> Section:
    """The section of results."""
    blocks: list[Block] = [
        Paragraph(" ".join(_reading(facts))),
        table(facts),
        Paragraph(_losses()),
        accuracy_figure(facts),
        loss_figure(facts),
    ]
    return Section("results", "Results", blocks)


def table(facts: Facts) -> Table:
    """The table: this run, then the study."""
    before, after = STUDY["regular"], STUDY["depthwise"]
    accuracy = (
        percent(before.accuracy),
        percent(after.accuracy),
        signed(f"{100 * (after.accuracy - before.accuracy):+.2f} points"),
    )
    loss = (f"{before.loss:.4f}", f"{after.loss:.4f}", signed(f"{after.loss - before.loss:+.4f}"))
    minutes = (f"~{before.minutes:g} min", f"~{after.minutes:g} min", f"+{after.minutes - before.minutes:g} min")
    rows = [
        ("final test accuracy", *_accuracies(facts), *accuracy),
        *(_operations(facts, label, name) for label, name in OPERATIONS),
        ("final training loss", *_loss(facts, "train_loss"), *loss),
        ("final test loss", *_loss(facts, "test_loss"), NONE, NONE, NONE),
        ("training time", *_times(facts), *minutes),
    ]
    return Table(
        caption=f"{facts.data}: LeNet-5{facts.wide} after {facts.epochs}, {facts.of_seeds}; and the study, on MNIST",
        head=("", *HEAD, *(f"study: {title}" for title in HEAD)),
        rows=rows,
        notes=tuple(_notes(facts)),
    )


def _notes(facts: Facts) -> Iterator[str]:
    yield "Operations are those of the convolutions alone, for one image and without bias, as the study counts them."
    if facts.seeds > 1:
        yield f"± is the standard deviation over {facts.seeds} seeds. Differences are taken before rounding."
    augmented = "augmented and " if facts.run.settings.get("augmentation") is not None else ""
    yield (
        "Training loss is the mean over the last epoch's images as they were learnt from, "
        f"{augmented}with the weights of each step."
    )
    yield (
        f"Training time, without testing, is that of {facts.epochs} of one seed on {facts.run.device}"
        + (f", {facts.run.world_size} processes together" if facts.run.world_size > 1 else "")
        + (", averaged over the seeds." if facts.seeds > 1 else ".")
    )


def _accuracies(facts: Facts) -> Sequence[str]:
    shown = []
    for kind in KINDS:
        final = facts.pair.final(kind, "test_accuracy")
        shown.append(NONE if final is None else _with_deviation(final, 100, 2, " %"))
    lost = facts.lost
    return (*shown, NONE if lost is None else signed(f"{-100 * lost:+.2f} points"))


def _loss(facts: Facts, name: str) -> Sequence[str]:
    finals = [facts.pair.final(kind, name) for kind in KINDS]
    differences = facts.pair.differences(name)
    shown = [NONE if final is None else _with_deviation(final, 1, 4, "") for final in finals]
    return (*shown, signed(f"{fmean(differences):+.4f}") if differences else NONE)


def _times(facts: Facts) -> Sequence[str]:
    seconds = [facts.pair.seconds(kind) for kind in KINDS]
    first, second = seconds
    shown = [NONE if each is None else duration(each) for each in seconds]
    if first is None or second is None:
        return (*shown, NONE)
    return (*shown, ("−" if second < first else "+") + duration(abs(second - first)))


def _operations(facts: Facts, label: str, name: str) -> Sequence[str]:
    before, after = (getattr(facts.costs.of(kind).convolutions, name) for kind in KINDS)
    key = "multiplications" if name == "macs" else name
    published = [getattr(STUDY[kind], key) for kind in KINDS]
    return (
        label,
        *(f"{before:,}", f"{after:,}", change(before, after)),
        *(f"{published[0]:,}", f"{published[1]:,}", change(*published)),
    )


def _with_deviation(final: Spread, scale: float, digits: int, unit: str) -> str:
    spread = "" if final.deviation is None else f" ± {scale * final.deviation:.{digits}f}"
    return f"{scale * final.mean:.{digits}f}{spread}{unit}"


def _reading(facts: Facts) -> Iterator[str]:
    """What the table says, in words."""
    counted = {kind: facts.costs.of(kind).convolutions for kind in KINDS}
    before, after = counted["regular"].total, counted["depthwise"].total
    same = all(
        (each.total, each.multiplications, each.additions)
        == (STUDY[kind].total, STUDY[kind].multiplications, STUDY[kind].additions)
        for kind, each in counted.items()
    )
    if same:
        yield "The operation counts are the study's to the last digit."
    else:
        yield (
            f"The networks{facts.wide} do {before:,} and {after:,} operations in their convolutions; "
            f"the study's do {STUDY['regular'].total:,} and {STUDY['depthwise'].total:,}."
        )
    if facts.comparable:
        yield f"{listed(list(_beside_the_study(facts)))}.".capitalize()
    else:
        yield "The study's accuracies, losses and times are of other networks or data, and stand here for orientation."
    if facts.pair.epoch != EPOCHS:
        yield f"The study trained for {EPOCHS} epochs; the figures here are after {facts.epochs}."


def _beside_the_study(facts: Facts) -> Iterator[str]:
    for each in facts.pair.courses:
        mean, study = facts.accuracy(each.kind), STUDY[each.kind].accuracy
        off = mean - study
        where = "at" if abs(off) < EVEN else f"{points(off)} {'above' if off > 0 else 'below'}"
        yield f"{each.kind} is {where} the study's accuracy ({percent(mean)} beside {percent(study)})"


def _losses() -> str:
    """Which loss the study's are set beside, and why: by what its own figures imply."""
    wrong = 1 - STUDY["regular"].accuracy
    return (
        "The study gives one final loss a network and does not say of which images. **Its "
        f"{STUDY['regular'].loss:.4f} and {STUDY['depthwise'].loss:.4f} are set beside the training loss.** The right "
        "class of a wrongly classified image has at most half of the probability, so that each costs at least ln 2; "
        f"{percent(wrong)} of the test images wrong make a mean cross-entropy of at least {wrong:.4f} · ln 2 = "
        f"{LEAST_TEST_LOSS:.4f}. {STUDY['regular'].loss:.4f} is less than that and cannot be the test loss."
    )


def accuracy_figure(facts: Facts) -> Figure:
    """Accuracy against epoch."""
    said = [f"{each.kind} ends at {percent(facts.accuracy(each.kind))} on test images" for each in facts.pair.courses]
    return Figure(
        name=figure_name(facts, "accuracy"),
        alt=f"Line chart of accuracy on {facts.data} against epoch, for training and test images: {listed(said)}.",
        caption=f"{facts.data}: accuracy against epoch. {_lines(facts)}"
        + _reference(facts, "accuracies")
        + (" The axis widens towards 100 %." if facts.tall else ""),
    )


def loss_figure(facts: Facts) -> Figure:
    """Loss against epoch."""
    ends = {each.kind: facts.pair.ends(each, "test_loss").mean for each in facts.pair.courses}
    said = [f"{kind} ends at {loss:.4f} on test images" for kind, loss in ends.items()]
    return Figure(
        name=figure_name(facts, "loss"),
        alt=f"Line chart of loss on {facts.data} against epoch, for training and test images: {listed(said)}.",
        caption=f"{facts.data}: loss against epoch. {_lines(facts)}" + _reference(facts, "losses"),
    )


def _lines(facts: Facts) -> str:
    band = (
        f" Lines are means of {count(facts.seeds, 'seed')}; bands reach from the lowest to the highest."
        if facts.seeds > 1
        else " One seed."
    )
    return "Solid on test images, dashed on training images." + band


def _reference(facts: Facts, what: str) -> str:
    return f" Dotted: the study's final {what}." if facts.comparable else ""


def figure_name(facts: Facts, what: str) -> str:
    """The name of a figure's files, which tells the data set."""
    words = re.findall("[a-z0-9]+", facts.data.lower())
    return "-".join([*words, what])
