"""solve and search_masks with keyword options."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional, Union

import numpy as np

from . import _core

if TYPE_CHECKING:
    import numpy.typing as npt
    from typing_extensions import Unpack

    from ._options import Progress, SearchKeywords, SolverKeywords

    Path = Union[str, os.PathLike[str]]
    # A matrix, one of scipy.sparse, {(i, j): value}, dimod's binary quadratic model (the two have no types of their own).
    Quadratic = Union[_core.Qubo, _core.Problem, npt.ArrayLike, Mapping[tuple[int, int], float], Any]
    Groups = Optional[Iterable[tuple[Sequence[int], int, int]]]


def _number(value, name):
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise _core.InputError(f"{name}: expected a number") from None


def _whole(value):
    """As an int of C++. Raises TypeError or ValueError for what is none."""
    number = operator.index(value)
    if abs(number) >= 2**31:
        raise ValueError
    return number


def _limit(count, capacity, costs):
    """(kind, how much, costs)"""
    if count is not None and capacity is not None:
        raise _core.InputError("give count (exactly so many ones) or capacity (a sum of costs at most), not both")
    if count is not None:
        if costs is not None:
            raise _core.InputError("costs belong to capacity, not to count")
        number = _number(count, "count")
        if isinstance(count, bool) or not number.is_integer() or abs(number) >= 2**31:
            raise _core.InputError("count: expected a whole number")
        return "exactly", number, np.empty(0)
    if capacity is not None:
        limit = _number(capacity, "capacity")
        if np.isnan(limit):
            raise _core.InputError("capacity: expected a number")
        return "at_most", limit, np.empty(0) if costs is None else costs
    if costs is not None:
        raise _core.InputError("costs want a capacity: how much the ones may cost at most")
    return "none", 0.0, np.empty(0)


def _constraint(count, capacity, costs, fixed, groups):
    try:
        groups = [([_whole(i) for i in members], _whole(least), _whole(most)) for members, least, most in groups or ()]
    except (TypeError, ValueError):
        raise _core.InputError("groups: expected (variables, least, most) each, of whole numbers") from None
    return _core.Constraint(*_limit(count, capacity, costs), _fixed(fixed), groups)


def _asked(qubo, count, capacity, costs, fixed, groups) -> tuple[_core.Qubo, _core.Constraint]:
    """The Qubo and what x must obey: a Problem says that itself."""
    constraint = _constraint(count, capacity, costs, fixed, groups)
    if not isinstance(qubo, _core.Problem):
        return _problem(qubo), constraint
    if any(given is not None for given in (count, capacity, costs, fixed)) or groups:
        raise _core.InputError("the problem says itself what x must obey; for something else give problem.qubo")
    return qubo.qubo, qubo.constraint


def _all_threads():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _set(options, values):
    for name, value in values.items():
        if not hasattr(options, name):
            raise TypeError(f"unknown option {name!r}")
        if value is None:
            continue
        if name == "threads" and not isinstance(value, bool) and value == 0:
            value = _all_threads()
        try:
            setattr(options, name, os.fspath(value) if isinstance(value, os.PathLike) else value)
        except TypeError:
            kind = type(getattr(options, name)).__name__
            raise _core.InputError(f"{name}={' '.join(repr(value).split())[:80]}: expected a value of type {kind}, in its range") from None
    return options


def _problem(qubo):
    """A Qubo of what people have: a matrix, one of scipy.sparse, {(i, j): value}, dimod's binary quadratic model."""
    if isinstance(qubo, _core.Qubo):
        return qubo
    if hasattr(qubo, "to_qubo"):
        entries, offset = qubo.to_qubo()
        variables = list(qubo.variables)
        if set(variables) != set(range(len(variables))):
            place = {variable: i for i, variable in enumerate(variables)}
            entries = {(place[u], place[v]): bias for (u, v), bias in entries.items()}
        result = _of_entries(entries, len(variables))
        result.add_offset(offset)
        return result
    if hasattr(qubo, "tocoo"):
        sparse = qubo.tocoo()
        if len(sparse.shape) != 2 or sparse.shape[0] != sparse.shape[1]:
            raise _core.InputError("matrix: expected a square one")
        return _of_triples(sparse.row, sparse.col, sparse.data, sparse.shape[0])
    if isinstance(qubo, Mapping):
        return _of_entries(qubo)
    return _core.Qubo.from_matrix(qubo)


def _of_entries(entries, n=None):
    try:
        pairs = np.array([(_whole(i), _whole(j)) for i, j in entries], np.int64).reshape(-1, 2)
    except (TypeError, ValueError, OverflowError):
        raise _core.InputError("a dict's keys: expected pairs of variables' numbers (i, j), counted from 0") from None
    if n is None:
        n = 1 + int(pairs.max(initial=-1))
    return _of_triples(pairs[:, 0], pairs[:, 1], list(entries.values()), n)


def _of_triples(i, j, values, n):
    try:
        values = np.asarray(values).astype(float, casting="unsafe" if isinstance(values, list) else "same_kind")
    except (TypeError, ValueError):
        raise _core.InputError("couplings: expected real numbers") from None
    if n >= 2**31:
        raise _core.InputError("variables' numbers: expected fewer than 2**31")
    result = _core.Qubo(n)
    pairs = i != j
    result.add_pairs(i[pairs], j[pairs], values[pairs])
    linear = i[~pairs]
    if linear.size and (linear.min() < 0 or linear.max() >= n):
        raise _core.InputError(f"variables' numbers: expected 0 to {n - 1}")
    result.add_linear(np.bincount(linear, values[~pairs], n))
    return result


