"""The commands as a user runs them, in this process: what they say, and that it is nothing but what is documented."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from opcount.cli import main as opcount
from tests.torture.figures import did

EXIT_CODES = {0, 1, 2, 130}


def said(words: list[str], main: Callable[[list[str]], int] = opcount) -> tuple[int, str, str]:
    """What a command returns, and what it writes."""
    did("commands run")
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(words)
        except SystemExit as exit_:  # --help and --version, as argparse has it
            code = exit_.code if isinstance(exit_.code, int) else 1
    return code, out.getvalue(), err.getvalue()


def well_said(words: list[str], main: Callable[[list[str]], int] = opcount) -> tuple[int, str, str]:
    """The same, seen to be a documented exit code with nothing that a user should not see; an error is on stderr."""
    code, out, err = said(words, main)
    assert code in EXIT_CODES, (code, err)
    assert "Traceback" not in out + err, err
    assert "a bug in opcount" not in err, err
    assert "\x1b" not in out + err
    if code == 2:
        assert len(err.strip()) > 20, err
        assert out == "", out
    return code, out, err


@contextlib.contextmanager
def folder(**files: bytes | str) -> Iterator[Path]:
    """A folder with these files (``__`` in a name is a dot), in which the process is; nothing else appears in it."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        for label, content in files.items():
            data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
            (place / label.replace("__", ".")).write_bytes(data)
        try:
            os.chdir(place)
            yield place
        finally:
            os.chdir(before)


def state(place: Path) -> dict[str, bytes | str]:
    """Everything under a folder."""
    return {
        str(path.relative_to(place)): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in sorted(place.rglob("*"))
        if path.is_symlink() or not path.is_dir()
    }
