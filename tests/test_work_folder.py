"""What `--work` keeps is taken up, unless it is damaged or of something else."""

import json
import signal
import subprocess
import time

import numpy as np
import pytest
from PIL import Image

import networks
from conftest import COMMAND
from test_prune import QUICK

WORDS = ["prune", "net.onnx", "-o", "out.onnx", "--data", "data.npz", "--target", "filters=0.25", "--objective",
         "hybrid", "--work", "work", *QUICK]
AUTO = ["prune", "net.onnx", "-o", "out.onnx", "--data", "data.npz", "--target", "filters=0.25", "--refine", "none",
        "--seed", "1", "--report", "report.json"]


def kept(program, pattern):
    """The one file of that name in the work folder; None where there is none yet."""
    paths = list((program.folder / "work").glob(pattern))
    assert len(paths) <= 1
    return paths[0] if paths else None


@pytest.mark.parametrize("damage", ["cut", "flipped"])
@pytest.mark.parametrize("name", ["scores-*.cbor", "values-*.cbor"])
def test_what_is_damaged_is_made_anew(quboprune, denoiser, pairs, name, damage):
    quboprune.succeeds(*WORDS)
    first = (quboprune.folder / "out.onnx").read_bytes()
    path = kept(quboprune, name)
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] if damage == "cut" else whole[:middle] + b"\xff" * 8 + whole[middle + 8:])
    quboprune.succeeds(*WORDS)
    assert (quboprune.folder / "out.onnx").read_bytes() == first
    assert path.read_bytes() == whole


def test_what_formulate_measured_is_kept_for_prune(quboprune, denoiser, pairs):
    words = ["--data", "data.npz", "--target", "filters=0.25", "--objective", "measured", "--work", "work"]
    quboprune.succeeds("formulate", "net.onnx", "-o", "problem.coo", *words)
    values = kept(quboprune, "values-*.cbor").read_bytes()
    problem = (quboprune.folder / "problem.coo").read_bytes()
    quboprune.succeeds("formulate", "net.onnx", "-o", "problem.coo", *words)
    assert (quboprune.folder / "problem.coo").read_bytes() == problem
    assert kept(quboprune, "values-*.cbor").read_bytes() == values


def test_scores_of_other_images_of_the_same_names_are_made_anew(quboprune, denoiser, pairs):
    def scored():
        return any(stage["name"] == "score" for stage in quboprune.report(*WORDS)["stages"])

    assert (scored(), scored()) == (True, False)
    clean, noisy = networks.smooth_images(12, 32)
    np.savez(pairs, inputs=noisy[::-1], targets=clean[::-1])
    assert (scored(), scored()) == (True, False)


def test_values_of_the_same_images_in_other_scenes_are_measured_anew(quboprune, denoiser):
    clean, noisy = networks.smooth_images(12, 32)
    two, many = [f"{'xy'[k // 6]}_{k % 6}" for k in range(12)], [f"img_{k:03d}" for k in range(12)]

    def write(folder, names, pieces):
        for part, images in (("clean", clean), ("noisy", noisy)):
            (quboprune.folder / folder / part).mkdir(parents=True, exist_ok=True)
            for name, piece in zip(names, pieces, strict=True):
                pixels = np.rint(255 * images[piece].clip(0, 1)).astype(np.uint8).transpose(1, 2, 0)
                Image.fromarray(pixels).save(quboprune.folder / folder / part / f"{name}.png")

    def made(data, *more):
        return quboprune.report("prune", "net.onnx", "-o", "out.onnx", "--data", data, "--split", "all", "--crop", "32", "--target",
                                "macs=0.5", "--refine", "none", *more)

    def order(folder, names):
        """By the place among the calibration samples, which is drawn, the number of the name."""
        return [next(k for k, name in enumerate(names) if name in said) for said in made(folder)["data"]["calibration"]]

    write("two", two, range(12))
    write("many", many, range(12))
    pieces = dict(zip(order("many", many), order("two", two), strict=True))
    write("many", many, [pieces[k] for k in range(12)])  # now the same samples come in the same order
    made("many", "--work", "work")
    taken_up, fresh = made("two", "--work", "work"), made("two")
    assert taken_up["tried"] == fresh["tried"] and taken_up["objective"] == fresh["objective"]


def test_a_choice_that_was_stopped_goes_on(quboprune, denoiser, pairs):
    networks.save(networks.denoiser(24), quboprune.folder / "net.onnx")
    quboprune.succeeds(*AUTO)
    whole = json.loads((quboprune.folder / "report.json").read_text(encoding="utf-8"))
    with subprocess.Popen([COMMAND, *AUTO, "--work", "work"], cwd=quboprune.folder, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 240
        while not kept(quboprune, "values-*.cbor") and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    stopped = json.loads((quboprune.folder / "report.json").read_text(encoding="utf-8"))
    assert any("stopped" in note for note in stopped["notes"]), "it was done before the signal came"
    again = quboprune.report(*AUTO[:-2], "--work", "work")
    for key in ("tried", "trust", "objective", "layers"):
        assert again.get(key) == whole.get(key), key
    values = kept(quboprune, "values-*.cbor")
    written = values.stat().st_mtime_ns
    quboprune.succeeds(*AUTO, "--work", "work")
    assert values.stat().st_mtime_ns == written, "everything was known"


def test_another_target_adds_to_the_same_values(quboprune, denoiser, pairs):
    quboprune.succeeds(*WORDS)
    before = kept(quboprune, "values-*.cbor").stat().st_size
    quboprune.succeeds(*[word if word != "filters=0.25" else "filters=0.5" for word in WORDS])
    assert kept(quboprune, "values-*.cbor").stat().st_size > before


def test_compared_methods_keep_their_own_refinements(quboprune, denoiser, pairs):
    words = ["compare", "net.onnx", "--data", "data.npz", "--target", "filters=0.25", "--methods", "l1+tt,l1+local",
             "--recover", "none", "--evaluations", "20", "--work", "work"]

    def states():
        return {path.name: json.loads(path.read_text(encoding="utf-8"))["masks"]
                for path in (quboprune.folder / "work").glob("refinement-*.json")}

    first = quboprune.report(*words)
    kept_first = states()
    assert [len(masks) for masks in kept_first.values()] == [20, 20]
    again = quboprune.report(*words)
    assert states() == kept_first
    for one, other in zip(first["methods"], again["methods"], strict=True):
        assert one["layers"] == other["layers"]
