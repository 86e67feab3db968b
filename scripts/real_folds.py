"""Real pairs to choose by as well as to judge by: their scenes are parted in two folds, and each fold is held out once
while masks are chosen and repaired on the other one. So every image is judged by networks that saw nothing of its
scene."""

import pathlib

FOLDS = (1, 2)
# By sight. The same objects are in cc and nam, which therefore stay together.
SIDD_CHESS = {"sample_01", "sample_02", "sample_04", "sample_06", "sample_10"}


def chosen_pairs(pairs):
    """(set, file name, fold) of every pair that is used: of polyu, whose crops overlap, the first of each scene."""
    for folder in ("sidd", "cc", "nam", "polyu"):
        scenes = set()
        for image in sorted((pathlib.Path(pairs) / folder / "noisy").iterdir()):
            scene = image.stem.rstrip("0123456789").rstrip("_")
            if folder == "polyu" and scene in scenes:
                continue
            scenes.add(scene)
            yield folder, image.name, 1 if folder == "polyu" or image.stem in SIDD_CHESS else 2


def fold_data(pairs, place, fold):
    """What tells the program to hold this fold out. The pairs are linked into the folder `place`; each image is a
    scene to the program, which spreads its crops over scenes: hence the letter behind the number."""
    held = []
    for folder, name, of_fold in chosen_pairs(pairs):
        image = pathlib.Path(name)
        if of_fold == fold:
            held.append(f"{folder}_{image.stem}x")
        for side in ("noisy", "clean"):
            link = place / side / f"{folder}_{image.stem}x{image.suffix}"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)  # the pairs may have moved
            link.symlink_to((pathlib.Path(pairs) / folder / side / name).resolve())
    split = place / f"fold{fold}.txt"
    split.write_text("\n".join(sorted(held)) + "\n", encoding="utf-8")
    return ["--data", str(place), "--split", str(split)]


def fold_of(report):
    """The fold that a run held out; 0 where its data are others."""
    arguments = report.get("arguments", [])
    split = pathlib.Path(arguments[arguments.index("--split") + 1]).stem if "--split" in arguments else ""
    return int(split.removeprefix("fold")) if split in {f"fold{f}" for f in FOLDS} else 0
