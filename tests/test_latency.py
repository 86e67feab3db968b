"""What reports say of ONNX Runtime's times, by a stand-in for it in which a file's name says how long it takes."""

import json
import sys

import pytest

PRUNE = ["--data", "data.npz", "--target", "filters=0.25", "--recover", "none"]


@pytest.fixture
def runtime(denoiser, pairs, tmp_path, monkeypatch):
    (tmp_path / "onnxruntime.py").write_text("""
import time, types
__version__ = "0"
SessionOptions = types.SimpleNamespace
class InferenceSession:
    def __init__(self, path, options, providers):
        if "broken" in path: raise RuntimeError("won't load")
        self.seconds = 0.04 if "slow" in path else 0 if "quick" in path else 0.02
    def get_inputs(self): return [types.SimpleNamespace(name="x", type="tensor(float)")]
    def run(self, outputs, feed): time.sleep(self.seconds)
""")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("QUBOPRUNE_PYTHON", sys.executable)


def prune(quboprune, name):
    return quboprune.report("prune", "net.onnx", *PRUNE, "--objective", "l1", "--refine", "none", "--plan", "plan.json",
                            "-o", name)


def test_a_network_that_gets_no_faster_is_said_to_be_so(quboprune, runtime):
    said = [[note for note in prune(quboprune, name)["notes"] if note.startswith("no faster in ONNX Runtime")]
            for name in ("slow.onnx", "quick.onnx")]
    assert len(said[0]) == 1 and "--round-to" in said[0][0] and not said[1]


def test_networks_of_plans_and_comparisons_are_timed_too(quboprune, runtime):
    prune(quboprune, "some.onnx")
    applied = quboprune.report("apply", "net.onnx", "--plan", "plan.json", "-o", "quick.onnx")["latency"]
    assert applied["pruned_ms"] < applied["dense_ms"]
    compare = ["compare", "net.onnx", *PRUNE, "--methods", "l1,random"]
    methods = quboprune.report(*compare, "--networks", "slow")["methods"]
    assert all(m["latency"]["pruned_ms"] > m["latency"]["dense_ms"] for m in methods)
    assert not any("latency" in m for m in quboprune.report(*compare)["methods"])  # nothing is written to be timed


def test_a_network_that_the_runtime_refuses_is_a_failure(quboprune, runtime, tmp_path):
    words = ["prune", "net.onnx", *PRUNE, "--objective", "l1", "--refine", "none", "-o", "broken.onnx"]
    done = quboprune(*words, "--report", "report.json")
    assert (done.returncode, done.stderr.strip().splitlines()[-1].count("won't load")) == (1, 1)
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert "latency" not in report and (tmp_path / "broken.onnx").exists()
    assert [note for note in report["notes"] if "couldn't time both networks: won't load" in note]


def test_a_runtime_that_refuses_the_original_too_proves_nothing(quboprune, runtime, tmp_path):
    (tmp_path / "net.onnx").rename(tmp_path / "broken.onnx")
    report = quboprune.report("prune", "broken.onnx", *PRUNE, "--objective", "l1", "--refine", "none", "-o", "out.onnx")
    assert "latency" not in report and any("couldn't time both networks" in note for note in report["notes"])
