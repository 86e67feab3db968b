"""The C++ of the documents compiles as it stands there, and a project of its own can take the library in."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("QUBOPRUNE_COMMAND") or ROOT / "build" / "release" / "quboprune").parent
USES = re.findall(r"```cpp\n(.*?)```", (ROOT / "docs" / "architecture.md").read_text("utf-8"), re.DOTALL)
BLOCKS = re.findall(r"```cpp\n// (src/\S+)\n(.*?)```", (ROOT / "docs" / "adding-an-operator.md").read_text("utf-8"), re.DOTALL)


def compiler_words():
    """How the build compiles an operator, without its file names."""
    commands = BUILD / "compile_commands.json"
    if not commands.exists():
        pytest.skip(f"{commands} isn't there: run scripts/test")
    entry = next(e for e in json.loads(commands.read_text("utf-8")) if e["file"].endswith("src/ops/conv.cpp"))
    words = shlex.split(entry["command"])
    start = 1 if words[0].endswith("ccache") else 0
    return [w for w in words[start : words.index("-o")] if w not in ("-MD", "-O3")], entry["directory"]


def test_the_page_has_an_operator_and_its_test():
    assert [name for name, _ in BLOCKS] == ["src/ops/shrink.cpp", "src/ops/shrink_test.cpp"]


@pytest.mark.parametrize("name, code", BLOCKS, ids=[name for name, _ in BLOCKS])
def test_the_tree_holds_the_same_code(name, code):
    """From the first include on: the comments above may differ."""
    start = "#include"
    text = (ROOT / name).read_text("utf-8")
    assert code[code.index(start) :] == text[text.index(start) :]


@pytest.mark.parametrize("name, code", [*BLOCKS, *((f"use_{k}.cpp", code) for k, code in enumerate(USES))])
def test_compiles(name, code, tmp_path):
    words, folder = compiler_words()
    path = tmp_path / Path(name).name
    path.write_text(code, "utf-8")
    words = words[: words.index("-MT")] if "-MT" in words else words
    done = subprocess.run([*words, "-fsyntax-only", str(path)], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def test_a_project_of_its_own_takes_the_library_in(tmp_path):
    """It has a cmake/Dependencies.cmake too, and doesn't say which C++ it wants."""
    assert len(USES) == 2
    (tmp_path / "cmake").mkdir()
    (tmp_path / "cmake" / "Dependencies.cmake").write_text('message(FATAL_ERROR "theirs was taken")\n')
    (tmp_path / "mine.cpp").write_text(USES[0] + "int main() { return best_two_of_three().x[0] == 1 ? 0 : 1; }\n")
    (tmp_path / "CMakeLists.txt").write_text(f"""
cmake_minimum_required(VERSION 3.22)
project(mine LANGUAGES CXX)
list(APPEND CMAKE_MODULE_PATH "${{CMAKE_CURRENT_SOURCE_DIR}}/cmake")
set(QUBOPRUNE_NETWORKS OFF)
add_subdirectory({ROOT} quboprune)
add_executable(mine mine.cpp)
target_link_libraries(mine PRIVATE quboprune::solvers quboprune::search)
""")
    build = tmp_path / "build"
    for words in (["cmake", "-G", "Ninja", "-S", tmp_path, "-B", build],
                  ["ninja", "-C", build, "CMakeFiles/mine.dir/mine.cpp.o"]):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
