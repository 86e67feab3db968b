"""Networks of torchvision and timm, exported here by torch.onnx.export with random weights: analysed, cut at
random, and the same in ONNX Runtime. Wants torch, torchvision, timm (and onnxscript for the newer exporter)."""

import importlib
import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from conformance_tools import run_tool, session, tool
from test_shared_models import agrees

if importlib.util.find_spec("torchvision") is None:  # looked for first: torch alone had better not be loaded
    pytest.skip("torchvision isn't installed; test_torch_exports.py has the same written out", allow_module_level=True)
torch = pytest.importorskip("torch", reason="torch isn't installed")


def import_torchvision():
    """torchvision, even if its compiled operators are of another torch: the networks here use none of them."""
    try:
        return pytest.importorskip("torchvision", reason="torchvision isn't installed")
    except RuntimeError:
        folder = Path(importlib.util.find_spec("torchvision").origin).parent
        text = (folder / "_meta_registrations.py").read_text("utf-8")
        names = set(re.findall(r'register_meta\("(\w+)"', text)) | set(re.findall(r'"torchvision::(\w+)"', text))
        library = torch.library.Library("torchvision", "DEF")
        for name in names:
            library.define(f"{name}(Tensor x) -> Tensor")
        for module in [m for m in sys.modules if m.split(".")[0] == "torchvision"]:
            del sys.modules[module]
        module = importlib.import_module("torchvision")
        module.declared = library  # the declarations live as long as this
        return module


torchvision = import_torchvision()

VISION = ["resnet18", "densenet121", "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "shufflenet_v2_x0_5",
          "regnet_y_400mf", "squeezenet1_1", "googlenet", "convnext_tiny"]
TIMM = ["vit_tiny_patch16_224", "resnext26ts", "repvgg_a0", "ghostnet_050"]


def build(name):
    """The network in evaluation mode and the size of its input."""
    torch.manual_seed(1)
    if name in TIMM:
        timm = pytest.importorskip("timm", reason="timm isn't installed")
        size = 224 if "vit" in name else 64
        return timm.create_model(name, pretrained=False).eval(), size
    if name in ("fcn_resnet50", "deeplabv3_mobilenet_v3_large"):
        make = getattr(torchvision.models.segmentation, name)
        return make(weights=None, weights_backbone=None, num_classes=4).eval(), 64
    more = {"init_weights": True} if name == "googlenet" else {}
    net = getattr(torchvision.models, name)(weights=None, **more).eval()
    if name == "googlenet":
        net.aux_logits = False
    return net, 64


class First(torch.nn.Module):
    """Segmentation networks return a dictionary: its first entry."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        y = self.net(x)
        return next(iter(y.values())) if isinstance(y, dict) else y


def export(name, path, dynamo):
    net, size = build(name)
    with torch.no_grad():  # fresh ones and zeros are equal across layers, and exporters share equal constants
        for parameter in net.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    x = torch.rand(1, 3, size, size)
    if dynamo:
        pytest.importorskip("onnxscript", reason="onnxscript isn't installed")
    try:
        torch.onnx.export(First(net).eval(), (x,), path, dynamo=dynamo, input_names=["x"], output_names=["y"],
                          **({} if dynamo else {"opset_version": 17}))
    except Exception as error:  # noqa: BLE001: the exporter's own limits aren't ours
        pytest.skip(f"torch can't export it: {str(error).splitlines()[0][:120]}")


@pytest.mark.parametrize("dynamo", [False, True], ids=["tracing", "dynamo"])
@pytest.mark.parametrize("name", [*VISION, "fcn_resnet50", "deeplabv3_mobilenet_v3_large", *TIMM])
def test_exported_network(name, dynamo, tmp_path):
    tool("slice_model")
    path = tmp_path / "net.onnx"
    export(name, path, dynamo)
    agrees(path, tmp_path / "before")
    out = tmp_path / "cut.onnx"
    result = run_tool("slice_model", path, out, 0.3, 3)
    assert result["removed"] > 0
    assert result["equivalence"]["holds"], result["equivalence"]
    assert result["macs_after"] < result["macs"]
    agrees(out, tmp_path / "after")
    assert all(np.isfinite(y).all() for y in session(out).run(None, {"x": np.zeros(
        [d if isinstance(d, int) else 1 for d in session(out).get_inputs()[0].shape], np.float32)}))
