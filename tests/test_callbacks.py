"""The callbacks in the trainers that they are for: what is logged is what the steps cost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader

import opcount
import opcount.callbacks
from opcount import profile
from opcount.callbacks.pace import Pace
from opcount.errors import InputError, MissingExtraError

ROOT = Path(__file__).parents[1]


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))


def batches(*sizes: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [(torch.randn(size, 8, generator=generator), torch.zeros(size, dtype=torch.long)) for size in sizes]


def step_of(size: int) -> opcount.OpCount:
    """A step of the network on so many samples, with its loss."""
    target = torch.zeros(size, dtype=torch.long)
    loss = {"loss": lambda output: F.cross_entropy(output, target)}
    return profile(net(), (size, 8), backward=True, optimizer="sgd", **loss).ops  # type: ignore[arg-type]


class Logged:
    """What a Lightning logger was told."""

    def __init__(self) -> None:
        from lightning.pytorch.loggers.logger import Logger

        outer = self
        self.rows: list[tuple[int, dict[str, float]]] = []

        class Keeping(Logger):
            name, version = "kept", "0"

            def log_metrics(self, metrics: Any, step: Any = None) -> None:
                outer.rows.append((step, dict(metrics)))

            def log_hyperparams(self, *args: Any, **kwargs: Any) -> None: ...

        self.logger = Keeping()

    def ours(self) -> list[tuple[int, dict[str, float]]]:
        return [(step, row) for step, row in self.rows if "opcount/macs" in row]


def lightning_module(losses: list[float], *, dictionary: bool = False) -> Any:
    from lightning.pytorch import LightningModule

    class Classifier(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = net()

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            x, y = batch
            loss = F.cross_entropy(self.net(x), y)
            self.log("loss", loss)
            if not loss.is_meta:
                losses.append(loss.item())
            return {"loss": loss} if dictionary else loss

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            self.net(batch[0])

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    return Classifier()


def fit(module: Any, callbacks: list[Any], logged: Logged, data: Any, **options: Any) -> None:
    from lightning.pytorch import Trainer

    trainer = Trainer(
        accelerator="cpu", devices=1, logger=logged.logger, callbacks=callbacks, max_epochs=1, log_every_n_steps=1,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, **options,
    )  # fmt: skip
    trainer.fit(module, DataLoader(data, batch_size=None), DataLoader(batches(3), batch_size=None))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dictionary", [False, True])
def test_lightning(dictionary: bool) -> None:
    pytest.importorskip("lightning", reason="opcount[lightning] is not installed")
    from opcount.callbacks import LightningMeter

    alone: list[float] = []
    fit(lightning_module(alone, dictionary=dictionary), [], Logged(), batches(4, 4, 2))
    metered: list[float] = []
    callback, logged = LightningMeter(peak=1e12), Logged()
    module = lightning_module(metered, dictionary=dictionary)
    fit(module, [callback], logged, batches(4, 4, 2))
    assert metered == alone
    rows = logged.ours()
    assert [step for step, _ in rows] == [1, 2, 3]
    assert [row["opcount/macs"] for _, row in rows] == [step_of(4).macs, step_of(4).macs, step_of(2).macs]
    assert [row["opcount/additions"] for _, row in rows] == [step_of(size).additions for size in (4, 4, 2)]
    assert all(0 < row["opcount/mfu"] < 1 for _, row in rows)
    assert callback.meter is not None
    assert (callback.meter.counted, callback.meter.complete) == (2, True)
    assert module.trainer is not None  # the stand-in was detached, and not the module
    assert not any(each._forward_pre_hooks for each in module.modules())


@pytest.mark.filterwarnings("ignore")
def test_lightning_by_a_part_and_with_accumulation() -> None:
    pytest.importorskip("lightning", reason="opcount[lightning] is not installed")
    from opcount.callbacks import LightningMeter

    callback, logged, module = LightningMeter(of="net"), Logged(), lightning_module([])
    fit(module, [callback], logged, batches(4, 4, 2, 2), accumulate_grad_batches=2)
    single = {size: profile(net(), (size, 8), backward=True, optimizer="sgd") for size in (4, 2)}
    expected = [2 * (p.forward + p.backward) + p.optimizer for p in single.values()]
    assert [row["opcount/multiplications"] for _, row in logged.ours()] == [each.multiplications for each in expected]
    assert "opcount/mfu" not in logged.ours()[0][1]
    assert callback.meter is not None
    assert callback.meter.evaluation.macs == 3 * 192  # of the validation; the check of it comes before the training
    assert not module.net._forward_pre_hooks
    with pytest.raises(InputError, match="has no part 'nets'; it has net"):
        fit(lightning_module([]), [LightningMeter(of="nets")], Logged(), batches(2))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_transformers(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="opcount[trainer] is not installed")
    pytest.importorskip("accelerate", reason="transformers' Trainer needs accelerate")
    from opcount.callbacks import TransformersMeter

    def run(meter: bool) -> tuple[list[dict[str, Any]], Any]:
        torch.manual_seed(0)
        config = transformers.GPT2Config(
            n_embd=16, n_layer=1, n_head=2, vocab_size=20, n_positions=32, bos_token_id=0, eos_token_id=0
        )
        model = transformers.GPT2LMHeadModel(config)
        data = [{"input_ids": torch.arange(6) % 20, "labels": torch.arange(6) % 20} for _ in range(8)]
        arguments = transformers.TrainingArguments(
            str(tmp_path), max_steps=2, per_device_train_batch_size=2, gradient_accumulation_steps=2, logging_steps=1,
            report_to=[], use_cpu=True, save_strategy="no", disable_tqdm=True, eval_strategy="steps", eval_steps=1,
        )  # fmt: skip
        trainer = transformers.Trainer(model, arguments, train_dataset=data, eval_dataset=data[:2])
        callback = TransformersMeter(trainer, peak=1e12) if meter else None
        if callback is not None:
            trainer.add_callback(callback)
        trainer.train()
        assert not any(each._forward_pre_hooks for each in model.modules())
        return trainer.state.log_history, callback

    alone, _ = run(False)
    history, callback = run(True)
    assert [row["loss"] for row in history if "loss" in row] == [row["loss"] for row in alone if "loss" in row]
    ours = [row for row in history if "opcount/macs" in row]
    assert [row["step"] for row in ours] == [1, 2]
    tokens, depth, width, length = 24, 1, 16, 6
    weights = depth * 12 * width**2 + width * 20
    assert [2 * row["opcount/macs"] for row in ours] == [tokens * (6 * weights + 12 * depth * width * length)] * 2
    assert all(0 < row["opcount/mfu"] < 1 for row in ours)
    assert callback.meter.evaluation.macs > 0
    assert callback.meter.complete
    assert callback.meter.counted == 2
    with pytest.raises(InputError, match="takes the trainer"):
        TransformersMeter(None)


def test_what_is_said_of_the_pace() -> None:
    with pytest.raises(InputError, match="peak= is what the machine can do"):
        Pace(0)
    pace = Pace(1e12)
    assert pace.told() == {}
    pace.step(opcount.OpCount(5, 4, macs=3))
    pace.pause()
    assert pace.told()["opcount/macs"] == 3
    assert pace.told() == {}


@pytest.mark.parametrize(
    ("package", "home", "extra"),
    [("lightning.pytorch", "of_lightning", "lightning"), ("transformers", "of_transformers", "trainer")],
)
def test_a_missing_package_names_its_extra(
    package: str, home: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"opcount.callbacks.{home}", raising=False)
    name = {"of_lightning": "LightningMeter", "of_transformers": "TransformersMeter"}[home]
    with pytest.raises(MissingExtraError, match=rf"pip install 'opcount\[{extra}\]'"):
        getattr(opcount.callbacks, name)
    with pytest.raises(AttributeError, match="no attribute 'KerasMeter'"):
        _ = opcount.callbacks.KerasMeter


def test_neither_package_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys, opcount, opcount.callbacks\n"
        "print([each for each in ('lightning', 'transformers', 'torch') if each in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
