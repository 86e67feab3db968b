"""A network's QUBO goes out to other solvers, and their answers come back as masks of prune."""

import json

import numpy as np
import pytest

TARGET = "filters=0.25"  # keeps 12 of the 16 groups of the test network
KEPT = 12


def formulated(program, name, *more, objective="hybrid"):
    program.succeeds("formulate", "net.onnx", "--data", "data.npz", "--objective", objective, "--target", TARGET,
                     "-o", name, *more)
    return program.folder / name


def solved(program, problem, *more):
    return program.report("solve", problem, "--time", "2", "--threads", "1", *more)


def pruned_with(program, mask_file, *more):
    return program.report("prune", "net.onnx", "-o", "out.onnx", "--data", "data.npz", "--mask", mask_file,
                          "--recover", "none", *more)


def kept_groups(report):
    """Kept channels by layer, as a flat set of names."""
    return {(layer["name"], index) for layer in report["layers"] for index in layer["kept_indices"]}


@pytest.mark.parametrize("objective", ["hybrid", "gate-fisher", "gauss-newton", "measured", "reconstruction"])
def test_an_own_solution_comes_back(quboprune, denoiser, pairs, objective):
    problem = formulated(quboprune, "problem.coo", objective=objective)
    solution = solved(quboprune, problem)
    assert solution["capacity"] == KEPT and sum(solution["x"]) == KEPT
    (quboprune.folder / "solution.json").write_text(json.dumps(solution), encoding="utf-8")
    report = pruned_with(quboprune, "solution.json", "--target", TARGET)
    assert report["result"]["groups_kept"] == KEPT
    (quboprune.folder / "solution.txt").write_text("\n".join(map(str, solution["x"])) + "\n", encoding="utf-8")
    assert kept_groups(pruned_with(quboprune, "solution.txt")) == kept_groups(report)


def test_every_form_has_the_same_optimum(quboprune, denoiser, pairs):
    energies = {}
    for name in ["problem.coo", "problem.cqm.json", "problem.json"]:
        problem = formulated(quboprune, name)
        count = ["--capacity", KEPT] if name == "problem.json" else []
        report = solved(quboprune, problem, *count, "--solver", "exact")
        assert report["solver"]["optimal"] and sum(report["x"]) == KEPT
        energies[name] = report["energy"]
    assert max(energies.values()) - min(energies.values()) <= 1e-9 * max(1, abs(energies["problem.coo"])), energies


def test_dwave_samplers_answer_comes_back(quboprune, denoiser, pairs):
    dimod = pytest.importorskip("dimod")
    samplers = pytest.importorskip("dwave.samplers")
    problem = formulated(quboprune, "problem.json")
    model = dimod.BinaryQuadraticModel.from_serializable(json.loads(problem.read_text(encoding="utf-8")))
    ours = solved(quboprune, problem, "--capacity", KEPT, "--solver", "exact")
    assert model.energy(dict(enumerate(ours["x"]))) == pytest.approx(ours["energy"], rel=1e-9)
    # It knows no count: a penalty has to stand for it, and what breaks it is left out.
    penalty = sum(abs(bias) for bias in [*model.linear.values(), *model.quadratic.values()])
    counted = model.copy()
    counted.add_linear_equality_constraint([(i, 1) for i in range(len(ours["x"]))], penalty, -KEPT)
    samples = samplers.SimulatedAnnealingSampler().sample(counted, num_reads=50, num_sweeps=500, seed=1)
    found = [[int(sample[i]) for i in range(len(ours["x"]))] for sample in samples.samples()]
    found = [x for x in found if sum(x) == KEPT]
    assert found, "no sample keeps the count"
    best = min(found, key=lambda x: model.energy(dict(enumerate(x))))
    assert model.energy(dict(enumerate(best))) >= ours["energy"] - 1e-9 * abs(ours["energy"]), "ours is proven"
    (quboprune.folder / "answer.json").write_text(json.dumps(best), encoding="utf-8")
    assert pruned_with(quboprune, "answer.json", "--target", TARGET)["result"]["groups_kept"] == KEPT


def test_dimod_reads_the_lp_with_its_count(quboprune, denoiser, pairs):
    dimod = pytest.importorskip("dimod")
    model = dimod.lp.loads(formulated(quboprune, "problem.lp").read_text(encoding="utf-8"))
    ours = solved(quboprune, formulated(quboprune, "problem.coo"))
    sample = {f"x{i}": value for i, value in enumerate(ours["x"])}
    assert model.check_feasible(sample)
    assert not model.check_feasible({**sample, "x0": 1 - sample["x0"]})
    # The LP's offset stands in a comment.
    offset = solved(quboprune, "problem.coo", "--capacity", "0")["energy"]
    assert model.objective.energy(sample) + offset == pytest.approx(ours["energy"], rel=1e-7)


