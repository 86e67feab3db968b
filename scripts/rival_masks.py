"""Lets Torch-Pruning and onnxsim choose the channels of an ONNX network, and writes plans for `quboprune apply`.

    rival_masks.py MODEL.onnx --samples S.npz --inspect I.json --targets macs=0.36 --rivals tp-taylor --plans FOLDER

Needs the packages of rivals_requirements.txt; scripts/rivals runs it in a venv of its own. Every rival decides by
its own ranking and its own rules what a ratio removes; the ratio is then moved until what is kept, counted in
quboprune's channel groups, is the most that the target allows. A rival that can't is written down as refused.
"""

import argparse
import functools
import json
import pathlib
import warnings

import numpy as np
import onnx
import onnx2torch
import onnxsim
import torch
import torch_pruning as tp
from onnxsim import pruning as onnxsim_pruning

CONVOLUTIONS = ("Conv", "ConvTranspose")


class Refused(Exception):
    """A rival that doesn't take the network, or doesn't reach the target; says why."""


class HessianOverSamples(tp.importance.HessianImportance):
    """HessianImportance as its documentation means it: squared gradients summed over all samples. The released one
    looks parameters up by name in a dictionary of tensors, never finds any, and keeps the last sample alone."""

    def accumulate_grad(self, model):
        for parameter in model.parameters():
            if parameter.grad is not None:
                squared = parameter.grad.detach().pow(2)
                self._accu_grad[parameter] = self._accu_grad.get(parameter, 0) + squared
                self._counter[parameter] = self._counter.get(parameter, 0) + 1


# The importance, and which gradients it wants. The defaults are those of the release: group_reduction and
# normalizer "mean". `plain`: the documented form of the standard L1 norm, of the producing layer alone.
TORCH_PRUNING = {
    "tp-l1": (lambda: tp.importance.MagnitudeImportance(p=1), None),
    "tp-l1-plain": (lambda: tp.importance.MagnitudeImportance(p=1, normalizer=None, group_reduction="first"), None),
    "tp-lamp": (tp.importance.LAMPImportance, None),
    "tp-taylor": (tp.importance.TaylorImportance, "batch"),
    "tp-taylor-raw": (lambda: tp.importance.TaylorImportance(normalizer=None), "batch"),
    "tp-hessian": (tp.importance.HessianImportance, "samples"),
    "tp-hessian-mended": (HessianOverSamples, "samples"),
    "tp-hessian-mended-raw": (lambda: HessianOverSamples(normalizer=None), "samples"),
}
# With "-steps" the same, taken off little by little and scored anew after each step (its iterative_steps): it leaves
# a layer whole that a threshold would empty, and so gets at layers that are hardly used at all.
STEPS = 16  # for all channels
IN_STEPS = [f"{name}-steps" for name in ("tp-taylor-raw", "tp-hessian-mended-raw")]
# Whether its Wanda is used, and whether all layers are ranked together.
ONNXSIM = {"onnxsim-l2": (False, False), "onnxsim-l2-global": (False, True),
           "onnxsim-wanda": (True, False), "onnxsim-wanda-global": (True, True)}
RIVALS = [*TORCH_PRUNING, *IN_STEPS, *ONNXSIM]


class Network:
    """The ONNX file, and quboprune's view of it: layers, groups of channels, costs."""

    def __init__(self, model, inspected):
        self.path, self.model = model, onnx.load(model)
        self.layers = {layer["name"]: layer for layer in inspected["layers"]}
        self.groups = {m: g for g, group in enumerate(inspected["groups"]) for m in group["members"]}
        self.names = [group["group"] for group in inspected["groups"]]
        self.members = [group["members"] for group in inspected["groups"]]
        self.macs = sum(layer["macs"] for layer in self.layers.values())
        self.input = self.model.graph.input[0].name
        others = [i.name for i in self.model.graph.input[1:]
                  if i.name not in {w.name for w in self.model.graph.initializer}]
        if others:
            raise Refused(f"more inputs than one ({', '.join(others)}): not run for the rivals")

    def convolutions(self, model=None):
        """Names and weights [out, in, ...] of the convolutions, in the file's order."""
        model = model or self.model
        weights = {w.name: w for w in model.graph.initializer}
        found = []
        for node in model.graph.node:
            if node.op_type in CONVOLUTIONS and node.input[1] in weights:
                weight = onnx.numpy_helper.to_array(weights[node.input[1]])
                found.append((node.name, np.swapaxes(weight, 0, 1) if node.op_type == "ConvTranspose" else weight))
        return found

    def groups_of(self, members):
        """The groups that these channels ("layer:index") make up; frozen ones and parts of groups are errors."""
        members = set(members)
        groups = {self.groups[m] for m in members if m in self.groups}
        broken = [m for m in members if m not in self.groups] + [
            m for g in groups for m in self.members[g] if m not in members]
        if broken:
            raise Refused(f"it couples channels otherwise than this network does: {sorted(broken)[0]}")
        return groups


