"""Small networks and images for the tests, always the same ones."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Builder:
    """Collects nodes and weights; random weights of sensible size, from a fixed seed."""

    def __init__(self, seed=1):
        self.rng = np.random.default_rng(seed)
        self.nodes = []
        self.weights = []

    def weight(self, name, array):
        self.weights.append(numpy_helper.from_array(np.asarray(array, dtype=np.float32), name))
        return name

    def node(self, op, inputs, name, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def conv(self, x, name, inputs, outputs, kernel=3, scale=1.0, **attributes):
        size = (outputs, inputs // attributes.get("group", 1), kernel, kernel)
        spread = scale * np.sqrt(2.0 / (size[1] * kernel * kernel))
        w = self.weight(name + ".weight", self.rng.normal(0, spread, size))
        b = self.weight(name + ".bias", self.rng.normal(0, 0.05, outputs))
        pad = kernel // 2
        return self.node("Conv", [x, w, b], name, kernel_shape=[kernel] * 2, pads=[pad] * 4, **attributes)

    def batch_norm(self, x, name, channels):
        values = {"scale": self.rng.uniform(0.5, 1.5, channels), "bias": self.rng.normal(0, 0.1, channels),
                  "mean": self.rng.normal(0, 0.1, channels), "var": self.rng.uniform(0.5, 1.5, channels)}
        return self.node("BatchNormalization", [x] + [self.weight(f"{name}.{k}", v) for k, v in values.items()], name)

    def model(self, x_shape, y, y_shape, opset=13):
        graph = helper.make_graph(
            self.nodes, "test network", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x_shape)],
            [helper.make_tensor_value_info(y, TensorProto.FLOAT, y_shape)], self.weights, doc_string="made by a test")
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7,
                                  producer_name="quboprune tests")
        helper.set_model_props(model, {"origin": "tests", "note": "ünïcode"})
        onnx.checker.check_model(model)
        return model


def denoiser(channels=8):
    """x - f(x) with f = conv, BN, relu; conv, relu, + skip; 1x1 conv. 2 groups of `channels`: the Add ties
    the first convolution's output to the second's, so those two layers are one group; a third conv is free.
    """
    b = Builder()
    h1 = b.node("Relu", [b.batch_norm(b.conv("x", "first", 3, channels), "norm", channels)], "relu1")
    h2 = b.node("Relu", [b.conv(h1, "middle", channels, channels)], "relu2")
    h3 = b.node("Add", [b.conv(h2, "tied", channels, channels, scale=0.5), h1], "skip")
    noise = b.conv(b.node("Relu", [h3], "relu3"), "head", channels, 3, kernel=1, scale=0.1)
    return b.model(["batch", 3, "height", "width"], b.node("Sub", ["x", noise], "y"), ["batch", 3, "height", "width"])


def chain(channels=10):
    """conv, BN, relu, conv: one layer of free channels."""
    b = Builder(2)
    h = b.node("Relu", [b.batch_norm(b.conv("x", "first", 3, channels), "norm", channels)], "relu")
    return b.model(["batch", 3, "height", "width"], b.conv(h, "y", channels, 3), ["batch", 3, "height", "width"])


def deep(layers=12, channels=4):
    """Convolutions in a row, conv0, conv1, ..."""
    b = Builder(3)
    h = "x"
    for k in range(layers):
        h = b.node("Relu", [b.conv(h, f"conv{k}", channels if k else 3, channels)], f"relu{k}")
    return b.model(["batch", 3, "height", "width"], b.conv(h, "y", channels, 3), ["batch", 3, "height", "width"])


def classifier(channels=8, classes=4):
    """conv, relu, depthwise conv, pool, flatten, fully connected; fixed 16x16 images."""
    b = Builder(3)
    h = b.node("Relu", [b.conv("x", "first", 3, channels)], "relu")
    h = b.node("Relu", [b.conv(h, "depthwise", channels, channels, group=channels)], "relu2")
    h = b.node("MaxPool", [h], "pool", kernel_shape=[2, 2], strides=[2, 2])
    h = b.node("Flatten", [h], "flat", axis=1)
    w = b.weight("fc.weight", b.rng.normal(0, 0.1, (classes, channels * 64)))
    y = b.node("Gemm", [h, w, b.weight("fc.bias", b.rng.normal(0, 0.1, classes))], "y", transB=1)
    return b.model(["batch", 3, 16, 16], y, ["batch", classes])


def unknown_operator():
    """A network with an operator that nobody has."""
    b = Builder(4)
    h = b.conv("x", "first", 3, 8)
    b.nodes.append(helper.make_node("Frobnicate", [h], ["strange"], name="strange", domain="org.example"))
    graph = helper.make_graph(
        b.nodes, "unknown", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("strange", TensorProto.FLOAT, None)], b.weights)
    return helper.make_model(graph, ir_version=7,
                             opset_imports=[helper.make_opsetid("", 13), helper.make_opsetid("org.example", 1)])


def save(model, path):
    path.write_bytes(model.SerializeToString())


def smooth_images(count, size, seed=5):
    """(clean, noisy), float32 [count, 3, size, size]: waves between 0 and 1, and the same with noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    phase, turn = rng.uniform(0, 6.28, (2, count, 3, 1, 1))
    clean = 0.5 + 0.4 * np.sin(phase + 5 * x * np.cos(turn) + 5 * y * np.sin(turn))
    noisy = clean + rng.normal(0, 0.1, clean.shape)
    return clean.astype(np.float32), noisy.astype(np.float32)


def weights_of(model):
    return {w.name: numpy_helper.to_array(w) for w in model.graph.initializer}
