"""``python -m opcount``."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    try:
        from opcount.cli import run
    except KeyboardInterrupt:  # Ctrl-C before there is anyone to tell of it
        sys.exit(130)
    run()
