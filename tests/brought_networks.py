"""Small networks as people bring them: each builds one construction that exporters and authors use. The name
says what it is; `NETWORKS` lists them all. Weights are random, inputs float unless said otherwise."""

import numpy as np
from onnx import TensorProto, numpy_helper

from onnx_net import Net, image

NETWORKS = {}


def brought(make):
    NETWORKS[make.__name__] = make
    return make


# Coupling by structure ------------------------------------------------------------------------------------


@brought
def shuffle_of_grouped_convolutions():
    n = Net()
    h = n.relu(n.conv(image(n), 3, 12))
    for _ in range(2):
        h = n.relu(n.conv(h, 12, 12, 1, group=3))
        h = n.node("Reshape", h, n.ints(0, 3, 4, 32, 32))
        h = n.node("Transpose", h, perm=[0, 2, 1, 3, 4])
        h = n.node("Reshape", h, n.ints(0, -1, 32, 32))
        h = n.conv(h, 12, 12, group=12)
    return n.out(n.conv(h, 12, 3)).model()


@brought
def unequal_groups_in_a_row():
    n = Net()
    h = n.relu(n.conv(image(n), 3, 24))
    h = n.relu(n.conv(h, 24, 24, group=4))
    h = n.relu(n.conv(h, 24, 24, group=6))
    h = n.relu(n.conv(h, 24, 12, group=2))
    return n.out(n.conv(h, 12, 3)).model()


@brought
def prelu_shared_and_by_channel():
    n = Net()
    h = n.node("PRelu", n.conv(image(n), 3, 8), n.constant(np.array([0.2], np.float32)))
    h = n.node("PRelu", n.conv(h, 8, 8), n.positive(8, 1, 1))
    h = n.node("PRelu", n.conv(h, 8, 8), n.constant(np.array(0.1, np.float32)))
    h = n.node("PRelu", n.conv(h, 8, 8), n.positive(1, 8, 1, 1))
    return n.out(n.conv(h, 8, 3)).model()


@brought
def squeeze_and_excite_by_convolutions():
    n = Net()
    h = n.relu(n.norm(n.conv(image(n), 3, 16, bias=False), 16))
    s = n.node("GlobalAveragePool", h)
    s = n.node("HardSigmoid", n.conv(n.relu(n.conv(s, 16, 4, 1)), 4, 16, 1), alpha=1 / 6)
    return n.out(n.conv(n.node("Mul", h, s), 16, 3)).model()


@brought
def squeeze_and_excite_by_gemm():
    n = Net()
    h = n.relu(n.conv(image(n), 3, 16))
    s = n.node("Flatten", n.node("GlobalAveragePool", h), axis=1)
    s = n.node("Sigmoid", n.gemm(n.relu(n.gemm(s, 16, 6)), 6, 16))
    s = n.node("Reshape", s, n.ints(-1, 16, 1, 1))
    return n.out(n.conv(n.node("Mul", s, h), 16, 3)).model()


@brought
def squeeze_and_excite_by_mean_and_unsqueeze():
    n = Net()
    h = n.relu(n.conv(image(n), 3, 16))
    s = n.node("ReduceMean", h, axes=[2, 3], keepdims=0)
    s = n.node("MatMul", s, n.weight(16, 5, scale=0.3))
    s = n.node("Sigmoid", n.node("MatMul", n.relu(s), n.weight(5, 16, scale=0.5)))
    s = n.node("Unsqueeze", s, n.ints(2, 3))
    return n.out(n.conv(n.node("Mul", h, s), 16, 3)).model()


def shape_as_torch_expands(n, like):
    """Sizes for Expand as torch.onnx.export writes them: 1, for as it is, where -1 is asked for."""
    own = n.node("Shape", like)
    kept = n.node("Equal", own, n.ints(-1))
    ones = n.node("ConstantOfShape", n.node("Shape", own), value=numpy_helper.from_array(np.array([1], np.int64)))
    return n.node("Where", kept, ones, own)


@brought
def squeeze_and_excite_by_expand():
    """x * scale.expand_as(x): the sizes are computed in each run, the number of channels among them."""
    n = Net()
    h = n.relu(n.conv(image(n), 3, 16))
    for sizes in (lambda: n.node("Shape", h), lambda: shape_as_torch_expands(n, h)):
        s = n.node("ReduceMean", h, axes=[2, 3], keepdims=0)
        s = n.node("HardSigmoid", n.gemm(n.relu(n.gemm(s, 16, 6)), 6, 16))
        s = n.node("Expand", n.node("Reshape", s, n.ints(-1, 16, 1, 1)), sizes())
        h = n.relu(n.conv(n.node("Mul", h, s), 16, 16))
    return n.out(n.conv(h, 16, 3)).model()


