"""Files of every kind that the command reads, damaged: an answer or a clear error, and nothing touched."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, strategies as st
from torch import nn

from opcount.errors import OpCountError, TargetError
from opcount.graphs.archive import read_graph
from opcount.sweeping.expressions import Condition
from opcount.sweeping.spec import read as read_spec
from tests.torture.commanding import folder, state, well_said
from tests.torture.mutation import VALUES, contents, structures, texts

pytestmark = pytest.mark.filterwarnings("ignore")


def toml(value: Any) -> str:
    """A value as TOML has it; what it has not, as a text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(key))} = {toml(item)}" for key, item in value.items()) + "}"
    return json.dumps("none" if value is None else value)


def document(tables: dict[str, Any]) -> str:
    return "".join(f"{json.dumps(name)} = {toml(value)}\n" for name, value in tables.items())


class TestProjects:
    """``pyproject.toml`` with budgets, and ``opcount.lock``."""

    PROJECT: dict[str, Any] = {
        "tool": {
            "opcount": {
                "models": {
                    "small": {"target": "torch.nn:Linear", "args": {"in_features": 4, "out_features": 2},
                              "input": "1,4", "max-macs": "2k", "max-params": 100, "max-layer-macs": 8, "bias": False},
                    "two": {"target": "torch.nn:ReLU", "input": ["2,3"], "zero-padding": True, "max-total": 6},
                }
            }
        }
    }  # fmt: skip

    @staticmethod
    @lru_cache
    def lock() -> Any:
        with folder(pyproject__toml=document(TestProjects.PROJECT)) as place:
            assert well_said(["lock"])[0] == 0
            return json.loads((place / "opcount.lock").read_text())

    @given(tables=structures(PROJECT))
    def test_a_project_changed_anywhere(self, tables: Any) -> None:
        lock = json.dumps(self.lock())
        with folder(pyproject__toml=document(tables), opcount__lock=lock) as place:
            before = state(place)
            well_said(["check"])
            assert state(place) == before
            code, _, _ = well_said(["lock"])
            assert code == 0 or state(place) == before
            assert set(state(place)) == set(before)

    @given(data=st.data())
    def test_a_lock_changed_anywhere(self, data: Any) -> None:
        lock = data.draw(texts(self.lock()))
        with folder(pyproject__toml=document(self.PROJECT), opcount__lock=lock) as place:
            before = state(place)
            well_said(["check"])
            assert state(place) == before
            code, _, _ = well_said(["lock", "two"])
            assert code == 0 or state(place) == before
            assert set(state(place)) == set(before)

    @given(data=st.data())
    def test_files_of_a_project_of_damaged_bytes(self, data: Any) -> None:
        whole = document(self.PROJECT).encode(), json.dumps(self.lock()).encode()
        project = data.draw(contents(whole[0]) | st.just(whole[0]))
        lock = data.draw(contents(whole[1]))
        with folder(pyproject__toml=project, opcount__lock=lock) as place:
            before = state(place)
            well_said(["check"])
            assert state(place) == before


