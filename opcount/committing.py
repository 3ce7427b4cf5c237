"""``opcount lock`` and ``opcount check``: words in, a text and whether it failed out."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from opcount.parsing import listed, visible
from opcount.project import LOCK, Named, Project, find_project

if TYPE_CHECKING:
    from opcount.comparison import Comparison

_FORMS = ("rich", "github")

_ABOUT = {
    "lock": "Count the models that [tool.opcount] of pyproject.toml names, and write their figures to opcount.lock.\n"
    "Nothing is written if a model does not keep its budgets.",
    "check": "Count the models that [tool.opcount] of pyproject.toml names, and fail if a figure is not as\n"
    "opcount.lock has it, or a budget is not kept. What changed is shown layer by layer.",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command has to say.

    Attributes:
        text: for stdout.
        complaints: for stderr.
        failed: whether the check failed, or a budget is not kept.
    """

    text: str = ""
    complaints: tuple[str, ...] = ()
    failed: bool = False


def read(words: list[str], make_parser: Callable[..., argparse.ArgumentParser]) -> argparse.Namespace:
    """The words as options: ``lock [NAME ...]`` or ``check [NAME ...] [--format github]``.

    Raises:
        OpCountError: they cannot be read.
    """
    command, *rest = words
    parser = make_parser(
        prog=f"opcount {command}", description=_ABOUT[command], formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="a model of [tool.opcount.models]; all if none is named"
    )
    if command == "check":
        parser.add_argument(
            "--format", choices=_FORMS, help="github: annotations too, as there are under GITHUB_ACTIONS"
        )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.set_defaults(command=command)
    return parser.parse_args(rest)


def answer(options: argparse.Namespace) -> Outcome:
    """Do what was asked for.

    Raises:
        OpCountError: the project, its lock or a model cannot be read; the message says what to do.
    """
    project = find_project()
    if str(project.folder) not in sys.path:
        sys.path.insert(0, str(project.folder))  # its models are importable from wherever in it one stands
    chosen = project.chosen(options.names)
    if options.command == "lock":
        return _lock(project, chosen)
    return _check(project, chosen, annotated=options.format == "github" or os.environ.get("GITHUB_ACTIONS") == "true")


def _lock(project: Project, chosen: list[Named]) -> Outcome:
    from opcount.locking import write_lock

    changed, excesses, counted = write_lock(project, chosen)
    if excesses:
        said = tuple("over budget: " + "\n".join(each.said(each.budget.replace("_", "-"))) for each in excesses)
        return Outcome(complaints=(*said, f"{LOCK} was left as it is"), failed=True)
    figures = ", ".join(f"{visible(profile.model)} ({profile.macs:,} MACs)" for profile in counted)
    return Outcome(f"{LOCK} {'written' if changed else 'is up to date'}: {figures}")


def _check(project: Project, chosen: list[Named], *, annotated: bool) -> Outcome:
    from opcount.locking import annotation, changes

    found = list(changes(project, chosen))
    if not found:
        return Outcome(f"as locked: {listed((visible(model.name) for model in chosen), 20)}")
    trees = [_tree(each.name, each.comparison) for each in found if each.comparison is not None]
    notes = [annotation(each, project) for each in found] if annotated else []
    said = tuple(f"{visible(each.name)}: {each.said}" for each in found)
    names = " ".join(dict.fromkeys(visible(each.name) for each in found if not each.of_budget))
    advice = (f"if that is meant, opcount lock {names} writes it to {LOCK}",) if names else ()
    return Outcome("\n".join([*trees, *notes]), (*said, *advice), failed=True)


def _tree(name: str, comparison: Comparison) -> str:
    """What changed, layer by layer, as wide as the terminal."""
    from opcount.report.models import comparison_sheet
    from opcount.report.terminal import text
    from opcount.report.view import View

    sheet = comparison_sheet(comparison, view=View(tree=True))
    width = shutil.get_terminal_size().columns if sys.stdout is not None and sys.stdout.isatty() else None
    return text(replace(sheet, headings=((visible(name), f"as {LOCK} has it and as it is now"),)), width) + "\n"
