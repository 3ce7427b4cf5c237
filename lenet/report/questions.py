"""The study's four questions, each answered with the figures of this run beside the published ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from math import prod

from lenet.models import KINDS
from lenet.report.document import Block, Heading, Paragraph, Section
from lenet.report.facts import EVEN, Facts
from lenet.report.phrases import count, duration, fraction, less, listed, percent, points
from lenet.report.published import DATASET, EPOCHS, STUDY
from lenet.report.relation import F
from opcount import LayerRecord

PHONE_LAYER = (3, 256)
"""A layer of the usual mobile network: the side of its kernel, its output channels."""
SLOWER = 0.95
"""Depthwise training that takes more than this part of regular training's time has saved none worth the name."""

Answer = Callable[[Facts], Iterator[str]]


def questions(facts: Facts) -> Section:
    """The section: four questions, four answers of some paragraphs each."""
    asked: tuple[tuple[str, tuple[Answer, ...]], ...] = (
        ("How much computation do depthwise separable convolutions save?", (_saved, _where)),
        ("What is the mathematical relation between the two?", (_relation, _checked)),
        ("What does it cost in accuracy?", (_accuracy, _study)),
        ("Why do mobile architectures use them?", (_phones, _time)),
    )
    blocks: list[Block] = []
    for number, (question, answers) in enumerate(asked, start=1):
        blocks.append(Heading(f"{number}. {question}"))
        texts = (" ".join(answer(facts)) for answer in answers)
        blocks += [Paragraph(text) for text in texts if text]
    return Section("questions", "Four questions, answered", blocks)


def _saved(facts: Facts) -> Iterator[str]:
    networks = f" of networks{facts.wide}" if facts.wide else ""
    before, after = (facts.costs.of(kind).convolutions for kind in KINDS)
    yield (
        f"**{less(before.total, after.total).capitalize()} operations in the convolutions{networks}**: "
        f"{after.total:,} instead of {before.total:,}. Multiplications are {less(before.macs, after.macs)} "
        f"({before.macs:,} to {after.macs:,}), additions {less(before.additions, after.additions)} "
        f"({before.additions:,} to {after.additions:,})."
    )
    published = [STUDY[kind].total for kind in KINDS]
    if [before.total, after.total] == published:
        yield f"The study published the same {published[0]:,} and {published[1]:,}."
    else:
        yield f"The study's networks, of width 1, go from {published[0]:,} to {published[1]:,}, {less(*published)}."


def _where(facts: Facts) -> Iterator[str]:
    saved = {check.path: 1 - Fraction(check.y, check.x) for check in facts.costs.checks}
    channels = {check.path: check.out_channels for check in facts.costs.checks}
    least, most = min(saved, key=lambda path: saved[path]), max(saved, key=lambda path: saved[path])
    yield (
        f"Least is saved in {least}, {percent(float(saved[least]))} of its multiplications with "
        f"{count(channels[least], 'output channel')}; most in {most}, {percent(float(saved[most]))} with "
        f"{channels[most]:,}."
    )
    whole = [facts.costs.of(kind).whole.total for kind in KINDS]
    yield (
        "With bias, pooling and linear layers counted too, a whole pass over one image takes "
        f"{whole[1]:,} multiplications and additions instead of {whole[0]:,}, {less(*whole)}."
    )


def _relation(_: Facts) -> Iterator[str]:
    yield (
        f"**{F}** maps the multiplications x of a regular convolution to those of the separable one. The depthwise "
        "step filters once instead of once for each output channel, and so costs x/C_out; the pointwise step mixes "
        "channels at one tap instead of K², and so costs x/K². Input channels, image size, stride and padding play "
        "no part."
    )


def _checked(facts: Facts) -> Iterator[str]:
    checks = facts.costs.checks
    first, last = checks[0], checks[-1]
    yield (
        f"In {first.path}, {first.x:,} · (1/{first.out_channels} + 1/{first.kernel**2}) = {first.x:,} · "
        f"{fraction(first.ratio)} = {fraction(first.predicted)}."
    )
    holding = [check.path for check in checks if check.holds]
    if facts.costs.hold:
        yield f"In exact fractions it gives what was counted in all {len(checks)} convolutions."
    else:
        yield f"In exact fractions it gives what was counted in {listed(holding) if holding else 'none of them'} only."
    yield (
        f"With many output channels little more than 1/K² is left: {last.path} has {last.out_channels:,} and keeps "
        f"{percent(float(last.ratio))} of its multiplications, where 1/K² is {percent(float(last.parts[1]))}."
    )


def _accuracy(facts: Facts) -> Iterator[str]:
    lost, pair = facts.lost, facts.pair
    if lost is None:
        (only,) = pair.courses
        yield (
            f"Nothing can be said: only the {only.kind} network was trained, to {percent(facts.accuracy(only.kind))} "
            f"on {facts.data} after {facts.epochs}."
        )
        return
    yield _lost(facts, lost)
    yield from _chance(facts, lost)
    yield from _mistakes(facts)


def _lost(facts: Facts, lost: float) -> str:
    regular, depthwise = (percent(facts.accuracy(kind)) for kind in KINDS)
    if abs(lost) < EVEN:
        return f"**Nothing**: on {facts.data}, after {facts.epochs}, both networks reach {regular} test accuracy."
    what = f"Nothing: it gained {points(lost)}." if lost < 0 else f"{points(lost)}."
    reached = f"depthwise reaches {depthwise} test accuracy, regular {regular}"
    return f"**{what}** On {facts.data}, after {facts.epochs}, {reached}."


