"""Networks that label every pixel, judged by whole numbers [n, H, W] in an .npz."""

import numpy as np
import onnxruntime
import pytest
from PIL import Image

import networks
from onnx_net import Net


@pytest.fixture
def segmenter(quboprune):
    """A network with 3 scores a pixel, and 12 images labelled by it: a border of each isn't labelled (255)."""
    networks.save(networks.chain(), quboprune.folder / "net.onnx")
    images = networks.smooth_images(12, 32)[1]
    session = onnxruntime.InferenceSession(quboprune.folder / "net.onnx")
    labels = session.run(None, {session.get_inputs()[0].name: images})[0].argmax(1).astype(np.uint8)
    labels[:, :2] = 255
    np.savez(quboprune.folder / "data.npz", inputs=images, targets=labels)
    return labels


def test_the_share_of_pixels_that_are_right(quboprune, segmenter):
    assert len(np.unique(segmenter)) == 4  # all three classes, and none
    report = quboprune.report("eval", "net.onnx", "--data", "data.npz", "--split", "all")
    assert report["result"]["metric"]["name"] == "top1" and report["result"]["metric"]["all"]["dense"] == 1
    wrong = segmenter.copy()
    wrong[:, 2:, :8] = (wrong[:, 2:, :8] + 1) % 3  # a quarter of what is labelled
    np.savez(quboprune.folder / "data.npz", inputs=np.load(quboprune.folder / "data.npz")["inputs"],
             targets=wrong.astype(np.int64))
    report = quboprune.report("eval", "net.onnx", "--data", "data.npz", "--split", "all")
    assert report["result"]["metric"]["all"]["dense"] == pytest.approx(0.75)


def test_pruned_and_trained_by_them(quboprune, segmenter):
    quboprune.succeeds("prune", "net.onnx", "-o", "cut.onnx", "--data", "data.npz", "--target", "filters=0.6", "--objective",
                       "random", "--refine", "none", "--recover", "none")
    quboprune.succeeds("finetune", "cut.onnx", "-o", "trained.onnx", "--data", "data.npz", "--steps", "80", "--lr", "0.003",
                       "--batch", "2", "--threads", "1")
    before, after = (quboprune.report("eval", name, "--data", "data.npz")["result"]["metric"]["all"]["dense"]
                     for name in ("cut.onnx", "trained.onnx"))
    assert before < 0.9 and after > before + 0.05, (before, after)


def test_maps_of_another_size_or_class_are_refused(quboprune, segmenter):
    inputs = np.load(quboprune.folder / "data.npz")["inputs"]
    for targets, words in ((segmenter[:, ::2, ::2].astype(np.int64), "--metric top1"),
                           (np.full_like(segmenter, 7), ""), (np.full_like(segmenter, 255), "")):
        np.savez(quboprune.folder / "data.npz", inputs=inputs, targets=targets)
        done = quboprune("eval", "net.onnx", "--data", "data.npz", *words.split())
        assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert "label" in done.stderr


def with_one_score(ending):
    """Conv, relu, conv to a single score a pixel, and what `ending` makes of it."""
    n = Net()
    y = n.conv(n.relu(n.conv(n.input("x", ["n", 3, "h", "w"]), 3, 16)), 16, 1)
    if "Sigmoid" in ending:
        y = n.node("Sigmoid", y)
    if "Squeeze" in ending:
        y = n.node("Squeeze", y, n.ints(1))
    return n.out(y).model()


def outputs_of(path, images):
    session = onnxruntime.InferenceSession(path)
    return session.run(None, {session.get_inputs()[0].name: images})[0].reshape(len(images), *images.shape[2:])


@pytest.mark.parametrize("ending", ["", "Sigmoid", "Sigmoid Squeeze"])
def test_a_single_score_tells_two_classes_apart(quboprune, ending):
    """Accuracy and loss as numpy has them, the same cut whether the file ends in Sigmoid or not, and training."""
    networks.save(with_one_score(""), quboprune.folder / "logits.onnx")
    networks.save(with_one_score(ending), quboprune.folder / "net.onnx")
    images = networks.smooth_images(12, 32)[1]
    logits = outputs_of(quboprune.folder / "logits.onnx", images).astype(np.float64)
    labels = (logits + np.random.default_rng(2).normal(0, 0.2, logits.shape) > 0).astype(np.uint8)
    labels[:, :2] = 255
    known = labels != 255
    np.savez(quboprune.folder / "data.npz", inputs=images, targets=labels)
    measured = [quboprune.report("eval", "net.onnx", "--data", "data.npz", "--metric", name)["result"]["metric"]["all"]["dense"]
                for name in ("top1", "loss")]
    losses = np.logaddexp(0, np.where(labels == 1, -logits, logits))
    assert measured == pytest.approx([np.mean((logits > 0)[known] == labels[known]), np.mean(losses[known])], rel=1e-5)
    cuts = [quboprune.report("prune", name, "-o", "cut.onnx", "--data", "data.npz", "--target", "filters=0.5", "--refine",
                             "none", "--objective", "gate-fisher", "--recover", "none")["layers"][0]["kept"]
            for name in ("logits.onnx", "net.onnx")]
    assert cuts[0] == cuts[1]
    quboprune.succeeds("finetune", "cut.onnx", "-o", "trained.onnx", "--data", "data.npz", "--steps", "80", "--lr", "0.003",
                       "--batch", "2", "--threads", "1")
    before, after = (quboprune.report("eval", name, "--data", "data.npz", "--metric", "loss")["result"]["metric"]["all"]["dense"]
                     for name in ("cut.onnx", "trained.onnx"))
    assert after < before - 0.02, (before, after)


