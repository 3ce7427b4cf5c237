"""Train LeNet-5 and its depthwise separable twin, and write a report of both: ``python -m lenet.train``."""

from __future__ import annotations

if __name__ == "__main__":  # before what takes seconds is imported
    try:
        from opcount.interrupts import leave_at_once

        leave_at_once()
    except KeyboardInterrupt:
        raise SystemExit(130) from None

import argparse
import contextlib
import datetime
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import torch
from rich.console import Console
from rich.panel import Panel

from lenet.checkpoints import load_state, weights_path
from lenet.data import DATASETS, Data, load
from lenet.distributed import Group, LeaderError, join, launched, leave, place, resolve
from lenet.errors import StudyError
from lenet.files import make_folder
from lenet.metrics import Epoch, write_metrics
from lenet.progress import Live
from lenet.recipes import RECIPES, recipe_of
from lenet.runs import begin, command_line, default_folder, description_of, locked, refuse_existing, settings_of
from lenet.settings import Settings, describe
from lenet.tensorboard import Board, summary_writer
from lenet.workers import Event, Work, in_turn, processors, side_by_side
from opcount import OpCountError
from opcount.interrupts import INTERRUPTED, Interrupts

RIGHT, BAD_INPUT = 0, 2

_EXAMPLES = """
examples:
  python -m lenet.train
  python -m lenet.train --dataset mnist --data-dir data --recipe modern --seeds 5 --out runs/modern
  python -m lenet.train --resume --out runs/modern
  python -m lenet.train --frontier --epochs 5
  torchrun --nproc-per-node 2 -m lenet.train --dataset digits

exit codes:
  0 fine   2 bad input, or training cannot go on   130 interrupted: --resume goes on
"""


