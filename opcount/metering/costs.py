"""What calls cost: counted once for each signature, or by a closed form in sizes that change all the time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import nn

from opcount.errors import OpCountError
from opcount.metering.signatures import Family, Signature, blank, rebuilt, resized
from opcount.ops import FIGURES, Convention, OpCount, Phase
from opcount.profiler import profile
from opcount.result import Profile
from opcount.scaling_laws.finding import law_of_all_sizes
from opcount.scaling_laws.fitting import Fit
from opcount.scaling_laws.law import Domain
from opcount.scaling_laws.polynomial import Law, total
from opcount.scaling_laws.sampling import Sampler
from opcount.trace.propagating import leaves

PATIENCE = 8
"""How many sizes of a family are counted one by one before a closed form is looked for."""

Found = TypeVar("Found")

PHASES: tuple[Phase, ...] = ("forward", "backward", "optimizer")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one call costs, with its backward pass if it has one, and a step of the optimizer after it."""

    forward: OpCount = OpCount()
    backward: OpCount = OpCount()
    optimizer: OpCount = OpCount()

    def of_training(self, calls: int, again: int) -> OpCount:
        """So many calls with their backward passes, and forward passes run again for these."""
        return (self.forward + self.backward) * calls + self.forward * again

    @staticmethod
    def of(found: Profile) -> Cost:
        """The phases of a profile."""
        return Cost(found.forward, found.backward, found.optimizer)


class Costs:
    """The costs of a model's calls by their signatures.

    Args:
        model: is not touched; its stand-in is made anew for each count, as the model then is.
        step: what :func:`opcount.profile` is told of a training step.

    Attributes:
        counted: how often something was counted.
        uncounted: what ran and has no rule, by name.
        profile: what was counted last.
    """

    def __init__(self, model: nn.Module, convention: Convention, step: Mapping[str, Any]) -> None:
        self.model, self.convention, self.step = model, convention, dict(step)
        self.counted = 0
        self.uncounted: dict[str, None] = {}
        self.profile: Profile | None = None
        self._families: dict[Signature, _Sizes] = {}

    def of(self, key: Signature, arguments: tuple[Any, dict[str, Any]], training: bool) -> Cost:
        """The cost of a call of a signature that is new.

        Raises:
            OpCountError: it cannot be counted by shapes.
        """
        family = Family.of(key)
        known = self._families.setdefault(family.structure, _Sizes())
        cost = known.by_law(family.sizes)
        if cost is not None:
            return cost
        found = apart(lambda: self._found(known, family.sizes, rebuilt(arguments, blank), training))
        self.profile = found
        self.uncounted.update(dict.fromkeys(item.name for item in found.uncounted))
        return Cost.of(found)

    def _found(self, known: _Sizes, sizes: tuple[int, ...], arguments: Any, training: bool) -> Profile:
        """The profile at some sizes, which a law may follow from."""
        training = training and self._learns(arguments)
        inputs, kwargs = arguments
        found = self._count(inputs, kwargs, training)
        if known.add(sizes, found):
            with suppress(OpCountError):  # without sympy, say: then every signature is counted
                known.find_law(arguments, self._sampler(training))
        return found

    def _learns(self, arguments: Any) -> bool:
        """Whether anything needs a gradient."""
        return any(tensor.requires_grad for tensor in (*self.model.parameters(), *leaves(arguments)))

    def _count(self, inputs: Any, kwargs: dict[str, Any], training: bool) -> Profile:
        self.counted += 1
        inputs = {} if inputs == () else inputs
        given: dict[str, Any] = {"kwargs": kwargs or None, "convention": self.convention, "execution": "shapes"}
        return profile(self.model, inputs, **given, **(self.step if training else {}))

    def _sampler(self, training: bool) -> Callable[[Any], Sampler]:
        step = self.step if training else {}
        return lambda inputs: Sampler(self.model, inputs, self.convention, "shapes", step)


