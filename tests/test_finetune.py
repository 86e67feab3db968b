"""Training after the cut: --recover finetune, and finetune with the original as a teacher."""

import json

import numpy as np
import onnx
import pytest

import networks
from onnx_net import Net
from test_prune import run_onnx

PRUNE = ["prune", "net.onnx", "-o", "out.onnx", "--data", "data.npz", "--target", "filters=0.5", "--objective", "l2",
         "--refine", "none", "--split", "0.7", "--seed", "1"]
TRAINED = ["--recover", "finetune", "--finetune-steps", "30", "--finetune-batch", "2"]


@pytest.mark.parametrize("targets", [True, False])
def test_training_follows_a_refit_and_both_are_reported(quboprune, denoiser, pairs, targets):
    clean, noisy = networks.smooth_images(12, 32)
    if not targets:
        np.savez(pairs, inputs=noisy)
    report = quboprune.report(*PRUNE, *TRAINED)
    recovery, metric = report["recovery"], report["result"]["metric"]
    assert (recovery["name"], recovery["steps"], recovery["reason"]) == ("finetune", 30, "steps")
    assert recovery["layers"] and recovery["training"]["history"]
    checking = recovery["checking"]
    assert checking["after"] == checking["trained" if recovery["training"]["kept"] else "refitted"]
    better = max if targets else min  # PSNR, or the distance to the original
    assert better(checking["after"], checking["refitted"], checking["before"]) == checking["after"]
    for part in ("calibration", "heldout"):
        assert {"dense", "pruned", "refitted", "recovered"} <= metric[part].keys()
    refit = quboprune.report(*PRUNE, "--recover", "refit")["result"]["metric"]["heldout"]
    assert metric["heldout"]["refitted"] == pytest.approx(refit["recovered"], abs=1e-6)
    run_onnx((quboprune.folder / "out.onnx").read_bytes(), noisy[:2])


def test_statistics_that_another_node_passes_on_are_a_norms_own(quboprune, pairs, tmp_path):
    """As exporters share equal initialisers: by an Identity."""
    n = Net()
    means = n.node("Identity", n.weight(8, scale=0.1))
    h = n.node("BatchNormalization", n.conv(n.input("x", ["n", 3, 32, 32]), 3, 8), n.positive(8), n.weight(8, scale=0.1),
               means, n.positive(8))
    onnx.save(n.out(n.conv(n.relu(h), 8, 3)).model(), tmp_path / "net.onnx")
    assert quboprune.report(*PRUNE, *TRAINED)["recovery"]["steps"] == 30


def test_harmful_training_is_thrown_away(quboprune, denoiser, pairs):
    np.savez(pairs, inputs=networks.smooth_images(12, 32)[1])  # judged by the distance to the original
    report = quboprune.report(*PRUNE, *TRAINED, "--finetune-lr", "1")
    metric = report["result"]["metric"]["heldout"]
    assert not report["recovery"]["training"]["kept"]
    assert metric["recovered"] == metric["refitted"]
    assert any("training made the network worse" in note for note in report["notes"])


def test_training_is_taken_up_where_it_stopped(quboprune, denoiser, pairs):
    whole = quboprune.report(*PRUNE, *TRAINED)
    first = (quboprune.folder / "out.onnx").read_bytes()
    for _ in range(2):
        again = quboprune.report(*PRUNE, *TRAINED, "--work", "work")
        assert again["recovery"]["checking"] == whole["recovery"]["checking"]
        assert (quboprune.folder / "out.onnx").read_bytes() == first
    assert again["recovery"]["training"]["history"] == []  # nothing was left to do


def test_without_targets_the_teacher_is_the_measure(quboprune, denoiser, pairs):
    np.savez(pairs, inputs=networks.smooth_images(12, 32)[1])
    quboprune.succeeds(*PRUNE, "--recover", "none")
    metric = quboprune.report("finetune", "out.onnx", "-o", "trained.onnx", "--data", "data.npz", "--crop", "32", "--steps",
                              "30", "--split", "0.7", "--teacher", "net.onnx")["result"]["metric"]["heldout"]
    for name, network in (("dense", "out.onnx"), ("recovered", "trained.onnx")):
        measured = quboprune.report("eval", network, "--data", "data.npz", "--split", "0.7", "--part", "heldout",
                                    "--reference", "net.onnx")["result"]["metric"]["heldout"]["dense"]
        assert metric[name] == pytest.approx(measured, rel=1e-4)
    assert 0 < metric["recovered"] < metric["dense"]


