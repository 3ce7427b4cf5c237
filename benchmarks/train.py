"""How fast the study trains: against the plain loop over a DataLoader, and as a whole.

python -m benchmarks.train --data-dir PATH [--rounds 5] [--images 6400] [--epochs 15] [--plain-epochs 3] [--write]

Both sides train both networks by the original recipe, with its batch size, on all processors this process may use. The
plain loop is the one of tutorials: torchvision's MNIST with ToTensor and Normalize, a shuffling DataLoader, Adam, one
network after the other, PyTorch's default number of threads. Ours is lenet.train's, a process of one thread for each
network.

Images per second are of training alone on both sides: no testing, no start of a process, a few batches before the
clock starts. Rounds alternate between the ways, so that whatever else the machine does meets all; a round's ratio is of
what was measured in it. Processor time is given beside wall time because it suffers less from other programs.

Then the study is trained: ours by the command itself, from its start to its report, the plain loop for as many epochs
as suffice to compare accuracies. The original recipe's rate is constant, so that our figures after those epochs are of
the same run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.environment import environment, write
from lenet.data import Data, mnist
from lenet.distributed import Group
from lenet.fast import use_one_core
from lenet.models import KINDS, build
from lenet.recipes import recipe_of
from lenet.settings import Job, Settings
from lenet.training import Trainer

RECIPE = recipe_of("original")
GOAL = 0.98


@dataclass(frozen=True)
class Speed:
    """Images per second of wall time, and of processor time."""

    wall: float
    processor: float


def _processor_time() -> float:
    """Seconds of processor time of this process and of those it has waited for."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


