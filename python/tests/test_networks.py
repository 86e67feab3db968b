"""How Python's arguments become the program's; what the program does with them is tested with the program."""

import pathlib

import pytest

_networks = pytest.importorskip("quboprune._networks",
                                reason="the Python package is not installed (scripts/test does)")


def test_lists_are_repeated_or_joined_as_the_program_takes_them():
    words = _networks._arguments({"scope": ["level5*", "level4*"], "methods": ["taylor", "hybrid"], "crop": 96,
                                  "allow_empty": True, "freeze": None, "work": pathlib.Path("w")})
    assert words == ["--scope", "level5*", "--scope", "level4*", "--methods", "taylor,hybrid", "--crop", "96",
                     "--allow-empty", "--work", "w"]
