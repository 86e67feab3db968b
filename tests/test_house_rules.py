"""The rules of CONTRIBUTING.md that a program can check."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(
    path
    for folder in ("src", "include", "python", "tests", "bench", "examples", "scripts", "cmake", ".ci")
    for path in (ROOT / folder).rglob("*")
    if path.is_file() and (path.suffix in {".cpp", ".h", ".py", ".sh", ".cmake", ".js", ".css"} or not path.suffix)
    and "__pycache__" not in path.parts
)
CXX = [path for path in SOURCES if path.suffix in {".cpp", ".h"}]


def folder_order():
    """The folders of src/ in dependency order, as docs/architecture.md lists them."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    return re.findall(r"^\d+\. `src/(\w+)/`", text, flags=re.MULTILINE)


def includes(path):
    return re.findall(r'^\s*#include "([^"]+)"', path.read_text(encoding="utf-8"), flags=re.MULTILINE)


def header_owners():
    """Public header -> the folder that implements it: where a source has its name, or as the map says."""
    owners = {
        path.stem: path.relative_to(ROOT / "src").parts[0]
        for path in (ROOT / "src").rglob("*.cpp")
        if (ROOT / "include" / "quboprune" / f"{path.stem}.h").exists() and "base" not in path.parts
        and path.relative_to(ROOT / "src").parts[0] != "cli"
    }
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    items = re.findall(r"^\d+\. `src/(\w+)/`(.*?)(?=^\d+\. |^$)", text, flags=re.MULTILINE | re.DOTALL)
    owners.update({header: folder for folder, item in items for header in re.findall(r"`(\w+)\.h`", item)})
    return owners


def test_every_public_header_has_a_folder():
    headers = {path.stem for path in (ROOT / "include" / "quboprune").glob("*.h")}
    assert headers <= set(header_owners()), "put these behind their folders in docs/architecture.md"


def test_the_map_names_every_folder():
    folders = {path.name for path in (ROOT / "src").iterdir() if any(path.rglob("*.cpp"))}
    assert folders <= set(folder_order()), "folders of src/ that docs/architecture.md doesn't list"


def test_includes_go_down_the_map():
    level = {name: i for i, name in enumerate(folder_order())}
    owners = header_owners()

    def folder_of(include):
        parts = include.split("/")
        if parts[0] == "quboprune":
            return owners[Path(parts[1]).stem]
        return parts[0]

    wrong = []
    for path in CXX:
        if path.is_relative_to(ROOT / "src"):
            own = path.relative_to(ROOT / "src").parts[0]
        elif path.is_relative_to(ROOT / "include"):
            own = owners[path.stem]
        else:
            continue
        for include in includes(path):
            used = folder_of(include)
            if "/" in include and level.get(used, 0) > level[own]:
                wrong.append(f"{path.relative_to(ROOT)} ({own}) includes {include} ({used})")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("folder", ["core", "qubo", "solvers", "search", "report"])
def test_folders_that_know_numbers_do_not_include_libtorch(folder):
    for path in (ROOT / "src" / folder).rglob("*.[ch]*"):
        assert not re.search(r"#include <(torch|ATen|c10)/", path.read_text(encoding="utf-8")), path


def test_the_library_does_not_print():
    for path in CXX:
        parts = path.relative_to(ROOT).parts
        if parts[0] != "src" or parts[1] == "cli" or path.name.endswith("_test.cpp"):
            continue
        found = re.search(r"std::(cout|cerr|clog)\b|\bf?printf\(|fmt::print\(|\bputs\(|\bstd::exit\(", path.read_text(encoding="utf-8"))
        assert not found, f"{path}: {found.group(0)}"


def test_files_are_short():
    long = [f"{path}: {n}" for path in SOURCES if (n := len(path.read_text(encoding="utf-8").splitlines())) > 500]
    assert not long, "\n".join(long)


def test_nothing_is_left_to_do():
    words = "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK"])
    wrong = [
        f"{path}:{number}: {line.strip()}"
        for path in SOURCES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(rf"\b({words})\b", line)
    ]
    assert not wrong, "\n".join(wrong)
