"""What type checkers are told is what is there."""

import subprocess
import sys

import pytest

quboprune = pytest.importorskip("quboprune", reason="the Python package is not installed (scripts/test does)")

from quboprune import _core, _options  # noqa: E402  (behind the skip)

USE = """
import numpy as np
import quboprune
from typing import Any, assert_type

result = quboprune.solve(np.eye(3), count=1, seconds=1, threads=0)
assert_type(result, quboprune.SolverResult)
assert_type(result.pool[0].energy, float)
quboprune.solve({(0, 1): 1.0}, groups=[([0], 0, 1)], start=[0, 1])
found = quboprune.search_masks(lambda masks: masks.sum(1), 5, count=2, method="tt", evaluations=10, state="file.json")
assert_type(found.history, list[tuple[int, float]])
report = quboprune.prune("net.onnx", "out.onnx", data=(np.zeros(3), None), target="filters=0.2", objective="hybrid")
assert_type(report, dict[str, Any])
problem = quboprune.formulate("net.onnx", data="photographs")
quboprune.write_problem("problem.coo", problem.qubo, count=5)
"""
MISUSE = """
import quboprune

quboprune.solve([[1]], secs=1)
quboprune.solve([[1]]).best
quboprune.prune("net.onnx", "out.onnx", target="filters=0.2")
quboprune.formulate(3, data="photographs")
"""


def mypy(path):
    done = subprocess.run([sys.executable, "-m", "mypy", "--cache-dir", path.parent / "cache", path], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=path.parent)
    return done.stdout.splitlines()


def test_the_stubs_name_what_the_module_has(tmp_path):
    done = subprocess.run([sys.executable, "-m", "mypy.stubtest", "quboprune._core", "--concise"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=tmp_path)
    of_every_class = ("metaclass differs", '*args parameter "args"')  # that pybind11 makes
    assert "quboprune._core" in done.stdout, done.stdout  # it ran: there are such lines
    assert [line for line in done.stdout.splitlines() if not line.endswith(of_every_class)] == []


@pytest.mark.parametrize("keywords, options, more", [("SolverKeywords", "SolverOptions", set()),
                                                     ("SearchKeywords", "SearchOptions", {"method"})])
def test_every_option_is_a_keyword(keywords, options, more):
    there = {name for name in dir(getattr(_core, options)) if not name.startswith("_")}
    assert there == set(getattr(_options, keywords).__annotations__) | more


def test_a_type_checker_follows_use_and_refuses_misuse(tmp_path):
    use, misuse = tmp_path / "use.py", tmp_path / "misuse.py"
    use.write_text(USE)
    misuse.write_text(MISUSE)
    assert mypy(use) == ["Success: no issues found in 1 source file"]
    wrong = {line.split(":")[1] for line in mypy(misuse) if ": error: " in line}
    assert wrong == {"4", "5", "6", "7"}