@brought
def constant_expanded_to_the_size_of_features():
    """Its channels go with theirs; where the count comes from elsewhere, those stay."""
    n = Net()
    h = n.relu(n.conv(image(n), 3, 12))
    other = n.relu(n.conv("x", 3, 24))
    h = n.node("Add", h, n.node("Expand", n.weight(1, 12, 1, 1), n.node("Shape", h)))
    half = n.node("Div", n.node("Shape", other), n.ints(1, 2, 1, 1))
    g = n.node("Mul", n.relu(n.conv("x", 3, 12)), n.node("Expand", n.weight(12, 1, 1), half))
    h = n.node("Concat", h, g, other, axis=1)
    return n.out(n.conv(n.relu(n.conv(h, 48, 10)), 10, 3)).model()


@brought
def concat_of_the_same_tensor_twice():
    n = Net()
    h = n.relu(n.conv(image(n), 3, 6))
    h = n.node("Concat", h, h, n.node("Neg", h), axis=1)
    return n.out(n.conv(h, 18, 3)).model()


@brought
def product_of_a_tensor_with_itself():
    n = Net()
    h = n.conv(image(n), 3, 6)
    h = n.node("Mul", h, h)
    h = n.node("Add", h, h)
    return n.out(n.conv(h, 6, 3)).model()


@brought
def layer_used_twice():
    n = Net()
    h = n.relu(n.conv(image(n), 3, 8))
    w, b = n.weight(8, 8, 3, 3), n.weight(8, scale=0.1)
    for _ in range(3):
        h = n.relu(n.node("Conv", h, w, b, pads=[1] * 4))
    return n.out(n.conv(h, 8, 3)).model()


@brought
def siamese_with_a_shared_trunk():
    n = Net()
    w1, w2 = n.weight(8, 3, 3, 3), n.weight(8, 8, 3, 3)
    sides = []
    for name in ("left", "right"):
        h = n.relu(n.node("Conv", image(n, name=name), w1, pads=[1] * 4))
        sides.append(n.relu(n.node("Conv", h, w2, pads=[1] * 4)))
    d = n.node("Abs", n.node("Sub", *sides))
    return n.out(n.conv(d, 8, 1)).model()


@brought
def image_and_vector_inputs():
    n = Net()
    h = n.relu(n.conv(image(n), 3, 8))
    v = n.input("v", ["n", 5])
    film = n.gemm(n.relu(n.gemm(v, 5, 12)), 12, 16)
    scale, shift = n.node("Split", film, n.ints(8, 8), outputs=2, axis=1)
    h = n.node("Mul", h, n.node("Unsqueeze", scale, n.ints(2, 3)))
    h = n.node("Add", h, n.node("Unsqueeze", shift, n.ints(2, 3)))
    return n.out(n.conv(n.relu(h), 8, 3)).model()


@brought
def features_are_an_output_too():
    n = Net()
    a = n.relu(n.conv(image(n), 3, 8))
    b = n.relu(n.conv(a, 8, 8))
    c = n.conv(b, 8, 3)
    return n.out(c).out(a).model()


@brought
def maxout_glu_and_crelu():
    n = Net()
    a, b = n.node("Split", n.conv(image(n), 3, 12), outputs=2, axis=1)
    h = n.node("Max", a, b)
    a, b = n.node("Split", n.conv(h, 6, 16), n.ints(8, 8), outputs=2, axis=1)
    h = n.node("Mul", a, n.node("Sigmoid", b))
    h = n.relu(n.node("Concat", h, n.node("Neg", h), axis=1))
    return n.out(n.conv(h, 16, 3)).model()


@brought
def slices_gathers_and_flips_of_channels():
    n = Net()
    h = n.relu(n.conv(image(n), 3, 12))
    flipped = n.node("Slice", h, n.ints(-1), n.ints(-(1 << 40)), n.ints(1), n.ints(-1))
    some = n.node("Gather", h, n.ints(0, 3, 3, 7, -1), axis=1)
    every = n.node("Slice", h, n.ints(1), n.ints(1 << 40), n.ints(1), n.ints(3))
    h = n.node("Concat", flipped, some, every, axis=1)
    return n.out(n.conv(h, 21, 3)).model()


