"""Pruned files: smaller as asked, what they should be, and the same in ONNX Runtime."""

import json
import os
import signal
import subprocess
import time

import numpy as np
import onnx
import onnxruntime
import pytest

import networks
from conftest import COMMAND

QUICK = ["--refine", "none", "--recover", "none", "--seed", "1"]


def run_onnx(model, x):
    content = model if isinstance(model, bytes) else model.SerializeToString()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def psnr(a, b):
    """Mean over the images of 10 log10(1 / mse)."""
    mse = ((a.astype(np.float64) - b) ** 2).reshape(len(a), -1).mean(1)
    return float((10 * np.log10(1 / mse)).mean())


def prune(program, *more, model="net.onnx", target="filters=0.25", data="data.npz"):
    report = program.report("prune", model, "-o", "out.onnx", "--data", data, "--target", target, *more)
    out = onnx.load(program.folder / "out.onnx")
    onnx.checker.check_model(out, full_check=True)
    return out, report


@pytest.mark.parametrize("objective", ["hybrid", "gate-fisher", "gauss-newton", "l1-qubo", "taylor", "fisher", "l1",
                                       "l2", "random"])
def test_filters_are_met_exactly(quboprune, denoiser, pairs, objective):
    out, report = prune(quboprune, "--objective", objective, *QUICK)
    weights = networks.weights_of(out)
    assert report["result"]["groups_total"] == 16
    assert report["result"]["groups_kept"] == 12
    assert weights["first.weight"].shape[0] == weights["tied.weight"].shape[0], "the Add ties these two"
    assert weights["first.weight"].shape[0] + weights["middle.weight"].shape[0] == 12
    x = networks.smooth_images(2, 48)[1]
    assert run_onnx(out, x).shape == x.shape


def test_the_held_out_change_has_an_interval_over_scenes(quboprune, denoiser, pairs):
    _, report = prune(quboprune, "--refine", "none", "--recover", "refit", "--objective", "taylor")
    heldout = report["result"]["metric"]["heldout"]
    change, samples = heldout["change"], heldout["samples"]
    assert change["mean"] == pytest.approx(np.mean(samples["recovered"]) - np.mean(samples["dense"]))
    assert change["low"] < change["mean"] < change["high"]
    assert change["scenes"] == len(report["data"]["heldout_scenes"])


@pytest.mark.parametrize("kind", ["params", "macs"])
@pytest.mark.parametrize("part", [0.2, 0.5])
def test_costs_never_exceed_what_may_stay(quboprune, denoiser, pairs, kind, part):
    out, report = prune(quboprune, *QUICK, target=f"{kind}={part}")
    key = {"params": "parameters", "macs": "macs"}[kind]
    assert report["result"][key] <= (1 - part) * report["model"][key]
    # A channel of this network is at most a tenth of it: no more than two are left out needlessly.
    assert report["result"][key] >= (1 - part - 0.2) * report["model"][key]


def test_report_counts_what_is_in_the_file(quboprune, denoiser, pairs):
    out, report = prune(quboprune, *QUICK)
    for model, part in [(onnx.load(denoiser), report["model"]), (out, report["result"])]:
        weights = networks.weights_of(model)
        statistics = sum(w.size for name, w in weights.items() if name.endswith((".mean", ".var")))
        total = sum(w.size for w in weights.values())
        # Whether batch norm's running statistics are parameters is a matter of definition.
        assert part["parameters"] in (total, total - statistics)


def test_sliced_is_the_masked_original(quboprune, pairs):
    original = networks.chain()
    networks.save(original, quboprune.folder / "net.onnx")
    out, report = prune(quboprune, *QUICK, target="filters=0.4")
    [layer] = [layer for layer in report["layers"] if layer["kept"] != layer["channels"]]
    assert layer["kept"] == len(layer["kept_indices"]) == 6
    gone = [c for c in range(10) if c not in layer["kept_indices"]]
    for w in original.graph.initializer:
        if w.name in ("norm.scale", "norm.bias"):  # relu(0) = 0: the channel is silent
            array = onnx.numpy_helper.to_array(w).copy()
            array[gone] = 0
            w.CopyFrom(onnx.numpy_helper.from_array(array, w.name))
    for size in (16, 33):
        x = networks.smooth_images(2, size)[1]
        # Sums of 6*9 float32 products in another order: relative error about 54 * 6e-8.
        np.testing.assert_allclose(run_onnx(out, x), run_onnx(original, x), rtol=0, atol=2e-5)