def _fixed(values):
    try:
        fixed = np.empty(0, np.int8) if values is None else np.asarray(values)
    except ValueError:
        fixed = np.array([2])
    if not np.isin(fixed, (-1, 0, 1)).all():
        raise _core.InputError("fixed: give -1 (free), 0 or 1 for each variable")
    return fixed


def solve(qubo: Quadratic, *, count: float | None = None, capacity: float | None = None,
          costs: npt.ArrayLike | None = None, fixed: npt.ArrayLike | None = None, groups: Groups = (),
          progress: Progress | None = None, **options: Unpack[SolverKeywords]) -> _core.SolverResult:
    """Minimises a Qubo, or x'Qx of a square matrix: an array, one of scipy.sparse, or a dict {(i, j): value}. Also
    dimod's binary quadratic models: x is in the order of the variables' numbers where they are 0, 1, 2, ..., else of
    model.variables. A Problem of read_problem() or formulate() brings what x must obey.

    count: exactly so many ones. capacity: the sum of costs (n numbers, 1 each if not given) of the ones at
    most. Neither: no constraint. fixed: n entries, -1 free, 0 or 1 fixed. groups: (variables, least, most)
    each, disjoint: so many of those are 1. progress: called with (stage, done, total, best); what it raises ends
    the work and comes back.

    options: method ("auto" or one of solver_names()), seconds (10), processor_time, max_moves, seed, threads, pool_size,
    pool_distance, target_energy, bound, start. threads: 1, or 0 for all cores.

    Returns a SolverResult: x (uint8 [n]), energy, pool, bound, optimal, persistent, seconds, moves, method, reason.
    Raises InputError (a ValueError) if no x is feasible or sizes don't fit.
    """
    qubo, constraint = _asked(qubo, count, capacity, costs, fixed, groups)
    return _core.solve(qubo, constraint, _set(_core.SolverOptions(), options), progress)


def read_problem(path: Path, format: str = "") -> _core.Problem:
    """Reads a problem file: dimod's COO text and JSON, qbsolv's, or the literature's (OR-Library, Gset, MDPLIB, QKP),
    plain or gzip. The format is recognised, unless `format` names it: bqp, gset, mdplib, qkp, coo, bqm, cqm or qubo.

    Returns a Problem: qubo (always minimised), constraint, family, format, and objective(energy), the family's own.
    Raises InputError with file, line and column.
    """
    return _core.read_problem(os.fspath(path), format)


def write_problem(path: Path, qubo: Quadratic, *, count: float | None = None, capacity: float | None = None,
                  costs: npt.ArrayLike | None = None, fixed: npt.ArrayLike | None = None, groups: Groups = (),
                  format: str = "") -> None:
    """Writes a problem, qubo and the others as in solve(), for other solvers. `format`, or else the path's ending, says
    how: coo (the text of dimod), bqm (.json), cqm (.cqm.json) or lp (.lp). Raises InputError for what it can't state.
    """
    _core.write_problem(*_asked(qubo, count, capacity, costs, fixed, groups), os.fspath(path), format)


def search_masks(objective: Callable[[npt.NDArray[np.uint8]], npt.ArrayLike], n: int, *, count: float | None = None,
                 capacity: float | None = None, costs: npt.ArrayLike | None = None,
                 seeds: Iterable[npt.ArrayLike] | None = (), progress: Progress | None = None,
                 method: str | None = None, **options: Unpack[SearchKeywords]) -> _core.SearchResult:
    """Minimises any function of a mask of n variables.

    objective: takes uint8 [masks, n], gives [masks] values; lower is better; never asked twice for a mask.
    count, capacity, costs, progress: as in solve(). seeds: masks to start from; the result is never worse than
    any of them that obeys. method: one of search_names(); "protes" also sets the rest to the published defaults.

    options: evaluations (1000), time_limit (seconds; 0: none), seed, batch, top, rank, steps, learning_rate,
    start_weight; fixed: as in solve(); prior: n guesses of how much each variable wants to be 1 (their unit doesn't
    matter); blocks: a label in 0..n-1 for each variable, the same for those of one layer; state: a JSON file with all
    masks and their values, from which a stopped search goes on, and problem: a text that names what the objective is
    (a file that was kept under another one is refused).

    Returns a SearchResult: x (uint8 [n]), value, evaluations, computed (of them, in this call), history, seconds,
    seconds_outside_objective, reason, unsaved (why the state couldn't be written; usually empty).
    Raises InputError (a ValueError) if no mask is feasible or sizes don't fit; else what the objective raises.
    """
    kind, limit, cost_array = _limit(count, capacity, costs)
    try:
        n = _whole(n)
    except (TypeError, ValueError):
        raise _core.InputError("n: expected the number of variables") from None
    settings = _core.protes_options() if method == "protes" else _core.SearchOptions()
    if method is not None:
        _set(settings, {"method": method})
    if options.get("fixed") is not None:
        options["fixed"] = _fixed(options["fixed"])
    return _core.search_masks(objective, n, kind, limit, cost_array, list(seeds if seeds is not None else ()), _set(settings, options), progress)
