"""Networks that label every pixel, judged by whole numbers [n, H, W] in an .npz."""

import numpy as np
import onnxruntime
import pytest

import networks


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
