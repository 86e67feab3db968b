"""--shrink-norms: streams that are normalised over their channels lose channels, and norms are of what stays."""

import json

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from architectures import ARCHITECTURES
from brought_networks import NETWORKS
from conformance_tools import run_tool, session, tool
from onnx_net import Net, image
from test_brought_networks import same_in_onnx_runtime
from test_shared_models import agrees, example

ALL = NETWORKS | ARCHITECTURES
# What joins the groups with the option, counted by hand: the channels of the normalised stream.
OPENED = {"layer_norm_written_out_over_channels": 8, "transformer_block": 16, "convnext": 12, "nafnet": 8}


@pytest.mark.parametrize("name", OPENED)
def test_streams_open_and_the_cut_is_exact(name, tmp_path):
    tool("slice_model")
    path, out = tmp_path / "net.onnx", tmp_path / "cut.onnx"
    onnx.save(ALL[name](), path)
    closed = run_tool("slice_model", path, out, 0.5, 2)
    opened = run_tool("slice_model", path, out, 0.5, 2, "shrink-norms")
    assert opened["groups"] == closed["groups"] + OPENED[name]
    assert opened["equivalence"]["holds"], opened["equivalence"]
    onnx.checker.check_model(onnx.load(out))
    agrees(out, tmp_path / "after")


WIDTH = 8


def normalised_stream():
    """A residual stream of WIDTH channels with a branch behind a layer norm that is written out."""
    n = Net(seed=3)
    stem = n.conv(image(n, size=16), 3, WIDTH)
    n.nodes[-1].name = "stem"
    centred = n.node("Sub", stem, n.node("ReduceMean", stem, axes=[1]))
    variance = n.node("ReduceMean", n.node("Mul", centred, centred), axes=[1])
    normal = n.node("Div", centred, n.node("Sqrt", n.node("Add", variance, n.constant(np.float32(1e-6)))))
    inner = n.relu(n.conv(normal, WIDTH, 6, 1))
    stream = n.node("Add", stem, n.conv(inner, 6, WIDTH))
    return n.out(n.conv(stream, WIDTH, 3)).model()


def masked(model, removed):
    """What removing means, written by hand: means are sums over the channels that stay, divided by their number, and
    what reads the channels otherwise has no weights for those removed."""
    keep = np.ones(WIDTH, np.float32)
    keep[removed] = 0
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    del graph.node[:]
    graph.initializer.extend([
        numpy_helper.from_array(keep.reshape(1, WIDTH, 1, 1), "keep"),
        numpy_helper.from_array(np.float32(keep.sum()), "number"), numpy_helper.from_array(np.array([1]), "channels")])
    for node in model.graph.node:
        if node.op_type == "ReduceMean":
            kept, total = node.output[0] + "_kept", node.output[0] + "_total"
            graph.node.extend([helper.make_node("Mul", [node.input[0], "keep"], [kept]),
                               helper.make_node("ReduceSum", [kept, "channels"], [total]),
                               helper.make_node("Div", [total, "number"], node.output)])
        else:
            graph.node.append(node)
    for w in graph.initializer:
        array = numpy_helper.to_array(w).copy()
        if array.ndim == 4 and array.shape[1] == WIDTH and w.name != "keep":
            array[:, removed] = 0
            w.CopyFrom(numpy_helper.from_array(array, w.name))
    return result


def plan_for(folder, removed):
    (folder / "plan.json").write_text(json.dumps({"removed": [f"stem:{c}" for c in removed]}))


def test_apply_cuts_what_the_means_of_the_rest_give(quboprune, tmp_path):
    path, hand = tmp_path / "net.onnx", tmp_path / "masked.onnx"
    model = normalised_stream()
    onnx.save(model, path)
    plan_for(tmp_path, [1, 4, 6])
    quboprune.succeeds("apply", path, "-o", "out.onnx", "--plan", "plan.json", "--shrink-norms")
    onnx.save(masked(model, [1, 4, 6]), hand)
    feeds = example(path)
    before, after, whole = (session(p).run(None, feeds)[0] for p in (hand, tmp_path / "out.onnx", path))
    # Sums of at most 72 products in float32, five layers deep: some 5 * 2^-24 * sqrt(72) of the largest.
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-5 * np.abs(before).max())
    assert np.abs(after - whole).max() > 1e-2 * np.abs(whole).max()  # or the comparison would say nothing


