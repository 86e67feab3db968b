"""Small versions of well-known architectures as PyTorch modules, and their export by torch.onnx.export.

    python tests/torch_networks.py FOLDER tracing|dynamo

writes FOLDER/<name>.onnx for each of NETWORKS, and FOLDER/refused.json: why the exporter couldn't write others.
A program of its own, so that the tests' own process never loads torch beside another LibTorch.
"""

import json
import sys
import warnings
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

NETWORKS = {}


def network(size=32, dynamic=False):
    """Notes the module; with an image of this size as its input, or of any size and batch."""

    def note(make):
        NETWORKS[make.__name__] = (make, size, dynamic)
        return make

    return note


def conv_norm(inputs, outputs, kernel=3, stride=1, groups=1, act=nn.ReLU):
    layers = [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
              nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, act()) if act else nn.Sequential(*layers)


def head(channels, classes=5):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


class Residual(nn.Module):
    def __init__(self, body, skip=None, act=None):
        super().__init__()
        self.body, self.skip, self.act = body, skip or nn.Identity(), act or nn.Identity()

    def forward(self, x):
        return self.act(self.skip(x) + self.body(x))


@network()
def resnet():
    def block(inputs, outputs, stride):
        body = nn.Sequential(conv_norm(inputs, outputs, stride=stride), conv_norm(outputs, outputs, act=None))
        skip = None if inputs == outputs else conv_norm(inputs, outputs, 1, stride, act=None)
        return Residual(body, skip, nn.ReLU())

    return nn.Sequential(conv_norm(3, 8), nn.MaxPool2d(3, 2, 1), block(8, 8, 1), block(8, 12, 2), block(12, 12, 1),
                         head(12))


class SqueezeExcite(nn.Module):
    def __init__(self, channels, inner, gate):
        super().__init__()
        self.pool, self.down, self.up = nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, inner, 1), nn.Conv2d(inner, channels, 1)
        self.gate = gate

    def forward(self, x):
        return x * self.gate(self.up(functional.relu(self.down(self.pool(x)))))


@network()
def mobilenet_v3():
    def block(channels, wide):
        return Residual(nn.Sequential(
            conv_norm(channels, wide, 1, act=nn.Hardswish), conv_norm(wide, wide, 5, groups=wide, act=nn.Hardswish),
            SqueezeExcite(wide, 6, nn.Hardsigmoid()), conv_norm(wide, channels, 1, act=None)))

    return nn.Sequential(conv_norm(3, 8, stride=2, act=nn.Hardswish), block(8, 24), block(8, 20), head(8))


@network()
def efficientnet():
    def block(channels, wide):
        return Residual(nn.Sequential(
            conv_norm(channels, wide, 1, act=nn.SiLU), conv_norm(wide, wide, groups=wide, act=nn.SiLU),
            SqueezeExcite(wide, 4, nn.Sigmoid()), conv_norm(wide, channels, 1, act=None), nn.Dropout2d(0.2)))

    return nn.Sequential(conv_norm(3, 8, stride=2, act=nn.SiLU), block(8, 24), block(8, 24), head(8))


class ShuffleUnit(nn.Module):
    def __init__(self, channels):
        super().__init__()
        half = channels // 2
        self.branch = nn.Sequential(conv_norm(half, half, 1), conv_norm(half, half, groups=half, act=None),
                                    conv_norm(half, half, 1))

    def forward(self, x):
        a, b = x.chunk(2, dim=1)
        x = torch.cat([a, self.branch(b)], dim=1)
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


@network()
def shufflenet_v2():
    return nn.Sequential(conv_norm(3, 16, stride=2), ShuffleUnit(16), ShuffleUnit(16), conv_norm(16, 24, 1), head(24))


class DenseLayer(nn.Module):
    def __init__(self, channels, growth=4):
        super().__init__()
        self.body = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, 12, 1, bias=False),
                                  nn.BatchNorm2d(12), nn.ReLU(), nn.Conv2d(12, growth, 3, padding=1, bias=False))

    def forward(self, x):
        return torch.cat([x, self.body(x)], 1)


@network()
def densenet():
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), DenseLayer(8), DenseLayer(12), DenseLayer(16),
                         nn.BatchNorm2d(20), nn.ReLU(), nn.Conv2d(20, 10, 1), nn.AvgPool2d(2), DenseLayer(10),
                         nn.BatchNorm2d(14), nn.ReLU(), head(14))


