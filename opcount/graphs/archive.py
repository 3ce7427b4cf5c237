"""The archive of an exported program: which file in it is the graph, and that it is one we can read.

Only the graph is read, which is JSON. Weights, constants and example inputs lie beside it, partly pickled, and are not
opened, so that nothing in the file can run.
"""

from __future__ import annotations

import json
import zipfile
from typing import Any

from opcount.errors import TargetError

_MAJOR = (7, 8)
"""Versions of the schema that can be read: those of PyTorch 2.5 and later."""

_LARGEST = 2**30
_DENSEST = 200
"""A graph packs to a tenth; what unpacks to so many times its size, and is large, was made to fill the memory."""


class UnknownGraph(TargetError):
    """A file holds an exported program, but none whose graph this release can read."""


def read_graph(path: str) -> dict[str, Any]:
    """What the archive says of the program: its graph, signature and versions.

    Raises:
        UnknownGraph: it is of a version that is not known, or holds several programs.
        TargetError: it cannot be read, or is no exported program.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            member = _member(path, archive)
            data = json.loads(archive.read(member))
    except OSError as error:
        raise TargetError(f"{path!r} cannot be read: {error.strerror or error}") from error
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError) as error:
        raise TargetError(f"{path!r} is no exported program, or is damaged: {error}") from error
    except (ValueError, RecursionError, RuntimeError) as error:
        raise TargetError(f"the graph in {path!r} is damaged: {error}") from error
    if not isinstance(data, dict) or "graph_module" not in data:
        raise TargetError(f"the file {member!r} in {path!r} holds no graph")
    _check_version(path, data)
    return data


def _member(path: str, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    names = {info.filename: info for info in archive.infolist()}
    graphs = [name for name in names if name == "serialized_exported_program.json" or "/models/" in f"/{name}"]
    graphs = [name for name in graphs if name.endswith(".json")]
    if not graphs:
        scripted = any(name.endswith("/code/") or "/code/" in name for name in names)
        what = "a scripted model" if scripted else "no exported program"
        raise TargetError(f"{path!r} is {what}: there is no graph in it; torch.export.save writes one")
    if len(graphs) > 1:
        raise UnknownGraph(f"{path!r} holds several models ({', '.join(graphs)}): save each in a file of its own")
    size, packed = names[graphs[0]].file_size, names[graphs[0]].compress_size
    if size > _LARGEST or size > max(2**24, _DENSEST * packed):
        raise TargetError(f"the graph in {path!r} would take {size:,} bytes, which no graph does")
    return names[graphs[0]]


def _check_version(path: str, data: dict[str, Any]) -> None:
    version, writer = data.get("schema_version"), data.get("torch_version", "an unknown PyTorch")
    major = version.get("major") if isinstance(version, dict) else version
    if major not in _MAJOR:
        raise UnknownGraph(
            f"{path!r} was written by {writer} with version {major} of the schema, and this release reads "
            f"{' and '.join(map(str, _MAJOR))}: export the model with PyTorch 2.5 or later, or load it and count that"
        )
