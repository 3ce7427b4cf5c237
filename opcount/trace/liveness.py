"""Which storages are alive, without running what is known: layers that allocate nothing but what they return.

A run of every operator on fake tensors tells what memory any model takes, but most of its time goes into faking. Here
tensors are on the meta device. A convolution, a linear layer, a batch norm by running statistics, an activation or an
average answers with a new tensor, which is all that it would allocate; other operators are executed if on every device
they allocate what they return and nothing else. Whatever else is met (an operator that is not on the list, a tensor
with values, a look at a tensor's device, autocast, a transform) makes the run worthless, which it says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

import torch
from torch import nn
from torch._ops import OpOverload
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from opcount.answers import layer_answer
from opcount.errors import OpCountError
from opcount.ops import Call, TensorSpec
from opcount.rules import layer_rule, operator_name
from opcount.rules.reading import held
from opcount.trace import hooks
from opcount.trace.describe import dtype_name
from opcount.trace.guard import nothing_compiled, process_state_kept
from opcount.trace.observer import transformed
from opcount.trace.sight import ObservingMode
from opcount.trace.skeleton import Skeleton
from opcount.trace.standins import made
from opcount.trace.storages import Storages
from opcount.trace.watching import Standing

_WEIGHTED = frozenset({nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear})
_ACTIVATIONS = frozenset(
    {
        *(nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.LeakyReLU, nn.Threshold, nn.Sigmoid, nn.Tanh, nn.SiLU, nn.GELU),
        *(nn.Hardsigmoid, nn.Hardswish, nn.ELU, nn.SELU, nn.CELU, nn.Softplus, nn.Mish),
    }
)
_OTHERS = frozenset({nn.BatchNorm2d, nn.BatchNorm3d, nn.AvgPool2d, nn.AdaptiveAvgPool2d})
_ANSWERING = _WEIGHTED | _ACTIVATIONS | _OTHERS
"""Layers whose one new tensor is their output."""

_OPERATORS = frozenset(
    f"aten.{name}"
    for name in (
        *("add", "sub", "mul", "div", "rsub", "neg", "exp", "sqrt", "rsqrt", "pow", "relu", "sigmoid", "tanh", "silu"),
        *("gelu", "hardtanh", "clamp", "hardswish", "hardsigmoid", "leaky_relu", "elu", "mean", "sum", "cat", "stack"),
        *("clone", "copy", "_unsafe_view", "as_strided", "constant_pad_nd", "addmm", "mm", "convolution"),
        *("native_batch_norm", "_native_batch_norm_legit_no_training", "native_layer_norm", "avg_pool2d"),
        *("_adaptive_avg_pool2d", "max_pool2d_with_indices", "upsample_nearest2d", "upsample_bilinear2d"),
    )
)
"""Operators that on any device allocate what they return, or nothing in place, and are not chosen by the device."""

_TENSOR: Any = torch.Tensor
_LOOKS = frozenset(getattr(_TENSOR, name).__get__ for name in ("device", "is_cpu", "is_cuda", "is_meta", "is_mkldnn"))


class Unsure(OpCountError):
    """Something was met of which it is not known what it allocates."""


def run_known(skeleton: Skeleton, args: tuple[Any, ...], kwargs: dict[str, Any], storages: Storages) -> None:
    """Call a clone that has stand-ins for its tensors, and see what is alive.

    Args:
        skeleton: the clone, of a model on the CPU.
        args, kwargs: what it is called with, on the meta device; the storages know it.
        storages: is told of every storage.

    Raises:
        Unsure: it cannot be told like this. What the forward raised is one reason.
    """
    if any(isinstance(module, nn.RNNBase) for _, module in skeleton.modules):
        raise Unsure("recurrent layers are another operator on each device")
    operators = _Operators(storages)
    standing = list(_standing(skeleton.modules, operators))
    try:
        with (
            process_state_kept(lambda: False),  # nothing on the list draws
            nothing_compiled(),
            torch.inference_mode(False),
            torch.no_grad(),
            _Looks(operators),
            operators,
        ):
            skeleton.model(*args, **kwargs)
    except (Exception, SystemExit) as error:
        raise Unsure(f"{type(error).__name__}: {error}") from error
    finally:
        for each in standing:
            each.retire()
    if operators.met:  # which the forward may have caught
        raise Unsure(operators.met)


class _Output(Standing):
    """Returns a tensor like the one that a layer would return."""

    __slots__ = ("answer", "operators")

    def __init__(self, module: nn.Module, answer: Any, operators: _Operators) -> None:
        super().__init__(module)
        self.answer, self.operators = answer, operators

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the layer would return."""
        module = self.module
        with torch._C.DisableTorchFunction(), torch._C._DisableTorchDispatch():
            spec = self._spec(args) if not kwargs else None
        if spec is None:
            return type(module).forward(module, *args, **kwargs)
        if getattr(module, "inplace", False):
            return args[0]
        with torch._C.DisableTorchFunction(), torch._C._DisableTorchDispatch():
            output = made(spec)
            self.operators.storages.note((output,), "", "")
        return output

    def _spec(self, args: tuple[Any, ...]) -> TensorSpec | None:
        """The shape and type of what it would return; None if it had better run."""
        tensor = args[0] if len(args) == 1 else None
        if type(tensor) is not torch.Tensor or not tensor.is_meta or not tensor.is_contiguous():
            return None  # the output of what is laid out otherwise may be so too, and its views copies
        module: Any = self.module
        self.operators.see_modes()
        if layer_rule(module) is None:
            return None
        if type(module) in _WEIGHTED:
            weight = held(module, "weight")
            if not weight.is_contiguous() or isinstance(getattr(module, "padding", None), str):
                return None
        spec = TensorSpec(tuple(tensor.shape), dtype_name(tensor.dtype))
        found = self.answer(module, Call((spec,), {}, None, module.training))
        return found if isinstance(found, TensorSpec) else None


