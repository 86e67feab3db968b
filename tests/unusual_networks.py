"""Small networks of kinds that are rarer than those of brought_networks.py: quantised in part, of other number
types, with subgraphs. `UNUSUAL` are run as they are; `WITH_SUBGRAPHS` hold operators that aren't run here, and
begin with a convolution of which some filters are dead."""

import ml_dtypes
import numpy as np
from onnx import TensorProto, helper, numpy_helper

from onnx_net import Net, image

UNUSUAL, WITH_SUBGRAPHS = {}, {}


def unusual(make):
    UNUSUAL[make.__name__] = make
    return make


def with_subgraph(make):
    WITH_SUBGRAPHS[make.__name__] = make
    return make


@unusual
def wavelets_there_and_back():
    """A group of the way back reads four channels and gives one."""
    n = Net()
    signs = np.array([[[1, 1], [1, 1]], [[1, -1], [1, -1]], [[1, 1], [-1, -1]], [[1, -1], [-1, 1]]], np.float32) / 2
    haar = n.constant(np.tile(signs[:, None], (10, 1, 1, 1)))
    h = n.relu(n.conv(image(n), 3, 10))
    bands = n.node("Conv", h, haar, group=10, strides=[2, 2])
    back = n.node("ConvTranspose", n.relu(bands), n.constant(np.tile(signs[:, None], (10, 1, 1, 1))), n.weight(10),
                  group=10, strides=[2, 2])
    return n.out(n.conv(n.node("Add", h, back), 10, 3)).model()


@unusual
def one_output_a_group():
    n = Net()
    h = n.relu(n.conv(image(n), 3, 24))
    h = n.relu(n.conv(h, 24, 8, group=8))
    h = n.node("ConvTranspose", h, n.weight(8, 3, 2, 2), group=8, strides=[2, 2])
    return n.out(n.conv(n.relu(h), 24, 3)).model()


@unusual
def groups_that_begin_and_end_the_network():
    """Those of its input and of its output stay: all of them lose the same channels."""
    n = Net()
    h = n.relu(n.conv(image(n), 3, 24, group=3))
    return n.out(n.conv(n.relu(n.conv(h, 24, 32)), 32, 8, group=8)).model()


@unusual
def resized_along_named_axes():
    n = Net(opset=18)
    h = n.relu(n.conv(image(n, size=8), 3, 12))
    h = n.node("Resize", h, "", "", n.ints(16, 12, 16), axes=[2, 1, 3], mode="nearest")
    return n.out(n.conv(h, 12, 3)).model()


@unusual
def one_list_of_sizes_for_two_of_which_one_stays_whole():
    """Exporters keep one of equal lists; a mean over the channels of one reader says nothing of the other's."""
    n = Net()
    h = n.relu(n.conv(image(n), 3, 12))
    rows = [n.node("Slice", n.node("Shape", h), n.ints(axis), n.ints(axis + 1), n.ints(0)) for axis in (0, 2, 3)]
    list_of_both = n.node("Concat", rows[0], n.ints(12), rows[1], rows[2], axis=0)
    a, b = (n.node("Reshape", n.relu(n.conv(h, 12, 12)), list_of_both) for _ in range(2))
    h = n.node("Mul", n.relu(n.conv(a, 12, 8)), n.node("ReduceMean", b, axes=[1], keepdims=1))
    return n.out(n.conv(h, 8, 3)).model()


# The operator Attention -----------------------------------------------------------------------------------


def tokens(net, features):
    """An image as 16 tokens."""
    h = net.relu(net.conv(image(net, size=16), 3, features, kernel=4, strides=[4, 4], pads=[0] * 4))
    return net.node("Transpose", net.node("Reshape", h, net.ints(0, features, 16)), perm=[0, 2, 1])


@unusual
def attention_of_grouped_heads_with_a_mask_for_each():
    n = Net(opset=23)
    t = tokens(n, 12)
    q, k, v = (n.node("MatMul", t, n.weight(12, width)) for width in (24, 12, 8))
    y = n.node("Attention", q, k, v, n.weight(4, 16, 16), q_num_heads=4, kv_num_heads=2, softcap=5.0)
    y = n.node("Add", t, n.node("MatMul", y, n.weight(16, 12)))
    return n.out(n.node("MatMul", n.relu(n.node("MatMul", y, n.weight(12, 20))), n.weight(20, 3))).model(ir=11)


