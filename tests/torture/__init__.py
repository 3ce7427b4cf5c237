"""Nothing lost, nothing touched, nothing believed: faults, hostile models and hostile inputs, in ever greater number.

The everyday run does the quick part; ``make torture`` does all of it and writes the figures of ``docs/reliability.md``.
"""
