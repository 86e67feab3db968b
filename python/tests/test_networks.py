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
                     "--allow-empty", "--no-tune", "--work", "w"]


def test_ctrl_c_for_this_process_alone_reaches_the_program(tmp_path, monkeypatch):
    program = tmp_path / "program"
    program.write_text(f"""#!{sys.executable}
import pathlib, signal, time
pathlib.Path({str(tmp_path / "started")!r}).touch()
try:
    time.sleep(60)
except KeyboardInterrupt:
    pathlib.Path({str(tmp_path / "best")!r}).touch()
""")
    program.chmod(0o755)
    monkeypatch.setenv("QUBOPRUNE_COMMAND", str(program))
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
    for wrong in ({"targets": np.zeros(2)}, {"inputs": np.zeros(2), 3: np.zeros(2)}):
        with pytest.raises(ValueError):
            _networks._save_arrays(wrong, tmp_path)


def test_arrays_of_another_byte_order_are_written_in_ours(tmp_path):
    path = _networks._save_arrays(np.ones((2, 3, 4, 4), ">f4"), tmp_path)
    assert np.load(path)["inputs"].dtype == np.float32
