"""Turned and scaled images by PyTorch in float64, for the tests of views and frames: writes images.json beside it.

    python3 test/golden/images.py

Turning is torch.nn.functional.grid_sample, scaling torch.nn.functional.interpolate with antialias (its widened
triangle); the only thing worked out here is where a pixel of the turned image comes from, with complex numbers.
"""
import cmath
import json
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

rng = np.random.default_rng(17068)


def draw(height, width, channels):
    """Random image of 32-bit values in 0..1, as a batch of one, channels first."""
    return torch.tensor(rng.random((1, channels, height, width)).astype(np.float32).astype(np.float64))


def plain(image):
    """[height, width, channels] in a line."""
    return [round(value, 9) for value in image[0].permute(1, 2, 0).reshape(-1).tolist()]


def turned(image, degrees):
    _, _, height, width = image.shape
    centre = complex((width - 1) / 2, -(height - 1) / 2)
    grid = torch.zeros(1, height, width, 2, dtype=torch.float64)
    for y in range(height):
        for x in range(width):
            # The plane with its imaginary axis upwards, turned back by the angle.
            source = (complex(x, -y) - centre) * cmath.exp(-1j * math.radians(degrees)) + centre
            grid[0, y, x, 0] = 2 * source.real / (width - 1) - 1
            grid[0, y, x, 1] = -2 * source.imag / (height - 1) - 1
    return F.grid_sample(image, grid, mode="bilinear", padding_mode="zeros", align_corners=True)


def scaled(image, size, frame):
    small = F.interpolate(image, size=size, mode="bilinear", align_corners=False, antialias=True)
    top, left = (frame[0] - size[0]) // 2, (frame[1] - size[1]) // 2
    return F.pad(small, (left, frame[1] - size[1] - left, top, frame[0] - size[0] - top))


cases = {"turned": [], "framed": []}
for height, width, channels, degrees in [(6, 6, 1, 30), (5, 8, 3, -75), (7, 4, 1, 200), (5, 5, 1, 0.5)]:
    image = draw(height, width, channels)
    cases["turned"].append({"height": height, "width": width, "channels": channels, "degrees": degrees,
                            "given": plain(image), "expected": plain(turned(image, degrees))})
image = draw(5, 5, 1)
cases["turned"].append({"height": 5, "width": 5, "channels": 1, "degrees": 90, "given": plain(image),
                        "expected": plain(torch.rot90(image, 1, (2, 3)))})

# Size, the size it is scaled to, and that of the frame.
for size, to, frame, channels in [((4, 4), (9, 9), (9, 9), 1), ((3, 5), (7, 11), (13, 11), 3),
                                  ((20, 13), (8, 5), (8, 8), 1), ((9, 31), (3, 10), (10, 10), 3)]:
    image = draw(*size, channels)
    cases["framed"].append({"height": size[0], "width": size[1], "channels": channels,
                            "frame": {"height": frame[0], "width": frame[1], "channels": channels},
                            "given": plain(image), "expected": plain(scaled(image, to, frame))})

Path(__file__).with_name("images.json").write_text(json.dumps(cases) + "\n")