@dataclass
class _Sizes:
    """What is known of one family.

    Attributes:
        seen: all sizes that were met, in order.
        profiles: those that were counted, and are not what the law is about.
        law: the closed form, once there is one.
        hopeless: whether there is none.
    """

    seen: dict[tuple[int, ...], None] = field(default_factory=dict)
    profiles: dict[tuple[int, ...], Profile] = field(default_factory=dict)
    law: _PhaseLaw | None = None
    hopeless: bool = False

    def by_law(self, sizes: tuple[int, ...]) -> Cost | None:
        """The cost at some sizes, where a law was verified both below and above them."""
        return None if self.law is None else self.law.at(sizes)

    def add(self, sizes: tuple[int, ...], found: Profile) -> bool:
        """Remember what was counted, and hold the law against it. Returns whether it is time to look for one."""
        if self.hopeless:
            return False
        self.seen[sizes] = None
        if self.law is not None and self.law.is_about(sizes):
            self.hopeless = not self.law.extended(sizes, found)
            if self.hopeless:
                self.law = None
            return False
        self.profiles[sizes] = found
        return len(self.profiles) >= PATIENCE

    def find_law(self, arguments: Any, make: Callable[[Any], Sampler]) -> None:
        """Look for a law in the sizes that were seen to vary."""
        profiles, self.profiles, self.law, self.hopeless = self.profiles, {}, None, True
        columns = list(zip(*self.seen))
        varying = list(dict.fromkeys(column for column in columns if len(set(column)) > 1))
        names = {f"s{number}": column for number, column in enumerate(varying)}
        places = {name: [at for at, each in enumerate(columns) if each == column] for name, column in names.items()}
        varied = _Varied(arguments, next(reversed(profiles)), places)
        sampler = make(varied)
        for sizes, counted in profiles.items():
            sampler.profiles[tuple(sizes[where[0]] for where in places.values())] = counted
        anchor = {name: max(2, min(column)) for name, column in names.items()}
        found = law_of_all_sizes(sampler, anchor)
        if found is not None and found[0].terms:
            self.law, self.hopeless = _PhaseLaw(*found, varied), False


class _Varied:
    """Arguments of a call at other sizes; what a sampler takes.

    Attributes:
        axes: for each name of a size, its places among all sizes of all tensors.
        base: all these sizes, of the arguments as they are.
    """

    def __init__(self, arguments: Any, base: tuple[int, ...], axes: Mapping[str, list[int]]) -> None:
        self.arguments, self.base, self.axes = arguments, base, axes

    def at(self, sizes: Mapping[str, int]) -> tuple[Any, dict[str, Any]]:
        """Positional and keyword arguments."""
        flat = list(self.base)
        for name, size in sizes.items():
            for place in self.axes[name]:
                flat[place] = size
        left = iter(flat)

        def make(tensor: torch.Tensor) -> torch.Tensor:
            return resized(tensor, tuple(next(left) for _ in tensor.shape))

        inputs, kwargs = rebuilt(self.arguments, make)
        return inputs, kwargs

    def read(self, sizes: tuple[int, ...]) -> dict[str, int] | None:
        """The size that each name has; None if other sizes differ as well, or places that were equal do."""
        found = {name: sizes[places[0]] for name, places in self.axes.items()}
        flat = list(self.base)
        for name, places in self.axes.items():
            for place in places:
                flat[place] = found[name]
        return found if tuple(flat) == sizes else None


class _PhaseLaw:
    """The laws of a family's phases, and between which sizes they were verified."""

    def __init__(self, fit: Fit, domain: Domain, varied: _Varied) -> None:
        self.fit, self.varied = fit, varied
        self.verified = dict(domain.verified)
        self.exceptions = [dict(sizes) for sizes in domain.exceptions]
        self.laws = {phase: _of_phase(fit, phase) for phase in PHASES}

    def is_about(self, sizes: tuple[int, ...]) -> bool:
        """Whether nothing but what the law is about differs."""
        return self.varied.read(sizes) is not None

    def at(self, sizes: tuple[int, ...]) -> Cost | None:
        """The cost at some sizes; None outside of what was verified."""
        named = self.varied.read(sizes)
        if named is None or named in self.exceptions:
            return None
        if not all(low <= named[name] <= high for name, (low, high) in self.verified.items()):
            return None
        value = self.fit.evaluator(named)
        costs = {
            phase: OpCount(**{figure: int(value(law)) for figure, law in laws.items()})
            for phase, laws in self.laws.items()
        }
        return Cost(**costs)

    def extended(self, sizes: tuple[int, ...], found: Profile) -> bool:
        """Whether the law holds for what was counted outside of what was verified, which then reaches further."""
        named = self.varied.read(sizes)
        if named is None or self.fit.misses(found, named):
            return False
        for name, size in named.items():
            low, high = self.verified[name]
            self.verified[name] = min(low, size), max(high, size)
        return True


def _of_phase(fit: Fit, phase: Phase) -> dict[str, Law]:
    rows = [
        laws for (row, place), laws in fit.terms.items() if fit.sample.layers[row].entries[place].term.phase == phase
    ]
    return {figure: total([laws[figure] for laws in rows]) for figure in FIGURES}


_STACK = 2**26


def apart(work: Callable[[], Found]) -> Found:
    """What some work returns, done as nobody's call.

    The modes, the autocast and the hooks on saved tensors that a training has set belong to its thread, so another one
    does the work.

    Raises:
        Exception: what the work raised.
    """
    results: list[Found] = []
    errors: list[BaseException] = []
    context = copy_context()

    def run() -> None:
        try:
            results.append(context.run(work))
        except BaseException as error:
            errors.append(error)

    before = threading.stack_size(_STACK)  # as deep as in the main thread, where threads have less
    try:
        thread = threading.Thread(target=run, name="opcount.meter")
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
