"""MNIST is verified before it is read, digits need no network, and what cannot be trained on is refused."""

from __future__ import annotations

import gzip
import hashlib
import socket
import struct
from pathlib import Path
from typing import Any

import pytest
import torch

import lenet.data
from lenet.data import Data, digits, load, mnist
from lenet.errors import StudyError
from tests.lenet.made_data import command, made

pytest.importorskip("torchvision")
from torchvision.datasets import MNIST

NAMES = [name for name, _ in MNIST.resources]


def _idx(values: torch.Tensor) -> bytes:
    """The format of MNIST's files: the number of dimensions, their sizes, the bytes."""
    return struct.pack(f">BBBB{values.dim()}I", 0, 0, 8, values.dim(), *values.shape) + bytes(values.flatten().tolist())


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder like MNIST's with few images, whose checksums are the ones verified, and no network."""
    data, raw = made(20, 10), tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    parts = (data.train_images[:, 0], data.train_labels, data.test_images[:, 0], data.test_labels)
    for name, values in zip(NAMES, parts, strict=True):
        (raw / name).write_bytes(gzip.compress(_idx(values.to(torch.uint8))))
        monkeypatch.setitem(lenet.data._UNPACKED, name[:-3], hashlib.md5(_idx(values.to(torch.uint8))).hexdigest())
    sums = [(name, hashlib.md5((raw / name).read_bytes()).hexdigest()) for name in NAMES]
    monkeypatch.setattr(MNIST, "resources", sums)

    def offline(*args: Any, **kwargs: Any) -> Any:
        raise OSError("no network here")

    monkeypatch.setattr(socket, "create_connection", offline)
    monkeypatch.setattr("urllib.request.urlopen", offline)
    return tmp_path


def _same(found: Data) -> bool:
    expected = made(20, 10)
    return all(
        torch.equal(getattr(found, name), getattr(expected, name))
        for name in ("train_images", "train_labels", "test_images", "test_labels")
    )


def test_compressed_files_alone(small: Path) -> None:
    """No network, nothing unpacked beside them: the folder may be read-only."""
    before = sorted(path.name for path in (small / "MNIST" / "raw").iterdir())
    assert _same(mnist(small))
    assert sorted(path.name for path in (small / "MNIST" / "raw").iterdir()) == before


def test_unpacked_files_alone(small: Path) -> None:
    raw = small / "MNIST" / "raw"
    for name in NAMES:
        (raw / name[:-3]).write_bytes(gzip.decompress((raw / name).read_bytes()))
        (raw / name).unlink()
    assert _same(mnist(small))


