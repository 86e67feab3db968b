"""Networks that compute sizes and weights themselves, as exporters write them where image sizes are open."""

import numpy as np
from onnx import TensorProto, numpy_helper

from onnx_net import Net

COMPUTING = {}


def computing(make):
    COMPUTING[make.__name__] = make
    return make


def open_image(n, name="x"):
    return n.input(name, ["n", 3, "h", "w"])


def size_of(n, x, axis):
    """[1]: a size as each run finds it."""
    return n.node("Slice", n.node("Shape", x), n.ints(axis), n.ints(axis + 1), n.ints(0))


# Sizes ------------------------------------------------------------------------------------------------------


@computing
def windows_of_an_open_image():
    """Cut into windows of 8x8 that go into the batch, as window attention does, and put together again."""
    n = Net()
    h = n.relu(n.conv(open_image(n), 3, 12))
    batch, rows, columns = (size_of(n, h, axis) for axis in (0, 2, 3))
    eight, channels = n.ints(8), n.ints(12)
    down, across = (n.node("Div", size, eight) for size in (rows, columns))
    h = n.node("Reshape", h, n.node("Concat", batch, channels, down, eight, across, eight, axis=0))
    h = n.node("Transpose", h, perm=[0, 2, 4, 1, 3, 5])
    h = n.node("Reshape", h, n.ints(-1, 12, 8, 8))
    h = n.relu(n.conv(h, 12, 10))
    back = n.node("Concat", batch, down, across, n.ints(10, 8, 8), axis=0)
    h = n.node("Transpose", n.node("Reshape", h, back), perm=[0, 3, 1, 4, 2, 5])
    h = n.node("Reshape", h, n.node("Concat", batch, n.ints(10), rows, columns, axis=0))
    return n.out(n.conv(n.relu(n.conv(h, 10, 12)), 12, 3)).model()


@computing
def one_computed_shape_for_two():
    """Two branches are brought to the same list of sizes."""
    n = Net()
    x = n.relu(n.conv(open_image(n), 3, 8))
    a, b = n.relu(n.conv(x, 8, 12)), n.relu(n.conv(x, 8, 12))
    shape = n.node("Concat", size_of(n, x, 0), n.ints(2, 6), size_of(n, x, 2), size_of(n, x, 3), axis=0)
    whole = n.node("Concat", size_of(n, x, 0), n.ints(12), size_of(n, x, 2), size_of(n, x, 3), axis=0)
    a, b = (n.node("Reshape", n.relu(n.node("Reshape", branch, shape)), whole) for branch in (a, b))
    h = n.node("Concat", n.conv(a, 12, 6), n.conv(b, 12, 8), axis=1)
    return n.out(n.conv(n.relu(h), 14, 3)).model()


def ending_in_halves(n, h):
    """The two halves of 12 channels are added up, by a shape that each run computes."""
    parts = n.node("Concat", size_of(n, h, 0), n.ints(2, 6), size_of(n, h, 2), size_of(n, h, 3), axis=0)
    h = n.node("ReduceSum", n.node("Reshape", h, parts), n.ints(1), keepdims=0)
    return n.out(n.conv(h, 6, 3)).model()


@computing
def halves_summed_on_an_open_image():
    """Split attention's form: channels part in two, height and width stand one axis further than before."""
    n = Net()
    return ending_in_halves(n, n.relu(n.conv(open_image(n), 3, 12)))


@computing
def halves_summed_on_at_most_eight_rows():
    """Sizes that are the same for all but small images, and computed all the same."""
    n = Net()
    h = n.node("Slice", n.relu(n.conv(open_image(n), 3, 12)), n.ints(0, 0), n.ints(8, 8), n.ints(2, 3))
    return ending_in_halves(n, h)


@computing
def cropped_to_the_image():
    """Padded by a fixed border, cut back to bounds that each run computes."""
    n = Net()
    x = open_image(n)
    h = n.node("Pad", n.relu(n.conv(x, 3, 10)), n.ints(0, 0, 0, 0, 0, 0, 5, 5), mode="reflect")
    h = n.relu(n.conv(h, 10, 12))
    ends = n.node("Concat", size_of(n, x, 2), size_of(n, x, 3), axis=0)
    h = n.node("Slice", h, n.ints(0, 0), ends, n.ints(2, 3))
    return n.out(n.conv(h, 12, 3)).model()