def test_a_mixed_integer_solver_proves_the_same_optimum(quboprune, denoiser, pairs):
    scip = pytest.importorskip("pyscipopt")
    problem = formulated(quboprune, "problem.lp")
    ours = solved(quboprune, formulated(quboprune, "problem.coo"), "--solver", "exact")
    assert ours["solver"]["optimal"]
    model = scip.Model()
    model.hideOutput()
    model.readProblem(str(problem))
    model.optimize()
    assert model.getStatus() == "optimal"
    values = {variable.name: model.getVal(variable) for variable in model.getVars()}
    x = [round(values[f"x{i}"]) for i in range(len(ours["x"]))]
    assert sum(x) == KEPT
    offset = solved(quboprune, "problem.coo", "--capacity", "0")["energy"]
    # SCIP's own tolerance is 1e-6.
    assert model.getObjVal() + offset == pytest.approx(ours["energy"], rel=1e-5)
    (quboprune.folder / "answer.txt").write_text(" ".join(map(str, x)), encoding="utf-8")
    assert pruned_with(quboprune, "answer.txt", "--target", TARGET)["result"]["groups_kept"] == KEPT


def test_a_mask_that_misses_the_target_is_refused(quboprune, denoiser, pairs):
    (quboprune.folder / "mask.txt").write_text("1" * 10 + "0" * 6, encoding="utf-8")
    done = quboprune("prune", "net.onnx", "-o", "out.onnx", "--data", "data.npz", "--mask", "mask.txt", "--target",
                     TARGET)
    assert done.returncode == 2 and "keeps 10" in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert not (quboprune.folder / "out.onnx").exists()


@pytest.mark.parametrize("text", ["", "1 0", "{\"y\": [1]}", "[1, 0", "[1, 2]", "yes", "{\"x\": 7}",
                                  str([1] * 15 + [0.5])])
def test_masks_that_are_none(quboprune, denoiser, pairs, text):
    (quboprune.folder / "mask").write_text(text, encoding="utf-8")
    done = quboprune("prune", "net.onnx", "-o", "out.onnx", "--data", "data.npz", "--mask", "mask")
    assert done.returncode == 2 and done.stderr.count("mask: ") == 1, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_numpy_reads_the_coo_text(quboprune, denoiser, pairs):
    problem = formulated(quboprune, "problem.coo")
    i, j, value = np.loadtxt(problem, unpack=True)  # '#' lines are comments to it, as to dimod
    x = np.array(solved(quboprune, problem)["x"])
    energy = (value * x[i.astype(int)] * x[j.astype(int)]).sum()
    offset = solved(quboprune, problem, "--capacity", "0")["energy"]
    assert energy + offset == pytest.approx(solved(quboprune, problem)["energy"], rel=1e-9)


def test_dimod_reads_every_line_of_the_coo_text(quboprune, denoiser, pairs):
    """Its reader passes over numbers with an exponent."""
    coo = pytest.importorskip("dimod.serialization.coo")
    problem = formulated(quboprune, "problem.coo", objective="gate-fisher")
    entries = [line.split() for line in problem.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert min(abs(float(value)) for *_, value in entries) < 1e-5
    model = coo.loads(problem.read_text(encoding="utf-8"))
    assert model.num_interactions + np.count_nonzero(list(model.linear.values())) == len(entries)
    x = solved(quboprune, problem)
    offset = solved(quboprune, problem, "--capacity", "0")["energy"]
    assert model.energy(dict(enumerate(x["x"]))) + offset == pytest.approx(x["energy"], rel=1e-9)


def test_formulate_says_what_it_leaves_out_of_account(quboprune, denoiser, pairs):
    words = ["formulate", "net.onnx", "--data", "data.npz"]
    refused = quboprune(*words, "-o", "p.coo", "--solver", "tabu", "--rounds", "3")
    assert refused.returncode == 2 and "--solver" in refused.stderr, "how a problem is solved is no part of it"
    done = quboprune.succeeds(*words, "-o", "p.coo", "--objective", "l1-qubo")
    assert "without --target for 8 of 16 filters" in done.stderr
    done = quboprune.succeeds(*words, "-o", "p.coo", "--objective", "l1-qubo", "--target", TARGET)
    assert "without --target" not in done.stderr


def test_formulate_names_a_next_step_that_works(quboprune, denoiser, pairs):
    for name in ("p.coo", "p.json", "p.cqm.json", "p.lp"):
        words = ["formulate", "net.onnx", "--data", "data.npz", "-o", name, "--target", TARGET]
        said = quboprune.succeeds(*words).stdout
        if name == "p.lp":
            assert "quboprune solve" not in said and str(KEPT) in said
        else:
            quboprune.succeeds(*said.split(": quboprune ")[1].split(), "--time", "1")