class Csp(nn.Module):
    """The C2f block of YOLOv8."""

    def __init__(self, inputs, outputs):
        super().__init__()
        half = outputs // 2
        self.first = conv_norm(inputs, outputs, 1, act=nn.SiLU)
        self.inner = Residual(nn.Sequential(conv_norm(half, half, act=nn.SiLU), conv_norm(half, half, act=nn.SiLU)))
        self.last = conv_norm(3 * half, outputs, 1, act=nn.SiLU)

    def forward(self, x):
        parts = list(self.first(x).chunk(2, 1))
        parts.append(self.inner(parts[-1]))
        return self.last(torch.cat(parts, 1))


class Sppf(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.first = conv_norm(channels, channels // 2, 1, act=nn.SiLU)
        self.pool, self.last = nn.MaxPool2d(5, 1, 2), conv_norm(2 * channels, channels, 1, act=nn.SiLU)

    def forward(self, x):
        parts = [self.first(x)]
        for _ in range(3):
            parts.append(self.pool(parts[-1]))
        return self.last(torch.cat(parts, 1))


@network()
class Detector(nn.Module):
    """Two scales, a decoupled head, boxes read out of a distribution."""

    def __init__(self):
        super().__init__()
        self.low = nn.Sequential(conv_norm(3, 8, stride=2, act=nn.SiLU), Csp(8, 12))
        self.high = nn.Sequential(conv_norm(12, 16, stride=2, act=nn.SiLU), Csp(16, 16), Sppf(16))
        self.up, self.join = nn.Upsample(scale_factor=2), Csp(28, 12)
        self.boxes = nn.ModuleList(nn.Sequential(conv_norm(c, 10, act=nn.SiLU), nn.Conv2d(10, 16, 1)) for c in (12, 16))
        self.classes = nn.ModuleList(nn.Sequential(conv_norm(c, 6, act=nn.SiLU), nn.Conv2d(6, 3, 1)) for c in (12, 16))
        self.register_buffer("steps", torch.arange(4.0))

    def forward(self, x):
        low = self.low(x)
        high = self.high(low)
        levels = (self.join(torch.cat([self.up(high), low], 1)), high)
        out = torch.cat([torch.cat([b(f), c(f)], 1).flatten(2)
                         for f, b, c in zip(levels, self.boxes, self.classes)], 2)
        box, scores = out.split((16, 3), 1)
        box = (box.view(x.shape[0], 4, 4, -1).softmax(2) * self.steps.view(1, 1, 4, 1)).sum(2)
        return torch.cat([box, scores.sigmoid()], 1)


@network(dynamic=True)
class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = conv_norm(3, 6), conv_norm(6, 10), conv_norm(10, 14)
        self.up = nn.ConvTranspose2d(14, 10, 2, 2)
        self.d, self.e = conv_norm(20, 8), nn.Sequential(conv_norm(14, 8), nn.Conv2d(8, 2, 1))

    def forward(self, x):
        a = self.a(x)
        b = self.b(functional.max_pool2d(a, 2))
        c = self.c(functional.max_pool2d(b, 2))
        d = self.d(torch.cat([b, self.up(c)], 1))
        d = functional.interpolate(d, size=a.shape[2:], mode="bilinear", align_corners=False)
        return self.e(torch.cat([a, d], 1))


class LayerNorm2d(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        mean = x.mean(1, keepdim=True)
        x = (x - mean) / ((x - mean).pow(2).mean(1, keepdim=True) + 1e-6).sqrt()
        return self.weight.view(1, -1, 1, 1) * x + self.bias.view(1, -1, 1, 1)


class SimpleGate(nn.Module):
    def forward(self, x):
        a, b = x.chunk(2, dim=1)
        return a * b


class ChannelAttention(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1))

    def forward(self, x):
        return x * self.weight(x)


class NafBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.first = nn.Sequential(LayerNorm2d(c), nn.Conv2d(c, 2 * c, 1), nn.Conv2d(2 * c, 2 * c, 3, 1, 1, groups=2 * c),
                                   SimpleGate(), ChannelAttention(c), nn.Conv2d(c, c, 1))
        self.second = nn.Sequential(LayerNorm2d(c), nn.Conv2d(c, 2 * c, 1), SimpleGate(), nn.Conv2d(c, c, 1))
        self.beta, self.gamma = nn.Parameter(torch.ones(1, c, 1, 1)), nn.Parameter(torch.ones(1, c, 1, 1))

    def forward(self, x):
        x = x + self.first(x) * self.beta
        return x + self.second(x) * self.gamma


@network()
def nafnet():
    return Residual(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), NafBlock(8), nn.Conv2d(8, 12, 2, 2), NafBlock(12),
                                  nn.Conv2d(12, 32, 1, bias=False), nn.PixelShuffle(2), NafBlock(8),
                                  nn.Conv2d(8, 3, 3, padding=1)))


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        n, t, width = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        x = functional.scaled_dot_product_attention(q, k, v)
        return self.out(x.transpose(1, 2).reshape(n, t, width))