def _chance(facts: Facts, lost: float) -> Iterator[str]:
    """How much of the difference may be chance: over seeds, and for so few test images."""
    by_seed, images = facts.lost_by_seed, facts.run.test_images
    if not facts.pair.paired:
        yield "The two were trained with different seeds so far."
    elif len(by_seed) == 1:
        yield (
            f"That is one seed, which cannot tell how much of it is chance; one of the {images:,} test images is "
            f"{100 / images:.2g} percentage points."
        )
    elif min(by_seed) > 0 or max(by_seed) < 0:
        low, high = (f"{100 * each:.2f}" for each in sorted(map(abs, (min(by_seed), max(by_seed)))))
        by = f"{low} points" if low == high else f"{low} to {high} points"
        ends = [facts.pair.ends(each, "test_accuracy") for each in facts.pair.courses]
        apart = max(100 * (end.high - end.low) for end in ends)
        seeds = f"each of the {len(by_seed)} seeds"
        yield f"It is so in {seeds}, by {by}; seeds of one network lie up to {apart:.2f} apart."
    elif abs(lost) >= EVEN:
        same = sum(1 for each in by_seed if each * lost > 0)
        yield f"It is so in {same} of {len(by_seed)} seeds only: within what the seed makes of it."


def _mistakes(facts: Facts) -> Iterator[str]:
    wrong = [1 - facts.accuracy(kind) for kind in KINDS]
    if wrong[0] <= 0 or wrong[1] <= 0 or percent(wrong[0]) == percent(wrong[1]):
        return
    of_thousand = [f"{1000 * each:.1f}" for each in wrong]
    yield (
        f"Of every 1,000 test images the regular network gets {of_thousand[0]} wrong and the depthwise one "
        f"{of_thousand[1]}, {wrong[1] / wrong[0]:.2f} times as many."
    )


def _study(facts: Facts) -> Iterator[str]:
    before, after = (STUDY[kind] for kind in KINDS)
    yield (
        f"The study published {percent(before.accuracy)} and {percent(after.accuracy)} after {EPOCHS} epochs on MNIST, "
        f"{points(after.accuracy - before.accuracy)} apart, with final losses of {before.loss:.4f} and "
        f"{after.loss:.4f}."
    )
    shown = [f"{facts.pair.ends(each, 'train_loss').mean:.4f}" for each in facts.pair.courses]
    plural = "losses here are" if len(shown) > 1 else "loss here is"
    yield f"The final training {plural} {listed(shown)}."
    if facts.data_set != DATASET or facts.held_out:
        yield f"Accuracies on {facts.data} and on MNIST's test set are not comparable."
    elif not facts.comparable:
        yield f"This run's networks are{facts.wide}, the study's of width 1."


def _phones(facts: Facts) -> Iterator[str]:
    params = [facts.costs.of(kind).whole.params for kind in KINDS]
    macs = [facts.costs.of(kind).whole.macs for kind in KINDS]
    kernel, channels = PHONE_LAYER
    ratio = Fraction(1, channels) + Fraction(1, kernel**2)
    yield (
        "A phone runs on a battery, with few multipliers and little memory, and most of what a convolutional network "
        f"asks of it is multiplications and weights. Here an image takes {macs[1]:,} multiplications in all layers "
        f"that contract, instead of {macs[0]:,}, and the network is {params[1]:,} parameters instead of "
        f"{params[0]:,}: {_kilobytes(params[1])} instead of {_kilobytes(params[0])} in 32-bit floats."
    )
    yield (
        f"The layers of mobile networks gain as much: with {kernel}×{kernel} kernels and {channels} output channels "
        f"the ratio is 1/{channels} + 1/{kernel**2} = {fraction(ratio)}, {float(1 / ratio):.1f} times fewer "
        "multiplications."
    )
    if facts.lost is not None:
        yield _price(facts, facts.lost)


def _price(facts: Facts, lost: float) -> str:
    before, after = (facts.costs.of(kind).convolutions.total for kind in KINDS)
    saving = f"{before / after:.1f} times fewer operations in the convolutions"
    price = "without any loss of accuracy" if lost < EVEN else f"at the price of {points(lost)} of accuracy"
    return f"On {facts.data} this run had {saving} {price}."


def _time(facts: Facts) -> Iterator[str]:
    """Operations are not time: what the clock said, and why, by multiplications for each value that is moved."""
    before, after = (facts.pair.seconds(kind) for kind in KINDS)
    if before is None or after is None or before <= 0 or after <= 0:
        return
    taught = ", its teacher's answers included," if facts.run.settings.get("distillation") is not None else ""
    times = f"{duration(after)} for depthwise{taught} and {duration(before)} for regular on {facts.run.device}"
    if after <= SLOWER * before:
        yield f"It saved time in training too: {times}."
        return
    path = max(facts.costs.checks, key=lambda check: check.x).path
    whole, steps = facts.costs.regular.studied, facts.costs.depthwise.studied
    one, two, three = (
        f"{_intensity(record):.0f}" for record in (whole[path], steps[f"{path}.depthwise"], steps[f"{path}.pointwise"])
    )
    yield (
        f"**Operations are not time, though.** Training took {times}. Each convolution has become two calls, and each "
        f"does less for what it moves: {path} multiplies {one} times for each value it reads or writes, its depthwise "
        f"step {two} times, its pointwise step {three} times. A gain in time needs hardware or kernels that are held "
        "up by arithmetic and not by memory or by calls."
    )


def _intensity(record: LayerRecord) -> float:
    """Multiplications for each value read or written: inputs, weights and outputs."""
    shapes = [*record.input_shapes, *record.output_shapes]
    return record.ops.multiplications / (record.params + sum(map(prod, shapes)))


def _kilobytes(params: int) -> str:
    return f"{4 * params / 1000:,.0f} kB"
