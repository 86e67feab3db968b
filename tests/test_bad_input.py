"""The user's mistakes: each gives one clear line and exit code 2, and leaves no file."""

import subprocess

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

import networks
from conftest import COMMAND
from onnx_net import Net


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


@pytest.mark.parametrize("words", [
    ["prune", "net.onnx", "-o", "net.onnx", "--data", "data.npz", "--target", "filters=0.25"],
    ["prune", "net.onnx", "-o", "out.onnx", "--data", "data.npz", "--target", "filters=0.25", "--report", "./data.npz"],
    ["prune", "net.onnx", "-o", "out.onnx", "--data", "data.npz", "--target", "filters=0.25", "--html", "./out.onnx"],
    ["apply", "net.onnx", "-o", "plan.json", "--plan", "plan.json"],
    ["finetune", "net.onnx", "-o", "./net.onnx", "--data", "data.npz", "--steps", "1"],
    ["compare", "net.onnx", "--data", "data.npz", "--target", "filters=0.25", "--report", "net.onnx"],
    ["formulate", "net.onnx", "--data", "data.npz", "-o", "data.npz"],
    ["eval", "net.onnx", "--data", "data.npz", "--save-samples", "data.npz"],
    ["inspect", "net.onnx", "--json", "net.onnx"]])
def test_no_file_is_both_read_and_written(quboprune, denoiser, pairs, words):
    (quboprune.folder / "plan.json").write_text("{\"removed\": []}", encoding="utf-8")
    before = denoiser.read_bytes()
    expect_one_line(quboprune, words, "another file" if "--html" not in words else "two outputs")
    assert denoiser.read_bytes() == before


@pytest.mark.parametrize("words", [["--report", "problem"], ["--write", "problem"],
                                   ["--write", "a", "--report", "./a"]])
def test_solve_does_not_overwrite_its_problem(quboprune, words):
    (quboprune.folder / "problem").write_text("0 0 1\n0 1 -2\n", encoding="utf-8")
    expect_one_line(quboprune, ["solve", "problem", "--time", "0.1"] + words, "file")


@pytest.mark.parametrize("folder", ["data.npz", "data.npz/below"])
def test_work_folders_that_cannot_be(quboprune, denoiser, pairs, folder):
    expect_one_line(quboprune, prune_words() + ["--work", folder], "--work", folder)
    expect_one_line(quboprune, ["compare", "net.onnx", "--data", "data.npz", "--target", "filters=0.25",
                                "--methods", "l1", "--networks", folder], "--networks", folder)
    expect_one_line(quboprune, ["finetune", "net.onnx", "-o", "out.onnx", "--data", "data.npz", "--work", folder],
                    "--work", folder)


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


def test_a_loss_that_the_data_have_no_targets_for(quboprune, denoiser):
    save_arrays(quboprune.folder, inputs=np.zeros((8, 3, 32, 32)))
    expect_one_line(quboprune, [*prune_words(), "--loss", "mse"], "--loss mse")


def test_inputs_and_targets_of_different_number(quboprune, denoiser):
    save_arrays(quboprune.folder, inputs=np.zeros((8, 3, 32, 32)), targets=np.zeros((7, 3, 32, 32)))
    expect_one_line(quboprune, prune_words(), "7")


def test_images_that_do_not_fit_a_network_of_fixed_size(quboprune):
    networks.save(networks.classifier(), quboprune.folder / "net.onnx")
    save_arrays(quboprune.folder, inputs=np.zeros((8, 3, 20, 20)))
    expect_one_line(quboprune, prune_words())


def test_files_that_fix_a_batch_of_several(quboprune):
    n = Net()
    h = n.node("Reshape", n.relu(n.conv(n.input("x", [2, 3, 16, 16]), 3, 8)), n.ints(2, 8 * 256))
    onnx.save(n.out(n.gemm(h, 8 * 256, 4)).model(), quboprune.folder / "net.onnx")
    save_arrays(quboprune.folder, inputs=np.zeros((8, 3, 16, 16)))
    expect_one_line(quboprune, prune_words(), "batches of 2")


