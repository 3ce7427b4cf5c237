"""Arithmetic intensity, and where it puts a model under the roofline of a device.

Operations are multiplications and additions, each one: the way a device's peak is stated, where a fused multiply-add is
two. Bytes are what a layer reads and writes once. No layer can be faster than its operations at the device's peak, nor
than its bytes at the device's bandwidth.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from opcount.errors import InputError
from opcount.occupancy import Memory
from opcount.parsing import listed
from opcount.published import amount, packaged, read_file
from opcount.result import Profile

_SCHEMA = "opcount-devices/1"


@dataclass(frozen=True)
class Device:
    """What a device can do at best.

    Attributes:
        name: how it is called.
        title: its name in full.
        source: where the figures were published.
        bandwidth: bytes a second between memory and chip.
        peak: operations a second by element type.
    """

    name: str
    title: str
    source: str
    bandwidth: Fraction
    peak: Mapping[str, Fraction]

    def ridge(self, dtype: str) -> float:
        """The intensity, in operations a byte, from which on arithmetic and not memory is the limit.

        >>> Device.named("a100-80gb").ridge("float32")  # 19.5e12 / 2039e9
        9.563511525257478
        """
        return float(self.peak[dtype] / self.bandwidth)

    @staticmethod
    def named(name: str) -> Device:
        """A device of the package; the only one in a file of JSON, or one of several as in ``"file.json:name"``.

        Raises:
            InputError: there is none of that name, or the file is damaged.
        """
        known = _devices(packaged("devices.json"), "devices.json")
        if name.casefold() in known:
            return known[name.casefold()]
        path, _, which = name.rpartition(":") if ".json:" in name else (name, "", "")
        if path.endswith(".json") or os.sep in path:
            return _chosen(_devices(read_file(path, "devices"), path), which, path)
        near = difflib.get_close_matches(name.casefold(), known, n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"there is no device {name!r}{hint} (devices: {listed(known, 20)}; or a .json file)")

    @staticmethod
    def read(data: Mapping[str, Any], name: str = "your device") -> Device:
        """A device from a mapping with ``bandwidth`` and ``peak``.

        Raises:
            InputError: something in it is missing or no number.
        """
        if not isinstance(data, Mapping):
            raise InputError(f"a device is a name, a file or a mapping, not {type(data).__name__} {data!r}")
        peak, texts = data.get("peak"), [data.get("title", name), data.get("source", "")]
        if "bandwidth" not in data or not isinstance(peak, Mapping) or not peak:
            raise InputError(
                f"{name} needs a bandwidth in bytes a second and a peak in operations a second by element type, as in "
                '{"bandwidth": 25.6e9, "peak": {"float32": 100e9}}'
            )
        if not all(isinstance(text, str) for text in texts):
            raise InputError(f"{name} is damaged: title and source are texts")
        peaks = {str(dtype): amount(value, f"{name}: the peak of {dtype}", zero=False) for dtype, value in peak.items()}
        return Device(name, texts[0], texts[1], amount(data["bandwidth"], f"{name}: the bandwidth", zero=False), peaks)


def devices() -> tuple[str, ...]:
    """The names of the devices that come with the package.

    >>> "h100-sxm" in devices()
    True
    """
    return tuple(packaged("devices.json")["devices"])


def _devices(data: Mapping[str, Any], name: str) -> dict[str, Device]:
    found = data.get("devices")
    if data.get("schema") != _SCHEMA or not isinstance(found, Mapping) or not found:
        raise InputError(f"{name} holds no devices of the schema {_SCHEMA}; docs/energy.md shows one")
    return {key: Device.read(value, key) for key, value in found.items()}


def _chosen(known: Mapping[str, Device], which: str, path: str) -> Device:
    if which in known:
        return known[which]
    if not which and len(known) == 1:
        return next(iter(known.values()))
    wanted = f"no device {which!r}" if which else f"{len(known)} devices: name one as in {path}:{next(iter(known))}"
    raise InputError(f"{path} has {wanted} (devices: {listed(known, 20)})")


@dataclass(frozen=True, slots=True)
class Point:
    """A layer under the roofline.

    Attributes:
        path: where it is.
        type: the name of its class; several where PyTorch runs them as one.
        operations: multiplications and additions.
        bytes: read and written.
        dtype: the element type of most of its operations.
        compute_seconds: its operations at the device's peak; None if the device has none for its element types.
        memory_seconds: its bytes at the device's bandwidth.
    """

    path: str
    type: str
    operations: int
    bytes: int
    dtype: str
    compute_seconds: float | None
    memory_seconds: float

    @property
    def intensity(self) -> float:
        """Operations a byte; infinite where nothing is moved."""
        return self.operations / self.bytes if self.bytes else float("inf")

    @property
    def seconds(self) -> float | None:
        """The least time it can take, if that is known."""
        return None if self.compute_seconds is None else max(self.compute_seconds, self.memory_seconds)

    @property
    def bound(self) -> str:
        """What limits it: ``"compute"``, ``"memory"``, or ``"unknown"`` where the device states no peak."""
        if self.compute_seconds is None:
            return "unknown"
        return "compute" if self.compute_seconds > self.memory_seconds else "memory"

    @property
    def attainable(self) -> float | None:
        """Operations a second at best."""
        return self.operations / self.seconds if self.seconds else None


@dataclass(frozen=True)
class Roofline:
    """A model under the roofline of a device.

    Attributes:
        model: the name of the model.
        device: the device.
        points: the layers that compute or move something.
        whole: all of them together.
        peak_missing: element types with operations for which the device states no peak.
    """

    model: str
    device: Device
    points: tuple[Point, ...]
    whole: Point
    peak_missing: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """The least time one call can take, layer after layer, as far as the device's peaks are known."""
        return sum(point.seconds or point.memory_seconds for point in self.points)

    def to_dict(self) -> dict[str, Any]:
        """The points as plain data."""
        device = self.device
        return {
            "device": {
                "name": device.name,
                "title": device.title,
                "source": device.source,
                "bandwidth": float(device.bandwidth),
                "peak": {dtype: float(value) for dtype, value in device.peak.items()},
            },
            "operations": self.whole.operations,
            "bytes": self.whole.bytes,
            "least_seconds": self.seconds,
            "peak_missing": list(self.peak_missing),
            "layers": [_out(point) for point in self.points],
        }

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Draw it to a file, whose name ends in .svg, .png or .pdf; needs ``pip install 'opcount[study]'``.

        Raises:
            InputError: the file cannot be written.
            MissingExtraError: matplotlib is not installed.
        """
        from opcount.report.roofplot import write_figure  # the renderer hook

        write_figure(self, os.fspath(path))

    def __str__(self) -> str:
        from opcount.report import render_sheet  # the renderer hook
        from opcount.report.roofplot import text_plot
        from opcount.report.roofs import roofline_sheet

        return f"{text_plot(self)}\n\n{render_sheet(roofline_sheet(self))}"


def roofline(profile: Profile, device: str | Mapping[str, Any] | Device) -> Roofline:
    """Put a profile under the roofline of a device.

    Args:
        profile: what was counted, with its memory: ``profile(model, inputs, memory=True)``.
        device: a name of :func:`devices`, the path of a file of JSON, a mapping with ``bandwidth`` and ``peak``, or a
            :class:`Device`.

    Raises:
        InputError: there is no such device, it is damaged, or the profile has no memory.

    >>> from torch import nn
    >>> from opcount import profile
    >>> mine = {"bandwidth": 1000, "peak": {"float32": 4000}}  # the ridge is at 4 operations a byte
    >>> r = roofline(profile(nn.Linear(10, 100, bias=False), (50, 10), memory=True), mine)
    >>> r.whole.operations, r.whole.bytes  # 50*100 dots of 10; 50x10 and 100x10 read, 50x100 written, of 4 bytes each
    (95000, 26000)
    >>> r.whole.bound, r.seconds
    ('memory', 26.0)
    """
    if isinstance(device, str):
        device = Device.named(device)
    elif not isinstance(device, Device):
        device = Device.read(device)
    if profile.memory is None:
        raise InputError(
            f"the profile of {profile.model} has no bytes: count it with profile(model, inputs, memory=True), "
            "or on the command line save it with --memory"
        )
    work = _merged(profile, profile.memory)
    points = tuple(_point(path, *work[path], device) for path in work)
    dtypes = {dtype for _, ops, _ in work.values() for dtype in ops}
    together: dict[str, int] = {}
    for _, ops, _ in work.values():
        for dtype, count in ops.items():
            together[dtype] = together.get(dtype, 0) + count
    whole = _point("", profile.model, together, sum(size for *_, size in work.values()), device)
    return Roofline(profile.model, device, points, whole, tuple(sorted(dtypes - device.peak.keys())))


def _merged(profile: Profile, memory: Memory) -> dict[str, tuple[str, dict[str, int], int]]:
    """Type, operations by element type, and bytes of each layer; what PyTorch ran as one operator is one."""
    work: dict[str, tuple[str, dict[str, int], int]] = {}
    for record in profile.layers:
        size = memory[record.path].moved if record.path in memory else 0
        ops: dict[str, int] = {}
        for entry in record.entries:
            if entry.ops.total:
                ops[entry.term.dtype] = ops.get(entry.term.dtype, 0) + entry.ops.total
        if size or ops:
            work[record.path] = record.type, ops, size
    for path in [path for path, (_, ops, size) in work.items() if ops and not size]:
        above = path
        while above:
            above = above.rpartition(".")[0]
            if above in work and work[above][2]:
                theirs = work[above][1]
                for dtype, count in work.pop(path)[1].items():
                    theirs[dtype] = theirs.get(dtype, 0) + count
                break
    return work


def _point(path: str, kind: str, ops: Mapping[str, int], size: int, device: Device) -> Point:
    known = ops.keys() <= device.peak.keys()
    compute = sum((count / device.peak[dtype] for dtype, count in ops.items()), Fraction()) if known else None
    return Point(
        path=path,
        type=kind,
        operations=sum(ops.values()),
        bytes=size,
        dtype=max(ops, key=lambda dtype: ops[dtype], default=""),
        compute_seconds=None if compute is None else float(compute),
        memory_seconds=float(size / device.bandwidth),
    )


def _out(point: Point) -> dict[str, Any]:
    return {
        "path": point.path,
        "type": point.type,
        "dtype": point.dtype,
        "operations": point.operations,
        "bytes": point.bytes,
        "intensity": point.intensity if point.bytes else None,
        "bound": point.bound,
        "least_seconds": point.seconds,
    }
