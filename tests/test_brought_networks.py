"""Networks as people bring them (brought_networks.py, architectures.py): each agrees with ONNX Runtime as it is
and after a cut."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from architectures import ARCHITECTURES
from brought_networks import NETWORKS
from conformance_tools import run_tool, session, tool
from onnx_net import Net, image
from open_size_networks import COMPUTING
from test_bad_input import expect_one_line
from test_shared_models import agrees, example
from unusual_networks import UNUSUAL, WITH_SUBGRAPHS, all_quantised, dead_filters

ALL = NETWORKS | ARCHITECTURES | UNUSUAL | COMPUTING
NOTHING_TO_CUT = {"slices_gathers_and_flips_of_channels"}
NOT_IN_ONNX_RUNTIME = {"doubles"}  # has no such convolution


@pytest.mark.parametrize("name", ALL)
def test_cut_network_agrees_with_onnx_runtime(name, tmp_path):
    tool("slice_model")
    path, out = tmp_path / "net.onnx", tmp_path / "cut.onnx"
    model = ALL[name]()
    onnx.checker.check_model(model)
    onnx.save(model, path)
    runtime = name not in NOT_IN_ONNX_RUNTIME
    if runtime:
        agrees(path, tmp_path / "before")
    result = run_tool("slice_model", path, out, 0.5, 2)
    assert (result["removed"] > 0) == (name not in NOTHING_TO_CUT)
    assert result["equivalence"]["holds"], result["equivalence"]
    onnx.checker.check_model(onnx.load(out))
    if runtime:
        agrees(out, tmp_path / "after")


@pytest.mark.parametrize("name", [name for name in COMPUTING if name.startswith("keys_")])
def test_few_keys_for_many_queries_go_with_them(quboprune, name, tmp_path):
    """Three groups: a head of keys and of values and the two of queries that read it, in whatever way it is written."""
    onnx.save(COMPUTING[name](), tmp_path / "net.onnx")
    report = quboprune.report("inspect", "net.onnx", "--no-latency", flag="--json")
    heads = [layer["prunable"] for layer in report["layers"] if layer["channels"] in (15, 30)]
    assert heads == [30, 15, 15] and report["model"]["filters"] == 12 + 3


def test_inspect_counts_the_groups_that_prune_chooses_from(quboprune, tmp_path):
    """A weight that another convolution reads through Identity is its own."""
    n = Net()
    shared = n.weight(8, 8, 3, 3)
    h = n.relu(n.conv(image(n), 3, 8))
    h = n.relu(n.node("Conv", h, shared, pads=[1] * 4))
    h = n.relu(n.node("Conv", h, n.node("Identity", shared), pads=[1] * 4))
    path = save(n.out(n.conv(h, 8, 3)), tmp_path / "net.onnx")
    inspected = quboprune.report("inspect", path, "--no-latency", flag="--json")
    pruned = prune(quboprune, path, data_for(path, tmp_path / "x.npz", 2), "filters=0.25", "--no-tune")
    assert inspected["model"]["filters"] == pruned["model"]["filters"] == 24


def data_for(model, path, count=8):
    """Samples for the first input, no targets."""
    samples = [next(iter(example(model, seed).values()))[0] for seed in range(count)]
    np.savez(path, inputs=np.stack(samples))
    return path


def save(net, path):
    onnx.save(net.model(), path)
    return path


def prune(quboprune, model, data, target, *words, objective="gate-fisher"):
    return quboprune.report("prune", model, "-o", "out.onnx", "--data", data, "--target", target, "--objective",
                            objective, "--refine", "none", "--recover", "none", *words)


def same_in_onnx_runtime(a, b, feeds):
    for x, y in zip(session(a).run(None, feeds), session(b).run(None, feeds)):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-4 * max(1e-3, np.abs(x).max()))


@pytest.mark.parametrize("name, words", [
    ("bytes_in_and_channels_last", []), ("image_and_vector_inputs", ["--input", "v=0.3"]), ("volumes", []),
    ("sound_with_gated_dilations", []), ("halves_in_the_middle", []), ("tensorflow_layout", []), ("yolo", []),
    ("siamese_with_a_shared_trunk", ["--input", "right=0.5"]), ("transformer_block", []), ("u_net", []),
    ("reader_of_text", [])])
def test_pruned_by_gradients_on_data_without_targets(quboprune, name, words, tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(ALL[name](), path)
    report = prune(quboprune, path, data_for(path, tmp_path / "x.npz", 4), "filters=0.3", "--no-tune",
                   "--solver-time", 0.3, *words)
    assert report["result"]["filters"] == report["model"]["filters"] - round(0.3 * report["model"]["filters"])
    onnx.checker.check_model(onnx.load(tmp_path / "out.onnx"), full_check=True)
    agrees(tmp_path / "out.onnx", tmp_path / "case")


@pytest.mark.parametrize("name", ["pieces_folded_into_a_fixed_batch", "positions_mixed_while_rows_are_channels",
                                  "weights_standardised_by_a_batch_norm", "one_number_a_sample", "reader_of_text"])
@pytest.mark.parametrize("recover", ["refit", "finetune"])
def test_defaults_serve_channels_on_other_axes(quboprune, name, recover, tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(ALL[name](), path)
    data = data_for(path, tmp_path / "x.npz", 10)
    report = quboprune.report("prune", path, "-o", "out.onnx", "--data", data, "--target", "filters=0.3", "--evaluations", 8,
                              "--recover", recover, "--finetune-steps", 3, "--finetune-batch", 2, "--solver-time", 0.3)
    assert report["result"]["filters"] == report["model"]["filters"] - round(0.3 * report["model"]["filters"])
    agrees(tmp_path / "out.onnx", tmp_path / "case")


@pytest.mark.parametrize("name, whole", [
    ("squeeze_and_excite_by_expand", {"Conv_28"}),
    ("one_list_of_sizes_for_two_of_which_one_stays_whole", {"Conv_12", "Conv_19"}),
    ("constant_expanded_to_the_size_of_features", {"Conv_2", "Conv_9", "Conv_16"})])
def test_computed_sizes_keep_only_the_channels_that_they_would_miscount(quboprune, name, whole, tmp_path):
    onnx.save(ALL[name](), tmp_path / "net.onnx")
    report = quboprune.report("inspect", "net.onnx", "--no-latency", flag="--json")
    assert {layer["name"] for layer in report["layers"] if layer["prunable"] == 0} == whole


@pytest.mark.parametrize("name", [name for name in sorted(COMPUTING) if not name.startswith(("attention_", "keys_"))])
def test_what_a_network_computes_freezes_nothing(quboprune, name, tmp_path):
    onnx.save(ALL[name](), tmp_path / "net.onnx")
    report = quboprune.report("inspect", "net.onnx", "--no-latency", flag="--json")
    assert [layer["name"] for layer in report["layers"] if layer["prunable"] < layer["channels"]] == [report["layers"][-1]["name"]]
    assert [f["reason"].split("'")[0] for f in report["frozen"]] == ["the network"]


@pytest.mark.parametrize("name, size", [
    ("halves_summed_on_an_open_image", (4, 6)), ("halves_summed_on_at_most_eight_rows", (4, 6)),
    ("windows_of_an_open_image", (16, 24)), ("few_groups_normalised", (5, 9))])
def test_a_cut_without_data_serves_images_of_other_sizes(name, size, tmp_path):
    """The certificate tells height from width, and sizes that happened to be the same in its runs stay computed."""
    tool("slice_model")
    onnx.save(ALL[name](), tmp_path / "net.onnx")
    result = run_tool("slice_model", tmp_path / "net.onnx", tmp_path / "cut.onnx", 0.5, 2)
    sizes = [shape.split("x")[2:] for shape in result["equivalence"]["shapes"]]
    assert result["equivalence"]["holds"] and any(height != width for height, width in sizes)
    feeds = {"x": np.random.default_rng(0).random((2, 3, *size), np.float32)}
    whole, cut = (session(tmp_path / file).run(None, feeds)[0] for file in ("net.onnx", "cut.onnx"))
    assert cut.shape == whole.shape == (2, 3, *size)


@pytest.mark.parametrize("name, words, op, before, after", [
    ("weights_standardised_in_the_graph", ["--scope", "Conv_8"], "ReduceMean", 6, 2),
    ("kernel_expanded_to_all_channels", ["--scope", "Conv_4"], "Expand", 1, 1),
    ("spectral_norm_of_weights", ["--scope", "Conv_0"], "MatMul", 2, 0)])
def test_weights_that_no_cut_meets_are_computed_as_before(quboprune, name, words, op, before, after, tmp_path):
    onnx.save(ALL[name](), tmp_path / "net.onnx")
    data = data_for(tmp_path / "net.onnx", tmp_path / "x.npz", 4)
    prune(quboprune, "net.onnx", data, "filters=0.3", *words, objective="l2")
    counts = [sum(node.op_type == op for node in onnx.load(tmp_path / file).graph.node) for file in ("net.onnx", "out.onnx")]
    assert counts == [before, after]
    agrees(tmp_path / "out.onnx", tmp_path / "case")


def test_layers_behind_what_we_cannot_run_are_named_with_their_share(quboprune, tmp_path):
    n = Net()
    h = n.relu(n.conv(n.relu(n.conv(image(n), 3, 8)), 8, 16))
    h = n.node("Erode", h, domain="vendor")
    n.outputs.append(onnx.helper.make_tensor_value_info(n.conv(n.relu(n.conv(h, 16, 16)), 16, 3), TensorProto.FLOAT,
                                                        ["n", 3, 32, 32]))
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph(n.nodes, "g", n.inputs, n.outputs, n.weights), ir_version=9,
                                     opset_imports=[onnx.helper.make_opsetid(*d) for d in (("", 17), ("vendor", 1))]),
              tmp_path / "net.onnx")
    lines = quboprune.succeeds("inspect", "net.onnx", "--no-latency").stdout
    before, behind = 3 * 8 * 9 + 8 + 8 * 16 * 9 + 16, 16 * 16 * 9 + 16 + 16 * 3 * 9 + 3
    share = 100 * behind / (before + behind)
    said = f"2 layers behind Erode 'Erode_4', which can't be run, with {share:.1f} % of the parameters"
    assert said in lines
    np.savez(tmp_path / "x.npz", inputs=np.random.default_rng(1).random((6, 3, 32, 32), np.float32))
    done = quboprune.succeeds("prune", "net.onnx", "-o", "out.onnx", "--data", "x.npz", "--target", "filters=0.25",
                              "--objective", "l1", "--refine", "none", "--recover", "none", "--report", "report.json")
    notes = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["notes"]
    assert f"{said}: their MACs aren't counted, neither before nor after" in notes
    assert f"{said}: their MACs" in done.stdout.replace("\n", " ")


@pytest.mark.parametrize("name", WITH_SUBGRAPHS)
def test_network_with_what_we_cannot_run(quboprune, name, tmp_path):
    """It is judged, and checked, by what those operators read; they come out as they were."""
    path = tmp_path / "net.onnx"
    model = WITH_SUBGRAPHS[name]()
    onnx.save(model, path)
    report = prune(quboprune, path, data_for(path, tmp_path / "x.npz"), "filters=0.375")
    assert [layer["kept_indices"] for layer in report["layers"] if layer["channels"] != len(layer["kept_indices"])] == [
        [0, 2, 3, 5, 7]]
    same_in_onnx_runtime(path, tmp_path / "out.onnx", example(path))
    opaque = [[node for node in m.graph.node if node.op_type in ("If", "Loop", "Scan")]
              for m in (model, onnx.load(tmp_path / "out.onnx"))]
    assert opaque[0] == opaque[1]
    assert f"{opaque[0][0].op_type} '" in quboprune.succeeds("inspect", path).stdout  # what it freezes is priced
    assert any("by what these operators read" in note for note in report["notes"])


def test_quantised_network_is_refused_in_one_line(quboprune, tmp_path):
    onnx.save(all_quantised(), tmp_path / "net.onnx")
    done = quboprune("inspect", "net.onnx")
    assert done.returncode == 2
    assert "quantised" in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_quantised_layers_are_priced(quboprune, tmp_path):
    onnx.save(UNUSUAL["quantised_in_the_middle"](), tmp_path / "net.onnx")
    reasons = quboprune.succeeds("inspect", "net.onnx").stdout
    assert "Conv 'Conv_7': its weights come from DequantizeLinear 'DequantizeLinear_6': 8 channels" in reasons
    assert "QuantizeLinear 'QuantizeLinear_4': quantised" in reasons


def test_data_that_a_reshape_cannot_take_is_the_users_fault(quboprune, tmp_path):
    """Five frames at a time, folded into the batch; the data has four."""
    n = Net()
    h = n.node("Reshape", n.input("x", [5, "n", 3, 16, 16]), n.ints(-1, 3, 16, 16))
    h = n.node("Reshape", n.conv(n.relu(n.conv(h, 3, 8)), 8, 4), n.ints(5, -1, 4, 16, 16))
    path = save(n.out(h), tmp_path / "net.onnx")
    np.savez(tmp_path / "x.npz", inputs=np.zeros((4, 2, 3, 16, 16), np.float32))
    done = quboprune("prune", path, "-o", "out.onnx", "--data", "x.npz", "--target", "filters=0.3", "--refine", "none")
    assert done.returncode == 2
    assert "Reshape" in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_targets_of_outputs_that_we_cannot_run_are_refused(quboprune, tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(WITH_SUBGRAPHS["ends_in_if"](), path)
    np.savez(tmp_path / "x.npz", inputs=np.zeros((4, 3, 16, 16), np.float32),
             targets=np.zeros((4, 2, 16, 16), np.float32))
    done = quboprune("prune", path, "-o", "out.onnx", "--data", "x.npz", "--target", "filters=0.3", "--metric", "loss",
                     "--loss", "mse")
    assert done.returncode == 2
    assert "If '" in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out.onnx").exists()


def test_a_target_of_what_is_live(quboprune, tmp_path):
    """Four of eight filters are dead: half of the live ones leaves two, and a solution of formulate's problem too."""
    n = Net()
    path = save(n.out(n.conv(dead_filters(n, image(n, size=16), 3, 8, (0, 3, 5, 6)), 8, 4)), tmp_path / "net.onnx")
    data = data_for(path, tmp_path / "x.npz")
    report = prune(quboprune, path, data, "filters=0.5", "--of-live")
    assert report["layers"][0]["kept"] == 2 and set(report["layers"][0]["kept_indices"]) < {1, 2, 4, 7}
    assert report["target"]["removed_fraction"] == pytest.approx(0.75)
    assert any("--of-live" in note for note in report["notes"])
    macs = prune(quboprune, path, data, "macs=0.5", "--of-live")
    assert macs["layers"][0]["kept"] == 2
    done = quboprune("formulate", path, "-o", "problem.coo", "--data", data, "--target", "filters=0.5", "--of-live")
    assert done.returncode == 0 and "constraint exactly 2" in (tmp_path / "problem.coo").read_text(encoding="utf-8")


