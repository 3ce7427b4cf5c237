"""What a notebook shows, seen in a notebook that is really executed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

nbclient = pytest.importorskip("nbclient", reason="a notebook is executed by nbclient, which is not installed")
pytest.importorskip("ipykernel", reason="a notebook is executed by ipykernel, which is not installed")

ROOT = Path(__file__).parents[1]
CELLS = (
    "from opcount import compare\n"
    "from tests.made import layer, transformer\n"
    "from opcount.ops import OpCount\n"
    "transformer(12)",
    "compare(transformer(12), transformer(10, name='Other'))",
    "from tests.made import net\nnet(layer('<script>document.title=1</script>', ops=OpCount(1)))",
    "print(transformer(1))",
)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """What each cell answered, run by the very Python that runs the tests."""
    import json

    import nbformat
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager

    folder = tmp_path_factory.mktemp("kernels") / "opcount-tests"
    folder.mkdir()
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (folder / "kernel.json").write_text(json.dumps({"argv": command, "display_name": "tests", "language": "python"}))
    manager = AsyncKernelManager(kernel_name="opcount-tests")
    manager.kernel_spec_manager = KernelSpecManager(kernel_dirs=[str(folder.parent)])
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    client = nbclient.NotebookClient(notebook, km=manager, timeout=60, resources={"metadata": {"path": str(ROOT)}})
    client.execute()
    return [cell.outputs[-1] for cell in notebook.cells]


def test_a_profile_is_a_table(outputs: list[dict[str, object]]) -> None:
    data = outputs[0]["data"]
    html = data["text/html"]
    assert "<table>" in html
    assert "blocks.0–11.up ×12" in html
    assert "50,000" in html
    assert "every operation counted" in html
    assert data["text/plain"].startswith("<Profile of Net")


def test_a_comparison_is_a_table(outputs: list[dict[str, object]]) -> None:
    html = outputs[1]["data"]["text/html"]
    assert html.count("<table>") == 1
    assert "-16.6" in html


def test_a_name_is_no_markup(outputs: list[dict[str, object]]) -> None:
    html = outputs[2]["data"]["text/html"]
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_print_is_plain_text(outputs: list[dict[str, object]]) -> None:
    assert "blocks.0.up" in outputs[3]["text"]
    assert "\x1b" not in outputs[3]["text"]
