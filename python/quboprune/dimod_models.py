"""dimod's constrained models to and from the `.cqm.json` files of `quboprune solve` and `formulate`.

    import json
    from quboprune.dimod_models import from_cqm, to_cqm

    json.dump(from_cqm(cqm), open("problem.cqm.json", "w"))      # quboprune solve problem.cqm.json
    cqm = to_cqm(json.load(open("problem.cqm.json")))

dimod has a JSON form of its own for unconstrained models only, which both sides read. Needs the package dimod.
"""

import dimod


def from_cqm(cqm):
    """The model as a dict for json.dump. Variables must be BINARY, constraints linear.

    Variable number i of the file is cqm.variables[i], whatever it is called there. Raises ValueError for what
    can't be stated.
    """
    place = {variable: i for i, variable in enumerate(cqm.variables)}
    if any(cqm.vartype(variable) is not dimod.BINARY for variable in place):
        raise ValueError("only models whose variables are all BINARY can be written")
    objective = dimod.BinaryQuadraticModel("BINARY")
    for variable, i in place.items():
        objective.add_linear(i, cqm.objective.linear.get(variable, 0.0))
    for (u, v), bias in cqm.objective.quadratic.items():
        objective.add_quadratic(place[u], place[v], bias)
    objective.offset = cqm.objective.offset
    rows = [_row(str(label), comparison, place) for label, comparison in cqm.constraints.items()]
    return {"type": "ConstrainedQuadraticModel", "objective": objective.to_serializable(), "constraints": rows}


def _row(label, comparison, place):
    lhs = comparison.lhs
    if lhs.is_soft():
        raise ValueError(f"the constraint {label!r} is soft: put its penalty into the objective")
    if lhs.num_interactions:
        raise ValueError(f"the constraint {label!r} is quadratic: only linear ones can be written")
    return {"label": label, "variables": [place[v] for v in lhs.variables],
            "coefficients": [float(lhs.get_linear(v)) for v in lhs.variables],
            "sense": comparison.sense.value, "rhs": float(comparison.rhs - lhs.offset)}


def to_cqm(model):
    """The dimod model of a dict that was read from such a file; its variables are 0, 1, 2, ..."""
    cqm = dimod.ConstrainedQuadraticModel()
    cqm.set_objective(dimod.BinaryQuadraticModel.from_serializable(model["objective"]))
    for row in model["constraints"]:
        terms = list(zip(row["variables"], row["coefficients"]))
        cqm.add_constraint(terms, row["sense"], row["rhs"], label=row["label"])
    return cqm