class TestSweeps:
    """Specs in TOML, conditions, and stores."""

    SPEC: dict[str, Any] = {
        "build": "torch.nn:Linear",
        "inputs": ["1,{in_features}"],
        "store": "made.sqlite",
        "grid": {"in_features": [2, 4], "out_features": [3]},
        "arguments": {"bias": True},
        "convention": {"bias": True, "zero_padding": False},
        "limits": {"time": 2.5, "memory": "2 GiB"},
        "executor": {"workers": 1},
    }

    @given(tables=structures(SPEC))
    def test_a_spec_changed_anywhere(self, tables: Any) -> None:
        """Read, and its first points made; its models are built in processes of their own, which other tests do."""
        text = document(tables)
        with folder(space__toml=text) as place:
            from opcount.sweeping import spec as specs

            with contextlib.suppress(OpCountError):
                read = specs.load("space.toml")
                points = [point for point, _ in zip(read.space(), range(5))]
                if callable(read.inputs):
                    for point in points:
                        read.inputs(**point)
            assert set(state(place)) == {"space.toml"}

    @given(data=contents(document(SPEC).encode()))
    def test_a_spec_of_damaged_bytes(self, data: bytes) -> None:
        with folder(space__toml=data):
            from opcount.sweeping import spec as specs

            with contextlib.suppress(OpCountError):
                specs.load("space.toml")

    @given(tables=structures({**SPEC, "build": 3}))
    def test_a_spec_that_is_refused_ends_the_command_and_leaves_nothing(self, tables: Any) -> None:
        with pytest.raises(OpCountError):
            read_spec({**tables, "build": 3})
        with folder(space__toml=document({**tables, "build": 3})) as place:
            assert well_said(["sweep", "space.toml"])[0] == 2
            assert set(state(place)) == {"space.toml"}

    @given(
        text=st.text(max_size=40)
        | st.lists(
            st.sampled_from(
                ["macs", "<", "3", "and", "(", ")", "'a'", "in", "[", "]", "not", "-", "**", ".", "//", "0", ":=",
                 "1e999", "None", "lambda", ":", "if", "else", "==", "is", "f'{x}'", "__import__", ",", "%",
                 "9" * 5000],
            ),
            max_size=12,
        ).map(" ".join)
    )  # fmt: skip
    def test_conditions(self, text: str) -> None:
        with contextlib.suppress(OpCountError):
            Condition(text)({"macs": 3, "x": None})

    @staticmethod
    @lru_cache
    def store(suffix: str) -> bytes:
        from opcount import sweep

        with folder() as place:
            from concurrent.futures import ThreadPoolExecutor

            rows = {"in_features": [2, 4], "out_features": [3]}
            sweep(nn.Linear, rows, (1, 2), executor=ThreadPoolExecutor(1), store=f"made{suffix}")
            return (place / f"made{suffix}").read_bytes()

    @pytest.mark.parametrize("suffix", [".sqlite", ".parquet"])
    def test_stores_of_damaged_bytes(self, suffix: str) -> None:
        if suffix == ".parquet":
            pytest.importorskip("pyarrow", reason="Parquet stores need pyarrow")

        @given(data=contents(self.store(suffix)))
        def damaged(data: bytes) -> None:
            with folder(**{f"made{suffix.replace('.', '__')}": data}) as place:
                before = state(place)
                code, _, _ = well_said(["sweep", f"made{suffix}", "--format", "csv"])
                assert code in (0, 2)
                assert {name: kept for name, kept in state(place).items() if name in before} == before

        damaged()


class Small(nn.Module):
    """A little of each: a convolution, a norm, a branch of shapes, attention."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.norm = nn.BatchNorm2d(2)
        self.out = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.conv(x)))
        return torch.softmax(self.out(x.flatten(1)), -1)


@lru_cache
def archive() -> tuple[str, dict[str, Any], bytes]:
    """An exported program as a file: the name of its graph, that graph, and the whole."""
    batch = torch.export.Dim("batch", min=2, max=64)
    program = torch.export.export(Small().eval(), (torch.ones(3, 1, 4, 4),), dynamic_shapes=({0: batch},))
    file = io.BytesIO()
    torch.export.save(program, file)
    with zipfile.ZipFile(file) as zipped:
        (name,) = [
            each for each in zipped.namelist()
            if each.endswith(".json") and ("/models/" in each or "exported_program" in each)
        ]  # fmt: skip
        return name, json.loads(zipped.read(name)), file.getvalue()


def zipped(name: str, text: str | bytes, compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as made:
        made.writestr(name, text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)
    return file.getvalue()


class TestExportedPrograms:
    """``.pt2`` archives."""

    @given(data=st.data())
    def test_a_graph_changed_anywhere(self, data: Any) -> None:
        name, graph, _ = archive()
        with folder(net__pt2=zipped(name, data.draw(texts(graph["graph_module"] and graph)))):
            well_said(["net.pt2", "--batch", "2", "--format", "csv"])

    @given(data=st.data())
    def test_nodes_changed_anywhere(self, data: Any) -> None:
        """Of the graph alone, where most of what is read is."""
        name, graph, _ = archive()
        damaged = json.loads(json.dumps(graph))
        inner = damaged["graph_module"]["graph"]
        part = data.draw(st.sampled_from(["nodes", "inputs", "outputs", "tensor_values", "sym_int_values"]))
        inner[part] = data.draw(structures(inner[part]))
        with folder(net__pt2=zipped(name, json.dumps(damaged))):
            well_said(["net.pt2", "--batch", "2", "--format", "csv"])

    @given(data=st.data())
    def test_an_archive_of_damaged_bytes(self, data: Any) -> None:
        with folder(net__pt2=data.draw(contents(archive()[2]))):
            well_said(["net.pt2", "--batch", "2", "--format", "csv"])

    @pytest.mark.parametrize("where", ["an input", "a parameter", "an argument", "a module", "an operator", "a branch"])
    def test_names_in_a_graph_are_never_run(self, where: str, tmp_path: Path) -> None:
        """Written into a function's source, each of these would be: a default value, an attribute, a keyword."""
        told = tmp_path / "told"
        code = f"__import__('pathlib').Path({str(told)!r}).touch()"
        name, graph, _ = archive()
        text = json.dumps(graph)
        damaged = json.loads(text)
        inner = damaged["graph_module"]
        if where == "an input":
            damaged = json.loads(text.replace('"x"', json.dumps(f"x={code}")))
        elif where == "a parameter":
            spec = next(iter(inner["signature"]["input_specs"][0].values()))
            spec["parameter_name"] = f'a b") or {code.replace(".", chr(0x2024))} or ("'
        elif where == "an argument":
            inner["graph"]["nodes"][0]["inputs"][-1]["name"] = f"z={code}, y"
        elif where == "a module":
            inner["graph"]["nodes"][0]["metadata"]["nn_module_stack"] = f"L['self'],{code},{code}"
        elif where == "an operator":
            inner["graph"]["nodes"][1]["target"] = f"torch.ops.{code}.default"
        else:
            part = {"name": f"b={code}", "graph": {**inner["graph"], "nodes": [], "inputs": [], "outputs": []}}
            inner["graph"]["nodes"][0]["inputs"].append({"name": "more", "arg": {"as_graph": part}})
        with folder(net__pt2=zipped(name, json.dumps(damaged))):
            well_said(["net.pt2", "--batch", "2", "--format", "csv"])
        assert not told.exists()

    def test_a_bomb_is_refused_before_it_is_unpacked(self) -> None:
        name, _, _ = archive()
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / "bomb.pt2"
            path.write_bytes(zipped(name, b" " * 2**28, zipfile.ZIP_DEFLATED))
            assert path.stat().st_size < 2**20
            with pytest.raises(TargetError, match=r"268,435,456 bytes"):
                read_graph(str(path))

    def test_a_graph_that_nests_without_end_is_refused(self) -> None:
        name, graph, _ = archive()
        text = json.dumps(graph).replace('"nodes": [', '"nodes": [' + "[" * 100_000, 1)
        with folder(net__pt2=zipped(name, text)):
            assert well_said(["net.pt2"])[0] == 2


