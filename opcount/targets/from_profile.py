"""A saved profile as a target: what ``--format json`` wrote."""

from __future__ import annotations

from opcount.targets.source import Request, Source, Target


def load(request: Request) -> Target:
    """The profile in a file.

    Raises:
        InputError: it cannot be read.
        SchemaError: it is no profile.
    """
    from opcount.report.files import load_profile

    found = load_profile(request.name)
    return Target(found.model, found, built=False, remarks=(f"read from {request.name}",))


SOURCE = Source("profile.json", load, takes_arguments=False)
