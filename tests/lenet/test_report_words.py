"""What the report says: sentences and tables worked out by hand, and how another run changes them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lenet.report.facts import gather
from lenet.report.frontier import frontier
from lenet.report.paper import paper
from lenet.report.rendering import markdown
from lenet.report.run import read
from tests.lenet.made_runs import ABOUT, folder, line, lines, made_frontier, made_run, run_by_hand


def report(path: Path) -> str:
    """The report on a run, as Markdown, without its figures."""
    run = read(path)
    return markdown(paper(gather(run), frontier(run)))


def row(text: str, name: str) -> list[str]:
    """The cells of a table's row."""
    (found,) = re.findall(rf"^\| {re.escape(name)} \| (.*) \|$", text, re.M)
    return found.split(" | ")


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> str:
    return report(run_by_hand(tmp_path_factory.mktemp("run")))


def test_the_lead(by_hand: str) -> None:
    assert by_hand.startswith("# LeNet-5 with regular and depthwise separable convolutions on MNIST\n")
    assert by_hand.splitlines()[2] == (
        "After 3 epochs on MNIST, LeNet-5 with depthwise separable convolutions classifies 95.00 % of the test images "
        "correctly, 3.00 percentage points fewer than the regular one (98.00 %), with 88.24 % fewer operations in its "
        "convolutions. Means of 3 seeds."
    )
    assert "\n>" not in by_hand


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("final test accuracy", "98.00 ± 1.00 %|95.00 ± 1.00 %|−3.00 points|98.87 %|96.79 %|−2.08 points"),
        ("total operations", "804,776|94,624|−88.24 %|804,776|94,624|−88.24 %"),
        ("MACs", "405,600|51,224|−87.37 %|405,600|51,224|−87.37 %"),
        ("multiplications", "405,600|51,224|−87.37 %|405,600|51,224|−87.37 %"),
        ("additions", "399,176|43,400|−89.13 %|399,176|43,400|−89.13 %"),
        ("final training loss", "0.0500 ± 0.0250|0.1250 ± 0.0250|+0.0750|0.0060|0.0684|+0.0624"),
        ("final test loss", "0.0600 ± 0.0300|0.1500 ± 0.0300|+0.0900|–|–|–"),
        ("training time", "24.0 s|30.0 s|+6.0 s|~2 min|~2.5 min|+0.5 min"),
    ],
)
def test_the_table_of_results(by_hand: str, name: str, cells: str) -> None:
    assert row(by_hand, name) == cells.split("|")


def test_every_table_and_figure_names_the_data_set(by_hand: str) -> None:
    captions = re.findall(r"^\*\*(?:Table|Figure) \d\.\*\* (.*)$", by_hand, re.M)
    assert len(captions) == 9
    assert all(caption.startswith("MNIST: ") for caption in captions)
    assert sorted(set(re.findall(r"\((mnist-[a-z]+)\.png\)", by_hand))) == [
        "mnist-accuracy", "mnist-architectures", "mnist-loss",
    ]  # fmt: skip


def test_which_loss_the_studys_is_set_beside(by_hand: str) -> None:
    """113 of 10,000 wrong, each at least ln 2 = 0.6931: 0.00783 on average over all."""
    assert "does not say of which images. **Its 0.0060 and 0.0684 are set beside the training loss.**" in by_hand
    assert (
        "1.13 % of the test images wrong make a mean cross-entropy of at least 0.0113 · ln 2 = 0.0078. 0.0060 is less"
        in by_hand
    )


def test_the_relation_in_exact_fractions(by_hand: str) -> None:
    assert row(by_hand, "conv1 | 6") == [
        "5", "117,600 · (1/6 + 1/25) = 117,600 · 31/150", "24,304", "24,304", "yes",
    ]  # fmt: skip
    assert row(by_hand, "conv2 | 16")[1] == "240,000 · (1/16 + 1/25) = 240,000 · 41/400"
    assert row(by_hand, "conv3 | 120")[1] == "48,000 · (1/120 + 1/25) = 48,000 · 29/600"
    assert row(by_hand, "conv1 | 117,600") == ["24,304", "79.33 %", "79.33 %"]
    assert row(by_hand, "conv2 | 240,000") == ["24,600", "89.75 %", "89.75 %"]
    assert row(by_hand, "conv3 | 48,000") == ["2,320", "95.17 %", "95.17 %"]
    assert row(by_hand, "together") == ["405,600", "51,224", "87.37 %", "87.37 %"]
    assert (
        "31/150 is 0.2067 only when rounded, and 117,600 · 0.2067 = 24,307.92 is not 24,304. Additions follow with one "
        "less an output of each step: 405,600 − 6,424 = 399,176 in the regular network, 51,224 − 7,824 = 43,400 in the "
        "depthwise one, 89.13 % fewer." in by_hand
    )