def test_class_map_without_gradient_is_judged_by_its_scores(quboprune, tmp_path):
    n = Net()
    h = n.conv(dead_filters(n, image(n, size=16), 3, 8, (0, 3, 5, 6)), 8, 4)
    path = save(n.out(n.node("ArgMax", h, axis=1, keepdims=0), TensorProto.INT64), tmp_path / "net.onnx")
    report = prune(quboprune, path, data_for(path, tmp_path / "x.npz"), "filters=0.5")
    assert report["layers"][0]["kept_indices"] == [1, 2, 4, 7]
    same_in_onnx_runtime(path, tmp_path / "out.onnx", example(path))


def test_every_output_counts(quboprune, tmp_path):
    """Two heads; the first is indifferent to what the second needs. Outputs of different sizes count alike."""
    n = Net()
    x = image(n, size=16)
    n.out(n.conv(dead_filters(n, x, 3, 8, (0, 1, 2, 3)), 8, 2))
    scores = n.node("ReduceMean", n.conv(dead_filters(n, x, 3, 8, (4, 5, 6, 7)), 8, 3), axes=[2, 3], keepdims=0)
    path = save(n.out(n.node("Mul", scores, n.constant(np.float32(1000)))), tmp_path / "net.onnx")
    report = prune(quboprune, path, data_for(path, tmp_path / "x.npz"), "filters=0.5")
    kept = {tuple(layer["kept_indices"]) for layer in report["layers"] if layer["channels"] == 8}
    assert kept == {(4, 5, 6, 7), (0, 1, 2, 3)}
    same_in_onnx_runtime(path, tmp_path / "out.onnx", example(path))