def test_what_pruning_does_not_touch_stays(quboprune, denoiser, pairs):
    before = onnx.load(denoiser)
    out, _ = prune(quboprune, *QUICK)
    assert out.opset_import == before.opset_import
    assert out.ir_version == before.ir_version
    assert out.producer_name == before.producer_name
    assert out.graph.input == before.graph.input
    assert out.graph.output == before.graph.output
    assert out.graph.doc_string == before.graph.doc_string
    assert [n.name for n in out.graph.node] == [n.name for n in before.graph.node]
    properties = {p.key: p.value for p in out.metadata_props}
    assert properties["origin"] == "tests" and properties["note"] == "ünïcode"


@pytest.mark.parametrize("make, data_size", [(networks.denoiser, 32), (networks.chain, 32), (networks.classifier, 16)])
def test_runtime_agrees_with_onnx_runtime(quboprune, make, data_size):
    """eval's PSNR of a network's outputs against the noise-free ones, computed in both runtimes."""
    model = make()
    networks.save(model, quboprune.folder / "net.onnx")
    inputs = networks.smooth_images(6, data_size)[1]
    outputs = run_onnx(model, inputs)
    targets = outputs + np.random.default_rng(7).normal(0, 0.05, outputs.shape).astype(np.float32)
    np.savez(quboprune.folder / "data.npz", inputs=inputs, targets=targets)
    report = quboprune.report("eval", "net.onnx", "--data", "data.npz", "--metric", "psnr")
    # Both are float32; a relative error of 1e-5 in an output is 1e-4 of the noise, 0.001 dB.
    assert report["result"]["metric"]["all"]["dense"] == pytest.approx(psnr(outputs, targets), abs=2e-3)


def test_saved_samples_are_those_that_were_judged(quboprune, denoiser, pairs):
    """eval --save-samples writes the samples it judges: read back as data, each gets the same value."""
    first = quboprune.report("eval", "net.onnx", "--data", "data.npz", "--metric", "psnr", "--part", "calibration",
                             "--calibration", "4", "--save-samples", "saved.npz")
    saved, arrays = np.load(quboprune.folder / "saved.npz"), np.load(pairs)
    assert len(saved["inputs"]) == len(saved["targets"]) == 4
    for x, y in zip(saved["inputs"], saved["targets"]):
        source = [np.array_equal(x, a) for a in arrays["inputs"]].index(True)
        assert np.array_equal(y, arrays["targets"][source])
    again = quboprune.report("eval", "net.onnx", "--data", "saved.npz", "--metric", "psnr")
    values = [[s["value"] for s in report["result"]["samples"]] for report in (first, again)]
    assert sorted(values[0]) == sorted(values[1])


def test_held_out_figures_are_those_of_the_file(quboprune, denoiser, pairs):
    out, report = prune(quboprune, *QUICK, "--split", "all", "--metric", "psnr")
    arrays = np.load(pairs)
    got = report["result"]["metric"]["heldout"]
    assert got["pruned"] == pytest.approx(psnr(run_onnx(out, arrays["inputs"]), arrays["targets"]), abs=2e-3)
    before = onnx.load(denoiser)
    assert got["dense"] == pytest.approx(psnr(run_onnx(before, arrays["inputs"]), arrays["targets"]), abs=2e-3)


def test_refinement_is_never_worse_on_its_own_data(quboprune, denoiser, pairs):
    _, report = prune(quboprune, "--refine", "tt", "--evaluations", "60", "--recover", "none", "--metric", "psnr")
    refinement = report["refinement"]
    assert 0 < refinement["evaluations"] <= 60
    assert refinement["best"] >= refinement["start"] or refinement["best"] == pytest.approx(refinement["start"])

    def on_calibration():
        return quboprune.report("eval", "out.onnx", "--data", "data.npz", "--part", "calibration", "--metric", "psnr"
                                )["result"]["metric"]["calibration"]["dense"]

    # The file that was written, on all that the search or its check saw.
    refined = on_calibration()
    prune(quboprune, "--refine", "none", "--recover", "none", "--metric", "psnr")
    assert refined >= on_calibration() - 1e-4


