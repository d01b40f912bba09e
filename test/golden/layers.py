"""The layers of the golden networks, in float64 PyTorch, each from its definition.

A layer is a dictionary: `layer` is its name in `tf.layers`, `weights` its weights in the order of TensorFlow.js, the
rest its configuration there. What it does to a sample stands in DEFINITIONS. A sample keeps a batch axis of length 1:
images are [1, height, width, channels], sequences [1, time, features].
"""
import zlib

import numpy as np
import torch
import torch.nn.functional as F


class Draw:
    """Random numbers that are 32-bit values, so that a 32-bit network starts from the same ones."""

    def __init__(self, name=None):
        """Numbers of a case by its name: a case that is added or changed moves no number of another."""
        self.rng = np.random.default_rng(20180908 if name is None else zlib.crc32(name.encode()))

    def __call__(self, *shape, scale=1.0):
        return torch.tensor((self.rng.standard_normal(shape) * scale).astype(np.float32).astype(np.float64))

    def ids(self, *shape, below):
        return torch.tensor(self.rng.integers(0, below, shape))

    def dense(self, inputs, units, activation):
        return {"layer": "dense", "units": units, "activation": activation,
                "weights": [self(inputs, units, scale=0.6), self(units, scale=0.3)]}

    def conv(self, channels, filters, kernel, strides, padding, activation):
        """Conv1D, Conv2D or Conv3D: `kernel` has a size for every axis."""
        return {"layer": f"conv{len(kernel)}d", "filters": filters, "kernelSize": kernel, "strides": strides,
                "padding": padding, "activation": activation,
                "weights": [self(*kernel, channels, filters, scale=0.4), self(filters, scale=0.3)]}

    def conv_transpose(self, channels, filters, kernel, strides, padding, activation):
        return {"layer": "conv2dTranspose", "filters": filters, "kernelSize": kernel, "strides": strides,
                "padding": padding, "activation": activation,
                "weights": [self(*kernel, filters, channels, scale=0.4), self(filters, scale=0.3)]}

    def depthwise(self, channels, multiplier, kernel, stride, padding, activation):
        return {"layer": "depthwiseConv2d", "depthMultiplier": multiplier, "kernelSize": kernel,
                "strides": (stride, stride), "padding": padding, "activation": activation,
                "weights": [self(*kernel, channels, multiplier, scale=0.5), self(channels * multiplier, scale=0.3)]}

    def separable(self, channels, multiplier, filters, kernel, stride, padding, activation):
        return {"layer": "separableConv2d", "depthMultiplier": multiplier, "filters": filters, "kernelSize": kernel,
                "strides": (stride, stride), "padding": padding, "activation": activation,
                "weights": [self(*kernel, channels, multiplier, scale=0.5),
                            self(1, 1, channels * multiplier, filters, scale=0.6), self(filters, scale=0.3)]}

    def batch_norm(self, channels):
        return {"layer": "batchNormalization", "epsilon": 1e-3,
                "weights": [self(channels, scale=0.1) + 1, self(channels), self(channels), self(channels).abs() + 0.5]}

    def layer_norm(self, width):
        return {"layer": "layerNormalization", "epsilon": 1e-3,
                "weights": [self(width, scale=0.3) + 1, self(width, scale=0.3)]}

    def prelu(self, *alpha, shared_axes=None):
        shared = {} if shared_axes is None else {"sharedAxes": shared_axes}
        return {"layer": "prelu", **shared, "weights": [self(*alpha, scale=0.5)]}

    def embedding(self, vocabulary, width, length):
        return {"layer": "embedding", "inputDim": vocabulary, "outputDim": width, "inputLength": length,
                "weights": [self(vocabulary, width)]}

    def recurrent(self, layer, inputs, units, sequences=False, gates=None):
        """`layer` is simpleRNN, lstm or gru; `gates` their activation, by default TensorFlow.js' own: hardSigmoid."""
        width = units * {"simpleRNN": 1, "lstm": 4, "gru": 3}[layer]
        chosen = {} if gates is None else {"recurrentActivation": gates}
        return {"layer": layer, "units": units, "returnSequences": sequences, **chosen,
                "weights": [self(inputs, width, scale=0.7), self(units, width, scale=0.7), self(width, scale=0.4)]}