@pytest.mark.parametrize("opset", [11, 17])
def test_squeeze_without_axes_leaves_a_single_channel(quboprune, opset, tmp_path):
    n = Net(opset=opset)
    h = n.node("GlobalAveragePool", n.relu(n.conv(n.input("x", [1, 3, 16, 16]), 3, 6)))
    h = n.node("Squeeze", h)
    back = {"axes": [0]} if opset < 13 else {}
    h = n.node("Unsqueeze", h, *([] if back else [n.ints(0)]), **back)
    path = save(n.out(n.gemm(h, 6, 5)), tmp_path / "net.onnx")
    report = prune(quboprune, path, data_for(path, tmp_path / "x.npz"), "filters=0.83", objective="l1")
    assert report["layers"][0]["kept"] == 1
    assert session(tmp_path / "out.onnx").run(None, example(path))[0].shape == (1, 5)


def masked_logits(n, x):
    """Every second row is minus infinity; the logarithm of what a Relu cut off is, too."""
    h = n.relu(n.conv(x, 3, 12))
    rows = n.constant(np.arange(16).reshape(1, 1, 16, 1) % 2 == 0)
    logits = n.node("Where", rows, n.conv(h, 12, 4), n.constant(np.float32(-np.inf)))
    return n.out(logits).out(n.node("Log", n.relu(n.conv(h, 12, 2))))


