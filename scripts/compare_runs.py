"""Runs of `quboprune compare` on real networks, kept as reports, and the statistics of their tables: what
scripts/experiments, scripts/rivals and scripts/refinement_networks have in common."""

import hashlib
import json
import math
import os
import pathlib
import random
import shlex
import subprocess
import sys
import time

from kept_runs import checkout
from real_folds import FOLDS, fold_data, fold_of

ROOT = pathlib.Path(__file__).resolve().parent.parent
METHODS = ["random", "l1", "lamp", "taylor", "fisher", "l1-qubo", "hybrid", "gauss-newton", "measured", "reconstruction",
           "auto"]
USUAL_STEPS = 300  # of training, in the program
# Parts of the reference network that a mask may be chosen in: patterns of --scope.
LAYERS = {"whole": [], "7 layers": ["level?.1.conv", "level6.2.conv"], "4 layers": ["level[1-4].1.conv"]}
# Real pairs that take no part in anything: the sets that a network for camera noise is judged on.
REAL_SETS = {"half_unet": ["sidd", "cc", "nam"], "aev2_sidd_color": ["sidd"], "lan_sidd_color": ["sidd"]}


def networks(options):
    """Name, file, and the arguments that say what it is judged on."""
    held = ROOT / "examples" / "heldout_photographs.txt"
    if options.reference and options.photographs:
        yield "half_unet", options.reference, [
            "--data", options.photographs, "--noise", "camera", "--split", str(held)]
    if options.reference and options.pairs and options.folds:
        for fold in FOLDS:
            yield f"half_unet-fold{fold}", options.reference, fold_data(options.pairs, options.results / "pairs", fold)
    if options.models and options.photographs:
        camera = ["--data", options.photographs, "--noise", "camera", "--split", str(held)]
        yield "aev2_sidd_color", os.path.join(options.models, "aev2_sidd_color.onnx"), camera
        yield "lan_sidd_color", os.path.join(options.models, "lan_sidd_color.onnx"), camera + ["--value-scale", "255"]
        drawn = ["--data", options.photographs, "--noise", "gaussian:25", "--split", str(held)]
        for name, more in (("dncnn_s25_gray_bn", []), ("adnet_c25_color", []),
                           ("ffdnet_color", ["--input", "sigma=0.098"])):
            yield name, os.path.join(options.models, name + ".onnx"), drawn + more
        # Without targets: how far from the original's outputs. Their files fix the size.
        for name, size in (("resnet20_cifar10", 32), ("nanodet_m", 416)):
            yield name, os.path.join(options.models, name + ".onnx"), [
                "--data", options.photographs, "--split", str(held), "--crop", str(size), "--heldout-crop", str(size)]
        if wanted(options, "unet_cloud"):
            yield "unet_cloud", os.path.join(options.models, "unet_cloud.onnx"), [
                "--data", str(four_bands(options.photographs, options.results / "four_bands.npz")), "--crop", "224",
                "--heldout-crop", "224"]


def wanted(options, name):
    return not options.networks or name in options.networks.split(",")


def four_bands(photographs, place):
    """One sample a photograph, shrunk to 224 x 224, with its brightness as the fourth band: the satellite's bands that
    the network was trained on aren't at hand. Wants numpy and Pillow."""
    import numpy as np
    from PIL import Image, ImageOps

    samples = []
    for path in sorted(pathlib.Path(photographs).glob("*.jpg")):
        image = ImageOps.fit(Image.open(path).convert("RGB"), (224, 224))
        samples.append(np.concatenate([np.asarray(image), np.asarray(image.convert("L"))[..., None]], axis=-1))
    np.savez(place, inputs=np.stack(samples).transpose(0, 3, 1, 2).astype(np.float32) / 255)
    return place


def of_layers(layers, name, data):
    """The name and the data of runs that choose among these layers' channels alone."""
    scope = [part for pattern in LAYERS[layers] for part in ("--scope", pattern)]
    return (f"{name}-{layers.replace(' ', '')}", [*data, *scope]) if scope else (name, data)


def layers_of(report):
    """Which of LAYERS the mask was chosen in."""
    given = report["arguments"]
    scope = [given[k + 1] for k, key in enumerate(given) if key == "--scope"]
    return next(name for name, patterns in LAYERS.items() if patterns == scope)


def effort(data, options):
    """What data every method gets."""
    crop, heldout = (64, 192) if options.quick else (96, 256)
    sizes = [] if "--crop" in data else ["--crop", str(options.crop or crop), "--heldout-crop", str(heldout)]
    return ["--calibration", str(options.calibration or (24 if options.quick else 64)), *sizes]