@pytest.mark.parametrize("array", ["inputs", "targets"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_data_that_are_no_numbers(quboprune, denoiser, array, value):
    arrays = {name: np.zeros((8, 3, 32, 32), np.float32) for name in ["inputs", "targets"]}
    arrays[array][5, 1, 2, 3] = value
    save_arrays(quboprune.folder, **arrays)
    expect_one_line(quboprune, prune_words(), "data.npz", array, "sample 5")


def test_weights_that_are_no_numbers(quboprune, pairs):
    model = networks.denoiser()
    weight = next(w for w in model.graph.initializer if w.name == "middle.weight")
    values = numpy_helper.to_array(weight).copy()
    values[0, 0, 0, 0] = np.nan
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    networks.save(model, quboprune.folder / "net.onnx")
    expect_one_line(quboprune, ["eval", "net.onnx", "--data", "data.npz"], "net.onnx", "NaN")
    expect_one_line(quboprune, ["finetune", "net.onnx", "-o", "out.onnx", "--data", "data.npz"], "net.onnx", "NaN")
    expect_one_line(quboprune, prune_words(), "net.onnx", "middle", "NaN")


@pytest.mark.parametrize("labels", [np.arange(6), -np.arange(6)])
def test_labels_that_the_network_does_not_have(quboprune, labels):
    networks.save(networks.classifier(), quboprune.folder / "net.onnx")
    np.savez(quboprune.folder / "data.npz", inputs=np.zeros((6, 3, 16, 16), np.float32), targets=labels)
    expect_one_line(quboprune, ["eval", "net.onnx", "--data", "data.npz", "--metric", "top1"], "label", "4 classes")


@pytest.mark.parametrize("sample", range(6))
def test_a_label_among_the_held_out_data_that_the_network_does_not_have(quboprune, sample):
    """Calibration and held-out data alike are looked at before anything is written."""
    networks.save(networks.classifier(), quboprune.folder / "net.onnx")
    labels = np.arange(6) % 4
    labels[sample] = 4
    np.savez(quboprune.folder / "data.npz", inputs=np.zeros((6, 3, 16, 16), np.float32), targets=labels)
    expect_one_line(quboprune, [*prune_words(), "--objective", "l1", "--refine", "none", "--recover", "none"], "label",
                    "4 classes")


def test_a_teacher_of_another_kind(quboprune, denoiser, pairs):
    networks.save(networks.classifier(), quboprune.folder / "other.onnx")
    words = ["finetune", "net.onnx", "-o", "out.onnx", "--data", "data.npz", "--steps", 1, "--teacher", "other.onnx"]
    expect_one_line(quboprune, words, "--teacher other.onnx")


def test_standard_output_is_no_file(quboprune, denoiser, pairs):
    expect_one_line(quboprune, [*prune_words(), "--report", "-"], "name one")
    expect_one_line(quboprune, ["inspect", "net.onnx", "--json", "-"], "name one")


def test_an_input_of_no_size(quboprune, pairs):
    model = networks.denoiser()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 0
    networks.save(model, quboprune.folder / "net.onnx")
    expect_one_line(quboprune, prune_words(), "'x'", "0")
    expect_one_line(quboprune, ["inspect", "net.onnx"], "'x'", "0")


@pytest.mark.parametrize("fill", ["sigma=3", "x=3", "sigma", "sigma=nan"])
def test_inputs_that_the_network_does_not_have(quboprune, denoiser, pairs, fill):
    expect_one_line(quboprune, ["eval", "net.onnx", "--data", "data.npz", "--input", fill], "--input")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_damaged_images(quboprune, denoiser, kind):
    """The decoders' own lines on stderr would be more than one."""
    for part in ["noisy", "clean"]:
        (quboprune.folder / "data" / part).mkdir(parents=True)
        Image.effect_noise((48, 48), 60).save(quboprune.folder / "data" / part / "a.png", format=kind)
    path = quboprune.folder / "data" / "noisy" / "a.png"
    whole = path.read_bytes()
    start = {"PNG": len(whole) // 3, "JPEG": 2, "TIFF": len(whole) // 2}[kind]
    rest = b"" if kind == "TIFF" else bytes(len(whole) // 3) + whole[start + len(whole) // 3:]
    path.write_bytes(whole[:start] + rest)
    expect_one_line(quboprune, ["eval", "net.onnx", "--data", "data", "--split", "all"], "a.png")


def test_truncated_data(quboprune, denoiser, pairs):
    pairs.write_bytes(pairs.read_bytes()[:-2000])
    expect_one_line(quboprune, prune_words(), "data.npz")


@pytest.mark.parametrize("words", [["--objective", "wish"], ["--metric", "beauty"], ["--loss", "hunger"],
                                   ["--refine", "pray"], ["--recover", "hope"], ["--seed", "x"], ["--calibration", "-3"],
                                   ["--no-such-flag"], ["--scope", "nothing_is_called_so"]])
def test_options(quboprune, denoiser, pairs, words):
    expect_one_line(quboprune, prune_words() + words)


@pytest.mark.parametrize("words, named", [(["--foo"], "--foo: no such option"), (["prone"], "'prone': no such command"),
                                          (["prune", "net.onnx", "--dat", "data.npz"], "--dat: no such option"),
                                          (["prune", "net.onnx", "-o", "out.onnx"], "--data is required")])
def test_what_is_not_known_is_named_before_what_is_missing(quboprune, words, named):
    expect_one_line(quboprune, words, named)


@pytest.mark.parametrize("option", ["--alpha", "--cross", "--value-scale", "--solver-time", "--time-limit"])
@pytest.mark.parametrize("value", ["nan", "inf", "1e999", "0x", "1 2"])
def test_numbers_that_are_none(quboprune, denoiser, pairs, option, value):
    expect_one_line(quboprune, prune_words() + [option, value], option, value)


@pytest.mark.parametrize("option", ["--seed", "--evaluations", "--finetune-steps", "--crop", "--threads", "--round-to"])
@pytest.mark.parametrize("value", ["-1", "99999999999999999999", "1.5", "1e3"])
def test_whole_numbers_that_are_none(quboprune, denoiser, pairs, option, value):
    expect_one_line(quboprune, prune_words() + [option, value], option, value)


@pytest.mark.parametrize("option", ["--report", "--noise", "--scope"])
def test_texts_that_are_none(quboprune, denoiser, pairs, option):
    expect_one_line(quboprune, prune_words() + [option, ""], option, "nothing")


@pytest.mark.parametrize("part", ["model", "data", "target", "out"])
def test_words_that_are_none(quboprune, denoiser, pairs, part):
    expect_one_line(quboprune, prune_words(**{part: ""}), "nothing")


@pytest.mark.parametrize("words", [[], ["enlarge"], ["prune"], ["inspect"], ["prune", "net.onnx"]])
def test_commands_that_are_not_whole(quboprune, denoiser, words):
    expect_one_line(quboprune, words)


@pytest.mark.parametrize("text", ["", "{", "[]", "{\"keep\": 3}", "0 0 what\n"])
def test_problem_files(quboprune, text):
    (quboprune.folder / "problem").write_text(text, encoding="utf-8")
    expect_one_line(quboprune, ["solve", "problem", "--time", "1"], "problem")


@pytest.mark.parametrize("name", ["out.mps", "out.LP", "out.lp.gz", "out.qubo"])
def test_problem_files_that_can_not_be_written(quboprune, denoiser, pairs, name):
    (quboprune.folder / "problem").write_text("0 0 1\n0 1 -2\n", encoding="utf-8")
    expect_one_line(quboprune, ["solve", "problem", "--time", "1", "--write", name], name)
    expect_one_line(quboprune, ["formulate", "net.onnx", "--data", "data.npz", "-o", name], name)


def test_problem_files_that_are_only_written(quboprune):
    (quboprune.folder / "problem.lp").write_text("Minimize\n obj: x0\nEnd\n", encoding="utf-8")
    expect_one_line(quboprune, ["solve", "problem.lp"], "problem.lp", "coo")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "{\"groups\": 7}", "{\"removed\": [3]}",
                                  "{\"removed\": [], \"objective\": 3}", "{\"removed\": [], \"target\": \"x\"}",
                                  "{\"removed\": [], \"target\": {\"kind\": 3}}"])
def test_plan_files(quboprune, denoiser, text):
    (quboprune.folder / "plan.json").write_text(text, encoding="utf-8")
    expect_one_line(quboprune, ["apply", "net.onnx", "-o", "out.onnx", "--plan", "plan.json"], "plan.json")


def test_results_that_can_not_be_printed(quboprune):
    (quboprune.folder / "problem").write_text("0 0 1\n0 1 -2\n", encoding="utf-8")
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([COMMAND, "solve", "problem", "--time", "0.1"], cwd=quboprune.folder, stdout=full,
                              stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "standard output" in done.stderr


def write_images(folder, names, seed=1):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for name in names:
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(folder / name)


def test_folders_that_are_no_classes(quboprune, denoiser):
    """A denoiser's outputs are no classes, whatever its folders are called."""
    for name in ("train", "val"):
        write_images(quboprune.folder / "data" / name, ["a.png", "b.png"])
    expect_one_line(quboprune, ["eval", "net.onnx", "--data", "data"], "noisy and clean")


def test_pairs_in_capitals(quboprune, denoiser):
    for name in ("Noisy", "Clean"):
        write_images(quboprune.folder / "data" / name, ["a.png", "b.png"])
    assert "psnr" in quboprune.succeeds("eval", "net.onnx", "--data", "data").stdout


@pytest.mark.parametrize("words", [["--report", "data/clean/a.png"], ["--split", "s.txt", "--report", "s.txt"]])
def test_outputs_that_are_read(quboprune, denoiser, words):
    for name in ("noisy", "clean"):
        write_images(quboprune.folder / "data" / name, ["a.png", "b.png"])
    (quboprune.folder / "s.txt").write_text("a\n", encoding="utf-8")
    expect_one_line(quboprune, ["eval", "net.onnx", "--data", "data", *words], words[-1])


def test_failed_commands_leave_no_folder(quboprune, pairs):
    expect_one_line(quboprune, ["finetune", "no.onnx", "-o", "out.onnx", "--data", "data.npz", "--work", "work"], "no.onnx")
    expect_one_line(quboprune, ["compare", "no.onnx", "--data", "data.npz", "--target", "filters=0.3", "--networks",
                                "networks"], "no.onnx")


def test_arrays_that_nobody_asked_for(quboprune, denoiser, pairs):
    arrays = dict(np.load(pairs))
    np.savez(pairs, names=np.array(["a"]), **arrays)
    quboprune.succeeds("eval", "net.onnx", "--data", "data.npz")


def test_a_folder_that_goes_round_in_circles(quboprune, denoiser):
    (quboprune.folder / "data" / "noisy").mkdir(parents=True)
    (quboprune.folder / "data" / "clean").mkdir()
    (quboprune.folder / "data" / "noisy" / "a.png").symlink_to("a.png")
    expect_one_line(quboprune, ["eval", "net.onnx", "--data", "data"], "data/noisy")


def test_images_of_another_maximum(quboprune, denoiser):
    (quboprune.folder / "data").mkdir()
    for name in ("a", "b"):
        values = np.random.default_rng(1).integers(0, 4096, (32, 32, 3)).astype(">u2")
        (quboprune.folder / "data" / f"{name}.ppm").write_bytes(b"P6\n# twelve bits\n32 32\n4095\n" + values.tobytes())
    expect_one_line(quboprune, ["eval", "net.onnx", "--data", "data", "--metric", "output"], "4095")
