"""One 2-D position code in the image's frame, carried by patch keys, by anchored queries and by the visual tokens.

Legend: N tiles, G grid side, D width of the code.
"""

from __future__ import annotations

import math

import torch


def sine_code(points_ND2: torch.Tensor, width: int) -> torch.Tensor:
    """Encode points (x, y), normalised by the image's width and height, as sines and cosines of `width` numbers.

    A quarter of the width each for sin x, cos x, sin y, cos y; periods run geometrically from 2 images down to 1/64 of
    one. The 2-D form of the Transformer's code (Vaswani et al., 2017) as in DETR (Carion et al., 2020).
    """
    quarter = width // 4
    octaves = torch.linspace(-1, 6, quarter, dtype=torch.float32, device=points_ND2.device)
    phases = points_ND2.float().unsqueeze(-1) * (2 * math.pi * torch.exp2(octaves))
    x, y = phases[..., 0, :], phases[..., 1, :]
    code = torch.cat((x.sin(), x.cos(), y.sin(), y.cos()), dim=-1)
    return torch.nn.functional.pad(code, (0, width - 4 * quarter))


def grid_points(frames_N4: torch.Tensor, rows: int, cols: int) -> torch.Tensor:
    """Give the centres of a rows x cols grid over each tile as (N, rows * cols, 2) points in the image's frame.

    `frames_N4` holds each tile's canvas (x1, y1, x2, y2), normalised by the image's width and height.
    """
    device = frames_N4.device
    v = (torch.arange(rows, device=device, dtype=torch.float32) + 0.5) / rows
    u = (torch.arange(cols, device=device, dtype=torch.float32) + 0.5) / cols
    local = torch.stack(torch.meshgrid(v, u, indexing="ij")[::-1], dim=-1).reshape(1, rows * cols, 2)
    corner, size = frames_N4[:, None, :2].float(), (frames_N4[:, None, 2:] - frames_N4[:, None, :2]).float()
    return corner + local * size