@unusual
def attention_with_an_axis_of_heads():
    n = Net(opset=23)
    t = tokens(n, 12)
    heads = [n.node("Transpose", n.node("Reshape", n.node("MatMul", t, n.weight(12, 4 * each)), n.ints(0, 16, 4, each)),
                    perm=[0, 2, 1, 3]) for each in (3, 3, 2)]
    y = n.node("Transpose", n.node("Attention", *heads, is_causal=1), perm=[0, 2, 1, 3])
    y = n.node("MatMul", n.node("Reshape", y, n.ints(0, 16, 8)), n.weight(8, 12))
    return n.out(n.node("MatMul", n.relu(n.node("Add", t, y)), n.weight(12, 3))).model(ir=11)


@unusual
def attention_of_one_head():
    """The channels of q and k go one by one; the scale stays that of all of them."""
    n = Net(opset=23)
    t = tokens(n, 12)
    q, k, v = (n.node("MatMul", t, n.weight(12, width)) for width in (6, 6, 10))
    mask = n.constant(np.tril(np.ones((16, 16), bool)))
    y = n.node("Attention", q, k, v, mask, q_num_heads=1, kv_num_heads=1)
    return n.out(n.node("MatMul", y, n.weight(10, 3))).model(ir=11)


# Channels on other axes than the second -------------------------------------------------------------------


@unusual
def pieces_folded_into_a_fixed_batch():
    """Works at a batch of one alone, as exports with static shapes do."""
    n = Net()
    h = n.conv(n.relu(n.conv(n.input("x", [1, 3, 16, 16]), 3, 8)), 8, 8)
    h = n.node("Transpose", n.node("Reshape", h, n.ints(64, 2, 8, 2)), perm=[0, 2, 1, 3])
    h = n.node("Reshape", h, n.ints(1, 8, 16, 16))
    return n.out(n.conv(n.relu(n.conv(n.relu(n.conv(h, 8, 10)), 10, 10)), 10, 3)).model()


@unusual
def positions_mixed_while_rows_are_channels():
    """A matrix works along the positions, as in MLP-Mixer: cutting channels cuts its rows."""
    n = Net()
    h = n.relu(n.conv(n.relu(n.conv(image(n, size=12), 3, 8)), 8, 10))
    t = n.node("Reshape", h, n.ints(0, -1, 144))
    t = n.node("MatMul", n.relu(n.node("MatMul", t, n.weight(144, 20))), n.weight(20, 144))
    return n.out(n.conv(n.node("Reshape", t, n.ints(0, -1, 12, 12)), 10, 3)).model()


@unusual
def weights_standardised_by_a_batch_norm():
    """One convolution's weights pass through a batch norm in training mode, which averages over its inputs."""
    n = Net()
    h = n.relu(n.conv(n.relu(n.conv(image(n), 3, 8)), 8, 10))
    zeros, ones = (n.constant(np.full(10, value, np.float32)) for value in (0, 1))
    w = n.node("BatchNormalization", n.node("Reshape", n.weight(10, 10, 3, 3), n.ints(1, 10, -1)), n.positive(10),
               zeros, zeros, ones, outputs=3, training_mode=1, momentum=1.0)[0]
    h = n.node("Conv", h, n.node("Reshape", w, n.ints(10, 10, 3, 3)), pads=[1] * 4)
    return n.out(n.conv(n.relu(h), 10, 3)).model()


