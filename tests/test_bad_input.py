"""The user's mistakes: each gives one clear line and exit code 2, and leaves no file."""

import numpy as np
import pytest
from PIL import Image

import networks


def expect_one_line(program, words, *mentions):
    """Runs a command that must fail as the user's fault; `mentions` must be in its one line."""
    before = sorted(program.folder.rglob("*"))
    done = program(*words)
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 2, f"exit {done.returncode}: {done.stderr[-2000:]}{done.stdout[-500:]}"
    assert len(lines) == 1, done.stderr
    for mention in mentions:
        assert str(mention) in lines[0], lines[0]
    assert done.stdout == ""
    assert sorted(program.folder.rglob("*")) == before, "a file was left"


def prune_words(model="net.onnx", data="data.npz", target="filters=0.25", out="out.onnx"):
    return ["prune", model, "-o", out, "--data", data, "--target", target]


@pytest.mark.parametrize("command", ["inspect", "prune", "eval"])
@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "text", "picture"])
def test_what_is_no_model(quboprune, pairs, command, kind):
    path = quboprune.folder / "net.onnx"
    if kind == "folder":
        path.mkdir()
    elif kind == "picture":
        Image.new("RGB", (40, 40), "red").save(path, format="PNG")
    elif kind != "missing":
        path.write_bytes(b"" if kind == "empty" else b"this is no network\n" * 20)
    words = {"inspect": ["inspect", path], "prune": prune_words(), "eval": ["eval", path, "--data", pairs]}[command]
    expect_one_line(quboprune, words, "net.onnx")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_truncated_model(quboprune, denoiser, pairs, part):
    whole = denoiser.read_bytes()
    denoiser.write_bytes(whole[: int(len(whole) * part)])
    expect_one_line(quboprune, prune_words(), "net.onnx")


def test_operator_that_we_do_not_run(quboprune, pairs):
    networks.save(networks.unknown_operator(), quboprune.folder / "net.onnx")
    expect_one_line(quboprune, prune_words(), "Frobnicate")


@pytest.mark.parametrize("target", ["filters=0", "filters=1", "filters=-0.2", "filters=abc", "filters=", "filters",
                                    "=0.3", "weights=0.3", "filters=nan", "macs=1.5", "params=0x", "filters=0.3,"])
def test_targets(quboprune, denoiser, pairs, target):
    expect_one_line(quboprune, prune_words(target=target), "target")


@pytest.mark.parametrize("flag", ["-o", "--report", "--html", "--plan"])
def test_output_folder_that_is_not_there(quboprune, denoiser, pairs, flag):
    words = prune_words()
    if flag == "-o":
        words[words.index("-o") + 1] = "nowhere/out.onnx"
    else:
        words += [flag, "nowhere/file"]
    expect_one_line(quboprune, words, "nowhere")


def test_data_that_are_not_there(quboprune, denoiser):
    expect_one_line(quboprune, prune_words(data="no-such-data"), "no-such-data")


def test_folder_without_data(quboprune, denoiser):
    (quboprune.folder / "empty").mkdir()
    expect_one_line(quboprune, prune_words(data="empty"), "empty")


def save_arrays(folder, **arrays):
    np.savez(folder / "data.npz", **{name: np.asarray(array, np.float32) for name, array in arrays.items()})


def test_data_with_the_wrong_number_of_channels(quboprune, denoiser):
    save_arrays(quboprune.folder, inputs=np.zeros((8, 5, 32, 32)), targets=np.zeros((8, 5, 32, 32)))
    expect_one_line(quboprune, prune_words(), "5")


def test_targets_of_another_size(quboprune, denoiser):
    save_arrays(quboprune.folder, inputs=np.zeros((8, 3, 32, 32)), targets=np.zeros((8, 3, 16, 16)))
    expect_one_line(quboprune, prune_words())


def test_inputs_and_targets_of_different_number(quboprune, denoiser):
    save_arrays(quboprune.folder, inputs=np.zeros((8, 3, 32, 32)), targets=np.zeros((7, 3, 32, 32)))
    expect_one_line(quboprune, prune_words(), "7")


def test_images_that_do_not_fit_a_network_of_fixed_size(quboprune):
    networks.save(networks.classifier(), quboprune.folder / "net.onnx")
    save_arrays(quboprune.folder, inputs=np.zeros((8, 3, 20, 20)))
    expect_one_line(quboprune, prune_words())


def test_truncated_data(quboprune, denoiser, pairs):
    pairs.write_bytes(pairs.read_bytes()[:-2000])
    expect_one_line(quboprune, prune_words(), "data.npz")


@pytest.mark.parametrize("words", [["--objective", "wish"], ["--metric", "beauty"], ["--loss", "hunger"],
                                   ["--refine", "pray"], ["--recover", "hope"], ["--seed", "x"], ["--calibration", "-3"],
                                   ["--no-such-flag"], ["--scope", "nothing_is_called_so"]])
def test_options(quboprune, denoiser, pairs, words):
    expect_one_line(quboprune, prune_words() + words)


@pytest.mark.parametrize("words", [[], ["enlarge"], ["prune"], ["inspect"], ["prune", "net.onnx"]])
def test_commands_that_are_not_whole(quboprune, denoiser, words):
    expect_one_line(quboprune, words)


@pytest.mark.parametrize("text", ["", "{", "[]", "{\"keep\": 3}", "0 0 what\n"])
def test_problem_files(quboprune, text):
    (quboprune.folder / "problem").write_text(text, encoding="utf-8")
    expect_one_line(quboprune, ["solve", "problem", "--time", "1"], "problem")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "{\"groups\": 7}"])
def test_plan_files(quboprune, denoiser, text):
    (quboprune.folder / "plan.json").write_text(text, encoding="utf-8")
    expect_one_line(quboprune, ["apply", "net.onnx", "-o", "out.onnx", "--plan", "plan.json"], "plan.json")
