"""What is in the files is what networks get, and what was measured is what is reported."""

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import networks
from onnx_net import Net


def grey_network(path):
    b = networks.Builder()
    networks.save(b.model(["batch", 1, "height", "width"], b.conv("x", "y", 1, 1), ["batch", 1, "height", "width"]), path)


def test_grey_of_a_colour_image_does_not_depend_on_its_gamma(quboprune):
    """Some programs write how bright a screen should show it; the pixels are the same."""
    grey_network(quboprune.folder / "net.onnx")
    rng = np.random.default_rng(1)
    gamma = PngInfo()
    gamma.add(b"gAMA", (45455).to_bytes(4, "big"))
    values = []
    pictures = {name: rng.integers(0, 255, (32, 32, 3), dtype=np.uint8) for name in ("a", "b")}
    for form, ending, options in (("plain", "png", {}), ("gamma", "png", {"pnginfo": gamma}), ("bmp", "bmp", {})):
        for part in ("noisy", "clean"):
            folder = quboprune.folder / form / part
            folder.mkdir(parents=True)
            for name, pixels in pictures.items():
                Image.fromarray(pixels if part == "noisy" else 255 - pixels).save(folder / f"{name}.{ending}", **options)
        report = quboprune.report("eval", "net.onnx", "--data", form)
        values.append([sample["input"] for sample in report["result"]["samples"]])
    assert values[0] == values[1] == values[2]


def test_values_stand_beside_the_names_of_what_was_measured(quboprune, denoiser):
    for part in ("noisy", "clean"):
        (quboprune.folder / "data" / part).mkdir(parents=True)
        for k, size in enumerate((32, 12, 32, 32, 12, 32, 32, 32)):
            Image.new("RGB", (size, size), (40 * k % 255, 90, 30)).save(quboprune.folder / "data" / part / f"{'abcdefgh'[k]}.png")
    report = quboprune.report("prune", "net.onnx", "-o", "out.onnx", "--data", "data", "--target", "filters=0.25",
                              "--objective", "l1", "--refine", "none", "--recover", "none", "--crop", "16")
    values = report["result"]["metric"]["heldout"]["samples"]["pruned"]
    assert len(report["data"]["heldout"]) == len(values)
    assert not {"b.png", "e.png"} & set(report["data"]["heldout"])


@pytest.mark.parametrize("form", ["data.npz", "folder"])
def test_a_second_input_has_a_value_for_each_sample(quboprune, form):
    """A noise map beside the image: scores, repair and figures see each sample's own."""
    n = Net()
    h = n.node("Concat", n.input("x", ["n", 3, "h", "w"]), n.input("level", ["n", 1, "h", "w"]), axis=1)
    h = n.relu(n.conv(n.relu(n.conv(h, 4, 12)), 12, 12))
    onnx.save(n.out(n.conv(h, 12, 3)).model(), quboprune.folder / "net.onnx")
    clean, noisy = networks.smooth_images(12, 16)
    level = np.broadcast_to(np.linspace(-2, 2, 12, dtype=np.float32).reshape(12, 1, 1, 1), (12, 1, 16, 16))
    arrays = {"inputs": noisy, "targets": clean, "level": level}
    if form == "folder":
        (quboprune.folder / "folder").mkdir()
        for name, array in arrays.items():
            np.save(quboprune.folder / "folder" / f"{name}.npy", array)
    else:
        np.savez(quboprune.folder / form, **arrays)
    report = quboprune.report("prune", "net.onnx", "-o", "out.onnx", "--data", form, "--target", "filters=0.25",
                              "--objective", "taylor", "--refine", "none", "--metric", "loss", "--loss", "mse")
    held = [int(name) for name in report["data"]["heldout"]]
    for file, figures in (("net.onnx", "dense"), ("out.onnx", "recovered")):
        session = onnxruntime.InferenceSession(quboprune.folder / file, providers=["CPUExecutionProvider"])
        outputs = session.run(None, {"x": noisy[held], "level": level[held]})[0]
        losses = ((outputs - clean[held]).astype(np.float64) ** 2).mean((1, 2, 3))
        assert report["result"]["metric"]["heldout"]["samples"][figures] == pytest.approx(losses, rel=1e-4)
    quboprune.succeeds("eval", "net.onnx", "--data", form, "--part", "calibration", "--save-samples", "saved.npz", "--metric",
                       "loss", "--loss", "mse")
    with np.load(quboprune.folder / "saved.npz") as saved:
        assert np.array_equal(saved["level"], level[[int(name) for name in report["data"]["calibration"]]])
    bytes_of = {name: np.round(255 * np.clip(array, 0, 1)).astype(np.uint8) for name, array in arrays.items()}
    for name, scale in (("bytes", 1), ("floats", 255)):
        np.savez(quboprune.folder / f"{name}.npz", **{key: (array / np.float32(scale) if scale > 1 else array)
                                                      for key, array in bytes_of.items()})
    values = [quboprune.report("eval", "net.onnx", "--data", f"{name}.npz", "--metric", "loss", "--loss", "mse")["result"]
              for name in ("bytes", "floats")]
    assert [s["value"] for s in values[0]["samples"]] == pytest.approx([s["value"] for s in values[1]["samples"]], rel=1e-5)
    np.savez(quboprune.folder / "short.npz", **(arrays | {"level": level[:5]}))
    done = quboprune("eval", "net.onnx", "--data", "short.npz")
    assert done.returncode == 2 and "level" in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_a_network_of_one_size_that_is_no_square(quboprune):
    """Pieces of photographs have its height and width, in choosing, judging and training."""
    b = networks.Builder(2)
    hidden = b.node("Relu", [b.conv("x", "first", 3, 10)], "relu")
    networks.save(b.model([1, 3, 24, 40], b.conv(hidden, "y", 10, 3), [1, 3, 24, 40]), quboprune.folder / "net.onnx")
    rng = np.random.default_rng(1)
    (quboprune.folder / "photographs").mkdir()
    for k in range(4):
        pixels = rng.integers(0, 256, (60, 90, 3), np.uint8)
        Image.fromarray(pixels).save(quboprune.folder / "photographs" / f"scene{k}_1.png")
    words = ["--data", "photographs", "--noise", "gaussian:25"]
    report = quboprune.report("prune", "net.onnx", "-o", "out.onnx", *words, "--target", "filters=0.3", "--crop", "32",
                              "--recover", "finetune", "--finetune-steps", "3", "--refine", "none")
    assert any("--crop is ignored: the network takes 24x40 only" in note for note in report["notes"])
    assert report["result"]["metric"]["heldout"]["recovered"] > 0
    quboprune.succeeds("finetune", "out.onnx", "-o", "trained.onnx", *words, "--steps", "3")
    quboprune.succeeds("eval", "trained.onnx", *words)


