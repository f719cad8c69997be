"""A damaged model directory is refused in words; nothing is filled in with random weights or guessed sizes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from vlm.checkpoint import load_checkpoint
from vlm.errors import CheckpointError


def cut_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])


def drop_projector(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if "projector" not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


def shrink_projector(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["projector.bias"] = tensors["projector.bias"][:-1].clone()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def drop_tokenizer(folder: Path) -> None:
    for file in folder.glob("tokenizer*"):
        file.unlink()


def drop_processor(folder: Path) -> None:
    (folder / "processor_config.json").unlink()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (cut_weights, "cannot be loaded"),
        (drop_projector, r"lacks 2 tensors, such as projector\.bias"),
        (shrink_projector, "cannot be loaded"),
        (drop_tokenizer, "cannot be loaded"),
        (drop_processor, "processor_config.json"),
    ],
)
def test_a_damaged_directory_is_refused(
    damage: Callable[[Path], None], says: str, tiny_model_dir: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model_dir, folder)
    damage(folder)
    with pytest.raises(CheckpointError, match=says):
        load_checkpoint(folder)


def test_an_unknown_dtype_is_refused(tiny_model_dir: Path) -> None:
    with pytest.raises(CheckpointError, match="dtype 'float99' is unknown"):
        load_checkpoint(tiny_model_dir, dtype="float99")
