"""What training costs in operations: a step, an image of it, and a whole run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from lenet.models import KINDS
from lenet.recipes import optimizer_of
from lenet.report.costs import IMAGE, built, network
from lenet.report.document import Block, Paragraph, Section, Table
from lenet.report.facts import Facts
from lenet.report.phrases import change, count, less, listed, si
from lenet.report.run import Run
from opcount import OpCount, Profile, profile, whole_run

PARTS = (("forward and loss", "forward"), ("backward", "backward"), ("optimizer's step", "optimizer"))


@dataclass(frozen=True)
class Step:
    """A training step of one network, on one batch, counted.

    Attributes:
        batch: how many images it learns from.
        step: forward with the loss, backward and optimizer.
        answers: the forward of the network that it learns from, if it is taught.
    """

    batch: int
    step: Profile
    answers: Profile | None

    @property
    def total(self) -> OpCount:
        """All of it."""
        return self.step.ops + self.answers.ops if self.answers else self.step.ops

    def run(self, images: int, epochs: int) -> OpCount:
        """A whole run: so many epochs of so many images, the last batch of each counted as a whole one."""
        parts = [part for part in (self.step, self.answers) if part is not None]
        return sum((whole_run(part, samples=images, epochs=epochs).ops for part in parts), OpCount())


def step(run: Run, kind: str, width: float) -> Step:
    """A training step of a run's network: as it is trained, with its batch norm, its batch and its optimizer.

    Raises:
        StudyError: its recipe names an activation, a pooling or an optimizer that there is not.
    """
    model = built(run, kind, width).train()
    name, decay = run.settings.get("optimizer") or "adam", float(run.settings.get("weight_decay") or 0)
    optimizer = optimizer_of(name.lower(), model, run.lr, decay)
    batch = (run.batch_size, *IMAGE[1:])
    counted = profile(model, batch, backward=True, optimizer=optimizer, loss=_cross_entropy)
    taught = kind == "depthwise" and run.settings.get("distillation") is not None
    return Step(run.batch_size, counted, profile(network(run, "regular", width), batch) if taught else None)


def _cross_entropy(logits: Tensor) -> Tensor:
    return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device))


def training_cost(facts: Facts) -> Section:
    """The section."""
    steps = [step(facts.run, kind, facts.width) for kind in KINDS]
    blocks: list[Block] = [Paragraph(" ".join(_words(facts, steps))), table(facts, steps)]
    return Section("training-cost", "What training costs", blocks)


def table(facts: Facts, steps: Sequence[Step]) -> Table:
    """A row for each part of a step, for the step and for the run."""
    taught = any(each.answers for each in steps)
    rows = [
        _row(label, [_of_an_image(getattr(each.step, part).total, each) for each in steps])
        for label, part in (
            ("forward and loss", "forward"),
            ("backward", "backward"),
            ("optimizer's step", "optimizer"),
        )
    ]
    if taught:
        answers = [_of_an_image(each.answers.ops.total if each.answers else 0, each) for each in steps]
        rows.append(_row("the regular network's answers", answers))
    for label, figure in (("a training step", "total"), ("MACs of it", "macs")):
        rows.append(_row(label, [_of_an_image(getattr(each.total, figure), each) for each in steps]))
    runs = [each.run(facts.run.train_images, facts.run.epochs).total for each in steps]
    rows.append(_row(f"a whole run of {count(facts.run.epochs, 'epoch')}", runs))
    return Table(
        caption=f"{facts.data}: operations of training, for each image and, last, for a whole run of one seed",
        head=("", *KINDS, "difference"),
        rows=rows,
        notes=tuple(_notes(facts, taught)),
    )


def _row(label: str, figures: Sequence[float]) -> tuple[str, ...]:
    before, after = figures
    return label, *(f"{each:,.0f}" for each in figures), change(before, after)


def _of_an_image(figure: int, of: Step) -> float:
    return figure / of.batch


def _notes(facts: Facts, taught: bool) -> Iterator[str]:
    yield (
        "Operations are the multiplications and additions of all layers, with bias"
        + (" and batch norm" if facts.run.settings.get("batch_norm") is not None else "")
        + ", of the cross-entropy, of the gradients and of the optimizer, rounded to whole ones an image. Preparing "
        "the images is not counted" + (", nor is the loss against the answers." if taught else ".")
    )
    yield (
        f"The optimizer steps once a batch: an image has 1/{facts.run.batch_size} of that. A whole run counts the last "
        "batch of each epoch as a whole one."
    )


def _words(facts: Facts, steps: Sequence[Step]) -> Iterator[str]:
    regular, depthwise = (_of_an_image(each.total.total, each) for each in steps)
    yield (
        f"To learn from one image, in a batch of {facts.run.batch_size:,}, the regular network takes {regular:,.0f} "
        f"operations and the depthwise one {depthwise:,.0f}, {less(round(regular), round(depthwise))}."
    )
    answers = steps[1].answers
    if answers is not None:
        yield (
            f"{_of_an_image(answers.ops.total, steps[1]):,.0f} of the depthwise network's are its teacher's, the "
            "regular network's, whose answers it learns from: what it saves, it saves when it is used."
        )
    times = [f"{each.step.ops.total / each.step.forward.total:.1f}" for each in steps]
    yield (
        f"A step takes {listed(times)} times its own forward pass"
        + (", the answers aside" if answers is not None else "")
        + ": on the way back every weight gets a gradient, and so does every layer's input but the image."
    )
    runs = [each.run(facts.run.train_images, facts.run.epochs).total for each in steps]
    yield (
        f"{count(facts.run.epochs, 'epoch').capitalize()} of {facts.run.train_images:,} images are "
        f"{si(runs[0])} and {si(runs[1])} operations, {less(*runs)}, for each seed."
    )
