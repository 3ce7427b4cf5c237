"""The command: arguments in, a report and an exit code out.

No counting happens here, and nothing heavy is imported before the arguments are read.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from opcount import extras, questions
from opcount.errors import ForwardError, InputError, OpCountError, described
from opcount.interrupts import INTERRUPTED, Interrupts
from opcount.output import complain, put, reserved, show
from opcount.parsing import (
    did_you_mean,
    nearest,
    parse_argument,
    parse_count,
    parse_positive,
    parse_resolution,
    parse_size,
    visible,
)
from opcount.report import FORMATS

if TYPE_CHECKING:
    from opcount.report.progress import Progress
    from opcount.report.view import View
    from opcount.result import Profile

RIGHT, FAILED, BAD_INPUT = 0, 1, 2
"""The exit codes: fine; over a budget, not as locked, or ``--strict`` and something uncounted; the user can put it
right; Ctrl-C."""

_EXAMPLES = """
examples:
  opcount lenet.models:Depthwise
  opcount lenet.models:Regular lenet.models:Depthwise
  opcount lenet.models:Regular lenet.models:Depthwise --only conv --no-bias
  opcount torchvision.models:resnet50
  opcount torchvision.models:resnet50 --input 8,3,160,160 --only "layer1.*"
  opcount torch.nn:Linear --arg in_features=512 --arg out_features=10 --input 1,512
  opcount package.module:TextModel --input 1,128:int64 -o costs.md
  opcount timm:vit_base_patch16_224 --batch 8
  opcount transformers:LlamaConfig --arg num_hidden_layers=4 --seq 1024
  opcount torchvision.models:resnet50 --html resnet50.html
  opcount torchvision.models:resnet50 saved.json --tree
  opcount torchvision.models:mobilenet_v2 --max-macs 310M --max-params 3.6M
  opcount torchvision.models:resnet50 --versus thop
  opcount lock      the models named in pyproject.toml: opcount lock --help says more
  opcount check
  opcount torchvision.models:resnet50 --backward --optimizer adamw
  opcount sweep 'torchvision:resnet*'

exit codes:
  0 fine   1 over a budget, not as locked, or --strict and something was not counted
  2 bad input   130 interrupted
"""


class _Parser(argparse.ArgumentParser):
    """argparse, with its complaints as our errors."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; opcount --help shows the options")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        argv: the words behind the command; those of the process if there are none.

    >>> main(["lenet.models:Regular", "--format", "markdwon"])
    2
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        with Interrupts():
            return _done(words)
    except KeyboardInterrupt:
        complain("interrupted")
        return INTERRUPTED
    except OpCountError as error:
        _trace("--debug" in words)
        complain(f"error: {error}{_hint(error)}")
        return BAD_INPUT
    except Exception as error:  # a bug of ours: no traceback unless it was asked for
        debug = "--debug" in words
        _trace(debug)
        more = "" if debug else "; this is a bug in opcount: --debug shows where, and a report of it is welcome"
        complain(f"error: {described(error)}{more}")
        return BAD_INPUT


def _done(words: list[str]) -> int:
    if words and words[0] in ("lock", "check"):
        return _commit(words)
    if words[:1] == ["sweep"]:
        return _sweep(words[1:])
    options = _options(words)
    with _models_at_work():
        return _run(options)


@contextmanager
def _models_at_work() -> Iterator[None]:
    """Where models' own code runs: it prints beside the report, not into it, and does not end the command.

    Raises:
        OpCountError: it tried to.
    """
    try:
        with reserved():
            yield
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:  # such as SystemExit, where no forward is to blame
        raise OpCountError(f"the model's own code wanted to end the command: {described(error)}") from error


def _sweep(words: list[str]) -> int:
    from opcount.sweeping import command

    options = command.read(_Parser(), words)
    with _models_at_work():
        text, well = command.answer(options, complain)
    if text:
        _say(text, options)
    return RIGHT if well else FAILED


def _options(words: list[str]) -> argparse.Namespace:
    """The words as options.

    Raises:
        InputError: they cannot be read.
    """
    parser = _parser()
    options, unknown = parser.parse_known_intermixed_args(_with_values(extras.separated(words)))
    if unknown:
        known = [name for action in parser._actions for name in action.option_strings]
        meant = did_you_mean(unknown[0], nearest(unknown[0], known, 1))
        raise InputError(f"there is no option {unknown[0]}{meant or '; opcount --help shows all'}")
    if not options.targets and options.list is None:
        raise InputError("name a model as package.module:Name, as in opcount lenet.models:Regular; --help shows more")
    return options


