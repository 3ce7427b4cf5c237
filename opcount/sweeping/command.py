"""``opcount sweep``: a spec, targets or a store in, rows out."""

from __future__ import annotations

import argparse
import csv
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opcount.errors import InputError
from opcount.parsing import did_you_mean, nearest, parse_argument, visible
from opcount.sweeping.table import FORMS

if TYPE_CHECKING:
    from opcount.sweeping.results import Results
    from opcount.sweeping.spec import Spec

SHOWN = 20
"""Rows that a terminal shows if nothing is said."""

_STORES = (".parquet", ".sqlite", ".sqlite3", ".db")
_EPILOG = """
examples:
  opcount sweep space.toml
  opcount sweep space.toml --where "macs < 300e6" --pareto macs,params --html space.html
  opcount sweep 'torchvision:resnet*' 'timm:efficientnet*' --store zoo.sqlite
  opcount sweep space.parquet --sort=-macs --top 5
  opcount sweep space.toml --join accuracy.csv --pareto macs,accuracy --maximize accuracy --plot front.svg

A sweep that was stopped goes on where it was when it is started again. docs/sweep.md describes the file.
"""


def read(parser: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Namespace:
    """The words behind ``sweep`` as options.

    Raises:
        InputError: they cannot be read.
    """
    parser.prog, parser.usage = "opcount sweep", "opcount sweep SPEC.toml | TARGET ... | STORE [options]"
    parser.description = "Count every model of a design space, resumably, and look at the results."
    parser.epilog, parser.formatter_class, parser.allow_abbrev = _EPILOG, argparse.RawDescriptionHelpFormatter, False
    add = parser.add_argument
    add("subjects", nargs="*", metavar="SUBJECT",
        help="a spec in TOML; targets and patterns such as 'timm:efficientnet*'; or a store to look at")  # fmt: skip
    add("--store", metavar="FILE", help="where rows are kept: .parquet or .sqlite")
    add("--input", action="append", default=[], metavar="SIZE", help="of targets: size of an input; once for each")
    add("--arg", action="append", default=[], type=parse_argument, metavar="KEY=VALUE",
        help="of targets: keyword argument for all of them")  # fmt: skip
    add("--no-bias", action="store_true", help="of targets: leave the additions of biases out")
    add("--no-padding", action="store_true", help="of targets: leave taps on zero padding out")
    add("--no-peak", action="store_true", help="leave the peak of activations out, which takes a run of its own")
    add("--workers", type=_positive, metavar="N", help="processes to start; one for each processor if not given")
    add("--dask", metavar="ADDRESS", help="count on a Dask cluster instead: tcp://HOST:8786")
    add("--time-limit", type=_seconds, metavar="SECONDS", help="that a point may take (300)")
    add("--memory-limit", metavar="SIZE", help="that a point may take beside PyTorch itself, such as '2 GiB' (none)")
    add("--retry", action="store_true", help="count points again that failed before")
    add("--where", metavar="CONDITION", help='only rows that meet it: "macs < 300e6 and width > 0.5"')
    add(
        "--join",
        metavar="FILE",
        help="further columns, such as an accuracy, from a CSV that shares names with the points",
    )
    add("--sort", metavar="COLUMN", help="order rows; --sort=-COLUMN from the largest")
    add("--pareto", type=_pair, metavar="X,Y", help="only the Pareto front of two columns")
    add("--maximize", action="append", default=[], metavar="COLUMN", help="where more is better, for --pareto")
    add("--top", type=_positive, metavar="N", help=f"the first N rows of a table (a terminal shows {SHOWN})")
    add("--format", metavar="FORM", help=", ".join(FORMS))
    add("-o", "--output", metavar="FILE", help="write to a file, whose name gives the form if --format does not")
    add("--html", metavar="FILE", help="write a page with a plot and a table, of --pareto's columns first")
    add("--plot", metavar="FILE", help="write a scatter plot: .svg, .png or .pdf")
    add("--strict", action="store_true", help="exit with 1 if a point failed or was not counted completely")
    add("--debug", action="store_true", help="show the traceback of an error")
    options, unknown = parser.parse_known_intermixed_args(list(words))
    if unknown:
        known = [name for action in parser._actions for name in action.option_strings]
        meant = did_you_mean(unknown[0], nearest(unknown[0], known, 1))
        raise InputError(f"there is no option {unknown[0]}{meant or '; opcount sweep --help shows all'}")
    if not options.subjects:
        raise InputError("name a spec, targets or a store, as in opcount sweep space.toml; --help shows more")
    return options


def answer(options: argparse.Namespace, tell: Callable[[str], None]) -> tuple[str, bool]:
    """What is to be printed, or nothing if files were written; and whether all is well.

    Raises:
        OpCountError: something cannot be read, counted or written.
    """
    form = _form(options)
    everything = _results(options, tell)
    shown = _joined(everything, options)
    title = options.subjects[0] if len(options.subjects) == 1 else f"{len(options.subjects)} targets"
    if options.where:
        shown = shown.where(options.where)
    x, y = options.pareto or ("macs", "params")
    if options.html:
        _write(options.html, shown.to_page(x=x, y=y, maximize=options.maximize, title=title), tell)
    if options.plot:
        shown.plot(options.plot, x=x, y=y, maximize=options.maximize)
        tell(f"wrote {visible(options.plot)}")
    if options.pareto:
        shown = shown.pareto(x, y, maximize=options.maximize)
    if options.sort:
        shown = shown.sort(options.sort.lstrip("-"), descending=options.sort.startswith("-"))
    well = not options.strict or all(row["error"] is None and row["complete"] for row in everything)
    if not well:
        tell("a point failed or was not counted completely, which --strict makes a failure")
    if (options.html or options.plot) and options.output is None and options.format is None:
        return "", well
    return _text(shown, form, options, title), well


def _text(shown: Results, form: str, options: argparse.Namespace, title: str) -> str:
    terminal = sys.stdout is not None and sys.stdout.isatty() and options.output is None
    if form != "rich":
        return shown.render(form, top=options.top, title=title)
    from opcount.report.terminal import text
    from opcount.sweeping.table import sheet

    top = options.top or (SHOWN if terminal else None)
    width = shutil.get_terminal_size().columns if terminal else None
    return text(sheet(shown, top, title), width)


def _form(options: argparse.Namespace) -> str:
    """The form of the table, with every file checked before anything is counted."""
    from opcount.report.files import check_target, form_of

    for path in (options.output, options.html, options.plot):
        if path is not None:
            check_target(path)
    if options.plot is not None and not options.plot.casefold().endswith((".svg", ".png", ".pdf")):
        raise InputError(f"the name {options.plot!r} does not tell a form of picture: end it in .svg, .png or .pdf")
    if options.where is not None:
        from opcount.sweeping.expressions import Condition

        Condition(options.where)
    if options.maximize and not options.pareto:
        raise InputError("--maximize says which of --pareto's columns are the better the more: give --pareto X,Y")
    form: str = options.format or ("rich" if options.output is None else form_of(options.output))
    if form not in FORMS:
        raise InputError(f"a sweep has no form {form!r}{did_you_mean(form, FORMS)} (forms: {', '.join(FORMS)})")
    return form


def _results(options: argparse.Namespace, tell: Callable[[str], None]) -> Results:
    from opcount.sweeping.results import Results

    first = options.subjects[0]
    if first.casefold().endswith(_STORES):
        if len(options.subjects) > 1:
            raise InputError("one store is looked at at a time")
        return Results.read(first)
    spec = _spec(options)
    from opcount.sweeping.crew import connect
    from opcount.sweeping.running import sweep

    executor = connect(spec.dask) if spec.dask else None
    try:
        results = sweep(
            spec.build, _Sized(spec), spec.inputs, executor=executor, store=spec.store, convention=spec.convention,
            peak=spec.peak and not options.no_peak, workers=spec.workers, time_limit=spec.time_limit,
            memory_limit=spec.memory_limit, retry=options.retry,
        )  # fmt: skip
    except KeyboardInterrupt:
        tell(f"what was counted is kept in {spec.store}; the same command goes on")
        raise
    finally:
        if executor is not None:
            executor.close()
    tell(f"{results.tally.text()} · {spec.store}")
    return results


class _Sized:
    """The points of a spec, with how many there are."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec

    def __iter__(self) -> Any:
        return iter(self._spec.space())

    def __length_hint__(self) -> int:
        return self._spec.total if self._spec.total is not None else NotImplemented


def _spec(options: argparse.Namespace) -> Spec:
    """The sweep asked for, with what the options say in place of what the file says."""
    from opcount.ops import Convention
    from opcount.sweeping import spec as specs

    files = [word for word in options.subjects if word.casefold().endswith(".toml")]
    beside = {"--input": options.input, "--arg": options.arg, "--no-bias": options.no_bias,
              "--no-padding": options.no_padding}  # fmt: skip
    if files:
        given = next((name for name, value in beside.items() if value), None)
        if len(options.subjects) > 1:
            raise InputError(f"{files[0]} is a sweep by itself: leave the other subjects out")
        if given is not None:
            raise InputError(f"{given} is for targets; the spec {files[0]} says that itself")
        spec = specs.load(files[0])
    else:
        spec = specs.of_targets(options.subjects, dict(options.arg), tuple(options.input))
        spec = replace(spec, convention=Convention(bias=not options.no_bias, zero_padding=not options.no_padding))
    for name in ("store", "workers", "dask", "time_limit"):
        if getattr(options, name) is not None:
            spec = replace(spec, **{name: getattr(options, name)})
    if options.memory_limit is not None:
        spec = replace(spec, memory_limit=specs.parse_bytes(options.memory_limit))
    if spec.dask and spec.workers:
        raise InputError("the workers are those of the Dask cluster: leave out workers or dask")
    return spec


def _joined(results: Results, options: argparse.Namespace) -> Results:
    if options.join is None:
        return results
    try:
        with Path(options.join).open(encoding="utf-8", newline="") as file:
            table = [{name: _value(cell) for name, cell in row.items() if name} for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read {options.join!r}: {error}") from error
    return results.join(table)


def _value(cell: str | None) -> Any:
    return None if not cell else parse_argument(f"cell={cell}")[1]


def _write(path: str, text: str, tell: Callable[[str], None]) -> None:
    from opcount.report.files import write

    write(path, text)
    tell(f"wrote {visible(path)}")


def _positive(word: str) -> int:
    if not word.isdecimal() or int(word) == 0:
        raise InputError(f"{word!r} is no whole number of 1 or more")
    return int(word)


def _seconds(word: str) -> float:
    try:
        seconds = float(word)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise InputError(f"{word!r} is no number of seconds above 0")
    return seconds


def _pair(word: str) -> tuple[str, str]:
    names = [name.strip() for name in word.split(",")]
    if len(names) != 2 or not all(names):
        raise InputError(f"--pareto takes two columns, as in --pareto macs,params, not {word!r}")
    return names[0], names[1]
