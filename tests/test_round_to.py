"""--round-to: coupled layers keep multiples, none is emptied, the target holds, on networks that couple in every
way."""

import numpy as np
import onnx
import pytest

from brought_networks import NETWORKS
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


@wide
def stages_with_split_halves():
    """C2f blocks of YOLO, of widths that are multiples: halves, sums and what Concat joins."""
    n = Net()
    h, inputs = n.relu(n.conv(image(n, size=16), 3, 32)), 32
    for outputs, depth in ((64, 2), (96, 1)):
        half = outputs // 2
        parts = list(n.node("Split", n.relu(n.conv(h, inputs, outputs, 1)), n.ints(half, half), outputs=2, axis=1))
        for _ in range(depth):
            parts.append(n.node("Add", parts[-1], n.conv(n.relu(n.conv(parts[-1], half, half)), half, half)))
        h, inputs = n.relu(n.conv(n.node("Concat", *parts, axis=1), half * len(parts), outputs, 1)), outputs
    return n.out(n.conv(h, 96, 3))


@wide
def halves_that_are_no_multiples():
    """Halves of 12 and 20: both are cut to multiples or neither, for the sum of both is an axis too."""
    n = Net()
    h, inputs = n.relu(n.conv(image(n, size=16), 3, 24)), 24
    for outputs in (24, 40):
        half = outputs // 2
        a, b = n.node("Split", n.relu(n.conv(h, inputs, outputs, 1)), outputs=2, axis=1)
        b = n.node("Concat", a, b, n.relu(n.conv(b, half, half)), axis=1)
        h, inputs = n.relu(n.conv(b, 3 * half, outputs, 1)), outputs
    return n.out(n.conv(h, 40, 3))


@wide
def dense_of_odd_growth():
    n = Net()
    h, c = n.conv(image(n, size=16), 3, 24), 24
    for _ in range(4):
        b = n.conv(n.relu(n.norm(n.conv(n.relu(n.norm(h, c)), c, 48, 1), 48)), 48, 12)
        h, c = n.node("Concat", h, b, axis=1), c + 12
    return n.out(n.conv(n.relu(h), c, 3, 1))


@wide
def units_shuffled_in_pieces():
    """ShuffleNet's units of 58 channels: every layer reads pieces of several others."""
    n = Net()
    h = n.relu(n.conv(image(n, size=8), 3, 116))
    for _ in range(3):
        a, b = n.node("Split", h, outputs=2, axis=1)
        b = n.relu(n.conv(n.conv(n.relu(n.conv(b, 58, 58, 1)), 58, 58, group=58), 58, 58, 1))
        h = n.node("Reshape", n.node("Concat", a, b, axis=1), n.ints(0, 2, 58, 8, 8))
        h = n.node("Reshape", n.node("Transpose", h, perm=[0, 2, 1, 3, 4]), n.ints(0, 116, 8, 8))
    return n.out(n.conv(h, 116, 3, 1))


@wide
def super_resolution_in_two_steps():
    n = Net()
    h = n.relu(n.conv(image(n, size=8), 3, 48))
    for _ in range(2):
        h = n.node("Add", h, n.conv(n.relu(n.conv(h, 48, 64)), 64, 48))
    for _ in range(2):
        h = n.node("DepthToSpace", n.conv(h, 48, 192), blocksize=2, mode="CRD")
    return n.out(n.conv(h, 48, 3))


@wide
def image_beside_features():
    """A skip from the image: 3 channels and a multiple are no multiple, the convolution's own count goes first."""
    n = Net()
    h = n.relu(n.conv(n.relu(n.conv(image(n, size=16), 3, 24)), 24, 48))
    h = n.relu(n.conv(n.node("Concat", h, "x", axis=1), 51, 40))
    return n.out(n.conv(h, 40, 3))


NO_MULTIPLE = {"image_beside_features": {51}}  # axes that can't be, by their size before
TOO_MUCH = {("halves_that_part", "filters=0.6")}  # 8 of each half, 8 of 24, 8 and 8: 40 of 72 at least


def axes_of_weights(before, after):
    """Sizes of the two channel axes of every layer's weight, before and after."""
    small = {w.name: w.dims for w in onnx.load(after).graph.initializer}
    graph = onnx.load(before).graph
    weights = {w.name: w.dims for w in graph.initializer}
    for node in graph.node:
        if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
            continue
        grouped = any(a.name == "group" and a.i > 1 for a in node.attribute)
        for axis in (0,) if grouped else (0, 1):
            yield weights[node.input[1]][axis], small[node.input[1]][axis]


