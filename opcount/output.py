"""What the command writes on stdout and stderr: all of it, in what they can show, or an error that says why not."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from opcount.errors import OpCountError

if TYPE_CHECKING:
    from opcount.comparison import Comparison
    from opcount.report.sections import Section
    from opcount.report.view import View
    from opcount.result import Profile


def show(
    subject: Profile | Comparison,
    form: str,
    remarks: Sequence[Sequence[str]],
    view: View,
    sections: Sequence[Section],
) -> None:
    """Print it: in colour and as wide as the terminal on one, else in full."""
    with _stdout():
        if form == "rich" and _on_terminal():
            from rich.console import Console

            from opcount.report import render_rich

            Console().print(render_rich(subject, remarks, view, sections), crop=False)
        else:
            sys.stdout.write(f"{_text(subject, form, remarks, view, sections)}\n")


def put(text: str) -> None:
    """Write a text on stdout, in what its encoding can write."""
    with _stdout():
        try:
            text.encode(sys.stdout.encoding or "utf-8")
        except UnicodeEncodeError:
            text = formulas_to_ascii(text)
        sys.stdout.write(f"{text}\n")


def complain(message: str) -> None:
    """Say it on stderr, in two lines at most, with nothing in it that a terminal would act on."""
    from opcount.report.escape import to_ascii, visible

    if sys.stderr is None:  # closed: the exit code has to say it
        return
    lines = [visible(" ".join(line.split())) for line in message.splitlines() if line.strip()][:2]
    text = f"opcount: {chr(10).join(lines)}\n"
    try:
        text.encode(sys.stderr.encoding or "utf-8")
    except UnicodeEncodeError:
        text = to_ascii(text)
    sys.stderr.write(text)


class _Reserved:
    """Stands for stdout while models are built and run: what is printed goes to stderr, all else is stdout's own."""

    def __init__(self, stdout: TextIO) -> None:
        self.stdout = stdout

    def write(self, text: str) -> int:
        return len(text) if sys.stderr is None else sys.stderr.write(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr if name == "buffer" else self.stdout, name)


@contextmanager
def reserved() -> Iterator[None]:
    """Keep stdout for the report: what a model's own code prints meanwhile would get between it and its reader."""
    before: Any = sys.stdout
    if before is None:
        yield
        return
    sys.stdout = standing = _Reserved(before)
    try:
        yield
    finally:
        if sys.stdout is standing:  # unless the model's own code has put something else there
            sys.stdout = before


@contextmanager
def _stdout() -> Iterator[None]:
    """Where stdout is written to: in full, or the user is told why not.

    Raises:
        OpCountError: it cannot be written.
    """
    if sys.stdout is None:
        raise OpCountError("the report cannot be written: stdout is closed; -o FILE writes to a file")
    held: Any = sys.stdout
    sys.stdout = held.stdout if isinstance(held, _Reserved) else held
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read it, such as head, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes at exit
    except OSError as error:
        raise OpCountError(f"the report cannot be written: {error.strerror or error}") from error
    finally:
        sys.stdout = held


def _on_terminal() -> bool:
    from rich.console import Console

    return Console().is_terminal


def _text(
    subject: Profile | Comparison,
    form: str,
    remarks: Sequence[Sequence[str]],
    view: View,
    sections: Sequence[Section],
) -> str:
    """The report as text that stdout's encoding can write."""
    from opcount.report import escape, render, render_text

    text = render(subject, form, remarks, view, sections)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        if form in ("json", "speedscope", "chrome-trace"):
            return escape.json(text)
        if form != "rich":
            return escape.to_ascii(text)
        return render_text(subject, remarks=remarks, view=view, sections=sections, ascii_only=True)
    return text


def formulas_to_ascii(text: str) -> str:
    """An answer for an output that knows no more than ASCII.

    >>> print(formulas_to_ascii("n · m = n·(L − 1)/4 + ⌊n/2⌋·K²"))
    n - m = n*(L - 1)/4 + floor(n/2)*K^2
    """
    from opcount.report import escape

    signs = str.maketrans(
        {"²": "^2", "³": "^3", "⁴": "^4", "⌊": "floor(", "⌋": ")", "⌈": "ceil(", "⌉": ")", "Π": "prod ", "−": "-"}
    )
    return escape.to_ascii(re.sub(r"(?<=\S)·(?=\S)", "*", text).translate(signs))