def list_of_sizes(n, x, channels):
    """The sizes of an image of so many channels, as exporters with open sizes join them."""
    return n.node("Concat", size_of(n, x, 0), n.ints(channels), size_of(n, x, 2), size_of(n, x, 3), axis=0)


@computing
def gates_expanded_to_a_list_of_sizes():
    """Squeeze-and-excite where the gates are expanded first, to a list that names the channels."""
    n = Net()
    x = open_image(n)
    h = n.relu(n.conv(x, 3, 12))
    gates = n.node("GlobalAveragePool", h)
    gates = n.node("Sigmoid", n.conv(n.relu(n.conv(gates, 12, 6, kernel=1)), 6, 12, kernel=1))
    h = n.node("Mul", h, n.node("Expand", gates, list_of_sizes(n, x, 12)))
    return n.out(n.conv(h, 12, 3)).model()


@computing
def one_list_for_an_expand_and_a_reshape():
    """Both lose the channels that the list loses."""
    n = Net()
    x = open_image(n)
    sizes = list_of_sizes(n, x, 12)
    a, b = n.relu(n.conv(x, 3, 12)), n.conv(n.node("GlobalAveragePool", n.relu(n.conv(x, 3, 10))), 10, 12, kernel=1)
    flat = n.relu(n.node("Flatten", a))
    h = n.node("Concat", n.node("Reshape", flat, sizes), n.node("Expand", n.node("Tanh", b), sizes), axis=1)
    return n.out(n.conv(h, 24, 3)).model()


@computing
def recurrence_from_zeros_of_the_images_size():
    """Two steps of a convolutional recurrence, whose first state is a fill of sizes that each run computes."""
    n = Net()
    x = open_image(n)
    state = n.node("ConstantOfShape", list_of_sizes(n, x, 10))
    keep, candidate = (n.weight(10, 13, 3, 3) for _ in range(2))
    for _ in range(2):
        both = n.node("Concat", x, state, axis=1)
        gate, new = (n.node("Conv", both, weight, pads=[1, 1, 1, 1]) for weight in (keep, candidate))
        state = n.node("Add", n.node("Mul", n.node("Sigmoid", gate), state), n.node("Tanh", new))
    return n.out(n.conv(state, 10, 3)).model()


@computing
def where_it_is_large_or_else_zeros_like_it():
    n = Net()
    h = n.relu(n.conv(open_image(n), 3, 12))
    zeros = n.node("ConstantOfShape", n.node("Shape", h))
    h = n.node("Where", n.node("Greater", h, n.constant(np.float32(0.2))), h, zeros)
    return n.out(n.conv(h, 12, 3)).model()


@computing
def vector_repeated_over_the_image():
    n = Net()
    x = open_image(n)
    h = n.relu(n.conv(x, 3, 10))
    pooled = n.relu(n.conv(n.node("GlobalAveragePool", h), 10, 8, kernel=1))
    repeats = n.node("Concat", n.ints(1, 1), size_of(n, x, 2), size_of(n, x, 3), axis=0)
    return n.out(n.conv(n.node("Concat", h, n.node("Tile", pooled, repeats), axis=1), 18, 3)).model()


@computing
def positions_resized_to_the_image():
    """An embedding of 5x5 positions is interpolated to the image's size and added."""
    n = Net()
    x = open_image(n)
    sizes = n.node("Concat", n.ints(1, 12), size_of(n, x, 2), size_of(n, x, 3), axis=0)
    positions = n.node("Resize", n.weight(1, 12, 5, 5), "", "", sizes, mode="linear")
    h = n.node("Add", n.relu(n.conv(x, 3, 12)), positions)
    return n.out(n.conv(n.relu(h), 12, 3)).model()


def grouped(n, h, channels, groups, shape):
    """GroupNorm as exporters write it for older opsets: statistics of each group by an InstanceNormalization."""
    flat = n.node("Reshape", h, n.ints(0, groups, -1))
    flat = n.node("InstanceNormalization", flat, n.constant(np.ones(groups, np.float32)),
                  n.constant(np.zeros(groups, np.float32)))
    h = n.node("Reshape", flat, shape)
    return n.node("Add", n.node("Mul", h, n.positive(channels, 1, 1)), n.weight(channels, 1, 1))


