"""Vectors of equal numbers that exporters keep once for several layers: what is written is what was measured."""

import numpy as np
import onnx
import pytest

import networks
from onnx_net import Net
from test_prune import run_onnx

DATA = ["--data", "data.npz", "--split", "0.7", "--seed", "1"]
PRUNE = ["prune", "net.onnx", "-o", "out.onnx", *DATA, "--target", "filters=0.4", "--objective", "taylor", "--refine", "none"]


def initialisers(path):
    return {w.name: onnx.numpy_helper.to_array(w) for w in onnx.load(path).graph.initializer}


@pytest.fixture
def sharing(tmp_path, pairs):
    """Four convolutions, the first three of which read one bias of zeros, one of them by an Identity."""
    n = Net()
    shared = n.constant(np.zeros(8, np.float32), "zeros")
    h = n.input("x", ["n", 3, 32, 32])
    for inputs, bias in ((3, shared), (8, n.node("Identity", shared)), (8, shared)):
        h = n.relu(n.node("Conv", h, n.weight(8, inputs, 3, 3), bias, pads=[1] * 4))
    onnx.save(n.out(n.conv(h, 8, 3)).model(), tmp_path / "net.onnx")
    return tmp_path


# Both are LibTorch's runs of the same weights, in batches that may differ: float32's rounding of errors, in dB.
ROUNDING = 1e-4


def held_out(quboprune, network):
    return quboprune.report("eval", network, *DATA, "--part", "heldout")["result"]["metric"]["heldout"]["dense"]


@pytest.mark.parametrize("recover", ["none", "refit", "finetune"])
def test_what_prune_reports_is_what_it_wrote(quboprune, sharing, recover):
    report = quboprune.report(*PRUNE, "--recover", recover, "--finetune-steps", "30")
    metric = report["result"]["metric"]["heldout"]
    assert held_out(quboprune, "out.onnx") == pytest.approx(metric["pruned" if recover == "none" else "recovered"], abs=ROUNDING)
    run_onnx((sharing / "out.onnx").read_bytes(), networks.smooth_images(2, 32)[1])


def test_what_finetune_reports_is_what_it_wrote(quboprune, sharing):
    report = quboprune.report("finetune", "net.onnx", "-o", "out.onnx", *DATA, "--crop", "32", "--steps", "40", "--lr", "0.01")
    metric = report["result"]["metric"]["heldout"]
    assert abs(metric["recovered"] - metric["dense"]) > 0.1  # the training did something
    assert held_out(quboprune, "out.onnx") == pytest.approx(metric["recovered"], abs=ROUNDING)
    biases = [w for w in initialisers(sharing / "out.onnx").values() if w.shape == (8,)]
    trained = [b for b in biases if b.any()]
    assert len(trained) == 3 and len({b.tobytes() for b in trained}) == 3  # what the Identity passes on, too


def test_what_nothing_changed_stays_shared(quboprune, sharing):
    """The second and third are whole: they go on reading the one vector."""
    report = quboprune.report(*PRUNE[:-4], "--objective", "taylor", "--refine", "none", "--recover", "none", "--scope", "Conv_1")
    (first, *others) = [len(layer["kept_indices"]) for layer in report["layers"] if layer["name"] != "Conv_7"]
    assert first < 8 and others == [8, 8]
    assert sorted(w.shape for w in initialisers(sharing / "out.onnx").values() if w.ndim == 1) == [(3,), (first,), (8,)]
