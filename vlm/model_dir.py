"""What a model directory says about itself before anything of it is loaded: no torch here.

`nadir info` plans tiles from it, and a directory that cannot be loaded is refused before the imports that take seconds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlm.errors import CheckpointError

BUILT_IN = Path(__file__).parent / "nano"
MODEL_TYPE = "nadir"
_USUAL_DATES = 8


@dataclass(frozen=True, slots=True)
class TileSizes:
    """Hold how a checkpoint cuts images: tile side in pixels, visual tokens a tile, default tiles, one-tile factor."""

    tile_px: int
    tokens_per_tile: int
    default_tiles: int
    fit_factor: float


def model_dir(path: str | Path | None = None) -> Path:
    """Give the directory of a model, the built-in one for None.

    Raises CheckpointError when it is missing, has no weights, or holds another architecture.
    """
    folder = Path(path) if path is not None else BUILT_IN
    if not (folder / "config.json").is_file():
        raise CheckpointError(
            f"model directory {folder} has no config.json: give a directory written by save_pretrained, "
            "or none for nadir-nano"
        )
    kind = _read_json(folder / "config.json").get("model_type")
    if kind != MODEL_TYPE:
        raise CheckpointError(
            f"model directory {folder} holds a {kind!r} model: expected {MODEL_TYPE!r}; Nadir does not load others"
        )
    if not list(folder.glob("*.safetensors")):
        raise CheckpointError(f"model directory {folder} has no weights: expected model.safetensors beside config.json")
    return folder


def read_tile_sizes(path: str | Path | None = None) -> TileSizes:
    """Read how the model of a directory cuts images; raises as model_dir, and when a size is missing."""
    folder = model_dir(path)
    fields = _read_json(folder / "processor_config.json")
    try:
        return TileSizes(
            int(fields["tile_px"]),
            int(fields["tokens_per_tile"]),
            int(fields["default_tiles"]),
            float(fields["fit_factor"]),
        )
    except KeyError as error:
        raise CheckpointError(
            f"{folder / 'processor_config.json'} has no {error.args[0]!r}: expected one written by save_pretrained"
        ) from error


def read_most_dates(path: str | Path | None = None) -> int:
    """Read how many dates of one place the model of a directory takes; raises as model_dir."""
    return int(_read_json(model_dir(path) / "config.json").get("max_dates", _USUAL_DATES))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON ({error}): copy the checkpoint again") from error
    if not isinstance(fields, dict):
        raise CheckpointError(f"{path} holds no JSON object: copy the checkpoint again")
    return fields