def test_convergence(by_hand: str) -> None:
    assert row(by_hand, "epochs to 95 % test accuracy") == ["1.3 (1 to 2)", "3, by 2 of 3 seeds"]
    assert row(by_hand, "epochs to 97 % test accuracy") == ["2.3 (2 to 3)", "not reached"]
    assert row(by_hand, "epochs to 99 % test accuracy") == ["3, by 1 of 3 seeds", "not reached"]
    assert row(by_hand, "test accuracy after epoch 1") == ["95.00 %", "91.00 %"]
    assert row(by_hand, "seeds apart at the end, highest − lowest") == ["2.00 points", "2.00 points"]
    assert row(by_hand, "slope over the last 3 epochs") == ["+1.500 points an epoch", "+2.000 points an epoch"]
    assert row(by_hand, "training − test accuracy at the end") == ["+0.30 points", "+0.30 points"]
    assert (
        "After the first epoch regular is ahead by 4.00 percentage points (95.00 % for regular, 91.00 % for "
        "depthwise). Depthwise ends lower on its training images too (95.30 % beside 98.30 %): the smaller network "
        "fits less, rather than overfitting more. At the end the seeds lie apart by 2.00 percentage points for "
        "regular and 2.00 percentage points for depthwise. Over the last 3 epochs regular still rises by 1.50 points "
        "an epoch and depthwise still "
        "rises by 2.00 points an epoch: the difference shrinks by 0.50 points an epoch." in by_hand
    )


def answer(text: str, number: int) -> str:
    """The answer to one of the four questions."""
    (found,) = re.findall(rf"^### {number}\. [^\n]*\n\n(.*?)\n\n(?:### |## )", text, re.M | re.S)
    return found


def test_the_four_questions(by_hand: str) -> None:
    saved, relation, accuracy, phones = (answer(by_hand, number) for number in (1, 2, 3, 4))
    assert saved.startswith(
        "**88.24 % fewer operations in the convolutions**: 94,624 instead of 804,776. Multiplications are 87.37 % "
        "fewer (405,600 to 51,224), additions 89.13 % fewer (399,176 to 43,400). The study published the same "
        "804,776 and 94,624."
    )
    assert saved.endswith("129,016 multiplications and additions instead of 837,768, 84.60 % fewer.")
    assert relation.startswith("**f(x, C_out, K) = x·(1/C_out + 1/K²)** maps the multiplications x")
    assert "In conv1, 117,600 · (1/6 + 1/25) = 117,600 · 31/150 = 24,304." in relation
    assert relation.endswith("conv3 has 120 and keeps 4.83 % of its multiplications, where 1/K² is 4.00 %.")
    assert accuracy == (
        "**3.00 percentage points.** On MNIST, after 3 epochs, depthwise reaches 95.00 % test accuracy, regular "
        "98.00 %. It is so in each of the 3 seeds, by 2.00 to 4.00 points; seeds of one network lie up to 2.00 "
        "apart. Of every 1,000 test images the regular network gets 20.0 wrong and the depthwise one 50.0, 2.50 "
        "times as many.\n\nThe study published 98.87 % and 96.79 % after 15 epochs on MNIST, 2.08 percentage points "
        "apart, with final losses of 0.0060 and 0.0684. The final training losses here are 0.0500 and 0.1250."
    )
    assert "62,144 multiplications in all layers that contract, instead of 416,520" in phones
    assert "13,776 parameters instead of 61,706: 55 kB instead of 247 kB in 32-bit floats" in phones
    assert (
        "this run had 8.5 times fewer operations in the convolutions at the price of 3.00 percentage points" in phones
    )
    assert "Training took 30.0 s for depthwise and 24.0 s for regular on cpu." in phones
    # conv2: 240,000 / (1,176 + 2,416 + 1,600); 15,000 / (1,176 + 156 + 600); 9,600 / (600 + 112 + 1,600)
    assert (
        "conv2 multiplies 46 times for each value it reads or writes, its depthwise step 8 times, its pointwise step 4"
        in (phones)
    )


