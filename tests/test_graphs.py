"""Graphs captured from a model count as the model does, row by row: traced, exported, and read from an archive."""

from __future__ import annotations

import io
import json
import operator
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import fx, nn

from opcount import Profile, profile
from opcount.cli import main
from opcount.errors import ForwardError, InputError, TargetError
from opcount.graphs.serialized import _DTYPES
from opcount.graphs.subject import Program, read_program


class Block(nn.Module):
    """A residual block with a layer that is called twice and arithmetic of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.act = nn.GELU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(x + self.norm(self.conv(self.act(x)))) * 0.5


class Net(nn.Module):
    """Convolutions, a norm, attention in one function, and a reshape by the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(Block(), Block())
        self.norm = nn.LayerNorm(64)
        self.head = nn.Linear(256, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.blocks(x).flatten(2)
        x = F.scaled_dot_product_attention(x, x, x)
        return self.head(self.norm(x).reshape(x.shape[0], -1))


SIZE = (2, 4, 8, 8)


def exported(model: nn.Module, size: tuple[int, ...], **options: Any) -> Any:
    return torch.export.export(model.eval(), (torch.zeros(size),), **options)


def archive(program: Any, folder: Path) -> str:
    path = folder / "net.pt2"
    torch.export.save(program, path)
    return str(path)


@pytest.fixture(scope="module")
def program() -> Any:
    return exported(Net(), SIZE, dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=64)},))