def test_outputs_that_are_not_finite_everywhere_are_judged_where_they_are(quboprune, tmp_path):
    n = Net()
    path = save(masked_logits(n, image(n, size=16)), tmp_path / "net.onnx")
    report = prune(quboprune, path, data_for(path, tmp_path / "x.npz"), "filters=0.5")
    held = report["result"]["metric"]["heldout"]
    assert held["dense"] == 0 and 0 < held["pruned"] < 1
    for got in session(tmp_path / "out.onnx").run(None, example(path)):
        assert np.isfinite(got).any() and np.isneginf(got).any()


def test_a_network_without_a_finite_output_is_refused(quboprune, tmp_path):
    n = Net()
    h = n.relu(n.conv(image(n, size=16), 3, 12))
    save(n.out(n.node("Log", n.node("Neg", n.relu(n.conv(h, 12, 2))))), tmp_path / "net.onnx")
    images = np.random.default_rng(1).random((2, 6, 3, 16, 16), np.float32)
    np.savez(tmp_path / "x.npz", inputs=images[0], targets=images[1, :, :2])
    expect_one_line(quboprune, ["prune", "net.onnx", "-o", "out.onnx", "--data", "x.npz", "--target", "filters=0.5"], "NaN")


def test_a_network_made_for_batches_is_named(quboprune, tmp_path):
    n = Net()
    parts = n.node("Split", n.relu(n.conv(n.input("x", [2, 3, 16, 16]), 3, 12)), n.ints(1, 1), axis=0, outputs=2)
    path = save(n.out(n.conv(n.node("Concat", *parts, axis=1), 24, 3)), tmp_path / "net.onnx")
    np.savez(tmp_path / "x.npz", inputs=np.random.default_rng(1).random((6, 3, 16, 16), np.float32))
    expect_one_line(quboprune, ["prune", path, "-o", "out.onnx", "--data", "x.npz", "--target", "filters=0.3"],
                    "batches of 2", "open batch")


