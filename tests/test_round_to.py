"""--round-to: coupled layers keep multiples, none is emptied, the target holds, on networks that couple in every
way."""

import numpy as np
import onnx
import pytest

from onnx_net import Net, image
from test_brought_networks import data_for
from test_shared_models import agrees

WIDE = {}


def wide(make):
    WIDE[make.__name__] = make
    return make


@wide
def residual():
    n = Net()
    h = n.relu(n.conv(image(n, size=16), 3, 32))
    for _ in range(2):
        h = n.relu(n.node("Add", h, n.conv(n.relu(n.conv(h, 32, 24)), 24, 32)))
    return n.out(n.conv(h, 32, 3))


@wide
def inverted_with_squeeze():
    n = Net()
    h = n.conv(image(n, size=16), 3, 16)
    for _ in range(2):
        e = n.relu(n.conv(n.relu(n.conv(h, 16, 40, 1)), 40, 40, group=40))
        s = n.conv(n.relu(n.conv(n.node("GlobalAveragePool", e), 40, 16, 1)), 16, 40, 1)
        h = n.node("Add", h, n.conv(n.node("Mul", e, n.node("Sigmoid", s)), 40, 16, 1))
    return n.out(n.conv(h, 16, 3))


@wide
def grouped_and_shuffled():
    """Each group of the analysis is four channels."""
    n = Net()
    h = n.relu(n.conv(image(n, size=16), 3, 64))
    h = n.relu(n.conv(h, 64, 64, group=4))
    h = n.node("DepthToSpace", n.conv(h, 64, 64), blocksize=2)
    return n.out(n.conv(h, 16, 3))


@wide
def halves_that_part():
    """The halves of one convolution go different ways: neither may be emptied."""
    n = Net()
    a, b = n.node("Split", n.relu(n.conv(image(n, size=16), 3, 32)), outputs=2, axis=1)
    a = n.conv(n.relu(n.conv(a, 16, 24)), 24, 8)
    b = n.conv(b, 16, 8)
    return n.out(n.conv(n.relu(n.node("Concat", a, b, axis=1)), 16, 3))


@pytest.mark.parametrize("target", ["filters=0.3", "filters=0.6", "params=0.4", "macs=0.5"])
@pytest.mark.parametrize("name", WIDE)
def test_counts_are_multiples(quboprune, name, target, tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(WIDE[name]().model(), path)
    data = data_for(path, tmp_path / "x.npz", 4)
    command = ["prune", path, "-o", "out.onnx", "--data", data, "--target", target, "--round-to", 8, "--objective",
               "gate-fisher", "--no-tune", "--solver-time", 0.3, "--refine", "none", "--recover", "none"]
    if (name, target) == ("halves_that_part", "filters=0.6"):  # 8 of each half, 8 of 24, 8 and 8: 40 of 72 at least
        refused = quboprune(*command)
        assert refused.returncode == 2 and "the smallest multiples keep more" in refused.stderr
        assert not (tmp_path / "out.onnx").exists()
        return
    r = quboprune.report(*command)
    assert any(layer["kept"] < layer["channels"] for layer in r["layers"])
    for layer in r["layers"]:
        assert layer["kept"] > 0
        assert layer["kept"] % 8 == 0 or layer["kept"] == layer["channels"], layer["name"]
    kind, fraction = target.split("=")
    key = {"filters": "filters", "params": "parameters", "macs": "macs"}[kind]
    removed = float(fraction) * r["model"][key]
    most = r["model"][key] - (round(removed) if kind == "filters" else removed)
    assert r["result"][key] <= most + 1e-6
    agrees(tmp_path / "out.onnx", tmp_path / "case")
