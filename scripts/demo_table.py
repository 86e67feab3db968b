"""Prints the held-out metric of the original, of the pruned network and of the compared methods.

    demo_table.py REPORT.json COMPARE.json
"""

import json
import sys


def row(name, filters, heldout):
    shown = [f"{heldout[key]:9.2f}" if heldout.get(key) is not None else f"{'–':>9}" for key in ("pruned", "recovered")]
    print(f"{name:<34}{filters:>8} {' '.join(shown)}")


def main(report_path, compare_path):
    with open(report_path, encoding="utf-8") as file:
        report = json.load(file)
    with open(compare_path, encoding="utf-8") as file:
        compare = json.load(file)
    metric = report["result"]["metric"]
    print(f"{'':<34}{'filters':>8} {'pruned':>9} {'recovered':>9}   ({metric['name']}, held-out)")
    row("original network", report["model"]["filters"], {"pruned": metric["heldout"]["dense"]})
    for method in compare["methods"]:
        row(method["name"], method["result"]["filters"], method["result"]["metric"]["heldout"])
    row("quboprune prune (whole method)", report["result"]["filters"], metric["heldout"])
    if "latency" in report:
        latency = report["latency"]
        print(f"\n{latency['runtime']}, {latency['threads']} threads, {latency['input']}: original "
              f"{latency['dense_ms']:.1f} ms, pruned {latency['pruned_ms']:.1f} ms")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