@pytest.mark.parametrize("classes", [1, 5])
def test_probabilities_of_whole_samples(quboprune, classes):
    """A classifier that ends in Softmax (or in one Sigmoid) is scored and judged as its logits are."""
    found = []
    labels = np.random.default_rng(3).integers(0, max(2, classes), 24)
    for ending in ("", "Sigmoid" if classes == 1 else "Softmax"):
        n = Net()
        h = n.node("GlobalAveragePool", n.relu(n.conv(n.input("x", ["n", 3, "h", "w"]), 3, 16)))
        y = n.gemm(n.node("Flatten", h), 16, classes)
        networks.save(n.out(n.node(ending, y) if ending else y).model(), quboprune.folder / "net.onnx")
        np.savez(quboprune.folder / "data.npz", inputs=networks.smooth_images(24, 16)[1], targets=labels)
        for metric in ("top1", "loss"):
            found.append(quboprune.report("eval", "net.onnx", "--data", "data.npz", "--metric", metric)["result"]["metric"]["all"]["dense"])
        found.append(quboprune.report("prune", "net.onnx", "-o", "cut.onnx", "--data", "data.npz", "--target", "filters=0.5",
                                      "--refine", "none", "--objective", "taylor")["layers"][0]["kept"])
    assert found[3:5] == pytest.approx(found[:2], rel=1e-5)
    assert found[5] == found[2]


@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
def test_folders_of_images_and_masks(quboprune, last):
    """Pruned and trained by black and white masks; what is measured is the network's accuracy in ONNX Runtime."""
    n = Net()
    x = n.input("x", ["n", "h", "w", 3] if last else ["n", 3, "h", "w"])
    x = n.node("Transpose", x, perm=[0, 3, 1, 2]) if last else x
    y = n.node("Sigmoid", n.conv(n.relu(n.conv(x, 3, 16)), 16, 1))
    networks.save(n.out(n.node("Transpose", y, perm=[0, 2, 3, 1]) if last else y).model(), quboprune.folder / "net.onnx")
    session = onnxruntime.InferenceSession(quboprune.folder / "net.onnx")
    right = []
    for k, image in enumerate(networks.smooth_images(12, 48)[1]):
        pixels = (image.clip(0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0)
        given = pixels[None].astype(np.float32) / 255
        answer = session.run(None, {"x": given if last else given.transpose(0, 3, 1, 2)})[0].reshape(48, 48) > 0.5
        mask = answer.copy()
        mask[:, : 4 * (k % 3)] ^= True
        right.append(np.mean(mask == answer))
        for folder, picture in (("images", pixels), ("masks", np.uint8(255) * mask)):
            (quboprune.folder / "data" / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(quboprune.folder / "data" / folder / f"s{k}.{'bmp' if folder == 'images' else 'png'}")
    report = quboprune.report("eval", "net.onnx", "--data", "data")
    assert report["data"]["form"] == "images and masks" and report["result"]["metric"]["name"] == "top1"
    assert report["result"]["metric"]["all"]["dense"] == pytest.approx(np.mean(right), abs=1e-9)
    quboprune.succeeds("prune", "net.onnx", "-o", "cut.onnx", "--data", "data", "--target", "filters=0.5", "--refine", "none",
                       "--crop", "32", "--recover", "none", "--objective", "random")
    quboprune.succeeds("finetune", "cut.onnx", "-o", "trained.onnx", "--data", "data", "--steps", "80", "--lr", "0.003",
                       "--batch", "2", "--crop", "32", "--threads", "1")
    before, after = (quboprune.report("eval", name, "--data", "data", "--metric", "loss")["result"]["metric"]["all"]["dense"]
                     for name in ("cut.onnx", "trained.onnx"))
    assert after < before, (before, after)
