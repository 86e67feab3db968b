"""The keyword options of solve() and search_masks(), for type checkers."""

import os
from collections.abc import Callable
from typing import Optional, TypedDict

import numpy.typing as npt

Progress = Callable[[str, float, float, Optional[float]], object]  # stage, done, total, best so far


class SolverKeywords(TypedDict, total=False):
    method: "str | None"
    seconds: "float | None"
    processor_time: "bool | None"
    max_moves: "int | None"
    seed: "int | None"
    threads: "int | None"
    pool_size: "int | None"
    pool_distance: "int | None"
    target_energy: "float | None"
    bound: "bool | None"
    start: "npt.ArrayLike | None"


class SearchKeywords(TypedDict, total=False):
    evaluations: "int | None"
    time_limit: "float | None"
    seed: "int | None"
    batch: "int | None"
    top: "int | None"
    rank: "int | None"
    steps: "int | None"
    learning_rate: "float | None"
    start_weight: "float | None"
    fixed: "npt.ArrayLike | None"
    prior: "npt.ArrayLike | None"
    blocks: "npt.ArrayLike | None"
    state: "str | os.PathLike[str] | None"
    problem: "str | None"
