#!/usr/bin/env python3
"""Importance in PyTorch on the benchmark networks, on the CPU: what a user would write, and what an expert would.

    python3 bench/peers.py            (needs python3-torch; try OPENBLAS_CORETYPE=SkylakeX on AVX-512 machines)

loop    one backward pass a sample: the definition
expert  hooks: per-sample gradients by unfold + bmm, layer by layer, |.| summed over the batch
step    forward + backward + SGD on the same batch, the yardstick
All are exact but `batch`, which takes |gradient of the batch| as most libraries do and is shown for its error.
"""
import json
import os
import statistics
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
torch.set_num_threads(os.cpu_count())


def mlp():
    return nn.Sequential(nn.Linear(784, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10))


def cnn():
    return nn.Sequential(
        nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64 * 49, 512), nn.ReLU(), nn.Linear(512, 10))


NETWORKS = {"MLP 784-1024-1024-10, B = 128": (mlp, (784,), 128),
            "CNN conv 32, 64 (5x5), fc 512, B = 64": (cnn, (1, 28, 28), 64)}


def loop(model, x):
    params = list(model.parameters())
    omega = [torch.zeros_like(p) for p in params]
    for sample in x:
        for o, g in zip(omega, torch.autograd.grad(model(sample[None]).square().sum(), params)):
            o += g.abs()
    return [o / len(x) for o in omega]


def expert(model, x):
    layers = [m for m in model if isinstance(m, (nn.Linear, nn.Conv2d))]
    inputs, outputs = {}, {}

    def keep(module, args, out):
        inputs[module] = args[0].detach()
        out.retain_grad()
        outputs[module] = out

    hooks = [m.register_forward_hook(keep) for m in layers]
    for p in model.parameters():
        p.requires_grad_(False)
    model(x.requires_grad_(True)).square().sum().backward()
    for hook in hooks:
        hook.remove()
    omega = []
    for m in layers:
        a, d = inputs[m], outputs[m].grad
        if isinstance(m, nn.Linear):
            omega += [d.abs().t() @ a.abs(), d.abs().sum(0)]
        else:
            patches = F.unfold(a, m.kernel_size, padding=m.padding, stride=m.stride)
            d = d.flatten(2)
            omega += [torch.bmm(d, patches.transpose(1, 2)).abs().sum(0).view_as(m.weight), d.sum(2).abs().sum(0)]
    for p in model.parameters():
        p.requires_grad_(True)
    return [o / len(x) for o in omega]


def batch(model, x):
    params = list(model.parameters())
    return [g.abs() for g in torch.autograd.grad(model(x).square().sum(1).mean(), params)]


def step(model, x):
    loss = F.cross_entropy(model(x), torch.zeros(len(x), dtype=torch.long))
    with torch.no_grad():
        for p, g in zip(model.parameters(), torch.autograd.grad(loss, list(model.parameters()))):
            p.sub_(g, alpha=1e-4)


def main():
    rows = []
    for title, (make, shape, size) in NETWORKS.items():
        model, x = make(), torch.randn(size, *shape)
        exact = loop(model, x)
        error = {name: max(((a - b).norm() / b.norm()).item() for a, b in zip(way(model, x.detach().clone()), exact))
                 for name, way in (("expert", expert), ("batch", batch))}
        ways = {"step": step, "expert": expert, "loop": loop}
        times = {name: [] for name in ways}
        for round_ in range(6):
            for name, way in ways.items():
                start = time.perf_counter()
                way(model, x.detach().clone())
                if round_:
                    times[name].append((time.perf_counter() - start) * 1000)
        medians = {name: statistics.median(values) for name, values in times.items()}
        rows.append({"network": title, **{f"{name}_ms": round(value, 2) for name, value in medians.items()},
                     "relative_error": error})
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads(), "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