@pytest.fixture(scope="module")
def path(program: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    return archive(program, tmp_path_factory.mktemp("archive"))


def rows(counted: Profile) -> list[Any]:
    """All that a row says. A graph has its rows in the order of use, a model in that of registration."""
    kept = [each for each in counted if each.path != "_guards_fn"]  # PyTorch's own check of the inputs
    return sorted((each.path, each.type, str(each.ops), each.params, each.calls, each.output_shapes) for each in kept)


@pytest.fixture(scope="module")
def live() -> Profile:
    return profile(Net().eval(), SIZE)


@pytest.mark.parametrize("way", ["exported", "its module", "archive", "loaded"])
def test_a_graph_counts_as_the_model_row_by_row(live: Profile, program: Any, path: str, way: str) -> None:
    subject = {
        "exported": lambda: program,
        "its module": program.module,
        "archive": lambda: read_program(path),
        "loaded": lambda: torch.export.load(path),
    }[way]()
    counted = profile(subject, SIZE)
    assert counted.ops == live.ops
    assert rows(counted) == rows(live)
    assert counted.complete
    assert (counted.model, counted.execution) == ("Net", "shapes")
    assert counted.only(nn.Conv2d).ops == live.only(nn.Conv2d).ops


def test_a_symbolic_trace_keeps_the_rows_of_containers() -> None:
    model = nn.Sequential(Block(), nn.Sequential(Block())).eval()
    traced = fx.symbolic_trace(model)
    for execution in ("shapes", "real"):
        counted = profile(traced, SIZE, execution=execution)
        assert rows(counted) == rows(profile(model, SIZE))
    assert counted["0"].type == "Block"
    assert counted["0"].ops.multiplications == 2 * 4 * 8 * 8  # its own product with 0.5


def test_a_traced_model_within_another_keeps_its_place() -> None:
    model = nn.Sequential(nn.ReLU(), Block()).eval()
    counted = profile(nn.Sequential(nn.ReLU(), fx.symbolic_trace(model)), SIZE)
    assert counted["1.1.conv"].ops == profile(model, SIZE)["1.conv"].ops
    assert counted["1.1"].ops == profile(model, SIZE)["1"].ops


def test_a_traced_function_is_a_model_too() -> None:
    traced = fx.symbolic_trace(lambda x, y=None: torch.relu(x) + 1)
    assert profile(traced, (2, 3)).additions == 6
    assert profile(traced, {"x": (2, 3)}).comparisons == 6


def test_bias_can_be_left_out_of_a_graph(program: Any) -> None:
    from opcount import Convention

    convention = Convention(bias=False)
    assert profile(program, SIZE, convention=convention).ops == profile(Net().eval(), SIZE, convention=convention).ops


def test_a_graph_knows_its_own_input(program: Any, path: str) -> None:
    assert profile(program).inputs == profile(read_program(path)).inputs == (SIZE,)


def test_an_open_axis_takes_any_size_and_a_fixed_one_its_own(program: Any) -> None:
    assert profile(program, (8, 4, 8, 8)).macs == 4 * profile(program, SIZE).macs
    with pytest.raises(InputError, match=r"axis 2 of the input 'x' is fixed at 8 .* cannot be 9"):
        profile(program, (2, 4, 9, 8))
    with pytest.raises(InputError, match=r"takes x of s.*x4x8x8, not 2x4x8"):
        profile(program, (2, 4, 8))
    with pytest.raises(InputError, match="takes 1 tensors, not 2"):
        profile(program, (SIZE, SIZE))
    with pytest.raises(InputError, match="is float32, not int64"):
        profile(program, torch.zeros(SIZE, dtype=torch.int64))


def test_inputs_are_named_as_in_the_graph() -> None:
    class Two(nn.Module):
        def forward(self, a: torch.Tensor, *, b: torch.Tensor) -> torch.Tensor:
            return a + b

    program = torch.export.export(Two(), (torch.zeros(2, 3),), {"b": torch.zeros(2, 3)})
    assert profile(program, {"b": (2, 3), "a": (2, 3)}).additions == 6
    assert profile(program, (2, 3), kwargs={"b": (2, 3)}).additions == 6


class Choice(nn.Module):
    """A branch that a value decides."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cond(x.sum() > 0, lambda t: t * 2.0, lambda t: t + 1.0, (x,))


def test_a_branch_in_a_graph_is_taken_where_there_are_values_and_uncounted_where_not(tmp_path: Path) -> None:
    program = exported(Choice(), (2, 3))
    taken = profile(program, torch.ones(2, 3))
    assert (taken.multiplications, taken.execution) == (6, "real")
    counted = profile(read_program(archive(program, tmp_path)))
    assert [item.name for item in counted.uncounted] == ["higher_order.cond"]
    assert counted.additions == 5  # the sum is known to be made


def test_an_operator_of_somebody_else_is_uncounted_by_name(tmp_path: Path) -> None:
    with torch.library._scoped_library("opcount_test", "FRAGMENT") as library:
        library.define("twist(Tensor x) -> Tensor")
        library.impl("twist", lambda x: x.clone(), "CompositeExplicitAutograd")

        class Twisted(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return torch.ops.opcount_test.twist(x) + 1

        program = exported(Twisted(), (2, 3))
        path = archive(program, tmp_path)
        assert [item.name for item in profile(program).uncounted] == ["opcount_test.twist"]
    counted = profile(read_program(path))  # and where nobody has registered it
    assert [item.name for item in counted.uncounted] == ["opcount_test.twist"]
    assert counted.additions == 6


def rewritten(path: str, folder: Path, change: Any) -> str:
    """An archive with another graph in it."""
    out = folder / "changed.pt2"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        for info in old.infolist():
            data = old.read(info)
            if info.filename.endswith("model.json") or info.filename == "serialized_exported_program.json":
                data = change(data)
            new.writestr(info.filename, data)
    return str(out)


def edited(**changes: Any) -> Any:
    return lambda data: json.dumps({**json.loads(data), **changes}).encode()


BROKEN = {
    "no graph": (edited(graph_module={}), "cannot be read: KeyError"),
    "another version": (edited(schema_version={"major": 99, "minor": 1}), "version 99 of the schema, and this release"),
    "no JSON": (lambda data: data[:100], "is damaged"),
    "a list": (lambda _: b"[]", "holds no graph"),
    "deeply nested": (lambda _: b"[" * 100_000, "is damaged"),
    "an unknown argument": (lambda data: data.replace(b'"as_tensor"', b'"as_mystery"'), "mystery|cannot be read"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_damaged_archive_is_told(path: str, tmp_path: Path, how: str) -> None:
    change, message = BROKEN[how]
    with pytest.raises(TargetError, match=message):
        profile(read_program(rewritten(path, tmp_path, change)))


def test_what_is_no_archive_is_told(tmp_path: Path) -> None:
    text = tmp_path / "text.pt2"
    text.write_text("hello")
    with pytest.raises(TargetError, match="is no exported program, or is damaged"):
        read_program(str(text))
    with pytest.raises(TargetError, match="cannot be read"):
        read_program(str(tmp_path / "missing.pt2"))
    scripted = tmp_path / "scripted.pt2"
    torch.jit.script(nn.ReLU()).save(scripted)
    with pytest.raises(TargetError, match="is a scripted model"):
        read_program(str(scripted))


def test_reading_an_archive_opens_nothing_but_its_graph(path: str, tmp_path: Path) -> None:
    """Everything else in it may be whatever it likes, and an operator's name is only looked up."""
    out = tmp_path / "hostile.pt2"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        for info in old.infolist():
            data = old.read(info) if info.filename.endswith(".json") else b"cos\nsystem\n(S'exit 1'\ntR."
            new.writestr(info.filename, data.replace(b"torch.ops.aten.gelu.default", b"os.system"))
    counted = profile(read_program(str(out)), SIZE)
    assert {item.name for item in counted.uncounted} == {"os.system"}


def test_a_graph_without_values_cannot_be_run(path: str) -> None:
    with pytest.raises(InputError, match="no values to run with"):
        profile(read_program(path), execution="real")


def test_a_graph_that_asks_for_a_value_says_so(tmp_path: Path) -> None:
    graph = fx.Graph()
    x = graph.placeholder("x")
    graph.output(graph.call_function(operator.mul, (x, graph.call_method("item", (graph.call_method("sum", (x,)),)))))
    with pytest.raises((ForwardError, InputError, RuntimeError)):
        profile(Program(fx.GraphModule({}, graph), (), False), ())


def test_element_types_are_numbered_as_pytorch_numbers_them() -> None:
    schema = pytest.importorskip("torch._export.serde.schema")
    names = {"BYTE": "uint8", "CHAR": "int8", "SHORT": "int16", "INT": "int32", "LONG": "int64", "HALF": "float16"}
    names |= {"FLOAT": "float32", "DOUBLE": "float64", "COMPLEXHALF": "complex32", "COMPLEXFLOAT": "complex64"}
    names |= {"COMPLEXDOUBLE": "complex128"}
    for member in schema.ScalarType:
        if member.name != "UNKNOWN":
            expected = names.get(member.name, member.name.lower()).replace("float8e", "float8_e")
            assert _DTYPES[int(member)] == expected


def test_an_archive_is_a_target(path: str, live: Profile, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([path, "--batch", "4", "--format", "json"]) == 0
    assert Profile.from_json(capsys.readouterr().out).macs == 2 * live.macs
    assert main([path, "--resolution", "9"]) == 2
    assert "axis 2 of the input 'x' is fixed at 8" in capsys.readouterr().err
    assert main([path, "--arg", "a=1"]) == 2
    assert main([path, "--audit"]) == 2
    assert "only operators" in capsys.readouterr().err


def test_a_saved_model_is_loaded_only_where_it_is_trusted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scripted, pickled, weights = (str(tmp_path / f"{name}.pt") for name in ("scripted", "pickled", "weights"))
    torch.jit.script(nn.Sequential(nn.Linear(8, 4))).save(scripted)
    torch.save(nn.Sequential(nn.Linear(8, 4)), pickled)
    torch.save(nn.Linear(8, 4).state_dict(), weights)
    for path in (scripted, pickled):
        assert main([path, "--input", "2,8"]) == 2
        assert "--trust loads it, which may run what is in it" in capsys.readouterr().err
        assert main([path, "--input", "2,8", "--trust", "--format", "json"]) == 0
        assert Profile.from_json(capsys.readouterr().out).macs == 64
    assert main([weights, "--trust"]) == 2
    assert "holds OrderedDict, not a model" in capsys.readouterr().err
    assert main([str(tmp_path / "none.pth"), "--trust"]) == 2
    assert "No such file" in capsys.readouterr().err


def test_a_program_of_many_outputs_and_lists(tmp_path: Path) -> None:
    class Many(nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            a, b = x.chunk(2, 1)
            values, places = torch.topk(a + b, 2)
            return torch.cat([values, a * 2], 1), places

    program = exported(Many(), (3, 8))
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    (tmp_path / "many.pt2").write_bytes(buffer.getvalue())
    expected = profile(Many(), (3, 8)).ops
    assert profile(program).ops == expected
    assert profile(read_program(str(tmp_path / "many.pt2"))).ops == expected
