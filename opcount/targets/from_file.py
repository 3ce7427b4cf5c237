"""``path/to/file.py:Name``: something in a Python file, which runs as importing it would."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

from opcount.errors import TargetError, described
from opcount.parsing import did_you_mean, listed
from opcount.targets.from_module import attribute, found_model, models_in
from opcount.targets.source import Request, Source, Target


def load(request: Request) -> Target:
    """The model that a name in a file stands for.

    The file's folder is importable while it runs, as it is for ``python file.py``.

    Raises:
        TargetError: there is no such file or name, or running it fails.
    """
    path, _, name = request.name.rpartition(":")
    if not request.name.lower().endswith(".py") and path:
        module = _run(path)
        return found_model(request, attribute(module, name))
    module = _run(request.name)
    models = [f"{request.name}:{name}" for name in models_in(module)]
    meant = f"did you mean {listed(models, most=4, last='or')}?" if models else f"write {request.name}:Name"
    raise TargetError(f"{request.name!r} names a file, not what is in it; {meant}")


def _run(path: str) -> ModuleType:
    file = Path(path)
    if not file.is_file():
        raise TargetError(f"there is no file {path!r}{_hint(path)}")
    folder = str(file.resolve().parent)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise TargetError(f"{path!r} cannot be run as Python")
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(file.stem)
    sys.path.insert(0, folder)
    sys.modules[file.stem] = module  # dataclasses and pickling look a class's module up
    try:
        spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        raise TargetError(f"{path} needs the module {error.name!r}, which is not installed") from error
    except (Exception, SystemExit) as error:  # whatever the file itself does wrong is about the target
        raise TargetError(f"running {path} failed: {described(error)}") from error
    finally:
        sys.path.remove(folder) if folder in sys.path else None
        if before is not None:
            sys.modules[file.stem] = before
    return module


def _hint(path: str) -> str:
    """What was meant by a file that is not there: a module, or a file beside."""
    dotted = path.removesuffix(".py").replace("\\", "/").strip("./").replace("/", ".")
    if dotted.replace(".", "").isidentifier():
        try:
            if importlib.util.find_spec(dotted) is not None:
                return f"; did you mean the module {dotted}?"
        except (ImportError, ValueError, AttributeError):
            pass
    folder = Path(path).parent
    beside = [os.path.join(folder, item.name) for item in folder.glob("*.py")] if folder.is_dir() else []
    return did_you_mean(path, beside)


SOURCE = Source("path/to/file.py:Name", load, knobs=frozenset({"batch", "resolution"}))