@brought
def focus_stem_and_pixel_shuffle():
    n = Net()
    x = image(n)
    parts = [n.node("Slice", x, n.ints(i, j), n.ints(1 << 40, 1 << 40), n.ints(2, 3), n.ints(2, 2))
             for i in (0, 1) for j in (0, 1)]
    h = n.relu(n.conv(n.node("Concat", *parts, axis=1), 12, 16))
    h = n.relu(n.conv(h, 16, 16))
    h = n.node("DepthToSpace", h, blocksize=2, mode="CRD")
    h = n.node("SpaceToDepth", n.conv(h, 4, 8), blocksize=2)
    h = n.node("DepthToSpace", n.conv(h, 32, 12), blocksize=2, mode="DCR")
    return n.out(h).model()


@brought
def padded_and_tiled_channels():
    n = Net()
    x = image(n)
    h = n.relu(n.conv(x, 3, 6))
    wide = n.node("Pad", h, n.ints(0, 2, 0, 0, 0, 4, 0, 0))
    h = n.node("Add", n.conv(h, 6, 12), wide)
    h = n.node("Tile", h, n.ints(1, 2, 1, 1))
    gray = n.node("Expand", n.conv(h, 24, 1), n.ints(1, 4, 1, 1))
    return n.out(n.node("Add", gray, n.conv(h, 24, 4))).model()


@brought
def channels_made_by_broadcasting():
    n = Net()
    gray = n.conv(image(n), 3, 1)
    h = n.relu(n.node("Add", n.node("Mul", gray, n.weight(1, 8, 1, 1)), n.weight(8, 1, 1)))
    return n.out(n.conv(h, 8, 3)).model()


@brought
def where_clip_and_comparison():
    n = Net()
    h = n.conv(image(n), 3, 8)
    g = n.conv(image(n, name="z"), 3, 8)
    h = n.node("Where", n.node("Greater", h, g), h, n.node("Clip", g, n.constant(np.float32(-1)), n.constant(np.float32(1))))
    return n.out(n.conv(h, 8, 3)).model()


# How exporters write things -------------------------------------------------------------------------------


@brought
def group_norm_by_instance_norm():
    n = Net()
    h = n.conv(image(n), 3, 16)
    g = n.node("Reshape", h, n.ints(0, 4, -1))
    g = n.node("InstanceNormalization", g, n.constant(np.ones(4, np.float32)), n.constant(np.zeros(4, np.float32)))
    g = n.node("Reshape", g, n.node("Shape", h))
    g = n.node("Add", n.node("Mul", g, n.positive(16, 1, 1)), n.weight(16, 1, 1))
    return n.out(n.conv(n.relu(g), 16, 3)).model()


@brought
def layer_norm_written_out_over_channels():
    n = Net()
    h = n.relu(n.conv(image(n), 3, 8))
    d = n.node("Sub", h, n.node("ReduceMean", h, axes=[1]))
    v = n.node("ReduceMean", n.node("Pow", d, n.constant(np.float32(2))), axes=[1])
    d = n.node("Div", d, n.node("Sqrt", n.node("Add", v, n.constant(np.float32(1e-6)))))
    h = n.node("Add", n.node("Mul", d, n.positive(1, 8, 1, 1)), n.weight(1, 8, 1, 1))
    h = n.conv(n.relu(n.conv(h, 8, 16, 1)), 16, 8, 1)
    return n.out(n.conv(h, 8, 3)).model()


@brought
def weight_norm_in_the_graph():
    n = Net()
    v, g = n.weight(8, 3, 3, 3), n.positive(8, 1, 1, 1)
    w = n.node("Mul", g, n.node("Div", v, n.node("ReduceL2", v, axes=[1, 2, 3])))
    h = n.relu(n.node("Conv", image(n), w, pads=[1] * 4))
    v, g = n.weight(8, 8, 3, 3), n.positive(8, 1, 1, 1)
    w = n.node("Mul", g, n.node("Div", v, n.node("ReduceL2", v, axes=[1, 2, 3])))
    h = n.relu(n.node("Conv", h, w, pads=[1] * 4))
    return n.out(n.conv(h, 8, 3)).model()


