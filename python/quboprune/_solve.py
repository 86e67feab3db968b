"""solve and search_masks with keyword options."""

import numpy as np

from . import _core


def _constraint(count, capacity, costs):
    if count is not None and capacity is not None:
        raise _core.InputError("give count (exactly so many ones) or capacity (a sum of costs at most), not both")
    if count is not None:
        if costs is not None:
            raise _core.InputError("costs belong to capacity, not to count")
        if isinstance(count, bool) or not float(count).is_integer() or abs(count) >= 2**31:
            raise _core.InputError("count: expected a whole number")
        return "exactly", float(count), np.empty(0)
    if capacity is not None:
        return "at_most", float(capacity), np.empty(0) if costs is None else costs
    if costs is not None:
        raise _core.InputError("costs want a capacity: how much the ones may cost at most")
    return "none", 0.0, np.empty(0)


def _set(options, values):
    for name, value in values.items():
        if not hasattr(options, name):
            raise TypeError(f"unknown option {name!r}")
        setattr(options, name, value)
    return options


def _fixed(values):
    fixed = np.empty(0, np.int8) if values is None else np.asarray(values)
    if not np.isin(fixed, (-1, 0, 1)).all():
        raise _core.InputError("fixed: give -1 (free), 0 or 1 for each variable")
    return fixed


def solve(qubo, *, count=None, capacity=None, costs=None, fixed=None, groups=(), progress=None, **options):
    """Minimises a Qubo, or x'Qx of a square matrix.

    count: exactly so many ones. capacity: the sum of costs (n numbers, 1 each if not given) of the ones at
    most. Neither: no constraint. fixed: n entries, -1 free, 0 or 1 fixed. groups: (variables, least, most)
    each, disjoint: so many of those are 1. progress: called with (stage, done, total, best).

    options: method ("auto" or one of solver_names()), seconds (10), processor_time, max_moves, seed, threads, pool_size,
    pool_distance, target_energy, bound, start.

    Returns a SolverResult: x (uint8 [n]), energy, pool, bound, optimal, persistent, seconds, moves, method, reason.
    Raises InputError (a ValueError) if no x is feasible or sizes don't fit.
    """
    if not isinstance(qubo, _core.Qubo):
        qubo = _core.Qubo.from_matrix(qubo)
    kind, limit, cost_array = _constraint(count, capacity, costs)
    groups = [([int(i) for i in variables], int(least), int(most)) for variables, least, most in groups]
    return _core.solve(qubo, kind, limit, cost_array, _fixed(fixed), groups, _set(_core.SolverOptions(), options), progress)


def search_masks(objective, n, *, count=None, capacity=None, costs=None, seeds=(), progress=None, method=None,
                 **options):
    """Minimises any function of a mask of n variables.

    objective: takes uint8 [masks, n], gives [masks] values; lower is better; never asked twice for a mask.
    count, capacity, costs: as in solve(). seeds: masks to start from; the result is never worse.
    method: one of search_names(); "protes" also sets the rest to the published defaults.

    options: evaluations (1000), time_limit, seed, batch, top, rank, steps, learning_rate, start_weight,
    fixed, prior; state: a JSON file with all masks and their values, from which a stopped search goes on, and
    problem: a text that names what the objective is (a file that was kept under another one is refused).

    Returns a SearchResult: x (uint8 [n]), value, evaluations, history, seconds, reason.
    """
    kind, limit, cost_array = _constraint(count, capacity, costs)
    settings = _core.protes_options() if method == "protes" else _core.SearchOptions()
    if method is not None:
        options["method"] = method
    if "fixed" in options:
        options["fixed"] = _fixed(options["fixed"])
    return _core.search_masks(objective, n, kind, limit, cost_array, list(seeds), _set(settings, options), progress)
