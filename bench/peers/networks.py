"""The networks of bench/networks.mjs, with their batch sizes."""
import torch.nn as nn


def conv(*args, **kwargs):
    return [nn.Conv2d(*args, **kwargs), nn.ReLU()]


def units(fan_in, fan_out):
    return [nn.Linear(fan_in, fan_out), nn.ReLU()]


def mlp():
    return nn.Sequential(*units(784, 1024), *units(1024, 1024), nn.Linear(1024, 10))


def cnn():
    return nn.Sequential(
        *conv(1, 32, 5, padding=2), nn.MaxPool2d(2), *conv(32, 64, 5, padding=2), nn.MaxPool2d(2), nn.Flatten(),
        *units(64 * 49, 512), nn.Linear(512, 10))


def lenet():
    return nn.Sequential(
        *conv(1, 6, 5, padding=2), nn.MaxPool2d(2), *conv(6, 16, 5), nn.MaxPool2d(2), nn.Flatten(),
        *units(16 * 25, 120), *units(120, 84), nn.Linear(84, 10))


def alexnet():
    """The layers of torchvision's, without its average pooling, which does nothing to 224x224 images."""
    return nn.Sequential(
        *conv(3, 64, 11, stride=4, padding=2), nn.MaxPool2d(3, 2), *conv(64, 192, 5, padding=2), nn.MaxPool2d(3, 2),
        *conv(192, 384, 3, padding=1), *conv(384, 256, 3, padding=1), *conv(256, 256, 3, padding=1),
        nn.MaxPool2d(3, 2), nn.Flatten(), nn.Dropout(), *units(256 * 36, 4096), nn.Dropout(), *units(4096, 4096),
        nn.Linear(4096, 1000))


# name: (network, shape of a sample, batch, classes)
NETWORKS = {
    "mlp": (mlp, (784,), 128, 10),
    "cnn": (cnn, (1, 28, 28), 64, 10),
    "lenet": (lenet, (1, 28, 28), 64, 10),
    "alexnet": (alexnet, (3, 224, 224), 8, 1000),
}
