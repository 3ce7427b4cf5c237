"""``model.pt``: a scripted or a pickled model. Loading one runs what is in the file, so the user has to trust it."""

from __future__ import annotations

import os
import warnings
import zipfile
from typing import Any

from opcount.errors import TargetError, described
from opcount.targets.source import Request, Source, Target


def load(request: Request) -> Target:
    """The model in a file that the user trusts.

    Raises:
        TargetError: there is none, the user does not, it cannot be loaded, or holds weights alone.
    """
    if not os.path.lexists(request.name):
        raise TargetError(f"{request.word!r} cannot be read: No such file or directory")
    if not request.trust:
        raise TargetError(
            f"{request.word!r} looks like saved weights, which do not say what is computed with them, and is not "
            "unpickled: name what builds the model, as in package.module:Name, or export it; if it is a scripted or "
            "pickled model that you trust, --trust loads it, which may run what is in it"
        )
    from torch import nn

    try:
        found = _loaded(request.name)
    except Exception as error:  # whatever the file makes PyTorch do
        raise TargetError(f"{request.word!r} cannot be loaded: {described(error)}") from error
    if not isinstance(found, nn.Module):
        raise TargetError(
            f"{request.word!r} holds {type(found).__name__}, not a model; name what builds the model, as in "
            "package.module:Name"
        )
    return Target(request.word, found, built=False)


def _loaded(path: str) -> Any:
    import torch

    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            scripted = any("/code/" in name for name in archive.namelist())
        if scripted:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # that such files are out of fashion
                return torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
    return torch.load(path, map_location="cpu", weights_only=False)  # the user trusts it # nosec B614


SOURCE = Source("model.pt", load, takes_arguments=False)
