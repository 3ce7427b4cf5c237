"""What a model would cost with its convolutions made separable, from its profile alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Any

from opcount.errors import InputError
from opcount.formulas import evaluate
from opcount.formulas.registry import complex_arithmetic
from opcount.ops import Convention, OpCount, Term
from opcount.result import LayerRecord, Profile
from opcount.separable.derivation import Derivation, derive, fraction, symbols
from opcount.separable.eligible import why_kept

_CONV2D = "torch.nn.modules.conv.Conv2d"


@dataclass(frozen=True, slots=True)
class PredictedLayer:
    """A convolution that can be made separable.

    Attributes:
        path: where it is.
        before: what it costs.
        after: what it would cost.
        parts: the two parts of the ratio of multiplications, exactly: the depthwise step's and the pointwise step's;
            1/C_out and 1/K² in the plain case.
    """

    path: str
    before: OpCount
    after: OpCount
    parts: tuple[Fraction, Fraction]

    @property
    def ratio(self) -> Fraction:
        """What the multiplications are multiplied by."""
        return sum(self.parts, Fraction(0))


@dataclass(frozen=True)
class Prediction:
    """What a model would cost if its convolutions were separable.

    Attributes:
        layers: the convolutions that can be made separable.
        kept: those that stay as they are, each with the reason.
        before: the whole model's figures.
        after: the whole model's figures as predicted.
    """

    layers: tuple[PredictedLayer, ...]
    kept: Mapping[str, str]
    before: OpCount

    @property
    def after(self) -> OpCount:
        """The whole model's figures as predicted: what is not replaced costs what it did."""
        pairs = [(getattr(self.before, name), name) for name in self.before.to_dict()]
        return OpCount(
            **{
                name: value + sum(getattr(each.after, name) - getattr(each.before, name) for each in self.layers)
                for value, name in pairs
            }
        )

    def __getitem__(self, path: str) -> PredictedLayer:
        return next(layer for layer in self.layers if layer.path == path)


def predict(profile: Profile, multiplier: int = 1) -> Prediction:
    """What a model would cost with every eligible convolution separable, by the function that :func:`derive` obtains.

    Args:
        profile: of the model as it is; its convention holds for the prediction.
        multiplier: filters for each input channel in the depthwise step.

    Returns:
        Exactly what ``profile(separate(model).model)`` counts.

    Raises:
        MissingExtraError: sympy is not installed.

    >>> from torch import nn
    >>> from opcount import Convention, profile
    >>> layer = profile(nn.Conv2d(1, 6, 5, padding=2), (1, 1, 28, 28), convention=Convention(bias=False))
    >>> predict(layer).after
    OpCount(multiplications=24_304, additions=18_816, macs=24_304)
    """
    if not isinstance(multiplier, int) or multiplier < 1:
        raise InputError(f"a channel multiplier is a whole number of 1 or more, not {multiplier!r}")
    derivation, layers, kept = derive(), [], {}
    for record in profile.layers:
        convolutions = _convolutions(record)
        if not convolutions:
            continue
        numbers = convolutions[0][0].numbers
        reason = why_kept(numbers["in_channels"], numbers["out_channels"], numbers["groups"], numbers["kernel"])
        if reason is not None:
            kept[record.path] = reason
            continue
        biased = any(entry.term.role == "bias" for entry in record.entries)
        predicted = [
            (_predicted(derivation, term, profile.convention, multiplier, biased), times)
            for term, times in convolutions
        ]
        after = sum((cost * times for cost, times in predicted), OpCount())
        layers.append(PredictedLayer(record.path, record.ops, after, _parts(numbers, multiplier)))
    return Prediction(tuple(layers), kept, profile.ops)


def _convolutions(record: LayerRecord) -> list[tuple[Term, int]]:
    """The terms of a record that is a Conv2d running PyTorch's own forward, each with how often it came."""
    if _CONV2D not in record.bases or record.bases[0].startswith("torch.nn.utils.parametrize."):
        return []
    return [(e.term, e.times) for e in record.entries if e.source == "layer" and e.term.formula == "convolution"]


def _predicted(derivation: Derivation, term: Term, convention: Convention, multiplier: int, biased: bool) -> OpCount:
    """One call, separable: the derived functions of what the regular one costs."""
    numbers, s = term.numbers, symbols()
    regular = evaluate(Term(term.formula, **numbers), convention)  # in real numbers, whatever the element type
    inputs, outputs, groups = numbers["in_channels"], numbers["out_channels"], numbers["groups"]
    positions = numbers["batch"] * prod(numbers["output"])
    skipped = "" if convention.zero_padding else " without padding"
    values = dict(zip((s["K_h"], s["K_w"]), numbers["kernel"]))
    values |= {s["m"]: multiplier, s["N"]: positions, s["C_in"]: inputs, s["C_out"]: outputs, s["g"]: groups}
    values |= {s["x"]: regular.multiplications}
    bias = positions * (multiplier * inputs + outputs) if biased and convention.bias else 0
    if (
        regular.multiplications == 0
    ):  # no output position, or none that a tap reaches: the pointwise step is all there is
        alone = {**numbers, "in_channels": multiplier * inputs, "input": numbers["output"]}
        ones = {name: (1,) * len(numbers["kernel"]) for name in ("kernel", "stride", "dilation")}
        alone |= {**ones, "padding": (0,) * len(numbers["kernel"])}
        return _in_dtype(evaluate(Term("convolution", **alone), convention) + OpCount(additions=bias), term)
    depth = inputs // groups
    values |= {
        s["T"]: regular.multiplications // (outputs * depth),
        s["Q"]: (regular.multiplications - regular.additions) // outputs,
    }
    products = int(regular.multiplications * fraction(derivation["ratio" + skipped], values))
    sums = int(fraction(derivation["additions" + skipped], values))
    return _in_dtype(OpCount(multiplications=products, additions=sums + bias, macs=products), term)


def _in_dtype(cost: OpCount, term: Term) -> OpCount:
    return complex_arithmetic(cost) if term.dtype.startswith("complex") else cost


def _parts(numbers: dict[str, Any], multiplier: int) -> tuple[Fraction, Fraction]:
    """The two fractions of the ratio, padding counted."""
    depthwise = Fraction(multiplier * numbers["groups"], numbers["out_channels"])
    return depthwise, Fraction(multiplier, prod(numbers["kernel"]))