def test_a_work_folder_serves_one_training(quboprune, denoiser, pairs):
    words = ["finetune", "net.onnx", "-o", "trained.onnx", "--data", "data.npz", "--crop", "32", "--batch", "2", "--seed",
             "1", "--work", "work"]
    quboprune.succeeds(*words, "--steps", "4")
    assert "4 of the steps were taken up from work" in quboprune.succeeds(*words, "--steps", "6").stdout
    trained = (quboprune.folder / "trained.onnx").read_bytes()
    clean, noisy = networks.smooth_images(12, 32)
    for other in (["--lr", "1e-5"], ["--ema", "0"], ["--teacher", "net.onnx"], []):
        if not other:
            np.savez(pairs, inputs=noisy[::-1], targets=clean[::-1])  # other data of the same name
        done = quboprune(*words, "--steps", "8", *other)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1) and "another training" in done.stderr
        assert (quboprune.folder / "trained.onnx").read_bytes() == trained


def test_other_settings_have_a_training_of_their_own(quboprune, denoiser, pairs):
    quboprune.succeeds(*PRUNE, *TRAINED, "--work", "work")
    slower = [*PRUNE, *TRAINED, "--finetune-lr", "1e-6"]
    alone = quboprune.report(*slower)["recovery"]
    assert quboprune.report(*slower, "--work", "work")["recovery"]["checking"] == alone["checking"]


def test_methods_that_are_compared_do_not_share_a_training(quboprune, denoiser, pairs):
    report = quboprune.report("compare", "net.onnx", "--data", "data.npz", "--target", "macs=0.4", "--methods",
                              "l1,random", "--split", "0.7", *TRAINED, "--work", "work")
    assert [method["name"] for method in report["methods"]] == ["l1", "random"]
    assert len(list((quboprune.folder / "work").glob("finetune-*"))) == 2


def test_finetune_follows_features_by_the_plan(quboprune, denoiser, pairs):
    quboprune.succeeds(*PRUNE, "--recover", "none", "--plan", "plan.json")
    words = ["finetune", "out.onnx", "-o", "trained.onnx", "--data", "data.npz", "--teacher", "net.onnx", "--steps", "20",
             "--batch", "2", "--crop", "32", "--seed", "1"]

    def loss(*more):
        return quboprune.report(*words, *more)["history"][-1]["loss"]

    outputs_only = loss()
    assert loss("--plan", "plan.json", "--feature-weight", "0") == pytest.approx(outputs_only, rel=1e-5)
    assert loss("--plan", "plan.json", "--feature-weight", "2") > 1.05 * outputs_only


def test_plans_that_do_not_fit_a_training(quboprune, denoiser, pairs):
    quboprune.succeeds(*PRUNE, "--recover", "none", "--plan", "plan.json")

    def refused(plan, *words):
        done = quboprune("finetune", "out.onnx", "-o", "trained.onnx", "--data", "data.npz", "--steps", "2", "--batch",
                         "2", "--crop", "32", "--feature-weight", "1", "--plan", plan, *words)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert not (quboprune.folder / "trained.onnx").exists()
        return done.stderr

    assert "--teacher" in refused("plan.json")
    done = quboprune("finetune", "out.onnx", "-o", "trained.onnx", "--data", "data.npz", "--teacher", "net.onnx",
                     "--plan", "plan.json")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1) and "--feature-weight" in done.stderr
    plan = json.loads((quboprune.folder / "plan.json").read_text(encoding="utf-8"))
    plan["removed"] = plan["removed"][:1]
    (quboprune.folder / "other.json").write_text(json.dumps(plan), encoding="utf-8")
    assert "can't follow the teacher's" in refused("other.json", "--teacher", "net.onnx")


def test_a_report_says_what_made_it_and_what_is_left_out(quboprune, denoiser, pairs):
    words = ["net.onnx", "-o", "out.onnx", "--data", "data.npz", "--steps", "2", "--seed", "3"]
    report = quboprune.report("finetune", *words)
    assert report["arguments"] == ["finetune", *words, "--report", "report.json"] and report["seed"] == 3
    assert report["data"]["notes"] == []