def test_layers_of_the_same_name_are_told_apart(quboprune, tmp_path):
    n = Net()
    h = dead_filters(n, image(n, size=16), 3, 8, (0, 1))
    h = dead_filters(n, h, 8, 8, (5, 6))
    model = n.out(n.conv(h, 8, 3)).model()
    for node in model.graph.node:
        node.name = "same"
    path = tmp_path / "net.onnx"
    onnx.save(model, path)  # no file for ONNX Runtime, which asks for names of their own
    data = tmp_path / "x.npz"
    np.savez(data, inputs=np.random.default_rng(1).random((8, 3, 16, 16), dtype=np.float32))
    prune(quboprune, path, data, "filters=0.25", "--plan", "plan.json")
    quboprune.succeeds("apply", path, "-o", "again.onnx", "--plan", "plan.json")
    for out in ("out.onnx", "again.onnx"):
        assert [list(w.dims)[:2] for w in onnx.load(tmp_path / out).graph.initializer if len(w.dims) == 4] == [
            [6, 3], [6, 6], [3, 6]]
        assert {node.name for node in onnx.load(tmp_path / out).graph.node} == {"same"}


# Branches that may go ------------------------------------------------------------------------------------


def residual(bias=True):
    """Stem, two residual blocks with batch norm, head. Inner layers are called b0.inner and b1.inner."""
    n = Net()
    h = n.relu(n.conv(image(n, size=16), 3, 6))
    for k in range(2):
        a = n.relu(n.norm(n.conv(h, 6, 8, bias=False), 8))
        n.nodes[-3].name = f"b{k}.inner"
        b = n.conv(a, 8, 6, bias=bias)
        h = n.relu(n.node("Add", n.norm(b, 6), h) if bias else n.node("Add", h, b))
    return n.out(n.conv(h, 6, 3))


