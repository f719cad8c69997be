"""The encoder is open_clip's own: same weights, same tokens, from checkpoints laid out as RemoteCLIP's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from open_clip.model import CLIP

from vlm.encoder import Encoder, load_clip_weights, named_clip_config, resize_positions
from vlm.errors import CheckpointError


def shallow(name: str, layers: int | None = None) -> dict[str, Any]:
    """Give a named architecture with one text layer and, if asked, few vision layers: weights that a test can write."""
    config = named_clip_config(name)
    vision = config["vision_cfg"] if layers is None else {**config["vision_cfg"], "layers": layers}
    return {**config, "vision_cfg": vision, "text_cfg": {**config["text_cfg"], "layers": 1}}


@pytest.mark.parametrize(("name", "patches"), [("ViT-B-32", 49), ("ViT-L-14", 256)])
def test_patch_tokens_equal_open_clips_own(name: str, patches: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = shallow(name)
    reference = CLIP(**config).eval()
    torch.save(
        {"state_dict": {f"module.{key}": value for key, value in reference.state_dict().items()}}, tmp_path / "rs.pt"
    )
    encoder = Encoder(config, (-1,)).eval()
    load_clip_weights(encoder, tmp_path / "rs.pt")
    (tmp_path / "rs.pt").unlink()
    pixels = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        tokens, grid = encoder(pixels)
        reference.visual.output_tokens = True
        pooled, expected = reference.visual(pixels)
        torch.testing.assert_close(encoder.clip.visual(pixels), pooled, rtol=0, atol=1e-5)
    assert tokens.shape == (1, patches, encoder.width)
    assert grid[0] * grid[1] == patches
    torch.testing.assert_close(tokens, expected, rtol=0, atol=1e-5)


def test_any_tile_size_resizes_the_position_table() -> None:
    config = {
        **shallow("ViT-B-32", 1),
        "embed_dim": 8,
        "vision_cfg": {"image_size": 64, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    }
    encoder = Encoder(config, (-1,)).eval()
    for side, cells in ((64, 16), (96, 36)):
        tokens, _ = encoder(torch.randn(1, 3, side, side))
        assert tokens.shape == (1, cells, 32)
    table = torch.randn(1 + 16, 32)
    assert resize_positions(table, (4, 4), (4, 4)) is table
    torch.testing.assert_close(resize_positions(table, (4, 4), (8, 6))[0], table[0])


def test_convolutional_towers_give_several_stages_on_one_grid() -> None:
    config = {
        "embed_dim": 16,
        "vision_cfg": {"timm_model_name": "resnet10t", "image_size": 64},
        "text_cfg": {"context_length": 8, "vocab_size": 20, "width": 16, "heads": 2, "layers": 1},
    }
    encoder = Encoder(config, (-2, -1)).eval()
    tokens, grid = encoder(torch.randn(2, 3, 64, 64))
    assert grid == (4, 4)
    assert tokens.shape == (2, 16, encoder.width) == (2, 16, 256 + 512)


def test_a_finer_stage_is_folded_into_the_first_ones_grid_without_loss() -> None:
    config = {
        "embed_dim": 16,
        "vision_cfg": {"timm_model_name": "resnet10t", "image_size": 64},
        "text_cfg": {"context_length": 8, "vocab_size": 20, "width": 16, "heads": 2, "layers": 1},
    }
    encoder = Encoder(config, (-2, -3, -1)).eval()
    pixels = torch.randn(1, 3, 64, 64)
    tokens, grid = encoder(pixels)
    assert grid == (4, 4)
    assert tokens.shape[-1] == encoder.width == 4 * 128 + 256 + 512
    stage = Encoder(config, (-3,)).eval()
    stage.load_state_dict(encoder.state_dict())
    fine = stage(pixels)[0].reshape(8, 8, 128)
    assert torch.equal(fine[2:4, 6:8].permute(2, 0, 1).flatten(), tokens[0, 4 * 1 + 3, : 4 * 128])


def test_wrong_checkpoints_are_refused_in_a_sentence(tmp_path: Path) -> None:
    encoder = Encoder(shallow("ViT-B-32", 1) | {"embed_dim": 8}, (-1,))
    with pytest.raises(CheckpointError, match="does not exist"):
        load_clip_weights(encoder, tmp_path / "none.pt")
    (tmp_path / "cut.pt").write_bytes(b"PK half a file")
    with pytest.raises(CheckpointError, match="cannot be read as a state dict"):
        load_clip_weights(encoder, tmp_path / "cut.pt")
    torch.save({"visual.conv1.weight": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match=r"does not fit the architecture: Missing key"):
        load_clip_weights(encoder, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match=r"close names are .*ViT-B-32"):
        named_clip_config("ViT-B-33")
    assert "ViT-B-32" in open_clip.list_models()