def test_same_seed_same_file(quboprune, denoiser, pairs):
    first = prune(quboprune, "--refine", "tt", "--evaluations", "40", "--seed", "3")[0].SerializeToString()
    second = prune(quboprune, "--refine", "tt", "--evaluations", "40", "--seed", "3")[0].SerializeToString()
    assert first == second


def test_a_plan_makes_the_same_network(quboprune, denoiser, pairs):
    out, _ = prune(quboprune, *QUICK, "--plan", "plan.json")
    json.loads((quboprune.folder / "plan.json").read_text(encoding="utf-8"))
    quboprune.succeeds("apply", "net.onnx", "-o", "again.onnx", "--plan", "plan.json")
    again = onnx.load(quboprune.folder / "again.onnx")
    x = networks.smooth_images(2, 24)[1]
    np.testing.assert_array_equal(run_onnx(out, x), run_onnx(again, x))


@pytest.fixture
def plan(quboprune, denoiser, pairs):
    """A plan, the report that it came with, and what apply makes of a plan."""
    _, report = prune(quboprune, "--objective", "l1", *QUICK, "--plan", "plan.json")
    made = json.loads((quboprune.folder / "plan.json").read_text(encoding="utf-8"))

    def apply(edited):
        (quboprune.folder / "edited.json").write_text(json.dumps(edited), encoding="utf-8")
        return quboprune("apply", "net.onnx", "-o", "again.onnx", "--plan", "edited.json", "--report", "again.json")

    def kept(edited):
        done = apply(edited)
        assert done.returncode == 0, done.stderr
        again = json.loads((quboprune.folder / "again.json").read_text(encoding="utf-8"))
        return {layer["name"]: layer["kept_indices"] for layer in again["layers"]}

    return made, report, kept, apply


def put_back(plan, members):
    for member in members:
        name, index = member.rsplit(":", 1)
        layer = next(layer for layer in plan["layers"] if layer["name"] == name)
        layer["kept_indices"] = sorted([*layer["kept_indices"], int(index)])


def test_an_edited_plan_is_followed_wherever_it_was_edited(plan):
    made, report, kept, _ = plan
    by_removed, by_layers = json.loads(json.dumps(made)), json.loads(json.dumps(made))
    group = next(r for r in report["removed"] if r["group"] == made["removed"][0])
    del by_removed["removed"][0]
    put_back(by_layers, group["members"])
    expected = {layer["name"]: layer["kept_indices"] for layer in by_layers["layers"]}
    assert kept(by_removed) == kept(by_layers) == expected
    assert expected != kept(made)
    del by_layers["removed"]
    assert kept(by_layers) == expected
    by_removed["layers"] = []
    assert kept(by_removed) == expected


def test_a_plan_of_another_file_is_applied_and_said(plan):
    made, _, kept, apply = plan
    made["model"]["sha256"] = "0" * 64
    assert apply(made).stdout.count("was made for another file") == 1


def test_options_that_have_no_say_are_named(quboprune, denoiser, pairs):
    _, report = prune(quboprune, "--objective", "l1", *QUICK, "--plan", "plan.json", "--evaluations", "5", "--finetune-steps",
                      "3")
    ignored = [note.split(" is ignored")[0] for note in report["notes"] if "ignored" in note]
    assert ignored == ["--evaluations", "--finetune-steps"]
    (quboprune.folder / "mask.txt").write_text("1" * report["model"]["filters"])
    report = quboprune.report("prune", "net.onnx", "-o", "out.onnx", "--data", "data.npz", "--mask", "mask.txt", "--recover",
                              "none", "--objective", "l1", "--gamma", "2", "--target", "filters=0.001", "--of-live")
    assert any(note.startswith("--objective, --of-live, --gamma are ignored") for note in report["notes"])
    assert report["target"]["removed_fraction"] == 0.001
    report = quboprune.report("apply", "net.onnx", "-o", "out.onnx", "--plan", "plan.json", "--crop", "16")
    assert "--crop is ignored: no data were given" in report["notes"]
    assert {r["group"] for r in report["removed"]} == set(json.loads((quboprune.folder / "plan.json").read_text())["removed"])