def test_class_folders_of_any_size_as_classifiers_take_them(quboprune):
    """Brought to the network's size and normalised: the same values as by hand."""
    b = networks.Builder(3)
    hidden = b.node("GlobalAveragePool", [b.node("Relu", [b.conv("x", "first", 3, 12)], "relu")], "pool")
    weight = b.weight("fc.weight", b.rng.normal(0, 1, (2, 12)))
    y = b.node("Gemm", [b.node("Flatten", [hidden], "flat"), weight], "y", transB=1)
    networks.save(b.model(["batch", 3, 16, 16], y, ["batch", 2]), quboprune.folder / "net.onnx")
    rng = np.random.default_rng(1)
    images, mean, deviation = [], np.array([0.4, 0.5, 0.6]), np.array([0.2, 0.3, 0.25])
    for label in ("cat", "dog"):
        (quboprune.folder / "classes" / label).mkdir(parents=True)
        for k in range(6):
            pixels = rng.integers(0, 256, (16, 16, 3), np.uint8)
            images.append((pixels / 255 - mean) / deviation)
            Image.fromarray(pixels).save(quboprune.folder / "classes" / label / f"{k}.png")
    session = onnxruntime.InferenceSession(quboprune.folder / "net.onnx")
    scores = session.run(None, {"x": np.array(images, np.float32).transpose(0, 3, 1, 2)})[0]
    labels = np.repeat([0, 1], 6)
    cross_entropy = np.mean(np.log(np.exp(scores).sum(1)) - scores[np.arange(12), labels])
    words = ["--data", "classes", "--mean", "0.4,0.5,0.6", "--std", "0.2,0.3,0.25"]
    report = quboprune.report("eval", "net.onnx", *words)
    assert report["result"]["metric"]["all"]["dense"] == np.mean(scores.argmax(1) == labels)
    report = quboprune.report("eval", "net.onnx", *words, "--metric", "loss")  # which moves with every value
    assert report["result"]["metric"]["all"]["dense"] == pytest.approx(cross_entropy, rel=1e-4)  # float32
    Image.fromarray(rng.integers(0, 256, (40, 30, 3), np.uint8)).save(quboprune.folder / "classes" / "cat" / "0.png")
    report = quboprune.report("prune", "net.onnx", "-o", "out.onnx", *words, "--target", "filters=0.5", "--refine", "none")
    assert any("brought to 16x16" in note for note in report["notes"])
    done = quboprune("eval", "net.onnx", "--data", "classes", "--mean", "0.4", "--std", "0.2")
    assert done.returncode == 2 and "--mean" in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_an_array_that_feeds_nothing_is_named(quboprune, denoiser):
    clean, noisy = networks.smooth_images(6, 32)
    np.savez(quboprune.folder / "data.npz", inputs=noisy, target=clean)
    report = quboprune.report("eval", "net.onnx", "--data", "data.npz")
    assert any("not used" in note and "target" in note for note in report["data"]["notes"])
