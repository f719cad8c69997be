"""Let a CUDA-linked torchvision be imported on a CPU build of torch, in every process of an environment.

vLLM starts processes that import torchvision before any plugin is asked. `make setup-vllm` names this module in a .pth
file of the environment that it builds, so that Python imports it first; it costs nothing until torchvision is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType
from typing import Any


class BeforeTorchvision(MetaPathFinder):
    """Declare what torchvision's import needs, once, and leave the import to the others."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        """Find nothing, but notice when torchvision is looked for."""
        if name == "torchvision":
            sys.meta_path.remove(self)
            import torch

            if torch.version.cuda is None:
                from vlm.torchvision_ops import declare_operators

                declare_operators()


sys.meta_path.insert(0, BeforeTorchvision())
