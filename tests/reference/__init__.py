"""A counting machine and the definitions of neural-network layers as loops over its numbers.

`machine` holds numbers that count their own arithmetic. The other modules write out, one family each, what the layers
and operators of PyTorch are documented to compute: plain loops, no torch, nothing but real indices. Running one gives
two things: its values, which must be PyTorch's own, and the tally of what it did, which a closed form must match.

    values, tally = count(convolution.convolution, inputs, weight, bias, stride=2)

Arrays go in and come out as numpy arrays; integer and bool ones are indices and masks and are not counted.
"""

from tests.reference.machine import Tally, count

__all__ = ["Tally", "count"]