def removed_enough(cut, wanted, most, coarse):
    """The cut of the smallest size that removes `wanted`: cut(n) for whole n up to `most` gives (removed, groups).

    Not a plain bisection: a ranking that would empty a layer leaves it whole, so more asked can be less removed.
    """
    best, most_removed, last, n = None, 0, 0, 0
    while best is None:
        n = min(n + coarse, most)
        result = cut(n)
        if result[0] >= wanted:
            best = result
        elif n == most:
            raise Refused(f"no ratio tried removes what the target asks: {most_removed:.4g} of {wanted:.4g} at most")
        else:
            last, most_removed = n, max(most_removed, result[0])
    while n - last > 1:
        middle = (n + last) // 2
        result = cut(middle)
        if result[0] >= wanted:
            n, best = middle, min(best, result, key=lambda r: r[0])
        else:
            last = middle
    return best[1]


class TorchPruning:
    """The network in torch with a pruner on it. `gone`: the original outputs and inputs of each layer that are cut."""

    tool = f"torch-pruning {tp.__version__}"

    def __init__(self, network, inputs, targets):
        self.network, self.inputs = network, torch.from_numpy(inputs)
        self.targets = None if targets is None else torch.from_numpy(targets)
        self.module = onnx2torch.convert(network.model).eval()
        modules = [m for m in (self.module.get_submodule(n.target) for n in self.module.graph.nodes
                               if n.op == "call_module") if isinstance(m, torch.nn.modules.conv._ConvNd)]
        self.layer, self.size = {}, {}
        # The graph is in the file's order, so are the modules; equal weights show it.
        for (name, weight), module in zip(network.convolutions(), modules, strict=True):
            mine = module.weight.detach().numpy()
            assert np.array_equal(np.swapaxes(mine, 0, 1) if module.transposed else mine, weight), name
            self.layer[module], self.size[name] = name, (module.out_channels, module.in_channels)
        self.gone = {name: (set(), set()) for name in self.size}
        whole = [m for m, name in self.layer.items() if network.layers[name]["prunable"] == 0]
        self.pruner = tp.pruner.BasePruner(self.module, self.inputs[:1], importance=None, global_pruning=True,
                                           pruning_ratio=0.5, ignored_layers=whole)

    def prepare(self, importance, gradients):
        """Gradients of the mean L1 distance to the targets, where the importance wants them; without targets of the
        sum of the outputs, as Torch-Pruning's own examples have it."""
        self.pruner.importance = importance
        self.module.zero_grad()
        if gradients is None:
            return
        for k, x in enumerate(self.inputs.split(1)):
            if gradients == "samples":
                self.module.zero_grad()
            output = self.module(x)
            loss = output.sum() if self.targets is None else torch.nn.functional.l1_loss(output, self.targets[k : k + 1])
            loss.backward()
            if gradients == "samples":
                importance.accumulate_grad(self.module)

    def cut(self, ratio, really=False):
        """The groups that are gone once the pruner has removed this ratio, and their multiply-adds; the torch network
        is made smaller only if `really`."""
        self.pruner.current_step, self.pruner.per_step_pruning_ratio = 0, [0.0, ratio]
        gone = {name: (set(out), set(into)) for name, (out, into) in self.gone.items()}
        left = self.left(gone)
        for group in self.pruner.step(interactive=True):
            for dep, indices in group:
                name = self.layer.get(dep.target.module)
                if name is not None:
                    side = 0 if self.pruner.DG.is_out_channel_pruning_fn(dep.handler) else 1
                    gone[name][side].update(left[name][side][i] for i in indices)
            if really:
                group.prune()
                left = self.left(gone)
        if really:
            self.gone = gone
        groups = self.network.groups_of(f"{name}:{i}" for name, (out, _) in gone.items() for i in out)
        macs = sum(self.network.layers[name]["macs"] * (1 - len(gone[name][0]) / self.size[name][0]) *
                   (1 if module.groups > 1 else 1 - len(gone[name][1]) / self.size[name][1])
                   for module, name in self.layer.items())
        return groups, self.network.macs - macs

    def left(self, gone):
        return {name: [[i for i in range(n) if i not in cut] for n, cut in zip(self.size[name], gone[name])]
                for name in self.size}

    def choose(self, rival, target):
        make, gradients = TORCH_PRUNING[rival.removesuffix("-steps")]
        total, wanted = len(self.network.names), target.wanted(self.network)
        step = max(1, total // STEPS)

        def cut(n, really=False):
            groups, macs = self.cut((n - 0.5) / total, really)  # it removes total - int(total * (1 - ratio))
            return (len(groups) if target.kind == "filters" else macs), groups
        importance = make()
        self.prepare(importance, gradients)
        if not rival.endswith("-steps"):
            return removed_enough(cut, wanted, total, step)
        n = 0
        while cut(n + step)[0] < wanted:
            n += step
            if n >= total:
                raise Refused("no ratio removes as much as the target asks, in steps either")
            cut(n, really=True)
            self.prepare(importance, gradients)
        return removed_enough(lambda more: cut(n + more), wanted, step, step)


class Onnxsim:
    tool = f"onnxsim {onnxsim.__version__}"
    steps = 512  # of the sparsity

    def __init__(self, network, inputs, _targets):
        self.network = network
        # It expects batch norm to be folded already, which its own simplifier does.
        self.dense, same = onnxsim.simplify(network.model)
        if not same:
            raise Refused("its simplifier changes what the network computes")
        self.batches = [{network.input: x[None]} for x in inputs]
        self.names = [name for name, _ in network.convolutions()]
        self.weights = [weight for _, weight in network.convolutions(self.dense)]
        if len(self.weights) != len(self.names):
            raise Refused("its simplifier changes the number of convolutions")

    @functools.cache  # targets share most of the ratios that are tried
    def cut(self, rival, sparsity):
        wanda, together = ONNXSIM[rival]
        more = {"sparsity": sparsity, "global_sparsity": together}
        pruned = onnxsim_pruning.apply_structured_wanda_pruning(self.dense, calibration_data=self.batches, **more) \
            if wanda else onnxsim_pruning.apply_structured_pruning(self.dense, **more)
        members, macs = [], 0.0
        for name, whole, (_, left) in zip(self.names, self.weights, self.network.convolutions(pruned), strict=True):
            gone = set(range(len(whole))) - set(kept_channels(whole, left, name))
            members += [f"{name}:{i}" for i in gone]
            macs += self.network.layers[name]["macs"] * left.size / whole.size
        return self.network.groups_of(members), self.network.macs - macs

    def choose(self, rival, target):
        def cut(n):
            groups, macs = self.cut(rival, n / self.steps)
            return (len(groups) if target.kind == "filters" else macs), groups
        return removed_enough(cut, target.wanted(self.network), self.steps - 1, self.steps // 8)


def kept_channels(whole, left, name):
    """Which outputs of a weight [out, in, ...] are left in a smaller one, some of whose inputs may be gone as well:
    those all of whose kernels are among the original's, in order."""
    kept, start = [], 0
    for row in left:
        kernels = {k.tobytes() for k in row}
        for index in range(start, len(whole)):
            if kernels <= {k.tobytes() for k in whole[index]}:
                kept.append(index)
                start = index + 1
                break
        else:
            raise Refused(f"{name}: its weights are changed, not only removed")
    return kept


class Target:
    def __init__(self, text):
        self.text = text
        self.kind, value = text.split("=")
        self.fraction = float(value)

    def wanted(self, network):
        """How many groups, or multiply-adds, have to go; quboprune rounds a number of filters likewise."""
        return round(self.fraction * len(network.names)) if self.kind == "filters" else self.fraction * network.macs


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--samples", required=True, help="quboprune eval --part calibration --save-samples")
    parser.add_argument("--inspect", required=True, type=pathlib.Path, help="quboprune inspect --json")
    parser.add_argument("--targets", required=True)
    parser.add_argument("--rivals", default=",".join(RIVALS))
    parser.add_argument("--plans", required=True, type=pathlib.Path, help="TARGET-RIVAL.json go there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    warnings.simplefilter("ignore")
    samples = np.load(options.samples)
    tools = {}
    for rival in options.rivals.split(","):
        kind = Onnxsim if rival in ONNXSIM else TorchPruning
        for target in map(Target, options.targets.split(",")):
            place = options.plans / f"{target.text.replace('=', '')}-{rival}.json"
            if place.exists():
                continue
            plan = {"tool": kind.tool, "objective": rival,
                    "target": {"kind": target.kind, "removed_fraction": target.fraction}}
            try:
                network = Network(options.model, json.loads(options.inspect.read_text(encoding="utf-8")))
                key = (rival, target.text) if rival in IN_STEPS else kind  # steps leave a smaller network behind
                if key not in tools:
                    tools[key] = kind(network, samples["inputs"], samples.get("targets"))
                groups = tools[key].choose(rival, target)
                plan["removed"] = [network.names[g] for g in sorted(groups)]
                print(f"  {rival} {target.text}: {len(groups)} of {len(network.names)} groups", flush=True)
            except Exception as error:  # whatever another tool throws is what it says of this network
                plan["refused"] = f"{type(error).__name__}: {error}" if not isinstance(error, Refused) else str(error)
                print(f"  {rival} {target.text}: refused: {plan['refused']}", flush=True)
            part = pathlib.Path(f"{place}.part")
            part.write_text(json.dumps(plan), encoding="utf-8")
            part.replace(place)  # in one step: a plan that is there is a whole one


if __name__ == "__main__":
    main()
