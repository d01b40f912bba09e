#!/usr/bin/env python3
"""Golden outputs of AlexNet: torchvision's own network in float64, on weights that anyone can make again.

61 million weights are too many for a repository, so each is a hash of its tensor's name and its place, in integer
arithmetic; test/alexnet-weights.ts has the same. The network is also written out here from its definition, and must agree
with torchvision's. Needs python3-torch and python3-torchvision; run

    /usr/bin/python3 test/golden/alexnet.py > test/golden/alexnet.json
"""
import json

import numpy as np
import torch
import torch.nn.functional as F
import torchvision

UNITS = 24
BIAS_SCALE = 0.1


def hashes(name, count):
    """For each place a whole number in 0..2^32-1: FNV-1a of the name, stepped by the golden ratio, mixed by the
    finaliser of MurmurHash3."""
    start = 2166136261
    for byte in name.encode():
        start = ((start ^ byte) * 16777619) % 2 ** 32
    x = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B9) + np.uint32(start)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x85EBCA6B)
    x ^= x >> np.uint32(13)
    x *= np.uint32(0xC2B2AE35)
    return x ^ (x >> np.uint32(16))


def values(name, shape, scale):
    """Uniform in [-scale, scale): 24 bits of the hash, rounded to 32-bit floats."""
    steps = (hashes(name, int(np.prod(shape))) >> np.uint32(8)).astype(np.float64) - 2 ** 23
    return torch.tensor((steps * (scale / 2 ** 23)).astype(np.float32).astype(np.float64).reshape(shape))


def weights(shapes):
    """By name; kernels keep the variance of ReLU layers, so that every layer has values of about the same size."""
    made = {}
    for name, shape in shapes.items():
        fan_in = int(np.prod(shape[1:]))
        made[name] = values(name, shape, (6 / fan_in) ** 0.5 if len(shape) > 1 else BIAS_SCALE)
    return made


def plain(w, x):
    """The network from its definition: every stage by the name of its last layer in torchvision."""
    stages = {}
    for layer, stride, padding, pooled in [(0, 4, 2, True), (3, 1, 2, True), (6, 1, 1, False), (8, 1, 1, False),
                                           (10, 1, 1, True)]:
        name = f"features.{layer}"
        x = F.relu(F.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], stride, padding))
        stages[name] = x
        if pooled:
            x = F.max_pool2d(x, 3, 2)
    x = x.reshape(len(x), -1)
    for layer in (1, 4, 6):
        name = f"classifier.{layer}"
        x = x @ w[f"{name}.weight"].T + w[f"{name}.bias"]
        if layer != 6:
            x = F.relu(x)
        stages[name] = x
    return stages


def torchvisions(w, x):
    """The same stages of torchvision's network: after the ReLU where there is one."""
    network = torchvision.models.alexnet().double().eval()
    network.load_state_dict(w)
    stages = {}
    for part in ("features", "classifier"):
        layers = list(getattr(network, part))
        for at, layer in enumerate(layers):
            if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
                last = at + 1 < len(layers) and isinstance(layers[at + 1], torch.nn.ReLU)
                (layers[at + 1] if last else layer).register_forward_hook(
                    lambda _, __, out, name=f"{part}.{at}": stages.__setitem__(name, out.clone()))
    network(x)
    return stages


def main():
    shapes = {name: list(tensor.shape) for name, tensor in torchvision.models.alexnet().state_dict().items()}
    w = weights(shapes)
    x = values("image", [1, 3, 224, 224], 2.0)
    with torch.no_grad():
        ours, theirs = plain(w, x), torchvisions(w, x)
    assert list(ours) == list(theirs)
    for name, stage in theirs.items():
        difference = (stage - ours[name]).abs().max() / stage.abs().max()
        assert difference < 1e-12, (name, difference)
    stages = []
    for name, stage in theirs.items():
        flat = stage.flatten()
        # Places are drawn as weights are; shapes and places in torchvision's order, without the axis of the batch.
        places = [int(h) % len(flat) for h in hashes(name, UNITS)] if name != "classifier.6" else range(len(flat))
        stages.append({"name": name, "shape": list(stage.shape[1:]), "mean": flat.mean().item(),
                       "norm": flat.norm().item(), "places": list(places), "values": [flat[i].item() for i in places]})
    first = {name: w[name].flatten()[:3].tolist() for name in ("features.0.weight", "classifier.6.bias")}
    print(json.dumps({"torchvision": torchvision.__version__, "shapes": shapes, "first": first, "stages": stages},
                     separators=(",", ":")))


main()
