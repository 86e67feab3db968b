"""What the tests of the program share: where it is, how it is run, small networks and data."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import networks

ROOT = Path(__file__).resolve().parent.parent
COMMAND = Path(os.environ.get("QUBOPRUNE_COMMAND") or ROOT / "build" / "release" / "quboprune")


class Program:
    """The quboprune program, run in a folder of its own."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, *words, timeout=300):
        return subprocess.run([COMMAND, *map(str, words)], cwd=self.folder, capture_output=True, text=True,
                              errors="replace", timeout=timeout, check=False)

    def succeeds(self, *words):
        done = self(*words)
        assert done.returncode == 0, f"{words}: exit {done.returncode}\n{done.stderr[-2000:]}"
        return done

    def report(self, *words, flag="--report"):
        """Runs a command that writes a JSON report, and returns that."""
        self.succeeds(*words, flag, "report.json")
        return json.loads((self.folder / "report.json").read_text(encoding="utf-8"))


@pytest.fixture
def quboprune(tmp_path):
    if not COMMAND.exists():
        pytest.skip(f"{COMMAND} isn't built: run scripts/test, or set QUBOPRUNE_COMMAND")
    return Program(tmp_path)


@pytest.fixture
def denoiser(tmp_path):
    """A small residual denoiser, 3 channels in and out, any height and width."""
    path = tmp_path / "net.onnx"
    networks.save(networks.denoiser(), path)
    return path


@pytest.fixture
def pairs(tmp_path):
    """12 noisy and clean pieces, 3x32x32, in an .npz."""
    path = tmp_path / "data.npz"
    clean, noisy = networks.smooth_images(12, 32)
    np.savez(path, inputs=noisy, targets=clean)
    return path
