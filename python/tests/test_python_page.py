"""The code of docs/python.md, run from top to bottom."""

import pathlib
import re
import sys

import numpy as np
import onnx
import pytest

pytest.importorskip("quboprune", reason="the Python package is not installed (scripts/test does)")

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

import networks  # noqa: E402

PAGE = (ROOT / "docs" / "python.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    clean, noisy = networks.smooth_images(16, 32)
    np.save("clean.npy", clean)
    np.save("noisy.npy", noisy)
    onnx.save(networks.denoiser(), "net.onnx")
    names = {}
    for block in BLOCKS:
        exec(compile(block, "docs/python.md", "exec"), names)  # noqa: S102
    printed = capsys.readouterr().out
    assert len(BLOCKS) == 6 and "of the multiply-adds" in printed and "macs=0.4" in printed
    assert "the fraction removed must be a number between 0 and 1" in printed
    assert onnx.load("smaller.onnx").graph.node
