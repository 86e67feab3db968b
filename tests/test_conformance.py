"""The official ONNX node cases, and docs/operators.md that tells how many pass."""

import os
import subprocess
import sys

from conformance_tools import BUILD, ROOT, tool


def test_table_is_current_and_95_percent_pass():
    tool("conformance")
    how = "--no-worse" if os.environ.get("QUBOPRUNE_TORCH") == "python" else "--check"
    done = subprocess.run([sys.executable, ROOT / "scripts" / "operator_table", "--build", BUILD, how],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
