"""Trained networks of others, where they are at hand beside the repository (or in QUBOPRUNE_SHARED/models): they load,
agree with ONNX Runtime as they are, and after random channels are cut at three fractions."""

import os
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from conformance_tools import ROOT, run_tool, session, tool

FOLDER = Path(os.environ.get("QUBOPRUNE_SHARED") or ROOT.parent / "shared") / "models"
MODELS = sorted(FOLDER.glob("*.onnx"))
QUANTISED = [m for m in MODELS if "int8" in m.stem]
FLOAT = [m for m in MODELS if m not in QUANTISED]
KINDS = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64,
         "tensor(uint8)": np.uint8, "tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(bool)": np.bool_}


@pytest.mark.skipif(not MODELS, reason=f"no networks in {FOLDER}")
def test_models_are_at_hand():
    """Visible where they aren't, as the tests below then have no cases."""
    assert FLOAT


def example(model, seed=0):
    """An input for each, of the declared size; 64 where it is open."""
    rng = np.random.default_rng(seed)
    feeds = {}
    for x in session(model).get_inputs():
        shape = [d if isinstance(d, int) else (1 if a == 0 else 64) for a, d in enumerate(x.shape)]
        kind = KINDS[x.type]
        feeds[x.name] = (255 * rng.random(shape) if kind == np.uint8 else rng.random(shape)).astype(kind)
    return feeds


def as_case(folder, model, feeds, outputs):
    """A folder in the form of the official cases."""
    data = folder / "test_data_set_0"
    data.mkdir(parents=True)
    shutil.copy(model, folder / "model.onnx")
    external = model.with_name(model.name + ".data")  # where torch's newer exporter puts weights
    if external.exists():
        shutil.copy(external, folder)
    for k, value in enumerate(feeds.values()):
        (data / f"input_{k}.pb").write_bytes(numpy_helper.from_array(value).SerializeToString())
    for k, value in enumerate(outputs):
        (data / f"output_{k}.pb").write_bytes(numpy_helper.from_array(value).SerializeToString())
    return folder


def agrees(model, folder):
    """Our runtime against ONNX Runtime on one input."""
    feeds = example(model)
    outputs = session(model).run(None, feeds)
    result = run_tool("conformance", "--network", as_case(folder, model, feeds, outputs))
    assert result["passed"], result["reason"]


@pytest.mark.parametrize("model", FLOAT, ids=lambda m: m.stem)
def test_agrees_with_onnx_runtime_before_and_after(model, tmp_path):
    tool("slice_model")
    agrees(model, tmp_path / "before")
    for fraction in (0.1, 0.3, 0.5):
        out = tmp_path / f"cut{fraction}.onnx"
        result = run_tool("slice_model", model, out, fraction, 7)
        assert result["groups"] > 0
        assert result["removed"] > 0
        assert result["equivalence"]["holds"], result["equivalence"]
        onnx.checker.check_model(onnx.load(out))
        agrees(out, tmp_path / f"after{fraction}")


@pytest.mark.parametrize("model", QUANTISED, ids=lambda m: m.stem)
def test_quantised_networks_are_refused_in_one_line(quboprune, model):
    done = quboprune("inspect", model)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "quantised" in done.stderr