def test_beside_the_studys_accuracies(by_hand: str) -> None:
    assert (
        "The operation counts are the study's to the last digit. Regular is 0.87 percentage points below the study's "
        "accuracy (98.00 % beside 98.87 %) and depthwise is 1.79 percentage points below the study's accuracy (95.00 % "
        "beside 96.79 %). The study trained for 15 epochs; the figures here are after 3 epochs." in by_hand
    )


def test_depthwise_wins(tmp_path: Path) -> None:
    text = report(made_run(tmp_path, {"regular": 0.98, "depthwise": 0.985}))
    assert "98.50 % of the test images correctly, 0.50 percentage points more than the regular one (98.00 %)" in text
    assert answer(text, 3).startswith(
        "**Nothing: it gained 0.50 percentage points.** On MNIST, after 15 epochs, depthwise reaches 98.50 % test "
        "accuracy, regular 98.00 %. It is so in each of the 3 seeds, by 0.50 points; seeds of one network lie up to "
        "0.20 apart."
    )
    assert "8.5 times fewer operations in the convolutions without any loss of accuracy." in text
    assert "fits less" not in text
    assert row(text, "final test accuracy")[2] == "+0.50 points"


def test_no_difference(tmp_path: Path) -> None:
    text = report(made_run(tmp_path, {"regular": 0.98, "depthwise": 0.98}))
    assert "98.00 % of the test images correctly, as many as the regular one (98.00 %)" in text
    assert answer(text, 3).startswith(
        "**Nothing**: on MNIST, after 15 epochs, both networks reach 98.00 % test accuracy."
    )


def test_a_difference_that_seeds_make(tmp_path: Path) -> None:
    """Depthwise loses 0.5, 0.5 and −0.4 points in three seeds, 0.2 on average."""
    finals = {"regular": (0.98, 0.98, 0.98), "depthwise": (0.975, 0.975, 0.984)}
    metrics = [line(model, seed, 1, finals[model][seed]) for model in finals for seed in range(3)]
    text = report(folder(tmp_path, {**ABOUT, "epochs": 1}, metrics))
    assert answer(text, 3).startswith("**0.20 percentage points.**")
    assert "It is so in 2 of 3 seeds only: within what the seed makes of it." in text


def test_digits(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"dataset": "digits", "dataset_sizes": {"train": 1437, "test": 360}, "seeds": [0]}
    text = report(made_run(tmp_path, **changes))
    assert text.startswith(
        "# LeNet-5 with regular and depthwise separable convolutions on digits\n\nAfter 15 epochs on digits,"
    )
    assert (
        "\n> **Trained on digits (scikit-learn's handwritten digits, brought to 28×28), not on MNIST.** The study's"
        in text
    )
    assert "one of the 360 test images is 0.28 percentage points." in text
    assert "Accuracies on digits and on MNIST's test set are not comparable." in text
    captions = re.findall(r"^\*\*(?:Table|Figure) \d\.\*\* (.*)$", text, re.M)
    assert all(caption.startswith("digits: ") for caption in captions)
    assert set(re.findall(r"\((\w+)-\w+\.svg\)", text)) == {"digits"}
    assert "Dotted" not in text
    assert "below the study" not in text


def test_a_single_seed(tmp_path: Path) -> None:
    text = report(made_run(tmp_path, seeds=[0]))
    assert text.splitlines()[2].endswith("A single seed.")
    assert "±" not in text
    assert "bands" not in text
    assert "That is one seed, which cannot tell how much of it is chance" in answer(text, 3)
    assert "With a single seed nothing can be said of how much of this is chance." in text
    assert row(text, "seeds apart at the end, highest − lowest") == ["–", "–"]


def test_one_epoch(tmp_path: Path) -> None:
    text = report(made_run(tmp_path, epochs=1))
    assert "After 1 epoch on MNIST" in text
    assert "One epoch is too few to tell whether the networks have settled." in text
    assert "slope over" not in text
    assert text.count("test accuracy after epoch 1 ") == 1


def test_width_two(tmp_path: Path) -> None:
    """12, 32 and 240 channels: every figure by hand."""
    text = report(made_run(tmp_path, width=2.0))
    assert text.startswith("# LeNet-5 of width 2 with regular and depthwise separable convolutions on MNIST\n")
    assert answer(text, 1).startswith(
        "**92.87 % fewer operations in the convolutions of networks of width 2**: 196,912 instead of 2,761,552. "
        "Multiplications are 92.37 % fewer (1,387,200 to 105,888), additions 93.38 % fewer (1,374,352 to 91,024). "
        "The study's networks, of width 1, go from 804,776 to 94,624, 88.24 % fewer."
    )
    assert "In conv1, 235,200 · (1/12 + 1/25) = 235,200 · 37/300 = 29,008." in answer(text, 2)
    assert "This run's networks are of width 2, the study's of width 1." in answer(text, 3)
    assert (
        "The networks of width 2 do 2,761,552 and 196,912 operations in their convolutions; the study's do 804,776 and "
        "94,624. The study's accuracies, losses and times are of other networks or data, and stand here for "
        "orientation." in text
    )
    assert row(text, "conv2 | 960,000") == ["68,400", "92.88 %"]
    assert "study: reduction" not in text
    assert "79.33" not in text


