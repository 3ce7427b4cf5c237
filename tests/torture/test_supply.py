"""What is shipped, and what it reaches for: no network, nothing unpickled, few dependencies."""

from __future__ import annotations

import ast
import re
import socket
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "opcount").rglob("*.py"), *(ROOT / "lenet").rglob("*.py"), ROOT / "pytest_opcount.py"])
NETWORK = {"socket", "ssl", "http", "urllib", "urllib3", "requests", "aiohttp", "httpx", "ftplib", "smtplib", "xmlrpc"}
UNSAFE_MODULES = {"pickle", "shelve", "marshal", "dill", "joblib", "cloudpickle", "yaml"}
TRUSTED = {"opcount/targets/from_saved.py"}
"""What unpickles where the user says ``--trust``; without it the file is not opened, which has a test of its own."""
ALLOWED = {
    "opcount/sweeping/wire.py": {"pickle"},  # what a process it started itself says over a pipe that nobody else has
    "lenet/checkpoints.py": {"pickle"},  # the name of an error, and no more
    "lenet/data.py": {"socket"},  # how long torchvision's download of MNIST waits
}
"""What a module imports all the same, and what for."""
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
    assert not roots & ((NETWORK | UNSAFE_MODULES) - ALLOWED.get(path.relative_to(ROOT).as_posix(), set()))
    for name, call in called(tree):
        assert name not in UNSAFE_CALLS
        assert not name.startswith("pickle.") or path.name == "wire.py"
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


def test_the_oldest_that_is_tested_is_the_oldest_that_is_allowed() -> None:
    """``make oldest`` installs what stands in tests/oldest.txt."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (listed,) = re.findall(r"^dependencies = (\[.*?\])", text, re.MULTILINE | re.DOTALL)
    bounds = dict(re.findall(r"^(\w+)>=([\d.]+)", "\n".join(ast.literal_eval(listed)), re.MULTILINE))
    oldest = dict(
        re.findall(r"^(\w+)==([\d.]+)", (ROOT / "tests" / "oldest.txt").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert {"torch", "rich", "tabulate"} <= bounds.keys()
    for name in ("torch", "rich", "tabulate"):
        assert [*map(int, oldest[name].split("."))][:2] == [*map(int, f"{bounds[name]}.0".split("."))][:2]


def test_the_network_is_denied_to_every_test() -> None:
    """What denies it is a hook of the interpreter's, set by the conftest above all tests: nothing takes it away."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain, pytest.raises(PermissionError, match="no network"):
        plain.connect(("192.0.2.1", 53))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain, pytest.raises(PermissionError, match="no network"):
        plain.sendto(b"question", ("192.0.2.1", 53))
    with pytest.raises(OSError, match="no network"):
        urllib.request.urlopen("http://198.51.100.7/", timeout=1)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        socket.create_connection(server.getsockname(), timeout=5).close()


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
