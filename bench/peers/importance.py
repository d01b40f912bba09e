#!/usr/bin/env python3
"""Importance in PyTorch on the benchmark networks, on the CPU: what a user would write, and what an expert would.

    python3 bench/peers/importance.py   (needs python3-torch; try OPENBLAS_CORETYPE=SkylakeX on AVX-512 machines)

loop    one backward pass a sample: the definition
vmap    functorch's vmap(grad): per-sample gradients in one piece, |.| averaged over the batch
expert  hooks: per-sample gradients by unfold + bmm, layer by layer, |.| summed over the batch
step    forward + backward + SGD on the same batch, the yardstick
All are exact but `batch`, which takes |gradient of the batch| as most libraries do and is shown for its error.

With `serve` as its argument it takes its turns with Engram: `npm run bench -- peers`.
"""
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F

from networks import NETWORKS
from turns import among, report, serve


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


def vmap(model, x):
    import functorch  # beside torch 1.13

    function, params = functorch.make_functional(model)
    square = lambda p, sample: function(p, sample[None]).square().sum()
    gradients = functorch.vmap(functorch.grad(square), in_dims=(None, 0))(params, x)
    return [g.abs().mean(0) for g in gradients]


def batch(model, x):
    params = list(model.parameters())
    return [g.abs() for g in torch.autograd.grad(model(x).square().sum(1).mean(), params)]


def step(model, x):
    loss = F.cross_entropy(model(x), torch.zeros(len(x), dtype=torch.long))
    with torch.no_grad():
        for p, g in zip(model.parameters(), torch.autograd.grad(loss, list(model.parameters()))):
            p.sub_(g, alpha=1e-4)


WAYS = {"step": step, "expert": expert, "vmap": vmap, "loop": loop}


def make(name):
    """`name` is that of a network and that of a way, with a space between them."""
    network, way = name.split(" ")
    build, shape, size, _ = NETWORKS[network]
    model, x = build(), torch.randn(size, *shape)
    return lambda: WAYS[way](model, x.detach().clone())


def errors(name):
    """Relative error of each way, in norm, of the parameter that has the largest."""
    build, shape, size, _ = NETWORKS[name]
    model, x = build(), torch.randn(size, *shape)
    exact = loop(model, x)
    return {way.__name__: max(((a - b).norm() / b.norm()).item() for a, b in zip(way(model, x.detach().clone()), exact))
            for way in (expert, vmap, batch)}


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve(make)
    else:
        report([{"network": name, **among({f"{way}_ms": make(f"{name} {way}") for way in WAYS}),
                 "relative_error": errors(name)} for name in ("mlp", "cnn")])