@network()
class VisionTransformer(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.patches = nn.Conv2d(3, width, 8, 8)
        self.token, self.places = nn.Parameter(torch.zeros(1, 1, width)), nn.Parameter(torch.zeros(1, 17, width))
        self.blocks = nn.Sequential(*[layer for _ in range(2) for layer in (
            Residual(nn.Sequential(nn.LayerNorm(width), Attention(width, 4))),
            Residual(nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 40), nn.GELU(), nn.Linear(40, width))))])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 5)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.places
        return self.head(self.norm(self.blocks(x))[:, 0])


@network(dynamic=True)
def super_resolution():
    body = nn.Sequential(*[Residual(nn.Sequential(nn.Conv2d(12, 12, 3, padding=1), nn.PReLU(12),
                                                  nn.Conv2d(12, 12, 3, padding=1))) for _ in range(2)])
    return nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), Residual(body), nn.Conv2d(12, 48, 3, padding=1),
                         nn.PixelShuffle(2), nn.PReLU(), nn.Conv2d(12, 3, 3, padding=1))


class ConvNextBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.depthwise, self.norm = nn.Conv2d(c, c, 7, padding=3, groups=c), nn.LayerNorm(c, eps=1e-6)
        self.up, self.down, self.scale = nn.Linear(c, 4 * c), nn.Linear(4 * c, c), nn.Parameter(torch.ones(c))

    def forward(self, x):
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.scale * self.down(functional.gelu(self.up(y)))
        return x + y.permute(0, 3, 1, 2)


@network()
def convnext():
    return nn.Sequential(nn.Conv2d(3, 12, 4, 4), ConvNextBlock(12), ConvNextBlock(12), head(12))


class Inception(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.branches = nn.ModuleList([
            conv_norm(channels, 4, 1), nn.Sequential(conv_norm(channels, 6, 1), conv_norm(6, 8)),
            nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), conv_norm(channels, 4, 1))])

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], 1)


@network()
def googlenet():
    return nn.Sequential(conv_norm(3, 8, stride=2), Inception(8), Inception(16), head(16))


@network()
def mobilenet_v2():
    def block(channels, wide):
        return Residual(nn.Sequential(conv_norm(channels, wide, 1, act=nn.ReLU6),
                                      conv_norm(wide, wide, groups=wide, act=nn.ReLU6),
                                      conv_norm(wide, channels, 1, act=None)))

    return nn.Sequential(conv_norm(3, 8, stride=2, act=nn.ReLU6), block(8, 24), block(8, 20),
                         conv_norm(8, 16, 1, act=nn.ReLU6), head(16))


