"""The meter of a model in training: a pre-hook that looks shapes up, or none at all."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from opcount.errors import InputError, OpCountError
from opcount.figures import Figures
from opcount.inputs import is_size
from opcount.metering.costs import Cost, Costs
from opcount.metering.signatures import Signature, signature
from opcount.ops import Convention, OpCount
from opcount.result import Profile
from opcount.stepping import checked_step
from opcount.trace.sight import Observing
from opcount.trace.wrapping import unwrapped


class _Known:
    """A signature that was met, and how often."""

    __slots__ = ("again", "cost", "evaluated", "steps", "trained")

    def __init__(self, cost: Cost) -> None:
        self.cost = cost
        self.trained = self.evaluated = self.again = self.steps = 0


class Meter(Figures):
    """What a model's training has cost so far. Use :func:`meter`.

    All figures are of this process: of the batches that its own model was given, in operations of the whole model.

    Attributes:
        steps: how many steps have ended.
        calls: how many calls were seen.
        last: what the last step that has ended cost.
    """

    def __init__(self, model: nn.Module, fresh: Callable[[], Costs], hook: bool) -> None:
        self._fresh = fresh
        self._costs = fresh()
        self._model = unwrapped(model)
        self._known: dict[Signature, _Known] = {}
        self._forgotten: list[_Known] = []
        self._open: dict[_Known, tuple[int, int]] = {}
        self._made_of: tuple[Any, ...] = ()
        self._missed: dict[str, None] = {}
        self.steps = self.calls = self._counted = 0
        self.last = OpCount()
        self._handle: Any = None
        if hook:
            self._handle = model.register_forward_pre_hook(_Hook(self, model), prepend=True, with_kwargs=True)

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *raised: Any) -> None:
        self.close()

    def close(self) -> None:
        """Take the hook off the model. The figures stay."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def observe(self, inputs: Any = None, *, training: bool | None = None, **kwargs: Any) -> None:
        """Say what the model is called with, where no hook sees it.

        Args:
            inputs: a tensor; a tuple of positional arguments; a mapping of keyword arguments; as for
                :func:`opcount.profile`.
            training: whether a backward pass follows; if not given, whether the model is in training mode and
                gradients are enabled.
            kwargs: keyword arguments beside.

        Raises:
            InputError: the meter has a hook, which sees the calls already; or nothing is given.

        >>> m = meter(nn.Linear(4, 3), hook=False)
        >>> m.observe(torch.ones(5, 4))
        >>> m.observe(torch.ones(5, 4), training=False)
        >>> m.forward.macs, m.backward.macs, m.evaluation.macs
        (60, 60, 60)
        """
        if self._handle is not None:
            raise InputError("this meter sees the model's calls itself; to tell it of them make it with hook=False")
        if inputs is None and not kwargs:
            raise InputError("observe() takes what the model is called with, as in observe(batch)")
        self._see(inputs, kwargs, self._is_training() if training is None else training)

    def step(self) -> OpCount:
        """A step has ended: the optimizer has worked on the gradients of the training calls since the last one.

        Returns:
            What it cost: these calls with their backward passes, and the optimizer's step; evaluation is no part of it.
        """
        made_of = tuple(self._open.items())
        if made_of != self._made_of:  # most steps are like the one before
            self._made_of = made_of
            self.last = sum((known.cost.of_training(*often) for known, often in made_of), OpCount())
            if made_of:
                self.last += made_of[-1][0].cost.optimizer
        if made_of:
            made_of[-1][0].steps += 1
        self._open = {}
        self.steps += 1
        return self.last

    @property
    def ops(self) -> OpCount:
        """All of it."""
        return self.forward + self.backward + self.optimizer + self.evaluation

    @property
    def forward(self) -> OpCount:
        """The forward passes of training calls."""
        return sum((known.cost.forward * known.trained for known in self._all()), OpCount())

    @property
    def backward(self) -> OpCount:
        """The backward passes, with what they ran again of the forward."""
        return sum(
            (known.cost.backward * known.trained + known.cost.forward * known.again for known in self._all()), OpCount()
        )

    @property
    def optimizer(self) -> OpCount:
        """The optimizer's steps."""
        return sum((known.cost.optimizer * known.steps for known in self._all()), OpCount())

    @property
    def evaluation(self) -> OpCount:
        """Calls without a backward pass."""
        return sum((known.cost.forward * known.evaluated for known in self._all()), OpCount())

    @property
    def profile(self) -> Profile | None:
        """Layer by layer, the call that was counted last: a training step, or a forward alone. None before any.

        Calls that were looked up or are by a closed form have none of their own, so this is not a total.

        >>> m = meter(nn.Linear(4, 3), hook=False)
        >>> m.observe(torch.ones(5, 4))
        >>> m.profile.backward.macs, m.profile[""].type
        (60, 'Linear')
        """
        return self._costs.profile

    @property
    def flops(self) -> int:
        """``2 * macs``, as machines and papers have it."""
        return 2 * self.macs

    @property
    def counted(self) -> int:
        """How many signatures were counted themselves; everything else was looked up, or is by a closed form."""
        return self._counted + self._costs.counted

    @property
    def uncounted(self) -> tuple[str, ...]:
        """What has no rule, and why calls could not be counted: nothing of these is in the figures."""
        return (*self._costs.uncounted, *self._missed)

    @property
    def complete(self) -> bool:
        """Whether everything that was seen was counted."""
        return not self.uncounted

    def mfu(self, seconds: float, peak: float) -> float:
        """Model FLOPs utilization of the last step: :func:`opcount.mfu` of it.

        Args:
            seconds: how long it took.
            peak: what the machine can do, in FLOP/s.

        Raises:
            InputError: no step has ended, no time has passed, or there is no peak.
        """
        from opcount.utilization import mfu

        if not self.steps:
            raise InputError("no step has ended: call step() after the optimizer's")
        return mfu(self.last, seconds, peak)

    def all_ranks(self, group: Any = None) -> OpCount:
        """The sum of ``ops`` over the ranks of a process group, which all have to ask for it.

        Args:
            group: that over which batches are shared out; all ranks if it is not given.
        """
        from torch import distributed

        if not distributed.is_available() or not distributed.is_initialized():
            return self.ops
        found: list[Any] = [None] * distributed.get_world_size(group)
        distributed.all_gather_object(found, self.ops, group=group)
        return sum(found, OpCount())

    def forget(self) -> None:
        """Count anew what comes: the model was changed, such as by freezing a part of it. The figures so far stay."""
        self._forgotten += self._known.values()
        self._known = {}
        self._counted += self._costs.counted
        self._missed |= self._costs.uncounted
        self._costs = self._fresh()

    def __repr__(self) -> str:
        name = type(self._model).__name__
        return f"<Meter of {name}: {self.steps:,} steps, {self.calls:,} calls, {self.macs:,} MACs>"

    def _all(self) -> list[_Known]:
        return [*self._forgotten, *self._known.values()]

    def _is_training(self) -> bool:
        return self._model.training and torch.is_grad_enabled()

    def _see(self, inputs: Any, kwargs: dict[str, Any], training: bool) -> None:
        key = signature((inputs, kwargs), training)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = _Known(self._cost(key, inputs, kwargs, training))
        self.calls += 1
        node: Any = torch._C._current_autograd_node()
        if node is not None and training and node.name() != "CheckpointFunctionBackward":
            known.again += 1  # checkpointing, not the reentrant kind, runs the model for what it had not kept
            calls, again = self._open.get(known, (0, 0))
            self._open[known] = calls, again + 1
        elif training:
            known.trained += 1
            calls, again = self._open.get(known, (0, 0))
            self._open[known] = calls + 1, again
        else:
            known.evaluated += 1

    def _cost(self, key: Signature, inputs: Any, kwargs: dict[str, Any], training: bool) -> Cost:
        """What is new is counted; of what cannot be, the user is told once: a training goes on."""
        try:
            return self._costs.of(key, (inputs, kwargs), training)
        except OpCountError as error:
            if isinstance(error, InputError) and not self._known:
                raise
            reason = str(error).removeprefix("shapes alone are not enough: ").partition("; execution=")[0]
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
        told, self._missed[reason] = bool(self._missed), None
        if not told:
            warnings.warn(f"opcount's meter could not count a call, and leaves it out: {reason}", stacklevel=3)
        return Cost()


