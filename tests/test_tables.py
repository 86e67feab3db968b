"""The statistics behind the documents' tables, and what tells one kept run from another."""

import argparse
import math
import statistics
import sys

import pytest

from conftest import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
import compare_runs
import kept_runs


def report(samples, seed=1, split="", **more):
    arguments = ["compare", "net.onnx", "--calibration", "64", *(["--split", split] if split else []),
                 *[word for key, value in more.items() for word in (f"--{key}", value)]]
    heldout = {"dense": 1, "pruned": sum(samples) / max(len(samples), 1), "samples": {"pruned": samples}}
    return {"model": {"path": "net.onnx"}, "target": {"kind": "macs", "removed_fraction": 0.36}, "seed": seed,
            "data": {"heldout": [f"{split}{k}" for k in range(len(samples))]}, "arguments": arguments,
            "methods": [{"name": "auto", "result": {"metric": {"heldout": heldout}}}]}


def pruned(run):
    return compare_runs.held_out(run)["samples"]["pruned"]


def test_intervals_are_of_the_paired_differences():
    theirs = [10, 20, 30, 40, 50, 60, 70, 80]
    assert compare_runs.interval([t + 1 for t in theirs], theirs) == (1, 1, 1), "spread of the images plays no part"
    differences = [0.1, -0.3, 0.5, 0.9, 0.2, -0.1, 0.4, 0.7]
    mean, low, high = compare_runs.interval([t + d for t, d in zip(theirs, differences)], theirs)
    assert mean == pytest.approx(0.3)
    # A bootstrap's percentiles: the normal ones of the spread with n in its denominator, to the draws' chance.
    error = 1.96 * statistics.pstdev(differences) / math.sqrt(len(differences))
    assert (mean - low, high - mean) == (pytest.approx(error, rel=0.1), pytest.approx(error, rel=0.1))
    with pytest.raises(ValueError):
        compare_runs.interval([1, 2], [1])


def test_sets_are_averaged_image_by_image_within_a_fold():
    runs = [report([1, 3], 1, "fold1.txt"), report([3, 5], 2, "fold1.txt"), report([10], 1, "fold2.txt"),
            report([30], 2, "fold2.txt")]
    assert compare_runs.over_seeds(runs, pruned) == [2, 4, 20]
    assert compare_runs.images(runs) == ["fold1.txt0", "fold1.txt1", "fold2.txt0"]
    assert compare_runs.mean_held_out(runs, "pruned") == pytest.approx((2 + 4 + 20) / 3), "images count, not folds"
    assert compare_runs.over_seeds([runs[0], report([], 2, "fold1.txt")], pruned) is None


def test_runs_of_other_data_or_effort_are_others():
    one = report([1, 2])
    assert kept_runs.identity(one) == kept_runs.identity(report([3, 4]))
    for other in (report([1, 2], seed=2), report([1, 2], split="fold1.txt"), report([1, 2], crop="128"),
                  report([1, 2], evaluations="300"), report([1, 2], recover="none")):
        assert kept_runs.identity(other) != kept_runs.identity(one)


def test_what_was_chosen_in_a_part_or_searched_longer_is_a_row_of_its_own():
    name, data = compare_runs.of_layers("4 layers", "half_unet-fold1", ["--data", "pairs"])
    assert (name, data[:2]) == ("half_unet-fold1-4layers", ["--data", "pairs"])
    assert compare_runs.of_layers("whole", "half_unet", ["--data"]) == ("half_unet", ["--data"])
    part = report([1, 2], scope=data[3])
    refined = report([1, 2], evaluations="300")
    refined["methods"][0]["name"] = "auto+tt"
    assert (compare_runs.layers_of(part), compare_runs.layers_of(refined)) == ("4 layers", "whole")
    assert [compare_runs.way_of(run) for run in (part, refined)] == ["auto", "auto+tt, 300 masks"]


def test_files_of_runs_tell_their_crops_apart():
    def mark(**more):
        options = argparse.Namespace(**{"quick": False, "calibration": 0, "crop": 0, **more})
        return compare_runs.effort_mark(["--data", "photographs"], options)
    marks = [mark(), mark(quick=True), mark(calibration=32), mark(crop=128)]
    assert len(set(marks)) == 4 and mark() == marks[0] == mark(calibration=64)


def test_a_failed_run_is_said_in_the_end(monkeypatch, capsys):
    monkeypatch.setattr(compare_runs, "failures", [])
    compare_runs.exit_if_any_failed()
    compare_runs.say_failed("out of memory")
    assert capsys.readouterr().out == "  failed: out of memory\n"
    with pytest.raises(SystemExit, match="1 runs failed"):
        compare_runs.exit_if_any_failed()