@pytest.mark.parametrize("target", ["filters=0.3", "filters=0.6", "params=0.4", "macs=0.5"])
@pytest.mark.parametrize("name", WIDE)
def test_counts_are_multiples(quboprune, name, target, tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(WIDE[name]().model(), path)
    data = data_for(path, tmp_path / "x.npz", 4)
    command = ["prune", path, "-o", "out.onnx", "--data", data, "--target", target, "--round-to", 8, "--objective",
               "gate-fisher", "--no-tune", "--solver-time", 0.3, "--refine", "none", "--recover", "none"]
    if (name, target) in TOO_MUCH:
        refused = quboprune(*command)
        assert refused.returncode == 2 and "the smallest multiples keep more" in refused.stderr
        assert not (tmp_path / "out.onnx").exists()
        return
    r = quboprune.report(*command)
    assert any(layer["kept"] < layer["channels"] for layer in r["layers"])
    for layer in r["layers"]:
        assert layer["kept"] > 0
        assert layer["kept"] % 8 == 0 or layer["kept"] == layer["channels"], layer["name"]
    for before, after in axes_of_weights(path, tmp_path / "out.onnx"):
        assert after == before or after % 8 == 0 or before in NO_MULTIPLE.get(name, {}), (before, after)
    kind, fraction = target.split("=")
    key = {"filters": "filters", "params": "parameters", "macs": "macs"}[kind]
    removed = float(fraction) * r["model"][key]
    most = r["model"][key] - (round(removed) if kind == "filters" else removed)
    assert r["result"][key] <= most + 1e-6
    agrees(tmp_path / "out.onnx", tmp_path / "case")


def test_formulate_refuses_what_a_qubo_cannot_state(quboprune, tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(WIDE["residual"]().model(), path)
    done = quboprune("formulate", path, "--data", data_for(path, tmp_path / "x.npz", 2), "-o", "p.coo", "--target",
                     "filters=0.3", "--round-to", 8)
    assert done.returncode == 2 and "--round-to" in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "p.coo").exists()


def test_heads_needn_t_be_as_many_as_the_multiple(quboprune, tmp_path):
    """Four heads of attention, of which two leave the projections in multiples of 8."""
    path = tmp_path / "net.onnx"
    onnx.save(NETWORKS["transformer_block"](), path)
    layers = quboprune.report("inspect", path, "--no-latency", flag="--json")["layers"]
    heads = [layer["name"] for layer in layers if layer["channels"] == layer["prunable"] == 4]
    assert len(heads) == 2, "not the 64 positions, which the embedding labels too"
    projection = next(layer["name"] for layer in layers if layer["channels"] == 48)
    r = quboprune.report("prune", path, "-o", "out.onnx", "--data", data_for(path, tmp_path / "x.npz", 2), "--target",
                         "filters=0.5", "--round-to", 8, "--scope", projection, "--objective", "l1", "--refine", "none",
                         "--recover", "none")
    kept = {layer["name"]: layer["kept"] for layer in r["layers"]}
    assert kept[projection] == 24 and [kept[name] for name in heads] == [2, 2]
    assert not any("multiples" in note for note in r["notes"])
    agrees(tmp_path / "out.onnx", tmp_path / "case")


@pytest.mark.parametrize("target", [[], ["--target", "macs=0.5"]])
def test_given_masks_become_the_nearest_multiples(quboprune, target, tmp_path):
    """32 channels on the residual axis and 24 in each of two blocks: 13 + 7 + 12 are asked for."""
    path = tmp_path / "net.onnx"
    onnx.save(WIDE["residual"]().model(), path)
    keep = [c < 13 for c in range(32)] + [c < 7 for c in range(24)] + [c >= 12 for c in range(24)]
    (tmp_path / "mask.txt").write_text("".join("01"[k] for k in keep))
    r = quboprune.report("prune", path, "-o", "out.onnx", "--data", data_for(path, tmp_path / "x.npz", 2), "--mask",
                         "mask.txt", "--round-to", 8, "--recover", "none", *target)
    kept = [set(layer["kept_indices"]) for layer in r["layers"][:2]]
    assert all(layer["kept"] % 8 == 0 or layer["kept"] == layer["channels"] for layer in r["layers"])
    if target:
        assert r["result"]["macs"] <= 0.5 * r["model"]["macs"]
    else:  # at most 32 groups, as the mask has; 16 + 8 + 8 differ from it least
        assert r["result"]["filters"] == 32
        assert set(range(13)) < kept[0] and set(range(7)) < kept[1]


def test_refined_masks_are_multiples_and_differ(quboprune, tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(WIDE["stages_with_split_halves"]().model(), path)
    r = quboprune.report("prune", path, "-o", "out.onnx", "--data", data_for(path, tmp_path / "x.npz", 4), "--target",
                         "macs=0.4", "--round-to", 8, "--objective", "l2", "--refine", "tt+local", "--evaluations", 30,
                         "--recover", "none")
    assert r["refinement"]["evaluations"] > 10  # with a linear objective every proposal used to become one mask
    for before, after in axes_of_weights(path, tmp_path / "out.onnx"):
        assert after == before or after % 8 == 0
