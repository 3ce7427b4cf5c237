"""MNIST and scikit-learn's digits, whole and in memory: 28x28 images of one channel, ten classes."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from lenet.errors import StudyError
from lenet.models import CLASSES

SIDE = 28
DATASETS = ("auto", "mnist", "digits")
_UNPACKED = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
"""MD5 of MNIST's files without their compression: torchvision verifies the compressed ones alone."""


@dataclass(frozen=True)
class Data:
    """Images as bytes (N, 1, 28, 28) and labels as int64 (N,), to train on and to test on.

    Raises:
        StudyError: a shape, type or label is not what the networks take, or one of the sets is empty.
    """

    name: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor

    def __post_init__(self) -> None:
        for part in ("train", "test"):
            images, labels = getattr(self, f"{part}_images"), getattr(self, f"{part}_labels")
            if images.dtype != torch.uint8 or images.dim() != 4 or tuple(images.shape[1:]) != (1, SIDE, SIDE):
                raise StudyError(
                    f"{self.name}: {part} images are bytes of size (N, 1, {SIDE}, {SIDE}), "
                    f"not {images.dtype} of size {tuple(images.shape)}"
                )
            if labels.dtype != torch.int64 or tuple(labels.shape) != (len(images),):
                raise StudyError(f"{self.name}: {len(images)} {part} images, but labels of size {tuple(labels.shape)}")
            if not len(labels):
                raise StudyError(f"{self.name}: there are no {part} images")
            if int(labels.min()) < 0 or int(labels.max()) >= CLASSES:
                raise StudyError(f"{self.name}: {part} labels go beyond 0 to {CLASSES - 1}")

    @property
    def sizes(self) -> tuple[int, int]:
        """How many images to train on and to test on."""
        return len(self.train_labels), len(self.test_labels)

    def mean_and_deviation(self) -> tuple[float, float]:
        """Of the training images' pixels, as shares of white: exact, from how often each of the 256 values occurs."""
        counts = torch.zeros(256, dtype=torch.int64)
        for images in torch.split(self.train_images, 1000):
            counts += torch.bincount(images.flatten(), minlength=256)
        shares, values = counts.double() / counts.sum(), torch.arange(256).double() / 255
        mean = (shares * values).sum()
        return mean.item(), (shares * (values - mean) ** 2).sum().sqrt().item()

    def held_out(self, count: int) -> Data:
        """The same training images with the last ones to test on, so that a choice never sees the test set.

        Raises:
            StudyError: nothing would be left to train on.
        """
        if not 0 < count < len(self.train_labels):
            raise StudyError(f"--holdout is between 1 and {len(self.train_labels) - 1} for {self.name}, not {count}")
        return replace(
            self,
            train_images=self.train_images[:-count],
            train_labels=self.train_labels[:-count],
            test_images=self.train_images[-count:],
            test_labels=self.train_labels[-count:],
        )


def load(dataset: str, folder: Path, say: Callable[[str], None] = print) -> Data:
    """A data set by its name.

    Args:
        dataset: ``mnist``, ``digits``, or ``auto``: MNIST where it is there or can be had, else digits.
        folder: the root under which torchvision keeps MNIST (``MNIST/raw`` in it).
        say: told of what is damaged and fetched again, and why ``auto`` takes digits.

    Raises:
        StudyError: MNIST is asked for and cannot be had, or a package is missing.
    """
    if dataset == "digits":
        return digits()
    if dataset not in DATASETS:
        raise StudyError(f"there is no data set {dataset!r}; there are {', '.join(DATASETS)}")
    try:
        return mnist(folder, say)
    except StudyError as error:
        if dataset == "mnist":
            raise
        say(f"MNIST is not to be had: {error}")
        return digits()


