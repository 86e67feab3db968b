"""The architectures of torch_networks.py, exported by both of torch's exporters: each agrees with ONNX Runtime,
loses 30 % of its filters by weights and by gradients on data without targets, and agrees again.

Wants torch (and onnxscript for the newer exporter), which scripts/test installs where QUBOPRUNE_EXPORTS is set."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from test_brought_networks import data_for, prune
from test_shared_models import agrees

SCRIPT = Path(__file__).with_name("torch_networks.py")
NAMES = ["resnet", "mobilenet_v3", "efficientnet", "shufflenet_v2", "densenet", "Detector", "UNet", "nafnet",
         "VisionTransformer", "super_resolution", "convnext", "googlenet", "mobilenet_v2", "regnet_y", "squeezenet", "DeepLab",
         "restormer"]


# Of processes that share the tests each exporter's have one to themselves: it writes all its networks first.
@pytest.fixture(scope="module", params=[pytest.param(e, marks=pytest.mark.xdist_group(e)) for e in ("tracing", "dynamo")])
def exported(request, tmp_path_factory):
    """A folder of all networks, and why the exporter refused others."""
    for package in ("torch", *(["onnxscript"] if request.param == "dynamo" else [])):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} isn't installed")
    folder = tmp_path_factory.mktemp(request.param)
    done = subprocess.run([sys.executable, SCRIPT, folder, request.param], capture_output=True, text=True,
                          timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder, json.loads((folder / "refused.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_exported_network_is_pruned(exported, name, quboprune, tmp_path):
    folder, refused = exported
    if name in refused:
        pytest.skip(f"torch can't export it: {refused[name]}")
    path = folder / f"{name}.onnx"
    agrees(path, tmp_path / "before")
    data = data_for(path, tmp_path / "x.npz", 4)
    for objective in ("l2", "gate-fisher"):
        report = prune(quboprune, path, data, "filters=0.3", "--no-tune", "--solver-time", 0.3, objective=objective)
        filters = report["model"]["filters"]
        assert report["result"]["filters"] == filters - round(0.3 * filters)
        assert report["result"]["macs"] < report["model"]["macs"]
        certificate = report["equivalence"]
        assert certificate["max_abs_difference"] <= certificate["tolerance"]
        onnx.checker.check_model(onnx.load(tmp_path / "out.onnx"), full_check=True)
        agrees(tmp_path / "out.onnx", tmp_path / objective)