@network()
def regnet_y():
    def block(channels, group_width):
        return Residual(nn.Sequential(
            conv_norm(channels, channels, 1), conv_norm(channels, channels, groups=channels // group_width),
            SqueezeExcite(channels, 4, nn.Sigmoid()), conv_norm(channels, channels, 1, act=None)), act=nn.ReLU())

    return nn.Sequential(conv_norm(3, 12, stride=2), block(12, 4), block(12, 6), head(12))


class Fire(nn.Module):
    def __init__(self, channels, narrow, wide):
        super().__init__()
        self.squeeze = nn.Conv2d(channels, narrow, 1)
        self.small, self.large = nn.Conv2d(narrow, wide, 1), nn.Conv2d(narrow, wide, 3, padding=1)

    def forward(self, x):
        x = functional.relu(self.squeeze(x))
        return functional.relu(torch.cat([self.small(x), self.large(x)], 1))


@network()
def squeezenet():
    return nn.Sequential(nn.Conv2d(3, 12, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), Fire(12, 4, 8),
                         Fire(16, 6, 10), nn.Conv2d(20, 5, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


@network(dynamic=True)
class DeepLab(nn.Module):
    """A spatial pyramid of dilated convolutions and of the image's mean, brought back to the image's size."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(conv_norm(3, 8, stride=2), conv_norm(8, 12, stride=2))
        self.pyramid = nn.ModuleList([nn.Conv2d(12, 6, 3, padding=d, dilation=d) for d in (1, 2, 4)])
        self.mean, self.join, self.classes = nn.Conv2d(12, 6, 1), conv_norm(24, 10, 1), nn.Conv2d(10, 4, 1)

    def forward(self, x):
        y = self.body(x)
        mean = functional.relu(self.mean(functional.adaptive_avg_pool2d(y, 1))).expand(-1, -1, *y.shape[2:])
        y = self.join(torch.cat([*(functional.relu(branch(y)) for branch in self.pyramid), mean], 1))
        return functional.interpolate(self.classes(y), size=x.shape[2:], mode="bilinear", align_corners=False)


class ChannelsAttending(nn.Module):
    """Restormer's: within each head every channel looks at every other."""

    def __init__(self, channels, heads):
        super().__init__()
        self.heads, self.temperature = heads, nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv, self.out = nn.Conv2d(channels, 3 * channels, 1), nn.Conv2d(channels, channels, 1)
        self.depthwise = nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3 * channels)

    def forward(self, x):
        n, c, h, w = x.shape
        q, k, v = (part.reshape(n, self.heads, c // self.heads, h * w) for part in self.depthwise(self.qkv(x)).chunk(3, 1))
        q, k = functional.normalize(q, dim=-1), functional.normalize(k, dim=-1)
        weights = (q @ k.transpose(-2, -1) * self.temperature).softmax(-1)
        return self.out((weights @ v).reshape(n, c, h, w))


class GatedFeedForward(nn.Module):
    def __init__(self, channels, wide):
        super().__init__()
        self.up, self.down = nn.Conv2d(channels, 2 * wide, 1), nn.Conv2d(wide, channels, 1)
        self.depthwise = nn.Conv2d(2 * wide, 2 * wide, 3, padding=1, groups=2 * wide)

    def forward(self, x):
        a, b = self.depthwise(self.up(x)).chunk(2, dim=1)
        return self.down(functional.gelu(a) * b)


@network()
def restormer():
    blocks = [Residual(nn.Sequential(LayerNorm2d(12), part)) for part in (
        ChannelsAttending(12, 3), GatedFeedForward(12, 20), ChannelsAttending(12, 3), GatedFeedForward(12, 18))]
    return Residual(nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), *blocks, nn.Conv2d(12, 3, 3, padding=1)))


def export(name, path, dynamo):
    make, size, dynamic = NETWORKS[name]
    torch.manual_seed(1)
    net = make()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):  # as after training
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    with torch.no_grad():  # fresh ones and zeros are equal across layers, and exporters share equal constants
        for parameter in net.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    words = {"opset_version": 17} if not dynamo else {}
    if dynamic and not dynamo:
        words["dynamic_axes"] = {"x": {0: "batch", 2: "height", 3: "width"}}
    elif dynamic:
        sizes = {0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
        words["dynamic_shapes"] = (sizes,)
    torch.onnx.export(net.eval(), (torch.rand(2 if dynamic else 1, 3, size, size),), path, dynamo=dynamo,
                      input_names=["x"], output_names=["y"], **words)


def main():
    folder, exporter = Path(sys.argv[1]), sys.argv[2]
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    refused = {}
    for name in NETWORKS:
        try:
            export(name, folder / f"{name}.onnx", exporter == "dynamo")
        except Exception as error:  # noqa: BLE001: the exporter's own limits aren't ours
            refused[name] = (str(error).strip() or repr(error)).splitlines()[0][:200]
    (folder / "refused.json").write_text(json.dumps(refused), encoding="utf-8")


if __name__ == "__main__":
    main()
