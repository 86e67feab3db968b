"""Runs that outlive the machine they were made on: of each report what the tables need, a line a run, in docs/results.
So a table holds runs of many days, and whoever doubts a figure can take it from there."""

import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
KEPT = ROOT / "docs" / "results"
# What makes another run of it, besides the network, the target, the seed and the method.
TELLING = ("--recover", "--calibration", "--crop", "--evaluations", "--split", "--noise", "--scope", "--round-to",
           "--finetune-steps")


def checkout():
    """The commit that is checked out, from which the program is built unless --binary names another."""
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def essence(report):
    """The report without what no table reads."""
    method = report["methods"][0]
    result = method["result"]
    kept = {"checkout": report.get("checkout", report.get("program")), "seed": report["seed"], "target": report["target"],
            "model": {"path": pathlib.Path(report["model"]["path"]).name,
                      **{cost: report["model"][cost] for cost in ("filters", "macs")}},
            "data": {"heldout": report["data"]["heldout"]},
            "methods": [{"name": method["name"], "reason": method.get("reason", "").split(" measured")[0],
                         "result": {key: result[key] for key in ("filters", "macs", "metric")},
                         **{key: method[key] for key in ("latency",) if key in method}}],
            **{key: report[key] for key in ("real", "real_dense", "tool_of_the_rival") if report.get(key)},
            "seconds": report["seconds"], "arguments": report["arguments"]}
    return rounded(kept)


def rounded(value):
    """Five digits behind the point are more than any table shows."""
    if isinstance(value, float):
        return round(value, 5)
    if isinstance(value, list):
        return [rounded(entry) for entry in value]
    if isinstance(value, dict):
        return {key: rounded(entry) for key, entry in value.items()}
    return value


def identity(report):
    given = report["arguments"]
    telling = [given[k + 1] for k, argument in enumerate(given[:-1]) if argument in TELLING]
    telling += [argument for argument in given if argument == "--of-live"]
    return json.dumps([report["model"]["path"], report["target"], *telling, report["methods"][0]["name"], report["seed"]])


def all_runs(name, results):
    """The runs kept under this name and those finished in the folder `results`, which replace older ones alike."""
    kept = KEPT / f"{name}.jsonl"
    lines = kept.read_text(encoding="utf-8").splitlines() if kept.exists() else []
    reports = [json.loads(line) for line in lines]
    reports += [essence(json.loads(place.read_text(encoding="utf-8"))) for place in sorted(results.glob("*.json"))]
    runs = {identity(report): report for report in reports}
    return [run for _, run in sorted(runs.items())]


def keep(name, results):
    """Adds the finished runs of the folder to those kept."""
    lines = [json.dumps(report) + "\n" for report in all_runs(name, results)]
    if not lines:
        sys.exit(f"no run is finished in {results}, and none is kept: there is nothing to make tables of")
    KEPT.mkdir(exist_ok=True)
    (KEPT / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
