"""Networks whose open sizes take few values: found by trying, or from the data."""

import numpy as np
import onnx
import pytest

from conformance_tools import session
from onnx_net import Net
from test_bad_input import expect_one_line

QUICK = ["--target", "filters=0.25", "--objective", "l1", "--refine", "none", "--recover", "none"]


def multiples_of(n):
    """Blocks of n x n pixels become channels and go back; each pixel then passes a layer."""
    net = Net()
    x = net.input("x", ["n", 3, "h", "w"])
    folded = net.node("SpaceToDepth", net.conv(x, 3, 1), blocksize=n)
    y = net.conv(net.relu(net.conv(net.node("DepthToSpace", folded, blocksize=n), 1, 12)), 12, 3)
    return net.out(y).model()


def sound():
    """The first layer reads 80 numbers at once and skips 4, as networks for raw sound do."""
    net = Net()
    h = net.relu(net.conv(net.input("x", ["n", 1, "length"]), 1, 16, kernel=80, rank=1, strides=[4], pads=[0, 0]))
    h = net.node("MaxPool", h, kernel_shape=[4], strides=[4])
    h = net.node("Flatten", net.node("GlobalAveragePool", net.relu(net.conv(h, 16, 16, rank=1))))
    return net.out(net.gemm(h, 16, 5)).model()


@pytest.mark.parametrize("name, model, shape", [("of 24", multiples_of(24), (3, 48, 72)),
                                                ("of 37", multiples_of(37), (3, 74, 37)), ("sound", sound(), (1, 999))])
def test_open_sizes_are_found_or_the_datas(quboprune, tmp_path, name, model, shape):
    onnx.save(model, tmp_path / "net.onnx")
    quboprune.succeeds("inspect", "net.onnx", "--no-latency")
    np.savez(tmp_path / "x.npz", inputs=np.random.default_rng(1).random((6, *shape), np.float32))
    report = quboprune.report("prune", "net.onnx", "-o", "out.onnx", "--data", "x.npz", *QUICK)
    size = "x".join(map(str, shape))
    assert report["model"]["analysed_size"] == f"1x{size}"
    assert report["equivalence"]["shapes"][0] == f"1x{size}" and len(report["equivalence"]["shapes"]) > 1


def test_a_size_that_is_said_to_be_open_and_is_not(quboprune, tmp_path):
    """Flatten makes channels of the pixels, so that only one size fits what follows."""
    net = Net()
    h = net.relu(net.conv(net.relu(net.conv(net.input("x", ["n", 3, "h", "w"]), 3, 8)), 8, 12))
    onnx.save(net.out(net.gemm(net.node("Flatten", h), 12 * 16 * 16, 5)).model(), tmp_path / "net.onnx")
    np.savez(tmp_path / "x.npz", inputs=np.random.default_rng(1).random((6, 3, 16, 16), np.float32))
    report = quboprune.report("prune", "net.onnx", "-o", "out.onnx", "--data", "x.npz", *QUICK)
    assert {shape.split("x", 1)[1] for shape in report["equivalence"]["shapes"]} == {"3x16x16"}


def test_attention_over_all_pixels_is_tried_on_a_smaller_image(quboprune, tmp_path):
    """Its table of weights has as many entries as there are pairs of pixels: 1 GB at 128x128."""
    net = Net()
    h = net.conv(net.input("x", ["n", 3, "h", "w"]), 3, 8)
    pixels = net.node("Reshape", h, net.ints(0, 8, -1))
    weights = net.node("Softmax", net.node("MatMul", net.node("Transpose", pixels, perm=[0, 2, 1]), pixels), axis=-1)
    seen = net.node("MatMul", pixels, net.node("Transpose", weights, perm=[0, 2, 1]))
    h = net.node("Add", h, net.node("Reshape", seen, net.node("Shape", h)))
    onnx.save(net.out(net.conv(net.relu(h), 8, 3)).model(), tmp_path / "net.onnx")
    report = quboprune.report("inspect", "net.onnx", "--no-latency", flag="--json")
    assert report["model"]["analysed_size"] == "1x3x64x64"


@pytest.mark.parametrize("guide", [(1, 16, 24), (1, 1, 1)], ids=["half the size", "one number"])
def test_inputs_of_several_sizes_are_analysed_at_those_of_their_arrays(quboprune, tmp_path, guide):
    net = Net()
    x, y = net.input("x", ["n", 3, "h", "w"]), net.input("y", ["n", 1, "h2", "w2"])
    h = net.relu(net.conv(x, 3, 8))
    if guide[1] > 1:
        halved = net.node("AveragePool", h, kernel_shape=[2, 2], strides=[2, 2])
        h = net.conv(net.node("Concat", halved, net.relu(net.conv(y, 1, 6)), axis=1), 14, 8)
    else:
        h = net.node("Mul", h, y)
    onnx.save(net.out(net.conv(h, 8, 2)).model(), tmp_path / "net.onnx")
    draw = np.random.default_rng(1).random
    np.savez(tmp_path / "x.npz", inputs=draw((6, 3, 32, 48), np.float32), y=draw((6, *guide), np.float32))
    report = quboprune.report("prune", "net.onnx", "-o", "out.onnx", "--data", "x.npz", *QUICK)
    assert report["model"]["analysed_size"].startswith("1x3x32x48")
    other = (2, 1, 32, 16) if guide[1] > 1 else (2, 1, 1, 1)
    feeds = {"x": draw((2, 3, 64, 32), np.float32), "y": draw(other, np.float32)}
    assert session(tmp_path / "out.onnx").run(None, feeds)[0].shape[0] == 2


def test_sizes_that_none_fits_are_named(quboprune, tmp_path):
    onnx.save(multiples_of(997), tmp_path / "net.onnx")
    expect_one_line(quboprune, ["inspect", "net.onnx"], "128, 64, 224", "each from 16 to 160", "SpaceToDepth",
                    "the size that it takes")


def test_data_that_the_network_does_not_take_is_named_with_its_size(quboprune, tmp_path):
    net = Net()
    x = net.input("x", ["n", 3, "h", "w"])
    h = net.relu(net.conv(x, 3, 8, strides=[2, 2]))
    up = net.node("ConvTranspose", h, net.weight(8, 3, 2, 2), strides=[2, 2])
    onnx.save(net.out(net.node("Add", up, x)).model(), tmp_path / "net.onnx")
    np.savez(tmp_path / "x.npz", inputs=np.random.default_rng(1).random((6, 3, 25, 25), np.float32))
    for words in (["eval", "net.onnx"], ["prune", "net.onnx", "-o", "out.onnx", *QUICK]):
        expect_one_line(quboprune, [*words, "--data", "x.npz"], "3x25x25", "--size-multiple", "--crop")
