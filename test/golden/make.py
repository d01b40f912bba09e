#!/usr/bin/env python3
"""Golden importance: MAS as the paper defines it, in float64 PyTorch, one sample at a time.

Independent of Engram and of TensorFlow.js: networks are written out here and in layers.py from their definitions,
gradients come from autograd, importance is the mean over samples of |d ||F(x)||^2 / d theta|. Needs python3-torch; run

    python3 test/golden/make.py > test/golden/importance.json

To add a case: a network of layers is one entry in `layer_networks`. Any other network is a function here and a function
of the same name in test/golden.ts.
"""
import json
import sys

import torch

from layers import Draw, apply, bidirectional, normalize, time_distributed, trainable

SAMPLES = 9


def flatten():
    return {"layer": "flatten"}


def first_networks(draw):
    """The oldest cases, which share one stream of random numbers: input shape and layers by name."""
    return {
        "MLP, relu and softmax head": ([6], [
            draw.dense(6, 16, "relu"), draw.dense(16, 12, "relu"), draw.dense(12, 5, "softmax")]),
        "MLP, tanh and linear head": ([7], [draw.dense(7, 9, "tanh"), draw.dense(9, 3, "linear")]),
        "MLP, sigmoid head": ([5], [draw.dense(5, 8, "relu"), draw.dense(8, 2, "sigmoid")]),
        "CNN, same and valid padding, strides, pooling": ([9, 8, 2], [
            draw.conv(2, 5, (3, 3), (1, 1), "same", "relu"), {"layer": "maxPooling2d", "poolSize": 2},
            draw.conv(5, 6, (3, 2), (2, 1), "valid", "linear"), flatten(), draw.dense(6 * 1 * 3, 4, "softmax")]),
        "CNN, batch normalisation, same padding with stride": ([8, 7, 3], [
            draw.conv(3, 4, (3, 3), (2, 2), "same", "linear"), draw.batch_norm(4),
            {"layer": "activation", "activation": "relu"}, draw.conv(4, 5, (1, 1), (1, 1), "valid", "relu"), flatten(),
            draw.dense(4 * 4 * 5, 3, "linear")]),
    }