@brought
def weights_through_identity_cast_and_transpose():
    n = Net()
    w = n.node("Cast", n.constant(n.rng.normal(0, 0.3, (8, 3, 3, 3)).astype(np.float16)), to=TensorProto.FLOAT)
    h = n.relu(n.node("Conv", image(n), w, pads=[1] * 4))
    w = n.node("Transpose", n.node("Identity", n.weight(3, 3, 8, 8)), perm=[3, 2, 0, 1])
    h = n.relu(n.node("Conv", h, w, pads=[1] * 4))
    h = n.node("ReduceMean", h, axes=[2, 3], keepdims=0)
    w = n.node("Transpose", n.node("Unsqueeze", n.weight(5, 8), n.ints(0)), perm=[0, 2, 1])
    return n.out(n.node("MatMul", h, n.node("Squeeze", w, n.ints(0)))).model()


@brought
def views_by_shape_gather_and_concat():
    n = Net()
    x = n.input("x", ["batch", 3, "height", "width"])
    h = n.relu(n.conv(x, 3, 8))
    shape = n.node("Shape", h)
    b, c, t, w = (n.node("Unsqueeze", n.node("Gather", shape, n.constant(np.int64(k))), n.ints(0)) for k in range(4))
    half = n.node("Div", c, n.ints(2))
    g = n.node("Reshape", h, n.node("Concat", b, n.ints(2), half, t, w, axis=0))
    g = n.node("Transpose", g, perm=[0, 2, 1, 3, 4])
    g = n.node("Reshape", g, n.node("Concat", b, n.ints(-1), t, w, axis=0))
    small = n.node("MaxPool", n.conv(g, 8, 8), kernel_shape=[2, 2], strides=[2, 2])
    up = n.node("Resize", small, "", "", n.node("Shape", h), mode="linear")
    y = n.conv(n.node("Concat", up, h, axis=1), 16, 6)
    m = n.node("Reshape", n.node("ReduceMean", y, axes=[2, 3]), n.node("Concat", b, n.ints(-1), axis=0))
    return n.out(n.gemm(m, 6, 4)).model()


@brought
def tensorflow_layout():
    """tf2onnx: channels last, transposes around every convolution, biases added in between."""
    n = Net()
    h = n.input("x", ["n", 32, 32, 3])

    def conv(h, inputs, outputs, **more):
        h = n.conv(n.node("Transpose", h, perm=[0, 3, 1, 2]), inputs, outputs, bias=False, **more)
        return n.node("Add", n.node("Transpose", h, perm=[0, 2, 3, 1]), n.weight(outputs, scale=0.1))

    h = n.relu(conv(h, 3, 8))
    h = n.node("Mul", h, n.positive(8))
    d = n.node("Clip", conv(h, 8, 8, group=8), n.constant(np.float32(0)), n.constant(np.float32(6)))
    h = n.node("Add", h, d)
    s = n.node("ReduceMean", h, axes=[1, 2], keepdims=1)
    h = n.node("Mul", h, n.node("Sigmoid", s))
    h = n.node("Concat", h, n.relu(conv(h, 8, 4)), axis=3)
    h = n.node("Transpose", h, perm=[0, 3, 1, 2])
    h = n.node("MaxPool", h, kernel_shape=[4, 4], strides=[4, 4])
    h = n.node("Transpose", h, perm=[0, 2, 3, 1])
    h = n.node("Reshape", h, n.ints(-1, 8 * 8 * 12))
    h = n.node("Add", n.node("MatMul", h, n.weight(768, 10, scale=0.05)), n.weight(10))
    return n.out(n.node("Softmax", h)).model()


@brought
def bytes_in_and_channels_last():
    n = Net()
    x = n.input("x", ["n", 32, 32, 3], TensorProto.UINT8)
    h = n.node("Mul", n.node("Cast", x, to=TensorProto.FLOAT), n.constant(np.float32(1 / 255)))
    h = n.node("Transpose", n.node("Sub", h, n.constant(np.array([0.4, 0.5, 0.6], np.float32))), perm=[0, 3, 1, 2])
    h = n.relu(n.conv(h, 3, 8))
    return n.out(n.conv(h, 8, 3)).model()


@brought
def dropout_identity_and_dead_ends():
    n = Net()
    h = n.relu(n.conv(image(n), 3, 8))
    h, _ = n.node("Dropout", h, outputs=2)
    n.conv(h, 8, 4)  # nothing reads it
    h = n.node("Identity", h)
    return n.out(n.conv(h, 8, 3)).model()