class TestSavedModels:
    """``.pt`` files, trusted or not: whatever is in them, nothing runs unless trusted."""

    @given(data=st.data())
    def test_damaged_bytes(self, data: Any) -> None:
        file = io.BytesIO()
        torch.save(nn.Linear(2, 2).state_dict(), file)
        with folder(net__pt=data.draw(contents(file.getvalue()) | st.binary(max_size=60))):
            assert well_said(["net.pt"])[0] == 2

    @given(data=st.data())
    def test_a_pickled_model_cut_off(self, data: Any) -> None:
        file = io.BytesIO()
        torch.save(nn.Linear(2, 2), file)
        whole = file.getvalue()
        with folder(net__pt=whole[: data.draw(st.integers(0, len(whole) - 1))]):
            well_said(["net.pt", "--trust", "--input", "1,2"])


@lru_cache
def onnx_model() -> bytes:
    """An ONNX model with weights, shapes as tensors, a branch and a loop."""
    onnx = pytest.importorskip("onnx", reason="ONNX models need the extra onnx")
    helper, kinds = onnx.helper, onnx.TensorProto
    value = helper.make_tensor_value_info

    def graph(name: str, nodes: list[Any], inputs: list[Any], outputs: list[Any], held: Any = ()) -> Any:
        return helper.make_graph(nodes, name, inputs, outputs, list(held))

    taken = graph("then", [helper.make_node("Relu", ["h"], ["t"])], [], [value("t", kinds.FLOAT, None)])
    other = graph("else", [helper.make_node("Tanh", ["h"], ["e"])], [], [value("e", kinds.FLOAT, None)])
    body = graph(
        "body",
        [helper.make_node("Add", ["s", "s"], ["s2"]), helper.make_node("Identity", ["c"], ["c2"])],
        [value("i", kinds.INT64, []), value("c", kinds.BOOL, []), value("s", kinds.FLOAT, ["n", 8])],
        [value("c2", kinds.BOOL, []), value("s2", kinds.FLOAT, ["n", 8])],
    )
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["y"], name="/conv/Conv", kernel_shape=[3, 3], pads=[0, 0, 0, 0]),
        helper.make_node("Flatten", ["y"], ["f"], axis=1),
        helper.make_node("Shape", ["f"], ["shape"]),
        helper.make_node("Reshape", ["f", "shape"], ["r"]),
        helper.make_node("Gemm", ["r", "v"], ["h"], transB=1, alpha=0.5),
        helper.make_node("If", ["yes"], ["z"], then_branch=taken, else_branch=other),
        helper.make_node("Loop", ["turns", "yes", "z"], ["l"], body=body),
        helper.make_node("Softmax", ["l"], ["out"], axis=-1),
    ]
    held = [
        helper.make_tensor("w", kinds.FLOAT, [2, 1, 3, 3], [0.5] * 18),
        helper.make_tensor("b", kinds.FLOAT, [2], [0.1, 0.2]),
        helper.make_tensor("v", kinds.FLOAT, [8, 8], [0.1] * 64),
        helper.make_tensor("yes", kinds.BOOL, [], [True]),
        helper.make_tensor("turns", kinds.INT64, [], [3]),
    ]
    made = graph(
        "net", nodes, [value("x", kinds.FLOAT, ["batch", 1, 4, 4])], [value("out", kinds.FLOAT, ["batch", 8])], held
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data: bytes = model.SerializeToString()
    return data


class TestOnnx:
    """ONNX models."""

    @pytest.fixture(autouse=True)
    def _needs_onnx(self) -> None:
        pytest.importorskip("onnx", reason="ONNX models need the extra onnx")

    def test_the_whole_one_is_counted(self) -> None:
        with folder(net__onnx=onnx_model()):
            code, out, _ = well_said(["net.onnx", "--batch", "2", "--format", "json"])
        assert code == 0
        layers = json.loads(out)["layers"]
        assert sum(layer["ops"]["macs"] for layer in layers) == 2 * (2 * 2 * 2 * 9 + 8 * 8)

    @given(data=st.data())
    def test_a_model_of_damaged_bytes(self, data: Any) -> None:
        with folder(net__onnx=data.draw(contents(onnx_model()))):
            well_said(["net.onnx", "--batch", "2", "--format", "csv"])

    def test_names_that_are_no_text(self) -> None:
        """Protobuf reads them as bytes."""
        import onnx

        axis = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 4])
        out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", 4])
        graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "net", [axis], [out])
        whole = onnx.helper.make_model(graph).SerializeToString()
        for damaged in (whole.replace(b"batch", b"b\xfftch"), whole.replace(b"\x01x", b"\x01\xff")):
            with folder(net__onnx=damaged):
                code, _, err = well_said(["net.onnx", "--batch", "2", "--format", "csv"])
            assert code == 2
            assert "text" in err or "no ONNX model" in err

    @given(data=st.data())
    def test_a_model_changed_anywhere(self, data: Any) -> None:
        """Fields of its messages set to what nobody expects, as far as protobuf can write it down."""
        import onnx

        model = onnx.ModelProto.FromString(onnx_model())
        for _ in range(data.draw(st.integers(1, 3))):
            holder, field = data.draw(st.sampled_from(_fields(model)))
            _change(holder, field, data)
        with folder(net__onnx=model.SerializeToString()):
            well_said(["net.onnx", "--batch", "2", "--format", "csv"])

    def test_loops_within_loops_are_not_gone_through_one_by_one(self) -> None:
        """A hundred thousand turns of a hundred thousand turns."""
        import onnx

        model = onnx.ModelProto.FromString(onnx_model())
        (turns,) = [held for held in model.graph.initializer if held.name == "turns"]
        turns.CopyFrom(onnx.helper.make_tensor("turns", onnx.TensorProto.INT64, [], [90_000]))
        (loop,) = [node for node in model.graph.node if node.op_type == "Loop"]
        inner = onnx.NodeProto()
        inner.CopyFrom(loop)
        inner.input[2], inner.output[0] = "s", "s3"
        body = loop.attribute[0].g
        body.node.insert(0, inner)
        body.node[1].input[0] = "s3"
        with folder(net__onnx=model.SerializeToString()):
            code, out, _ = well_said(["net.onnx", "--batch", "2", "--format", "json"])
        assert code == 0
        additions = sum(layer["ops"]["additions"] for layer in json.loads(out)["layers"])
        assert 90_000**2 * 16 <= additions <= 90_000**2 * 16 + 90_000 * 16 + 1_000


def _fields(message: Any) -> list[tuple[Any, Any]]:
    """Every field that is set anywhere in a message, with the message that holds it."""
    found = []
    for field, value in message.ListFields():
        found.append((message, field))
        if field.message_type is not None:
            for inner in value if _several(field) else [value]:
                found += _fields(inner)
    return found


def _several(field: Any) -> bool:
    return bool(field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED)


def _change(holder: Any, field: Any, data: Any) -> None:
    what = data.draw(st.sampled_from(["clear", "set", "double"]))
    several = _several(field)
    if what == "clear":
        holder.ClearField(field.name)
    elif what == "double" and several:
        getattr(holder, field.name).extend(list(getattr(holder, field.name)))
    elif field.message_type is None:
        value = data.draw(st.sampled_from([*VALUES, b"", b"\xff" * 9, 2**62, -5]))
        try:
            if several:
                values = getattr(holder, field.name)
                values[data.draw(st.integers(0, max(len(values) - 1, 0)))] = value
            else:
                setattr(holder, field.name, value)
        except (TypeError, ValueError, IndexError, OverflowError):  # protobuf cannot say this
            pass
