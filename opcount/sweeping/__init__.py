"""Whole design spaces: every point of a grid, a list or a sampler, built, counted and kept."""

from opcount.sweeping.results import Results as Results
from opcount.sweeping.running import sweep as sweep

__all__ = ["Results", "sweep"]
