"""Imports what of rich draws from Python's random numbers when it is first imported, and puts their state back."""

import random

_before = random.getstate()
import rich.text  # noqa: E402, F401

random.setstate(_before)
