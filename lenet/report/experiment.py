"""What was trained, on what and how; and the two networks drawn."""

from __future__ import annotations

from collections.abc import Iterator

from lenet.report.document import Block, Code, Figure, Paragraph, Section, Table
from lenet.report.facts import ORIGINS, Facts
from lenet.report.phrases import count, listed, width_of
from lenet.report.results import figure_name
from opcount import LayerRecord

LABELS = {
    "activation": "activation",
    "pooling": "pooling",
    "batch_norm": "batch norm",
    "optimizer": "optimizer",
    "schedule": "learning rate's schedule",
    "augmentation": "augmentation",
    "distillation": "weight of the regular network's answers",
    "temperature": "temperature of those",
    "weight_decay": "weight decay",
    "label_smoothing": "label smoothing",
}


def experiment(facts: Facts) -> Section:
    """The section."""
    blocks: list[Block] = [Paragraph(" ".join(_words(facts))), settings(facts), architectures(facts)]
    return Section("experiment", "The experiment", blocks)


def _words(facts: Facts) -> Iterator[str]:
    run = facts.run
    yield (
        f"LeNet-5{facts.wide}, and its twin in which each of its {len(facts.costs.checks)} convolutions is a "
        f"depthwise and a pointwise one, learn {facts.data} from the same batches with the same seeds."
    )
    if run.recipe == "original":
        yield (
            "The study names neither optimizer, learning rate, batch size nor activation: the original recipe has "
            f"LeNet-5's own layers ({run.settings.get('activation')}, {run.settings.get('pooling')} pooling), and is "
            "otherwise a reconstruction."
        )
    else:
        yield (
            f"The study names neither optimizer, learning rate, batch size nor activation; the {run.recipe} recipe is "
            "not a guess at them but a way of its own."
        )
    if run.settings.get("batch_norm") is not None:
        yield (
            "After training, batch norm is folded into the convolution before it, which costs nothing: operations are "
            "counted so."
        )
    if run.settings.get("distillation") is not None:
        yield "The depthwise network learns from the regular one's answers as well as from the labels (distillation)."


def settings(facts: Facts) -> Table:
    """What the run was asked for."""
    run = facts.run
    unused = () if run.settings.get("distillation") is not None else ("temperature",)
    origin = f" ({ORIGINS[facts.data_set]})" if facts.data_set in ORIGINS else ""
    rows = [
        ("data set", f"{facts.data}{origin}: {run.train_images:,} training and {run.test_images:,} test images"),
        ("recipe", run.recipe),
        *((LABELS[name], value) for name, value in run.settings.items() if value is not None and name not in unused),
        ("learning rate", f"{run.lr:g}"),
        ("batch", count(run.batch_size, "image")),
        ("width", width_of(facts.width)),
        ("epochs", f"{run.epochs:,}"),
        ("seeds", listed([str(seed) for seed in run.seeds])),
        ("device", run.device + (f", {run.world_size} processes" if run.world_size > 1 else "")),
        ("PyTorch", run.torch),
        ("started", run.started),
    ]
    return Table(f"{facts.data}: how both networks were trained", ("", "this run"), rows, words=frozenset({0, 1}))


def architectures(facts: Facts) -> Figure:
    """Both networks drawn."""
    said = []
    for kind in ("regular", "depthwise"):
        layers = [
            f"{record.path} to {'x'.join(map(str, record.output_shapes[0][1:]))}" for record in drawn(facts, kind)
        ]
        said.append(f"{kind}: {', '.join(layers)}")
    return Figure(
        name=figure_name(facts, "architectures"),
        alt=f"Both networks as rows of feature maps, from an image of {facts.data} to the classes. {'; '.join(said)}.",
        caption=(
            f"{facts.data}: both networks{facts.wide}, from image to classes. Squares are feature maps, channels by "
            "height by width below them; above, what makes them, and the multiplications of convolutions and linear "
            "layers."
        ),
        wide=True,
    )


def drawn(facts: Facts, kind: str) -> list[LayerRecord]:
    """The layers of a network that a drawing shows: those that make maps of another shape."""
    shown = ("Conv2d", "AvgPool2d", "MaxPool2d", "Linear")
    return [record for record in facts.costs.of(kind).studied if record.type in shown]


def reproduce(facts: Facts) -> Section:
    """How to have it again."""
    run = facts.run
    return Section(
        "reproducing",
        "Reproducing this run",
        [
            Paragraph(f"The command of this run, on PyTorch {run.torch} and {run.device}:"),
            Code(run.command),
            Paragraph(
                "`run.json` holds what was asked for and `metrics.jsonl` a line for each network, seed and epoch; "
                "`python -m lenet.report FOLDER` writes this report from them again."
            ),
        ],
    )
