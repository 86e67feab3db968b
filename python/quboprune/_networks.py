"""Networks, by way of the `quboprune` program."""

from __future__ import annotations

import collections.abc
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from ._core import InputError
from ._solve import read_problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt

    from ._core import Problem

    File = Union[str, os.PathLike[str]]
    Data = Union[File, npt.ArrayLike, tuple[npt.ArrayLike, Union[npt.ArrayLike, None]], Mapping[str, npt.ArrayLike]]
    Report = dict[str, Any]


def _program():
    """QUBOPRUNE_COMMAND, else the program installed with this package, else the one on the path."""
    beside = Path(sysconfig.get_path("scripts")) / "quboprune"
    found = os.environ.get("QUBOPRUNE_COMMAND") or (str(beside) if beside.exists() else shutil.which("quboprune"))
    if not found:
        raise RuntimeError("the quboprune program isn't there: install this package with LibTorch, or set QUBOPRUNE_COMMAND")
    return found


_REPEATED = ("scope", "freeze", "input")
_ON_BY_ITSELF = ("tune", "latency")
_EITHER = ("augment",)  # as the program thinks best, where nothing is said


def _arguments(options):
    """noise="camera" becomes --noise camera; allow_empty=True becomes --allow-empty, tune=False --no-tune; None is left
    out. A list is a word with commas (methods), or an option for each where the program takes it several times."""
    words = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if isinstance(value, (bool, np.bool_)):
            if not value and name in _ON_BY_ITSELF + _EITHER:
                words.append("--no-" + name)
            elif value and name not in _ON_BY_ITSELF:
                words.append(flag)
        elif value is not None:
            values = value if isinstance(value, (list, tuple)) else [value]
            values = [os.fspath(v) if isinstance(v, os.PathLike) else str(v) for v in values]
            for value in values if name in _REPEATED else [",".join(values)]:
                words += [flag, value]
    return words


def _stop(process):
    """Has the program write its best result so far, as Ctrl-C does. Another exception meanwhile ends it at once."""
    process.send_signal(signal.SIGINT)
    try:
        process.communicate()
    except BaseException:
        process.kill()
        raise


def run(*words: File, progress: bool = False) -> str:
    """Runs the program with these words. Returns what it prints; with `progress`, shows on sys.stderr how far it is.

    Raises InputError (a ValueError) with its one line where the input is wrong, RuntimeError where it failed. Ctrl-C
    (and whatever else a signal's handler raises) stops it as Ctrl-C does in a terminal: it writes its best so far.
    """
    # A Ctrl-C may reach this process alone or its whole group: the program takes the second of two for the same.
    command = [_program(), *(os.fspath(word) for word in words)]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as printed, subprocess.Popen(
            command, stdout=printed, stderr=subprocess.PIPE, encoding="utf-8", errors="replace") as process:
        message = ""
        try:
            for line in filter(str.strip, process.stderr):
                if line.startswith("quboprune: "):
                    message = line.strip()
                elif progress:
                    print(line, end="", file=sys.stderr, flush=True)
            process.wait()
        except BaseException:
            _stop(process)
            raise
        if process.returncode == 0:
            printed.seek(0)
            return printed.read()
    raise (InputError if process.returncode == 2 else RuntimeError)(message or _end_of(process.returncode))


def _end_of(status):
    """What is known of a program that ended without a word."""
    if status >= 0:
        return f"quboprune: ended with status {status}"
    hint = ": perhaps memory was short" if -status == signal.SIGKILL else ""
    return f"quboprune: was ended by {signal.Signals(-status).name}{hint}"


