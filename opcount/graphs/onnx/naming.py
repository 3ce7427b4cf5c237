"""Which module of the original model a node belongs to, as far as the exporter wrote it down."""

from __future__ import annotations

import ast
from typing import Any, NamedTuple


class Owner(NamedTuple):
    """A module.

    Attributes:
        path: where it is.
        kinds: the qualified class of every module on the way there, the model's own first; empty if unknown.
    """

    path: str
    kinds: tuple[tuple[str, str], ...] = ()


def owner_of(node: Any) -> Owner | None:
    """The module whose forward a node is from, in what either of PyTorch's exporters writes; None if neither did."""
    properties = {each.key: each.value for each in getattr(node, "metadata_props", ())}
    scopes, classes = (_listed(properties.get(f"pkg.torch.onnx.{key}")) for key in ("name_scopes", "class_hierarchy"))
    if scopes and len(scopes) == len(classes):
        return Owner(scopes[-2] if len(scopes) > 1 else "", tuple(zip(scopes[:-1], classes[:-1])))
    if scopes:
        return Owner(scopes[-2] if len(scopes) > 1 else "")
    if node.name.startswith("/"):
        return Owner(_from_name(node.name))
    return None


def _listed(text: str | None) -> list[str]:
    try:
        found = ast.literal_eval(text or "[]")
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    return [str(each) for each in found] if isinstance(found, list) else []


def _from_name(name: str) -> str:
    """The module's path in ``/layer4/layer4.1/conv1/Conv``, where a name may repeat the one that it is within.

    >>> _from_name("/layer4/layer4.1/conv1/Conv"), _from_name("/Flatten")
    ('layer4.1.conv1', '')
    """
    path: list[str] = []
    outer = ""
    for part in name.strip("/").split("/")[:-1]:
        path.append(part.removeprefix(f"{outer}.") if outer else part)
        outer = part
    return ".".join(path)
