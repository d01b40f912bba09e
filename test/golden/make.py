#!/usr/bin/env python3
"""Golden importance: MAS as the paper defines it, in float64 PyTorch, one sample at a time.

Independent of Engram and of TensorFlow.js: networks are written out here from their definitions, gradients come from
autograd, importance is the mean over samples of |d ||F(x)||^2 / d theta|. Needs python3-torch; run

    python3 test/golden/make.py > test/golden/importance.json

All weights and samples are 32-bit values, so that a 32-bit network starts from the same numbers.
"""
import json
import sys

import numpy as np
import torch
import torch.nn.functional as F

rng = np.random.default_rng(20180908)
SAMPLES = 9


def values(*shape, scale=1.0):
    return torch.tensor((rng.standard_normal(shape) * scale).astype(np.float32).astype(np.float64))


def dense(inputs, units, activation):
    return {"layer": "dense", "units": units, "activation": activation,
            "weights": [values(inputs, units, scale=0.6), values(units, scale=0.3)]}


def conv(channels, filters, kernel, stride, padding, activation):
    return {"layer": "conv2d", "filters": filters, "kernelSize": kernel, "strides": stride, "padding": padding,
            "activation": activation,
            "weights": [values(*kernel, channels, filters, scale=0.4), values(filters, scale=0.3)]}


def batch_norm(channels):
    return {"layer": "batchNormalization", "epsilon": 1e-3,
            "weights": [values(channels, scale=0.1) + 1, values(channels), values(channels),
                        values(channels).abs() + 0.5]}


def max_pool():
    return {"layer": "maxPooling2d", "poolSize": 2}


def flatten():
    return {"layer": "flatten"}


NETWORKS = {
    "MLP, relu and softmax head": ([6], [dense(6, 16, "relu"), dense(16, 12, "relu"), dense(12, 5, "softmax")]),
    "MLP, tanh and linear head": ([7], [dense(7, 9, "tanh"), dense(9, 3, "linear")]),
    "MLP, sigmoid head": ([5], [dense(5, 8, "relu"), dense(8, 2, "sigmoid")]),
    "CNN, same and valid padding, strides, pooling": ([9, 8, 2], [
        conv(2, 5, (3, 3), (1, 1), "same", "relu"), max_pool(), conv(5, 6, (3, 2), (2, 1), "valid", "linear"),
        flatten(), dense(6 * 1 * 3, 4, "softmax")]),
    "CNN, batch normalisation, same padding with stride": ([8, 7, 3], [
        conv(3, 4, (3, 3), (2, 2), "same", "linear"), batch_norm(4), {"layer": "activation", "activation": "relu"},
        conv(4, 5, (1, 1), (1, 1), "valid", "relu"), flatten(), dense(4 * 4 * 5, 3, "linear")]),
}


def same_padding(size, kernel, stride):
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def activate(x, name):
    return {"relu": torch.relu, "tanh": torch.tanh, "linear": lambda v: v}[name](x)


def forward(layers, x):
    """The logits for one sample x of shape [1, ...], images as [1, height, width, channels]."""
    for i, spec in enumerate(layers):
        last = i == len(layers) - 1
        kind = spec["layer"]
        if kind == "dense":
            kernel, bias = spec["weights"]
            x = x @ kernel + bias
        elif kind == "conv2d":
            kernel, bias = spec["weights"]
            x = x.permute(0, 3, 1, 2)
            if spec["padding"] == "same":
                top, bottom = same_padding(x.shape[2], spec["kernelSize"][0], spec["strides"][0])
                left, right = same_padding(x.shape[3], spec["kernelSize"][1], spec["strides"][1])
                x = F.pad(x, (left, right, top, bottom))
            x = F.conv2d(x, kernel.permute(3, 2, 0, 1), bias, stride=spec["strides"]).permute(0, 2, 3, 1)
        elif kind == "batchNormalization":
            gamma, beta, mean, variance = spec["weights"]
            x = gamma * (x - mean) / torch.sqrt(variance + spec["epsilon"]) + beta
        elif kind == "maxPooling2d":
            x = F.max_pool2d(x.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
        elif kind == "flatten":
            x = x.reshape(x.shape[0], -1)
        activation = spec.get("activation", "linear")
        if not (last and activation in ("softmax", "sigmoid")):
            x = activate(x, activation)
    return x


def importance(layers, samples):
    trainable = [w for spec in layers for w in spec.get("weights", [])[:2]]
    for w in trainable:
        w.requires_grad_(True)
    total = [torch.zeros_like(w) for w in trainable]
    for x in samples:
        norm = forward(layers, x[None]).square().sum()
        for omega, g in zip(total, torch.autograd.grad(norm, trainable)):
            omega += g.abs()
    return [omega / len(samples) for omega in total]


def plain(tensor):
    return {"shape": list(tensor.shape), "values": tensor.detach().reshape(-1).tolist()}


cases = []
for name, (shape, layers) in NETWORKS.items():
    samples = values(SAMPLES, *shape)
    omegas = importance(layers, samples)
    cases.append({"name": name, "inputShape": shape, "samples": plain(samples),
                  "layers": [{**spec, "weights": [plain(w) for w in spec.get("weights", [])]} for spec in layers],
                  "importance": [plain(omega) for omega in omegas]})
json.dump(cases, sys.stdout, separators=(",", ":"))
print()
