"""Makes trained convolutional networks smaller by combinatorial optimisation.

    import quboprune

    report = quboprune.prune("net.onnx", "smaller.onnx", data="photographs", noise="camera",
                             target="filters=0.36")

The solvers stand on their own, with NumPy arrays in and out:

    qubo = quboprune.Qubo.from_matrix(Q)
    result = quboprune.solve(qubo, count=50, seconds=5)
    result.x, result.energy

Networks (inspect, prune, apply, compare, sweep, finetune, evaluate) run in the `quboprune` program, which comes
with this package: so no second LibTorch is loaded into a Python that has imported torch. QUBO and search
run in this process, without the interpreter lock; Ctrl-C stops them.
"""

from ._core import InputError, Qubo, SearchResult, Solution, SolverResult, __version__, search_names, solver_names
from ._networks import apply, compare, evaluate, finetune, inspect, prune, run, sweep
from ._solve import search_masks, solve

__all__ = [
    "InputError", "Qubo", "SearchResult", "Solution", "SolverResult", "__version__", "apply", "compare", "evaluate",
    "finetune", "inspect", "prune", "run", "search_masks", "search_names", "solve", "solver_names", "sweep",
]