def effort_mark(data, options):
    """Of the data that every method gets, for file names: other crops are other runs."""
    given = [*effort(data, options), *(["quick"] if options.quick else [])]
    return hashlib.sha256(" ".join(given).encode()).hexdigest()[:8]


def place_of(name, target, what, seed, data, options):
    """The file of a run's report; `what`: what sets it apart besides."""
    return options.results / f"{name}-{target.replace('=', '')}{what}-{seed}-{effort_mark(data, options)}.json"


def last_words(done):
    """The last line of complaint of a program that failed."""
    return (done.stderr.strip().splitlines() or ["no message"])[-1]


failures = []  # what runs that failed said


def say_failed(complaint):
    failures.append(complaint)
    print(f"  failed: {complaint}", flush=True)


def exit_if_any_failed():
    if failures:
        sys.exit(f"{len(failures)} runs failed; the same command tries them again")


def run(name, network, data, target, method, seed, options):
    """Leaves the method's report among the results, unless it is there already or the run fails."""
    more = ["--of-live"] if getattr(options, "of_live", False) else []
    more += ["--round-to", str(options.round_to)] if getattr(options, "round_to", 0) > 0 else []
    if options.recover == "finetune" and getattr(options, "finetune_steps", USUAL_STEPS) != USUAL_STEPS:
        more += ["--finetune-steps", str(options.finetune_steps)]
    searched = f"{options.evaluations}masks-" if "+" in method else ""
    place = place_of(name, target, f"{''.join(more)}-{method}-{searched}{options.recover}", seed, data, options)
    if place.exists():
        return
    part = pathlib.Path(f"{place}.part")
    work = options.results / "work" / f"{name}-{seed}"  # one scoring pass for all methods and targets
    command = [options.binary, "compare", network, *data, *effort(data, options), "--target", target, *more,
               "--methods", method, *(["--solver-time", "1"] if options.quick else []), "--recover", options.recover,
               "--threads", str(options.threads), "--seed", str(seed),
               "--evaluations", str(options.evaluations), "--work", str(work), "--networks", str(work / "networks"),
               "--report", str(part)]
    print(shlex.join(command), flush=True)
    began, commit = time.time(), checkout()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        say_failed(last_words(done))
        return
    report = json.loads(part.read_text(encoding="utf-8"))
    report.update(seconds=time.time() - began, checkout=commit)
    add_real_pairs(report, name, network, work / "networks" / f"{method}.onnx", data, options)
    report["arguments"] = [pathlib.Path(a).name if os.sep in a else a for a in command[1:]]
    part.write_text(json.dumps(report), encoding="utf-8")
    part.replace(place)  # in one step: a report that is there is a whole one
    print(f"  {report['seconds']:.0f} s: {summary(report)}", flush=True)


def add_real_pairs(report, name, network, smaller, data, options):
    """Both networks' values on the real sets, into the report."""
    scale = data[data.index("--value-scale") + 1] if "--value-scale" in data else "1"
    report["real"] = real_pairs(name, smaller, scale, options)
    if name not in dense_real_pairs:
        dense_real_pairs[name] = real_pairs(name, network, scale, options)
    report["real_dense"] = dense_real_pairs[name]


dense_real_pairs = {}  # of this run, by network: it is always the same


def real_pairs(name, network, scale, options):
    """PSNR of every image of the real sets, middle 256 x 256; empty without them."""
    values = []
    for folder in REAL_SETS.get(name, []) if options.pairs else []:
        place = options.results / "work" / "real.json"
        command = [options.binary, "eval", network, "--data", os.path.join(options.pairs, folder), "--split", "all",
                   "--heldout-crop", "256", "--value-scale", scale, "--threads", str(options.threads),
                   "--report", place]
        subprocess.run([str(part) for part in command], check=True, capture_output=True)
        values += [s["value"] for s in json.loads(place.read_text(encoding="utf-8"))["result"]["samples"]]
    return values


def summary(report):
    held = report["methods"][0]["result"]["metric"]["heldout"]
    return ", ".join(f"{key} {held[key]:.3f}" for key in ("dense", "pruned", "recovered") if held.get(key) is not None)


def interval(ours, theirs, resamples=4000):
    """Mean paired difference with its 95 % percentile bootstrap interval over images."""
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    draw = random.Random(1)
    means = sorted(sum(draw.choices(differences, k=len(differences))) / len(differences) for _ in range(resamples))
    return sum(differences) / len(differences), means[int(0.025 * resamples)], means[int(0.975 * resamples)]