@unusual
def transposed_to_output_shapes():
    """The odd row that an output shape cuts off is the first one, but for SAME_UPPER."""
    n = Net()
    h = n.relu(n.conv(image(n, size=12), 3, 8))
    h = n.relu(n.node("ConvTranspose", h, n.weight(8, 10, 3, 3, scale=0.2), strides=[2, 2], output_shape=[24, 24]))
    h = n.relu(n.node("ConvTranspose", h, n.weight(10, 4, 3, 3, scale=0.2), strides=[2, 2], output_shape=[48, 48], group=2))
    h = n.node("ConvTranspose", h, n.weight(8, 8, 3, 3, scale=0.2), strides=[2, 2], output_shape=[96, 96],
               auto_pad="SAME_UPPER")
    return n.out(n.conv(n.relu(h), 8, 3)).model()


@unusual
def one_number_a_sample():
    n = Net()
    h = n.conv(n.relu(n.conv(n.relu(n.conv(image(n, size=12), 3, 8)), 8, 10)), 10, 1)
    return n.out(n.node("ReduceMean", h, axes=[1, 2, 3], keepdims=0)).model()


# Quantised in part ----------------------------------------------------------------------------------------


def through_bytes(n, x, scale=0.05, zero=128):
    """A tensor as it is after it was stored in 8 bits."""
    words = n.constant(np.float32(scale)), n.constant(np.uint8(zero))
    return n.node("DequantizeLinear", n.node("QuantizeLinear", x, *words), *words)


def quantised_conv(n, x, inputs, outputs):
    w = n.constant(n.rng.integers(-127, 127, (outputs, inputs, 3, 3)).astype(np.int8))
    scales = n.constant(n.rng.uniform(0.001, 0.003, outputs).astype(np.float32))
    w = n.node("DequantizeLinear", w, scales, n.constant(np.zeros(outputs, np.int8)), axis=0)
    return n.node("Conv", x, w, pads=[1] * 4)


@unusual
def quantised_in_the_middle():
    n = Net()
    h = n.relu(n.conv(n.relu(n.conv(image(n), 3, 8)), 8, 8))
    h = n.relu(quantised_conv(n, through_bytes(n, h), 8, 8))
    return n.out(n.conv(n.relu(n.conv(h, 8, 8)), 8, 3)).model()


def all_quantised():
    n = Net()
    h = through_bytes(n, image(n))
    for inputs, outputs in ((3, 8), (8, 3)):
        h = through_bytes(n, n.relu(quantised_conv(n, h, inputs, outputs)))
    return n.out(h).model()


@unusual
def integer_convolution_between_floats():
    n = Net()
    h = n.relu(n.conv(n.relu(n.conv(image(n), 3, 8)), 8, 8))
    q, scale, zero = n.node("DynamicQuantizeLinear", h, outputs=3)
    w = n.constant(n.rng.integers(-9, 9, (8, 8, 3, 3)).astype(np.int8))
    h = n.node("Cast", n.node("ConvInteger", q, w, zero, pads=[1] * 4), to=TensorProto.FLOAT)
    h = n.node("Mul", h, n.node("Mul", scale, n.constant(np.float32(0.01))))
    return n.out(n.conv(n.relu(n.conv(h, 8, 8)), 8, 3)).model()


@unusual
def weights_of_four_bits_in_the_middle():
    n = Net(opset=21)
    h = n.relu(n.conv(n.relu(n.conv(image(n), 3, 8)), 8, 8))
    n.weights.append(helper.make_tensor("codes", TensorProto.INT4, [8, 8, 3, 3], n.rng.integers(-8, 7, 576)))
    w = n.node("DequantizeLinear", "codes", n.constant(n.rng.uniform(0.01, 0.03, 8).astype(np.float32)), axis=0)
    h = n.relu(n.node("Conv", h, w, pads=[1] * 4))
    return n.out(n.conv(n.relu(n.conv(h, 8, 8)), 8, 3)).model(ir=10)


# Other number types, and ways to store ----------------------------------------------------------------------


@unusual
def bfloat16_weights():
    n = Net(dtype=ml_dtypes.bfloat16)
    h = image(n)
    for inputs, outputs in ((3, 8), (8, 8), (8, 3)):
        w = n.node("Cast", n.weight(outputs, inputs, 3, 3), to=TensorProto.FLOAT)
        h = n.relu(n.node("Conv", h, w, pads=[1] * 4))
    return n.out(h).model()


