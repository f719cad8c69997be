"""The two operators that importing a CUDA-linked torchvision needs, declared where its compiled part does not load."""

from __future__ import annotations

import torch

_kept: list[torch.library.Library] = []


def declare_operators() -> None:
    """Declare torchvision's nms and qnms, for as long as the process lives."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _kept.append(library)
