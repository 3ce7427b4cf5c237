"""What is shipped, and what it reaches for: no network, nothing unpickled, few dependencies."""

from __future__ import annotations

import ast
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "opcount").rglob("*.py"))
NETWORK = {"socket", "ssl", "http", "urllib", "urllib3", "requests", "aiohttp", "httpx", "ftplib", "smtplib", "xmlrpc"}
UNSAFE_MODULES = {"pickle", "shelve", "marshal", "dill", "joblib", "cloudpickle", "yaml"}
TRUSTED = {"opcount/targets/from_saved.py"}
"""What unpickles where the user says ``--trust``; without it the file is not opened, which has a test of its own."""
OWN_PIPES = {"opcount/sweeping/wire.py": {"pickle"}}
"""The one module that unpickles: what a process it started itself says over a pipe that nobody else has. No file."""
UNSAFE_CALLS = {"eval", "exec", "compile"}


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


def called(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_reaches_for_the_network_or_unpickles(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    roots = {name.partition(".")[0] for name in imported(tree)}
    assert not roots & NETWORK
    assert not roots & (UNSAFE_MODULES - OWN_PIPES.get(path.relative_to(ROOT).as_posix(), set()))
    for name, call in called(tree):
        assert name not in UNSAFE_CALLS
        if name == "torch.load" and path.relative_to(ROOT).as_posix() not in TRUSTED:
            assert any(word.arg == "weights_only" and ast.unparse(word.value) == "True" for word in call.keywords)


def test_the_tests_have_no_network() -> None:
    with pytest.raises(PermissionError, match="no network"):
        socket.create_connection(("198.51.100.7", 80), timeout=1)
    with pytest.raises(PermissionError, match="no network"):
        socket.getaddrinfo("example.org", 443)


def test_few_dependencies_each_with_a_lower_bound() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (listed,) = re.findall(r"^dependencies = (\[.*?\])", text, re.MULTILINE | re.DOTALL)
    needed = ast.literal_eval(listed)
    assert all(">=" in requirement for requirement in needed)
    assert {re.split(r"[>=;\[ ]", requirement)[0] for requirement in needed} <= {"torch", "rich", "tabulate", "tomli"}


def test_importing_opcount_opens_nothing_and_starts_nothing() -> None:
    import subprocess

    program = (
        "import sys, threading\n"
        "seen = []\n"
        "def watch(event, args):\n"
        "    writes = event == 'open' and isinstance(args[1], str) and set(args[1]) & set('wax+')\n"
        "    if event.startswith(('socket', 'subprocess', 'os.system', 'pickle')) or writes:\n"
        "        seen.append((event, str(args)[:80]))\n"
        "sys.dont_write_bytecode = True\n"
        "import torch\n"
        "threads = threading.active_count()\n"
        "sys.addaudithook(watch)\n"
        "import opcount\n"
        "from opcount import profile, compare, audit\n"
        "opcount.profile(torch.nn.Linear(2, 2), (1, 2))\n"
        "assert threading.active_count() == threads\n"
        "assert not seen, seen\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-600:]
