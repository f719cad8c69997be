"""Make a CUDA-linked torchvision importable on a CPU-only torch, before anything imports it.

Modules that import transformers, open_clip or timm import this one first.
"""

from __future__ import annotations

import importlib.util
import sys

from vlm.torchvision_ops import declare_operators


def ensure_torchvision() -> bool:
    """Import torchvision, declaring the two operators that its import needs where its compiled part does not load.

    Gives False when torchvision is not installed. Does nothing where torchvision is healthy.
    """
    if importlib.util.find_spec("torchvision") is None:
        return False
    try:
        import torchvision
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        declare_operators()
        import torchvision  # noqa: F401
    return True


ensure_torchvision()
