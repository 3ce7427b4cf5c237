"""Fake tensors for a clone: shapes without values, which PyTorch takes for tensors on the model's own device.

Stand-ins on the meta device will do for counting, where layers and operators answer by shape. Memory depends on which
operators PyTorch chooses, and it chooses by device: fused attention, multi-head attention's fast path, recurrent
layers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_map_only

from opcount.trace.standins import NeedsValues, stand_in


class Faker:
    """Makes fake tensors of one mode.

    Args:
        device: where the model is; on the meta device it is taken to be on the CPU.
    """

    def __init__(self, device: torch.device) -> None:
        from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

        self.device = torch.device("cpu") if device.type == "meta" else device
        self.mode: Any = FakeTensorMode()
        self._kind: Any = FakeTensor
        self._inputs: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def __call__(self, tensor: torch.Tensor) -> torch.Tensor:
        """The fake of a model's own tensor.

        Raises:
            NeedsValues: shapes do not describe it.
        """
        if nn.parameter.is_lazy(tensor):
            raise NeedsValues("a lazy layer takes its shape in place, which a fake tensor cannot")
        device = self.device if tensor.device.type == "meta" else tensor.device
        fake: torch.Tensor = self._kind(self.mode, stand_in(tensor), device)
        if isinstance(tensor, nn.Parameter):
            fake._is_param = True
        return fake

    def inputs(self, tree: Any) -> Any:
        """Arguments with fakes for the meta tensors in them; what is given twice stays one."""
        return tree_map_only(torch.Tensor, self._input, tree)

    def _input(self, tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) not in self._inputs:
            self._inputs[id(tensor)] = tensor, self._kind(self.mode, tensor, self.device)
        return self._inputs[id(tensor)][1]
