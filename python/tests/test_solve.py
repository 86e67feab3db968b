"""QUBO, solvers and search from Python, against brute force."""

import copy
import itertools
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

quboprune = pytest.importorskip("quboprune", reason="the Python package is not installed (scripts/test does)")


def random_matrix(n, seed):
    return np.random.default_rng(seed).integers(-9, 10, (n, n)).astype(float)


def brute_force(matrix, count=None):
    n = len(matrix)
    masks = (np.array(x) for x in itertools.product((0, 1), repeat=n) if count is None or sum(x) == count)
    return min(float(x @ matrix @ x) for x in masks)


def test_energy_is_that_of_the_matrix():
    matrix = random_matrix(7, 1)
    qubo = quboprune.Qubo.from_matrix(matrix)
    for x in itertools.product((0, 1), repeat=7):
        assert qubo.energy(np.array(x)) == pytest.approx(np.array(x) @ matrix @ np.array(x))


def test_parts_add_up():
    rng = np.random.default_rng(2)
    n, linear, factor = 6, rng.normal(size=6), rng.normal(size=(2, 6)).astype(np.float32)
    block = rng.normal(size=(3, 3))
    block = block + block.T
    qubo = quboprune.Qubo(n)
    qubo.add_offset(1.5)
    qubo.add_linear(linear)
    qubo.add_pair(0, 5, 2.0)
    qubo.add_dense_block([1, 2, 4], block)
    qubo.add_low_rank(factor, scale=3.0)
    x = np.array([1, 1, 0, 1, 1, 1])
    pairs = 2.0 + block[0, 2]  # 0-5, and 1-4 of the block
    expected = 1.5 + linear @ x + pairs + 1.5 * np.sum((factor.astype(float) @ x) ** 2)
    assert qubo.energy(x) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("count", [None, 0, 3, 10])
def test_finds_what_brute_force_finds(count):
    matrix = random_matrix(10, 3)
    result = quboprune.solve(matrix, count=count, seconds=1, max_moves=20000)
    assert result.energy == pytest.approx(brute_force(matrix, count))
    assert result.x.dtype == np.uint8 and result.x.shape == (10,)
    if count is not None:
        assert result.x.sum() == count


def test_capacity_is_never_exceeded():
    costs = np.arange(1.0, 11.0)
    result = quboprune.solve(-np.eye(10), capacity=12.5, costs=costs, seconds=1, max_moves=20000)
    assert costs @ result.x <= 12.5
    assert result.energy == -4  # 1 + 2 + 3 + 4 = 10; no five fit


def test_search_uses_a_python_function():
    weights = np.random.default_rng(4).normal(size=12)
    asked = []

    def objective(masks):
        asked.extend(map(bytes, masks))
        return masks @ weights

    result = quboprune.search_masks(objective, 12, count=4, evaluations=400, seed=1)
    assert result.x.sum() == 4
    assert result.value == pytest.approx(np.sort(weights)[:4].sum())
    assert len(asked) == len(set(asked)), "a mask was asked for twice"


def test_errors_of_the_function_come_back():
    def objective(masks):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        quboprune.search_masks(objective, 8, count=4)


@pytest.mark.parametrize("threads", [1, 2])
def test_errors_of_progress_come_back_from_any_thread(threads):
    def progress(stage, done, total, best):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        quboprune.solve(random_matrix(150, 8), seconds=5, threads=threads, progress=progress)


@pytest.mark.parametrize("capacity", [3e9, np.inf])
def test_a_capacity_that_limits_nothing_is_none(capacity):
    matrix = random_matrix(8, 9)
    assert quboprune.solve(matrix, capacity=capacity, seconds=2).energy == brute_force(matrix)


