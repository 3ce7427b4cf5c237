"""python -m lenet.report FOLDER: the report of a run, written from what training has left there."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from opcount import OpCountError
from opcount.interrupts import INTERRUPTED, Interrupts


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the report; 0, or 2 with a message where that cannot be."""
    parser = argparse.ArgumentParser(prog="python -m lenet.report", description=__doc__.partition(": ")[2])
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the folder of a run, such as runs/NAME")
    options = parser.parse_args(arguments)
    try:
        with Interrupts():
            from lenet.report import write

            for path in write(options.folder):
                print(path)
    except OpCountError as error:
        print(f"lenet.report: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
