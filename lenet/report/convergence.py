"""How the two networks learn: when they reach round accuracies, how far seeds lie apart, whether they still rise."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean

from lenet.report.document import Block, Paragraph, Section, Table
from lenet.report.facts import Facts
from lenet.report.phrases import count, percent, points, signed
from lenet.report.series import Course, first_reached, slope, thresholds

FLAT = 0.0001
"""A slope below this, a hundredth of a percentage point an epoch, is called flat."""


def convergence(facts: Facts) -> Section:
    """The section."""
    blocks: list[Block] = [Paragraph(" ".join(_words(facts))), table(facts)]
    return Section("convergence", "Convergence", blocks)


def table(facts: Facts) -> Table:
    """Epochs to each threshold, spread and slope, a column for each network."""
    courses, until = facts.pair.courses, facts.pair.epoch
    rows = []
    for threshold in thresholds(facts.pair):
        reached = [_reached(facts, each, threshold) for each in courses]
        rows.append((f"epochs to {_round(threshold)} test accuracy", *reached))
    rows.append(("test accuracy after epoch 1", *(_after(facts, each, 1) for each in courses)))
    if until > 1:
        rows.append((f"test accuracy after epoch {until}", *(_after(facts, each, until) for each in courses)))
    rows.append(("seeds apart at the end, highest − lowest", *(_apart(facts, each) for each in courses)))
    if until >= 3:
        span = (slope(courses[0], until, facts.pair.seeds(courses[0])) or (0, 0.0))[0]
        rows.append((f"slope over the last {span} epochs", *(_slope(facts, each) for each in courses)))
    rows.append(("training − test accuracy at the end", *(_gap(facts, each) for each in courses)))
    return Table(
        caption=f"{facts.data}: convergence over {facts.epochs}, {facts.of_seeds}",
        head=("", *(each.kind for each in courses)),
        rows=rows,
        notes=(
            ("Epochs are the mean over the seeds, and the earliest to the latest of them in brackets.",)
            if facts.seeds > 1
            else ()
        ),
    )


def _round(threshold: float) -> str:
    return signed(f"{100 * threshold:g} %")


def _reached(facts: Facts, each: Course, threshold: float) -> str:
    found = first_reached(each, threshold, facts.pair.epoch, facts.pair.seeds(each))
    epochs = [epoch for epoch in found if epoch is not None]
    if not epochs:
        return "not reached"
    missing = "" if len(epochs) == len(found) else f", by {len(epochs)} of {len(found)} seeds"
    if len(epochs) == 1 or min(epochs) == max(epochs):
        return f"{epochs[0]}{missing}"
    return f"{fmean(epochs):.1f} ({min(epochs)} to {max(epochs)}){missing}"


def _after(facts: Facts, each: Course, epoch: int) -> str:
    return percent(fmean(each.figures(epoch, "test_accuracy", facts.pair.seeds(each))))


def _apart(facts: Facts, each: Course) -> str:
    final = facts.pair.ends(each, "test_accuracy")
    return "–" if final.seeds == 1 else f"{100 * (final.high - final.low):.2f} points"


def _slope(facts: Facts, each: Course) -> str:
    found = slope(each, facts.pair.epoch, facts.pair.seeds(each))
    return "–" if found is None else signed(f"{100 * found[1]:+.3f} points an epoch")


def _gap(facts: Facts, each: Course) -> str:
    train, test = (facts.pair.ends(each, name).mean for name in ("train_accuracy", "test_accuracy"))
    return signed(f"{100 * (train - test):+.2f} points")


def _words(facts: Facts) -> Iterator[str]:
    if facts.pair.both:
        yield from _pace(facts)
        yield from _fit(facts)
    yield from _seeds(facts)
    yield from _ends(facts)


def _pace(facts: Facts) -> Iterator[str]:
    """Which is ahead at first, and which sooner passes the highest mark that all seeds of both pass."""
    starts = {each.kind: fmean(each.figures(1, "test_accuracy", facts.pair.seeds(each))) for each in facts.pair.courses}
    first, second = starts["regular"], starts["depthwise"]
    ahead = "regular" if first >= second else "depthwise"
    if points(first - second) == points(0):
        yield f"After the first epoch both networks are at {percent(first)}."
    else:
        yield (
            f"After the first epoch {ahead} is ahead by {points(first - second)} "
            f"({percent(first)} for regular, {percent(second)} for depthwise)."
        )
    reached = {}
    for threshold in thresholds(facts.pair):
        found = [
            first_reached(each, threshold, facts.pair.epoch, facts.pair.seeds(each)) for each in facts.pair.courses
        ]
        epochs = [[epoch for epoch in each if epoch is not None] for each in found]
        if all(len(some) == len(each) for some, each in zip(epochs, found, strict=True)):
            reached[threshold] = [fmean(each) for each in epochs]
    if not reached:
        return
    highest, (first, second) = max(reached.items())
    if first == second:
        yield f"Both reach {_round(highest)} after {_epochs(first)}."
        return
    sooner, later = ("regular", "depthwise") if first < second else ("depthwise", "regular")
    fewer, more = sorted((first, second))
    yield f"{sooner.capitalize()} reaches {_round(highest)} after {_epochs(fewer)}, {later} after {_epochs(more)}."


def _epochs(number: float) -> str:
    return count(int(number), "epoch") if number == int(number) else count(number, "epoch")


def _fit(facts: Facts) -> Iterator[str]:
    """Whether what is lost is lost on the training images too."""
    lost = facts.lost
    before, after = (facts.pair.final(kind, "train_accuracy") for kind in ("regular", "depthwise"))
    if lost is None or lost <= 0.0005 or before is None or after is None:
        return
    on_training = before.mean - after.mean
    figures = f"{percent(after.mean)} beside {percent(before.mean)}"
    if on_training >= lost / 2:
        yield (
            f"Depthwise ends lower on its training images too ({figures}): the smaller network fits less, "
            "rather than overfitting more."
        )
    elif on_training > 0:
        yield f"Most of what depthwise loses, it loses in generalising: on training images it is nearer ({figures})."
    else:
        yield f"All that depthwise loses, it loses in generalising: on training images it is no worse ({figures})."


def _seeds(facts: Facts) -> Iterator[str]:
    if facts.seeds == 1:
        yield "With a single seed nothing can be said of how much of this is chance."
        return
    ends = {each.kind: facts.pair.ends(each, "test_accuracy") for each in facts.pair.courses}
    parts = [f"{points(final.high - final.low)} for {kind}" for kind, final in ends.items()]
    yield f"At the end the seeds lie apart by {' and '.join(parts)}."


def _ends(facts: Facts) -> Iterator[str]:
    """Whether training longer would change it."""
    found = {each.kind: slope(each, facts.pair.epoch, facts.pair.seeds(each)) for each in facts.pair.courses}
    slopes = {kind: each[1] for kind, each in found.items() if each is not None}
    if not slopes:
        few = "One epoch is" if facts.pair.epoch == 1 else f"{facts.epochs} are"
        yield f"{few} too few to tell whether the networks have settled."
        return
    span = next(each[0] for each in found.values() if each is not None)
    parts = [f"{kind} {_trend(value)}" for kind, value in slopes.items()]
    closing = ""
    if len(slopes) == 2 and facts.lost is not None:
        shrinks = (slopes["depthwise"] - slopes["regular"]) * (1 if facts.lost >= 0 else -1)
        if abs(shrinks) >= FLAT:
            change = "shrinks" if shrinks > 0 else "grows"
            closing = f": the difference {change} by {abs(100 * shrinks):.2f} points an epoch"
    yield f"Over the last {span} epochs {' and '.join(parts)}{closing}."


def _trend(value: float) -> str:
    if abs(value) < FLAT:
        return "is flat"
    return f"still {'rises' if value > 0 else 'falls'} by {abs(100 * value):.2f} points an epoch"
