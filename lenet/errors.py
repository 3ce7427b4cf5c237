"""What the study refuses, as one kind of error that says what to do next."""

from __future__ import annotations

from opcount import OpCountError


class StudyError(OpCountError):
    """Data, settings, files or a checkpoint that the study cannot go on with."""


def missing(package: str) -> StudyError:
    """That the report needs a package which is not there."""
    return StudyError(f"the report needs {package}, which is not installed: pip install 'opcount[study]'")