def test_a_half_finished_run(tmp_path: Path) -> None:
    metrics = [e for e in lines(ABOUT) if e["model"] == "regular" or (e["seed"] == 1 and e["epoch"] <= 7)]
    text = report(folder(tmp_path, ABOUT, metrics))
    assert (
        "\n> **This run is not finished:** regular has done 45 of 45 epochs (3 of 3 networks finished) and depthwise "
        "has done "
        "7 of 45 epochs (0 of 3 networks finished). Figures are as of epoch 7." in text
    )
    assert text.splitlines()[2].startswith("After 7 epochs on MNIST")
    assert text.splitlines()[2].endswith("A single seed.")
    assert row(text, "training time")[:3] == ["56.0 s", "1 min 10 s", "+14.0 s"]


def test_a_run_of_one_network_so_far(tmp_path: Path) -> None:
    metrics = [e for e in lines(ABOUT) if e["model"] == "regular" and e["seed"] == 0 and e["epoch"] <= 2]
    text = report(folder(tmp_path, ABOUT, metrics))
    assert "depthwise has done 0 of 45 epochs" in text
    assert "Its convolutions do 88.24 % fewer operations when made depthwise separable. A single seed." in text
    assert answer(text, 3).startswith("Nothing can be said: only the regular network was trained, to ")
    assert row(text, "final test accuracy")[1:3] == ["–", "–"]
    assert row(text, "total operations")[:2] == ["804,776", "94,624"]


def test_a_run_of_depthwise_alone(tmp_path: Path) -> None:
    text = report(made_run(tmp_path, models=["depthwise"]))
    assert "not finished" not in text
    assert (
        "LeNet-5 with depthwise separable convolutions classifies 97.00 % of the test images correctly. Its "
        "convolutions do "
        "88.24 % fewer operations than regular ones. Means of 3 seeds." in text
    )
    assert answer(text, 3).startswith(
        "Nothing can be said: only the depthwise network was trained, to 97.00 % on MNIST"
    )


def test_networks_of_different_seeds_so_far(tmp_path: Path) -> None:
    about = {**ABOUT, "epochs": 1, "seeds": [0, 1]}
    metrics = [line("regular", 0, 1, 0.98), line("depthwise", 1, 1, 0.95)]
    text = report(folder(tmp_path, about, metrics))
    assert answer(text, 3).startswith("**3.00 percentage points.**")
    assert "The two were trained with different seeds so far." in text


def test_a_run_that_holds_images_out(tmp_path: Path) -> None:
    text = report(made_run(tmp_path, dataset="mnist (last 10000 training images held out)"))
    assert "\n> **Not tested on the test set:** last 10000 training images held out." in text
    assert "(mnist-held-out-accuracy.png)" in text
    assert "of the study's accuracy" not in text


def test_the_modern_recipe(tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "recipe": "modern", "activation": "relu", "batch_norm": True, "schedule": "one-cycle", "augmentation": "affine",
        "distillation": 0.9,
    }  # fmt: skip
    text = report(made_run(tmp_path, **changes))
    assert row(text, "total operations")[:2] == ["804,776", "94,624"]
    assert row(text, "weight of the regular network's answers") == ["0.9"]
    assert "the modern recipe is not a guess at them but a way of its own. After training, batch norm is folded" in text
    assert "as they were learnt from, augmented and with the weights of each step." in text
    assert "2 min 30 s for depthwise, its teacher's answers included, and 2 min 0 s for regular" in text