@unusual
def half_precision_residual():
    n = Net(dtype=np.float16)
    h = n.relu(n.conv(n.input("x", ["n", 3, 32, 32], TensorProto.FLOAT16), 3, 8))
    h = n.relu(n.node("Add", h, n.conv(n.relu(n.norm(n.conv(h, 8, 8), 8)), 8, 8)))
    h = n.node("PRelu", h, n.positive(8, 1, 1))
    return n.out(n.conv(h, 8, 3), TensorProto.FLOAT16).model()


def sparse(shape, places, rng, by_axis=False):
    """Some values at places of the flat tensor, or the same with a coordinate an axis."""
    values = helper.make_tensor("sparse", TensorProto.FLOAT, [len(places)], rng.normal(0, 1, len(places)))
    if by_axis:
        places = np.stack(np.unravel_index(places, shape), 1)
    indices = helper.make_tensor("places", TensorProto.INT64, np.shape(places), np.ravel(places))
    return helper.make_sparse_tensor(values, indices, shape)


@unusual
def sparse_weights():
    n = Net()
    h = n.relu(n.conv(image(n), 3, 8))
    h = n.relu(n.node("Conv", h, "sparse", pads=[1] * 4))
    scale = n.node("Constant", sparse_value=sparse([1, 8, 1, 1], np.array([0, 2, 3, 7]), n.rng))
    model = n.out(n.conv(n.node("Mul", h, scale), 8, 3), shape=["n", 3, 32, 32])
    graph = helper.make_graph(n.nodes, "sparse", n.inputs, model.outputs, n.weights,
                              sparse_initializer=[sparse([8, 8, 3, 3], np.arange(3, 576, 7), n.rng, by_axis=True)])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@unusual
def slopes_and_norms_shared_by_layers():
    n = Net()
    slope, norm = n.positive(8, 1, 1), [n.positive(8) for _ in range(4)]
    h = image(n)
    for inputs in (3, 8, 8):
        h = n.node("PRelu", n.node("BatchNormalization", n.conv(h, inputs, 8), *norm), slope)
    return n.out(n.conv(h, 8, 3)).model()


@unusual
def sizes_declared_wrongly():
    n = Net()
    h = n.relu(n.conv(image(n), 3, 8))
    model = n.out(n.conv(n.relu(n.conv(h, 8, 8)), 8, 3)).model()
    model.graph.output[0].type.tensor_type.shape.dim[2].dim_value = 77
    return model


@unusual
def weight_and_input_are_outputs_too():
    n = Net()
    x = image(n)
    h = n.relu(n.conv(x, 3, 8))
    weight = n.weights[0].name
    model = n.out(n.conv(n.relu(n.conv(h, 8, 8)), 8, 3)).model()
    model.graph.output.append(helper.make_tensor_value_info(weight, TensorProto.FLOAT, [8, 3, 3, 3]))
    model.graph.output.append(helper.make_tensor_value_info(x, TensorProto.FLOAT, ["n", 3, 32, 32]))
    return model


# Subgraphs ------------------------------------------------------------------------------------------------


def dead_filters(net, x, inputs, outputs, dead):
    """A convolution and Relu of which some filters are always 0: what any criterion should remove first."""
    h = net.relu(net.conv(x, inputs, outputs))
    for k in (-2, -1):
        array = numpy_helper.to_array(net.weights[k]).copy()
        array[list(dead)] = 0
        net.weights[k].CopyFrom(numpy_helper.from_array(array, net.weights[k].name))
    return h


def branch(name, nodes, output):
    return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)])


def is_bright(n, x):
    return n.node("Greater", n.node("ReduceMean", x, keepdims=0), n.constant(np.float32(0.5)))


