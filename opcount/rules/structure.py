"""Layers that only move, select or relabel, and what recomputes weights."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.parametrize import ParametrizationList

from opcount.rules.registry import free

free(nn.Flatten, nn.Unflatten, nn.PixelShuffle, nn.PixelUnshuffle, nn.ChannelShuffle)
free(nn.ZeroPad1d, nn.ZeroPad2d, nn.ZeroPad3d, nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d)
free(nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReflectionPad3d)
free(nn.ReplicationPad1d, nn.ReplicationPad2d, nn.ReplicationPad3d)
free(nn.CircularPad1d, nn.CircularPad2d, nn.CircularPad3d)

# A weight that a parametrization recomputes from parameters alone is as fixed as one that is stored.
free(ParametrizationList)
