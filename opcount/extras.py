"""What the command adds to its report when asked: energy, memory, a roofline, a whole run."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from opcount.errors import InputError
from opcount.parsing import parse_count

if TYPE_CHECKING:
    from opcount.report.sections import Wanted
    from opcount.result import Profile

DEFAULT_TABLE = "horowitz-2014"
NAMES = ("energy", "memory", "roofline")
_LENGTHS = ("epochs", "samples", "tokens")


def add_options(add: Callable[..., Any]) -> None:
    """Tell a parser of the options."""
    add("--energy", nargs="?", const=DEFAULT_TABLE, metavar="TABLE",
        help=f"energy by operation and element type: {DEFAULT_TABLE}, or your own .json file")  # fmt: skip
    add("--memory", action="store_true", help="bytes of weights and activations, their peak, and bytes moved")
    add("--roofline", metavar="DEVICE",
        help="operations a byte under the roofline of a device, or of one in your own .json file; "
        "-o roof.svg (.png, .pdf) draws it")  # fmt: skip
    add("--epochs", type=parse_count, metavar="N",
        help="with --samples, a whole run of such steps: operations and energy (of --energy's table)")  # fmt: skip
    add("--samples", type=parse_count, metavar="N", help="samples in an epoch of a whole run, as in 60k")
    add("--tokens", type=parse_count, metavar="N", help="tokens in a whole run, instead of these, as in 300G")


def separated(words: Sequence[str]) -> list[str]:
    """The words with ``--energy`` that stands before a model taken for itself, not for the name of a table.

    >>> separated(["--energy", "lenet.models:Regular"])
    ['--energy=horowitz-2014', 'lenet.models:Regular']
    """
    result = list(words)
    for index, (word, following) in enumerate(zip(words, [*words[1:], ""])):
        if word == "--energy" and ":" in following:
            result[index] = f"--energy={DEFAULT_TABLE}"
    return result


def wanted(options: argparse.Namespace, form: str) -> Wanted | None:
    """What was asked for, with its table and its device read before anything is counted; None if nothing was.

    Raises:
        InputError: there is no such table or device, or the form has no place for it.
    """
    run = {name: given for name in _LENGTHS if (given := getattr(options, name)) is not None}
    asked = [name for name in (*NAMES, *_LENGTHS) if getattr(options, name) not in (None, False)]
    if not asked:
        return None
    from opcount.intensity import Device
    from opcount.pricing import EnergyTable
    from opcount.report import check_sections
    from opcount.report.sections import Wanted

    check_sections(form, asked, several=len(options.targets) > 1)
    return Wanted(
        table=None if options.energy is None else EnergyTable.named(options.energy),
        memory=options.memory,
        run=_length(run, options) if run else None,
        device=None if options.roofline is None else Device.named(options.roofline),
    )


def _length(run: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """How long a whole run is, and by which table its energy is.

    Raises:
        InputError: it is not said, or there are several models.
    """
    if len(options.targets) > 1:
        raise InputError(f"a whole run is one model's; {len(options.targets)} are named")
    if set(run) not in ({"samples", "epochs"}, {"tokens"}):
        raise InputError("a whole run is of --samples and --epochs, both, or of --tokens")
    return {**run, "table": options.energy or DEFAULT_TABLE}


def needs_memory(options: argparse.Namespace) -> bool:
    """Whether a profile has to know its memory."""
    return options.memory or options.roofline is not None


def figure_path(options: argparse.Namespace) -> str | None:
    """The file that a roofline is drawn to, if that is what ``-o`` names.

    Raises:
        InputError: several models, or a form beside.
    """
    if options.roofline is None or options.output is None:
        return None
    from opcount.report.files import check_target
    from opcount.report.roofplot import form_of_figure

    if form_of_figure(options.output) is None:
        return None
    if len(options.targets) > 1:
        raise InputError(f"a figure shows one model; {len(options.targets)} are named")
    if options.format is not None:
        raise InputError(f"{options.output!r} is a figure, which --format {options.format} is not: leave one out")
    check_target(options.output)
    return str(options.output)


def draw(profile: Profile, wanted: Wanted, path: str) -> None:
    """Draw the roofline of a model to a file."""
    from opcount.intensity import roofline
    from opcount.report.roofplot import write_figure

    if wanted.device is not None:
        write_figure(roofline(profile, wanted.device), path)
