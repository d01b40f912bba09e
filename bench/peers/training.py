#!/usr/bin/env python3
"""Training steps in PyTorch (SGD, cross entropy) on the benchmark networks, on the CPU.

    python3 bench/peers/training.py     (needs python3-torch; try OPENBLAS_CORETYPE=SkylakeX on AVX-512 machines)

With `serve` as its argument it takes its turns with Engram: `npm run bench -- peers`.
"""
import sys

import torch
import torch.nn.functional as F

from networks import NETWORKS
from turns import among, report, serve


def make(name):
    network, shape, size, classes = NETWORKS[name]
    model, x, y = network(), torch.randn(size, *shape), torch.randint(classes, (size,))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)

    def step():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    return step


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve(make)
    else:
        report([{"network": name, **among({"step_ms": make(name)})} for name in NETWORKS])