@brought
def opset_7_style():
    n = Net(opset=7)
    h = n.norm(n.conv(image(n), 3, 8), 8)
    h = n.node("Upsample", h, mode="nearest", scales=[1.0, 1.0, 2.0, 2.0])
    h = n.node("Slice", h, axes=[1, 2], starts=[1, 0], ends=[9999, 32])
    h = n.node("Pad", n.relu(h), pads=[0, 0, 1, 1, 0, 0, 1, 1], mode="reflect")
    h = n.node("Clip", n.conv(h, 7, 8, auto_pad="SAME_LOWER", strides=[2, 2]), min=0.0, max=6.0)
    h = n.node("Squeeze", n.node("GlobalAveragePool", h), axes=[2, 3])
    return n.out(n.gemm(h, 8, 4)).model(ir=3 + 1)


# Other dimensions and types -------------------------------------------------------------------------------


@brought
def volumes():
    n = Net()
    x = n.input("x", ["n", 1, 16, 16, 16])
    a = n.relu(n.norm(n.conv(x, 1, 6, rank=3), 6))
    h = n.node("MaxPool", a, kernel_shape=[2, 2, 2], strides=[2, 2, 2])
    h = n.relu(n.conv(h, 6, 10, rank=3))
    h = n.node("ConvTranspose", h, n.weight(10, 6, 2, 2, 2), kernel_shape=[2, 2, 2], strides=[2, 2, 2])
    h = n.node("Concat", h, a, axis=1)
    return n.out(n.conv(h, 12, 2, rank=3)).model()


@brought
def sound_with_gated_dilations():
    n = Net()
    x = n.input("x", ["n", 1, "t"])
    h = n.conv(x, 1, 8, rank=1)
    skips = []
    for dilation in (1, 2, 4):
        g = n.conv(h, 8, 16, rank=1, dilations=[dilation], pads=[dilation] * 2)
        a, b = n.node("Split", g, outputs=2, axis=1)
        g = n.node("Mul", n.node("Tanh", a), n.node("Sigmoid", b))
        skips.append(n.conv(g, 8, 6, 1, rank=1))
        h = n.node("Add", h, n.conv(g, 8, 8, 1, rank=1))
    h = n.relu(n.node("Sum", *skips))
    h = n.node("ConvTranspose", h, n.weight(6, 4, 4), strides=[2], pads=[1, 1])
    return n.out(n.conv(h, 4, 1, rank=1)).model()


@brought
def sound_by_conv_tasnet():
    n = Net()
    x = n.input("x", ["n", 1, 256])
    basis = n.relu(n.conv(x, 1, 16, 8, rank=1, strides=[4], pads=[0, 0], bias=False))
    h = n.conv(basis, 16, 8, 1, rank=1)
    for dilation in (1, 2):
        g = n.node("PRelu", n.conv(h, 8, 12, 1, rank=1), n.constant(np.array([0.25], np.float32)))
        g = n.conv(g, 12, 12, group=12, rank=1, dilations=[dilation], pads=[dilation] * 2)
        h = n.node("Add", h, n.conv(g, 12, 8, 1, rank=1))
    mask = n.node("Sigmoid", n.conv(h, 8, 32, 1, rank=1))
    mask = n.node("Reshape", mask, n.ints(-1, 2, 16, 63))
    both = n.node("Mul", mask, n.node("Unsqueeze", basis, n.ints(1)))
    both = n.node("Reshape", both, n.ints(-1, 16, 63))
    y = n.node("ConvTranspose", both, n.weight(16, 1, 8), strides=[4])
    return n.out(n.node("Reshape", y, n.ints(-1, 2, 256))).model()


@brought
def halves_in_the_middle():
    n = Net()
    h = n.node("Cast", n.relu(n.conv(image(n), 3, 8)), to=TensorProto.FLOAT16)
    n.dtype = np.float16
    h = n.relu(n.conv(h, 8, 8))
    n.dtype = np.float32
    return n.out(n.conv(n.node("Cast", h, to=TensorProto.FLOAT), 8, 3)).model()


@brought
def doubles():
    n = Net(dtype=np.float64)
    h = n.relu(n.conv(n.input("x", ["n", 3, 16, 16], TensorProto.DOUBLE), 3, 8))
    return n.out(n.conv(h, 8, 3), TensorProto.DOUBLE).model()


