"""ONNX models against figures worked out by hand, and against the PyTorch models that they were exported from."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from opcount import Convention, OpCount, Profile, profile
from opcount.cli import main
from opcount.errors import InputError, TargetError
from opcount.graphs.onnx.reading import read

onnx = pytest.importorskip("onnx")
helper = pytest.importorskip("onnx.helper")
FLOAT, INT64, BOOL, UINT8, INT8 = 1, 7, 9, 2, 3


def made(
    *nodes: Any,
    inputs: dict[str, Any],
    held: Sequence[Any] = (),
    outputs: Sequence[str] = ("y",),
    opset: int = 18,
    **more: Any,
) -> Any:
    """A model of a few nodes; an input is a shape, of floats unless it says otherwise."""
    given = [
        helper.make_tensor_value_info(name, *(shape if isinstance(shape, tuple) else (FLOAT, shape)))
        for name, shape in inputs.items()
    ]
    returned = [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs]
    graph = helper.make_graph(list(nodes), "made", given, returned, initializer=list(held))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], **more)


def node(kind: str, inputs: Sequence[str] = ("x",), outputs: Sequence[str] = ("y",), **attributes: Any) -> Any:
    return helper.make_node(kind, list(inputs), list(outputs), **attributes)


def weight(name: str, *shape: int, kind: int = FLOAT) -> Any:
    return helper.make_tensor(
        name, kind, shape, bytes(torch.Size(shape).numel() * (4 if kind == FLOAT else 1)), raw=True
    )


def numbers(name: str, *values: int) -> Any:
    return helper.make_tensor(name, INT64, [len(values)], values)


def ops(*nodes: Any, convention: Convention = Convention(), **more: Any) -> OpCount:
    counted = profile(made(*nodes, **more), convention=convention)
    assert counted.complete, counted.uncounted
    return counted.ops


X = {"x": [2, 6]}
IMAGE = {"x": [1, 4, 6, 6]}


def cost(mul: int = 0, add: int = 0, div: int = 0, cmp: int = 0, special: int = 0, macs: int = 0) -> OpCount:
    return OpCount(mul, add, div, cmp, special, macs)


CASES: dict[str, tuple[Any, OpCount]] = {
    "MatMul": (dict(nodes=[node("MatMul", ["x", "w"])], inputs=X, held=[weight("w", 6, 5)]), cost(60, 50, macs=60)),
    "Gemm": (
        dict(nodes=[node("Gemm", ["x", "w", "b"], transB=1)], inputs=X, held=[weight("w", 5, 6), weight("b", 5)]),
        cost(60, 60, macs=60),
    ),
    "Gemm, scaled": (
        dict(nodes=[node("Gemm", ["x", "w"], alpha=0.5)], inputs=X, held=[weight("w", 6, 5)]),
        cost(70, 50, macs=60),
    ),
    "Conv": (  # 16 positions, 8 channels, dots of 4/2·9 = 18
        dict(
            nodes=[node("Conv", ["x", "w", "b"], group=2)], inputs=IMAGE, held=[weight("w", 8, 2, 3, 3), weight("b", 8)]
        ),
        cost(2304, 2304, macs=2304),
    ),
    "ConvTranspose": (  # 36·4 inputs times 3·4 taps; each output but the first product to reach it is a sum
        dict(nodes=[node("ConvTranspose", ["x", "w"], strides=[2, 2])], inputs=IMAGE, held=[weight("w", 4, 3, 2, 2)]),
        cost(1728, 1728 - 3 * 144, macs=1728),
    ),
    "Einsum": (
        dict(nodes=[node("Einsum", ["x", "w"], equation="ij,jk->ik")], inputs=X, held=[weight("w", 6, 5)]),
        cost(60, 50, macs=60),
    ),
    "Relu": (dict(nodes=[node("Relu")], inputs=X), cost(cmp=12)),
    "Clip": (dict(nodes=[node("Clip", min=0.0, max=6.0)], inputs=X, opset=6), cost(cmp=24)),
    "HardSwish": (dict(nodes=[node("HardSwish")], inputs=X), cost(12, 12, 12, 24)),
    "Gelu": (dict(nodes=[node("Gelu")], inputs=X, opset=20), cost(36, 12, special=12)),
    "Pow 2": (
        dict(nodes=[node("Pow", ["x", "two"])], inputs=X, held=[helper.make_tensor("two", FLOAT, [], [2.0])]),
        cost(12),
    ),
    "Pow of a tensor": (dict(nodes=[node("Pow", ["x", "x"])], inputs=X), cost(special=12)),
    "Max of three": (dict(nodes=[node("Max", ["x", "x", "x"])], inputs=X), cost(cmp=24)),
    "Mean of three": (dict(nodes=[node("Mean", ["x", "x", "x"])], inputs=X), cost(add=24, div=12)),
    "Equal of whole numbers": (dict(nodes=[node("Equal", ["x", "x"])], inputs={"x": (INT64, [2, 6])}), cost()),
    "Greater": (dict(nodes=[node("Greater", ["x", "x"])], inputs=X), cost(cmp=12)),
    "MaxPool": (dict(nodes=[node("MaxPool", kernel_shape=[2, 2], strides=[2, 2])], inputs=IMAGE), cost(cmp=36 * 3)),
    "AveragePool, padded": (  # 4·3·3 windows of 3x3 by steps of 2: 2, 3, 3 of real elements along an axis
        dict(nodes=[node("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 0, 0])], inputs=IMAGE),
        cost(add=4 * (8 * 8 - 9), div=36),
    ),
    "GlobalAveragePool": (dict(nodes=[node("GlobalAveragePool")], inputs=IMAGE), cost(add=4 * 35, div=4)),
    "BatchNormalization": (
        dict(
            nodes=[node("BatchNormalization", ["x", "a", "b", "m", "v"])],
            inputs=IMAGE,
            held=[weight(name, 4) for name in "abmv"],
        ),
        cost(144, 144),
    ),
    "LayerNormalization": (  # a row of 6: 5+6+5+1+6 sums, 6+6+6 products, 2 quotients, a root
        dict(nodes=[node("LayerNormalization", ["x", "a", "b"])], inputs=X, held=[weight("a", 6), weight("b", 6)]),
        cost(36, 46, 4, special=2),
    ),
    "Softmax": (dict(nodes=[node("Softmax", axis=1)], inputs=X), cost(add=22, div=12, cmp=10, special=12)),
    "Softmax over all axes from one on": (  # before version 13: one row of 36·4
        dict(nodes=[node("Softmax", axis=1)], inputs=IMAGE, opset=11),
        cost(add=144 + 143, div=144, cmp=143, special=144),
    ),
    "ReduceMean": (dict(nodes=[node("ReduceMean", axes=[1], keepdims=0)], inputs=X, opset=13), cost(add=10, div=2)),
    "ReduceSum by an input": (
        dict(nodes=[node("ReduceSum", ["x", "axes"])], inputs=X, held=[numbers("axes", 0)]),
        cost(add=6),
    ),
    "ReduceL2": (
        dict(nodes=[node("ReduceL2", ["x", "axes"])], inputs=X, held=[numbers("axes", 1)]),
        cost(12, 10, special=2),
    ),
    "ArgMax": (dict(nodes=[node("ArgMax", axis=1)], inputs=X), cost(cmp=10)),
    "TopK": (dict(nodes=[node("TopK", ["x", "k"], ["y", "i"])], inputs=X, held=[numbers("k", 2)]), cost(cmp=36)),
    "Resize": (
        dict(
            nodes=[node("Resize", ["x", "", "", "size"], mode="linear")],
            inputs=IMAGE,
            held=[numbers("size", 1, 4, 12, 12)],
        ),
        cost(4 * 576, 3 * 576),
    ),
    "Dropout": (dict(nodes=[node("Dropout")], inputs=X), cost()),
    "LSTM": (  # 3 steps of 2: 8 gates in all, dots of 6 and of 2, summed; then the gates' functions and the cell
        dict(
            nodes=[node("LSTM", ["x", "w", "r"], hidden_size=2)],
            inputs={"x": [3, 2, 6]},
            held=[weight("w", 1, 8, 6), weight("r", 1, 8, 2)],
        ),
        cost(48 * 8 + 12 * 3, 48 * 6 + 48 + 36 + 12, 36, special=36 + 24, macs=48 * 8),
    ),
    "MatMulInteger": (
        dict(
            nodes=[node("MatMulInteger", ["x", "w"])],
            inputs={"x": (UINT8, [2, 6])},
            held=[weight("w", 6, 5, kind=INT8)],
        ),
        cost(60, 50, macs=60),
    ),
    "QuantizeLinear": (
        dict(
            nodes=[node("QuantizeLinear", ["x", "s", "z"])],
            inputs=X,
            held=[helper.make_tensor("s", FLOAT, [], [0.1]), helper.make_tensor("z", UINT8, [], [0])],
        ),
        cost(add=12, div=12, cmp=24),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_operator_costs_what_its_definition_says(name: str) -> None:
    model, expected = CASES[name]
    assert ops(*model.pop("nodes"), **model) == expected


def test_conventions_hold() -> None:
    model = dict(inputs=IMAGE, held=[weight("w", 1, 4, 3, 3), weight("b", 1)])
    padded = node("Conv", ["x", "w", "b"], pads=[1, 1, 1, 1])
    assert ops(padded, convention=Convention(bias=False), **model).additions == 36 * 35
    # 3 taps along an axis, 2 at either end: 16 of 18
    assert ops(padded, convention=Convention(zero_padding=False), **model).macs == 16 * 16 * 4


def test_by_width_what_quantized_operators_do() -> None:
    model = made(
        node("QLinearConv", ["x", "sx", "zx", "w", "sw", "zw", "sy", "zy"]),
        inputs={"x": (UINT8, [1, 4, 6, 6])},
        held=[
            weight("w", 2, 4, 3, 3, kind=INT8),
            *(helper.make_tensor(name, FLOAT, [], [0.1]) for name in ("sx", "sw", "sy")),
            *(helper.make_tensor(name, kind, [], [0]) for name, kind in (("zx", UINT8), ("zw", INT8), ("zy", UINT8))),
        ],
    )
    counted = profile(model)
    assert counted.by_dtype["int8"].multiplications == counted.macs == 16 * 2 * 36
    assert counted.by_dtype["int32"].additions == 16 * 2 * 35
    assert counted.by_dtype["float32"] == OpCount(multiplications=32, additions=32, comparisons=64)


OPEN = {"x": ["batch", 6]}


def test_an_open_dimension_wants_a_size() -> None:
    model = made(node("Relu"), inputs=OPEN)
    with pytest.raises(InputError, match=r"the input 'x' has an open dimension 'batch' \(axis 0\)"):
        profile(model)
    assert profile(model, (8, 6)).comparisons == 48
    assert profile(model, {"x": (3, 6)}).comparisons == 18
    with pytest.raises(InputError, match="axis 1 of the input 'x' is fixed at 6"):
        profile(model, (8, 7))


def test_dimensions_of_one_name_are_equal() -> None:
    model = made(node("Add", ["x", "z"]), inputs={"x": ["n", 6], "z": ["n", 6]})
    assert profile(model, ((4, 6), (4, 6))).additions == 24
    with pytest.raises(InputError, match="axis 0 of z is n, and so is an axis of x: 5 and 4 differ"):
        profile(model, ((4, 6), (5, 6)))


def test_shapes_that_the_model_works_out_are_followed() -> None:
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "zero"], ["n"]),
        node("Div", ["n", "two"], ["half"]),
        node("Concat", ["two", "half", "rest"], ["shape"], axis=0),
        node("Reshape", ["x", "shape"], ["r"]),
        node("Softmax", ["r"]),
    ]
    model = made(*nodes, inputs=OPEN, held=[numbers("zero", 0), numbers("two", 2), numbers("rest", -1)])
    assert profile(model, (8, 6)).divisions == 48
    assert profile(model, (8, 6)).complete


def test_what_has_no_rule_is_uncounted_by_name() -> None:
    counted = profile(made(node("Det"), inputs={"x": [3, 3]}))
    assert [(item.name, item.path) for item in counted.uncounted] == [("onnx.Det", "Det_0")]
    custom = profile(made(helper.make_node("Twist", ["x"], ["y"], domain="my.ops"), inputs=X))
    assert [item.name for item in custom.uncounted] == ["onnx.my.ops.Twist"]


def test_what_depends_on_an_unknown_shape_is_uncounted() -> None:
    counted = profile(
        made(node("NonZero", ["x"], ["n"]), node("Cast", ["n"], ["f"], to=FLOAT), node("Exp", ["f"]), inputs=X)
    )
    assert [item.name for item in counted.uncounted] == ["onnx.Exp"]
    assert counted.comparisons == 12


def branch(name: str, kind: str) -> Any:
    return helper.make_graph(
        [node(kind, ["x"], [name])], name, [], [helper.make_tensor_value_info(name, FLOAT, [2, 6])]
    )


def test_a_branch_counts_if_it_is_known_which() -> None:
    both = {"then_branch": branch("t", "Exp"), "else_branch": branch("e", "Relu")}
    known = made(node("If", ["c"], **both), inputs=X, held=[helper.make_tensor("c", BOOL, [], [False])])
    assert profile(known).ops == OpCount(comparisons=12)
    unknown = profile(made(node("If", ["c"], ["z"], **both), node("Exp", ["z"]), inputs={**X, "c": (BOOL, [])}))
    assert [item.name for item in unknown.uncounted] == ["onnx.If"]
    assert unknown.transcendentals == 12


@pytest.mark.parametrize("known", [True, False])
def test_a_loop_counts_its_turns_if_they_are_known(known: bool) -> None:
    info = helper.make_tensor_value_info
    body = helper.make_graph(
        [node("Identity", ["c"], ["c_out"]), node("Exp", ["s"], ["s_out"])],
        "body",
        [info("i", INT64, []), info("c", BOOL, []), info("s", FLOAT, [2, 6])],
        [info("c_out", BOOL, []), info("s_out", FLOAT, [2, 6])],
    )
    held = [helper.make_tensor("go", BOOL, [], [True]), *([helper.make_tensor("m", INT64, [], [5])] if known else [])]
    model = made(
        node("Loop", ["m", "go", "x"], body=body), inputs={**X, **({} if known else {"m": (INT64, [])})}, held=held
    )
    counted = profile(model)
    assert counted.transcendentals == (60 if known else 0)
    assert [item.name for item in counted.uncounted] == ([] if known else ["onnx.Loop"])


def test_functions_of_the_model_are_put_in_place() -> None:
    twice = helper.make_function(
        "my.ops",
        "Twice",
        ["a"],
        ["b"],
        [node("Exp", ["a"], ["e"]), node("Exp", ["e"], ["b"])],
        [helper.make_opsetid("", 18)],
    )
    model = made(helper.make_node("Twice", ["x"], ["y"], domain="my.ops"), inputs=X, functions=[twice])
    model.opset_import.append(helper.make_opsetid("my.ops", 1))
    assert profile(model).transcendentals == 24


def test_weights_in_other_files_are_not_needed(tmp_path: Path) -> None:
    model = made(node("MatMul", ["x", "w"]), inputs={"x": [2, 600]}, held=[weight("w", 600, 50)])
    path = tmp_path / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights.bin")
    (tmp_path / "weights.bin").unlink()
    counted = profile(read(str(path)))
    assert (counted.macs, counted.params) == (60_000, 30_000)


def test_a_parameter_of_one_number_is_a_parameter_and_a_factor_is_none() -> None:
    convolution = node("Conv", ["x", "w", "b"], ["c"], kernel_shape=[3, 3])
    scaled = made(
        convolution,
        node("Mul", ["c", "s"]),
        inputs={"x": [1, 1, 5, 5]},
        held=[weight("w", 1, 1, 3, 3), weight("b", 1), weight("s", 1)],
    )
    counted = profile(scaled)
    assert (counted.params, counted.macs, counted.multiplications, counted.additions) == (10, 81, 90, 81)


def test_what_is_no_onnx_model_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.onnx"
    with pytest.raises(TargetError, match="cannot be read"):
        read(str(path))
    for contents in (b"", b"hello, this is no model", bytes(range(256)) * 9):
        path.write_bytes(contents)
        with pytest.raises(TargetError, match="is no ONNX model, or is damaged"):
            read(str(path))
        assert main([str(path)]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_the_model_is_not_touched() -> None:
    model = made(node("Exp"), inputs=OPEN)
    before = model.SerializeToString()
    profile(model, (2, 6))
    assert model.SerializeToString() == before


def test_a_model_is_a_target(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(made(node("Relu", name="act.first"), inputs=OPEN), path)
    assert main([str(path)]) == 2
    assert "open dimension 'batch'" in capsys.readouterr().err
    assert main([str(path), "--batch", "8", "--format", "json"]) == 0
    assert Profile.from_json(capsys.readouterr().out).comparisons == 48
    assert main([str(path), "--input", "4,6"]) == 0


class Net(nn.Module):
    """A folded norm, attention, and what several versions write in their own words."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.Hardswish())
        self.norm = nn.LayerNorm(36)
        self.head = nn.Linear(36, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.stem(x).flatten(2))
        head = x.unsqueeze(1)
        x = x + F.scaled_dot_product_attention(head, head, head).squeeze(1)
        return self.head(F.gelu(x).mean(1))


@pytest.mark.parametrize("dynamo", [True, False])
def test_an_exported_model_counts_as_the_live_one_but_for_what_was_changed(dynamo: bool, tmp_path: Path) -> None:
    if dynamo:
        pytest.importorskip("onnxscript")
    logging.disable(logging.CRITICAL)
    model = Net().eval()
    with torch.no_grad():
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if tensor.ndim == 1:
                tensor.uniform_(0.5, 1.5) if "var" in name else tensor.uniform_(0.1, 0.2)
        torch.onnx.export(
            model, (torch.zeros(2, 3, 6, 6),), tmp_path / "net.onnx", dynamo=dynamo, opset_version=20, verbose=False
        )
    logging.disable(logging.NOTSET)
    live, counted = profile(model, (2, 3, 6, 6)), profile(read(str(tmp_path / "net.onnx")))
    assert counted.complete
    folded = 2 * 8 * 36  # the norm's product; its sum has become the convolution's bias
    scores, halves = 2 * 8 * 8, 2 * 2 * 8 * 36  # the scale is on query and key, not on the scores
    assert counted.ops == live.ops + OpCount(multiplications=halves - scores - folded)
    assert counted["head"].ops == live["head"].ops
    assert counted["norm"].ops == live["norm"].ops
