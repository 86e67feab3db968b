"""Networks in every form that files take: cut at random, they load in ONNX Runtime and agree, and what pruning
doesn't touch comes out as it came."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import networks
from conformance_tools import run_tool
from test_shared_models import agrees

OPSETS = [7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26]


def plain(opset=13, ir=8, dtype=np.float32):
    """conv, relu, split in halves, conv on one, concat, add, conv; 3 to 3 channels of any size."""
    rng = np.random.default_rng(5)
    weights, nodes = [], []

    def weight(name, shape):
        values = rng.normal(0, np.sqrt(1 / max(1, np.prod(shape[1:]))), shape)
        weights.append(numpy_helper.from_array(values.astype(dtype), name))
        return name

    def conv(x, y, inputs, outputs):
        nodes.append(helper.make_node("Conv", [x, weight(y + ".w", (outputs, inputs, 3, 3)), weight(y + ".b", (outputs,))],
                                      [y], name=y, pads=[1] * 4, doc_string=f"about {y}"))

    conv("x", "a", 3, 8)
    nodes.append(helper.make_node("Relu", ["a"], ["r"], name="relu"))
    split = {"axis": 1}
    if opset >= 18:
        split["num_outputs"] = 2
    nodes.append(helper.make_node("Split", ["r"], ["s", "t"], name="split", **split))
    conv("s", "u", 4, 4)
    nodes.append(helper.make_node("Concat", ["t", "u"], ["c"], name="concat", axis=1))
    nodes.append(helper.make_node("Add", ["c", "r"], ["sum"], name="sum"))
    conv("sum", "y", 8, 3)
    kind = TensorProto.FLOAT16 if dtype == np.float16 else TensorProto.FLOAT
    shape = ["n", 3, "h", "w"]
    graph = helper.make_graph(nodes, "forms", [helper.make_tensor_value_info("x", kind, shape)],
                              [helper.make_tensor_value_info("y", kind, shape)], weights, doc_string="a graph")
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir, doc_string="a model",
                              producer_name="tests", producer_version="1", model_version=3, domain="org.example")
    helper.set_model_props(model, {"origin": "tests, ünïcode"})
    return model


def cut(model, tmp_path, name="net.onnx", **save):
    path = tmp_path / name
    onnx.save(model, path, **save)
    out = tmp_path / "cut.onnx"
    result = run_tool("slice_model", path, out, 0.4, 2)
    assert result["removed"] > 0
    assert result["equivalence"]["holds"], result["equivalence"]
    agrees(out, tmp_path / "case")
    return onnx.load(out)


@pytest.mark.parametrize("opset", OPSETS)
def test_opset(opset, tmp_path):
    out = cut(plain(opset, ir=3 if opset < 9 else 10), tmp_path) if opset >= 9 else cut(with_inputs(plain(opset, 3)), tmp_path)
    assert out.opset_import[0].version == opset


def with_inputs(model):
    """Initialisers listed as inputs too, as before IR version 4."""
    for tensor in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    return model


def test_initialisers_that_are_inputs(tmp_path):
    out = cut(with_inputs(plain(ir=3)), tmp_path)
    sizes = {t.name: list(t.dims) for t in out.graph.initializer}
    for value in out.graph.input:
        if value.name in sizes:
            assert [d.dim_value for d in value.type.tensor_type.shape.dim] == sizes[value.name]


def test_constant_nodes_as_weights(tmp_path):
    model = plain()
    nodes = [helper.make_node("Constant", [], [t.name], value=t) for t in model.graph.initializer]
    nodes += list(model.graph.node)
    del model.graph.initializer[:]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    out = cut(model, tmp_path)
    weight = next(n for n in out.graph.node if n.op_type == "Constant" and n.output[0] == "a.w")
    assert weight.attribute[0].t.dims[0] < 8


def test_unnamed_nodes(tmp_path):
    model = plain()
    for node in model.graph.node:
        node.name = ""
    assert all(node.name == "" for node in cut(model, tmp_path).graph.node)


def test_names_with_any_character(tmp_path):
    model = plain()
    for node in model.graph.node:
        node.name = f"ein/Knoten: „{node.name}“ \t{{0}}%s"
    cut(model, tmp_path)


def test_external_data(tmp_path):
    out = cut(plain(), tmp_path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert all(t.data_location == TensorProto.DEFAULT for t in out.graph.initializer)


def test_half_precision(tmp_path):
    out = cut(plain(dtype=np.float16), tmp_path)
    assert {t.data_type for t in out.graph.initializer if t.name.endswith(".w")} == {TensorProto.FLOAT16}


def test_value_info_follows(tmp_path):
    out = cut(onnx.shape_inference.infer_shapes(plain()), tmp_path)
    onnx.checker.check_model(out, full_check=True)


def test_local_functions_are_inlined(tmp_path):
    model = plain(opset=18)
    body = [helper.make_node("Relu", ["p"], ["q"], name="inner"),
            helper.make_node("LeakyRelu", ["q"], ["r"], name="leak")]
    alpha = body[1].attribute.add()
    alpha.name, alpha.ref_attr_name, alpha.type = "alpha", "slope", onnx.AttributeProto.FLOAT
    function = helper.make_function("my", "Activate", ["p"], ["r"], body, [helper.make_opsetid("", 18)], ["slope"])
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("my", 1))
    relu = model.graph.node[1]
    relu.op_type, relu.domain = "Activate", "my"
    relu.attribute.append(helper.make_attribute("slope", 0.2))
    out = cut(model, tmp_path)
    assert not out.functions
    leak = next(n for n in out.graph.node if n.op_type == "LeakyRelu")
    assert leak.attribute[0].f == np.float32(0.2)


def test_what_pruning_does_not_touch_stays(tmp_path):
    model = plain()
    out = cut(model, tmp_path)
    for field in ("ir_version", "producer_name", "producer_version", "domain", "model_version", "doc_string"):
        assert getattr(out, field) == getattr(model, field)
    assert out.graph.doc_string == "a graph"
    assert [n.name for n in out.graph.node] == [n.name for n in model.graph.node]
    assert [n.doc_string for n in out.graph.node] == [n.doc_string for n in model.graph.node]
    assert {p.key: p.value for p in model.metadata_props}.items() <= {p.key: p.value for p in out.metadata_props}.items()
    assert out.graph.input == model.graph.input
    assert out.graph.output == model.graph.output


def test_cutting_nothing_changes_nothing(tmp_path):
    path, out = tmp_path / "net.onnx", tmp_path / "out.onnx"
    networks.save(plain(), path)
    run_tool("slice_model", path, out, 0, 1)
    assert onnx.load(out) == onnx.load(path)