@pytest.mark.parametrize("call", [
    lambda: quboprune.solve(np.ones((2, 3))),
    lambda: quboprune.solve(np.eye(3), count=4),
    lambda: quboprune.solve(np.eye(3), count=1, capacity=2),
    lambda: quboprune.solve(np.eye(3), count=1.5),
    lambda: quboprune.solve(np.eye(3), count=np.nan),
    lambda: quboprune.solve(np.eye(3), costs=[1, 2, 3]),
    lambda: quboprune.solve(np.eye(3), fixed=[0, 0.5, 1]),
    lambda: quboprune.solve(np.eye(3), fixed=[0, 2, 1]),
    lambda: quboprune.solve(np.eye(3), pool_distance=0),
    lambda: quboprune.solve(np.eye(3), threads=100000),
    lambda: quboprune.solve(np.eye(3), method="none such"),
    lambda: quboprune.Qubo(3).energy([1, 0]),
    lambda: quboprune.Qubo(3).energy([1, 0, 2]),
    lambda: quboprune.Qubo(3).add_pair(0, 7, 1.0),
    lambda: quboprune.Qubo(-1),
])
def test_wrong_input_is_a_value_error(call):
    with pytest.raises(ValueError) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, quboprune.InputError)


def test_other_threads_go_on_meanwhile():
    ticks = []
    running = True

    def tick():
        while running:
            ticks.append(1)
            time.sleep(0.01)

    thread = threading.Thread(target=tick)
    thread.start()
    quboprune.solve(random_matrix(300, 5), count=100, seconds=0.5)
    running = False
    thread.join()
    assert len(ticks) > 5  # of about 50; 1 or 2 if the interpreter lock were held


def run_alone(code, timeout=60):
    return subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=timeout)


@pytest.mark.parametrize("work", [
    "quboprune.solve(np.ones((300, 300)) - np.eye(300), count=100, seconds=30)",
    "quboprune.solve(np.eye(300), count=100, seconds=30, progress=lambda *all: time.sleep(0.3))",
    "quboprune.search_masks(slow, 30, count=10, evaluations=10**6)",
])
def test_a_program_ends_while_a_daemon_thread_is_at_work(work):
    done = run_alone(f"""
        import threading, time
        import numpy as np, quboprune
        def slow(masks):
            time.sleep(0.1)
            return masks.sum(1)
        threading.Thread(target=lambda: {work}, daemon=True).start()
        time.sleep(0.5)
        """)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("add", ["add_low_rank(np.zeros((1, n), np.float32))", "add_dense_block([0, 1], np.zeros((2, 2)))",
                                 "add_pair(0, 1, 0.0)", "add_linear(np.zeros(n))"])
def test_a_problem_may_change_while_it_is_solved(add):
    done = run_alone(f"""
        import threading
        import numpy as np, quboprune
        n = 300
        problem = quboprune.Qubo.from_matrix(np.random.default_rng(1).normal(size=(n, n)))
        problem.add_low_rank(np.ones((2, n), np.float32))
        before = problem.energy(np.ones(n))
        thread = threading.Thread(target=lambda: quboprune.solve(problem, count=100, seconds=1, bound=True))
        thread.start()
        while thread.is_alive():
            problem.{add}
        assert abs(problem.energy(np.ones(n)) - before) < 1e-6 * abs(before)
        """)
    assert done.returncode == 0, done.stderr


def test_functions_are_called_in_the_thread_that_asked():
    asked, told = set(), set()

    def objective(masks):
        asked.add(threading.get_ident())
        return masks.sum(1)

    quboprune.search_masks(objective, 20, count=5, evaluations=200)
    quboprune.solve(random_matrix(150, 8), seconds=1, threads=2, progress=lambda *_: told.add(threading.get_ident()))
    assert asked == told == {threading.get_ident()}


def test_work_that_begins_while_the_interpreter_ends_does_not_hang():
    """Python may refuse what it needs by then; waiting for the process to end would be waiting for itself."""
    done = run_alone("""
        import numpy as np, quboprune
        class Late:
            def __del__(self):
                print(quboprune.search_masks(lambda masks: masks.sum(1), 12, count=4, evaluations=50).value)
        late = Late()
        """)
    assert done.returncode == 0
    assert done.stdout == "4.0\n" or "shutting down" in done.stderr