def layer_networks():
    """Input shape and layers by name, drawn from a stream of the case's own."""
    return {
        "Conv1D, same and valid padding, strides": ([7, 2], lambda draw: [
            draw.conv(2, 3, (3,), (2,), "same", "relu"), draw.conv(3, 2, (2,), (1,), "valid", "tanh"), flatten(),
            draw.dense(3 * 2, 3, "linear")]),
        "Conv3D, same and valid padding, strides": ([3, 4, 3, 2], lambda draw: [
            draw.conv(2, 3, (2, 3, 2), (1, 2, 2), "same", "tanh"),
            draw.conv(3, 2, (2, 1, 2), (1, 1, 1), "valid", "relu"), flatten(),
            draw.dense(2 * 2 * 1 * 2, 3, "linear")]),
        "Conv2DTranspose, same and valid padding, strides": ([3, 2, 2], lambda draw: [
            draw.conv_transpose(2, 3, (3, 3), (2, 1), "same", "tanh"),
            draw.conv_transpose(3, 1, (2, 3), (1, 2), "valid", "linear"), flatten()]),
        "depthwise convolution, same and valid padding, strides": ([6, 5, 2], lambda draw: [
            draw.depthwise(2, 2, (3, 2), 2, "same", "tanh"), draw.depthwise(4, 1, (2, 2), 1, "valid", "linear"),
            flatten(), draw.dense(2 * 2 * 4, 2, "linear")]),
        "separable convolution, same and valid padding, strides": ([5, 6, 2], lambda draw: [
            draw.separable(2, 2, 3, (3, 3), 2, "same", "relu"), draw.separable(3, 1, 2, (2, 2), 1, "valid", "linear"),
            flatten(), draw.dense(2 * 2 * 2, 2, "sigmoid")]),
        "embedding": ([5], lambda draw: [
            draw.embedding(6, 3, 5), {"layer": "activation", "activation": "tanh"}, flatten(),
            draw.dense(5 * 3, 3, "softmax")]),
        "SimpleRNN": ([4, 2], lambda draw: [
            draw.recurrent("simpleRNN", 2, 4, sequences=True), draw.recurrent("simpleRNN", 4, 3)]),
        "LSTM": ([4, 2], lambda draw: [draw.recurrent("lstm", 2, 3), draw.dense(3, 2, "softmax")]),
        "LSTM, sigmoid gates, every step": ([4, 3], lambda draw: [
            draw.recurrent("lstm", 3, 2, sequences=True, gates="sigmoid")]),
        "GRU": ([4, 2], lambda draw: [draw.recurrent("gru", 2, 3), draw.dense(3, 2, "linear")]),
        "GRU, sigmoid gates, every step": ([4, 3], lambda draw: [
            draw.recurrent("gru", 3, 3, sequences=True, gates="sigmoid")]),
        "bidirectional LSTM, every step, concatenated": ([3, 2], lambda draw: [
            bidirectional(*(draw.recurrent("lstm", 2, 2, sequences=True) for _ in range(2)), "concat"), flatten(),
            draw.dense(3 * 4, 2, "linear")]),
        "bidirectional GRU, added": ([3, 2], lambda draw: [
            bidirectional(*(draw.recurrent("gru", 2, 3, gates="sigmoid") for _ in range(2)), "sum")]),
        "TimeDistributed dense": ([4, 3], lambda draw: [
            time_distributed(draw.dense(3, 4, "tanh")), draw.recurrent("simpleRNN", 4, 2)]),
        "TimeDistributed Conv2D": ([3, 3, 3, 1], lambda draw: [
            time_distributed(draw.conv(1, 2, (2, 2), (1, 1), "valid", "tanh")), flatten(),
            draw.dense(3 * 2 * 2 * 2, 2, "linear")]),
        "layer normalisation": ([3, 4], lambda draw: [
            draw.layer_norm(4), draw.dense(4, 5, "tanh"), draw.layer_norm(5), flatten(),
            draw.dense(3 * 5, 2, "linear")]),
        "PReLU": ([4, 4, 2], lambda draw: [
            draw.conv(2, 3, (3, 3), (1, 1), "valid", "linear"), draw.prelu(1, 1, 3, shared_axes=[1, 2]), flatten(),
            draw.dense(2 * 2 * 3, 5, "linear"), draw.prelu(5), draw.dense(5, 2, "linear")]),
    }


def transformer_block(x, scale_1, offset_1, query, key, value, out, scale_2, offset_2, expand, expand_bias, contract,
                      contract_bias):
    """x [1, L, W]: attention with two heads and a perceptron, each on normalised inputs and added to them."""
    normal = normalize(x, scale_1, offset_1, 1e-3)[0]
    heads = []
    for q, k, v in zip((normal @ query).chunk(2, -1), (normal @ key).chunk(2, -1), (normal @ value).chunk(2, -1)):
        heads.append(torch.softmax(q @ k.T / q.shape[-1] ** 0.5, -1) @ v)
    x = x + torch.cat(heads, -1) @ out
    normal = normalize(x, scale_2, offset_2, 1e-3)
    return x + torch.relu(normal @ expand + expand_bias) @ contract + contract_bias


def dense_used_twice(x, kernel, bias):
    return torch.tanh(x @ kernel + bias) @ kernel + bias


def tied_embedding(words, table):
    """words [1, L]: the table embeds them, and gives the logits of every word of the vocabulary."""
    return torch.tanh(table[words].mean(1)) @ table.T


def weight_normalisation(x, direction, gain, bias, kernel):
    """Salimans and Kingma 2016: each unit's weights are its direction's, of length 1, times its gain."""
    return torch.tanh(x @ (gain * direction / direction.square().sum(0).sqrt()) + bias) @ kernel


def two_inputs_two_outputs(x, sequence, left, left_bias, right, first, second, second_bias):
    """x [1, P] and sequence [1, L, Q] meet; one output reads what x became, the other every step of both."""
    a = torch.tanh(x @ left + left_bias)
    return a @ first, (a[:, None] * torch.tanh(sequence @ right)) @ second + second_bias


