"""What people see, held by files: a change of the output is a change of a file that can be read.

Set ``OPCOUNT_UPDATE_SNAPSHOTS=1`` to write them anew, and read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parent


def check(name: str, text: str) -> None:
    """Compare a text with the file of that name, to the last character."""
    file = FOLDER / name
    if os.environ.get("OPCOUNT_UPDATE_SNAPSHOTS") == "1":
        file.write_text(f"{text}\n", encoding="utf-8", newline="\n")
    assert file.exists(), f"{name} is not there: OPCOUNT_UPDATE_SNAPSHOTS=1 writes it"
    assert f"{text}\n" == file.read_text(encoding="utf-8")