def test_what_training_costs(tmp_path: Path) -> None:
    """MACs by hand: forward 405,600 + 10,080 + 840 and 51,224 + 10,080 + 840; backward those of each layer twice, for
    weights and for inputs, but the input gradient of the first layer, 117,600 and 19,600. AdamW without decay takes
    ten multiplications and additions for each of 61,706 and 13,776 parameters, once a batch of 64."""
    text = report(made_run(tmp_path, optimizer="adam"))
    macs = [3 * 416_520 - 117_600, 3 * 62_144 - 19_600]
    assert row(text, "MACs of it") == [*(f"{each:,}" for each in macs), "−85.26 %"]
    assert row(text, "optimizer's step") == ["9,642", "2,152", "−77.67 %"]
    forward, backward, optimizer, whole = (
        [int(each.replace(",", "")) for each in row(text, label)[:2]]
        for label in ("forward and loss", "backward", "optimizer's step", "a training step")
    )
    for parts in zip(forward, backward, optimizer, whole, strict=True):
        assert abs(sum(parts[:3]) - parts[3]) <= 1  # rounded each
    in_words = f"the regular network takes {whole[0]:,} operations and the depthwise one {whole[1]:,}, 84.16 % fewer."
    assert in_words in text
    runs = [int(each.replace(",", "")) for each in row(text, "a whole run of 15 epochs")[:2]]
    for steps, a_run in zip(whole, runs, strict=True):
        assert abs(a_run / (938 * 64 * 15) - steps) <= 0.5  # 60,000 images are 937.5 batches


def test_training_costs_more_with_a_teacher(tmp_path: Path) -> None:
    """The regular network's forward, 416,520 MACs an image, comes on top of the depthwise network's step."""
    text = report(made_run(tmp_path, optimizer="adam", distillation=0.5))
    assert row(text, "MACs of it")[:2] == [f"{3 * 416_520 - 117_600:,}", f"{3 * 62_144 - 19_600 + 416_520:,}"]
    assert row(text, "the regular network's answers")[0] == "0"
    assert "whose answers it learns from" in text
    assert "nor is the loss against the answers" in text


def test_the_frontier(tmp_path: Path) -> None:
    """At widths 0.5, 1 and 2 regular has 97.95, 98.45 and 99.45 %, depthwise 96.775, 97.40 and 98.65 %."""
    text = report(made_frontier(tmp_path))
    assert (
        "Of 6 networks 4 are on the Pareto front: 1 regular and 3 depthwise. The most accurate is the regular "
        "network of width 2, at 99.45 % for 2,761,552 operations. The depthwise network of width 2 is the cheapest "
        "of its kind at least as accurate as the regular network of width 1 (98.65 % beside 98.45 %); it does "
        "196,912 operations instead of 804,776, 75.53 % fewer." in text
    )
    assert row(text, "regular of width 2")[0] == "2,761,552"
    assert row(text, "regular of width 2")[4] == "yes"
    assert row(text, "regular of width 1")[4] == "no"  # depthwise of width 2 is cheaper and better
    assert row(text, "depthwise of width 0.5")[4] == "yes"
    assert "After 2 epochs on MNIST, LeNet-5 with" in text  # width 1 is what the report is about


def test_a_frontier_on_its_way(tmp_path: Path) -> None:
    """Width 2 of depthwise has done one epoch of one of two seeds, and stays off the plot."""
    made = made_frontier(tmp_path)
    metrics = [json.loads(each) for each in (made / "metrics.jsonl").read_text().splitlines()]
    kept = [e for e in metrics if (e["model"], e["width"]) != ("depthwise", 2.0) or (e["seed"], e["epoch"]) == (0, 1)]
    text = report(folder(tmp_path / "half", json.loads((made / "run.json").read_text()), kept))
    assert "depthwise has done 9 of 12 epochs (4 of 6 networks finished)" in text
    assert "Not as far yet, and left out: depthwise of width 2." in text
    assert "No depthwise network tried is as accurate as the regular network of width 1 (98.45 %)" in text


def test_a_frontier_that_depthwise_does_not_reach(tmp_path: Path) -> None:
    about = {**ABOUT, "epochs": 1, "seeds": [0], "widths": [1.0, 2.0]}
    accuracy = {("regular", 1.0): 0.99, ("regular", 2.0): 0.985, ("depthwise", 1.0): 0.97, ("depthwise", 2.0): 0.98}
    metrics = [{**line(model, 0, 1, value), "width": width} for (model, width), value in accuracy.items()]
    text = report(folder(tmp_path, about, metrics))
    assert "Of 4 networks 3 are on the Pareto front: 1 regular and 2 depthwise." in text
    assert (
        "No depthwise network tried is as accurate as the regular network of width 1 (99.00 %); the depthwise "
        "network of width 2 comes nearest, "
        "1.00 percentage points below, with 196,912 operations instead of 804,776." in text
    )
