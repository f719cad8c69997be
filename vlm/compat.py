"""Make a CUDA-linked torchvision importable on a CPU-only torch, before anything imports it.

Modules that import transformers, open_clip or timm import this one first.
"""

from __future__ import annotations

import importlib.util
import sys

import torch

_library: torch.library.Library | None = None


def ensure_torchvision() -> bool:
    """Import torchvision, declaring the two operators that its import needs where its compiled part does not load.

    Gives False when torchvision is not installed. Does nothing where torchvision is healthy.
    """
    global _library
    if importlib.util.find_spec("torchvision") is None:
        return False
    try:
        import torchvision
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        _library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            _library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision  # noqa: F401
    return True


ensure_torchvision()
