"""The errors opcount raises on purpose: one tree, so that one ``except`` catches them all."""

from __future__ import annotations


class OpCountError(Exception):
    """Base of every error opcount raises on purpose; the message says what to do next."""


class InputError(OpCountError):
    """The inputs given are not something the model can be called with."""


class TargetError(OpCountError):
    """What the user named is not a model: module not found, name not in it, wrong kind of object."""


class ForwardError(OpCountError):
    """The model's own forward raised; the message names the layer and the sizes it had in hand."""


class BackwardError(OpCountError):
    """The backward pass of the model raised; the message names the layer whose gradient it was working out."""


class RuleError(OpCountError):
    """A rule or a formula is registered twice, is unknown, or was given numbers it cannot use."""


class UnknownLayerError(OpCountError, KeyError):
    """No layer of a profile goes by that path or matches that filter."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class SchemaError(OpCountError):
    """A file is not an opcount profile, or is one of a version this release cannot read."""


class MissingExtraError(OpCountError):
    """Something needs an optional dependency; the message says which extra of opcount to install."""


class ScalingError(OpCountError):
    """No exact law can be stated for the sizes asked for; the message says which size, and what to try."""


class StoreError(OpCountError):
    """The store of a sweep is damaged, in use, of another version, or cannot be written."""


class ExecutorError(OpCountError):
    """A sweep's workers cannot be started, or were lost for good; what they had done is kept."""


def described(error: BaseException) -> str:
    """An exception in one line, even one that cannot say what it is about.

    >>> described(ValueError("no\\n  luck"))
    'ValueError: no luck'
    """
    try:
        text = " ".join(str(error).split())
    except Exception:  # whatever a stranger's __str__ may raise
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