def _standing(modules: Iterable[tuple[str, nn.Module]], operators: _Operators) -> Iterator[_Output]:
    for _, module in modules:
        hooks.leave_lazy_alone(module)
        kind = type(module)
        if kind in _ANSWERING and "forward" not in module.__dict__:
            yield _Output(module, layer_answer(kind), operators)


class _Operators(ObservingMode):  # type: ignore[no-untyped-call]
    """Sees every operator that reaches PyTorch's dispatcher, and the storages of what it takes and returns.

    Attributes:
        met: what made the run worthless, if anything did.
    """

    def __init__(self, storages: Storages) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.storages, self.met = storages, ""

    def give_up(self, reason: str) -> Unsure:
        """Note that the run is worthless; what is returned is to be raised, should nobody catch it."""
        self.met = self.met or reason
        return Unsure(reason)

    def see_modes(self) -> None:
        """Give up where types are chosen by device, or a tensor stands for more than its shape says."""
        if torch._C._is_any_autocast_enabled() or transformed():
            raise self.give_up("autocast, or a transform")

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        given = _tensors((args, kwargs))
        if not (_is_known(func) and given and all(type(each) in _PLAIN and each.is_meta for each in given)):
            raise self.give_up(f"{func} on {len(given)} tensors")
        self.storages.know(given)
        try:
            output = func(*args, **kwargs)
        except Exception as error:
            raise self.give_up(f"{func} raised {error}") from error
        self.storages.note([*_tensors(output), *(given if func._schema.is_mutable else ())], "", "")
        return output


class _Looks(TorchFunctionMode):
    """Sees whether the forward asks where a tensor is: its answer would be another than the model's own."""

    def __init__(self, operators: _Operators) -> None:
        super().__init__()
        self.operators = operators

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _LOOKS:
            raise self.operators.give_up("the forward asks where a tensor is")
        self.operators.see_modes()
        return func(*args, **(kwargs or {}))


_PLAIN = frozenset({torch.Tensor, nn.Parameter})


@lru_cache(maxsize=4096)
def _is_known(operator: Any) -> bool:
    name = operator_name(operator)
    return name in _OPERATORS or (operator.is_view and name.startswith("aten.") and name != "aten.lift_fresh")


def _tensors(tree: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]
