"""``python -m opcount``."""

from __future__ import annotations

from opcount.cli import run

if __name__ == "__main__":
    run()
