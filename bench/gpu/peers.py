#!/usr/bin/env python3
"""Importance and penalized steps in PyTorch on the shapes that bench/gpu/run.mjs writes to stdin; JSON to stdout.

    npm run bench:gpu -- peers           (needs a Python with PyTorch; CUDA unless --peers-device cpu is given)

layers   Omega of one layer from given operands, as an expert computes it: unfold + bmm + a sum of magnitudes;
         products of tokens by bmm, dense layers by one product of magnitudes. TF32 off and on
passes   forward, backward and Omega of whole networks: loop (batch of one, a few samples, extrapolated and said so),
         vmap (torch.func), opacus (hooks that keep the per-sample gradients of all layers, then abs and sum), expert
steps    fused optimizers with the penalty added to the gradient by addcmul_

Every figure is the median of calls after a warm-up, by CUDA events, in rotation over buffers larger than any cache. What
does not fit in memory is measured with half the batch, and again; the row says with which.
"""
import gc
import json
import statistics
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

try:
    from torch.func import functional_call, grad, vmap
except ImportError:  # before PyTorch 2.0
    from functorch import grad, vmap
    from torch.nn.utils.stateless import functional_call

BEYOND_CACHE = 256 * 2**20
LOOPED = 8  # samples of the batch-of-one loop
OUT_OF_MEMORY = getattr(torch.cuda, "OutOfMemoryError", MemoryError)


class Clock:
    """Median milliseconds of calls: `call(i)` is to use set i of the operands that it rotates over."""

    def __init__(self, device, quick):
        self.cuda = device == "cuda"
        self.warm_up, self.budget, self.fewest = (0, 5, 1) if quick else (100, 300, 5)

    def once(self, call, i):
        if not self.cuda:
            start = time.perf_counter()
            call(i)
            return (time.perf_counter() - start) * 1000
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        call(i)
        end.record()
        return begin, end

    def median(self, call):
        spent, i, last = 0.0, 0, 0.0
        while i < 2 or spent < self.warm_up:
            last = self.times(call, i, 1)[0]
            spent += max(last, 0.01)
            i += 1
        runs = max(self.fewest, min(64, int(self.budget / max(last, 1e-3)) + 1))
        return {"ms": statistics.median(self.times(call, i, runs)), "runs": runs}

    def times(self, call, first, count):
        marks = [self.once(call, first + i) for i in range(count)]
        if not self.cuda:
            return marks
        torch.cuda.synchronize()
        return [begin.elapsed_time(end) for begin, end in marks]


def say(text):
    print(text, file=sys.stderr, flush=True)


def tf32(on):
    torch.backends.cuda.matmul.allow_tf32 = on
    torch.backends.cudnn.allow_tf32 = on


def fitting(samples, measure):
    """`measure(batch)` with the largest batch, halved from `samples`, that memory allows."""
    batch = samples
    while True:
        try:
            return {"B": batch, **measure(batch), **({"note": f"B = {samples} is out of memory"} if batch < samples else {})}
        except OUT_OF_MEMORY:
            if batch == 1:
                return {"B": 1, "ms": None, "note": "out of memory with one sample"}
            batch //= 2
        gc.collect()
        torch.cuda.empty_cache()


# Layers: Omega from operands. Activations are NCHW here, as PyTorch has them; tokens [B, L, P]; rows [B, P].


# Two ways to sum magnitudes over the samples; which is faster depends on the shape, and the expert takes that one.
SUMS = {
    "vector_norm": lambda per_sample: torch.linalg.vector_norm(per_sample, ord=1, dim=0),
    "abs_, sum": lambda per_sample: per_sample.abs_().sum(0),
}


def best_sum(measure):
    """The faster of `measure(magnitudes)` over SUMS, which says which it was."""
    return min(({**measure(way), "sum": name} for name, way in SUMS.items()), key=lambda result: result["ms"])


def patches(a, kernel, padding, stride):
    if kernel == (1, 1) and padding == (0, 0):
        return a[:, :, :: stride[0], :: stride[1]].flatten(2)
    return F.unfold(a, kernel, padding=padding, stride=stride)


def operands(kernel, p, batch, device):
    random = lambda *shape: torch.rand(shape, device=device) - 0.5
    if kernel == "grad_moment_dense":
        return random(batch, p["fanIn"]), random(batch, p["fanOut"])
    if p["inHeight"] == 1 and p["filterHeight"] == 1 and p["filterWidth"] == 1:
        return random(batch, p["inWidth"], p["inChannels"]), random(batch, p["outWidth"], p["fanOut"])
    a = random(batch, p["inChannels"], p["inHeight"], p["inWidth"])
    return a, random(batch, p["fanOut"], p["outHeight"], p["outWidth"])


def omega(kernel, p, a, d, magnitudes):
    if kernel == "grad_moment_dense":
        return d.abs().t() @ a.abs()
    if a.dim() == 3:
        return magnitudes(torch.bmm(d.transpose(1, 2), a))
    columns = patches(a, (p["filterHeight"], p["filterWidth"]), (p["padTop"], p["padLeft"]),
                      (p["strideHeight"], p["strideWidth"]))
    return magnitudes(torch.bmm(d.flatten(2), columns.transpose(1, 2)))


