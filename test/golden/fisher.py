"""Fisher information and vector importance of a small network, sample by sample in float64 PyTorch.

Run: /usr/bin/python3 test/golden/fisher.py > test/golden/fisher.json
Needs PyTorch (Debian: python3-torch). Weights are stored as TensorFlow.js has them, [fan-in, fan-out].
"""

import json

import torch

torch.set_default_dtype(torch.float64)
torch.manual_seed(6)
SAMPLES, INPUTS, HIDDEN, OUTPUTS = 9, 5, 7, 4


def rounded(tensor):
    """To 32 bits, so that TensorFlow.js starts from the very same numbers."""
    return tensor.float().double()


weights = [
    rounded(torch.randn(INPUTS, HIDDEN) / INPUTS**0.5),
    rounded(0.1 * torch.randn(HIDDEN)),
    rounded(torch.randn(HIDDEN, OUTPUTS) / HIDDEN**0.5),
    rounded(0.1 * torch.randn(OUTPUTS)),
]
x = rounded(torch.randn(SAMPLES, INPUTS))
labels = torch.randint(OUTPUTS, (SAMPLES,))
several = (torch.rand(SAMPLES, OUTPUTS) < 0.5).double()
means = rounded(torch.randn(SAMPLES, OUTPUTS))
for weight in weights:
    weight.requires_grad_(True)


def network(x):
    hidden = torch.relu(x @ weights[0] + weights[1])
    return hidden @ weights[2] + weights[3]


def gradients(value):
    return [g.detach() for g in torch.autograd.grad(value, weights, retain_graph=True)]


def squares(value, factor=1.0):
    return [factor * g**2 for g in gradients(value)]


def mean_over_samples(of_sample):
    total = None
    for b in range(SAMPLES):
        parts = of_sample(b, network(x[b : b + 1])[0])
        total = parts if total is None else [t + p for t, p in zip(total, parts)]
    return [(t / SAMPLES).flatten().tolist() for t in total]


def summed(lists):
    return [sum(parts) for parts in zip(*lists)]


def bernoulli(logits, y):
    return (y * torch.nn.functional.logsigmoid(logits) + (1 - y) * torch.nn.functional.logsigmoid(-logits)).sum()


def all_labellings(b, logits):
    """The definition: every one of the 2^n labellings of independent outputs, weighted by its probability."""
    found = []
    for code in range(2**OUTPUTS):
        y = torch.tensor([float(code >> k & 1) for k in range(OUTPUTS)])
        value = bernoulli(logits, y)
        found.append(squares(value, value.detach().exp()))
    return summed(found)


empirical = {
    "categorical": lambda b, z: squares(torch.log_softmax(z, 0)[labels[b]]),
    "bernoulli": lambda b, z: squares(bernoulli(z, several[b])),
    "gaussian": lambda b, z: squares(-0.5 * ((means[b] - z) ** 2).sum()),
}
expectation = {
    "categorical": lambda b, z: summed(
        [squares(torch.log_softmax(z, 0)[c], torch.softmax(z, 0)[c].detach()) for c in range(OUTPUTS)]
    ),
    "bernoulli": all_labellings,
    "gaussian": lambda b, z: summed([squares(z[k]) for k in range(OUTPUTS)]),
}
vector = mean_over_samples(lambda b, z: summed([[g.abs() for g in gradients(z[k])] for k in range(OUTPUTS)]))

print(
    json.dumps(
        {
            "sizes": [INPUTS, HIDDEN, OUTPUTS],
            "weights": [w.detach().flatten().tolist() for w in weights],
            "x": x.tolist(),
            "targets": {
                "categorical": torch.nn.functional.one_hot(labels, OUTPUTS).tolist(),
                "bernoulli": several.tolist(),
                "gaussian": means.tolist(),
            },
            "empirical": {name: mean_over_samples(of) for name, of in empirical.items()},
            "expectation": {name: mean_over_samples(of) for name, of in expectation.items()},
            "vector": vector,
        }
    )
)
