"""Small versions of well-known architectures, written out as torch.onnx.export writes them, for machines without
torch (test_exported_networks.py exports the real ones). `ARCHITECTURES` lists them all."""

import numpy as np

from onnx_net import Net, image

ARCHITECTURES = {}


def architecture(make):
    ARCHITECTURES[make.__name__] = make
    return make


def silu(n, x):
    return n.node("Mul", x, n.node("Sigmoid", x))


def conv_norm(n, x, inputs, outputs, kernel=3, act=Net.relu, **more):
    return act(n, n.norm(n.conv(x, inputs, outputs, kernel, bias=False, **more), outputs))


def head(n, h, channels, classes=5):
    return n.out(n.gemm(n.node("Flatten", n.node("GlobalAveragePool", h), axis=1), channels, classes)).model()


@architecture
def resnet_with_bottlenecks():
    n = Net()
    h = conv_norm(n, image(n), 3, 8, 7, strides=[2, 2])
    h = n.node("MaxPool", h, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    for inputs, width, stride in ((8, 6, 1), (24, 8, 2), (32, 8, 1)):
        b = conv_norm(n, conv_norm(n, h, inputs, width, 1), width, width, strides=[stride] * 2)
        b = n.norm(n.conv(b, width, 4 * width, 1, bias=False), 4 * width)
        skip = h if inputs == 4 * width else n.norm(n.conv(h, inputs, 4 * width, 1, strides=[stride] * 2, pads=[0] * 4), 4 * width)
        h = n.relu(n.node("Add", b, skip))
    return head(n, h, 32)


@architecture
def densenet():
    n = Net()
    h, channels = n.conv(image(n), 3, 8), 8
    for block in range(2):
        for _ in range(3):
            b = n.conv(n.relu(n.norm(h, channels)), channels, 12, 1)
            b = n.conv(n.relu(n.norm(b, 12)), 12, 4)
            h, channels = n.node("Concat", h, b, axis=1), channels + 4
        if block == 0:
            h = n.conv(n.relu(n.norm(h, channels)), channels, channels // 2, 1)
            h, channels = n.node("AveragePool", h, kernel_shape=[2, 2], strides=[2, 2]), channels // 2
    return head(n, n.relu(n.norm(h, channels)), channels)


@architecture
def mobilenet_v3():
    n = Net()
    swish = lambda n, x: n.node("HardSwish", x)  # noqa: E731
    h = conv_norm(n, image(n), 3, 8, act=swish, strides=[2, 2])
    for expand in (16, 24):
        e = conv_norm(n, conv_norm(n, h, 8, expand, 1, act=swish), expand, expand, 5, act=swish, group=expand)
        s = n.relu(n.conv(n.node("GlobalAveragePool", e), expand, 8, 1))
        e = n.node("Mul", n.node("HardSigmoid", n.conv(s, 8, expand, 1), alpha=1 / 6), e)
        h = n.node("Add", h, n.norm(n.conv(e, expand, 8, 1, bias=False), 8))
    return head(n, h, 8)


@architecture
def shufflenet_v2():
    n = Net()
    h = conv_norm(n, image(n), 3, 16)
    for _ in range(2):
        a, b = n.node("Split", h, n.ints(8, 8), outputs=2, axis=1)
        b = n.norm(n.conv(conv_norm(n, b, 8, 8, 1), 8, 8, group=8, bias=False), 8)
        h = n.node("Concat", a, conv_norm(n, b, 8, 8, 1), axis=1)
        h = n.node("Reshape", h, n.ints(-1, 2, 8, 32, 32))
        h = n.node("Reshape", n.node("Transpose", h, perm=[0, 2, 1, 3, 4]), n.ints(-1, 16, 32, 32))
    return head(n, h, 16)


@architecture
def regnet_y():
    n = Net()
    h = conv_norm(n, image(n), 3, 16, strides=[2, 2])
    for _ in range(2):
        b = conv_norm(n, conv_norm(n, h, 16, 16, 1), 16, 16, group=4)
        s = n.node("Sigmoid", n.conv(n.relu(n.conv(n.node("GlobalAveragePool", b), 16, 4, 1)), 4, 16, 1))
        b = n.norm(n.conv(n.node("Mul", b, s), 16, 16, 1, bias=False), 16)
        h = n.relu(n.node("Add", h, b))
    return head(n, h, 16)


@architecture
def squeezenet():
    n = Net()
    h, channels = n.relu(n.conv(image(n), 3, 8, strides=[2, 2])), 8
    for _ in range(2):
        s = n.relu(n.conv(h, channels, 4, 1))
        h, channels = n.node("Concat", n.relu(n.conv(s, 4, 8, 1)), n.relu(n.conv(s, 4, 8)), axis=1), 16
        h = n.node("MaxPool", h, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    h = n.node("Dropout", h)
    h = n.node("GlobalAveragePool", n.relu(n.conv(h, 16, 5, 1)))
    return n.out(n.node("Flatten", h, axis=1)).model()


@architecture
def googlenet():
    n = Net()
    h, channels = conv_norm(n, image(n), 3, 8), 8
    for _ in range(2):
        a = conv_norm(n, h, channels, 4, 1)
        b = conv_norm(n, conv_norm(n, h, channels, 6, 1), 6, 8)
        c = conv_norm(n, conv_norm(n, h, channels, 4, 1), 4, 4)
        d = n.node("MaxPool", h, kernel_shape=[3, 3], pads=[1] * 4)
        h, channels = n.node("Concat", a, b, c, conv_norm(n, d, channels, 4, 1), axis=1), 20
    return head(n, h, channels)


@architecture
def convnext():
    n = Net()
    h = n.conv(image(n), 3, 12, 4, strides=[4, 4], pads=[0] * 4)
    for _ in range(2):
        b = n.node("Transpose", n.conv(h, 12, 12, 7, group=12), perm=[0, 2, 3, 1])
        b = n.node("LayerNormalization", b, n.positive(12), n.weight(12, scale=0.1), axis=-1, epsilon=1e-6)
        b = n.node("Add", n.node("MatMul", b, n.weight(12, 48, scale=0.3)), n.weight(48, scale=0.1))
        b = n.node("Mul", n.node("Mul", b, n.node("Add", n.node("Erf", n.node("Div", b, n.constant(np.float32(1.41421)))),
                                                  n.constant(np.float32(1)))), n.constant(np.float32(0.5)))
        b = n.node("Add", n.node("MatMul", b, n.weight(48, 12, scale=0.2)), n.weight(12, scale=0.1))
        b = n.node("Mul", n.node("Transpose", b, perm=[0, 3, 1, 2]), n.positive(12, 1, 1))
        h = n.node("Add", h, b)
    return head(n, h, 12)


@architecture
def u_net():
    n = Net()
    x = n.input("x", ["n", 3, "h", "w"])
    a = n.relu(n.conv(n.relu(n.conv(x, 3, 6)), 6, 6))
    b = n.node("MaxPool", a, kernel_shape=[2, 2], strides=[2, 2])
    b = n.relu(n.conv(n.relu(n.conv(b, 6, 10)), 10, 10))
    c = n.relu(n.conv(n.node("MaxPool", b, kernel_shape=[2, 2], strides=[2, 2]), 10, 14))
    up = n.node("ConvTranspose", c, n.weight(14, 10, 2, 2), n.weight(10, scale=0.1), kernel_shape=[2, 2], strides=[2, 2])
    h = n.relu(n.conv(n.node("Concat", b, up, axis=1), 20, 10))
    shape = n.node("Concat", n.node("Slice", n.node("Shape", h), n.ints(0), n.ints(2)),
                   n.node("Slice", n.node("Shape", a), n.ints(2), n.ints(4)), axis=0)
    up = n.node("Resize", h, "", "", shape, mode="linear", coordinate_transformation_mode="half_pixel")
    h = n.relu(n.conv(n.node("Concat", up, a, axis=1), 16, 6))
    return n.out(n.conv(h, 6, 2, 1)).model()


@architecture
def deeplab_head():
    n = Net()
    h = n.relu(n.conv(image(n), 3, 8, strides=[2, 2]))
    parts = [conv_norm(n, h, 8, 6, 1)] + [conv_norm(n, h, 8, 6, dilations=[d, d], pads=[d] * 4) for d in (2, 4)]
    g = conv_norm(n, n.node("GlobalAveragePool", h), 8, 6, 1)
    parts.append(n.node("Resize", g, "", "", n.ints(1, 6, 16, 16), mode="linear", coordinate_transformation_mode="half_pixel"))
    n.inputs[0].type.tensor_type.shape.dim[0].Clear()
    n.inputs[0].type.tensor_type.shape.dim[0].dim_value = 1
    h = conv_norm(n, n.node("Concat", *parts, axis=1), 24, 8, 1)
    h = n.node("Resize", n.conv(h, 8, 4, 1), "", n.constant(np.array([1, 1, 2, 2], np.float32)), mode="linear")
    return n.out(h).model()


@architecture
def yolo():
    """CSP blocks, SPPF, two scales, a decoupled head whose boxes are read out of a distribution."""
    n = Net()
    h = conv_norm(n, image(n), 3, 8, act=silu, strides=[2, 2])

    def c2f(h, inputs, outputs):
        half = outputs // 2
        parts = list(n.node("Split", conv_norm(n, h, inputs, outputs, 1, act=silu), n.ints(half, half), outputs=2, axis=1))
        b = conv_norm(n, conv_norm(n, parts[1], half, half, act=silu), half, half, act=silu)
        parts.append(n.node("Add", parts[1], b))
        return conv_norm(n, n.node("Concat", *parts, axis=1), 3 * half, outputs, 1, act=silu)

    p3 = c2f(h, 8, 12)
    p4 = c2f(conv_norm(n, p3, 12, 16, act=silu, strides=[2, 2]), 16, 16)
    s = [conv_norm(n, p4, 16, 8, 1, act=silu)]
    for _ in range(3):
        s.append(n.node("MaxPool", s[-1], kernel_shape=[5, 5], pads=[2] * 4))
    p4 = conv_norm(n, n.node("Concat", *s, axis=1), 32, 16, 1, act=silu)
    up = n.node("Resize", p4, "", n.constant(np.array([1, 1, 2, 2], np.float32)), mode="nearest",
                coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    p3 = c2f(n.node("Concat", up, p3, axis=1), 28, 12)
    levels = []
    for h, channels, cells in ((p3, 12, 256), (p4, 16, 64)):
        box = n.conv(conv_norm(n, h, channels, 10, act=silu), 10, 16, 1)
        score = n.conv(conv_norm(n, h, channels, 6, act=silu), 6, 3, 1)
        levels.append(n.node("Reshape", n.node("Concat", box, score, axis=1), n.ints(-1, 19, cells)))
    box, score = n.node("Split", n.node("Concat", *levels, axis=2), n.ints(16, 3), outputs=2, axis=1)
    box = n.node("Transpose", n.node("Reshape", box, n.ints(-1, 4, 4, 320)), perm=[0, 2, 1, 3])
    box = n.node("Softmax", box, axis=1)
    project = n.constant(np.arange(4, dtype=np.float32).reshape(1, 4, 1, 1))
    box = n.node("Reshape", n.node("Conv", box, project), n.ints(-1, 4, 320))
    return n.out(n.node("Concat", box, n.node("Sigmoid", score), axis=1)).model()


@architecture
def super_resolution():
    n = Net()
    x = n.input("x", ["n", 3, "h", "w"])
    first = h = n.conv(x, 3, 12)
    for _ in range(2):
        h = n.node("Add", h, n.node("Mul", n.conv(n.relu(n.conv(h, 12, 12)), 12, 12), n.constant(np.float32(0.1))))
    h = n.node("Add", first, n.conv(h, 12, 12))
    h = n.node("DepthToSpace", n.conv(h, 12, 48), blocksize=2, mode="CRD")
    return n.out(n.conv(n.node("PRelu", h, n.positive(12, 1, 1)), 12, 3)).model()


@architecture
def nafnet():
    """Gates by halves, simplified channel attention, layer norm over channels written out."""
    n = Net()
    x = image(n)
    h = n.conv(x, 3, 8)

    def norm(h):
        d = n.node("Sub", h, n.node("ReduceMean", h, axes=[1]))
        v = n.node("ReduceMean", n.node("Pow", d, n.constant(np.float32(2))), axes=[1])
        d = n.node("Div", d, n.node("Sqrt", n.node("Add", v, n.constant(np.float32(1e-6)))))
        return n.node("Add", n.node("Mul", n.positive(1, 8, 1, 1), d), n.weight(1, 8, 1, 1))

    def gate(h, half):
        return n.node("Mul", *n.node("Split", h, n.ints(half, half), outputs=2, axis=1))

    for _ in range(2):
        b = gate(n.conv(n.conv(norm(h), 8, 16, 1), 16, 16, group=16), 8)
        b = n.node("Mul", b, n.conv(n.node("GlobalAveragePool", b), 8, 8, 1))
        h = n.node("Add", h, n.node("Mul", n.conv(b, 8, 8, 1), n.weight(1, 8, 1, 1)))
        b = n.conv(gate(n.conv(norm(h), 8, 24, 1), 12), 12, 8, 1)
        h = n.node("Add", h, n.node("Mul", b, n.weight(1, 8, 1, 1)))
    return n.out(n.node("Add", n.conv(h, 8, 3), x)).model()


@architecture
def resnext():
    """Many small groups: whole ones go."""
    n = Net()
    h = n.relu(n.conv(image(n), 3, 24))
    for _ in range(2):
        wide = n.relu(n.norm(n.conv(n.relu(n.conv(h, 24, 32, 1)), 32, 32, group=8, bias=False), 32))
        h = n.relu(n.node("Add", h, n.conv(wide, 32, 24, 1)))
    return n.out(n.conv(h, 24, 3)).model()
