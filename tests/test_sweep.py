"""`sweep`: several budgets, and the largest that a loss allows."""

import json
import signal
import subprocess
import time

import numpy as np
import onnxruntime
import pytest

import networks
from conftest import COMMAND

WORDS = ["sweep", "net.onnx", "-o", "smaller", "--data", "data.npz", "--objective", "taylor"]


def names(report):
    return [entry["name"] for entry in report["budgets"]]


def test_a_network_for_each_budget_as_prune_makes_it(quboprune, denoiser, pairs):
    report = quboprune.report(*WORDS, "--target", "macs=0.5,0.2,0.35")
    assert names(report) == ["macs=0.2", "macs=0.35", "macs=0.5"]
    assert "furthest" not in report and "loss" not in report["budgets"][0]
    assert report["result"] == report["budgets"][-1]["result"]
    kept = [entry["result"]["macs"] / report["model"]["macs"] for entry in report["budgets"]]
    assert kept == sorted(kept, reverse=True)
    for entry, part in zip(report["budgets"], kept, strict=True):
        assert part <= 1 - entry["target"]["removed_fraction"]
        session = onnxruntime.InferenceSession(quboprune.folder / entry["network"])
        (output,) = session.run(None, {session.get_inputs()[0].name: np.zeros((1, 3, 32, 32), np.float32)})
        assert output.shape == (1, 3, 32, 32)
    quboprune.succeeds("prune", "net.onnx", "-o", "alone.onnx", "--data", "data.npz", "--objective", "taylor", "--refine",
                       "none", "--target", "macs=0.35")
    alone = quboprune.folder / "alone.onnx"
    assert alone.read_bytes() == (quboprune.folder / report["budgets"][1]["network"]).read_bytes()


def test_the_largest_budget_that_a_loss_allows(quboprune, denoiser, pairs):
    words = [*WORDS, "--recover", "none", "--metric", "output", "--loss", "output", "--target", "filters=0.1,0.8"]
    little, much = (entry["loss"] for entry in quboprune.report(*words, "--max-loss", "0", "--halvings", "0")["budgets"])
    most = (little + much) / 2
    assert little < most < much
    report = quboprune.report(*words, "--max-loss", most, "--halvings", "2")
    losses = {entry["name"]: entry["loss"] for entry in report["budgets"]}
    assert len(losses) == 4 and "filters=0.45" in losses, "the first of the halvings"
    removed = [float(name.split("=")[1]) for name in losses]
    assert removed == sorted(removed)
    assert report["furthest"] == [name for name, loss in losses.items() if loss <= most][-1]
    assert report["max_loss"] == pytest.approx(most)
    assert report["result"] == next(e["result"] for e in report["budgets"] if e["name"] == report["furthest"])


def test_no_budget_holds(quboprune, denoiser, pairs):
    done = quboprune.succeeds(*WORDS, "--target", "filters=0.8", "--max-loss", "-50", "--halvings", "0", "--report", "r.json")
    assert "ask for less" in done.stdout
    report = json.loads((quboprune.folder / "r.json").read_text(encoding="utf-8"))
    assert report["furthest"] is None and names(report) == ["filters=0.8"]


def test_a_budget_that_cannot_be_met_is_noted(quboprune, denoiser, pairs):
    report = quboprune.report(*WORDS, "--target", "filters=0.25,0.999", "--max-loss", "1000", "--halvings", "1")
    assert names(report) == ["filters=0.25", "filters=0.625"], "halfway to what can't be met"
    assert any(note.startswith("filters=0.999: ") for note in report["notes"])
    assert report["furthest"] == "filters=0.625"


def test_by_a_penalty_too_a_budget_that_cannot_be_met_is_noted(quboprune, denoiser, pairs):
    words = ["l1-qubo" if word == "taylor" else word for word in WORDS]
    report = quboprune.report(*words, "--target", "filters=0.25,0.999")
    assert names(report) == ["filters=0.25"] and any(note.startswith("filters=0.999: ") for note in report["notes"])


def test_what_cannot_be_met_is_halved_towards_what_can(quboprune, denoiser, pairs):
    # 14 of the 16 filters may go, 0.875: 0.915, which comes first, can't be met either.
    report = quboprune.report(*WORDS, "--target", "filters=0.83,0.999", "--max-loss", "1000", "--halvings", "2")
    assert report["furthest"] == "filters=0.873"


