"""Makes trained convolutional networks smaller by combinatorial optimisation.

    import quboprune

    report = quboprune.prune("net.onnx", "smaller.onnx", data="photographs", noise="camera",
                             target="filters=0.36")

The solvers stand on their own, with NumPy arrays in and out:

    qubo = quboprune.Qubo.from_matrix(Q)
    result = quboprune.solve(qubo, count=50, seconds=5)
    result.x, result.energy

The QUBO of a network, for them or for other solvers:

    problem = quboprune.formulate("net.onnx", data="photographs", noise="camera", objective="hybrid",
                                  target="filters=0.36")
    quboprune.solve(problem)

Networks (inspect, prune, apply, compare, sweep, finetune, evaluate, formulate) run in the `quboprune` program, which comes
with this package: so no second LibTorch is loaded into a Python that has imported torch. QUBO and search
run in this process, without the interpreter lock; Ctrl-C stops them.
"""

from ._core import Constraint, InputError, Problem, Qubo, SearchResult, Solution, SolverResult, __version__, search_names, solver_names
from ._networks import apply, compare, evaluate, finetune, formulate, inspect, prune, run, sweep
from ._solve import read_problem, search_masks, solve, write_problem

__all__ = [
    "Constraint", "InputError", "Problem", "Qubo", "SearchResult", "Solution", "SolverResult", "__version__", "apply",
    "compare", "evaluate", "finetune", "formulate", "inspect", "prune", "read_problem", "run", "search_masks",
    "search_names", "solve", "solver_names", "sweep", "write_problem",
]