def without_branch(model, k):
    """The same with the branch's last convolution multiplied by nothing: what emptying it means."""
    masked = onnx.ModelProto()
    masked.CopyFrom(model)
    inner = next(node for node in masked.graph.node if node.name == f"b{k}.inner")
    for w in masked.graph.initializer:
        conv = next((node for node in masked.graph.node if w.name in node.input[1:2]), None)
        if conv is not None and conv.op_type == "Conv" and list(w.dims) == [6, 8, 3, 3]:
            order = [node.name for node in masked.graph.node].index
            if 0 < order(conv.name) - order(inner.name) < 5:
                w.CopyFrom(numpy_helper.from_array(np.zeros((6, 8, 3, 3), np.float32), w.name))
    return masked


def empty_plan(folder, layers):
    removed = [f"{layer}:{c}" for layer in layers for c in range(8)]
    (folder / "plan.json").write_text(json.dumps({"removed": removed}))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("emptied", [[0], [0, 1]])
def test_residual_branch_becomes_nothing(quboprune, tmp_path, bias, emptied):
    model = residual(bias).model()
    path, masked = tmp_path / "net.onnx", tmp_path / "masked.onnx"
    onnx.save(model, path)
    empty_plan(tmp_path, [f"b{k}.inner" for k in emptied])
    refused = quboprune("apply", path, "-o", "out.onnx", "--plan", "plan.json")
    assert refused.returncode == 2
    assert len(refused.stderr.strip().splitlines()) == 1
    quboprune.succeeds("apply", path, "-o", "out.onnx", "--plan", "plan.json", "--allow-empty")
    for k in emptied:
        model = without_branch(model, k)
    onnx.save(model, masked)
    same_in_onnx_runtime(masked, tmp_path / "out.onnx", example(path))
    out = onnx.load(tmp_path / "out.onnx")
    assert sum(node.op_type == "Conv" for node in out.graph.node) == 6 - 2 * len(emptied)
    assert sum(node.op_type == "Add" for node in out.graph.node) == (2 if bias else 2 - len(emptied))
    used = {name for node in out.graph.node for name in node.input}
    assert {w.name for w in out.graph.initializer} <= used


@pytest.mark.parametrize("target", ["filters=0.35", "filters=0.8", "macs=0.5", "macs=0.8"])
@pytest.mark.parametrize("recover", ["none", "refit", "bn", "finetune"])
def test_a_branch_of_three_layers_goes_as_a_whole(quboprune, tmp_path, target, recover):
    net = Net()
    h = net.relu(net.conv(image(net, size=16), 3, 8))
    narrow = net.relu(net.norm(net.conv(h, 8, 12, kernel=1), 12))
    branch = net.conv(net.relu(net.norm(net.conv(narrow, 12, 12, bias=False), 12)), 12, 8, kernel=1, bias=False)
    path = save(net.out(net.conv(net.node("Add", h, branch), 8, 3)), tmp_path / "net.onnx")
    data = data_for(path, tmp_path / "x.npz")
    report = quboprune.report("prune", path, "-o", "out.onnx", "--data", data, "--target", target, "--allow-empty",
                              "--objective", "l2", "--refine", "none", "--recover", recover, "--finetune-steps", "3")
    if target.startswith("filters"):
        assert report["result"]["filters"] == round((1 - float(target[8:])) * 32)
    written = quboprune.report("inspect", "out.onnx", flag="--json")["model"]
    # What is left of the branch is a bias of zeros, which training may make a bias of numbers.
    for what in ["macs"] if recover == "finetune" else ["macs", "parameters"]:
        assert written[what] == report["result"][what], "costs are those of the file"
    agrees(tmp_path / "out.onnx", tmp_path / "case")


def test_optimiser_empties_branches_only_when_allowed(quboprune, tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(residual().model(), path)
    data = data_for(path, tmp_path / "x.npz")
    inner = lambda report: [len(l["kept_indices"]) for l in report["layers"] if l["name"].endswith(".inner")]
    guarded = inner(prune(quboprune, path, data, "filters=0.8"))
    assert min(guarded) >= 1
    free = prune(quboprune, path, data, "filters=0.8", "--allow-empty", objective="l2")
    assert free["result"]["filters"] == round(0.2 * 22)
    agrees(tmp_path / "out.onnx", tmp_path / "case")
    refused = quboprune("prune", path, "-o", "most.onnx", "--data", data, "--target", "filters=0.9", "--refine",
                        "none", "--recover", "none", "--objective", "l2")
    assert refused.returncode == 2  # three layers, two channels left
    report = prune(quboprune, path, data, "filters=0.9", "--allow-empty")
    assert 0 in inner(report)
    agrees(tmp_path / "out.onnx", tmp_path / "case2")