def shown_interval(ours, theirs):
    if not ours or not theirs or ours == theirs or len(ours) < 2:
        return ""
    mean, low, high = interval(ours, theirs)
    digits = 2 if max(theirs) > 2 else 4  # decibels, or distances relative to the output
    return f"{mean:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"


def mean(values):
    return sum(values) / len(values) if values else None


def number(value):
    return "" if value is None or not math.isfinite(value) else f"{value:.{2 if value > 2 else 4}f}"


def held_out(report):
    return report["methods"][0]["result"]["metric"]["heldout"]


def judged(report):
    """The stage that a report judges by: after its repair where there was one."""
    return "recovered" if "recovered" in held_out(report) else "pruned"


def by_fold(runs):
    """The runs of each fold, in the folds' order; all of them where there are none."""
    folds = {}
    for report in runs:
        folds.setdefault(fold_of(report), []).append(report)
    return [found for _, found in sorted(folds.items())]


def over_seeds(runs, values):
    """values(report) of each image, mean over the runs of its fold; None where a run has none."""
    lists = [[values(report) for report in found] for found in by_fold(runs)]
    if not lists or not all(all(of_fold) for of_fold in lists):
        return None
    return [mean(image) for of_fold in lists for image in zip(*of_fold)]


def images(runs):
    """Names of the images that over_seeds has values of."""
    return [name for found in by_fold(runs) for name in found[0]["data"]["heldout"]]


def mean_held_out(runs, stage):
    """Mean over the runs of a fold, then over the folds' images."""
    sums = [(mean([held_out(r).get(stage, math.nan) for r in found]), len(images(found))) for found in by_fold(runs)]
    return sum(value * count for value, count in sums) / sum(count for _, count in sums)


