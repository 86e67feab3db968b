"""The small programs of tests/tools, which the build leaves beside quboprune."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("QUBOPRUNE_COMMAND") or ROOT / "build" / "release" / "quboprune").parent


def tool(name):
    path = BUILD / "tests" / "tools" / name
    if not path.exists():
        pytest.skip(f"{path} isn't built: run scripts/test")
    return path


def run_tool(name, *words, timeout=600):
    """What the program prints, as JSON; exit code 1 means that it found a difference."""
    done = subprocess.run([tool(name), *map(str, words)], capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode in (0, 1), f"exit {done.returncode}: {done.stderr[-2000:]}"
    return json.loads(done.stdout)


def session(model):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
