"""What the standard leaves open, or a runtime does in its own way: we do as ONNX Runtime does, in which networks are
deployed. And the types that networks declare for their inputs."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from conformance_tools import session
from onnx_net import Net


def net_of(op, shape, constants, opset=17, **attributes):
    """A network of one operator; "" in `constants` is an input that is left out."""
    net = Net(opset=opset)
    x = net.input("x", shape)
    words = ["" if isinstance(c, str) else net.constant(c) for c in constants]
    return net.out(net.node(op, x, *words, **attributes)).model()


def loss_of(quboprune, *words):
    """The mean squared difference from the targets."""
    report = quboprune.report("eval", "net.onnx", "--data", "data.npz", "--split", "all", "--metric", "loss", "--loss",
                              "mse", *words)
    return report["result"]["metric"]["all"]["dense"]


def expect_as_there(quboprune, model, x):
    """No difference from ONNX Runtime's output, which is returned."""
    path = quboprune.folder / "net.onnx"
    onnx.save(model, path)
    expected = session(path).run(None, {"x": x})[0]
    np.savez(quboprune.folder / "data.npz", inputs=x, targets=expected.astype(np.float32))
    assert loss_of(quboprune) == pytest.approx(0, abs=1e-9)
    return expected


def numbers(*shape):
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("factor, size", [(0.7, 7), (2.3, 23), (0.3, 3), (0.6, 6), (1.5, 15)])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("coordinates", ["half_pixel", "asymmetric"])
def test_resized_by_factors_that_no_float_holds(quboprune, factor, size, mode, coordinates):
    scales = np.array([1, 1, factor, factor], np.float32)
    model = net_of("Resize", [1, 3, 10, 10], ["", scales], mode=mode, coordinate_transformation_mode=coordinates)
    assert expect_as_there(quboprune, model, numbers(1, 3, 10, 10)).shape[2] == size


@pytest.mark.parametrize("factor", [0.5, 0.6, 2])
def test_resized_as_before_opset_11(quboprune, factor):
    model = net_of("Resize", [1, 3, 10, 10], [np.array([1, 1, factor, factor], np.float32)], opset=10, mode="nearest")
    expect_as_there(quboprune, model, numbers(1, 3, 10, 10))


def test_sums_up_to_an_element_do_not_cancel(quboprune):
    model = net_of("CumSum", [1, 5], [np.array(1)], exclusive=1)
    assert expect_as_there(quboprune, model, np.array([[1, 2, 4, 3, 1e30]], np.float32))[0, 4] == 10


@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("last", [0, 1])
def test_the_first_or_last_of_equals(quboprune, op, last):
    net = Net()
    place = net.node(op, net.input("x", [2, 6]), axis=1, select_last_index=last)
    model = net.out(net.node("Cast", place, to=TensorProto.FLOAT)).model()
    expect_as_there(quboprune, model, np.array([[0, 2, 2, 0, 1, 2], [1, 1, 0, 0, 1, 0]], np.float32))


@pytest.mark.parametrize("kind, dtype", [(TensorProto.INT64, np.int64), (TensorProto.INT32, np.int32),
                                         (TensorProto.UINT8, np.uint8)])
def test_whole_numbers_are_divided_as_such(quboprune, kind, dtype):
    net = Net()
    halves = net.node("Div", net.input("x", [1, 4], kind), net.constant(np.array([2], dtype)))
    onnx.save(net.out(net.node("Cast", halves, to=TensorProto.FLOAT)).model(), quboprune.folder / "net.onnx")
    np.savez(quboprune.folder / "data.npz", inputs=np.array([[3, 7, 1, 200]], np.float32),
             targets=np.array([[1, 3, 0, 100]], np.float32))
    assert loss_of(quboprune) == 0


def test_a_whole_number_means_the_same_as_an_option_and_as_an_array(quboprune):
    net = Net()
    x, t = net.input("x", ["n", 3, 4, 4]), net.input("t", [1], TensorProto.INT64)
    half = net.node("Cast", net.node("Div", t, net.ints(2)), to=TensorProto.FLOAT)
    onnx.save(net.out(net.node("Mul", x, half)).model(), quboprune.folder / "net.onnx")
    inputs = numbers(2, 3, 4, 4)
    np.savez(quboprune.folder / "data.npz", inputs=inputs, targets=inputs)
    assert loss_of(quboprune, "--input", "t=3") == 0
    np.savez(quboprune.folder / "data.npz", inputs=inputs, targets=inputs, t=np.full((2, 1), 3))
    assert loss_of(quboprune, "--calibration", "1") == 0


def test_half_types_that_operators_make_are_widened(quboprune):
    net = Net(dtype=np.float16)
    x = net.input("x", [1, 4, 8, 8], TensorProto.FLOAT16)
    filled = net.node("ConstantOfShape", net.node("Shape", x), value=numpy_helper.from_array(np.array([2], np.float16)))
    model = net.out(net.conv(net.node("Mul", x, filled), 4, 4), TensorProto.FLOAT16).model()
    onnx.save(model, quboprune.folder / "net.onnx")
    x = numbers(1, 4, 8, 8).astype(np.float16)
    expected = session(quboprune.folder / "net.onnx").run(None, {"x": x})[0]
    np.savez(quboprune.folder / "data.npz", inputs=x, targets=expected.astype(np.float32))
    assert loss_of(quboprune) < 1e-4  # sums of 36 products, each rounded to 11 bits


@pytest.mark.parametrize("op, constants, attributes", [
    ("Slice", [np.array([0, 0]), np.array([1, 1]), np.array([0, 1]), np.array([1])], {}),
    ("GroupNormalization", [np.zeros(0, np.float32), np.zeros(0, np.float32)], {"num_groups": 2}),
])
def test_what_no_network_has_is_refused(quboprune, op, constants, attributes):
    net = Net(opset=21)
    words = [net.constant(c) for c in constants]
    model = net.out(net.node(op, net.input("x", [1, 4, 8, 8]), *words, **attributes))
    graph = helper.make_graph(model.nodes, "broken", model.inputs, model.outputs, model.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=9)
    onnx.save(model, quboprune.folder / "net.onnx")
    done = quboprune("inspect", "net.onnx")
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1, done.stderr