def _with_values(words: list[str]) -> list[str]:
    """The words with ``--input -1,3`` as one, or argparse would take the number for an option and complain of that."""
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] == "--input" and word[:1] == "-" and word[1:2].isdecimal():
            joined[-1] = f"--input={word}"
        else:
            joined.append(word)
    return joined


def _parser() -> argparse.ArgumentParser:
    from opcount import __version__

    parser = _Parser(
        prog="opcount",
        usage="opcount TARGET [TARGET ...] [options]",
        description="Count exactly how much arithmetic a PyTorch model costs: multiplications apart from\n"
        "additions, layer by layer. Several models are set side by side.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("targets", nargs="*", metavar="TARGET",
        help="package.module:Name of a model, its class, or what builds it; path/file.py:Name; timm:NAME, "
        "torchvision:NAME, transformers:NAME; a file: .pt2 exported, .onnx, .json a saved profile")  # fmt: skip
    add("--input", action="append", default=[], type=parse_size, metavar="SIZE",
        help="size of an input, batch included: 1,3,224,224 or 8,128:int64; once for each input")  # fmt: skip
    add("--arg", action="append", default=[], type=parse_argument, metavar="KEY=VALUE",
        help="keyword argument for the class or function")  # fmt: skip
    add("--batch", type=parse_positive, metavar="N", help="samples in the model's natural input")
    add("--seq", type=parse_positive, metavar="N", help="tokens or steps in the model's natural input")
    add("--resolution", type=parse_resolution, metavar="H[xW]", help="height and width of the model's natural input")
    add("--list", metavar="SOURCE", help="the names of timm, torchvision or transformers; timm:vit_* for some")
    add("--only", metavar="WHAT", help="only layers of a type (conv, Linear) or with a path like 'features.*'")
    add("--no-bias", action="store_true", help="leave the additions of biases out")
    add("--no-padding", action="store_true", help="leave out what a convolution multiplies with its own zero padding")
    add("--format", type=_format, metavar="FORM", help=f"{', '.join(FORMATS)} (rich if none is given)")
    add("-o", "--output", metavar="FILE", help="write to a file, whose name gives the form if --format does not")
    add("--html", metavar="FILE", help="write a page to look around in, one file that needs nothing else")
    add("--tree", action="store_true", help="indent layers under what they are part of; of two models, what changed")
    add("--depth", type=_count, metavar="N", help="no deeper than N, with what is deeper summed up")
    add("--fold", action=argparse.BooleanOptionalAction,
        help="one row for identical layers in sequence (long tables on a terminal do)")  # fmt: skip
    add("--sort", metavar="COLUMN", help="sort the rows: total, multiplications, params, layer, ...")
    add("--top", type=_count, metavar="K", help="the K costliest rows, and one for the rest")
    extras.add_options(add)
    add("--backward", action="store_true", help="one training step: the backward pass as well, in training mode")
    add("--optimizer", metavar="NAME", help="with --backward, the optimizer's step too: sgd, momentum, adam or adamw")
    questions.add_options(add)
    for budget in ("macs", "total", "params", "layer-macs"):
        add(f"--max-{budget}", type=parse_count, metavar="N",
            help=f"exit with 1 if there is more: {_BUDGET_HELP[budget]}")  # fmt: skip
    add("--trust", action="store_true", help="load model.pt files too, which may run what is in them")
    add("--strict", action="store_true", help="exit with 1 if something was not counted")
    add("--debug", action="store_true", help="show the traceback of an error")
    add("--version", action="version", version=f"opcount {__version__}")
    return parser


_BUDGET_HELP = {
    "macs": "MACs, as in 300M or 4.1G",
    "total": "multiplications and additions",
    "params": "parameters",
    "layer-macs": "MACs in one layer",
}


def _count(word: str) -> int:
    if not word.isdecimal():
        raise InputError(f"{word!r} is no whole number of 0 or more, as in --depth 2 or --top 10")
    return int(word)


def _format(word: str) -> str:
    if word not in FORMATS:
        raise InputError(
            f"there is no format {word!r}{did_you_mean(word, FORMATS) or ''} (formats: {', '.join(FORMATS)})"
        )
    return word