def test_ctrl_c_stops_a_slow_objective():
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        quboprune.search_masks(lambda masks: time.sleep(30), 20, count=5)
    assert time.monotonic() - start < 20


def test_problems_and_results_are_copied_and_pickled():
    problem = quboprune.Qubo(5)
    problem.add_offset(0.5)
    problem.add_linear(np.arange(5.0))
    problem.add_pairs([0, 3], [4, 1], [-2.5, 1.0])
    problem.add_dense_block([0, 2, 4], np.arange(9.0).reshape(3, 3) + np.arange(9.0).reshape(3, 3).T)
    problem.add_low_rank(np.arange(10.0).reshape(2, 5), scale=-0.5)
    for copied in (copy.deepcopy(problem), pickle.loads(pickle.dumps(problem))):
        for x in itertools.product((0, 1), repeat=5):
            assert copied.energy(x) == problem.energy(x)
    result = quboprune.solve(problem, count=2, seconds=1, bound=True)
    again = pickle.loads(pickle.dumps(result))
    for name in ("energy", "bound", "optimal", "seconds", "moves", "method", "reason"):
        assert getattr(again, name) == getattr(result, name)
    assert np.array_equal(again.x, result.x) and np.array_equal(again.persistent, result.persistent)
    assert [s.energy for s in again.pool] == [s.energy for s in result.pool]
    found = quboprune.search_masks(lambda masks: masks @ np.arange(5.0), 5, count=2)
    again = pickle.loads(pickle.dumps(found))
    assert np.array_equal(again.x, found.x) and again.history == found.history and again.reason == found.reason


def test_problems_come_in_the_forms_that_people_have():
    matrix = random_matrix(6, 3)
    entries = {(i, j): matrix[i, j] for i in range(6) for j in range(6)}
    best = brute_force(matrix)
    assert quboprune.solve(entries, seconds=1).energy == best
    scipy = pytest.importorskip("scipy.sparse")
    for form in (scipy.csr_matrix, scipy.csc_array, scipy.coo_matrix, scipy.dok_array):
        assert quboprune.solve(form(matrix), seconds=1).energy == best
    dimod = pytest.importorskip("dimod")
    model = dimod.BinaryQuadraticModel.from_qubo(entries)
    assert quboprune.solve(model, seconds=1).energy == best
    assert quboprune.solve(model.change_vartype("SPIN", inplace=False), seconds=1).energy == pytest.approx(best)
    model.relabel_variables({i: f"x{(5 * i) % 6}" for i in range(6)})
    found = quboprune.solve(model, seconds=1)
    assert model.energy(dict(zip(model.variables, found.x))) == pytest.approx(best) == found.energy


@pytest.mark.parametrize("call", [
    lambda: quboprune.solve({("a", "b"): 1.0}),
    lambda: quboprune.solve({(0, -1): 1.0}),
    lambda: quboprune.solve({(-1, -1): 1.0}),
    lambda: quboprune.solve([[1.0, 2.0], [3.0]]),
    lambda: quboprune.solve(np.eye(3, dtype=complex)),
    lambda: quboprune.solve([["a"]]),
    lambda: quboprune.solve(np.eye(3), seed=-1),
    lambda: quboprune.solve(np.eye(3), seconds="1"),
    lambda: quboprune.solve(np.eye(3), groups=[([0.5, 1], 1, 1)]),
    lambda: quboprune.solve(np.eye(3), capacity=np.nan),
    lambda: quboprune.Qubo(3).add_dense_block(np.array([2**32, 1]), np.ones((2, 2))),
    lambda: quboprune.Qubo(3).add_dense_block([0.9, 1.9], np.ones((2, 2))),
    lambda: quboprune.Qubo(3).add_pairs([0], [1, 2], [1.0]),
    lambda: quboprune.search_masks(lambda masks: masks.sum(1), 3, count=1, blocks=[0.5] * 3),
    lambda: quboprune.search_masks(lambda masks: masks.sum(1), 3, count=1, time_limit=-1),
    lambda: quboprune.search_masks(lambda masks: masks.sum(1), 3, count=1, learning_rate=np.inf),
    lambda: quboprune.search_masks(lambda masks: masks.sum(1), 3, count=1, start_weight=np.nan),
    lambda: quboprune.search_masks(lambda masks: np.full(len(masks), np.nan), 8, count=3, evaluations=20),
    lambda: quboprune.search_masks(lambda masks: [1.0], 3, count=1),
    lambda: quboprune.search_masks(lambda masks: [None] * len(masks), 3, count=1),
    lambda: quboprune.search_masks(lambda masks: masks.sum(1), 3.5, count=1),
    lambda: quboprune.solve({(2**31, 0): 1.0}),
    lambda: quboprune.solve({(0, 0): [1], (0, 1): [1, 2]}),
    lambda: quboprune.solve(np.eye(3), count="a"),
    lambda: quboprune.solve(np.eye(3), seconds=np.eye(2)),
    lambda: quboprune.solve(np.eye(3), fixed=[[0], [0, 1]]),
    lambda: quboprune.solve(np.eye(3), groups=[([2**40], 1, 1)]),
    lambda: quboprune.Qubo(3).add_pairs(np.array([], [("a", "i4")]), [], []),
])
def test_wrong_numbers_are_said_in_a_short_line(call):
    with pytest.raises(quboprune.InputError) as caught:
        call()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


