"""What the study refuses, as one kind of error that says what to do next."""

from __future__ import annotations

from opcount import OpCountError


class StudyError(OpCountError):
    """Data, settings, files or a checkpoint that the study cannot go on with."""