def mnist(folder: Path, say: Callable[[str], None] = print) -> Data:
    """MNIST, every file verified by its MD5 before it is read; what is missing or damaged is fetched.

    Args:
        folder: the root under which torchvision keeps it; written to only if something has to be fetched.
        say: told of a damaged file.

    Raises:
        StudyError: a file is neither there nor to be had, or torchvision is missing.
    """
    try:
        from torchvision.datasets.mnist import read_image_file, read_label_file
    except ImportError as error:
        raise StudyError("MNIST needs torchvision: pip install 'opcount[study]'") from error
    try:
        with _unpacked(folder / "MNIST" / "raw", say) as raw:
            tensors = [
                read(str(raw / f"{part}-{kind}-ubyte"))
                for part in ("train", "t10k")
                for kind, read in (("images-idx3", read_image_file), ("labels-idx1", read_label_file))
            ]
    except _UNREADABLE as error:
        reason = str(error) or type(error).__name__
        raise StudyError(f"MNIST in {folder} cannot be read: {reason}; remove it there to have it fetched") from error
    train_images, train_labels, test_images, test_labels = tensors
    return Data("mnist", train_images.unsqueeze(1), train_labels, test_images.unsqueeze(1), test_labels)


_UNREADABLE = (OSError, EOFError, zlib.error, AssertionError, ValueError, LookupError, RuntimeError, TypeError)
"""What torchvision's readers raise for a file that is not what its name says, or cannot be unpacked for a full disk."""


@contextlib.contextmanager
def _unpacked(raw: Path, say: Callable[[str], None]) -> Iterator[Path]:
    """A temporary folder with MNIST's four files, verified: the folder they come from may be read-only."""
    from torchvision.datasets import MNIST
    from torchvision.datasets.utils import check_integrity, extract_archive

    with tempfile.TemporaryDirectory() as scratch:
        for archive, md5 in MNIST.resources:
            name = archive.removesuffix(".gz")
            if not (raw / archive).exists() and check_integrity(str(raw / name), _UNPACKED[name]):
                (Path(scratch) / name).symlink_to((raw / name).resolve())
                continue
            if not check_integrity(str(raw / archive), md5):
                _fetch(raw, archive, md5, say)
            extract_archive(str(raw / archive), scratch)
        yield Path(scratch)


def _fetch(raw: Path, archive: str, md5: str, say: Callable[[str], None]) -> None:
    """Download one file from the first mirror that has it, with a progress bar, and verify it.

    Raises:
        StudyError: no mirror has it whole, or it cannot be written.
    """
    from torchvision.datasets import MNIST
    from torchvision.datasets.utils import download_url

    path = raw / archive
    state = "damaged (its MD5 is wrong)" if path.exists() else "missing"
    say(f"{path} is {state}: fetching it")
    reasons = []
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(20)
    try:
        for mirror in MNIST.mirrors:
            try:
                download_url(f"{mirror}{archive}", str(raw), archive, md5)
                return
            except (OSError, RuntimeError) as error:  # noqa: PERF203
                reasons.append(str(error))
    finally:
        socket.setdefaulttimeout(before)
    raise StudyError(
        f"{path} is {state}, and fetching it failed: {'; '.join(dict.fromkeys(reasons))}; "
        "--data-dir names a folder that holds MNIST/raw, --dataset digits needs none"
    )


def digits() -> Data:
    """scikit-learn's 1,797 handwritten digits, brought from 8x8 to MNIST's layout: 20x20 in the middle of 28x28.

    A fifth of each class is to test on, always the same.

    Raises:
        StudyError: scikit-learn is missing.
    """
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise StudyError("the digits need scikit-learn: pip install 'opcount[study]'") from error
    bunch = load_digits()
    small = torch.from_numpy(bunch.images).float().unsqueeze(1) * (255 / 16)
    large = torch.nn.functional.interpolate(small, size=20, mode="bilinear", align_corners=False)
    images = torch.nn.functional.pad(large, (4, 4, 4, 4)).round().to(torch.uint8)
    labels = torch.from_numpy(bunch.target).long()
    train, test = train_test_split(range(len(labels)), test_size=0.2, stratify=bunch.target, random_state=0)
    return Data("digits", images[train], labels[train], images[test], labels[test])
