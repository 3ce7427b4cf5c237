"""Finding the laws: which residue classes, from how many sizes, and at which they were verified."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from torch import nn
from torch.optim import Optimizer

from opcount.algebra.library import sympy
from opcount.errors import InputError, OpCountError, ScalingError
from opcount.ops import Convention
from opcount.scaling_laws.fitting import Fit, Fitter, NoLaw, Step
from opcount.scaling_laws.law import Domain, Scaling
from opcount.scaling_laws.sampling import Sampler
from opcount.scaling_laws.sizes import read_inputs

_HALVED = (32, 16, 8, 4, 2)
_FURTHER = (64, 3, 5, 6, 7, 9, 10, 12, 14, 28, 48, 56, 96, 112, 192, 224, 448)
"""The steps that are tried where single steps follow no polynomial: strides of 2, then patches and windows."""


def scaling(
    model: nn.Module,
    inputs: Any = None,
    *,
    vary: Mapping[str, Any],
    kwargs: Mapping[str, Any] | None = None,
    convention: Convention = Convention(),
    name: str | None = None,
    backward: bool = False,
    loss: Callable[[Any], Any] | None = None,
    optimizer: str | Optimizer | None = None,
) -> Scaling:
    """How every figure of a model scales with sizes of its inputs, exactly.

    The model is profiled at a few sizes. The numbers inside each formula, which mostly grow in proportion, are
    interpolated in exact fractions, and the formulas are run on the resulting symbols; then the laws are held against
    further profiles. Where strides or windows make a law depend on a remainder, it is that of the residue class of the
    size given, and says so.

    Args:
        model: any module.
        inputs: as of :func:`opcount.profile`; their sizes say near which the laws are looked for.
        vary: for each name an axis of the first input, an (input, axis) pair, or a list of these where several axes
            have the same size; an input is named by its position or keyword.
        kwargs: keyword arguments beside ``inputs``.
        convention: what is counted.
        name: what to call the model; its class if nothing is given.
        backward, loss, optimizer: the laws of a training step, as for :func:`opcount.profile`.

    Returns:
        The laws of the whole, of every module and of every type; ``domain`` says for which sizes.

    Raises:
        InputError: a name, an input or an axis is not there, or its axes have different sizes.
        ScalingError: the figures follow no law that could be verified, or the model takes no other sizes.
        MissingExtraError: sympy is not installed.

    >>> law = scaling(nn.Linear(10, 5), (2, 10), vary={"N": 0})
    >>> law.macs, law.at(N=1_000).additions
    (50*N, 50000)
    >>> scaling(nn.Linear(10, 5), (2, 10), vary={"N": 0}, backward=True).macs  # the gradient of the weight as well
    100*N
    """
    sympy()
    given = read_inputs(model, inputs, kwargs, vary)
    step = {"backward": backward, "loss": loss, "optimizer": optimizer}
    sampler = Sampler(model, given, convention, step=step)
    small = [f"{each}={size}" for each, size in given.base.items() if size < 1]
    if small:
        raise InputError(f"{', '.join(small)}: a size that varies starts from 1 or more")
    base = sampler.profile(given.base)
    anchor = {each: _anchor(sampler, given.base, each) for each in given.base}
    steps = {each: _step(sampler, anchor, each) for each in given.base}
    try:
        fit = Fitter(sampler, anchor, steps).fit()
        domain = _verified(sampler, fit)
    except NoLaw as error:
        raise ScalingError(
            f"no exact law in {', '.join(steps)} together: {error}; vary one of them at a time"
        ) from None
    return Scaling(
        name or base.model, fit, domain, {each: _told(axes) for each, axes in given.axes.items()}, convention
    )


def law_of_all_sizes(sampler: Sampler, anchor: Mapping[str, int]) -> tuple[Fit, Domain] | None:
    """The laws from an anchor on, if every size follows them; no residue classes are looked for.

    They are held against every profile that the sampler has, and against further ones made for that.
    """
    steps = {name: Step(1, 0) for name in anchor}
    try:
        fit = Fitter(sampler, dict(anchor), steps).fit()
        return fit, _verified(sampler, fit)
    except NoLaw:
        return None


def _anchor(sampler: Sampler, base: Mapping[str, int], name: str) -> int:
    """A size of 2 or more: at 1 broadcasting makes terms alike that are not."""
    if base[name] >= 2:
        return base[name]
    try:
        sampler.profile({**base, name: 2})
    except OpCountError:
        return base[name]
    return 2


def _step(sampler: Sampler, anchor: dict[str, int], name: str) -> Step:
    """The steps in which the figures follow a law along one axis; the anchor moves up if they only do so from there on.

    Raises:
        ScalingError: none of those tried will do.
    """
    starts = anchor[name], 2 * anchor[name]
    for search in (_single, _modulus):
        for start in starts:
            found = search(sampler, {**anchor, name: start}, name)
            if found is not None:
                anchor[name] = start
                return Step(found, start % found)
    raise ScalingError(_no_law(sampler, anchor, name))


def _single(sampler: Sampler, anchor: dict[str, int], name: str) -> int | None:
    """1 if the figures follow a law for every size."""
    return 1 if _follow(sampler, anchor, name, 1) else None


def _modulus(sampler: Sampler, anchor: dict[str, int], name: str) -> int | None:
    """The smallest modulus, of those tried, in whose residue class of the anchor the figures follow a law."""
    found = None
    for modulus in _HALVED:
        if not _follow(sampler, anchor, name, modulus):
            break
        found = modulus
    return found or next((each for each in _FURTHER if _follow(sampler, anchor, name, each)), None)


def _follow(sampler: Sampler, anchor: dict[str, int], name: str, modulus: int) -> bool:
    """Whether the figures follow a law along one axis in these steps, as far as that is checked."""
    try:
        fit = Fitter(sampler, anchor, {name: Step(modulus, anchor[name] % modulus)}).fit()
    except NoLaw:
        return False
    others = {each: size for each, size in anchor.items() if each != name}
    _take(sampler, ({**anchor, name: size} for size in _checks(sampler, fit, name)))
    return not _missed_inside(*_held(sampler, fit, others))


def _no_law(sampler: Sampler, anchor: Mapping[str, int], name: str) -> str:
    place = list(sampler.inputs.axes).index(name)
    others = [key for key in sampler.profiles if key[place] != anchor[name]]
    if not others and sampler.failures:
        error = next(iter(sampler.failures.values()))
        told = str(error).removeprefix("shapes alone are not enough: ").partition("; execution=")[0]
        return f"the model takes no other {name} than {anchor[name]}: {told}"
    return (
        f"no exact law in {name} was found near {anchor[name]}, in steps of 1 to {_FURTHER[-1]}: "
        "give another size to start from"
    )


def _verified(sampler: Sampler, fit: Fit) -> Domain:
    """Hold the laws against every profile of their classes, and against further ones made for that.

    Raises:
        NoLaw: one made for it, within the sizes that were sampled, is missed.
    """
    names = list(sampler.inputs.axes)
    _take(sampler, _further(sampler, fit))
    held, missed = _held(sampler, fit, {})
    inside = _missed_inside(held, missed)
    if inside:
        raise NoLaw(f"the figures at {_sizes(inside[0])} are others")
    return Domain(dict(fit.steps), {name: _range(held, name) for name in names}, len(held), tuple(missed))


def _held(sampler: Sampler, fit: Fit, others: Mapping[str, int]) -> tuple[list[dict[str, int]], list[dict[str, int]]]:
    """The sizes of the laws' classes that were profiled: where the laws hold, and where they do not.

    Args:
        others: sizes of names that the laws do not vary in.
    """
    held: list[dict[str, int]] = []
    missed: list[dict[str, int]] = []
    for key, profile in sampler.profiles.items():
        sizes = dict(zip(sampler.inputs.axes, key))
        of_class = all(sizes[name] in step for name, step in fit.steps.items())
        if of_class and all(sizes[name] == size for name, size in others.items()):
            (missed if fit.misses(profile, sizes) else held).append(sizes)
    return held, missed


def _missed_inside(held: list[dict[str, int]], missed: list[dict[str, int]]) -> list[dict[str, int]]:
    """The misses that are not below all sizes at which the laws hold: for small sizes a model may do something else."""
    if not held:
        return missed
    least = {name: _range(held, name)[0] for name in held[0]}
    return [each for each in missed if all(size >= least[name] for name, size in each.items())]


def _range(held: list[dict[str, int]], name: str) -> tuple[int, int]:
    sizes = [each[name] for each in held]
    return min(sizes), max(sizes)


def _take(sampler: Sampler, many: Iterable[Mapping[str, int]]) -> None:
    """Profile at all of these, where the model takes them."""
    for sizes in many:
        with suppress(OpCountError):
            sampler.profile(sizes)


def _further(sampler: Sampler, fit: Fit) -> Iterator[dict[str, int]]:
    """Sizes to hold laws against: each alone, and all of them changed at once."""
    checks = {name: _checks(sampler, fit, name) for name in fit.steps}
    for name, sizes in checks.items():
        for size in sizes:
            yield {**fit.anchor, name: size}
    for at in range(2):
        yield {name: sizes[at] for name, sizes in checks.items()}


def _checks(sampler: Sampler, fit: Fit, name: str) -> list[int]:
    """Sizes of a class above those a law was made from.

    What is rounded down may look straight for many steps before it leaves the line; where nothing has to be computed,
    that far is looked.
    """
    top, step = max(fit.used[name]), fit.steps[name]
    offsets = (1, 2, 3, 5, 8, 13, 21, 34, 55) if sampler.execution == "shapes" else (1, 2, 3, 5)
    return [top + offset * step.modulus for offset in offsets]


def _told(axes: Any) -> str:
    return ", ".join(f"axis {axis} of input {key}" for key, axis in axes)


def _sizes(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{name} = {size:,}" for name, size in sizes.items())
