"""The command as a process: ``python -m opcount``, and ``opcount`` where it is installed."""

from __future__ import annotations

import sys
from typing import NoReturn


def run() -> NoReturn:
    """Exit with the command's code; Ctrl-C before there is anyone to tell of it ends it too."""
    try:
        from opcount.interrupts import leave_at_once

        leave_at_once()
        from opcount.cli import main
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(main())


if __name__ == "__main__":
    run()