def test_a_plan_says_by_which_options_it_came_about(quboprune, tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(normalised_stream(), path)
    frozen = quboprune.report("inspect", path, flag="--json")["layers"][1]["name"]
    assert frozen != "stem"
    shape = [d.dim_value or 16 for d in onnx.load(path).graph.input[0].type.tensor_type.shape.dim[1:]]
    np.savez(tmp_path / "data.npz", inputs=np.random.default_rng(0).normal(size=(8, *shape)).astype(np.float32))
    quboprune.succeeds("prune", path, "-o", "first.onnx", "--data", "data.npz", "--split", "all", "--target", "filters=0.5",
                       "--objective", "l1", "--refine", "none", "--recover", "none", "--shrink-norms", "--freeze", frozen,
                       "--plan", "plan.json")
    report = quboprune.report("apply", path, "-o", "again.onnx", "--plan", "plan.json")
    assert (tmp_path / "again.onnx").exists() and report["target"]["removed_fraction"] == 0.5
    same_in_onnx_runtime(tmp_path / "first.onnx", tmp_path / "again.onnx", example(path))
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert any(name.startswith("stem:") for name in plan["removed"]), "what stays without the option"
    assert plan["analysis"] == {"scope": [], "freeze": [frozen], "allow_empty": False, "shrink_norms": True}
    plan["analysis"]["scope"] = 5
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    refused = quboprune("apply", path, "-o", "again.onnx", "--plan", "plan.json")
    assert refused.returncode == 2 and '"analysis"' in refused.stderr


def test_without_the_option_the_stream_stays_and_the_error_says_so(quboprune, tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(normalised_stream(), path)
    plan_for(tmp_path, [1])
    refused = quboprune("apply", path, "-o", "out.onnx", "--plan", "plan.json")
    assert refused.returncode == 2 and len(refused.stderr.strip().splitlines()) == 1
    assert "--shrink-norms" in refused.stderr
    report = quboprune.report("inspect", path, "--no-latency", flag="--json")
    assert report["model"]["filters"] == 6 and report["filters_with_shrink_norms"] == 6 + WIDTH
    opened = quboprune.report("inspect", path, "--no-latency", "--shrink-norms", flag="--json")
    assert opened["model"]["filters"] == 6 + WIDTH and "filters_with_shrink_norms" not in opened


def stream_and_data(folder):
    path = folder / "net.onnx"
    onnx.save(normalised_stream(), path)
    np.savez(folder / "x.npz", inputs=np.random.default_rng(2).random((12, 3, 16, 16), np.float32))
    return path


@pytest.mark.parametrize("objective", ["auto", "hybrid", "gauss-newton", "reconstruction", "measured"])
def test_every_way_of_choosing_takes_normalised_streams(quboprune, objective, tmp_path):
    path = stream_and_data(tmp_path)
    report = quboprune.report("prune", path, "-o", "out.onnx", "--data", "x.npz", "--target", "filters=0.5",
                              "--objective", objective, "--refine", "none", "--recover", "refit", "--shrink-norms")
    assert report["result"]["filters"] == 7
    assert report["equivalence"]["max_abs_difference"] <= report["equivalence"]["tolerance"]
    agrees(tmp_path / "out.onnx", tmp_path / "after")


def test_training_follows_a_cut_stream(quboprune, tmp_path):
    path = stream_and_data(tmp_path)
    quboprune.succeeds("prune", path, "-o", "out.onnx", "--data", "x.npz", "--target", "filters=0.4", "--refine", "none",
                       "--recover", "none", "--shrink-norms", "--plan", "plan.json")
    quboprune.succeeds("finetune", "out.onnx", "-o", "more.onnx", "--data", "x.npz", "--steps", "2", "--batch", "2",
                       "--teacher", path, "--plan", "plan.json", "--feature-weight", "0.5")
    agrees(tmp_path / "more.onnx", tmp_path / "after")