def bidirectional(forward, backward, merge):
    """Two recurrent layers of one configuration."""
    wrapped = {key: value for key, value in forward.items() if key != "weights"}
    return {"layer": "bidirectional", "wrapped": wrapped, "mergeMode": merge,
            "weights": forward["weights"] + backward["weights"]}


def time_distributed(layer):
    wrapped = {key: value for key, value in layer.items() if key != "weights"}
    return {"layer": "timeDistributed", "wrapped": wrapped, "weights": layer["weights"]}


def trainable(layer):
    """All weights but the moving mean and variance, which come last."""
    weights = layer.get("weights", [])
    return weights[:2] if layer["layer"] == "batchNormalization" else weights


ACTIVATIONS = {"linear": lambda x: x, "relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid,
               "hardSigmoid": lambda x: torch.clamp(0.2 * x + 0.5, 0, 1)}


def activate(x, layer):
    return ACTIVATIONS[layer.get("activation", "linear")](x)


def channels_first(x):
    return x.movedim(-1, 1)


def channels_last(x):
    return x.movedim(1, -1)


def pad(x, kernel, strides, padding):
    """Zeros around [1, channels, ...] so that "same" gives ceil(size / stride) outputs; an odd one goes to the end."""
    if padding == "valid":
        return x
    around = []
    for size, k, stride in zip(x.shape[2:], kernel, strides):
        total = max((-(-size // stride) - 1) * stride + k - size, 0)
        around = [total // 2, total - total // 2] + around  # F.pad begins with the last axis
    return F.pad(x, around)


def dense(layer, x):
    kernel, bias = layer["weights"]
    return activate(x @ kernel + bias, layer)


def conv(layer, x):
    kernel, bias = layer["weights"]
    convolve = {"conv1d": F.conv1d, "conv2d": F.conv2d, "conv3d": F.conv3d}[layer["layer"]]
    padded = pad(channels_first(x), layer["kernelSize"], layer["strides"], layer["padding"])
    # [...size, in, out] to [out, in, ...size]
    y = convolve(padded, kernel.movedim(-1, 0).movedim(-1, 1), bias, stride=layer["strides"])
    return activate(channels_last(y), layer)


def conv_transpose(layer, x):
    """Each pixel adds a kernel [h, w, out, in] to the output, `strides` apart; "same" cuts size * stride from that."""
    kernel, bias = layer["weights"]
    _, height, width, _ = x.shape
    (kh, kw), (sh, sw) = layer["kernelSize"], layer["strides"]
    full = torch.zeros(1, (height - 1) * sh + max(kh, sh), (width - 1) * sw + max(kw, sw), kernel.shape[2],
                       dtype=torch.float64)
    for i in range(height):
        for j in range(width):
            stamp = torch.einsum("hwoc,c->hwo", kernel, x[0, i, j])
            around = (0, 0, j * sw, full.shape[2] - j * sw - kw, i * sh, full.shape[1] - i * sh - kh)
            full = full + F.pad(stamp, around)
    if layer["padding"] == "same":
        top, left = max(kh - sh, 0) // 2, max(kw - sw, 0) // 2
        full = full[:, top:top + height * sh, left:left + width * sw]
    return activate(full + bias, layer)


def depthwise_convolve(layer, kernel, x):
    """Output channel c * multiplier + m is input channel c filtered with kernel[:, :, c, m]."""
    padded = pad(channels_first(x), layer["kernelSize"], layer["strides"], layer["padding"])
    filters = [kernel[:, :, c, m] for c in range(kernel.shape[2]) for m in range(kernel.shape[3])]
    y = F.conv2d(padded, torch.stack(filters)[:, None], stride=layer["strides"], groups=kernel.shape[2])
    return channels_last(y)


def depthwise(layer, x):
    kernel, bias = layer["weights"]
    return activate(depthwise_convolve(layer, kernel, x) + bias, layer)


def separable(layer, x):
    kernel, pointwise, bias = layer["weights"]
    return activate(depthwise_convolve(layer, kernel, x) @ pointwise[0, 0] + bias, layer)


def max_pool(layer, x):
    return channels_last(F.max_pool2d(channels_first(x), layer["poolSize"]))


def batch_norm(layer, x):
    gamma, beta, mean, variance = layer["weights"]
    return gamma * (x - mean) / torch.sqrt(variance + layer["epsilon"]) + beta


def normalize(x, gamma, beta, epsilon):
    """Layer normalisation: over the last axis, with the variance of the elements there (Ba et al. 2016)."""
    centred = x - x.mean(-1, keepdim=True)
    return gamma * centred / torch.sqrt(centred.square().mean(-1, keepdim=True) + epsilon) + beta


def prelu(layer, x):
    return torch.where(x >= 0, x, layer["weights"][0] * x)


def simple_rnn(layer, x):
    kernel, recurrent, bias = layer["weights"]
    h = torch.zeros(1, layer["units"], dtype=torch.float64)
    states = []
    for t in range(x.shape[1]):
        h = torch.tanh(x[:, t] @ kernel + h @ recurrent + bias)
        states.append(h)
    return torch.stack(states, 1) if layer["returnSequences"] else h


def lstm(layer, x):
    """Gates in the order input, forget, cell, output."""
    kernel, recurrent, bias = layer["weights"]
    gate = ACTIVATIONS[layer.get("recurrentActivation", "hardSigmoid")]
    h = c = torch.zeros(1, layer["units"], dtype=torch.float64)
    states = []
    for t in range(x.shape[1]):
        i, f, candidate, o = (x[:, t] @ kernel + h @ recurrent + bias).chunk(4, -1)
        c = gate(f) * c + gate(i) * torch.tanh(candidate)
        h = gate(o) * torch.tanh(c)
        states.append(h)
    return torch.stack(states, 1) if layer["returnSequences"] else h


def gru(layer, x):
    """Gates in the order update, reset, candidate; the reset acts on the state before its matrix product."""
    kernel, recurrent, bias = layer["weights"]
    gate = ACTIVATIONS[layer.get("recurrentActivation", "hardSigmoid")]
    update, reset, state = recurrent.chunk(3, -1)
    h = torch.zeros(1, layer["units"], dtype=torch.float64)
    states = []
    for t in range(x.shape[1]):
        xz, xr, xh = (x[:, t] @ kernel + bias).chunk(3, -1)
        z = gate(xz + h @ update)
        r = gate(xr + h @ reset)
        h = z * h + (1 - z) * torch.tanh(xh + (r * h) @ state)
        states.append(h)
    return torch.stack(states, 1) if layer["returnSequences"] else h


def both_directions(layer, x):
    """The second half of the weights reads the sequence from its end; its outputs are put back in the order of time."""
    half = len(layer["weights"]) // 2
    forward = apply({**layer["wrapped"], "weights": layer["weights"][:half]}, x)
    backward = apply({**layer["wrapped"], "weights": layer["weights"][half:]}, x.flip(1))
    if layer["wrapped"]["returnSequences"]:
        backward = backward.flip(1)
    return torch.cat([forward, backward], -1) if layer["mergeMode"] == "concat" else forward + backward


def every_step(layer, x):
    inner = {**layer["wrapped"], "weights": layer["weights"]}
    return torch.stack([apply(inner, x[:, t]) for t in range(x.shape[1])], 1)


DEFINITIONS = {
    "activation": lambda layer, x: activate(x, layer),
    "flatten": lambda layer, x: x.reshape(1, -1),
    "embedding": lambda layer, x: layer["weights"][0][x],
    "layerNormalization": lambda layer, x: normalize(x, *layer["weights"], layer["epsilon"]),
    "dense": dense, "conv1d": conv, "conv2d": conv, "conv3d": conv, "conv2dTranspose": conv_transpose,
    "depthwiseConv2d": depthwise, "separableConv2d": separable, "maxPooling2d": max_pool,
    "batchNormalization": batch_norm, "prelu": prelu, "simpleRNN": simple_rnn, "lstm": lstm, "gru": gru,
    "bidirectional": both_directions, "timeDistributed": every_step,
}


def apply(layer, x):
    """What a layer makes of one sample [1, ...]."""
    return DEFINITIONS[layer["layer"]](layer, x)
