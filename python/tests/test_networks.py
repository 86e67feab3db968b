"""How Python's arguments become the program's; what the program does with them is tested with the program."""

import os
import pathlib
import signal
import sys
import threading
import time

import numpy as np
import pytest

_networks = pytest.importorskip("quboprune._networks",
                                reason="the Python package is not installed (scripts/test does)")


def test_lists_are_repeated_or_joined_as_the_program_takes_them():
    words = _networks._arguments({"scope": ["level5*", "level4*"], "methods": ["taylor", "hybrid"], "crop": 96,
                                  "allow_empty": True, "tune": np.False_, "augment": True, "cache": False,
                                  "freeze": None, "work": pathlib.Path("w")})
    assert words == ["--scope", "level5*", "--scope", "level4*", "--methods", "taylor,hybrid", "--crop", "96",
                     "--allow-empty", "--no-tune", "--augment", "--work", "w"]
    assert _networks._arguments({"augment": False, "tune": True}) == ["--no-augment"]


def program_that(body, folder, monkeypatch):
    """In the place of the program: Python code, which finds what it was called with in sys.argv."""
    program = folder / "program"
    program.write_text(f"#!{sys.executable}\nimport pathlib, signal, sys, time\n{body}")
    program.chmod(0o755)
    monkeypatch.setenv("QUBOPRUNE_COMMAND", str(program))


def test_progress_is_shown_and_the_last_line_is_the_error(tmp_path, monkeypatch, capsys):
    body = """
print("results " * 20000)
print("scores 40 %", file=sys.stderr)
print("quboprune: x.onnx: isn't there: check the name", file=sys.stderr)
sys.exit(int(sys.argv[1]))
"""
    program_that(body, tmp_path, monkeypatch)
    assert len(_networks.run("0", progress=True)) == 160001
    assert capsys.readouterr().err == "scores 40 %\n"
    _networks.run("0")
    assert capsys.readouterr().err == ""
    for code, error in (("2", ValueError), ("1", RuntimeError)):
        with pytest.raises(error, match="^quboprune: x.onnx: isn't there: check the name$"):
            _networks.run(code)


@pytest.mark.parametrize("body, message", [
    ("import os; os.kill(os.getpid(), signal.SIGKILL)", "^quboprune: was ended by SIGKILL: perhaps memory was short$"),
    ("sys.exit(3)", "^quboprune: ended with status 3$"),
])
def test_a_program_that_ends_without_a_word_isnt_quoted_by_its_progress(tmp_path, monkeypatch, body, message):
    program_that(f"print('score  53 %', file=sys.stderr, flush=True)\n{body}\n", tmp_path, monkeypatch)
    with pytest.raises(RuntimeError, match=message):
        _networks.run("prune")


def test_what_sweep_is_called_with(tmp_path, monkeypatch):
    program_that("""
import json
words = sys.argv[1:]
pathlib.Path(words[words.index("--report") + 1]).write_text(json.dumps(words))
""", tmp_path, monkeypatch)
    words = _networks.sweep("net.onnx", "smaller", data="photographs", target="macs=0.2,0.5", max_loss=0.1,
                            progress=False)
    assert words[:-1] == ["sweep", "net.onnx", "-o", "smaller", "--target", "macs=0.2,0.5", "--data", "photographs",
                          "--max-loss", "0.1", "--report"]


def test_ctrl_c_for_this_process_alone_reaches_the_program(tmp_path, monkeypatch):
    program_that(f"""
pathlib.Path({str(tmp_path / "started")!r}).touch()
try:
    time.sleep(60)
except KeyboardInterrupt:
    pathlib.Path({str(tmp_path / "best")!r}).touch()
""", tmp_path, monkeypatch)
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt():
        while not (tmp_path / "started").exists():
            time.sleep(0.05)
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        _networks.run("prune")
    assert (tmp_path / "best").exists() and time.monotonic() - start < 30


def test_arrays_come_by_name(tmp_path):
    arrays = {"inputs": np.zeros((2, 3, 4, 4)), "file": np.arange(2), "targets": None}
    with np.load(_networks._save_arrays(arrays, tmp_path)) as saved:
        assert sorted(saved) == ["file", "inputs"] and np.array_equal(saved["file"], [0, 1])
    np.savez(tmp_path / "given.npz", inputs=np.ones((2, 3)))
    with np.load(tmp_path / "given.npz") as given, np.load(_networks._save_arrays(given, tmp_path)) as saved:
        assert np.array_equal(saved["inputs"], np.ones((2, 3)))
    for wrong in ({"targets": np.zeros(2)}, {"inputs": np.zeros(2), 3: np.zeros(2)}):
        with pytest.raises(ValueError):
            _networks._save_arrays(wrong, tmp_path)


def test_arrays_of_another_byte_order_are_written_in_ours(tmp_path):
    path = _networks._save_arrays(np.ones((2, 3, 4, 4), ">f4"), tmp_path)
    assert np.load(path)["inputs"].dtype == np.float32


def test_what_formulate_returns_is_the_file(tmp_path, monkeypatch):
    program_that("""
words = sys.argv[1:]
assert words[:2] == ["formulate", "net.onnx"] and words[-2:] == ["--objective", "hybrid"], words
pathlib.Path(words[words.index("-o") + 1]).write_text("# constraint exactly 1\\n0 0 -1\\n1 1 -2\\n")
""", tmp_path, monkeypatch)
    kept = tmp_path / "problem.txt"
    for output in (None, kept):
        problem = _networks.formulate("net.onnx", output, data="photographs", target="filters=0.5", objective="hybrid",
                                      progress=False)
        assert len(problem.qubo) == 2 and (problem.constraint.kind, problem.constraint.capacity) == ("exactly", 1)
    assert kept.exists()
    for name, named in (("p.lp", "read back"), ("p.json", "count")):
        with pytest.raises(ValueError, match=named):
            _networks.formulate("net.onnx", tmp_path / name, data="photographs", target="filters=0.5")
