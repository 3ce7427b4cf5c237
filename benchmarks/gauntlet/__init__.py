"""The gauntlet: tiny models on which operation counters go wrong, each with a truth derived by hand.

``python -m benchmarks.gauntlet`` runs every installed counter on every case and prints the scoreboard.
The cases alone, without any counter, are in :mod:`benchmarks.gauntlet.cases`.
"""