def test_what_fails_later_ends_it_with_what_is_done(quboprune, denoiser, pairs):
    words = [*WORDS, "--recover", "none", "--target", "filters=0.1,0.8", "--metric", "output", "--loss", "output"]
    losses = [entry["loss"] for entry in quboprune.report(*words, "--max-loss", "0", "--halvings", "0")["budgets"]]
    (quboprune.folder / "smaller" / "filters-0.45.onnx").mkdir()
    done = quboprune(*words, "--max-loss", sum(losses) / 2, "--report", "r.json")
    assert done.returncode == 2 and "filters-0.45.onnx" in done.stderr
    report = json.loads((quboprune.folder / "r.json").read_text(encoding="utf-8"))
    assert names(report) == ["filters=0.1", "filters=0.8"]


def test_halvings_end_where_masks_are_the_same(quboprune, denoiser, pairs):
    report = quboprune.report(*WORDS, "--recover", "none", "--metric", "output", "--loss", "output", "--target", "filters=0.2",
                              "--max-loss", "-1", "--halvings", "10")
    assert report["furthest"] is None
    kept = [entry["result"]["filters"] for entry in report["budgets"]]
    assert kept == sorted(kept, reverse=True) and len(kept) <= 5, "16 filters: 3, 2, 1 and none removed"
    assert 16 not in kept[1:]


def test_each_stage_and_note_says_of_which_budget_it_is(quboprune, denoiser, pairs):
    report = quboprune.report(*WORDS, "--target", "filters=0.2,0.4", "--recover", "bn", "--halvings", "1")
    stages = [stage["name"] for stage in report["stages"]]
    assert stages.count("score") == 1 and "filters=0.2: choose" in stages and "filters=0.4: recover" in stages
    assert any(note.startswith("filters=0.2: ") and "batch norm" in note for note in report["notes"])
    assert any("--halvings" in note for note in report["notes"])


def test_the_report_may_lie_beside_the_networks(quboprune, denoiser, pairs):
    quboprune.succeeds(*WORDS, "--target", "filters=5e-1", "--report", "smaller/report.json")
    report = json.loads((quboprune.folder / "smaller" / "report.json").read_text(encoding="utf-8"))
    assert names(report) == ["filters=0.5"] and report["budgets"][0]["network"].endswith("filters-0.5.onnx")


@pytest.mark.parametrize(("words", "says"), [
    (["--target", "0.5"], "KIND=FRACTION"),
    (["--target", "macs=0.5,0.5"], "twice"),
    (["--target", "macs="], "'macs='"),
    (["--target", "macs=0.2,macs=0.5"], "KIND=FRACTION"),
    (["--target", "macs=0.2", "--max-loss", "1", "--calibration", "1"], "calibration"),
    (["--target", "macs=0.5,1.5"], "1.5"),
    (["--target", "macs=0.5", "--max-loss", "inf"], "finite"),
    (["--target", "filters=0.999"], "target"),
])
def test_bad_words_are_one_line(quboprune, denoiser, pairs, words, says):
    done = quboprune(*WORDS, *words)
    assert done.returncode == 2 and says in done.stderr, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_the_original_is_never_written_over(quboprune, denoiser, pairs):
    (quboprune.folder / "smaller").mkdir()
    original = quboprune.folder / "smaller" / "macs-0.5.onnx"
    original.write_bytes(denoiser.read_bytes())
    words = [original if word == "net.onnx" else word for word in WORDS]
    done = quboprune(*words, "--target", "macs=0.5")
    assert done.returncode == 2, done.stdout
    assert original.read_bytes() == denoiser.read_bytes()


def test_a_sweep_that_is_stopped_keeps_what_is_done(quboprune, pairs):
    networks.save(networks.denoiser(24), quboprune.folder / "net.onnx")
    targets = "macs=" + ",".join(f"{k / 100}" for k in range(5, 75))
    words = [COMMAND, *WORDS, "--target", targets, "--report", "report.json"]
    with subprocess.Popen(words, cwd=quboprune.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          text=True) as process:
        until = time.monotonic() + 240
        while (len(list((quboprune.folder / "smaller").glob("*.onnx"))) < 2 and process.poll() is None
               and time.monotonic() < until):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    report = json.loads((quboprune.folder / "report.json").read_text(encoding="utf-8"))
    assert any(note.startswith("stopped") for note in report["notes"]), "it was done before the signal came"
    assert 2 <= len(report["budgets"]) < 70
    for entry in report["budgets"]:
        assert (quboprune.folder / entry["network"]).exists()
