"""timm's models, some of every family, counted by opcount and by FlopCounterMode.

    python -m benchmarks.timm_zoo [--each 4] [--models 'vit_*'] [--write]

It runs unattended and resumes: what was counted stays in ``benchmarks/results/timm_zoo.jsonl``. With ``--write`` the
table is made of that.
"""

from __future__ import annotations

import argparse
import fnmatch
import sys
from functools import partial
from itertools import zip_longest

import timm

from benchmarks.model_zoo import Entry, Growing, count, quiet, told

OVERSIZE = ("giant", "gigantic", "huge", "enormous", "_xx", "colossal")


def chosen(each: int, pattern: str) -> list[tuple[str, str]]:
    """Models and their families: one of each family, then a second of each, and so on."""
    families = []
    for family in timm.list_modules():
        names = [name for name in timm.list_models(module=family) if fnmatch.fnmatch(name, pattern)]
        names.sort(key=lambda name: (any(part in name for part in OVERSIZE), len(name), name))
        families.append([(name, family) for name in names[:each]])
    return [pair for row in zip_longest(*families) for pair in row if pair is not None]


def explained(entry: Entry) -> str:
    """Why FlopCounterMode differs, or has no figure."""
    return entry.problem or "differs"


def main() -> int:
    """Count what is not counted yet, and say at the end what does not agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=4, help="models of each family")
    parser.add_argument("--models", default="*", help="a pattern of names")
    parser.add_argument("--write", action="store_true", help="make the table of the results")
    options = parser.parse_args()
    quiet()
    result = Growing("timm_zoo.jsonl")
    jobs = (
        (name, partial(count, name, family, f"timm:{name}")) for name, family in chosen(options.each, options.models)
    )
    for entry in result.grow(jobs):
        print(entry.family, entry.name, entry.macs, entry.agrees, *entry.uncounted, entry.problem, flush=True)
    return told(result, "timm's models", explained, write_table=options.write)


if __name__ == "__main__":
    sys.exit(main())