def table(methods, over="taylor"):
    """Rows by method, that of `over` being what the others are held to. methods: name to {(seed, fold): report}."""
    base = methods.get(over, {})
    reports = [report for runs in methods.values() for report in runs.values()]
    recover = any(judged(r) == "recovered" for r in reports)
    real = any(r.get("real") for r in reports)
    timed = any(relative_time(r) for r in reports)
    repair = {"refit": "refit", "finetune": "refit and training", "bn": "batch norm"}.get(repair_of(reports[0]))
    lead = "over " + ("Taylor" if over == "taylor" else over)
    head = ["method", "seeds", "cut"] + ([f"after {repair}"] if recover else []) + [lead]
    head += ["real pairs", lead] if real else []
    head += ["filters removed", "MACs removed"] + (["time"] if timed else []) + ["taken"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    def place(name):
        first, _, multiple = name.partition(" in multiples of ")
        return METHODS.index(first) if first in METHODS else len(METHODS), int(multiple or 1)

    for name in sorted(methods, key=place):
        seeds = [seed for seed in methods[name] if seed in base] or list(methods[name])
        ours = [methods[name][seed] for seed in seeds]
        theirs = [base[seed] for seed in seeds if seed in base]

        def against(values):
            return shown_interval(over_seeds(ours, values), over_seeds(theirs, values))

        row = [name, ", ".join(str(seed) for seed in sorted({seed for seed, _ in seeds}))]
        row[1] += " (one fold)" if len({fold for _, fold in seeds}) < len({fold for _, fold in base}) else ""
        row.append(number(mean_held_out(ours, "pruned")))
        row += [number(mean_held_out(ours, "recovered"))] if recover else []
        row.append(against(lambda r: held_out(r)["samples"].get(judged(r))))
        if real:
            row += [number(mean(over_seeds(ours, lambda r: r.get("real")))), against(lambda r: r.get("real"))]
        for key in ("filters", "macs"):
            removed = mean([1 - r["methods"][0]["result"][key] / r["model"][key] for r in ours])
            row.append(f"{100 * removed:.1f} %")
        times = [t for t in map(relative_time, ours) if t]
        row += [f"{mean(times):.2f}" if times else ""] if timed else []
        row.append(", ".join(dict.fromkeys(taken(r["methods"][0]) for r in ours)))
        lines.append("| " + " | ".join(row) + " |")
    return lines


def relative_time(report):
    """Of the smaller network in ONNX Runtime, the original's being 1; None where it wasn't measured."""
    latency = report["methods"][0].get("latency")
    return latency["pruned_ms"] / latency["dense_ms"] if latency else None


def taken(entry):
    """The objective that auto settled on."""
    return entry["reason"].split(" measured")[0] if "reason" in entry else ""


def repair_of(report):
    arguments = report.get("arguments", [])
    return arguments[arguments.index("--recover") + 1] if "--recover" in arguments else "refit"


def steps_of(report):
    """How long it was trained, where that isn't the usual."""
    given = report["arguments"]
    return f" of {given[given.index('--finetune-steps') + 1]} steps" if "--finetune-steps" in given else ""


def aim_of(report):
    """The target as it was asked for."""
    given = report["arguments"]
    if "--target" not in given:  # a rival's plan
        return f"{report['target']['kind']}={report['target']['removed_fraction']:g}"
    return given[given.index("--target") + 1] + (" of what is live" if "--of-live" in given else "")


def way_of(report):
    """The method, with the masks that it measured and the multiples that its layers were asked to keep (1: any number)."""
    given = report["arguments"]
    name = report["methods"][0]["name"]
    searched = f", {given[given.index('--evaluations') + 1]} masks" if "+" in name else ""
    multiples = f" in multiples of {given[given.index('--round-to') + 1]}" if "--round-to" in given else ""
    return name + searched + multiples


def sorted_runs(reports):
    """Reports by network and target (sorted), method, and (seed, fold)."""
    runs = {}
    for report in reports:
        target = aim_of(report)
        if repair_of(report) != "refit":
            target += f", --recover {repair_of(report)}{steps_of(report)}"
        if layers_of(report) != "whole":
            target += f", {layers_of(report)}"
        if fold_of(report) > 0:
            target += ", calibrated on real pairs"
        network = pathlib.Path(report["model"]["path"]).stem
        methods = runs.setdefault((network, target), {})
        method = way_of(report)
        other = methods.setdefault(method, {}).setdefault((report["seed"], fold_of(report)), report)
        if other is not report:
            sys.exit(f"two runs of {method} on {network} at {target} with seed {report['seed']}, of other effort: "
                     f"{effort_of(report)} and {effort_of(other)}; give one of them another folder of results")
    return dict(sorted(runs.items()))


def is_distance(report):
    """Of the outputs to the original's: the less the better, and no dB."""
    return report["methods"][0]["result"]["metric"]["name"] == "output"


def heading(name, target, methods):
    runs = max(methods.values(), key=len)
    any_run = next(iter(runs.values()))
    metric = any_run["methods"][0]["result"]["metric"]
    dense = mean_held_out(runs.values(), "dense")
    real = any_run.get("real_dense")
    real = f" Real pairs: {len(real)} images; dense {mean(real):.2f}." if real else ""
    count = len(images(runs.values()))
    if is_distance(any_run):
        what = f"Squared distance to the original's outputs on {count} images, relative to them: the less the better"
    else:
        what = f"Held-out {metric['name'].upper()} on {count} images; dense {dense:.2f}"
    return [f"### {name}, {target}", "", f"{what}.{real} {effort_of(any_run)}.", ""]


def put_between_markers(page, lines, what="tables"):
    """Replaces what is between the page's comments `WHAT begin` and `WHAT end`."""
    text = page.read_text(encoding="utf-8")
    begin, end = f"<!-- {what} begin -->\n", f"<!-- {what} end -->"
    before, rest = text.split(begin)
    page.write_text(before + begin + "\n" + "\n".join(lines) + end + rest.split(end)[1], encoding="utf-8")


def effort_of(report):
    arguments = report["arguments"]
    given = {k: arguments[arguments.index(k) + 1] for k in ("--calibration", "--crop") if k in arguments}
    return f"{given.get('--calibration')} calibration crops of {given.get('--crop')}"


def add_what_to_run(parser):
    """The options that name the program, the networks, their data and the effort."""
    parser.add_argument("--binary", default=str(ROOT / "build" / "release" / "quboprune"))
    parser.add_argument("--reference", help="the Half-UNet")
    parser.add_argument("--photographs", help="folder that scripts/fetch_photographs filled")
    parser.add_argument("--models", help="folder of third-party networks")
    parser.add_argument("--pairs", help="folder of paired sets (sidd/noisy, sidd/clean)")
    parser.add_argument("--networks", help="only these, by comma")
    parser.add_argument("--calibration", type=int, default=0, help="how many crops; 0: 64, quick 24")
    parser.add_argument("--crop", type=int, default=0, help="their size; 0: 96, quick 64")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--folds", action="store_true", help="also choose by real pairs, parted by scenes in two folds")
    parser.add_argument("--quick", action="store_true")


def chosen_networks(options):
    chosen = [n for n in networks(options) if not options.networks or n[0] in options.networks.split(",")]
    if not chosen:
        sys.exit("nothing to run: give --reference and --photographs, or --models with --pairs or --photographs")
    return chosen