class _Parser(argparse.ArgumentParser):
    """argparse, with its complaints as our errors."""

    def error(self, message: str) -> NoReturn:
        raise StudyError(f"{message}; --help shows the options")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        argv: the words behind the command; those of the process if there are none.

    >>> main(["--epochs", "0"])
    2
    """
    words = list(sys.argv[1:] if argv is None else argv)
    console = Console(stderr=True)
    try:
        options = _parser().parse_args(words)
        with Interrupts():
            run(options, words, console)
        return RIGHT
    except KeyboardInterrupt as interruption:
        _say(console, f"lenet.train: interrupted{interruption}")
        return INTERRUPTED
    except OpCountError as error:
        if not isinstance(error, LeaderError):
            _say(console, f"lenet.train: error: {error}")
        return BAD_INPUT
    finally:
        leave()


@dataclass(frozen=True)
class Plan:
    """What is to be trained, on what, and what has been already."""

    work: Work
    data: Data
    epochs: list[Epoch]
    fell_back: bool


def run(options: argparse.Namespace, words: list[str], console: Console) -> None:
    """Train what the options ask for, and write the report.

    Raises:
        StudyError: it cannot be begun, or cannot go on.
        KeyboardInterrupt: interrupted, and resumable by the command in it.
    """
    group = join(resolve(options.device or "auto")) if launched() else Group()
    with contextlib.ExitStack() as held:
        plan = group.from_leader(lambda: _plan(options, words, group, held, console))
        folder = plan.work.folder
        try:
            _train(plan, group, console, options.tensorboard)
        except KeyboardInterrupt:
            resume = command_line("lenet.train", ["--resume", "--out", str(folder)])
            raise KeyboardInterrupt(f"; {resume} goes on from the last whole epoch") from None
        if group.leads:
            from lenet import report

            for path in report.write(folder):
                _say(console, f"wrote {path}")
            _say(console, report.in_short(folder))
            _warn(plan, console)


def _plan(
    options: argparse.Namespace, words: list[str], group: Group, held: contextlib.ExitStack, console: Console
) -> Plan:
    """Settle everything that can be refused before anything is trained; the folder is held from here on.

    Raises:
        StudyError: something is refused.
    """
    from lenet import report

    new = None if options.resume else _settings(options, group)
    report.ready()
    if options.tensorboard:
        summary_writer()
    if new is None:
        folder, data_folder = _resumable(options)
        settings = settings_of(folder)
        _agree(options, settings, group)
        work = Work(settings, data_folder, folder)
        data = work.data()
    else:
        work, data = _begun(new, options, console)
        settings, folder = work.settings, work.folder
    held.enter_context(locked(folder))
    if not options.resume:
        started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        description = describe(settings, data.sizes, command_line("lenet.train", words), started)
        begin(folder, description | {"data_dir": str(work.data_folder)})
    make_folder(folder / "checkpoints")
    states = [load_state(folder, job, settings) for job in settings.jobs()]
    epochs = [epoch for state in states if state for epoch in state[1]]
    plan = Plan(work, data, epochs, data.name == "digits" and options.dataset in (None, "auto"))
    _warn(plan, console)
    return plan


def _begun(settings: Settings, options: argparse.Namespace, console: Console) -> tuple[Work, Data]:
    """A new run's work and data; what can be refused without the data is, before MNIST is downloaded.

    Raises:
        StudyError: the folder is not empty, or the data are not to be had.
    """
    if options.out:
        refuse_existing(options.out)
    data_folder = options.data_dir or Path("data")
    data = load(settings.dataset, data_folder, lambda text: _say(console, text))
    settings = replace(settings, dataset=data.name)
    work = Work(settings, data_folder, options.out or default_folder(settings))
    data = data.held_out(settings.holdout) if settings.holdout else data
    if data.sizes[0] < settings.smallest_batch:
        raise StudyError(f"{data.sizes[0]} training images are too few: a batch has {settings.smallest_batch} at least")
    return work, data


def _train(plan: Plan, group: Group, console: Console, tensorboard: bool) -> None:
    """Train what is left, and keep the metrics, bars and event files up with it."""
    settings, folder, epochs = plan.work.settings, plan.work.folder, list(plan.epochs)
    with contextlib.ExitStack() as shown:
        live = shown.enter_context(Live(settings, console, quiet=not group.leads))
        board = shown.enter_context(Board(folder, epochs)) if tensorboard and group.leads else None
        if group.leads:
            write_metrics(folder, epochs, settings.jobs())
        for event in _events(plan, group):
            live.told(event)
            if isinstance(event, Epoch) and group.leads:
                epochs.append(event)
                write_metrics(folder, epochs, settings.jobs())
                if board:
                    board.told(event)


def _events(plan: Plan, group: Group) -> Iterator[Event]:
    """What happens in training the jobs that are not done: side by side on a CPU with several cores."""
    settings = plan.work.settings
    done = Counter(epoch.job for epoch in plan.epochs)
    left = [
        job
        for job in settings.jobs()
        if done[job] < settings.epochs or not weights_path(plan.work.folder, job).exists()
    ]
    count = min(processors(), len(left))
    if settings.device == "cpu" and not launched() and count > 1:
        return side_by_side(plan.work, left, count)
    return in_turn(plan.work, left, plan.data, place(settings.device), group)


def _settings(options: argparse.Namespace, group: Group) -> Settings:
    """The settings of a new run: the recipe's, where the user says nothing else.

    Raises:
        StudyError: one of them cannot be.
    """
    recipe = recipe_of(options.recipe or "original")
    return Settings(
        dataset=options.dataset or "auto",
        recipe=recipe.name,
        epochs=recipe.epochs if options.epochs is None else options.epochs,
        batch_size=recipe.batch_size if options.batch_size is None else options.batch_size,
        lr=recipe.lr if options.lr is None else options.lr,
        seeds=1 if options.seeds is None else options.seeds,
        frontier=options.frontier,
        holdout=options.holdout or 0,
        device=resolve(options.device or "auto"),
        world_size=group.world_size,
        torch=str(torch.__version__),
    )


def _resumable(options: argparse.Namespace) -> tuple[Path, Path]:
    """The folder of the run to go on with, and where its data are.

    Raises:
        StudyError: none is named, or there is none.
    """
    if options.out is None:
        raise StudyError("say which run to resume: --resume --out runs/NAME")
    data_folder = description_of(options.out).get("data_dir", "data")
    if not isinstance(data_folder, str) or "\0" in data_folder:
        raise StudyError(f"{options.out / 'run.json'} names no folder of data: {data_folder!r}; use --data-dir")
    return options.out, options.data_dir or Path(data_folder)


def _agree(options: argparse.Namespace, settings: Settings, group: Group) -> None:
    """Refuse to resume a run as another one than it is.

    Raises:
        StudyError: what the user says is not what the run was started with.
    """
    resolve(settings.device)
    given = {name: getattr(options, name) for name in vars(settings) if getattr(options, name, None) is not None}
    if given.get("dataset") == "auto":
        del given["dataset"]
    if not given.get("frontier"):
        given.pop("frontier", None)
    if given.get("device") == "auto":
        del given["device"]
    asked = replace(settings, **given, world_size=group.world_size, torch=str(torch.__version__))
    if differences := settings.differences(asked):
        raise StudyError(
            f"the run in {options.out} was started with other settings: {', '.join(differences)}; "
            "resume it as it was started, or start another with another --out"
        )


def _warn(plan: Plan, console: Console) -> None:
    """Say that the digits are not MNIST, if the user did not choose them."""
    if plan.fell_back:
        text = (
            "MNIST is not there and cannot be had, so this is scikit-learn's digits: 1,797 images instead of 70,000.\n"
            "Nothing here is comparable with a figure for MNIST. --data-dir names a folder that holds MNIST/raw."
        )
        console.print(Panel(text, title="NOT MNIST", style="bold white on red", expand=False))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m lenet.train",
        description="Train LeNet-5 with regular and with depthwise separable convolutions, the same seeds and batches\n"
        "for both, and write what came of it as a report into the run's folder.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--dataset", choices=DATASETS, help="auto (MNIST where it can be had, else digits), mnist or digits")
    add("--data-dir", type=Path, metavar="FOLDER", help="where MNIST is kept or downloaded to (data)")
    add("--recipe", choices=tuple(RECIPES), help="original: LeNet's own layers, plain; modern: what came since")
    add("--epochs", type=int, metavar="N", help="in place of the recipe's")
    add("--batch-size", type=int, metavar="N", help="images a step, over all processes")
    add("--lr", type=float, metavar="RATE", help="the learning rate, the highest one of a schedule")
    add("--seeds", type=int, metavar="N", help="train each network with the seeds 0 to N-1 (1)")
    add("--frontier", action="store_true", help="at several widths, for accuracy against operations")
    add("--holdout", type=int, metavar="N",
        help="test on the last N training images instead of the test set, to choose by")  # fmt: skip
    add("--device", help="auto, cpu, cuda, ...; on the CPU one process of one thread for each network")
    add("--out", type=Path, metavar="FOLDER", help="the run's folder (runs/DATASET-RECIPE)")
    add("--resume", action="store_true", help="go on with the run in --out, with the settings it has")
    add("--tensorboard", action="store_true", help="event files too, in the run's folder")
    return parser


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
