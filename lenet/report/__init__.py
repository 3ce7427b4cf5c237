"""The report of a run: the study's tables, plots and questions, in the figures of that very run.

``python -m lenet.report FOLDER`` writes it anew from what training has left in the folder, finished or not.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from lenet.errors import missing


def write(folder: Path) -> list[Path]:
    """Write ``report.md``, ``report.html`` and the figures as PNG and SVG into the folder of a run.

    The same run gives the same bytes. All files are written, or none is touched.

    Args:
        folder: holds ``run.json`` and ``metrics.jsonl`` as training leaves them, of a run that may still go on.

    Returns:
        The files written, the report first.

    Raises:
        StudyError: the folder holds no run, or one that is damaged or has not finished an epoch; it cannot be written
            to; or matplotlib or jinja2 is not installed.
    """
    from lenet.files import write_together
    from lenet.report.whole import files

    return write_together(Path(folder), files(Path(folder)))


def ready() -> None:
    """Make sure that a report can be written, before anything is trained for one.

    Raises:
        StudyError: matplotlib or jinja2 is not installed.
    """
    for package in ("matplotlib", "jinja2"):
        if find_spec(package) is None:
            raise missing(package)


def in_short(folder: Path) -> str:
    """The whole report in two sentences.

    Args:
        folder: as for :func:`write`.

    Raises:
        StudyError: the folder holds no run, or one that is damaged or has not finished an epoch.
    """
    from lenet.report.facts import gather
    from lenet.report.paper import lead
    from lenet.report.run import read

    return lead(gather(read(Path(folder))))
