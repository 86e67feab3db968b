"""Networks that take and give images as [n, H, W, C], as those from TensorFlow do."""

import shutil

import numpy as np
import onnx
import pytest
from PIL import Image

import networks
from onnx_net import Net

FIXED = (32, 48)


def twins(folder, size, before, after):
    """The same denoiser twice: images [n, 3, H, W] (first.onnx); and [n, H, W, 3] where asked for (last.onnx)."""
    for name, last_in, last_out in (("first.onnx", False, False), ("last.onnx", before, after)):
        n = Net()
        shape = {False: ["n", 3, *size], True: ["n", *size, 3]}
        x = n.input("x", shape[last_in])
        x = n.node("Transpose", x, perm=[0, 3, 1, 2]) if last_in else x
        h = n.relu(n.conv(n.relu(n.conv(x, 3, 16)), 16, 16))
        y = n.node("Add", n.conv(h, 16, 3), x)
        y = n.node("Transpose", y, perm=[0, 2, 3, 1]) if last_out else y
        model = n.out(y).model()
        model.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info(
            model.graph.output[0].name, onnx.TensorProto.FLOAT, shape[last_out]))
        onnx.save(model, folder / name)


@pytest.fixture
def photographs(quboprune):
    clean, noisy = networks.smooth_images(10, 64)
    for part, images in (("noisy", noisy), ("clean", clean)):
        (quboprune.folder / "data" / part).mkdir(parents=True)
        for k, image in enumerate(images):
            pixels = (image.clip(0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0)
            Image.fromarray(pixels[:, : 64 - 4 * (k % 2)]).save(quboprune.folder / "data" / part / f"{k}.png")


@pytest.mark.parametrize("size", [("h", "w"), FIXED], ids=["any size", "one size"])
@pytest.mark.parametrize("metric", ["psnr", "ssim"])
def test_pruned_by_photographs_as_its_twin_with_channels_first(quboprune, photographs, size, metric):
    twins(quboprune.folder, size, before=True, after=True)
    first, last = (quboprune.report("prune", name, "-o", f"cut-{name}", "--data", "data", "--target", "filters=0.3",
                                    "--objective", "taylor", "--crop", "32", "--heldout-crop", "48", "--refine", "none",
                                    "--metric", metric,
                                    "--mean", "0.4,0.5,0.6", "--std", "0.2,0.3,0.4", "--threads", "1",
                                    "--html", f"{name}.html")
                   for name in ("first.onnx", "last.onnx"))
    assert [layer["kept_indices"] for layer in first["layers"]] == [layer["kept_indices"] for layer in last["layers"]]
    # 1e-4: the refit weighs outputs by random probes, drawn in each network's own layout; the rest is the same to 1e-6.
    for stage in ("dense", "pruned", "recovered"):
        assert last["result"]["metric"]["heldout"][stage] == pytest.approx(first["result"]["metric"]["heldout"][stage], rel=1e-4)
    pages = [(quboprune.folder / f"{name}.html").read_text() for name in ("first.onnx", "last.onnx")]
    assert pages[0].count("data:image/png") == pages[1].count("data:image/png") > 0


@pytest.mark.parametrize("before, after", [(True, False), (False, True)], ids=["inputs only", "outputs only"])
def test_inputs_and_outputs_may_differ(quboprune, photographs, before, after):
    twins(quboprune.folder, ("h", "w"), before, after)
    first, last = (quboprune.report("eval", name, "--data", "data")["result"]["metric"]["all"]["dense"]
                   for name in ("first.onnx", "last.onnx"))
    assert last == pytest.approx(first, rel=1e-6)


def test_networks_that_take_bytes_get_bytes(quboprune, photographs):
    """A file from TensorFlow often takes the camera's bytes and scales them itself."""
    for name, kind in (("bytes.onnx", onnx.TensorProto.UINT8), ("floats.onnx", onnx.TensorProto.FLOAT)):
        n = Net()
        x = n.node("Cast", n.input("x", ["n", "h", "w", 3], kind), to=onnx.TensorProto.FLOAT)
        h = n.node("Mul", n.node("Transpose", x, perm=[0, 3, 1, 2]), n.constant(np.float32(1 / 255)))
        onnx.save(n.out(n.conv(n.relu(n.conv(h, 3, 16)), 16, 5)).model(), quboprune.folder / name)
    shutil.move(quboprune.folder / "data" / "noisy", quboprune.folder / "images")
    shutil.rmtree(quboprune.folder / "data")
    found = [quboprune.report("prune", name, "-o", "cut.onnx", "--data", "images", "--target", "filters=0.5", "--crop", "32",
                              "--objective", "taylor", "--refine", "none", "--recover", "none", *more)["result"]["metric"]["heldout"]
             for name, more in (("bytes.onnx", ()), ("floats.onnx", ("--value-scale", "255")), ("bytes.onnx", ("--value-scale", "1")))]
    assert found[0]["pruned"] == pytest.approx(found[1]["pruned"], rel=1e-6)
    assert found[2]["pruned"] != pytest.approx(found[1]["pruned"], rel=1e-2)


def test_trained_on_flipped_crops(quboprune, photographs):
    twins(quboprune.folder, ("h", "w"), before=True, after=True)
    found = []
    for name in ("first.onnx", "last.onnx"):
        quboprune.succeeds("finetune", name, "-o", "trained.onnx", "--data", "data", "--crop", "32", "--steps", "20",
                           "--threads", "1")
        found.append(quboprune.report("eval", "trained.onnx", "--data", "data")["result"]["metric"]["all"]["dense"])
    # The same crops and steps: float32's rounding, carried on by 20 steps of Adam. Training gains five times as much.
    assert found[1] == pytest.approx(found[0], abs=0.02)
    before = quboprune.report("eval", "first.onnx", "--data", "data")["result"]["metric"]["all"]["dense"]
    assert found[0] > before + 0.1


def test_arrays_and_classes(quboprune):
    """Labels of every pixel, and class folders with --mean: both are what the twin with channels first gets."""
    twins(quboprune.folder, ("h", "w"), before=True, after=True)
    images = networks.smooth_images(6, 32)[1]
    labels = np.random.default_rng(3).integers(0, 3, (6, 32, 32))
    found = []
    for name, inputs in (("first.onnx", images), ("last.onnx", images.transpose(0, 2, 3, 1))):
        np.savez(quboprune.folder / "data.npz", inputs=np.ascontiguousarray(inputs), targets=labels)
        report = quboprune.report("eval", name, "--data", "data.npz")
        assert report["result"]["metric"]["name"] == "top1"
        found.append(report["result"]["metric"]["all"]["dense"])
        bytes_ = (inputs.clip(0, 1) * 255).astype(np.uint8)
        np.savez(quboprune.folder / "data.npz", inputs=bytes_, targets=bytes_)
        report = quboprune.report("eval", name, "--data", "data.npz", "--mean", "0.4,0.5,0.6", "--std", "0.2,0.3,0.4")
        assert report["result"]["metric"]["name"] == "psnr"
        found.append(report["result"]["metric"]["all"]["dense"])
    assert found[2:] == pytest.approx(found[:2], rel=1e-6)
    assert 0.2 < found[0] < 0.5