def _by_name(model: nn.Module, args: tuple[int, ...]) -> dict[str, int]:
    names = [each.name for each in inspect.signature(model.forward).parameters.values() if each.kind in _NAMED]
    return dict(zip(names, args))


_NAMED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class _Hook(Observing):
    """What a model tells its meter. Copies of a model are not metered, nor is what is saved of it."""

    __slots__ = ("meter", "model")

    def __init__(self, meter: Meter | None, model: nn.Module | None) -> None:
        self.meter, self.model = meter, model

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A call begins."""
        meter = self.meter
        if meter is not None and module is self.model:
            numbers = args and type(args[0]) is int and is_size(args)  # which are not the size of a tensor here
            meter._see(_by_name(meter._model, args) if numbers else args, kwargs, meter._is_training())

    def __reduce__(self) -> Any:
        return _Hook, (None, None)


def meter(
    model: nn.Module,
    *,
    optimizer: str | Optimizer | None = None,
    loss: Callable[[Any], Any] | None = None,
    convention: Convention = Convention(),
    hook: bool = True,
) -> Meter:
    """Count what a training costs while it runs, without looking at it.

    The shapes of a call are counted once, on a stand-in without values that shares nothing with the model, and looked
    up from then on. Where sizes change all the time (lengths, batches), a closed form takes over after a few of them,
    if one can be verified; between the sizes at which it was, and by counting beyond.

    A call is one of training, with a backward pass after it, if the model is in training mode and gradients are
    enabled; any other is evaluation, a forward alone. :meth:`Meter.step` says that the optimizer has made its step.

    Args:
        model: what is called in the training loop: the outermost wrapper, compiled, replicated or sharded or not.
        optimizer, loss: as for :func:`opcount.profile`.
        convention: what to include where the field does not agree.
        hook: whether a pre-hook on this module is to see the shapes. Without one :meth:`Meter.observe` is told.

    Returns:
        The meter, on at once. As a context manager, or by ``close()``, it takes its hook off again.

    Raises:
        InputError: it is no module, or the optimizer is not one of its parameters.

    >>> model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    >>> optimizer = torch.optim.AdamW(model.parameters())
    >>> with meter(model, optimizer=optimizer) as m:
    ...     for _ in range(3):
    ...         model(torch.randn(5, 8)).square().mean().backward()
    ...         optimizer.step()
    ...         step = m.step()
    >>> m.macs == 3 * step.macs == 3 * (960 + 1280), m.counted
    (True, 1)
    >>> m.mfu(seconds=1e-6, peak=1e12)
    0.00448
    """

    def fresh() -> Costs:
        return Costs(model, convention, checked_step(model, convention, loss, optimizer))

    return Meter(model, fresh, hook)
