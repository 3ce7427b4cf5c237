"""One network trained, an epoch at a time, so that it can be stopped after any and go on as if it had not been."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lenet.augmentation import affine_maps, transform
from lenet.checkpoints import load_state, load_weights, save_state, save_weights, weights_path
from lenet.data import SIDE, Data
from lenet.distributed import Group
from lenet.errors import StudyError
from lenet.fast import Model, arrange, use_one_core
from lenet.fitting import check_fits
from lenet.metrics import Epoch
from lenet.models import build, fold
from lenet.recipes import optimizer_of
from lenet.settings import Job, Settings

TEST_BATCH = 200
"""As many images as leave what a layer makes of them in the cache."""


@dataclass(frozen=True)
class Step:
    """How far an epoch has come: batches done of all, and the means of the epoch so far."""

    job: Job
    epoch: int
    done: int
    steps: int
    loss: float
    accuracy: float
    images_per_second: float


def train(
    job: Job, settings: Settings, data: Data, folder: Path, device: torch.device, group: Group
) -> Iterator[Step | Epoch]:
    """Train one network to its end, from its last checkpoint if there is one, and say what happens.

    A checkpoint follows each epoch, the weights follow the last. On the CPU one thread computes.

    Args:
        job, settings, data: what to train, how and on what.
        folder: the run's.
        device: where.
        group: with which other processes.

    Raises:
        StudyError: a checkpoint is refused, a file cannot be written, or the loss is no longer finite.
    """
    if device.type == "cpu":
        use_one_core()
    restored = group.from_leader(lambda: load_state(folder, job, settings))
    epochs = restored[1] if restored else []
    if len(epochs) == settings.epochs and weights_path(folder, job).exists():
        return
    above = settings.teacher(job)
    taught = group.from_leader(lambda: load_weights(folder, above) if above else None)
    trainer = Trainer(job, settings, data, device, group, taught)
    if restored:
        trainer.load(restored[0], len(epochs))
    for number in range(len(epochs) + 1, settings.epochs + 1):
        epochs.append((yield from trainer.epoch(number)))
        if group.leads:
            save_state(folder, job, settings, trainer.state(), epochs)
        yield epochs[-1]
    if group.leads:
        save_weights(folder, job, trainer.state()["model"])


class Trainer:
    """A network with its optimizer and schedule, the data, and, if it is taught, its teacher.

    Args:
        job, settings, data, device, group: as of :func:`train`.
        taught: the teacher's weights, if there is one.
    """

    def __init__(
        self, job: Job, settings: Settings, data: Data, device: torch.device, group: Group,
        taught: dict[str, Tensor] | None = None,
    ) -> None:  # fmt: skip
        self.job, self.settings, self.group, self.device = job, settings, group, device
        self.recipe = settings.training
        self.images, self.labels = data.train_images.to(device), data.train_labels.to(device)
        self.test_images, self.test_labels = data.test_images.to(device), data.test_labels.to(device)
        self.mean, self.std = data.mean_and_deviation()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(job.seed)
            self.model = build(job.model, width=job.width, **self.recipe.architecture())  # type: ignore[arg-type]
        self._place(self.model)
        self.replica = group.replicate(self.model)
        self.teacher = self._teacher(taught) if taught else None
        self.optimizer = optimizer_of(
            self.recipe.optimizer,
            self.model,
            settings.lr,
            self.recipe.weight_decay,
            fused=device.type in ("cpu", "cuda"),
        )
        self.schedule = self._schedule()

    def epoch(self, number: int) -> Generator[Step, None, Epoch]:
        """Train for one epoch and test; steps are told of five times a second at most.

        Raises:
            StudyError: the loss is not finite; the message names the epoch and the step.
        """
        generator = torch.Generator().manual_seed(self.job.seed * 1_000_003 + number)
        batches = self._batches(generator)
        begin = told = time.perf_counter()
        sums, seen, rate = [0.0, 0.0], 0, 0.0
        for step, batch in enumerate(batches, 1):
            rate = self.optimizer.param_groups[0]["lr"]
            loss, right = self._learn(batch, generator)
            if not math.isfinite(loss):
                raise StudyError(
                    f"the loss of {self.job.name} is {loss} at epoch {number}, step {step}: training stops; "
                    f"try a lower --lr than {self.settings.lr:g}"
                )
            seen += len(batch)
            sums = [sums[0] + loss, sums[1] + right]
            if time.perf_counter() - told > 0.2:
                told = time.perf_counter()
                speed = seen / (told - begin)
                yield Step(self.job, number, step, len(batches), sums[0] / seen, sums[1] / seen, speed)
        seconds = time.perf_counter() - begin
        test_loss, test_accuracy = self.group.from_leader(self.test)
        return Epoch(
            self.job.width, self.job.model, self.job.seed, number, sums[0] / seen, sums[1] / seen,
            test_loss, test_accuracy, seconds, seen / seconds, rate,
        )  # fmt: skip

    def test(self) -> tuple[float, float]:
        """Loss and accuracy on the images to test on, in eval mode."""
        self.model.eval()
        loss = right = 0.0
        with torch.no_grad():
            for images, labels in zip(
                *(torch.split(part, TEST_BATCH) for part in (self.test_images, self.test_labels))
            ):
                logits = self.model(self._normalised(images.float() / 255))
                loss += F.cross_entropy(logits, labels, reduction="sum").item()
                right += (logits.argmax(1) == labels).sum().item()
        self.model.train()
        return loss / len(self.test_labels), right / len(self.test_labels)

    def state(self) -> dict[str, Any]:
        """All that the next epoch depends on."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
        }

    def load(self, state: dict[str, Any], epochs: int) -> None:
        """Go on from what :meth:`state` gave after so many epochs.

        Raises:
            StudyError: it does not fit this network.
        """
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        try:
            check_fits(state, self.state(), parameters, epochs * len(self._batches(torch.Generator())))
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.schedule.load_state_dict(state["schedule"])
        except (LookupError, RuntimeError, ValueError, TypeError, AttributeError) as error:
            raise StudyError(f"the checkpoint of {self.job.name} does not fit it: {error}") from error

    def _batches(self, generator: torch.Generator) -> list[Tensor]:
        """An epoch's batches as indices, the same for both networks; a rest too small to learn from is left out."""
        order = torch.randperm(len(self.labels), generator=generator)
        return [
            batch
            for batch in torch.split(order, self.settings.batch_size)
            if len(batch) >= self.settings.smallest_batch
        ]

    def _learn(self, batch: Tensor, generator: torch.Generator) -> tuple[float, float]:
        """One step on one batch: the sums of its cross-entropy and of its right answers, over all processes."""
        mine = self.group.share(batch)
        images = self.images[mine.to(self.device)].float().div_(255)
        if self.recipe.augmentation == "affine":
            maps = self.group.share(affine_maps(len(batch), SIDE, generator))
            images = transform(images, maps.to(self.device))
        images, labels = self._normalised(images), self.labels[mine.to(self.device)]
        logits = self.replica(images)
        plain = F.cross_entropy(logits, labels)
        loss = self._loss(plain, logits, labels, images)
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        self.optimizer.step()
        self.schedule.step()
        right = (logits.detach().argmax(1) == labels).sum()
        sums = self.group.total(torch.stack([plain.detach() * len(mine), right.to(plain.dtype)]))
        total, answers = sums.tolist()
        return total, answers

    def _loss(self, plain: Tensor, logits: Tensor, labels: Tensor, images: Tensor) -> Tensor:
        """What is learnt from: the cross-entropy, smoothed and mixed with the teacher's answers as the recipe says."""
        recipe, loss = self.recipe, plain
        if recipe.label_smoothing:
            loss = F.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
        if self.teacher is None:
            return loss
        with torch.no_grad():
            answers = F.softmax(self.teacher(images) / recipe.temperature, 1)
        mine = F.log_softmax(logits / recipe.temperature, 1)
        # the gradients of the softened part shrink with the square of the temperature
        softened = F.kl_div(mine, answers, reduction="batchmean") * recipe.temperature**2
        return (1 - recipe.distillation) * loss + recipe.distillation * softened

    def _normalised(self, images: Tensor) -> Tensor:
        return images.sub_(self.mean).div_(self.std)

    def _teacher(self, weights: dict[str, Tensor]) -> nn.Module:
        """The regular network of the same width and seed, its batch norm folded away."""
        teacher = build("regular", width=self.job.width, **self.recipe.architecture())  # type: ignore[arg-type]
        try:
            teacher.load_state_dict(weights)
        except RuntimeError as error:
            raise StudyError(f"the weights of {self.job.name}'s teacher do not fit it: {error}") from error
        return self._place(fold(teacher))

    def _place(self, model: Model) -> Model:
        """The model on its device; on the CPU arranged for it."""
        return arrange(model) if self.device.type == "cpu" else model.to(self.device)

    def _schedule(self) -> torch.optim.lr_scheduler.LRScheduler:
        if self.recipe.schedule == "one-cycle":
            steps = self.settings.epochs * len(self._batches(torch.Generator()))
            return torch.optim.lr_scheduler.OneCycleLR(
                self.optimizer, self.settings.lr, total_steps=steps, cycle_momentum=False
            )
        return torch.optim.lr_scheduler.ConstantLR(self.optimizer, factor=1.0)
