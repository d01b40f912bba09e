#!/usr/bin/env python3
"""Golden numbers of path integrals and of the variants of MAS, in float64 PyTorch, each from its formula.

Independent of Engram and of TensorFlow.js: training steps are written out with autograd's gradients, importance as the
docstrings of the methods state it. Needs python3-torch; run

    python3 test/golden/penalties.py > test/golden/penalties.json
"""
import itertools
import json
import sys

import torch
import torch.nn.functional as F

from layers import Draw

INPUTS, HIDDEN, CLASSES = 5, 7, 4
STEPS, BATCH = 20, 8
SAMPLES = 32  # a task's
RATE, MOMENTUM, LAMBDA = 0.1, 0.9, 0.4
XI = 0.01
ALPHA, INTERVAL, EPSILON = 0.9, 6, 1e-3
RAGGED, RAGGED_BATCH = 19, 8  # two whole batches and one of three


def forward(x, theta):
    w1, b1, w2, b2 = theta
    return F.relu(x @ w1 + b1) @ w2 + b2


def gradients(value, theta):
    return torch.autograd.grad(value, theta)


def penalty(theta, omega, anchor):
    return LAMBDA * sum((o * (p - a) ** 2).sum() for p, o, a in zip(theta, omega, anchor))


def train(theta, x, y, held, see):
    """SGD with momentum on mean cross-entropy and penalty; `see` is told the task's gradient, theta before and after."""
    theta = [p.clone() for p in theta]
    velocity = [torch.zeros_like(p) for p in theta]
    for step in range(STEPS):
        rows = slice(step % (SAMPLES // BATCH) * BATCH, step % (SAMPLES // BATCH) * BATCH + BATCH)
        variables = [p.clone().requires_grad_() for p in theta]
        task = gradients(F.cross_entropy(forward(x[rows], variables), y[rows]), variables)
        pull = [torch.zeros_like(p) for p in theta]
        if held:
            pull = gradients(penalty(variables, *held), variables)
        before = theta
        velocity = [MOMENTUM * v + g + q for v, g, q in zip(velocity, task, pull)]
        theta = [p - RATE * v for p, v in zip(theta, velocity)]
        see(task, before, theta)
    return theta


def synaptic_intelligence(theta, tasks):
    omega, held, results = None, None, []
    for x, y in tasks:
        w = [torch.zeros_like(p) for p in theta]

        def see(task, before, after):
            for i in range(len(w)):
                w[i] = w[i] - task[i] * (after[i] - before[i])

        start, theta = theta, train(theta, x, y, held, see)
        results.append({"penalty": float(penalty(theta, *held)) if held else 0.0, "path": values(w)})
        new = [torch.clamp(wi, min=0) / ((p - s) ** 2 + XI) for wi, p, s in zip(w, theta, start)]
        omega = new if omega is None else [a + b for a, b in zip(omega, new)]
        held = (omega, theta)
        results[-1].update(theta=values(theta), omega=values(omega))
    return results


def unit_range(tensors):
    low, high = min(t.min() for t in tensors), max(t.max() for t in tensors)
    return [(t - low) / (high - low) for t in tensors]


def riemannian_walk(theta, tasks):
    fisher, score, held, results = None, None, None, []
    for x, y in tasks:
        steps = []
        start, theta = theta, train(theta, x, y, held, lambda *step: steps.append(step))
        result = {"penalty": float(penalty(theta, *held)) if held else 0.0}
        gained = [torch.zeros_like(p) for p in theta]
        for first in range(0, STEPS, INTERVAL):
            part = steps[first:first + INTERVAL]
            for i in range(len(theta)):
                w = -sum(task[i] * (after[i] - before[i]) for task, before, after in part)
                way = part[-1][2][i] - part[0][1][i]
                now = sum(task[i] ** 2 for task, _, _ in part) / len(part)
                if first == 0 and fisher is None:
                    gained[i] += torch.clamp(w / (0.5 * now * way ** 2 + EPSILON), min=0)
                    continue
                gained[i] += torch.clamp(w / (0.5 * fisher[i] * way ** 2 + EPSILON), min=0)
                fisher[i] = ALPHA * now + (1 - ALPHA) * fisher[i]
            if fisher is None:
                fisher = [sum(task[i] ** 2 for task, _, _ in part) / len(part) for i in range(len(theta))]
        score = gained if score is None else [(a + b) / 2 for a, b in zip(score, gained)]
        omega = [f + s for f, s in zip(unit_range(fisher), unit_range(score))]
        held = (omega, theta)
        results.append({**result, "theta": values(theta), "fisher": values(fisher), "score": values(score),
                        "omega": values(omega)})
    return results


def per_sample(function, theta, samples):
    """(1/N) sum_b |d function(x_b) / dtheta|, one sample at a time."""
    total = [torch.zeros_like(p) for p in theta]
    for x in samples:
        variables = [p.clone().requires_grad_() for p in theta]
        for sum_, g in zip(total, gradients(function([t[None] for t in x], variables), variables)):
            sum_ += g.abs() / len(samples)
    return total


def local_mas(draw):
    """Dense + ReLU; a dense layer that is used twice, each time before a tanh of its own; dense + softmax."""
    x = draw(SAMPLES, INPUTS)
    first = [draw(INPUTS, HIDDEN, scale=0.6), draw(HIDDEN, scale=0.3)]
    shared = [draw(HIDDEN, HIDDEN, scale=0.6), draw(HIDDEN, scale=0.3)]
    last = [draw(HIDDEN, CLASSES, scale=0.6), draw(CLASSES, scale=0.3)]
    dense = lambda h, w: h @ w[0] + w[1]
    h1 = F.relu(dense(x, first))
    h2 = torch.tanh(dense(h1, shared))
    h3 = torch.tanh(dense(h2, shared))
    square = lambda y: (y ** 2).sum()
    omega = [
        *per_sample(lambda i, w: square(F.relu(dense(i[0], w))), first, [(a,) for a in x]),
        *per_sample(lambda i, w: square(torch.tanh(dense(i[0], w))) + square(torch.tanh(dense(i[1], w))), shared,
                    list(zip(h1, h2))),
        *per_sample(lambda i, w: square(dense(i[0], w)), last, [(a,) for a in h3]),  # the logits of the softmax
    ]
    return {"samples": values([x])[0], "weights": values([*first, *shared, *last]), "omega": values(omega)}


def presets(draw, theta):
    """Batches in order. FACIL has a second head, whose outputs come before the task's."""
    x = draw(RAGGED, INPUTS)
    other = [draw(HIDDEN, 3, scale=0.6), draw(3, scale=0.3)]
    batches = torch.split(x, RAGGED_BATCH)
    variables = [p.clone().requires_grad_() for p in theta]

    official, index = [torch.zeros_like(p) for p in theta], 0
    for batch in batches:
        g = gradients((forward(batch, variables) ** 2).sum(), variables)
        size = len(batch)
        official = [(o * (index * size) + gi.abs()) / ((index + 1) * size) for o, gi in zip(official, g)]
        index += 1

    avalanche = [torch.zeros_like(p) for p in theta]
    for batch in batches:
        g = gradients(torch.norm(forward(batch, variables), p="fro", dim=1).pow(2).mean(), variables)
        avalanche = [o + gi.abs() for o, gi in zip(avalanche, g)]
    avalanche = [o / len(batches) for o in avalanche]

    facil = [torch.zeros_like(p) for p in theta[:2]]
    whole = RAGGED // RAGGED_BATCH
    for batch in itertools.islice(batches, whole):
        hidden = F.relu(batch @ variables[0] + variables[1])
        heads = [hidden @ other[0] + other[1], hidden @ variables[2] + variables[3]]
        g = gradients(torch.norm(torch.cat(heads, dim=1), p=2, dim=1).mean(), variables[:2])
        facil = [o + gi.abs() * len(batch) for o, gi in zip(facil, g)]
    facil = [o / (whole * RAGGED_BATCH) for o in facil]

    return {"samples": values([x])[0], "batchSize": RAGGED_BATCH, "otherHead": values(other),
            "official": values(official), "avalanche": values(avalanche), "facil": values(facil)}


def values(tensors):
    return [{"shape": list(t.shape), "values": t.detach().reshape(-1).tolist()} for t in tensors]


def main():
    draw = Draw("methods a")
    theta = [draw(INPUTS, HIDDEN, scale=0.6), draw(HIDDEN, scale=0.3), draw(HIDDEN, CLASSES, scale=0.6),
             draw(CLASSES, scale=0.3)]
    tasks = []
    for _ in range(2):
        x = draw(SAMPLES, INPUTS)
        tasks.append((x, (x @ draw(INPUTS, CLASSES)).argmax(1)))
    return {
        "steps": STEPS, "batchSize": BATCH, "learningRate": RATE, "momentum": MOMENTUM, "lambda": LAMBDA, "xi": XI,
        "alpha": ALPHA, "interval": INTERVAL, "epsilon": EPSILON, "weights": values(theta),
        "tasks": [{"x": values([x])[0], "y": values([F.one_hot(y, CLASSES)])[0]} for x, y in tasks],
        "synapticIntelligence": synaptic_intelligence(theta, tasks),
        "riemannianWalk": riemannian_walk(theta, tasks),
        "localMas": local_mas(draw),
        "presets": presets(draw, theta),
    }


if __name__ == "__main__":
    json.dump(main(), sys.stdout, separators=(",", ":"))
    print()
