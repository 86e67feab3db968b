"""Damaged files: an error of one line, or a network that still holds together; never a crash."""

from conformance_tools import run_tool


def test_damaged_files_never_crash():
    result = run_tool("hostile", 1, 400)
    assert result["failures"] == []
    assert result["refused"] > 50
    assert result["accepted"] > 50