@unusual
def reader_of_text():
    """A convolutional recurrent network, as readers of text are: an LSTM both ways, then a GRU backwards."""
    n = Net()
    h = n.relu(n.conv(n.input("x", [1, 1, 8, 32]), 1, 8))
    h = n.conv(h, 8, 6)
    h = n.node("Transpose", n.node("Reshape", h, n.ints(1, 48, 32)), perm=[2, 0, 1])
    y, _, _ = n.node("LSTM", h, n.weight(2, 24, 48), n.weight(2, 24, 6), n.weight(2, 48), outputs=3, hidden_size=6,
                     direction="bidirectional")
    h = n.node("Reshape", n.node("Transpose", y, perm=[0, 2, 1, 3]), n.ints(32, 1, 12))
    _, last = n.node("GRU", h, n.weight(1, 15, 12), n.weight(1, 15, 5), outputs=2, hidden_size=5, direction="reverse",
                     linear_before_reset=1, activations=["hardsigmoid", "LeakyRelu"], activation_alpha=[0.3, 0.1],
                     activation_beta=[0.4])
    return n.out(n.gemm(n.relu(n.gemm(n.node("Reshape", last, n.ints(-1, 5)), 5, 12)), 12, 3)).model()


@with_subgraph
def ends_in_if():
    n = Net()
    x = n.input("x", [1, 3, 16, 16])
    h = n.conv(dead_filters(n, x, 3, 8, (1, 4, 6)), 8, 2)
    branches = {f"{way}_branch": branch(way, [helper.make_node(op, [h], [way])], way)
                for way, op in (("then", "Relu"), ("else", "Neg"))}
    return n.out(n.node("If", is_bright(n, x), **branches)).model()


@with_subgraph
def loop_in_the_middle():
    n = Net()
    h = n.conv(dead_filters(n, image(n, size=16), 3, 8, (1, 4, 6)), 8, 8)
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Mul", ["state", "half"], ["next"])], "body",
        [value("k", TensorProto.INT64, []), value("go", TensorProto.BOOL, []), value("state", TensorProto.FLOAT, None)],
        [value("go_on", TensorProto.BOOL, []), value("next", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.float32(0.5), "half")])
    h = n.node("Loop", n.constant(np.int64(3)), n.constant(np.array(True)), h, body=body)
    return n.out(n.conv(n.relu(n.conv(h, 8, 8)), 8, 3)).model()


@with_subgraph
def scan_over_rows():
    n = Net()
    h = n.conv(dead_filters(n, n.input("x", [1, 3, 16, 16]), 3, 8, (1, 4, 6)), 8, 8)
    rows = n.node("Squeeze", n.node("Transpose", h, perm=[2, 0, 1, 3]), n.ints(1))
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Add", ["state", "row"], ["next"]), helper.make_node("Identity", ["next"], ["sum"])], "body",
        [value("state", TensorProto.FLOAT, [8, 16]), value("row", TensorProto.FLOAT, [8, 16])],
        [value("next", TensorProto.FLOAT, [8, 16]), value("sum", TensorProto.FLOAT, [8, 16])])
    _, sums = n.node("Scan", n.constant(np.zeros((8, 16), np.float32)), rows, outputs=2, body=body, num_scan_inputs=1)
    h = n.node("Unsqueeze", n.node("Transpose", sums, perm=[1, 0, 2]), n.ints(0))
    return n.out(n.conv(h, 8, 3)).model()


@with_subgraph
def nested_branches_that_read_from_outside():
    """What the inner branch reads must stay whole, a weight among it."""
    n = Net()
    x = image(n, size=16)
    h = n.relu(n.conv(x, 3, 8))
    weight = n.weights[-2].name
    inner = {f"{way}_branch": branch(f"inner_{way}", [
        helper.make_node("ReduceMax", [weight], [f"peak_{way}"], keepdims=0),
        helper.make_node(op, [h, f"peak_{way}"], [f"inner_{way}_out"])], f"inner_{way}_out")
        for way, op in (("then", "Add"), ("else", "Sub"))}
    bright = is_bright(n, x)
    outer = {"then_branch": branch("outer", [helper.make_node("If", [bright], ["deep"], **inner)], "deep"),
             "else_branch": branch("other", [helper.make_node("Relu", [h], ["flat"])], "flat")}
    either = n.node("If", bright, **outer)
    alone = n.conv(dead_filters(n, x, 3, 8, (1, 4, 6)), 8, 8)
    return n.out(n.conv(n.node("Concat", either, alone, axis=1), 16, 3)).model()