def _save_arrays(data, folder):
    """data as the program takes it: a path as it is; arrays, alone, in a tuple or by name, as an .npz."""
    if isinstance(data, (str, os.PathLike)):
        return os.fspath(data)
    if not isinstance(data, collections.abc.Mapping):
        data = dict(zip(("inputs", "targets"), data if isinstance(data, tuple) and len(data) == 2 else (data, None)))
    arrays = {name: array for name, array in data.items() if array is not None}
    if "inputs" not in arrays or not all(hasattr(array, "__array__") for array in arrays.values()):
        raise InputError("data: give a path, an array of inputs, a tuple of arrays (inputs, targets), or a dict of them")
    if not all(isinstance(name, str) for name in arrays):
        raise InputError("data: the keys of a dict are names")
    path = os.path.join(folder, "data.npz")
    with zipfile.ZipFile(path, "w") as archive:  # np.savez has arguments of its own among the names
        for name, array in arrays.items():
            with archive.open(name + ".npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, _native(array), allow_pickle=False)
    return path


def _native(array):
    """In this machine's byte order, which is the one that the program reads."""
    array = np.ascontiguousarray(array)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _target(target, such_as="'filters=0.36' or 'macs=0.5'"):
    if target is None:
        return []
    if not isinstance(target, str):
        raise InputError(f"target={target!r}: say what to remove as text, such as {such_as}")
    return ["--target", target]


def _with_report(command, model, words, options, data=None, flag="--report"):
    """Runs a command and returns its JSON; `report=` keeps a copy where the user wants one. How far it is is shown on
    sys.stderr, where it takes more than ten seconds, but for progress=False."""
    with tempfile.TemporaryDirectory(prefix="quboprune-") as folder:
        if data is not None:
            words = [*words, "--data", _save_arrays(data, folder)]
        wanted = options.pop(flag.strip("-"), None)
        path = os.path.join(folder, "report.json") if wanted is None else os.fspath(wanted)
        progress = options.pop("progress", True)
        run(command, os.fspath(model), *words, *_arguments(options), flag, path, progress=progress)
        with open(path, encoding="utf-8") as file:
            return json.load(file)


def inspect(model: File, **options: Any) -> Report:
    """What a network consists of: layers, channel groups, costs, what is frozen and why (a dict)."""
    return _with_report("inspect", model, [], options, flag="--json")


def prune(model: File, output: File, *, data: Data, target: str | None = None, **options: Any) -> Report:
    """Writes a smaller network to `output` and returns the report (a dict; keys in docs/report.md).

    data: a path, an array of inputs, a tuple of arrays (inputs, targets), or a dict with "inputs", perhaps "targets"
    and arrays named like the network's other inputs; samples along the first axis.
    target: "filters=0.36", "params=0.5" or "macs=0.3": the fraction removed; not needed with mask="mask.txt". Other
    keywords are the program's options: objective="hybrid", refine="none", evaluations=500, tune=False,
    html="report.html", ... How far it is is shown on sys.stderr, unless progress=False (as with all functions here).
    """
    return _with_report("prune", model, ["-o", os.fspath(output), *_target(target)], options, data)


def apply(model: File, output: File, *, plan: File, data: Data | None = None, **options: Any) -> Report:
    """Applies a plan file written by prune(..., plan="plan.json"), perhaps edited."""
    words = ["-o", os.fspath(output), "--plan", os.fspath(plan)]
    return _with_report("apply", model, words, options, data)


def compare(model: File, *, data: Data, target: str, methods: str | Iterable[str], **options: Any) -> Report:
    """Prunes by several methods at the same budget; returns the report with "methods"."""
    names = methods if isinstance(methods, str) else ",".join(methods)
    return _with_report("compare", model, [*_target(target), "--methods", names], options, data)


def sweep(model: File, folder: File, *, data: Data, target: str | None = None, **options: Any) -> Report:
    """Prunes by several amounts, target="macs=0.2,0.35,0.5"; writes a network for each to `folder` and returns the
    report with "budgets". With max_loss=0.1 it also looks for the largest budget that loses at most 0.1 of the metric
    on the calibration data: report["furthest"] is its name, None where each loses more."""
    words = ["-o", os.fspath(folder), *_target(target, "'macs=0.2,0.35,0.5'")]
    return _with_report("sweep", model, words, options, data)


def finetune(model: File, output: File, *, data: Data, **options: Any) -> Report:
    """Trains a network further, or from its first weights; writes it to `output` and returns the report."""
    return _with_report("finetune", model, ["-o", os.fspath(output)], options, data)


def formulate(model: File, output: File | None = None, *, data: Data, target: str | None = None,
              **options: Any) -> Problem:
    """The QUBO of a network (x_g = 1: group g is kept) by objective="hybrid" or another: a Problem, whose constraint
    keeps as many as target="filters=0.36" says (l1-qubo's penalty does it without one). `output` keeps the file, .json,
    .cqm.json or else COO text. prune(..., mask=FILE) takes up what another solver found."""
    name = "" if output is None else os.fspath(output)
    if name.endswith(".lp"):
        raise InputError(f"{name}: LP files aren't read back; give .cqm.json, or use the program")
    if target is not None and name.endswith(".json") and not name.endswith(".cqm.json"):
        raise InputError(f"{name}: a binary quadratic model can't hold the target's count; give .cqm.json or .coo")
    with tempfile.TemporaryDirectory(prefix="quboprune-") as folder:
        path = os.path.join(folder, "problem.coo") if output is None else os.fspath(output)
        progress = options.pop("progress", True)
        words = ["-o", path, *_target(target), "--data", _save_arrays(data, folder), *_arguments(options)]
        run("formulate", os.fspath(model), *words, progress=progress)
        return read_problem(path)


def evaluate(model: File, *, data: Data, **options: Any) -> Report:
    """The metric of a network on data; returns the report."""
    return _with_report("eval", model, [], options, data)