@dataclass
class Plain:
    """The plain loop with so many worker processes in its DataLoader."""

    data_dir: Path
    workers: int

    def loader(self, train: bool, count: int | None = None) -> Any:
        """MNIST, or the first so many images of it, in shuffled batches."""
        from torch.utils.data import DataLoader, Subset
        from torchvision import transforms
        from torchvision.datasets import MNIST

        steps = [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
        images = MNIST(str(self.data_dir), train=train, transform=transforms.Compose(steps))
        chosen = images if count is None else Subset(images, range(count))
        return DataLoader(chosen, batch_size=RECIPE.batch_size, shuffle=train, num_workers=self.workers)

    def epoch(self, model: nn.Module, optimizer: torch.optim.Optimizer, loader: Any) -> None:
        """One pass over the images."""
        model.train()
        for images, labels in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()

    def speed(self, count: int) -> Speed:
        """Both networks, one after the other."""
        wall = processor = 0.0
        for kind in KINDS:
            model = build(kind)
            optimizer = torch.optim.Adam(model.parameters(), lr=RECIPE.lr)
            self.epoch(model, optimizer, self.loader(True, 20 * RECIPE.batch_size))
            begin, used = time.perf_counter(), _processor_time()
            self.epoch(model, optimizer, self.loader(True, count))
            wall, processor = wall + time.perf_counter() - begin, processor + _processor_time() - used
        return Speed(len(KINDS) * count / wall, len(KINDS) * count / processor)

    def study(self, epochs: int) -> dict[str, Any]:
        """Both networks for so many epochs: seconds, testing each epoch included, and test accuracies at the end."""
        begin, accuracy = time.perf_counter(), {}
        for kind in KINDS:
            torch.manual_seed(0)
            model = build(kind)
            optimizer = torch.optim.Adam(model.parameters(), lr=RECIPE.lr)
            for _ in range(epochs):
                self.epoch(model, optimizer, self.loader(True))
                accuracy[kind] = self.test(model)
        return {"seconds": time.perf_counter() - begin, "accuracy": accuracy}

    @torch.no_grad()
    def test(self, model: nn.Module) -> float:
        """The accuracy on the test set."""
        model.eval()
        right = [(model(images).argmax(1) == labels).float() for images, labels in self.loader(False)]
        return torch.cat(right).mean().item()


def ours_speed(data: Data, count: int) -> Speed:
    """Both networks side by side, from when both have warmed up until both are done."""
    context = multiprocessing.get_context("spawn")
    barrier, used = context.Barrier(len(KINDS) + 1), context.Array("d", len(KINDS))
    few = _first(data, count)
    processes = [context.Process(target=_ours, args=(index, few, barrier, used)) for index in range(len(KINDS))]
    for process in processes:
        process.start()
    barrier.wait()
    begin = time.perf_counter()
    barrier.wait()
    seconds = time.perf_counter() - begin
    for process in processes:
        process.join()
    return Speed(len(KINDS) * count / seconds, len(KINDS) * count / sum(used))


def _ours(index: int, data: Data, barrier: Barrier, used: Any) -> None:
    use_one_core()
    settings = Settings(data.name, RECIPE.name, 1, RECIPE.batch_size, RECIPE.lr)
    for images, last in ((_first(data, 20 * RECIPE.batch_size), False), (data, True)):
        trainer = Trainer(Job(1.0, KINDS[index], 0), settings, images, torch.device("cpu"), Group())
        if last:
            barrier.wait()
        begin = time.process_time()
        for _ in trainer.epoch(1):
            pass
        used[index] = time.process_time() - begin
    barrier.wait()


def _first(data: Data, count: int) -> Data:
    """The first so many images to train on, and hardly any to test on."""
    return replace(
        data,
        train_images=data.train_images[:count],
        train_labels=data.train_labels[:count],
        test_images=data.test_images[:10],
        test_labels=data.test_labels[:10],
    )


def ours_study(data_dir: Path, epochs: int) -> dict[str, Any]:
    """The command itself, from its start to its report: seconds, accuracies by epoch, seconds of training to 98 %."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "run"
        words = ["--dataset", "mnist", "--data-dir", str(data_dir), "--epochs", str(epochs), "--out", str(out)]
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-m", "lenet.train", *words], check=True, stderr=subprocess.DEVNULL)
        seconds = time.perf_counter() - begin
        lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    accuracy, goal = {}, {}
    for kind in KINDS:
        mine = [line for line in lines if line["model"] == kind]
        accuracy[kind] = [line["test_accuracy"] for line in mine]
        reached = next((index for index, each in enumerate(accuracy[kind], 1) if each >= GOAL), None)
        goal[kind] = None if reached is None else (reached, sum(line["seconds"] for line in mine[:reached]))
    return {"seconds": seconds, "accuracy": accuracy, "to_goal": goal}


def paired(data: Data, data_dir: Path, rounds: int, count: int) -> dict[str, list[Speed]]:
    """The speeds of each round, the plain loop with and without worker processes; every other round backwards."""
    ways: dict[str, Callable[[], Speed]] = {
        "plain": lambda: Plain(data_dir, 0).speed(count),
        "ours": lambda: ours_speed(data, count),
        "plain, 2 workers": lambda: Plain(data_dir, 2).speed(count),
    }
    speeds: dict[str, list[Speed]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in reversed(ways) if number % 2 else ways:
            speeds[name].append(ways[name]())
            print(f"round {number + 1}  {name}  {speeds[name][-1].wall:,.0f} images/s", flush=True)
    return speeds


def speeds_table(speeds: dict[str, list[Speed]]) -> list[str]:
    """A row a way: median speeds, and the median of the rounds' ratios with the least and the most."""
    lines = [
        "| loop | images/s | ours is faster by | images per second of processor time | ours is faster by |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, measured in speeds.items():
        cells = []
        for figure in ("wall", "processor"):
            rates = [getattr(speed, figure) for speed in measured]
            ratios = [getattr(ours, figure) / rate for ours, rate in zip(speeds["ours"], rates)]
            spread = f"{statistics.median(ratios):.1f} x ({min(ratios):.1f} to {max(ratios):.1f})"
            cells += [f"{statistics.median(rates):,.0f}", "" if name == "ours" else spread]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def study_table(ours: dict[str, Any], epochs: int, plain: dict[str, Any], few: int) -> list[str]:
    """What the command takes and reaches, and the plain loop beside it."""
    lines = [
        "| both networks, testing after each epoch | ours | plain |",
        "|---|---:|---:|",
        f"| {epochs} epochs and the report | {ours['seconds'] / 60:.1f} min | |",
        f"| {few} epochs | | {plain['seconds'] / 60:.1f} min |",
    ]
    for kind in KINDS:
        figures = ours["accuracy"][kind][few - 1], plain["accuracy"][kind]
        lines.append(f"| {kind}, after {few} epochs | {' | '.join(f'{100 * each:.2f} %' for each in figures)} |")
    lines += [f"| {kind}, after {epochs} epochs | {100 * ours['accuracy'][kind][-1]:.2f} % | |" for kind in KINDS]
    for kind in KINDS:
        reached = ours["to_goal"][kind]
        when = "not reached" if reached is None else f"{reached[1]:.0f} s, in epoch {reached[0]}"
        lines.append(f"| {kind}, training to {100 * GOAL:g} % | {when} | |")
    return lines


def main() -> None:
    """Measure and print; with ``--write`` keep the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="the folder with MNIST/raw")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=6400, help="to each network in a round")
    parser.add_argument("--epochs", type=int, default=15, help="of the whole study; 0 leaves it out")
    parser.add_argument("--plain-epochs", type=int, default=3, help="of the plain loop, to compare accuracies after")
    parser.add_argument("--write", action="store_true", help="keep the result in benchmarks/results")
    options = parser.parse_args()
    epochs, few = options.epochs, min(options.plain_epochs, options.epochs)
    with _unpacked(options.data_dir) as folder:
        tables = [speeds_table(paired(mnist(folder), folder, options.rounds, options.images))]
        print("\n".join(tables[0]), flush=True)
        if epochs:
            ours = ours_study(folder, epochs)
            tables.append(study_table(ours, epochs, Plain(folder, 0).study(few), few))
            print("\n".join(tables[1]))
    words = f"--data-dir PATH --rounds {options.rounds} --images {options.images}"
    words += f" --epochs {epochs} --plain-epochs {few}"
    title = f"# How fast the study trains ({environment()})"
    command = f"`python -m benchmarks.train {words}`, batches of {RECIPE.batch_size}, medians (least to most)"
    body = "\n\n".join("\n".join(table) for table in tables)
    if options.write:
        write("train.md", f"{title}\n\n{command}\n\n{body}\n")


@contextlib.contextmanager
def _unpacked(data_dir: Path) -> Iterator[Path]:
    """MNIST unpacked, as the plain loop's dataset wants it, in a folder of its own: the given one may be read-only."""
    from torchvision.datasets import MNIST

    with tempfile.TemporaryDirectory() as scratch:
        shutil.copytree(data_dir / "MNIST", Path(scratch) / "MNIST", copy_function=shutil.copyfile)
        MNIST(scratch, download=True)
        yield Path(scratch)


if __name__ == "__main__":
    main()
