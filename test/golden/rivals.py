#!/usr/bin/env python3
"""Golden losses and merged networks: LwF, EBLL and IMM as their papers define them, in float64 PyTorch.

Independent of Engram and of TensorFlow.js: gradients come from autograd, Fisher information from one sample at a time.
The network is a perceptron of one hidden layer, tanh, with two heads; that of IMM has a head for each of three tasks.
Needs python3-torch; run

    python3 test/golden/rivals.py > test/golden/rivals.json
"""
import json
import sys

import torch

from layers import Draw

SAMPLES, INPUTS, FEATURES, OLD, NEW, CODE = 9, 5, 7, 3, 4, 3
TEMPERATURE, LAMBDA, ALPHA, RECONSTRUCTION, FLOOR = 2.0, 1.5, 0.3, 0.05, 1e-8


def plain(tensor):
    return {"shape": list(tensor.shape), "values": tensor.detach().reshape(-1).tolist()}


def all_plain(tensors):
    return {name: plain(tensor) for name, tensor in tensors.items()}


def one_hot(labels, classes):
    return torch.eye(classes, dtype=torch.float64)[labels]


def features(w, x):
    return torch.tanh(x @ w["hidden"] + w["hidden_bias"])


def head(w, f, name):
    return f @ w[name] + w[name + "_bias"]


def log_softmax(z):
    """Spelt out, so that nothing but exp and log is trusted."""
    z = z - z.max(-1, keepdim=True).values
    return z - z.exp().sum(-1, keepdim=True).log()


def loss_case(loss, weights):
    """Value and gradient; 0 where the loss does not depend on a weight."""
    for w in weights.values():
        w.requires_grad_(True)
    value = loss()
    gradients = torch.autograd.grad(value, list(weights.values()), allow_unused=True)
    gradients = [torch.zeros_like(w) if g is None else g for w, g in zip(weights.values(), gradients)]
    return {"value": value.item(), "gradient": all_plain(dict(zip(weights, gradients)))}


def draw_network(draw, heads):
    weights = {"hidden": draw(INPUTS, FEATURES, scale=0.6), "hidden_bias": draw(FEATURES, scale=0.3)}
    for name, outputs in heads.items():
        weights[name] = draw(FEATURES, outputs, scale=0.6)
        weights[name + "_bias"] = draw(outputs, scale=0.3)
    return weights


def losses():
    """What LwF and EBLL add to the loss once the network has moved from `before` to `now`."""
    draw = Draw("rivals losses")
    heads = {"old": OLD, "new": NEW}
    before, now = draw_network(draw, heads), draw_network(draw, heads)
    x = draw(SAMPLES, INPUTS)
    encoders = [{"kernel": draw(FEATURES, CODE, scale=0.6), "bias": draw(CODE, scale=0.3)} for _ in range(2)]
    # Answers are softened as the paper's equation 3 has it: probabilities to the power of 1 / T, normalised.
    y = log_softmax(head(before, features(before, x), "old")).exp() ** (1 / TEMPERATURE)
    y = y / y.sum(1, keepdim=True)
    codes = [torch.sigmoid(features(before, x) @ e["kernel"] + e["bias"]) for e in encoders]

    def distillation():
        z = head(now, features(now, x), "old")
        return -LAMBDA * (y * log_softmax(z / TEMPERATURE)).sum(1).mean()

    def code():
        f = features(now, x)
        return ALPHA / 2 * sum((torch.sigmoid(f @ e["kernel"] + e["bias"]) - c).square().sum(1).mean()
                               for e, c in zip(encoders, codes))

    return {"x": plain(x), "before": all_plain(before), "encoders": [all_plain(e) for e in encoders],
            "temperature": TEMPERATURE, "lambda": LAMBDA, "alpha": ALPHA,
            "distillation": loss_case(distillation, now), "code": loss_case(code, now), "now": all_plain(now)}


def autoencoder():
    draw = Draw("rivals autoencoder")
    f, top = draw(SAMPLES, FEATURES), {"new": draw(FEATURES, NEW, scale=0.6), "new_bias": draw(NEW, scale=0.3)}
    y = one_hot(draw.ids(SAMPLES, below=NEW), NEW)
    w = {"encode": draw(FEATURES, CODE, scale=0.6), "encode_bias": draw(CODE, scale=0.3),
         "decode": draw(CODE, FEATURES, scale=0.6), "decode_bias": draw(FEATURES, scale=0.3)}

    def objective():
        rebuilt = torch.sigmoid(f @ w["encode"] + w["encode_bias"]) @ w["decode"] + w["decode_bias"]
        task = -(y * log_softmax(head(top, rebuilt, "new"))).sum(1)
        return (RECONSTRUCTION * (rebuilt - f).square().sum(1) + task).mean()

    return {"features": plain(f), "targets": plain(y), "head": all_plain(top), "reconstruction": RECONSTRUCTION,
            "weights": all_plain(w), "objective": loss_case(objective, w)}


def fisher(weights, x, y, name):
    """Mean over samples of the squared gradient of log p(y|x), one sample at a time, true labels."""
    own = {k: w.clone().requires_grad_(True) for k, w in weights.items()}
    total = {k: torch.zeros_like(w) for k, w in own.items()}
    for b in range(SAMPLES):
        likelihood = (y[b] * log_softmax(head(own, features(own, x[b:b + 1]), name))).sum()
        for k, g in zip(own, torch.autograd.grad(likelihood, list(own.values()))):
            total[k] += g.square() / SAMPLES
    return total


def moments():
    """Three tasks: weights, data and Fisher of each, and what becomes of the weights that all have."""
    draw = Draw("rivals moments")
    tasks = []
    for k in range(3):
        name = f"head{k}"
        weights = draw_network(draw, {name: OLD})
        x, y = draw(SAMPLES, INPUTS), one_hot(draw.ids(SAMPLES, below=OLD), OLD)
        tasks.append({"weights": weights, "x": x, "y": y, "fisher": fisher(weights, x, y, name)})
    shares = [1.0, 2.0, 0.5]

    def mean(shares, name):
        return sum(a * t["weights"][name] for a, t in zip(shares, tasks)) / sum(shares)

    def mode(shares, name):
        precision = [a * (t["fisher"][name] + FLOOR) for a, t in zip(shares, tasks)]
        return sum(p * t["weights"][name] for p, t in zip(precision, tasks)) / sum(precision)

    merged = {}
    for name in ("hidden", "hidden_bias"):
        merged[name] = {"mean": plain(mean([1, 1, 1], name)), "mode": plain(mode([1, 1, 1], name)),
                        "mean with shares": plain(mean(shares, name)), "mode with shares": plain(mode(shares, name))}
    return {"shares": shares, "merged": merged,
            "tasks": [{"weights": all_plain(t["weights"]), "x": plain(t["x"]), "y": plain(t["y"]),
                       "fisher": all_plain(t["fisher"])} for t in tasks]}


if __name__ == "__main__":
    json.dump({"losses": losses(), "autoencoder": autoencoder(), "moments": moments()}, sys.stdout)
    print()