@computing
def few_groups_normalised():
    """Whole groups go: the statistics of those that stay are what they were."""
    n = Net()
    h = n.conv(open_image(n), 3, 24)
    h = n.relu(grouped(n, h, 24, 3, n.node("Shape", h)))
    h = n.conv(h, 24, 32)
    h = n.relu(grouped(n, h, 32, 4, n.node("Shape", h)))
    return n.out(n.conv(h, 32, 3)).model()


@computing
def group_normalization_operator():
    n = Net(opset=21)
    h = n.relu(n.node("GroupNormalization", n.conv(open_image(n), 3, 24), n.positive(24), n.weight(24), num_groups=6))
    h = n.relu(n.node("GroupNormalization", n.conv(h, 24, 16), n.positive(16), n.weight(16), num_groups=4))
    return n.out(n.conv(h, 16, 3), shape=["n", 3, "h", "w"]).model(ir=10)


# Weights ----------------------------------------------------------------------------------------------------


def standardised(n, *shape):
    """Weights less their mean, divided by their deviation, within each filter."""
    w = n.weight(*shape)
    axes = list(range(1, len(shape)))
    centred = n.node("Sub", w, n.node("ReduceMean", w, axes=axes, keepdims=1))
    variance = n.node("ReduceMean", n.node("Mul", centred, centred), axes=axes, keepdims=1)
    return n.node("Div", centred, n.node("Sqrt", n.node("Add", variance, n.constant(np.float32(1e-5)))))


@computing
def weights_standardised_in_the_graph():
    n = Net()
    h = open_image(n)
    for inputs, outputs in ((3, 10), (10, 12), (12, 3)):
        h = n.node("Conv", n.relu(h), standardised(n, outputs, inputs, 3, 3), pads=[1] * 4)
    return n.out(h).model()


@computing
def standardised_in_single_precision_for_halves():
    """Weights are kept and standardised in float32, and cast for a network of float16."""
    n = Net()
    h = n.node("Cast", open_image(n), to=TensorProto.FLOAT16)
    for inputs, outputs in ((3, 10), (10, 12), (12, 3)):
        w = n.node("Cast", standardised(n, outputs, inputs, 3, 3), to=TensorProto.FLOAT16)
        h = n.node("Conv", n.relu(h), w, pads=[1] * 4)
    return n.out(h, TensorProto.FLOAT16).model()


@computing
def kernel_expanded_to_all_channels():
    """One blur for every channel, before a stride."""
    n = Net()
    h = n.relu(n.conv(open_image(n), 3, 10))
    blur = np.outer([1, 2, 1], [1, 2, 1]).astype(np.float32).reshape(1, 1, 3, 3) / 16
    kernel = n.node("Expand", n.constant(blur), n.ints(10, 1, 3, 3))
    h = n.node("Conv", h, kernel, pads=[1] * 4, strides=[2, 2], group=10)
    return n.out(n.conv(n.relu(n.conv(h, 10, 12)), 12, 3)).model()


@computing
def spectral_norm_of_weights():
    """Divided by the largest singular value as the training left it: u W v."""
    n = Net()
    h = n.relu(n.conv(open_image(n), 3, 10))
    w = n.weight(12, 10, 3, 3)
    flat = n.node("Reshape", w, n.ints(12, 90))
    value = n.node("MatMul", n.node("MatMul", n.weight(1, 12), flat), n.weight(90, 1))
    h = n.node("Conv", h, n.node("Div", w, n.node("Reshape", value, n.ints(1, 1, 1, 1))), pads=[1] * 4)
    return n.out(n.conv(n.relu(h), 12, 3)).model()


# Attention with fewer keys than queries ------------------------------------------------------------------------


def asked_for(n, sizes):
    """A list of sizes in which -1 means "as it is", as it stands in front of an Expand."""
    sizes = n.node("Reshape", sizes, n.ints(-1))
    ones = n.node("ConstantOfShape", n.node("Shape", sizes), value=numpy_helper.from_array(np.ones(1, np.int64)))
    return n.node("Where", n.node("Equal", sizes, n.node("Mul", ones, n.ints(-1))), ones, sizes)


def heads(n, tokens, count, each=5, channels=12):
    """[batch, count, pixels, each]"""
    shape = n.node("Concat", size_of(n, tokens, 0), size_of(n, tokens, 1), n.ints(count), n.ints(each), axis=0)
    made = n.node("Add", n.node("MatMul", tokens, n.weight(channels, count * each)), n.weight(count * each, scale=0.1))
    return n.node("Transpose", n.node("Reshape", made, shape), perm=[0, 2, 1, 3])