def _run(options: argparse.Namespace) -> int:
    """Profile the targets, show them, and say how that went."""
    from opcount.comparison import compare
    from opcount.report.view import View

    if options.list is not None:
        _say(questions.listing(options), options)
        return RIGHT
    question = questions.asked(options)
    if question is not None:
        _say(questions.answer(question, options), options)
        return RIGHT
    view = View(options.tree, options.depth, options.fold, options.sort, options.top)
    form = _form(options, view)
    wanted = extras.wanted(options, form)
    from opcount.report.progress import Progress

    with Progress() as progress:
        profiles, remarks = zip(*(_profiled(word, options, progress) for word in options.targets), strict=True)
    subject = compare(*profiles) if len(profiles) > 1 else profiles[0]
    sections = wanted.of(profiles, options.top) if wanted else ()
    if options.html is not None:
        from opcount.report import render_page

        _write(options.html, lambda: render_page(subject, sections))
    if wanted is not None and extras.figure_path(options):
        extras.draw(profiles[0], wanted, options.output)
        complain(f"wrote {visible(options.output)}")
    elif options.output is not None:
        from opcount.report import render

        _write(options.output, lambda: render(subject, form, remarks, view, sections))
    if options.output is None and options.html is None:
        show(subject, form, remarks, view, sections)
    if _over_budget(options, profiles):
        return FAILED
    if options.strict and not subject.complete:
        complain("something was not counted, which --strict makes a failure")
        return FAILED
    return RIGHT


def _over_budget(options: argparse.Namespace, profiles: Sequence[Profile]) -> bool:
    """Whether a model does not keep a budget, or cannot be known to; each that does not is said on stderr."""
    from opcount.budgets import NAMES, Budgets

    budgets = Budgets(**{name: getattr(options, name) for name in NAMES})
    excesses = [excess for profile in profiles for excess in budgets.check(profile)]
    for excess in excesses:
        complain("over budget: " + "\n".join(excess.said(f"--{excess.budget.replace('_', '-')}")))
    return bool(excesses)


def _commit(words: list[str]) -> int:
    """Lock the figures of a project's models, or check them."""
    from opcount import committing

    options = committing.read(words, _Parser)
    with _models_at_work():
        outcome = committing.answer(options)
    if outcome.text:
        put(outcome.text)
    for line in outcome.complaints:
        complain(line)
    return FAILED if outcome.failed else RIGHT


def _form(options: argparse.Namespace, view: View) -> str:
    """The form asked for, with every file and view checked before anything is computed."""
    from opcount.report.files import check_target, form_of

    paths = [path for path in (options.output, options.html) if path is not None]
    for path in paths:
        check_target(path)
    if len(paths) == 2 and len(set(map(os.path.realpath, paths))) == 1:
        raise InputError(f"-o and --html both write to {paths[0]!r}: give each a file of its own")
    unnamed = options.output is None or extras.figure_path(options) is not None
    form: str = options.format or ("rich" if unnamed else form_of(options.output))
    view.check(form, several=len(options.targets) > 1)
    return form


def _write(path: str, text: Callable[[], str]) -> None:
    """Write a file, and say so on stderr: stdout stays empty."""
    from opcount.report.files import write

    write(path, text())
    complain(f"wrote {visible(path)}")


def _profiled(word: str, options: argparse.Namespace, progress: Progress) -> tuple[Profile, list[str]]:
    """The profile of one target, and what its heading has to say beside."""
    progress.say(f"building {word}")
    from opcount.targets import counted

    target, inputs, convention = questions.named(word, options)
    progress.say(f"running {word}")
    step = questions.training_step(options, target.model)
    found = counted(target, inputs, convention, memory=extras.needs_memory(options), **step)
    mixed = [] if isinstance(target.model, type(found)) else questions.mixture(target.model, found)
    training = ["training mode"] if getattr(target.model, "training", False) else []
    return _only(found, options, [*training, *target.remarks, *mixed])


def _only(counted: Profile, options: argparse.Namespace, remarks: list[str]) -> tuple[Profile, list[str]]:
    if options.only is None:
        return counted, remarks
    return counted.only(options.only), [*remarks, f"only {options.only}"]


def _say(text: str, options: argparse.Namespace) -> None:
    """Write the answer to a question: to a file, or on stdout."""
    if options.output is not None:
        _write(options.output, lambda: text)
    else:
        put(text)


def _hint(error: OpCountError) -> str:
    """What to do about an error of the model's own forward that an option of the command helps with."""
    text = str(error)
    if isinstance(error, ForwardError) and "scalar types: Long" in text:
        return "; whole numbers are given as in --input 1,128:int64"
    if isinstance(error, ForwardError) and "required positional argument" in text:
        return "; give one --input for each"
    return ""


def _trace(wanted: bool) -> None:
    if wanted:
        import traceback

        traceback.print_exc()
