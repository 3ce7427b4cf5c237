"""What the README says of speed and exactness, as commands: ``python -m benchmarks.NAME``, results in ``results/``."""