def grouped_queries(repeated, turned):
    """Two queries for each of three keys. How the keys are repeated and turned is what exporters differ in."""
    n = Net()
    h = n.relu(n.conv(n.input("x", ["n", 3, 8, 6]), 3, 12))
    tokens = n.node("Transpose", n.node("Reshape", h, n.ints(0, 12, -1)), perm=[0, 2, 1])
    q, k, v = heads(n, tokens, 6), repeated(n, heads(n, tokens, 3), tokens), repeated(n, heads(n, tokens, 3), tokens)
    seen = n.node("MatMul", n.node("Softmax", n.node("MatMul", q, turned(n, k)), axis=-1), v)
    flat = n.node("Concat", size_of(n, tokens, 0), size_of(n, tokens, 1), n.ints(30), axis=0)
    seen = n.node("Reshape", n.node("Transpose", seen, perm=[0, 2, 1, 3]), flat)
    back = n.node("Transpose", n.node("MatMul", seen, n.weight(30, 12)), perm=[0, 2, 1])
    h = n.node("Add", h, n.node("Reshape", back, n.node("Shape", h)))
    return n.out(n.conv(n.relu(h), 12, 3)).model()


def repeated_to(n, keys, tokens, asked):
    batch, pixels = size_of(n, tokens, 0), size_of(n, tokens, 1)
    sizes = n.node("Concat", batch, n.ints(3), n.ints(2), pixels, n.ints(5), axis=0)
    wide = n.node("Expand", n.node("Unsqueeze", keys, n.ints(2)), asked(n, sizes))
    return n.node("Reshape", wide, n.node("Concat", batch, n.ints(6), pixels, n.ints(5), axis=0))


@computing
def keys_repeated_to_a_list_of_sizes_asked_for():
    return grouped_queries(lambda n, keys, tokens: repeated_to(n, keys, tokens, asked_for),
                           lambda n, keys: n.node("Transpose", keys, perm=[0, 1, 3, 2]))


@computing
def keys_turned_with_the_batch_in_their_heads():
    """The way back from [batch * heads, 5, pixels] reads the number of heads from the value itself."""
    def turned(n, keys):
        last = [size_of(n, keys, axis) for axis in (2, 3)]
        flat = n.node("Reshape", keys, n.node("Concat", n.ints(-1), *last, axis=0))
        first = n.node("Slice", n.node("Shape", keys), n.ints(-2**63), n.ints(-2))
        return n.node("Reshape", n.node("Transpose", flat, perm=[0, 2, 1]), n.node("Concat", first, *last[::-1], axis=0))

    return grouped_queries(lambda n, keys, tokens: repeated_to(n, keys, tokens, lambda n, sizes: sizes), turned)


# Einsum -----------------------------------------------------------------------------------------------------


@computing
def attention_by_einsum():
    """Heads and their inner widths are letters of the equations."""
    n = Net()
    h = n.relu(n.conv(n.input("x", ["n", 3, 8, 8]), 3, 12))
    tokens = n.node("Transpose", n.node("Reshape", h, n.ints(0, 12, 64)), perm=[0, 2, 1])
    q, k, v = (n.node("Einsum", tokens, n.weight(12, 4, 5), equation="bnd,dhk->bhnk") for _ in range(3))
    scores = n.node("Softmax", n.node("Einsum", q, k, equation="bhik, bhjk -> bhij"), axis=-1)
    mixed = n.node("Einsum", scores, v, equation="bhij,bhjk->bihk")
    out = n.node("Einsum", mixed, n.weight(4, 5, 12, scale=0.2), equation="bihk,hko->boi")
    h = n.node("Add", h, n.node("Reshape", out, n.ints(0, 12, 8, 8)))
    return n.out(n.conv(n.relu(h), 12, 3)).model()


@computing
def channels_mixed_by_einsum():
    n = Net()
    h = n.relu(n.conv(open_image(n), 3, 10))
    h = n.relu(n.node("Einsum", h, n.weight(12, 10), equation="bchw,oc->bohw"))
    return n.out(n.conv(h, 12, 3)).model()


@computing
def channels_mixed_by_einsum_with_an_ellipsis():
    n = Net()
    h = n.relu(n.conv(open_image(n), 3, 10))
    h = n.relu(n.node("Einsum", n.weight(12, 10), h, equation="oc,bc...->bo..."))
    return n.out(n.conv(h, 12, 3)).model()