def code_networks():
    """Inputs and weights, by their names, of every network in plain code, drawn from a stream of its own."""
    return {
        transformer_block: lambda draw: ([draw(SAMPLES, 3, 4)], {
            "scale_1": draw(4, scale=0.3) + 1, "offset_1": draw(4, scale=0.3),
            **{name: draw(4, 4, scale=0.7) for name in ("query", "key", "value", "out")},
            "scale_2": draw(4, scale=0.3) + 1, "offset_2": draw(4, scale=0.3),
            "expand": draw(4, 6, scale=0.6), "expand_bias": draw(6, scale=0.3),
            "contract": draw(6, 4, scale=0.6), "contract_bias": draw(4, scale=0.3)}),
        dense_used_twice: lambda draw: ([draw(SAMPLES, 4)], {
            "kernel": draw(4, 4, scale=0.6), "bias": draw(4, scale=0.3)}),
        tied_embedding: lambda draw: ([draw.ids(SAMPLES, 3, below=6)], {"table": draw(6, 3)}),
        weight_normalisation: lambda draw: ([draw(SAMPLES, 4)], {
            "direction": draw(4, 5), "gain": draw(5), "bias": draw(5, scale=0.3), "kernel": draw(5, 2, scale=0.6)}),
        two_inputs_two_outputs: lambda draw: ([draw(SAMPLES, 3), draw(SAMPLES, 2, 4)], {
            "left": draw(3, 4, scale=0.6), "left_bias": draw(4, scale=0.3), "right": draw(4, 4, scale=0.6),
            "first": draw(4, 2, scale=0.6), "second": draw(4, 3, scale=0.6), "second_bias": draw(3, scale=0.3)}),
    }


def logits(layers, x):
    """F for one sample x [1, ...]: the network without a final softmax or sigmoid."""
    *before, last = layers
    if last.get("activation") in ("softmax", "sigmoid"):
        last = {**last, "activation": "linear"}
    for layer in [*before, last]:
        x = apply(layer, x)
    return x


def importance(forward, weights, inputs):
    """Mean over samples of |d ||F(x)||^2 / d theta|, all outputs of F together."""
    for w in weights:
        w.requires_grad_(True)
    total = [torch.zeros_like(w) for w in weights]
    for b in range(SAMPLES):
        outputs = forward(*(x[b:b + 1] for x in inputs))
        norm = sum(y.square().sum() for y in (outputs if isinstance(outputs, tuple) else (outputs,)))
        for omega, g in zip(total, torch.autograd.grad(norm, weights)):
            omega += g.abs()
    return [omega / SAMPLES for omega in total]


def plain(tensor):
    dtype = {} if tensor.is_floating_point() else {"dtype": "int32"}
    return {"shape": list(tensor.shape), **dtype, "values": tensor.detach().reshape(-1).tolist()}


def layers_case(name, shape, layers, samples):
    omegas = importance(lambda x: logits(layers, x), [w for layer in layers for w in trainable(layer)], [samples])
    return {"name": name, "inputShape": shape, "samples": plain(samples),
            "layers": [{**layer, "weights": [plain(w) for w in layer.get("weights", [])]} for layer in layers],
            "importance": [plain(omega) for omega in omegas]}


def code_case(network, inputs, weights):
    omegas = importance(lambda *x: network(*x, **weights), list(weights.values()), inputs)
    return {"name": network.__name__.replace("_", " "), "samples": [plain(x) for x in inputs],
            "weights": {name: plain(w) for name, w in weights.items()},
            "importance": [plain(omega) for omega in omegas]}


def cases():
    draw = Draw()
    for name, (shape, layers) in first_networks(draw).items():
        yield layers_case(name, shape, layers, draw(SAMPLES, *shape))
    for name, (shape, build) in layer_networks().items():
        draw = Draw(name)
        layers = build(draw)
        vocabulary = layers[0].get("inputDim")
        samples = draw(SAMPLES, *shape) if vocabulary is None else draw.ids(SAMPLES, *shape, below=vocabulary)
        yield layers_case(name, shape, layers, samples)
    for network, build in code_networks().items():
        yield code_case(network, *build(Draw(network.__name__)))


if __name__ == "__main__":
    json.dump(list(cases()), sys.stdout, separators=(",", ":"))
    print()