@brought
def deformable_convolutions():
    """Each point reads at a place of its own; two groups of channels share offsets."""
    n = Net(opset=19)
    h = n.relu(n.conv(n.input("x", ["n", 3, 16, 16]), 3, 12))
    offsets, mask = n.conv(h, 12, 2 * 2 * 9), n.node("Sigmoid", n.conv(h, 12, 2 * 9))
    h = n.relu(n.node("DeformConv", h, n.weight(8, 12, 3, 3), offsets, n.weight(8, scale=0.1), mask, offset_group=2,
                      pads=[1, 1, 1, 1]))
    h = n.relu(n.node("DeformConv", h, n.weight(8, 4, 3, 3), n.conv(h, 8, 2 * 9), group=2, pads=[1, 1, 1, 1]))
    return n.out(n.conv(h, 8, 3)).model()


# Attention ------------------------------------------------------------------------------------------------


@brought
def attention_over_channels():
    """Restormer: the positions are summed over, each head's channels attend to each other."""
    n = Net()
    x = n.conv(image(n), 3, 8)
    qkv = n.conv(n.conv(x, 8, 48, 1), 48, 48, group=48)
    parts = [n.node("Reshape", p, n.ints(0, 4, 4, -1)) for p in n.node("Split", qkv, outputs=3, axis=1)]
    q, k = (n.node("LpNormalization", p, axis=-1, p=2) for p in parts[:2])
    scores = n.node("Mul", n.node("MatMul", q, n.node("Transpose", k, perm=[0, 1, 3, 2])), n.positive(4, 1, 1))
    h = n.node("MatMul", n.node("Softmax", scores, axis=-1), parts[2])
    h = n.node("Reshape", h, n.ints(0, 16, 32, 32))
    h = n.node("Add", x, n.conv(h, 16, 8, 1))
    return n.out(n.conv(h, 8, 3)).model()


@brought
def transformer_block():
    n = Net()
    h = n.conv(image(n), 3, 16, 4, strides=[4, 4], pads=[0] * 4)
    h = n.node("Transpose", n.node("Reshape", h, n.ints(0, 16, -1)), perm=[0, 2, 1])
    h = n.node("Add", h, n.weight(1, 64, 16, scale=0.1))
    a = n.node("LayerNormalization", h, n.positive(16), n.weight(16, scale=0.1), axis=-1)
    qkv = n.node("Add", n.node("MatMul", a, n.weight(16, 48, scale=0.3)), n.weight(48, scale=0.1))
    qkv = n.node("Transpose", n.node("Reshape", qkv, n.ints(0, 64, 3, 4, 4)), perm=[2, 0, 3, 1, 4])
    q, k, v = (n.node("Squeeze", p, n.ints(0)) for p in n.node("Split", qkv, outputs=3, axis=0))
    p = n.node("Softmax", n.node("Mul", n.node("MatMul", q, n.node("Transpose", k, perm=[0, 1, 3, 2])),
                                 n.constant(np.float32(0.5))), axis=-1)
    o = n.node("Reshape", n.node("Transpose", n.node("MatMul", p, v), perm=[0, 2, 1, 3]), n.ints(0, 64, 16))
    h = n.node("Add", h, n.node("Add", n.node("MatMul", o, n.weight(16, 16, scale=0.3)), n.weight(16, scale=0.1)))
    m = n.node("LayerNormalization", h, n.positive(16), n.weight(16, scale=0.1), axis=-1)
    m = n.node("Add", n.node("MatMul", m, n.weight(16, 40, scale=0.3)), n.weight(40, scale=0.1))
    half = n.node("Mul", m, n.constant(np.float32(0.5)))
    gelu = n.node("Mul", half, n.node("Add", n.node("Erf", n.node("Div", m, n.constant(np.float32(1.4142)))),
                                      n.constant(np.float32(1))))
    h = n.node("Add", h, n.node("Add", n.node("MatMul", gelu, n.weight(40, 16, scale=0.2)), n.weight(16, scale=0.1)))
    return n.out(n.gemm(n.node("ReduceMean", h, axes=[1], keepdims=0), 16, 5)).model()


@brought
def attention_by_einsum():
    n = Net()
    h = n.relu(n.conv(image(n, size=8), 3, 12))
    q, k, v = (n.node("Reshape", n.conv(h, 12, 12, 1), n.ints(0, 12, 64)) for _ in range(3))
    p = n.node("Softmax", n.node("Einsum", q, k, equation="bci,bcj->bij"), axis=-1)
    o = n.node("Reshape", n.node("Einsum", p, v, equation="bij,bcj->bci"), n.ints(0, 12, 8, 8))
    return n.out(n.conv(o, 12, 3)).model()