def test_what_is_none_is_not_given(tmp_path):
    matrix = random_matrix(6, 3)
    assert quboprune.solve(matrix, groups=None, start=None, fixed=None, seconds=1).energy == brute_force(matrix)
    found = quboprune.search_masks(lambda masks: masks.sum(1), 6, count=2, seeds=None, prior=None, fixed=None,
                                   state=tmp_path / "state.json")
    assert found.value == 2 and (tmp_path / "state.json").exists()


def test_ctrl_c_stops_a_long_search():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job starts with it ignored
    timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        quboprune.solve(random_matrix(300, 6), count=100, seconds=60)
    assert time.monotonic() - start < 30


def test_groups_keep_their_counts():
    matrix = random_matrix(9, 4)
    groups = [((0, 1, 2, 3), 2, 2), ((4, 5, 6), 0, 1)]
    result = quboprune.solve(matrix, groups=groups, seconds=2, max_moves=20000)
    masks = (np.array(x) for x in itertools.product((0, 1), repeat=9) if sum(x[:4]) == 2 and sum(x[4:7]) <= 1)
    assert result.energy == min(float(x @ matrix @ x) for x in masks)
    assert result.optimal
    with pytest.raises(quboprune.InputError, match="twice"):
        quboprune.solve(matrix, groups=[((0, 1), 1, 1), ((1, 2), 1, 1)], seconds=0.1)


@pytest.mark.parametrize("ending", [".coo", ".cqm.json"])
def test_problems_are_written_and_read_with_what_x_must_obey(tmp_path, ending):
    matrix = random_matrix(8, 5)
    path = tmp_path / ("problem" + ending)
    groups = [([0, 1, 2], 2, 2)]
    quboprune.write_problem(path, matrix, count=4, groups=groups)
    problem = quboprune.read_problem(path)
    assert (problem.constraint.kind, problem.constraint.capacity) == ("exactly", 4)
    assert problem.constraint.groups == groups and problem.family == "qubo" and problem.objective(-3.0) == -3.0
    asked = quboprune.solve(matrix, count=4, groups=groups, seconds=1, max_moves=20000)
    assert quboprune.solve(problem, seconds=1, max_moves=20000).energy == pytest.approx(asked.energy)
    again = tmp_path / ("again" + ending)
    quboprune.write_problem(again, problem)
    assert again.read_text() == path.read_text()
    with pytest.raises(quboprune.InputError, match="problem.qubo"):
        quboprune.solve(problem, count=3)
    with pytest.raises(quboprune.InputError, match="problem.qubo"):
        quboprune.write_problem(again, problem, count=3)
    assert quboprune.solve(problem.qubo, seconds=1, max_moves=20000).energy == pytest.approx(brute_force(matrix))


