"""What the command answers beside its report: why a figure is what it is, how it scales, what separating would save."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from opcount.errors import InputError
from opcount.parsing import parse_positive, parse_vary
from opcount.result import Profile

if TYPE_CHECKING:
    from opcount.ops import Convention
    from opcount.targets import Target

QUESTIONS = ("why", "separate", "vary", "audit", "versus", "generate", "sparsity")
_OF_TABLES = ("tree", "depth", "fold", "sort", "top", "html", "strict", "energy", "memory", "roofline",
              "epochs", "samples", "tokens")  # fmt: skip
_FORWARD = {
    "audit": ", where two counts agree module by module (of gradients they agree in sum, and owe them to other modules)"
}
_OF_COUNTS = ("max_macs", "max_total", "max_params", "max_layer_macs")


def add_options(add: Callable[..., Any]) -> None:
    """Tell a parser of the options."""
    add("--why", metavar="PATH", help="the formulas of one layer, in symbols and in numbers; '' is the model")
    add("--separate", action="store_true",
        help="make the convolutions depthwise separable: before, predicted, counted")  # fmt: skip
    add("--vary", type=parse_vary, metavar="NAME=AXIS,...",
        help="how the figures scale with sizes: axes of the first input, as in N=0,S=1 or H=2+3")  # fmt: skip
    add("--sparsity", action="store_true", help="what the zeros in the weights would save")
    add("--audit", action="store_true",
        help="count twice, by layers and by what they call, and list where the two differ")  # fmt: skip
    add("--versus", metavar="TOOL",
        help="what another counter reports, and why: fvcore, thop, ptflops, torchinfo, flopcounter, ...")  # fmt: skip
    add("--generate", type=parse_positive, metavar="N",
        help="what generating N tokens costs: a prompt of --seq tokens, then token by token with a cache")  # fmt: skip


def asked(options: argparse.Namespace) -> str | None:
    """The question among the options, if there is one.

    Raises:
        InputError: there are several, or several models.
    """
    found = [name for name in QUESTIONS if getattr(options, name) not in (None, False)]
    if len(found) > 1:
        raise InputError(f"--{found[0]} and --{found[1]} are two questions: ask one at a time")
    if found and len(options.targets) > 1:
        raise InputError(f"--{found[0]} is about one model; {len(options.targets)} are named")
    if found and options.only is not None and found[0] != "vary":
        raise InputError(f"--only does not go with --{found[0]}")
    if found and options.backward and found[0] not in ("why", "vary"):
        raise InputError(f"--{found[0]} is about a forward alone{_FORWARD.get(found[0], '')}: leave --backward out")
    beside = next((name for name in _OF_TABLES if getattr(options, name) not in (None, False)), None)
    if found and beside is not None:
        raise InputError(f"--{beside} is about the table of layers, which --{found[0]} does not write: leave one out")
    budget = next((name for name in _OF_COUNTS if getattr(options, name) is not None), None)
    if found and budget is not None:
        name = budget.replace("_", "-")
        raise InputError(f"--{name} is a budget for a count, and --{found[0]} is a question: ask one at a time")
    return found[0] if found else None


def training_step(options: argparse.Namespace, model: Any) -> dict[str, Any]:
    """What ``profile`` is told of ``--backward`` and ``--optimizer``; the model is put in training mode for them.

    Raises:
        InputError: there is an optimizer and no backward pass, or nothing to train.
    """
    if not options.backward:
        if options.optimizer is not None:
            raise InputError("--optimizer is a step after a backward pass: give --backward too")
        return {}
    if isinstance(model, Profile) or not hasattr(model, "train"):
        raise InputError(f"--backward is about a model, and {options.targets[0]} is none that could be trained")
    model.train()
    return {"backward": True, "optimizer": options.optimizer}


def answer(question: str, options: argparse.Namespace) -> str:
    """The answer as text in the form asked for."""
    form = options.format or "rich"
    on_terminal = sys.stdout is not None and sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if on_terminal and form == "rich" else None
    answers = {
        "why": _why,
        "separate": _separate,
        "vary": _vary,
        "audit": _audit,
        "versus": _versus,
        "generate": _generate,
        "sparsity": _sparsity,
    }
    return answers[question](options, form, width)


def _check_form(question: str, form: str, *others: str) -> None:
    if form not in ("rich", "plain", *others):
        raise InputError(f"--{question} is written as {' or as '.join(('text', *others))}, not as {form}")


def _why(options: argparse.Namespace, form: str, width: int | None) -> str:
    _check_form("why", form, "latex")
    counted = _Subject(options).profile()
    explanation = counted.explain(options.why)
    return str(explanation.latex() if form == "latex" else explanation.text(width))


def _separate(options: argparse.Namespace, form: str, width: int | None) -> str:
    from opcount.separable import predict, separate
    from opcount.separable.table import Comparison

    subject = _Subject(options)
    before = subject.profile()
    separated = separate(subject.model)
    if not separated.replaced:
        kept = (
            f": {len(separated.kept):,} are {', '.join(dict.fromkeys(separated.kept.values()))}"
            if separated.kept
            else ""
        )
        raise InputError(f"{before.model} has no convolution to make separable{kept}")
    after = subject.profile(separated.model)
    heading = (before.model, f"{len(separated.replaced):,} of its convolutions made separable")
    return Comparison(before, predict(before), after).render(form, width, heading)


def _vary(options: argparse.Namespace, form: str, width: int | None) -> str:
    from opcount.scaling_laws import scaling

    _check_form("vary", form, "latex")
    subject = _Subject(options)
    law = scaling(
        subject.model,
        subject.inputs,
        vary=options.vary,
        convention=subject.convention,
        name=subject.name,
        **subject.step,
    )
    return str(law.latex(options.only) if form == "latex" else law.text(width, options.only))


def _audit(options: argparse.Namespace, form: str, width: int | None) -> str:
    from opcount.auditing import audit

    _check_form("audit", form)
    subject = _Subject(options)
    found = audit(subject.model, subject.inputs, convention=subject.convention)
    return str(replace(found, by_layers=replace(found.by_layers, model=subject.name)))


def _versus(options: argparse.Namespace, form: str, width: int | None) -> str:
    from opcount.reconciling.showing import FORMS, render
    from opcount.reconciling.tools import find

    tool = find(options.versus)
    if options.no_bias or options.no_padding:
        raise InputError("--versus is about the default convention: leave --no-bias and --no-padding out")
    if options.format is None and options.output is not None:
        from opcount.report.files import form_of

        form = form_of(options.output)
    if form not in FORMS:
        raise InputError(f"--versus is not written as {form}: it has {', '.join(FORMS)}")
    from opcount.reconciling import reconcile

    subject = _Subject(options)
    return render(replace(reconcile(subject.model, subject.inputs, tool.name), model=subject.name), form, width)


def _sparsity(options: argparse.Namespace, form: str, width: int | None) -> str:
    from opcount.zeros import sparsity

    _check_form("sparsity", form)
    subject = _Subject(options)
    found = sparsity(subject.model, subject.inputs, convention=subject.convention)
    return str(replace(found, dense=replace(found.dense, model=subject.name)))


def named(word: str, options: argparse.Namespace) -> tuple[Target, Any, Convention]:
    """A target, the input and the convention that the options name; no input is the target's own.

    Raises:
        TargetError: it cannot be had.
    """
    from opcount import Convention, Input
    from opcount.targets import Knobs, load

    sizes = tuple(size if dtype is None else Input(size, dtype) for size, dtype in options.input)
    knobs = Knobs(options.batch, options.seq, options.resolution)
    target = load(word, dict(options.arg), knobs=knobs, own_input=not sizes, trust=options.trust)
    return target, sizes or None, Convention(bias=not options.no_bias, zero_padding=not options.no_padding)


def mixture(model: Any, found: Profile) -> list[str]:
    """What there is to say of a mixture of experts."""
    if not any(record.type.endswith("Experts") for record in found.layers):
        return []
    from opcount.experts import experts

    said = experts(model, found)
    return [] if said is None else [str(said)]


def listing(options: argparse.Namespace) -> str:
    """The names of a source.

    Raises:
        InputError: a target is named beside.
    """
    from opcount.targets import listing

    if options.targets:
        raise InputError(f"--list shows names and counts nothing: leave {options.targets[0]} out")
    return listing(options.list)


def _generate(options: argparse.Namespace, form: str, width: int | None) -> str:
    from opcount.generation import generate

    subject = _Subject(options)
    if not isinstance(subject.inputs, Mapping):
        raise InputError(f"--generate is for a model of transformers with its natural input, not for {subject.name}")
    found = generate(subject.model, subject.inputs, options.generate, convention=subject.convention, name=subject.name)
    return found.render(form, width)


class _Subject:
    """The model that a question is about, with its inputs."""

    def __init__(self, options: argparse.Namespace) -> None:
        from opcount.targets import known_input

        self.target, inputs, self.convention = named(options.targets[0], options)
        self.name = self.target.name
        self.inputs: Any = known_input(self.target) if inputs is None and not self.saved else inputs
        self.step = training_step(options, self.target.model)

    @property
    def saved(self) -> bool:
        """Whether it is a profile, of which there is no model."""
        return isinstance(self.target.model, Profile)

    @property
    def model(self) -> Any:
        """The model.

        Raises:
            InputError: there is only a profile.
        """
        if self.saved:
            raise InputError(f"{self.name} is a saved profile, which holds no model: name the model itself")
        return self.target.model

    def profile(self, model: Any = None) -> Profile:
        """The profile of the model, or of another one on the same inputs."""
        from opcount.targets import counted

        inputs = self.inputs
        if model is None:
            return counted(self.target, inputs, self.convention, **self.step)
        if inputs is None:  # a copy may have lost what the model says of itself
            inputs = getattr(self.model, "example_input_size", None)
        return counted(replace(self.target, model=model, real=None), inputs, self.convention, **self.step)
