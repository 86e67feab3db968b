"""Adds up the JUnit files of a test run: each GoogleTest case, each pytest case, each test without either.

    summarise.py FOLDER

Prints the failed and the skipped cases, the latter with their reasons, then one line
"N passed, N failed[, N skipped]". Exit code 0 only if something passed and nothing failed.
"""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path


def cases_of(path):
    """Yields (name, outcome, reason) for each case; outcome is passed, failed or skipped."""
    for case in ET.parse(path).getroot().iter("testcase"):
        name = f"{case.get('classname', '')}.{case.get('name', '')}".strip(".")
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            yield name, "failed", ""
        elif case.get("status") == "notrun" or case.get("result") == "suppressed":
            yield name, "skipped", "disabled"
        elif skipped is not None:
            reason = skipped.get("message") or ""
            if reason in ("", "collection skipped"):  # of a whole file: the reason is in the text
                reason = (skipped.text or "no reason given").rsplit("Skipped: ")[-1].rstrip("')\"")
            yield name, "skipped", reason.strip().splitlines()[-1]
        else:
            yield name, "passed", ""


def all_cases(folder):
    found = {}
    failed_programs = set()
    for path in sorted(folder.glob("*.xml")):
        found[path.stem] = list(cases_of(path))
    # A program that died has no file of its own, or one without a failure: ctest knows.
    programs = folder / "ctest.junit"
    if not programs.exists():
        found["ctest"] = [("ctest", "failed", "")]
    for name, outcome, reason in cases_of(programs) if programs.exists() else ():
        program = name.split(".")[-1]
        if program not in found:
            found[program] = [(program, outcome, reason)]
        elif outcome == "failed" and all(o != "failed" for _, o, _ in found[program]):
            failed_programs.add(program)
    for program in failed_programs:
        found[program].append((program, "failed", ""))
    if "pytest" not in found:
        found["pytest"] = [("pytest", "failed", "")]
    return [case for cases in found.values() for case in cases]


def main(folder):
    cases = all_cases(folder)
    for name, outcome, reason in cases:
        if outcome == "skipped":
            print(f"skipped: {name}: {reason}")
    for name, outcome, _ in cases:
        if outcome == "failed":
            print(f"failed: {name}")
    count = {o: sum(1 for _, outcome, _ in cases if outcome == o) for o in ("passed", "failed", "skipped")}
    line = f"{count['passed']} passed, {count['failed']} failed"
    print(line + (f", {count['skipped']} skipped" if count["skipped"] else ""))
    return 0 if count["failed"] == 0 and count["passed"] > 0 else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