def test_a_problem_file_that_is_wrong_is_told_by_its_line(tmp_path):
    path = tmp_path / "problem.coo"
    path.write_text("0 1 2.5\n1 x 3\n")
    with pytest.raises(quboprune.InputError, match="problem.coo:2"):
        quboprune.read_problem(path)
    with pytest.raises(quboprune.InputError, match="constraint"):
        quboprune.write_problem(tmp_path / "problem.json", np.eye(3), count=1)
    assert not (tmp_path / "problem.json").exists()


def test_what_is_refused_leaves_nothing_behind():
    qubo = quboprune.Qubo(3)
    with pytest.raises(quboprune.InputError):
        qubo.add_pairs([0, 5], [1, 2], [1.0, 1.0])
    with pytest.raises(quboprune.InputError):
        qubo.add_linear([1.0, np.nan, 1.0])
    assert qubo.energy([1, 1, 1]) == 0


def test_results_and_problems_say_what_they_are():
    result = quboprune.solve(-np.eye(3), count=2, seconds=1)
    assert "energy -2" in repr(result) and "optimal" in repr(result)
    assert "2 of 3 ones" in repr(result.pool[0])
    assert "5 variables" in repr(quboprune.Qubo(5))


def test_no_threads_are_all_of_them():
    assert quboprune.solve(-np.eye(3), count=2, threads=0, max_moves=1000).energy == -2
    with pytest.raises(quboprune.InputError):
        quboprune.solve(-np.eye(3), threads=False)


def test_constrained_models_go_to_dimod_and_back():
    dimod = pytest.importorskip("dimod")
    from quboprune.dimod_models import from_cqm, to_cqm

    a, b, c = dimod.Binaries("abc")
    cqm = dimod.ConstrainedQuadraticModel()
    cqm.set_objective(2 * a - 3 * b * c + 0.5)
    cqm.add_constraint(a + b + c == 2, label="two")
    cqm.add_constraint(a - b + 1 >= 0, label="after")
    back = to_cqm(from_cqm(cqm))
    for x in itertools.product((0, 1), repeat=3):
        named, numbered = dict(zip(cqm.variables, x)), dict(enumerate(x))
        assert back.objective.energy(numbered) == cqm.objective.energy(named)
        assert back.check_feasible(numbered) == cqm.check_feasible(named)
    cqm.add_constraint(a * b <= 0, label="squared")
    with pytest.raises(ValueError, match="squared"):
        from_cqm(cqm)
    soft = dimod.ConstrainedQuadraticModel()
    soft.set_objective(a + b)
    soft.add_constraint(a + b <= 1, label="wish", weight=1)
    with pytest.raises(ValueError, match="wish"):
        from_cqm(soft)


def test_a_sparse_matrix_is_solved_as_its_pairs_are():
    matrix = np.diag(np.arange(-5.0, 5.0))
    result = quboprune.solve(matrix, count=3)
    assert result.optimal and result.method == "sorting"
    matrix[2, 7] = -20
    pairs = quboprune.Qubo(10)
    pairs.add_linear(np.diag(matrix).copy())
    pairs.add_pair(2, 7, -20)
    assert quboprune.solve(matrix, count=3).energy == quboprune.solve(pairs, count=3).energy


@pytest.mark.parametrize("options", [{"fixed": [0.9] * 6}, {"fixed": [3] * 6}, {"count": 2**31}])
def test_a_search_takes_what_solve_takes(options):
    with pytest.raises(ValueError):
        quboprune.search_masks(lambda masks: masks.sum(1), 6, **{"count": 3, **options})


def test_a_state_of_another_problem_is_refused(tmp_path):
    def search(problem):
        return quboprune.search_masks(lambda masks: masks.sum(1), 6, count=3, state=str(tmp_path / "state.json"),
                                      problem=problem)

    assert search("one").computed == 20
    assert search("one").computed == 0
    with pytest.raises(ValueError):
        search("two")
