"""A network written down node by node, for the tests: random weights of sensible size, from a fixed seed."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Net:
    """Nodes and weights as they are added; every method returns the name of its output."""

    def __init__(self, seed=1, opset=17, dtype=np.float32):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.weights, self.inputs, self.outputs = [], [], [], []
        self.opset, self.dtype = opset, dtype
        self.domains = {}

    def input(self, name, shape, kind=TensorProto.FLOAT):
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def constant(self, array, name=None):
        name = name or f"const{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def ints(self, *values):
        return self.constant(np.array(values, np.int64))

    def weight(self, *shape, name=None, scale=None):
        spread = scale if scale is not None else np.sqrt(1.5 / max(1, int(np.prod(shape[1:]))))
        return self.constant(self.rng.normal(0, spread, shape).astype(self.dtype), name)

    def positive(self, *shape):
        return self.constant(self.rng.uniform(0.5, 1.5, shape).astype(self.dtype))

    def node(self, op, *inputs, outputs=1, domain="", **attributes):
        made = [f"{op.lower()}{len(self.nodes)}" + (f"_{k}" if outputs > 1 else "") for k in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), made, name=f"{op}_{len(self.nodes)}", domain=domain, **attributes))
        if domain:
            self.domains[domain] = 1
        return made[0] if outputs == 1 else made

    def conv(self, x, inputs, outputs, kernel=3, rank=2, group=1, bias=True, **attributes):
        words = [x, self.weight(outputs, inputs // group, *[kernel] * rank)]
        if bias:
            words.append(self.weight(outputs, scale=0.1))
        if "auto_pad" not in attributes:
            attributes.setdefault("pads", [kernel // 2] * 2 * rank)
        return self.node("Conv", *words, group=group, **attributes)

    def relu(self, x):
        return self.node("Relu", x)

    def norm(self, x, channels):
        return self.node("BatchNormalization", x, self.positive(channels), self.weight(channels, scale=0.1),
                         self.weight(channels, scale=0.1), self.positive(channels))

    def gemm(self, x, inputs, outputs):
        return self.node("Gemm", x, self.weight(outputs, inputs), self.weight(outputs, scale=0.1), transB=1)

    def out(self, value, kind=TensorProto.FLOAT, shape=None):
        self.outputs.append(helper.make_tensor_value_info(value, kind, shape))
        return self

    def model(self, ir=9):
        graph = helper.make_graph(self.nodes, "brought", self.inputs, self.outputs, self.weights)
        opsets = [helper.make_opsetid("", self.opset)] + [helper.make_opsetid(d, v) for d, v in self.domains.items()]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=ir)
        # Outputs with the sizes that ONNX itself infers, as exporters write them.
        inferred = {v.name: v for v in onnx.shape_inference.infer_shapes(model).graph.output}
        for value in model.graph.output:
            value.CopyFrom(inferred[value.name])
        return model


def image(net, channels=3, size=32, name="x"):
    return net.input(name, ["n", channels, size, size])
