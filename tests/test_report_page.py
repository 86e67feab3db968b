"""report.html opens in a browser without a network, draws its charts and reports no error."""

import html
import re
import shutil
import subprocess

import pytest
from onnx import TensorProto, helper

import networks

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def dom_of(page, folder):
    """The page's elements after its scripts ran; no network, a profile of its own."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here: the page isn't opened")
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr",
         "--virtual-time-budget=5000", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-1000:]
    errors = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return done.stdout, errors


def charts_drawn(dom):
    """How many charts were drawn, each on a canvas of its own."""
    drawn = re.search(r'data-charts="(\d+)"', dom)
    assert drawn and len(re.findall(r"<canvas", dom)) == int(drawn.group(1))
    return int(drawn.group(1))


def test_page_of_a_pruning(quboprune, denoiser, pairs, tmp_path):
    quboprune.succeeds("prune", "net.onnx", "-o", "out.onnx", "--data", "data.npz", "--target", "filters=0.25",
                       "--refine", "tt", "--evaluations", "40", "--html", "report.html")
    dom, errors = dom_of(tmp_path / "report.html", tmp_path)
    assert not errors
    assert charts_drawn(dom) >= 3
    for words in ("Filters", "Quality after each stage", "Channels of each layer", "Time and memory", "net.onnx"):
        assert words in html.unescape(dom), words
    assert not re.search(r'(?:src|href)="(?:https?:)?//', dom)


def test_page_of_a_sweep_draws_its_curve(quboprune, denoiser, pairs, tmp_path):
    quboprune.succeeds("sweep", "net.onnx", "-o", "smaller", "--data", "data.npz", "--target", "filters=0.25,0.5",
                       "--objective", "l1", "--recover", "none", "--html", "report.html")
    dom, errors = dom_of(tmp_path / "report.html", tmp_path)
    assert not errors
    assert charts_drawn(dom) == 2, "the curve and the stages"
    assert "filters=0.25" in dom and "filters=0.5" in dom


def test_page_needs_nothing_else(quboprune, denoiser, pairs, tmp_path):
    quboprune.succeeds("prune", "net.onnx", "-o", "out.onnx", "--data", "data.npz", "--target", "filters=0.25",
                       "--refine", "none", "--html", "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r'<(?:link|iframe)\b|(?:src|href)="(?!data:)|@import|url\(', page.split("<script>")[0])


def test_page_of_a_network_judged_by_all_its_outputs(quboprune, pairs, tmp_path):
    """Its outputs side by side are no picture."""
    model = networks.denoiser()
    model.graph.output.append(helper.make_tensor_value_info("middle", TensorProto.FLOAT, None))
    networks.save(model, tmp_path / "net.onnx")
    quboprune.succeeds("prune", "net.onnx", "-o", "out.onnx", "--data", "data.npz", "--target", "filters=0.25",
                       "--refine", "none", "--metric", "output", "--loss", "output", "--html", "report.html")
    assert "data:image/png" not in (tmp_path / "report.html").read_text(encoding="utf-8")
