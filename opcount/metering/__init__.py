"""Counting while training: the shapes of a call are counted once, on a stand-in, and looked up from then on."""

from opcount.metering.meters import Meter as Meter, meter as meter
