"""`prune --refine` is anytime: stopped, limited or taken up again, it gives the best so far."""

import json
import signal
import subprocess
import time

import onnx
import pytest

import networks
from conftest import COMMAND

ENDLESS = 1_000_000  # evaluations that no test waits for


@pytest.fixture
def wide(quboprune, pairs):
    """48 groups: more masks than any run here can try."""
    networks.save(networks.denoiser(24), quboprune.folder / "net.onnx")
    return quboprune


def words(evaluations, *more):
    return ["prune", "net.onnx", "-o", "out.onnx", "--data", "data.npz", "--target", "filters=0.25", "--objective",
            "l1", "--recover", "none", "--refine", "tt+local", "--evaluations", evaluations, "--work", "work",
            "--report", "report.json", *more]


def report_of(program):
    onnx.checker.check_model(onnx.load(program.folder / "out.onnx"), full_check=True)
    report = json.loads((program.folder / "report.json").read_text(encoding="utf-8"))
    assert report["result"]["groups_kept"] == 36
    return report["refinement"]


def evaluated(program):
    """Masks and their values, as the work folder keeps them."""
    paths = sorted((program.folder / "work").glob("refinement-*.json"))
    assert len(paths) <= 1
    return json.loads(paths[0].read_text(encoding="utf-8"))["masks"] if paths else {}


def interrupted(program, command):
    """Runs it, and presses Ctrl-C once it has evaluated some masks."""
    with subprocess.Popen([COMMAND, *map(str, command)], cwd=program.folder, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 240
        while len(evaluated(program)) < 30 and process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors


def test_interrupted_it_keeps_the_best(wide):
    interrupted(wide, words(ENDLESS))
    refinement = report_of(wide)
    assert refinement["reason"] == "stopped"
    assert 30 <= refinement["evaluations"] < ENDLESS
    assert refinement["best"] >= refinement["start"]
    assert len(evaluated(wide)) == refinement["evaluations"], "what was evaluated is kept for the next run"


def test_interrupted_it_is_repaired(wide):
    """A mask that was chosen for what the repair makes of it is worth little without."""
    interrupted(wide, ["refit" if word == "none" else word for word in words(ENDLESS, "--plan", "plan.json")])
    assert report_of(wide)["reason"] == "stopped"
    stopped = json.loads((wide.folder / "report.json").read_text(encoding="utf-8"))
    assert stopped["recovery"]["reason"] == "done" and stopped["recovery"]["layers"]
    wide.succeeds("apply", "net.onnx", "-o", "applied.onnx", "--plan", "plan.json", "--data", "data.npz",
                  "--recover", "refit", "--report", "applied.json")
    applied = json.loads((wide.folder / "applied.json").read_text(encoding="utf-8"))
    assert stopped["result"]["metric"]["heldout"]["recovered"] == applied["result"]["metric"]["heldout"]["recovered"]


def test_taken_up_again_it_evaluates_only_what_is_new(wide):
    wide.succeeds(*words(40))
    first = evaluated(wide)
    best = report_of(wide)["history"][-1]["best"]
    assert len(first) == 40
    wide.succeeds(*words(70))
    second = evaluated(wide)
    assert len(second) == 70
    assert {mask: second[mask] for mask in first} == first, "the same way, by the values that were kept"
    assert report_of(wide)["history"][-1]["best"] >= best


def test_another_target_keeps_its_own_work(wide):
    wide.succeeds(*words(20))
    first = evaluated(wide)
    wide.succeeds(*[word if word != "filters=0.25" else "filters=0.5" for word in words(20)])
    states = [json.loads(path.read_text(encoding="utf-8"))["masks"]
              for path in (wide.folder / "work").glob("refinement-*.json")]
    assert len(states) == 2 and first in states
    assert all(len(masks) == 20 for masks in states)


def test_the_time_limit_ends_it(wide):
    before = time.monotonic()
    wide.succeeds(*words(ENDLESS, "--time-limit", 1))
    seconds = time.monotonic() - before
    refinement = report_of(wide)
    assert refinement["reason"] == "time limit"
    assert 0 < refinement["evaluations"] < ENDLESS
    assert 1 <= refinement["seconds"] <= seconds
    assert refinement["best"] >= refinement["start"]


def test_a_late_layer_alone_is_refined(quboprune, pairs):
    """Its number among the layers is larger than that of its channels."""
    networks.save(networks.deep(), quboprune.folder / "net.onnx")
    report = quboprune.report("prune", "net.onnx", "-o", "out.onnx", "--data", "data.npz", "--target", "filters=0.5",
                              "--scope", "conv11", "--objective", "l1", "--recover", "none", "--refine", "tt+local",
                              "--evaluations", "3")
    assert report["result"]["groups_total"] == 4
    assert report["refinement"]["evaluations"] == 3  # one channel of the four is held
