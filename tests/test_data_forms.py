"""What is in the files is what networks get, and what was measured is what is reported."""

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import networks


def grey_network(path):
    b = networks.Builder()
    networks.save(b.model(["batch", 1, "height", "width"], b.conv("x", "y", 1, 1), ["batch", 1, "height", "width"]), path)


def test_grey_of_a_colour_image_does_not_depend_on_its_gamma(quboprune):
    """Some programs write how bright a screen should show it; the pixels are the same."""
    grey_network(quboprune.folder / "net.onnx")
    rng = np.random.default_rng(1)
    gamma = PngInfo()
    gamma.add(b"gAMA", (45455).to_bytes(4, "big"))
    values = []
    pictures = {name: rng.integers(0, 255, (32, 32, 3), dtype=np.uint8) for name in ("a", "b")}
    for form, ending, options in (("plain", "png", {}), ("gamma", "png", {"pnginfo": gamma}), ("bmp", "bmp", {})):
        for part in ("noisy", "clean"):
            folder = quboprune.folder / form / part
            folder.mkdir(parents=True)
            for name, pixels in pictures.items():
                Image.fromarray(pixels if part == "noisy" else 255 - pixels).save(folder / f"{name}.{ending}", **options)
        report = quboprune.report("eval", "net.onnx", "--data", form)
        values.append([sample["input"] for sample in report["result"]["samples"]])
    assert values[0] == values[1] == values[2]


def test_values_stand_beside_the_names_of_what_was_measured(quboprune, denoiser):
    for part in ("noisy", "clean"):
        (quboprune.folder / "data" / part).mkdir(parents=True)
        for k, size in enumerate((32, 12, 32, 32, 12, 32, 32, 32)):
            Image.new("RGB", (size, size), (40 * k % 255, 90, 30)).save(quboprune.folder / "data" / part / f"{'abcdefgh'[k]}.png")
    report = quboprune.report("prune", "net.onnx", "-o", "out.onnx", "--data", "data", "--target", "filters=0.25",
                              "--objective", "l1", "--refine", "none", "--recover", "none", "--crop", "16")
    values = report["result"]["metric"]["heldout"]["samples"]["pruned"]
    assert len(report["data"]["heldout"]) == len(values)
    assert not {"b.png", "e.png"} & set(report["data"]["heldout"])