def measure_layers(task, device, clock):
    rows = []
    for layer in task["layers"]:
        kernel, p = layer["kernel"], layer["params"]

        def measure(batch):
            first = operands(kernel, p, batch, device)
            size = 4 * sum(t.numel() for t in first)
            count = 2 if task["quick"] else min(64, max(2, -(-BEYOND_CACHE // size)))
            sets = [first] + [operands(kernel, p, batch, device) for _ in range(count - 1)]
            return best_sum(lambda magnitudes: clock.median(lambda i: omega(kernel, p, *sets[i % count], magnitudes)))

        for on in (False, True):
            tf32(on)
            row = {"network": layer["network"], "layer": layer["layer"], "count": layer["count"], "tf32": on}
            rows.append({**row, **fitting(task["samples"], measure)})
        say(f"{layer['network']} {layer['layer']}: {rows[-2]['ms']} ms, TF32 {rows[-1]['ms']} ms")
    return rows


# Networks, from the same JSON as Engram's.


class Block(nn.Module):
    """Two 3x3 convolutions around which the input goes."""

    def __init__(self, into, out, stride):
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(into, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(),
            nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out))
        self.short = nn.Identity()
        if stride > 1 or into != out:
            self.short = nn.Sequential(nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        return F.relu(self.main(x) + self.short(x))


def network(spec):
    shape = spec["input"]
    channels = shape[-1]
    modules, x = [], torch.zeros(1, *(shape if len(shape) == 1 else (shape[2], shape[0], shape[1])))
    for layer in spec["layers"]:
        op, out = layer["op"], layer.get("out")
        if op == "conv":
            module = nn.Conv2d(channels, out, layer["kernel"], layer["stride"], layer["pad"], bias=layer["bias"])
        elif op == "dense":
            module = nn.Linear(channels, out)
        elif op == "norm":
            module = nn.BatchNorm2d(channels)
        elif op == "relu":
            module = nn.ReLU()
        elif op == "pool":
            module = nn.MaxPool2d(layer["size"], layer["stride"], layer["pad"])
        elif op == "average":
            module = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        elif op == "flatten":
            module = nn.Flatten()
        elif op == "block":
            module = Block(channels, out, layer["stride"])
        else:
            raise ValueError(f"no PyTorch module for the operation {op}")
        x = module.eval()(x)
        channels = x.shape[1]
        modules.append(module)
    return nn.Sequential(*modules).eval()


# Whole passes. Each gives Omega as a list in the order of model.parameters().


def loop(model, x):
    params = list(model.parameters())
    total = [torch.zeros_like(p) for p in params]
    for sample in x:
        for o, g in zip(total, torch.autograd.grad(model(sample[None]).square().sum(), params)):
            o += g.abs()
    return total


def by_vmap(model, x):
    params = {name: p.detach() for name, p in model.named_parameters()}
    buffers = dict(model.named_buffers())
    square = lambda p, sample: functional_call(model, {**p, **buffers}, (sample[None],)).square().sum()
    return [g.abs().sum(0) for g in vmap(grad(square), in_dims=(None, 0))(params, x).values()]


def hooked(model, x):
    """Inputs and gradients of the outputs of all layers that have parameters, from one backward pass without theirs."""
    kept = {}

    def keep(module, args, out):
        out.retain_grad()
        kept[module] = (args[0].detach(), out)

    layers = [m for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv2d, nn.BatchNorm2d))]
    hooks = [m.register_forward_hook(keep) for m in layers]
    for p in model.parameters():
        p.requires_grad_(False)
    model(x.detach().requires_grad_(True)).square().sum().backward()
    for hook in hooks:
        hook.remove()
    for p in model.parameters():
        p.requires_grad_(True)
    return [(m, kept[m][0], kept[m][1].grad) for m in layers]


def normalized(m, a):
    shape = (1, -1, 1, 1)
    return (a - m.running_mean.view(shape)) * torch.rsqrt(m.running_var + m.eps).view(shape)


def expert(model, x, magnitudes=SUMS["vector_norm"]):
    found = {}
    for m, a, d in hooked(model, x):
        if isinstance(m, nn.Linear):
            found[m.weight] = d.abs().t() @ a.abs()
            found[m.bias] = d.abs().sum(0)
            continue
        if isinstance(m, nn.BatchNorm2d):
            found[m.weight] = magnitudes((d * normalized(m, a)).sum((2, 3)))
        else:
            columns = patches(a, m.kernel_size, m.padding, m.stride)
            found[m.weight] = magnitudes(torch.bmm(d.flatten(2), columns.transpose(1, 2))).view_as(m.weight)
        if m.bias is not None:
            found[m.bias] = magnitudes(d.sum((2, 3)))
    return [found[p] for p in model.parameters()]


def opacus(model, x):
    """As Opacus does it: the per-sample gradients of every layer are there before any is used."""
    per_sample = {}
    for m, a, d in hooked(model, x):
        if isinstance(m, nn.Linear):
            per_sample[m.weight] = torch.einsum("ni,nj->nij", d, a)
            per_sample[m.bias] = d
            continue
        if isinstance(m, nn.BatchNorm2d):
            per_sample[m.weight] = torch.einsum("nchw->nc", d * normalized(m, a))
        else:
            columns = F.unfold(a, m.kernel_size, padding=m.padding, stride=m.stride)
            gradient = torch.einsum("noq,npq->nop", d.flatten(2), columns)
            per_sample[m.weight] = gradient.view(len(x), *m.weight.shape)
        if m.bias is not None:
            per_sample[m.bias] = d.sum((2, 3))
    return [per_sample[p].abs().sum(0) for p in model.parameters()]


WAYS = {"expert": expert, "opacus": opacus, "vmap": by_vmap, "loop": loop}


def measure_passes(task, device, clock):
    rows = []
    torch.backends.cudnn.benchmark = True
    for name in task["whole"]:
        spec = task["networks"][name]
        model = network(spec).to(device)
        shape = spec["input"] if len(spec["input"]) == 1 else (spec["input"][2], spec["input"][0], spec["input"][1])
        agree(model, torch.randn(3, *shape, device=device), name)
        for way, work in WAYS.items():
            for on in (False, True):
                tf32(on)
                row = {"network": name, "way": way, "tf32": on}
                few = min(LOOPED, task["samples"])

                def measure(batch):
                    x = torch.randn(few if way == "loop" else batch, *shape, device=device)
                    if way == "expert":
                        return best_sum(lambda magnitudes: clock.median(lambda _: work(model, x, magnitudes)))
                    return clock.median(lambda _: work(model, x))

                row.update(fitting(task["samples"], measure))
                if way == "loop" and row["ms"] is not None:
                    row["ms"] *= task["samples"] / few
                    row["note"] = f"extrapolated from {few} samples"
                rows.append(row)
                say(f"{name} {way}{' TF32' if on else ''}: {row['ms']} ms, B = {row['B']}")
        del model
    return rows


def agree(model, x, name):
    """All ways must give the same Omega, or their times compare nothing."""
    tf32(False)
    truth = loop(model, x)
    for way in (expert, opacus, by_vmap):
        for a, b in zip(way(model, x), truth):
            error = ((a - b).norm() / b.norm().clamp_min(1e-30)).item()
            if not error < 1e-3:
                raise RuntimeError(f"{way.__name__} on {name} is off by {error} from the batch-of-one loop")


# Penalized steps.

OPTIMIZERS = {
    "sgd": lambda p, **how: torch.optim.SGD(p, lr=1e-4, **how),
    "momentum": lambda p, **how: torch.optim.SGD(p, lr=1e-4, momentum=0.9, **how),
    "adam": lambda p, **how: torch.optim.Adam(p, lr=1e-4, **how),
}


def measure_steps(task, device, clock):
    rows = []
    for network_name, sizes in task["steps"].items():
        for rule, make in OPTIMIZERS.items():
            how, note = {"fused": True}, None
            count = 2 if task["quick"] else min(16, max(2, -(-BEYOND_CACHE // (16 * sum(sizes)))))
            sets = []
            for _ in range(count):
                thetas, importances, anchors = ([torch.rand(size, device=device) for size in sizes] for _ in range(3))
                thetas = [nn.Parameter(theta) for theta in thetas]
                for theta in thetas:
                    theta.grad = torch.rand_like(theta)
                try:
                    optimizer = make(thetas, **how)
                except (TypeError, RuntimeError) as error:
                    how, note = {}, f"not fused: {error}"
                    optimizer = make(thetas, **how)
                sets.append((thetas, [theta.grad for theta in thetas], importances, anchors, optimizer))

            @torch.no_grad()
            def step(i):
                thetas, gradients, importances, anchors, optimizer = sets[i % count]
                # All variables in few launches, as the fused optimizer itself.
                torch._foreach_addcmul_(gradients, importances, torch._foreach_sub(thetas, anchors), value=2e-6)
                optimizer.step()

            try:
                time_ = clock.median(step)
            except RuntimeError as error:
                say(f"{network_name} {rule}: {error}")
                time_ = {"ms": None}
                note = str(error).split("\n")[0]
            rows.append({"network": network_name, "rule": rule, "parameters": sum(sizes), **time_, **({"note": note} if note else {})})
            say(f"{network_name} {rule}: {rows[-1]['ms']} ms")
    return rows


def main():
    task = json.load(sys.stdin)
    device = task["device"]
    torch.manual_seed(0)
    clock = Clock(device, task["quick"])
    about = {"torch": torch.__version__, "device": device}
    if device == "cuda":
        about.update(name=torch.cuda.get_device_name(), cuda=torch.version.cuda)
    parts = {"layers": measure_layers, "steps": measure_steps, "passes": measure_passes}
    results = {**about, "errors": {}}
    for name, part in parts.items():
        try:
            results[name] = part(task, device, clock)
        except Exception as error:  # what is done counts, whatever becomes of the rest
            results["errors"][name] = f"{type(error).__name__}: {error}"
            say(f"{name}: {results['errors'][name]}")
        gc.collect()
        if device == "cuda":
            torch.cuda.empty_cache()
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