@pytest.mark.parametrize("name", NAMES)
def test_damaged_and_no_network(name: str, small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = small / "MNIST" / "raw" / name
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(StudyError) as refusal:
        mnist(small)
    assert f"{path} is damaged (its MD5 is wrong), and fetching it failed" in str(refusal.value)
    assert "no network here" in str(refusal.value)
    assert f"{path} is damaged" in capsys.readouterr().out


def test_damaged_unpacked_files_are_not_read(small: Path) -> None:
    raw = small / "MNIST" / "raw"
    for name in NAMES:
        (raw / name[:-3]).write_bytes(b"rubbish")
    assert _same(mnist(small))
    (raw / NAMES[0]).unlink()
    with pytest.raises(StudyError, match=f"{NAMES[0]} is missing"):
        mnist(small)


def test_damaged_and_fetched_again(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = small / "MNIST" / "raw" / NAMES[2]
    whole = path.read_bytes()
    path.write_bytes(whole[:50])

    def fetched(url: str, root: str, filename: str, md5: str) -> None:
        assert url.endswith(NAMES[2])
        assert md5 == hashlib.md5(whole).hexdigest()
        (Path(root) / filename).write_bytes(whole)

    monkeypatch.setattr("torchvision.datasets.utils.download_url", fetched)
    said: list[str] = []
    assert _same(load("mnist", small, said.append))
    assert said == [f"{path} is damaged (its MD5 is wrong): fetching it"]


def test_fetched_and_damaged_still(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torchvision's own verification, which no mirror passes."""
    path = small / "MNIST" / "raw" / NAMES[0]
    path.unlink()

    def rubbish(url: str, filename: Any, *args: Any) -> None:
        Path(filename).write_bytes(b"rubbish")

    monkeypatch.setattr("torchvision.datasets.utils._get_redirect_url", lambda url, **_: url)
    monkeypatch.setattr("torchvision.datasets.utils._urlretrieve", rubbish)
    with pytest.raises(StudyError, match="File not found or corrupted"):
        mnist(small)


def test_missing(tmp_path: Path, small: Path) -> None:
    said: list[str] = []
    with pytest.raises(StudyError, match="is missing, and fetching it failed"):
        load("mnist", tmp_path / "none", said.append)
    found = load("auto", tmp_path / "none", said.append)
    assert found.name == "digits"
    assert said[-1].startswith("MNIST is not to be had")
    assert load("auto", small).name == "mnist"


def test_falling_back_is_told_unmissably(
    tmp_path: Path, small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before and after, and the data set's name is on every line and in the files."""
    main, out = command(monkeypatch), tmp_path / "run"
    assert main("--data-dir", tmp_path / "none", "--epochs", 1, "--out", out) == 0
    said = capsys.readouterr().err
    assert said.count("NOT MNIST") == 2
    assert all(line.startswith("digits  ") for line in said.splitlines() if "test loss" in line)
    assert '"dataset": "digits"' in (out / "run.json").read_text()
    assert main("--resume", "--out", out) == 0
    assert "NOT MNIST" in capsys.readouterr().err
    assert main("--dataset", "digits", "--epochs", 1, "--out", tmp_path / "chosen") == 0
    assert "NOT MNIST" not in capsys.readouterr().err


def test_digits() -> None:
    """1,797 images, a fifth of each class to test on, all of the ink within the middle 20x20."""
    data = digits()
    assert data.sizes == (1437, 360)
    assert torch.bincount(data.test_labels).min() >= 34
    images = torch.cat([data.train_images, data.test_images]).double()
    assert images[:, :, 4:24, 4:24].sum() == images.sum()
    assert images.max() == 255
    again = digits()
    assert torch.equal(again.train_images, data.train_images)
    pooled = torch.nn.functional.adaptive_avg_pool2d(images[:, :, 4:24, 4:24], 8)
    assert pooled.mean().item() == pytest.approx(images.sum().item() / images.numel() * 784 / 400, rel=1e-4)


def test_mean_and_deviation() -> None:
    """A second way: over the pixels one by one."""
    data = made()
    pixels = data.train_images.double() / 255
    assert data.mean_and_deviation() == pytest.approx((pixels.mean().item(), pixels.std(unbiased=False).item()))


def test_held_out() -> None:
    """The last training images are tested on, and the test set is gone."""
    data = made(96, 40)
    held = data.held_out(10)
    assert held.sizes == (86, 10)
    assert torch.equal(held.test_images, data.train_images[86:])
    assert torch.equal(held.train_labels, data.train_labels[:86])
    for count in (0, 96, 100):
        with pytest.raises(StudyError, match="--holdout"):
            data.held_out(count)


IMAGES, LABELS = torch.zeros(4, 1, 28, 28, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64)


@pytest.mark.parametrize(
    ("images", "labels", "complaint"),
    [
        (torch.zeros(4, 1, 27, 28, dtype=torch.uint8), LABELS, r"not torch.uint8 of size \(4, 1, 27, 28\)"),
        (torch.zeros(4, 28, 28, dtype=torch.uint8), LABELS, r"\(4, 28, 28\)"),
        (torch.zeros(4, 3, 28, 28, dtype=torch.uint8), LABELS, r"\(4, 3, 28, 28\)"),
        (torch.zeros(4, 1, 28, 28), LABELS, "torch.float32"),
        (IMAGES, LABELS[:3], r"4 test images, but labels of size \(3,\)"),
        (IMAGES, LABELS + 10, "beyond 0 to 9"),
        (IMAGES, LABELS - 1, "beyond 0 to 9"),
        (IMAGES[:0], LABELS[:0], "no test images"),
    ],
)
def test_wrong_shapes(images: torch.Tensor, labels: torch.Tensor, complaint: str) -> None:
    with pytest.raises(StudyError, match=complaint):
        Data("made", IMAGES, LABELS, images, labels)


def test_unknown() -> None:
    with pytest.raises(StudyError, match="no data set 'cifar'"):
        load("cifar", Path("data"))


def test_what_the_report_needs_is_missed_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lenet.report.find_spec", lambda package: None if package == "matplotlib" else package)
    assert lenet.train.main(["--dataset", "digits", "--out", str(tmp_path / "run")]) == 2
    assert "the report needs matplotlib" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
