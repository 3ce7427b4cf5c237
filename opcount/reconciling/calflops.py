"""calflops: functions of PyTorch that it puts itself before; the MACs of each, where it has any."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from opcount.reconciling import calls, patched
from opcount.reconciling.tools import Charge

if TYPE_CHECKING:
    from opcount.reconciling.witness import Seen

why = patched.why


def charges(seen: Seen) -> Iterator[Charge]:
    """What it adds when one of its functions is called by name; signs between tensors escape it."""
    if seen.level == "function" and not (seen.as_operator or calls.kept_by_layer(seen)):
        handle = _FUNCTIONS.get(seen.subject)
        if handle is not None:
            yield from calls.for_each_path(seen, handle(seen))


_FUNCTIONS = patched.functions("calflops", divided=True)