def test_a_weight_given_by_hand_is_taken(quboprune, denoiser, pairs):
    hybrid = ("--objective", "hybrid", *QUICK)
    _, tuned = prune(quboprune, *hybrid)
    _, given = prune(quboprune, *hybrid, "--gamma", "7")
    _, untuned = prune(quboprune, *hybrid, "--gamma", "7", "--no-tune")
    assert len(tuned["tried"]) > 1 and "tried" not in given
    assert given["solver"]["energy"] == untuned["solver"]["energy"]
    _, usual = prune(quboprune, *hybrid, "--no-tune")
    assert given["solver"]["energy"] != usual["solver"]["energy"]
    _, other = prune(quboprune, "--objective", "l1", *QUICK, "--gamma", "7", "--cross", "1")
    assert "--gamma, --cross are ignored: l1 has no such weight" in other["notes"]


def test_a_proof_is_of_the_mask_that_is_written(quboprune, denoiser, pairs):
    _, report = prune(quboprune, "--objective", "hybrid", "--no-tune", "--round-to", "4", *QUICK)
    assert report["solver"]["reason"] != "optimal" and report["solver"].get("gap") is None


def test_a_problem_that_was_stopped_is_not_written(quboprune, denoiser, pairs):
    """What a stop left half-measured would be another problem."""
    clean, noisy = networks.smooth_images(32, 96)
    np.savez(quboprune.folder / "data.npz", inputs=noisy, targets=clean)
    command = [COMMAND, "formulate", "net.onnx", "--data", "data.npz", "--target", "filters=0.3", "--objective", "measured",
               "-o", "problem.coo", "--threads", "1"]
    began = time.monotonic()
    whole = subprocess.run(command, cwd=quboprune.folder, capture_output=True, text=True)
    seconds = time.monotonic() - began
    assert whole.returncode == 0, whole.stderr
    expected = (quboprune.folder / "problem.coo").read_bytes()
    outcomes = set()
    for wait in seconds * np.linspace(0.3, 1.1, 12):
        (quboprune.folder / "problem.coo").unlink(missing_ok=True)
        with subprocess.Popen(command, cwd=quboprune.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            time.sleep(wait)
            process.send_signal(signal.SIGINT)
            process.wait(timeout=120)
        written = (quboprune.folder / "problem.coo").exists()
        assert written == (process.returncode == 0)
        assert not written or (quboprune.folder / "problem.coo").read_bytes() == expected
        outcomes.add(process.returncode)
    assert 1 in outcomes, "none was stopped at its work"


def test_contradictions_in_a_plan_are_one_line(plan):
    made, report, _, apply = plan

    def refused(edited, *mentions):
        done = apply(edited)
        assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1, done.stderr
        for mention in ("edited.json", *mentions):
            assert mention in done.stderr

    both = json.loads(json.dumps(made))
    first, second = report["removed"][:2]
    both["removed"].remove(first["group"])
    put_back(both, second["members"])
    refused(both, "take one of the two lists out")
    coupled = json.loads(json.dumps(made))
    tied = next(r for r in report["removed"] if len(r["members"]) > 1)
    put_back(coupled, tied["members"][:1])
    refused(coupled, *tied["members"][:2], "go together")
    outside = json.loads(json.dumps(made))
    outside["layers"][0]["kept_indices"].append(99)
    refused(outside, "99", outside["layers"][0]["name"])
    frozen = json.loads(json.dumps(made))
    next(layer for layer in frozen["layers"] if layer["name"] == "head")["kept_indices"].pop()
    refused(frozen, "head:2", "must stay")


def test_without_targets_the_original_is_the_judge(quboprune, denoiser):
    np.savez(quboprune.folder / "data.npz", inputs=networks.smooth_images(8, 32)[1])
    _, report = prune(quboprune, "--objective", "gauss-newton", *QUICK)
    assert report["result"]["metric"]["name"] == "output"
    assert report["result"]["metric"]["heldout"]["dense"] == pytest.approx(0, abs=1e-9)


def test_a_flattened_classifier_keeps_its_coupling(quboprune):
    networks.save(networks.classifier(), quboprune.folder / "net.onnx")
    np.savez(quboprune.folder / "data.npz", inputs=networks.smooth_images(8, 16)[1])
    out, report = prune(quboprune, "--objective", "l1", *QUICK, target="filters=0.5")
    weights = networks.weights_of(out)
    assert weights["first.weight"].shape[0] == weights["depthwise.weight"].shape[0] == 4
    assert weights["fc.weight"].shape == (4, 4 * 64)
    run_onnx(out, networks.smooth_images(2, 16)[1])


def test_refit_does_no_harm(quboprune, denoiser, pairs):
    _, report = prune(quboprune, "--refine", "none", "--recover", "refit", "--metric", "psnr", "--split", "all")
    metric = report["result"]["metric"]["heldout"]
    assert metric["recovered"] >= metric["pruned"] - 1e-6


def test_names_that_are_no_utf8(quboprune, denoiser, pairs):
    (quboprune.folder / "odd.onnx").write_bytes(denoiser.read_bytes().replace(b"first", b"fir\xffs"))
    report = quboprune.report("prune", "odd.onnx", "-o", "out.onnx", "--data", "data.npz", "--target", "filters=0.25",
                              "--objective", "l1", "--refine", "none", "--recover", "none", "--plan", "plan.json",
                              "--work", "work")
    assert report["result"]["groups_kept"] == 12
    assert any("\ufffd" in layer["name"] for layer in report["layers"])


def test_without_a_reference_a_network_is_compared_with_itself(quboprune, denoiser):
    clean, noisy = networks.smooth_images(4, 32)
    np.savez(quboprune.folder / "inputs.npz", inputs=noisy)
    assert quboprune.report("eval", "net.onnx", "--data", "inputs.npz")["result"]["metric"]["all"]["dense"] == 0
    assert "--reference" in quboprune.succeeds("eval", "net.onnx", "--data", "inputs.npz", "--metric", "output").stdout


def test_memory_reported_is_the_programs_own(quboprune, denoiser, pairs):
    """Not that of the process that starts it, which holds a gigabyte."""
    held = np.ones(1 << 27)
    report = quboprune.report("prune", denoiser, "-o", "out.onnx", "--data", pairs, "--target", "filters=0.25",
                              "--objective", "l2", "--refine", "none", "--recover", "none")
    assert 0 < max(stage["peak_rss_bytes"] for stage in report["stages"]) < held.nbytes


def test_an_output_that_cannot_be_read_again_is_written_all_the_same(quboprune, denoiser, pairs):
    words = ["net.onnx", "--data", "data.npz", "--target", "filters=0.25", "--objective", "l1", "--refine", "none",
             "--recover", "none"]
    quboprune.succeeds("prune", *words, "-o", "plain.onnx")
    pipe = quboprune.folder / "pipe"
    os.mkfifo(pipe)
    with open(quboprune.folder / "through.onnx", "wb") as through, subprocess.Popen(["cat", pipe], stdout=through):
        quboprune.succeeds("prune", *words, "-o", "pipe")
    assert len(onnx.load(quboprune.folder / "through.onnx").graph.node) > 0
    quboprune.succeeds("prune", *words, "-o", "/dev/null")


def test_each_of_several_methods_has_its_own_stages(quboprune, denoiser, pairs):
    report = quboprune.report("compare", "net.onnx", "--data", "data.npz", "--target", "filters=0.25", "--methods",
                              "l1,random", "--recover", "none")
    stages = [stage["name"] for stage in report["stages"]]
    assert "l1: choose" in stages and "random: choose" in stages
    (quboprune.folder / "report.json").unlink()
    failing = quboprune("compare", "net.onnx", "--data", "data.npz", "--target", "filters=0.25", "--methods",
                        "l1,gauss-newton,random", "--probes", "0", "--recover", "none", "--report", "report.json")
    assert failing.returncode == 2 and "probes" in failing.stderr
    report = json.loads((quboprune.folder / "report.json").read_text())
    assert [method["name"] for method in report["methods"]] == ["l1"], "what was done before is kept"
    assert "ended by an error: only 1 of 3 methods were done" in report["notes"]
    twice = quboprune("compare", "net.onnx", "--data", "data.npz", "--target", "filters=0.25", "--methods", "l1,l1")
    assert twice.returncode == 2 and "names l1 twice" in twice.stderr
